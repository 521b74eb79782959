"""Combinatorially symmetric cross-validation, split by split, from sums over groups of periods."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from daybook.core.arrays import Floats, Ints

_ROUNDING: Final = 1e-10
"""A variance up to this fraction of the squares it is the difference of is rounding and counts as none."""
_DIGITS: Final = 1e-12
"""Sharpe ratios are told to so many digits, so that rows which differ in scale alone are equal."""
_FEW: Final = 8
"""Up to so many equally good rows are ranked by counting, more of them by sorting once."""

# One compilation unit: numba's disk cache of a caller does not notice a change in another file's callee.
_compiled = njit(cache=True, error_model="numpy", nogil=True)


@_compiled
def symmetric_splits(centred: Floats, means: Floats, edges: Ints, members: Ints) -> Floats:
    """Each split and its mirror image, in which the two halves change places.

    centred: (N, T) returns less the mean of their row, means: (N,). edges: (S + 1,) first period of each group, then T.
    members: (H, S / 2) groups of one half of each split; the mirror of split i is split 2 H - 1 - i.
    Returns (2 H, 3): relative rank out of sample of the row that is best in sample, in (0, 1), and its Sharpe ratios in
    and out of sample. members[i] are out of sample in split i. A half in which a row never moves has Sharpe ratio 0.
    Rows that are equally good in sample are averaged; equal rows out of sample share the mean of their ranks.
    Each row is summed alone and in the same order, so that the order of rows means nothing.
    """
    rows, groups = means.size, edges.size - 1
    half = members.shape[0]
    sums, squares = np.zeros((groups, rows)), np.zeros((groups, rows))
    for group in range(groups):
        for row in range(rows):
            for period in range(edges[group], edges[group + 1]):
                sums[group, row] += centred[row, period]
                squares[group, row] += centred[row, period] ** 2
    result = np.empty((2 * half, 3))
    first, second = np.empty(rows), np.empty(rows)
    total, total_squares = np.empty(rows), np.empty(rows)
    chosen, rest = np.empty(groups // 2, dtype=np.int64), np.empty(groups // 2, dtype=np.int64)
    for split in range(half):
        taken = left = 0
        for group in range(groups):
            if taken < members.shape[1] and members[split, taken] == group:
                chosen[taken] = group
                taken += 1
            else:
                rest[left] = group
                left += 1
        _sharpe_ratios(chosen, sums, squares, means, edges, total, total_squares, first)
        _sharpe_ratios(rest, sums, squares, means, edges, total, total_squares, second)
        _judge(second, first, result[split])
        _judge(first, second, result[2 * half - 1 - split])
    return result


@_compiled
def _sharpe_ratios(
    chosen: Ints, sums: Floats, squares: Floats, means: Floats, edges: Ints, total: Floats, total_squares: Floats,
    sharpe: Floats,
) -> None:
    """Sharpe ratio of every row on the chosen groups, into `sharpe`; total and total_squares are working space."""
    total[:] = 0.0
    total_squares[:] = 0.0
    periods = 0
    for group in chosen:
        periods += edges[group + 1] - edges[group]
        for row in range(means.size):
            total[row] += sums[group, row]
            total_squares[row] += squares[group, row]
    for row in range(means.size):
        spread = total_squares[row] - total[row] * total[row] / periods
        moves = spread > _ROUNDING * total_squares[row]
        mean = means[row] + total[row] / periods
        ratio = mean / np.sqrt(spread / (periods - 1)) if moves else 0.0
        sharpe[row] = np.rint(ratio / _DIGITS) * _DIGITS


@_compiled
def _judge(inside: Floats, outside: Floats, out: Floats) -> None:
    """Relative rank outside, Sharpe inside and Sharpe outside of what is best inside."""
    best = inside[0]
    count = 0
    for row in range(inside.size):
        if inside[row] > best:
            best, count = inside[row], 1
        elif inside[row] == best:
            count += 1
    ordered = np.sort(outside) if count > _FEW else outside
    rank = performance = 0.0
    for row in range(inside.size):
        if inside[row] != best:
            continue
        if count > _FEW:
            below = np.searchsorted(ordered, outside[row])
            equal = np.searchsorted(ordered, outside[row], side="right") - below
        else:
            below = equal = 0
            for other in range(outside.size):
                below += outside[other] < outside[row]
                equal += outside[other] == outside[row]
        rank += below + 0.5 * (equal + 1)
        performance += outside[row]
    out[0] = rank / count / (inside.size + 1)
    out[1] = best
    out[2] = performance / count
