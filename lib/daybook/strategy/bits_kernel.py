"""Conditions over shared columns, as one small program per strategy, run block by block into packed bits.

A rolling mean is computed inside the block from its series' running sum: reading two columns that stay in the cache
costs less than storing a column for each window and reading it back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from daybook.core.arrays import Bytes, Floats, Ints

BLOCK: Final = 2048
"""Bars per block: the stack of masks, the means and the touched columns stay in the first-level cache."""

LT, LE, GT, GE, EQ, NE, CROSS_ABOVE, CROSS_BELOW = range(8)
TO_COLUMN: Final = 8
"""Added to a comparison whose right side is a column instead of a constant."""
AND, OR, NOT, STORE = 16, 17, 18, 19

DEEPEST: Final = 32
"""Masks that a program may hold on its stack."""

# Callees stay in this file: numba's disk cache of a caller does not notice a change in another one.
_compiled = njit(cache=True, error_model="numpy", nogil=True)


@_compiled
def write_windows(high: Floats, low: Floats, n: int, scale: float, out: Floats) -> None:
    """Sums of the last n values, times `scale`, at the last out.size of T bars, each of which has n values.

    high, low: (T,) the two parts of the running sum up to and with each bar.
    """
    first = high.size - out.size
    done = 0
    if first == n - 1 and out.size > 0:
        out[0] = (high[first] + low[first]) * scale
        done = 1
    rest, now, then = out[done:], first + done, first + done - n
    high_now, low_now, high_then, low_then = high[now:], low[now:], high[then:], low[then:]
    for i in range(rest.size):
        rest[i] = ((high_now[i] - high_then[i]) + (low_now[i] - low_then[i])) * scale


@_compiled
def _line(place: Ints, arena: Floats, means: Floats, start: int, stop: int) -> Floats:
    """A column at bars [start - 1, stop), or from bar 0."""
    if place[2] > 0:
        return means[place[3], :stop - start + 1]
    return arena[place[0], max(start - 1, 0):stop]


@_compiled
def _against_number(operation: int, line: Floats, c: float, mask: Bytes) -> None:
    m = mask.size
    x, before = line[line.size - m:], line[:m]
    if operation == LT:
        for i in range(m):
            mask[i] = x[i] < c
    elif operation == LE:
        for i in range(m):
            mask[i] = x[i] <= c
    elif operation == GT:
        for i in range(m):
            mask[i] = x[i] > c
    elif operation == GE:
        for i in range(m):
            mask[i] = x[i] >= c
    elif operation == EQ:
        for i in range(m):
            mask[i] = x[i] == c
    elif operation == NE:
        for i in range(m):
            mask[i] = x[i] != c
    elif operation == CROSS_ABOVE:
        for i in range(m):
            mask[i] = (x[i] > c) & (before[i] <= c)
    else:
        for i in range(m):
            mask[i] = (x[i] < c) & (before[i] >= c)


@_compiled
def _against_column(operation: int, line: Floats, other: Floats, mask: Bytes) -> None:
    m = mask.size
    x, before, y, under = line[line.size - m:], line[:m], other[other.size - m:], other[:m]
    if operation == LT:
        for i in range(m):
            mask[i] = x[i] < y[i]
    elif operation == LE:
        for i in range(m):
            mask[i] = x[i] <= y[i]
    elif operation == GT:
        for i in range(m):
            mask[i] = x[i] > y[i]
    elif operation == GE:
        for i in range(m):
            mask[i] = x[i] >= y[i]
    elif operation == CROSS_ABOVE:
        for i in range(m):
            mask[i] = (x[i] > y[i]) & (before[i] <= under[i])
    else:
        for i in range(m):
            mask[i] = (x[i] < y[i]) & (before[i] >= under[i])


@_compiled
def _connect(operation: int, mask: Bytes, other: Bytes) -> None:
    if operation == AND:
        for i in range(mask.size):
            mask[i] = mask[i] & other[i]
    else:
        for i in range(mask.size):
            mask[i] = mask[i] | other[i]


@_compiled
def run_program(code: Ints, places: Ints, constants: Floats, arena: Floats, warmup: int, out: Bytes) -> None:
    """Fill out with the bits a program stores: 0 before `warmup`; a comparison with NaN is False.

    code: (I, 3) int64 postfix instructions (operation, left column, right column or constant). places: (C, 4) where
    each column lies: (its arena row, 0, 0, 0), or for a mean (row of its series' running sum, row of that sum's low
    part, window, number among the means). constants: (C,). arena: (R, >= T) float64. out: (T,) uint8.
    """
    stack = np.empty((DEEPEST, BLOCK), np.uint8)
    means = np.empty(((places[:, 2] > 0).sum(), BLOCK + 1))
    total = out.size
    out[:min(warmup, total)] = 0
    for start in range(min(warmup, total), total, BLOCK):
        stop = min(start + BLOCK, total)
        m = stop - start
        bits = out[start:stop]
        bits[:] = 0
        for column in range(places.shape[0]):
            n = places[column, 2]
            if n > 0:
                high, low = arena[places[column, 0], :stop], arena[places[column, 1], :stop]
                line = means[places[column, 3], :m + 1]
                write_windows(high, low, n, 1.0 / n, line[max(n - start, 0):])
        top = 0
        for k in range(code.shape[0]):
            operation, a, b = code[k, 0], code[k, 1], code[k, 2]
            if operation < AND:
                line, mask = _line(places[a], arena, means, start, stop), stack[top, :m]
                if operation < TO_COLUMN:
                    _against_number(operation, line, constants[b], mask)
                else:
                    _against_column(operation - TO_COLUMN, line, _line(places[b], arena, means, start, stop), mask)
                top += 1
            elif operation == STORE:
                top -= 1
                mask, bit = stack[top, :m], np.uint8(a)
                for i in range(m):
                    bits[i] |= bit * mask[i]
            elif operation == NOT:
                mask = stack[top - 1, :m]
                for i in range(m):
                    mask[i] = mask[i] ^ np.uint8(1)
            else:
                top -= 1
                _connect(operation, stack[top - 1, :m], stack[top, :m])
