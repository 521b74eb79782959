"""Longer bars from 1-minute bars, in buckets aligned to 1970-01-01 00:00 UTC.

A 5m or 60m bar of which more than a tenth of the minutes are missing is masked: it is absent, as one without any
minute is, so that nothing is decided on it or learned from it. Nothing is ever filled.
"""

from __future__ import annotations

import numpy as np

from daybook.core.arrays import Bools, Ints
from daybook.core.errors import UsageError
from daybook.core.time import MINUTE_MS, timeframe_ms
from daybook.market.bars import FIELDS, Bars

LEAST_PRESENT = 0.9
"""Fraction of its minutes that a longer bar must have: all of 5, 54 of 60. An hour must not go for one lost minute."""
_DAY_MINUTES = 1440


def aggregate(bars_1m: Bars, timeframe: str) -> Bars:
    """1m bars as 1m, 5m or 60m bars, those masked left out: of which less than LEAST_PRESENT of the minutes is there.

    Raises UsageError for another timeframe, or when the bars are not 1m.
    """
    minutes = timeframe_ms(timeframe) // MINUTE_MS
    if minutes == 1:
        return _one_minute(bars_1m)
    every, kept = aggregate_minutes(bars_1m, minutes), _enough(minutes_present(bars_1m, minutes), minutes)
    return Bars(every.venue, every.symbol, every.timeframe, every.open_time[kept],
                *(getattr(every, field)[kept] for field in FIELDS))


def aggregate_minutes(bars_1m: Bars, minutes: int) -> Bars:
    """1m bars in buckets of `minutes`, which divides a day.

    open and close are those of the first and last minute present, high and low the extremes, volume the sum. A
    bucket's values depend on its own minutes alone, to the last bit, wherever the table starts or has gaps.
    """
    starts = _bucket_starts(bars_1m, minutes)
    timeframe = f"{minutes}m"
    if not starts.size:
        return Bars(bars_1m.venue, bars_1m.symbol, timeframe, bars_1m.open_time, bars_1m.open, bars_1m.high,
                    bars_1m.low, bars_1m.close, bars_1m.volume)
    ends = np.append(starts[1:], len(bars_1m)) - 1
    length_ms = minutes * MINUTE_MS
    return Bars(
        bars_1m.venue, bars_1m.symbol, timeframe,
        open_time=bars_1m.open_time[starts] // length_ms * length_ms,
        open=bars_1m.open[starts],
        high=np.maximum.reduceat(bars_1m.high, starts),
        low=np.minimum.reduceat(bars_1m.low, starts),
        close=bars_1m.close[ends],
        # Always reduceat: a reshaped sum of complete stretches could differ in the last bit between two windows.
        volume=np.add.reduceat(bars_1m.volume, starts),
    )


def minutes_present(bars_1m: Bars, minutes: int) -> Ints:
    """(B,) int64: how many 1m bars each bucket of `aggregate_minutes` was built from."""
    counts: Ints = np.diff(np.append(_bucket_starts(bars_1m, minutes), len(bars_1m)))
    return counts


def masked(open_time: Ints, minutes: int) -> Ints:
    """(M,) int64 ms UTC: open times of the buckets that have minutes, but too few of them for a bar.

    open_time: (T,) int64 ms UTC of 1m bars, sorted, each once.
    """
    bucket = open_time // (minutes * MINUTE_MS)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    few = ~_enough(np.diff(np.append(starts, bucket.size)), minutes)
    return bucket[starts[few]] * (minutes * MINUTE_MS)


def _enough(present: Ints, minutes: int) -> Bools:
    return present >= LEAST_PRESENT * minutes


def _bucket_starts(bars_1m: Bars, minutes: int) -> Ints:
    """(B,) int64 position of the first minute of each bucket."""
    _one_minute(bars_1m)
    if minutes < 1 or _DAY_MINUTES % minutes:
        raise UsageError(f"aggregation: found buckets of {minutes} minutes, allowed are divisors of a day.")
    bucket = bars_1m.open_time // (minutes * MINUTE_MS)
    if not bucket.size:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.flatnonzero(np.diff(bucket)) + 1])


def _one_minute(bars: Bars) -> Bars:
    if bars.timeframe != "1m":
        raise UsageError(f"{bars.name}: longer bars are aggregated from 1m bars only; read the 1m bars.")
    return bars
