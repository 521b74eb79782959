"""Names of venues, symbols, intervals and candle files; each is matched whole and in ASCII, so none can leave a folder.

A candle file's name says its symbol, mostly its interval and never its venue:
`BTCUSDT-1m-2023-03-24.zip` (Binance archive), `BTCUSDT_2022-01-01_2023-12-31.parquet` below a folder `1m`,
`BTCUSDT_1m_2017-08-17_2018-03-31.parquet`, `BTCUSDT_1m.parquet`. Lean's folders say all of it:
`crypto/binance/minute/btcusdt/20180208_trade.zip`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, Window, day_start_ms
from daybook.market.lean import lean_trade

UNKNOWN_VENUE = "files"
SUFFIXES = (".parquet", ".csv", ".zip")

_SYMBOL = r"[A-Z0-9]{2,24}(?:_(?:PERP|[0-9]{6}))?"
_INTERVAL = r"[1-9][0-9]?[smhdwM]"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_SYMBOL_FORM = re.compile(_SYMBOL, re.ASCII)
_INTERVAL_FORM = re.compile(_INTERVAL, re.ASCII)
_VENUE_FORM = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}", re.ASCII)
_EXCHANGE_FORM = re.compile(
    r"(?:binance|bitfinex|bitget|blofin|bybit|coinbase|dukascopy|hyperliquid|kraken|kucoin|oanda|okx)(?:_[a-z0-9_]+)?",
    re.ASCII,
)
_PERPETUAL_FORM = re.compile(r"[a-z0-9.-]+_(?:coinm|futures|inverse|linear|perp|perpetual|swap|usdm)", re.ASCII)
_FILE_FORMS = (
    re.compile(rf"(?P<symbol>{_SYMBOL})-(?P<interval>{_INTERVAL})-"
               r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?", re.ASCII),
    re.compile(rf"(?P<symbol>{_SYMBOL})(?:_(?P<interval>{_INTERVAL}))?(?:_{_DAY}_{_DAY})?", re.ASCII),
)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class FileName:
    """What a candle file's name and folders say; venue and interval are None where they say nothing."""

    symbol: str
    interval: str | None
    venue: str | None


def parse_file_name(path: Path) -> FileName | None:
    """Symbol, interval and venue by the path of a candle file, or None when its name is no candle file's name."""
    if path.suffix not in SUFFIXES:
        return None
    for form in _FILE_FORMS:
        match = form.fullmatch(path.stem)
        if match:
            return FileName(match["symbol"], match["interval"] or _folder_interval(path), _folder_venue(path))
    lean = lean_trade(path)
    if lean is None or not (_SYMBOL_FORM.fullmatch(lean.symbol) and _VENUE_FORM.fullmatch(lean.venue)):
        return None
    return FileName(lean.symbol, "1m", lean.venue)


def named_window(path: Path) -> Window | None:
    """The UTC day or month that an archive file's name says it covers; None where the name says none."""
    lean = lean_trade(path)
    if lean is not None:
        return Window(day_start_ms(lean.day), day_start_ms(lean.day) + DAY_MS)
    match = _FILE_FORMS[0].fullmatch(path.stem)
    if match is None:
        return None
    try:
        first = date(int(match["year"]), int(match["month"]), int(match["day"] or 1))
    except ValueError:
        return None
    after = first + timedelta(days=1) if match["day"] else (first + timedelta(days=31)).replace(day=1)
    return Window(day_start_ms(first), day_start_ms(after))


def interval_ms(interval: str) -> int | None:
    """Length of an interval such as 1m, 15m, 1h, 1d in milliseconds; None for weeks, months and anything else."""
    if not _INTERVAL_FORM.fullmatch(interval) or interval[-1] not in _UNIT_MS:
        return None
    return int(interval[:-1]) * _UNIT_MS[interval[-1]]


def interval_name(length_ms: int) -> str:
    """The name of a bar length in the largest unit up to hours that divides it, minutes up to an hour: `15m`, `1h`."""
    for unit in ("d", "h", "m", "s"):
        if length_ms % _UNIT_MS[unit] == 0:
            return f"{length_ms // _UNIT_MS[unit]}{unit}"
    return f"{length_ms}ms"


def require_venue(venue: str) -> str:
    """The venue itself. Raises UsageError unless it is lower-case letters, digits, `_`, `-` and `.`, at most 40."""
    if not _VENUE_FORM.fullmatch(venue):
        raise UsageError(f"venue: found {venue!r}, allowed are a-z, 0-9, _ - and . such as binance_spot.")
    return venue


def trades_perpetuals(venue: str) -> bool:
    """Whether a venue's name says that its markets are perpetuals, which settle funding: binance_usdm, okx_swap."""
    return _PERPETUAL_FORM.fullmatch(venue) is not None


def require_symbol(symbol: str) -> str:
    """The symbol itself. Raises UsageError unless it is written like BTCUSDT, BTCUSD_PERP or BTCUSDT_230630."""
    if not _SYMBOL_FORM.fullmatch(symbol):
        raise UsageError(f"symbol: found {symbol!r}, allowed are A-Z and 0-9, such as BTCUSDT.")
    return symbol


def _folder_interval(path: Path) -> str | None:
    folder = path.absolute().parent.name
    return folder if _INTERVAL_FORM.fullmatch(folder) else None


def _folder_venue(path: Path) -> str | None:
    """<venue>/<interval>/FILE, or <venue>/FILE where the folder bears an exchange's name (never `downloads`)."""
    folder = path.absolute().parent
    if _INTERVAL_FORM.fullmatch(folder.name):
        venue = folder.parent.name
        return venue if _VENUE_FORM.fullmatch(venue) else None
    return folder.name if _EXCHANGE_FORM.fullmatch(folder.name) else None
