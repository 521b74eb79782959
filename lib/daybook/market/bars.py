"""The bar table that every layer above shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import DataError
from daybook.core.hashing import hash_arrays
from daybook.core.time import Window, timeframe_ms

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Bars:
    """OHLCV bars of one market and timeframe, oldest first; a missing bar is a missing row, never a filled one.

    open_time: (T,) int64 ms UTC, strictly increasing. open, high, low, close: (T,) float64 quote price.
    volume: (T,) float64 base coin. Arrays are read-only. Raises DataError when lengths differ or times do not rise.
    """

    venue: str
    symbol: str
    timeframe: str
    open_time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        for name in FIELDS:
            shape = getattr(self, name).shape
            if shape != self.open_time.shape:
                raise DataError(f"{self.name}: {name} has shape {shape}, open_time has {self.open_time.shape}.")
        if self.open_time.size > 1 and not bool(np.all(np.diff(self.open_time) > 0)):
            raise DataError(f"{self.name}: open times must rise strictly; sort and de-duplicate the bars first.")
        for name in ("open_time", *FIELDS):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return int(self.open_time.size)

    @property
    def name(self) -> str:
        """`BTCUSDT 5m`, as errors and tables name it."""
        return f"{self.symbol} {self.timeframe}"

    @property
    def close_time(self) -> Ints:
        """(T,) int64 ms UTC at which each bar is complete."""
        closed: Ints = self.open_time + timeframe_ms(self.timeframe)
        return closed

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over market, timeframe and every value."""
        return hash_arrays([np.frombuffer(f"{self.venue}/{self.symbol}/{self.timeframe}".encode(), dtype=np.uint8),
                            self.open_time, self.open, self.high, self.low, self.close, self.volume])

    def rows(self, start: int, stop: int) -> Bars:
        """The bars at positions [start, stop)."""
        part = slice(start, stop)
        return Bars(self.venue, self.symbol, self.timeframe, self.open_time[part],
                    *(getattr(self, field)[part] for field in FIELDS))

    def within(self, window: Window) -> Bars:
        """The bars that open inside the window."""
        start, stop = np.searchsorted(self.open_time, [window.start_ms, window.end_ms])
        return self.rows(int(start), int(stop))
