"""Conditions over shared columns, as one small program per strategy, run block by block into packed bits."""

from __future__ import annotations

import numpy as np
from numba import njit

from daybook.core.arrays import Bytes, Floats, Ints

BLOCK = 2048
"""Bars per block: the stack of masks and the touched columns stay in the first-level cache."""

LT, LE, GT, GE, EQ, NE, CROSS_ABOVE, CROSS_BELOW = range(8)
TO_COLUMN = 8
"""Added to a comparison whose right side is a column instead of a constant."""
AND, OR, NOT, STORE = 16, 17, 18, 19


@njit(cache=True, error_model="numpy", nogil=True)
def run_program(code: Ints, rows: Ints, constants: Floats, arena: Floats, warmup: int, out: Bytes) -> None:
    """Fill out with the bits a program stores: 0 before `warmup`; a comparison with NaN is False.

    code: (I, 3) int64 postfix instructions (operation, left column, right column or constant). rows: arena row of each
    column. constants: (C,). arena: (R, >= T) float64. out: (T,) uint8.
    """
    stack = np.empty((32, BLOCK), np.uint8)
    total = out.size
    first = min(warmup, total)
    out[:first] = 0
    for start in range(first, total, BLOCK):
        stop = min(start + BLOCK, total)
        m = stop - start
        bits = out[start:stop]
        bits[:] = 0
        top = 0
        for k in range(code.shape[0]):
            operation, a, b = code[k, 0], code[k, 1], code[k, 2]
            if operation < 16:
                mask = stack[top]
                top += 1
                x = arena[rows[a], start:stop]
                if operation < 8:
                    c = constants[b]
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
                    else:
                        before = arena[rows[a], start - 1:stop - 1]
                        if operation == CROSS_ABOVE:
                            for i in range(m):
                                mask[i] = (x[i] > c) & (before[i] <= c)
                        else:
                            for i in range(m):
                                mask[i] = (x[i] < c) & (before[i] >= c)
                else:
                    y = arena[rows[b], start:stop]
                    operation -= TO_COLUMN
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
                    else:
                        before = arena[rows[a], start - 1:stop - 1]
                        under = arena[rows[b], start - 1:stop - 1]
                        if operation == CROSS_ABOVE:
                            for i in range(m):
                                mask[i] = (x[i] > y[i]) & (before[i] <= under[i])
                        else:
                            for i in range(m):
                                mask[i] = (x[i] < y[i]) & (before[i] >= under[i])
            elif operation == STORE:
                top -= 1
                mask = stack[top]
                bit = np.uint8(a)
                for i in range(m):
                    bits[i] |= bit * mask[i]
            elif operation == NOT:
                mask = stack[top - 1]
                for i in range(m):
                    mask[i] = mask[i] ^ np.uint8(1)
            else:
                top -= 1
                mask, other = stack[top - 1], stack[top]
                if operation == AND:
                    for i in range(m):
                        mask[i] = mask[i] & other[i]
                else:
                    for i in range(m):
                        mask[i] = mask[i] | other[i]
