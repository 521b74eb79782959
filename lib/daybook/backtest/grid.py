"""Blocks of equal length that cut a window, so that results of different timeframes line up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import UsageError
from daybook.core.time import Window, timeframe_ms, utc_text
from daybook.market.bars import Bars


@dataclass(frozen=True)
class BlockGrid:
    """`count` blocks of `block_ms` milliseconds from `start_ms`; the last one may reach beyond the window."""

    start_ms: int
    block_ms: int
    count: int

    @classmethod
    def of(cls, window: Window, block: str) -> BlockGrid:
        """The blocks of a window. Raises UsageError for a block that is no timeframe."""
        block_ms = timeframe_ms(block)
        return cls(window.start_ms, block_ms, -(-(window.end_ms - window.start_ms) // block_ms))

    @classmethod
    def over(cls, bars: Sequence[Bars], block: str) -> BlockGrid:
        """The blocks that cover all bars, aligned to the clock. Raises UsageError when there are no bars at all."""
        filled = [part for part in bars if len(part)]
        if not filled:
            raise UsageError("block returns: there are no bars. Give at least one market with bars.")
        block_ms = timeframe_ms(block)
        start = min(int(part.open_time[0]) for part in filled) // block_ms * block_ms
        return cls.of(Window(start, max(int(part.close_time[-1]) for part in filled)), block)

    def changes(self, open_time: Ints, equity: Floats) -> Floats:
        """(count,) float64 change of an equity path that starts at 1, summed over the bars that open in each block.

        open_time: (T,) int64 ms UTC, rising; equity: (T,) float64. A block without bars has 0: nothing happened in it.
        Raises UsageError when a bar opens outside the blocks.
        """
        block = (open_time - self.start_ms) // self.block_ms
        if block[0] < 0 or block[-1] >= self.count:
            raise UsageError(f"block returns: bars run from {utc_text(open_time[0])} to {utc_text(open_time[-1])}, "
                             f"the blocks only from {utc_text(self.start_ms)}. Use the window of the bars.")
        ends = np.flatnonzero(np.diff(block, append=self.count))
        changes = np.zeros(self.count)
        changes[block[ends]] = np.diff(equity[ends], prepend=1.0)
        return changes
