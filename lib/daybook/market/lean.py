"""How QuantConnect Lean names its files: `<kind>/<market>/<resolution>/<symbol>/YYYYMMDD_<trade|quote>.zip`.

Source: github.com/QuantConnect/Lean, Data/*/readme.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

HOURS_BEHIND_UTC = {"fxcm": 5}
"""Markets whose days are not UTC days, all year (Lean's market-hours database)."""

_TRADE = re.compile(r"(\d{4})(\d{2})(\d{2})_trade\.zip", re.ASCII)


@dataclass(frozen=True)
class LeanTrade:
    """What the path of a file of 1-minute trade bars says."""

    venue: str
    symbol: str
    day: date
    perpetual: bool = False

    @property
    def inside(self) -> str:
        """The name of the one file in the zip."""
        return f"{self.day:%Y%m%d}_{self.symbol.lower()}_minute_trade{'_perp' if self.perpetual else ''}.csv"


def lean_trade(path: Path) -> LeanTrade | None:
    """Venue, symbol and day of a zip of 1-minute trade bars, or None for anything else.

    Only crypto, and crypto futures that settle in USDT: there prices are plain numbers and volume is in the base coin.
    Lean writes prices of shares ten-thousandfold, and coin-settled futures count contracts.
    """
    match = _TRADE.fullmatch(path.name)
    parts = path.absolute().parts
    if match is None or len(parts) < 5 or parts[-3] != "minute":
        return None
    kind, market, symbol = parts[-5], parts[-4], parts[-2]
    if kind != "crypto" and not (kind == "cryptofuture" and symbol.upper().endswith("USDT")):
        return None
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
    return LeanTrade(lean_venue(kind, market, symbol), symbol.upper(), day, kind == "cryptofuture")


def lean_venue(kind: str, market: str, symbol: str) -> str:
    """The venue's name as the candle store writes it: binance_spot, binance_usdm, bybit_coinm, oanda."""
    if kind == "crypto":
        return f"{market}_spot"
    if kind == "cryptofuture":
        return f"{market}_usdm" if symbol.upper().endswith("USDT") else f"{market}_coinm"
    return market
