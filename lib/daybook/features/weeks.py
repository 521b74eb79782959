"""UTC weeks: the pieces in which features are computed, kept and continued."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from daybook.core.arrays import Ints
from daybook.core.time import DAY_MS

WARMUP_BARS = 672
"""Bars before a week that its values may use: four weeks of hours. No feature declares a longer warm-up."""

WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS
"""1970-01-01 was a Thursday; the first Monday came four days later."""


@dataclass(frozen=True)
class Week:
    """Positions in a table of bars: the week's own are [start, stop), its warm-up begins at `warm`.

    whole: all WARMUP_BARS bars before it are there, so that its values do not depend on where the table begins.
    """

    warm: int
    start: int
    stop: int

    @property
    def whole(self) -> bool:
        """Whether the warm-up is complete."""
        return self.start - self.warm == WARMUP_BARS


def weeks(open_time: Ints) -> list[Week]:
    """The weeks, Monday 00:00 UTC on, of (T,) open times in ms UTC, oldest first; without bars there are none.

    A fixed calendar keeps a week's values equal to the last bit however many weeks come before it, and a piece that
    fits the processor's cache is computed in half the time of a year at once.
    """
    if not open_time.size:
        return []
    number = (open_time - _MONDAY_MS) // WEEK_MS
    starts = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [open_time.size]]).tolist()
    return [Week(max(start - WARMUP_BARS, 0), start, stop) for start, stop in pairwise(starts)]
