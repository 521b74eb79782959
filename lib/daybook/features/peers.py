"""Other markets seen at one market's open times: joined by the very minute, never filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.market.bars import Bars

LEADER = "BTC"
"""Symbols that start so name the coin that the others are said to follow."""


class Peers:
    """Other markets' bars on the open times of one market; every array is (C, T), a row a peer in symbol order.

    A peer without a bar at an open time is NaN there. Only bars with an equal open time are read, so that a bar of a
    peer is never known before the market's own bar has closed.
    """

    def __init__(self, open_time: Ints, others: Sequence[Bars] = ()) -> None:
        self._open_time = open_time
        self._others = tuple(sorted(others, key=lambda bars: bars.symbol))
        self.symbols = tuple(bars.symbol for bars in self._others)

    def __len__(self) -> int:
        return len(self._others)

    @property
    def leader(self) -> int | None:
        """Row of the first peer whose symbol starts with LEADER."""
        return next((row for row, symbol in enumerate(self.symbols) if symbol.startswith(LEADER)), None)

    @cached_property
    def log_close(self) -> Floats:
        """Logarithm of the peers' closes."""
        return self._aligned(lambda bars: np.log(bars.close))

    @cached_property
    def volume(self) -> Floats:
        """Base coin traded."""
        return self._aligned(lambda bars: bars.volume)

    @cached_property
    def turnover(self) -> Floats:
        """Quote currency turned over, taking the close for the bar's price."""
        return self._aligned(lambda bars: bars.close * bars.volume)

    def _aligned(self, field: Callable[[Bars], Floats]) -> Floats:
        out = np.full((len(self._others), self._open_time.size), np.nan)
        for row, bars in zip(out, self._others, strict=True):
            part = _around(bars, self._open_time)
            place = np.searchsorted(part.open_time, self._open_time)
            place[place == len(part)] = 0
            present = part.open_time[place] == self._open_time if len(part) else np.zeros(row.size, dtype=np.bool_)
            row[present] = field(part)[place[present]]
        return out


def _around(bars: Bars, open_time: Ints) -> Bars:
    """The bars from the first to the last of these open times."""
    if not open_time.size:
        return bars.rows(0, 0)
    start = int(np.searchsorted(bars.open_time, open_time[0]))
    return bars.rows(start, int(np.searchsorted(bars.open_time, open_time[-1], side="right")))


def present_mean(values: Floats) -> Floats:
    """(T,) mean over the rows of (C, T) that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    out = np.full(values.shape[1], np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out
