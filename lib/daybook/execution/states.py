"""The state a market is in when an order reaches it: its trading session and how wild it was just before.

Sessions follow the exchanges' local clocks (IANA zones). Where two are open the one that opened last counts, so the
overlap of London and New York is New York's; Saturday and Sunday, UTC, are the weekend. Volatility is what was known
before the moment, so that a backtest may ask for it at every bar.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from daybook.core.arrays import Floats, Ints
from daybook.core.time import DAY_MS, MINUTE_MS, timeframe_ms
from daybook.features.session import SESSIONS as _EXCHANGE_SESSIONS
from daybook.market.bars import Bars
from daybook.market.quotes import Quotes

SESSIONS = (*(session.name for session in _EXCHANGE_SESSIONS), "off", "weekend")
"""tokyo, london, new_york, off, weekend; a session code is a place in this tuple."""
VOLATILITIES = ("low", "middle", "high")
"""Terciles of trailing volatility; a code is a place in this tuple, UNKNOWN where there is too little past."""
ANY = "any"
UNKNOWN = -1

STANDING_MS = 5 * MINUTE_MS
"""A quote counts for at most so long: what stood before a pause of the feed says nothing about the pause."""
_OFF, _WEEKEND = SESSIONS.index("off"), SESSIONS.index("weekend")
_SATURDAY, _EPOCH_WEEKDAY = 5, 3
_LOOKBACK_MINUTES, _FEWEST_BARS, _FEWEST_MINUTES = 60, 12, 20
_BPS = 1e4


def session_codes(time_ms: ArrayLike) -> Ints:
    """(N,) int64 places in SESSIONS for moments in ms UTC, in any order."""
    times = np.asarray(time_ms, dtype=np.float64)
    codes = np.full(times.shape, _OFF, dtype=np.int64)
    if not times.size:
        return codes
    span = np.asarray([times.min(), times.max()], dtype=np.int64)
    for code, session in enumerate(_EXCHANGE_SESSIONS):
        opened, closed = session.times(span)
        latest = np.searchsorted(opened, times, side="right") - 1
        codes[(latest >= 0) & (times < closed[np.maximum(latest, 0)])] = code
    codes[(times // DAY_MS + _EPOCH_WEEKDAY) % 7 >= _SATURDAY] = _WEEKEND
    return codes


def bar_volatility(bars: Bars) -> Floats:
    """Volatility before each bar opened: (T,) float64, bps per square root of a minute; NaN while too few bars.

    The root of squared close-to-close returns over the minutes they span, in the last 60 minutes or 12 bars, whichever
    is longer. One scale for every timeframe, and a gap counts for the minutes it lasted.
    """
    count = max(_FEWEST_BARS, _LOOKBACK_MINUTES * MINUTE_MS // timeframe_ms(bars.timeframe))
    known = np.full(len(bars), np.nan)
    if len(bars) <= count + 1:
        return known
    squares = np.diff(np.log(bars.close)) ** 2
    minutes = np.diff(bars.open_time) / MINUTE_MS
    # The bar at t opens after the return that ends at t - 1, the last of `count` returns that are known then.
    known[count + 1:] = _trailing(squares, minutes, count)[:-1]
    return known


def _trailing(squares: Floats, minutes: Floats, count: int) -> Floats:
    totals = [np.concatenate(([0.0], np.cumsum(part))) for part in (squares, minutes)]
    variance, span = (total[count:] - total[:-count] for total in totals)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0) / span) * _BPS)


def quote_volatility(quotes: Quotes) -> tuple[Ints, Floats]:
    """Volatility of the mid before each minute of a recording, on the same scale as `bar_volatility`.

    Returns (M,) int64 minutes since 1970 and (M,) float64 bps per square root of a minute, NaN where fewer than 20 of
    the last 60 minutes had a quote that still stood.
    """
    first, last = int(quotes.time_ms[0] // MINUTE_MS), int(quotes.time_ms[-1] // MINUTE_MS)
    minutes = np.arange(first, last + 1, dtype=np.int64)
    standing = np.searchsorted(quotes.time_ms, minutes * MINUTE_MS, side="right") - 1
    age = minutes * MINUTE_MS - quotes.time_ms[np.maximum(standing, 0)]
    mid = np.where((standing >= 0) & (age <= STANDING_MS), quotes.mid[np.maximum(standing, 0)], np.nan)
    change = np.diff(np.log(mid), prepend=np.nan)
    known = np.isfinite(change)
    sums = [np.concatenate(([0.0], np.cumsum(part))) for part in (np.where(known, change, 0.0) ** 2, known)]
    start = np.maximum(np.arange(minutes.size) + 1 - _LOOKBACK_MINUTES, 0)
    variance, count = (total[1:] - total[start] for total in sums)
    enough = count >= _FEWEST_MINUTES
    return minutes, np.where(enough, np.sqrt(np.maximum(variance, 0.0) / np.maximum(count, 1.0)) * _BPS, np.nan)


def volatility_codes(volatility: Floats, edges: tuple[float, float] | None) -> Ints:
    """(N,) int64 places in VOLATILITIES; UNKNOWN where the volatility is NaN or the market has no edges."""
    if edges is None:
        return np.full(volatility.shape, UNKNOWN, dtype=np.int64)
    codes = np.searchsorted(np.asarray(edges), volatility, side="left")
    return np.where(np.isfinite(volatility), codes, UNKNOWN).astype(np.int64)


def tercile_edges(volatility: Floats) -> tuple[float, float] | None:
    """The two values that part known volatilities into thirds; None with fewer than 90 of them, or no two apart."""
    known = volatility[np.isfinite(volatility)]
    if known.size < 90:
        return None
    low, high = (float(edge) for edge in np.quantile(known, (1 / 3, 2 / 3)))
    return (low, high) if low < high else None
