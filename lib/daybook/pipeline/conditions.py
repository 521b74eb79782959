"""The conditions of a day's fills: latency as set, and the funding settlements that were sealed with the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daybook.core.errors import DataError
from daybook.core.files import read_json, write_json
from daybook.core.hashing import hash_json
from daybook.core.settings import Settings
from daybook.core.time import Window, utc_text
from daybook.market import FundingRates, funding_store
from daybook.market.funding import LONGEST_INTERVAL_MS
from daybook.market.names import trades_perpetuals

if TYPE_CHECKING:
    from daybook.backtest import Conditions

FUNDING = "funding"
"""Key of the facts in `inputs/bars.json`; absent where no market of the day settles funding."""
SEALED_FUNDING = "funding.json"


def seal_funding(inputs: Path, settings: Settings, venue: str, history: Window) -> dict[str, Any]:
    """Copy the settlements inside the history into `inputs/`; returns the facts of them for `bars.json`.

    A market whose settlements do not cover the history is told under `uncharged` with the reason and has none sealed.
    Markets of spot venues have neither; the result is empty where that is all of them.
    """
    store = funding_store(settings.data)
    sealed: dict[str, dict[str, list[Any]]] = {}
    uncharged: dict[str, str] = {}
    for symbol in settings.symbols:
        rates = store.read(venue, symbol, history)
        if not len(rates) and not trades_perpetuals(venue):
            continue
        reason = _uncovered(rates, history)
        if reason is None:
            sealed[symbol] = {"funding_time": rates.funding_time.tolist(), "funding_rate": rates.funding_rate.tolist()}
        else:
            uncharged[symbol] = reason
    if not sealed and not uncharged:
        return {}
    write_json(inputs / SEALED_FUNDING, sealed)
    settlements = {symbol: len(columns["funding_time"]) for symbol, columns in sealed.items()}
    return {FUNDING: {"identity": hash_json(sealed), "settlements": settlements, "uncharged": uncharged}}


def _uncovered(rates: FundingRates, history: Window) -> str | None:
    """Why settlements can not be charged over a history; None where they can."""
    gap = rates.longest_gap(history)
    if gap.end_ms - gap.start_ms <= LONGEST_INTERVAL_MS:
        return None
    if not len(rates):
        return f"no settlements are stored from {utc_text(history.start_ms)} to {utc_text(history.end_ms)}"
    return (f"none is stored between {utc_text(gap.start_ms)} and {utc_text(gap.end_ms)}, and one in eight hours is "
            "needed")


def sealed_conditions(folder: Path, settings: Settings, bars: Mapping[str, Any]) -> Conditions:
    """The conditions of every simulation of a sealed run.

    bars: `inputs/bars.json`. Raises DataError when the sealed settlements are not those that were sealed.
    """
    from daybook.backtest import Conditions

    facts = bars.get(FUNDING)
    if facts is None or not facts["settlements"]:
        return Conditions(latency_bars=settings.latency_bars)
    path = folder / "inputs" / SEALED_FUNDING
    sealed = read_json(path)
    if hash_json(sealed) != facts["identity"]:
        raise DataError(f"{path}: changed since the run was sealed. Start the day again without --resume.")
    funding = {symbol: _rates(sealed[symbol]) if symbol in sealed else None for symbol in settings.symbols}
    return Conditions(latency_bars=settings.latency_bars, funding=funding)


def _rates(columns: Mapping[str, list[Any]]) -> FundingRates:
    return FundingRates(np.array(columns["funding_time"], dtype=np.int64),
                        np.array(columns["funding_rate"], dtype=np.float64))


def funding_notices(bars: Mapping[str, Any]) -> list[str]:
    """One sentence for each market whose positions are held as if funding were free; nothing where it is charged.

    bars: `inputs/bars.json`.
    """
    venue = bars["venue"]
    remedy = (f"Get it with `daybook candles download --funding --venue {venue}` or `daybook candles funding PATH "
              f"--venue {venue}`, then run the day again")
    return [f"funding is not charged for {symbol} on {venue}: {reason}. {remedy}."
            for symbol, reason in bars.get(FUNDING, {}).get("uncharged", {}).items()]
