"""Reading bars of any timeframe for a window, with an error that says what is there instead."""

from __future__ import annotations

from pathlib import Path

from daybook.core.time import Window, timeframe_ms, utc_text
from daybook.market.aggregate import aggregate
from daybook.market.bars import Bars
from daybook.market.errors import MissingCandlesError
from daybook.market.store import CandleStore

STORE_FOLDER = "candles"


def candle_store(data: Path) -> CandleStore:
    """The candle store of a data folder."""
    return CandleStore(Path(data) / STORE_FOLDER)


def read_bars(data: Path, symbol: str, timeframe: str, window: Window, *, venue: str) -> Bars:
    """Bars of one market that lie wholly inside the window, aggregated from the stored 1-minute bars.

    data: the data folder; its candle store is `candles` in it. A bar that would begin before the window or end after
    it is left out, so nothing from beyond the window is seen; neither is a value that an exchange gave after the
    window's end, where it had given another before. Missing minutes stay missing (see `aggregate`).
    Raises MissingCandlesError when the market or window has none (what is there is named), UsageError for an unknown
    timeframe or an ill-formed symbol or venue.
    """
    length_ms = timeframe_ms(timeframe)
    store = candle_store(data)
    start, end = -(-window.start_ms // length_ms) * length_ms, window.end_ms // length_ms * length_ms
    whole = Window(start, end) if end > start else None
    bars = store.read(venue, symbol, whole, known_before=window.end_ms) if whole else None
    if bars is None or not len(bars):
        raise MissingCandlesError(_what_is_there(store, venue, symbol, timeframe, window))
    return aggregate(bars, timeframe)


def _what_is_there(store: CandleStore, venue: str, symbol: str, timeframe: str, window: Window) -> str:
    asked = f"{symbol} {timeframe} on {venue}: no candles from {utc_text(window.start_ms)} to {utc_text(window.end_ms)}"
    symbols = store.symbols(venue)
    if symbol in symbols:
        there = store.market(venue, symbol)
        return (f"{asked}; the store has {utc_text(there.first_ms)} to {utc_text(there.last_ms)} ({there.rows:,} bars, "
                f"{there.gaps} gaps). Choose a date inside, or import the missing days with `daybook candles import`.")
    if symbols:
        return f"{asked}; the store has {', '.join(symbols)} there. Choose one, or import {symbol} first."
    venues = sorted({market.venue for market in store.markets()})
    known = f"the store has the venues {', '.join(venues)}" if venues else f"the store {store.root} is empty"
    return f"{asked}; {known}. Import candles with `daybook candles import PATH`."
