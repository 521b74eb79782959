"""Merging arriving bars into stored ones, by rules that do not depend on the order of files that agree."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from daybook.market.rows import CandleRows, joined, same_values

NEW, DUPLICATE, CONFLICTING, REVISED = 0, 1, 2, 3


@dataclass(frozen=True)
class Merged:
    """What a merge leaves.

    rows: the bars to keep, sorted, one for each open time. status: (N,) uint8 for each arriving row, in its order:
    NEW, DUPLICATE or CONFLICTING (REVISED where the store then takes it for a revision). changed: whether rows differ
    from the stored ones.
    """

    rows: CandleRows
    status: NDArray[np.uint8]
    changed: bool


def merge(stored: CandleRows, arriving: CandleRows) -> Merged:
    """Add arriving bars to stored ones, both usable; stored is sorted and without repeats.

    The stored bar wins over an arriving one with other values, and the first arriving one over later ones.
    Of equal bars the earliest close time is kept: an archive that gives the true close of a halted minute refines
    a file that gave none, whichever comes first.
    """
    every = joined([stored, arriving])
    order = np.argsort(every.open_time, kind="stable")
    rows = every.take(order)
    first = np.ones(len(rows), dtype=np.bool_)
    first[1:] = np.diff(rows.open_time) > 0
    heads = np.flatnonzero(first)
    if heads.size == len(rows):
        status = np.full(len(arriving), NEW, dtype=np.uint8)
        return Merged(rows, status, changed=len(arriving) > 0)
    group = np.cumsum(first) - 1
    head_of_row = rows.take(heads[group])
    agrees = same_values(rows, head_of_row)
    sorted_status = np.where(first, NEW, np.where(agrees, DUPLICATE, CONFLICTING)).astype(np.uint8)
    closes = rows.close_time[heads].copy()
    np.minimum.at(closes, group[agrees], rows.close_time[agrees])
    kept = replace(rows.take(heads), close_time=closes)
    back = np.empty(len(rows), dtype=np.uint8)
    back[order] = sorted_status
    changed = len(kept) > len(stored) or not np.array_equal(kept.close_time, stored.close_time)
    return Merged(kept, back[len(stored):], changed)
