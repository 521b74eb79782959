"""Values of a longer timeframe as they were known at a moment: closed bars only."""

from __future__ import annotations

import numpy as np

from daybook.core.arrays import Floats32, Ints
from daybook.core.time import timeframe_ms
from daybook.features.table import FeatureTable


def as_of(table: FeatureTable, timeframe: str, moments: Ints, *, max_age_ms: int | None = None) -> FeatureTable:
    """The last closed bar's features at each moment: what a shorter timeframe may know of a longer one.

    table: features of bars of `timeframe`, labelled by open time; a bar is known from its close, one bar's length
    later, not from its label. moments: (N,) int64 ms UTC, rising: the close times of the shorter bars. max_age_ms: a
    bar that closed longer before the moment is too old to stand for it; None means that any age will do.
    Returns (N, F) features whose open_time is the moments; NaN before the first close and where the last is too old.
    """
    closed = table.open_time + timeframe_ms(timeframe)
    last = np.searchsorted(closed, moments, side="right") - 1
    known = last >= 0
    if max_age_ms is not None and closed.size:
        known &= moments - closed[np.maximum(last, 0)] <= max_age_ms
    values: Floats32 = np.full((len(table.names), moments.size), np.nan, dtype=np.float32)
    for row, name in zip(values, table.names, strict=True):
        row[known] = table.column(name)[last[known]]
    return FeatureTable(table.names, moments, values.T)
