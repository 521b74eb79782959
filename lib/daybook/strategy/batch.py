"""The signals of one strategy under many parameter sets, written piece by piece while the pieces are in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.words import WORD
from daybook.strategy.bits_kernel import DEEPEST, PLANES, Code, Lines, Sets, Words, run_programs

ParamColumns: TypeAlias = Mapping[str, Sequence[float]]
"""name -> its value in each of N parameter sets: all parameters of a strategy, bound and checked."""

_LINE_BYTES = 1024 * 1024
"""The lines that a piece reads: half of a core's second-level cache."""
_PLANE_BYTES = 2 * 1024 * 1024
STRETCH = 8 * WORD
"""A piece is so many bars or a multiple of them: enough that calling costs little."""
_LONGEST = 32 * STRETCH
"""Bars of a piece at most: few enough that its masks stay in the first-level cache."""


@dataclass
class Batch:
    """N parameter sets of a strategy whose columns lie in the arena of a SignalPlan until its next request.

    means: (M, 3) the rolling means that are written piece by piece, see `bits_kernel.Lines`.
    """

    code: Code
    sets: Sets
    arena: Floats
    means: Ints
    _lines: Lines = field(init=False)

    def __post_init__(self) -> None:
        self._take_room(0)

    def __len__(self) -> int:
        return int(self.sets[0].shape[0])

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Bars [start, stop) in pieces of equal length, a multiple of STRETCH, the last one shorter."""
        lines = max(1, len(self.means) + len(np.unique(self.sets[0][self.sets[0] >= 0])))
        wanted = min(_LINE_BYTES // 8 // lines, 2 * _PLANE_BYTES // len(self))
        bars = min(max(wanted // STRETCH, 1) * STRETCH, _LONGEST)
        for first in range(start, stop, bars):
            yield first, min(first + bars, stop)

    def planes(self, bars: int) -> Words:
        """Room for the signals at so many bars, arbitrary content: (N, PLANES, W) uint64, a bit each."""
        return np.empty((len(self), PLANES, -(-bars // WORD)), np.uint64)

    def write(self, start: int, stop: int, planes: Words) -> None:
        """Fill planes with the signals at bars [start, stop): bit i of plane p of a set is signal 1 << p at start + i.

        0 during warm-up and beyond stop.
        """
        if self._lines[2].shape[1] <= stop - start:
            self._take_room(stop - start)
        run_programs(self.code, self.sets, self._lines, (start, stop), planes)

    def _take_room(self, bars: int) -> None:
        means, masks = np.empty((len(self.means), bars + 1)), np.empty((DEEPEST + 1, bars // WORD + 1), np.uint64)
        self._lines = self.arena, self.means, means, masks
