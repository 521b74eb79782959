"""What differs between two versions of the same market's candle rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Ints
from daybook.core.time import day_of
from daybook.market.bars import FIELDS
from daybook.market.rows import CandleRows, same_values


@dataclass(frozen=True)
class RowDifference:
    """Open times, ms UTC, of the rows that only the later version has, only the earlier has, or both with other values.

    old, new: the changed rows before and after, in the order of `changed`.
    """

    added: Ints
    removed: Ints
    changed: Ints
    old: CandleRows
    new: CandleRows

    def __bool__(self) -> bool:
        return bool(self.added.size or self.removed.size or self.changed.size)

    @property
    def days(self) -> tuple[str, ...]:
        """The UTC days that hold a difference, sorted."""
        times = np.concatenate([self.added, self.removed, self.changed])
        return tuple(sorted({day_of(int(time)).isoformat() for time in times}))

    def examples(self, limit: int) -> list[tuple[int, dict[str, tuple[float, float]]]]:
        """Open time of the first changed bars, and each value that changed, before and after."""
        names = (*FIELDS, "close_time")
        return [
            (int(self.changed[row]), {
                name: (getattr(self.old, name)[row].item(), getattr(self.new, name)[row].item()) for name in names
                if getattr(self.old, name)[row] != getattr(self.new, name)[row]
            })
            for row in range(min(limit, self.changed.size))
        ]


def row_difference(old: CandleRows, new: CandleRows) -> RowDifference:
    """Compare two versions, each sorted by open time without repeats."""
    _, left, right = np.intersect1d(old.open_time, new.open_time, assume_unique=True, return_indices=True)
    before, after = old.take(left), new.take(right)
    differs = ~same_values(before, after) | (before.close_time != after.close_time)
    return RowDifference(
        added=np.setdiff1d(new.open_time, old.open_time, assume_unique=True),
        removed=np.setdiff1d(old.open_time, new.open_time, assume_unique=True),
        changed=before.open_time[differs], old=before.take(differs), new=after.take(differs),
    )
