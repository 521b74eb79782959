"""Bring the candle store up to date from an exchange before a day begins."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybook.core.errors import DataError
from daybook.core.files import read_json, write_json
from daybook.core.settings import Settings
from daybook.core.time import Window
from daybook.market import candle_store, funding_store
from daybook.market.funding import LONGEST_INTERVAL_MS
from daybook.market.http_errors import ExchangeError
from daybook.market.names import trades_perpetuals

if TYPE_CHECKING:
    from daybook.market.download_report import DownloadReport

REPORT_NAME = "download.json"
RECHECK_DAYS = 3
"""Days that a refresh asks about again: exchanges correct bars in the days after an outage."""
STALE = "STALE: the exchange could not be reached, so candles may be missing or since corrected. "
"""How a verdict begins on a day whose candles could not be refreshed."""
_REASONS_SHOWN = 3


def refresh_from_exchange(settings: Settings, history: Window, inputs: Path | None = None) -> str:
    """Download what the store misses of the window's bars, and of a perpetual's funding, and return the venue.

    The last RECHECK_DAYS days before now are asked about again, for corrections; about older days that are whole
    nothing is asked. inputs: folder that gets the download's report as `download.json`. An exchange that can not be
    reached leaves the day to what is stored, which its quality check then judges. Raises DataError when a symbol has
    no bar at all.
    """
    from daybook.market.download import DownloadRequest, download_candles
    from daybook.market.download_sources import open_sources, venue_of_source

    venue = venue_of_source(settings)
    store = candle_store(settings.data)
    request = DownloadRequest(settings.symbols, history, int(time.time() * 1000), recheck_days=RECHECK_DAYS)
    with open_sources(settings, venue) as sources:
        report = download_candles(store, sources, request)
        unsettled = [] if report.stale else _refresh_funding(settings, sources.rest, venue, history)
    _say(report)
    for line in unsettled:
        print(f"funding: {line}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a person's command
    if inputs is not None:
        write_json(inputs / REPORT_NAME, report.model_dump(mode="json"))
    for symbol in settings.symbols:
        if report.failed and not store.open_times(venue, symbol, history).size:
            raise DataError(f"{symbol} on {venue}: not one bar of the window could be had. {_reasons(report)}")
    return venue


def _refresh_funding(settings: Settings, exchange: Any, venue: str, history: Window) -> list[str]:
    """Fetch the settlements of perpetuals whose stored ones do not cover the history; what could not be had, in words.

    A market that stays uncovered is not charged, and the day's report says so.
    """
    if not trades_perpetuals(venue):
        return []
    store = funding_store(settings.data)
    missed = []
    for symbol in settings.symbols:
        gap = store.read(venue, symbol, history).longest_gap(history)
        if gap.end_ms - gap.start_ms <= LONGEST_INTERVAL_MS:
            continue
        try:
            store.write(venue, symbol, exchange.funding(symbol, history))
        except ExchangeError as error:
            missed.append(f"{symbol}: {error}")
    return missed


def refresh_facts(inputs: Path) -> dict[str, Any]:
    """What the day's pages must say of its refresh, under `refresh`; empty where there was none or all went well.

    stale: an exchange could not be reached, so there may be more or other bars than these. failed: files and spans
    that could not be had. revised: bars that the exchange has corrected, which later days will see.
    """
    path = inputs / REPORT_NAME
    if not path.is_file():
        return {}
    report = read_json(path)
    facts = {"stale": report["stale"], "failed": len(report["failed"]), "revised": report["revised"]}
    return {"refresh": facts} if any(facts.values()) else {}


def _reasons(report: DownloadReport) -> str:
    listed = "; ".join(f"{one.name}: {one.reason}" for one in report.failed[:_REASONS_SHOWN])
    more = len(report.failed) - _REASONS_SHOWN
    return listed + (f"; and {more} more" if more > 0 else "")


def _say(report: DownloadReport) -> None:
    lines = [f"candles: {report.summary}"] + ([f"candles: {_reasons(report)}"] if report.failed else [])
    for line in lines:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of a person's command
