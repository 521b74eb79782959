"""The built-in market: endless bars of three coins, the same for a seed whenever and however they are asked for."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from daybook.core.errors import UsageError
from daybook.core.time import MINUTE_MS, Window, day_start_ms, timeframe_ms, utc_text
from daybook.market.aggregate import aggregate
from daybook.market.bars import Bars
from daybook.market.synthetic_model import COINS, MODES, SEASON_MINUTES, coin_of, mode_of, season_bars

SYNTHETIC_SYMBOLS: tuple[str, ...] = tuple(COINS)
SYNTHETIC_MODES: tuple[str, ...] = tuple(MODES)
FIRST_DAY = date(2020, 1, 1)
END_DAY = date(2100, 1, 1)
"""The built-in market's days are those from FIRST_DAY up to, not including, END_DAY."""


def synthetic_venue(seed: int, mode: str = "normal") -> str:
    """Venue under which built-in bars go, so that no page can take them for real ones: `synthetic-normal-7`."""
    return f"synthetic-{mode_of(mode).name}-{seed}"


def synthetic_bars(symbol: str, window: Window, *, seed: int, mode: str = "normal", timeframe: str = "1m") -> Bars:
    """Bars of one built-in coin that open inside the window; no minute is ever missing.

    mode: "normal" has the stylised facts of crypto markets; "noise" the same volatility but nothing predictable in
    direction; "planted" an edge that survives costs (see `planted_signal`), "planted-0.5" a weaker one.
    A bar's values depend on seed, mode, symbol and open time alone. 5m and 60m bars are made of whole 1m bars.
    Raises UsageError for an unknown symbol, mode or timeframe and for a window outside FIRST_DAY to END_DAY.
    """
    coin_of(symbol)
    venue = synthetic_venue(seed, mode)
    _require_inside(window)
    minutes = timeframe_ms(timeframe) // MINUTE_MS
    first = -(-window.start_ms // timeframe_ms(timeframe)) * minutes
    end = -(-window.end_ms // timeframe_ms(timeframe)) * minutes
    parts = [np.empty((5, 0))]
    for season in range(first // SEASON_MINUTES, -(-end // SEASON_MINUTES)):
        start = season * SEASON_MINUTES
        whole = season_bars(seed, mode, symbol, season)
        parts.append(whole[:, max(first - start, 0) : max(end - start, 0)])
    open_time = np.arange(first, end, dtype=np.int64) * MINUTE_MS
    return aggregate(Bars(venue, symbol, "1m", open_time, *np.concatenate(parts, axis=1)), timeframe)


def _require_inside(window: Window) -> None:
    if window.start_ms < day_start_ms(FIRST_DAY) or window.end_ms > day_start_ms(END_DAY):
        raise UsageError(
            f"window: found {utc_text(window.start_ms)} to {utc_text(window.end_ms)}; the first day of the built-in "
            f"market is {FIRST_DAY}, its last {END_DAY - timedelta(days=1)}. Choose a date whose history lies inside."
        )
