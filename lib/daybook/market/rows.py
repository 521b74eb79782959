"""Candle rows as they arrive: unsorted, repeated or wrong ones included, before anything is known to be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.time import Window
from daybook.market.bars import FIELDS, Bars


@dataclass(frozen=True)
class CandleRows:
    """Rows of one market in the order of their file.

    open_time, close_time: (T,) int64 ms UTC; close_time is exclusive (open + length for a regular bar).
    open, high, low, close: (T,) float64 quote price. volume: (T,) float64 base coin. Any value may be wrong or NaN.
    """

    open_time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    close_time: Ints

    def __len__(self) -> int:
        return int(self.open_time.size)

    @classmethod
    def of(cls, open_time: Ints, values: Iterable[Floats], close_time: Ints) -> CandleRows:
        """Rows from the five value columns in the order of FIELDS."""
        opens, highs, lows, closes, volumes = values
        return cls(open_time, opens, highs, lows, closes, volumes, close_time)

    def take(self, index: Ints | Bools | slice) -> CandleRows:
        """The rows at these positions, in this order."""
        return CandleRows(*(getattr(self, field.name)[index] for field in fields(self)))

    def within(self, window: Window) -> CandleRows:
        """The rows that open inside the window, in the same order."""
        return self.take((self.open_time >= window.start_ms) & (self.open_time < window.end_ms))

    def bars(self, venue: str, symbol: str, timeframe: str) -> Bars:
        """The rows as a bar table. Raises DataError unless their open times rise strictly."""
        return Bars(venue, symbol, timeframe, self.open_time, *(getattr(self, field) for field in FIELDS))


def rows_of(bars: Bars, length_ms: int) -> CandleRows:
    """Rows of a bar table whose bars all last `length_ms`."""
    return CandleRows(bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume,
                      bars.open_time + length_ms)


def joined(parts: Sequence[CandleRows]) -> CandleRows:
    """All rows, part after part; an empty table for no parts."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        times, values = np.empty(0, np.int64), np.empty(0, np.float64)
        return CandleRows(times, values, values, values, values, values, times)
    return CandleRows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(CandleRows)))


def month_of(open_time: Ints) -> Ints:
    """(T,) int64 months since 1970-01 UTC of each open time."""
    months: Ints = open_time.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    return months


def distinct(values: Ints) -> Ints:
    """The different values, sorted; np.unique hashes, which takes twenty times as long on times that are sorted."""
    ordered = np.sort(values)
    first = np.ones(ordered.size, dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def month_name(month: int) -> str:
    """`2023-03` for a month counted from 1970-01."""
    return f"{1970 + month // 12:04d}-{month % 12 + 1:02d}"


def same_values(rows: CandleRows, others: CandleRows) -> Bools:
    """(T,) bool: open, high, low, close and volume are equal bit for bit (two NaN of one pattern are equal)."""
    equal: NDArray[np.bool_] = np.ones(len(rows), dtype=np.bool_)
    for field in FIELDS:
        equal &= getattr(rows, field).view(np.int64) == getattr(others, field).view(np.int64)
    return equal


def normalised(rows: CandleRows) -> CandleRows:
    """The same rows with every zero positive, so that equal values have equal bits."""
    return CandleRows(rows.open_time, rows.open + 0.0, rows.high + 0.0, rows.low + 0.0, rows.close + 0.0,
                      rows.volume + 0.0, rows.close_time)
