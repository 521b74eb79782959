"""Conditions over shared columns, as one small program per strategy, run over many parameter sets at once.

A bar of a condition is one bit and a word holds 64 of them, so that connecting conditions costs next to nothing and
whoever reads the signals finds the next one by counting zeros. A rolling mean is written from its series' running sum
for the bars at hand, once for all the parameter sets that name it: reading lines that stay in the cache costs less than
storing a column for each window and reading it back.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daybook.core.arrays import Bytes, Floats, Ints
from daybook.core.uncounted import uncounted
from daybook.core.words import WORD, equal, greater, greater_or_equal, less, less_or_equal, unequal

Words: TypeAlias = NDArray[np.uint64]
Code: TypeAlias = tuple[Ints, bool]
"""(I, 3) postfix instructions (operation, left column, right column or constant), and whether no column that is crossed
holds an undefined value after its warm-up."""
Sets: TypeAlias = tuple[Ints, Floats, Ints]
"""Of N parameter sets: (N, C) where each column lies, the arena's row r or -1 - m for mean m; (N, K) constants; (N,)
warm-ups in bars."""
Lines: TypeAlias = tuple[Floats, Ints, Floats, Words]
"""The (R, T) arena; (M, 3) means as row of the series' running sum, row of that sum's low part, window; room for them,
(M, at least bars + 1); room for masks, (DEEPEST + 1, at least bars // 64 + 1)."""

LT, LE, GT, GE, EQ, NE, CROSS_ABOVE, CROSS_BELOW = range(8)
TO_COLUMN: Final = 8
"""Added to a comparison whose right side is a column instead of a constant."""
AND, OR, NOT, STORE = 16, 17, 18, 19

DEEPEST: Final = 32
"""Masks that a program may hold on its stack."""
PLANES: Final = 4
"""Signals of a strategy: long entry, long exit, short entry, short exit."""

_ONE, _TOP, _ALL = np.uint64(1), np.uint64(63), np.uint64(0xFFFFFFFFFFFFFFFF)

# Callees stay in this file, but for core/words.py of this fingerprint: numba's disk cache of a caller does not notice a
# change in another one.
WORDS: Final = "f174ae82953a2fce"
_compiled = uncounted()


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
def _bit(operation: int, value: float, other: float) -> np.uint64:
    if operation == LT:
        return np.uint64(value < other)
    if operation == LE:
        return np.uint64(value <= other)
    if operation == GT:
        return np.uint64(value > other)
    if operation == GE:
        return np.uint64(value >= other)
    if operation == EQ:
        return np.uint64(value == other)
    return np.uint64(value != other)


@_compiled
def _against_number(operation: int, x: Floats, c: float, words: Words) -> None:
    whole = x.size // WORD
    for k in range(whole):
        if operation == LT:
            words[k] = less(x, c, k * WORD)
        elif operation == LE:
            words[k] = less_or_equal(x, c, k * WORD)
        elif operation == GT:
            words[k] = greater(x, c, k * WORD)
        elif operation == GE:
            words[k] = greater_or_equal(x, c, k * WORD)
        elif operation == EQ:
            words[k] = equal(x, c, k * WORD)
        else:
            words[k] = unequal(x, c, k * WORD)
    if whole * WORD < x.size:
        word = np.uint64(0)
        for j in range(x.size - whole * WORD):
            word |= _bit(operation, x[whole * WORD + j], c) << np.uint64(j)
        words[whole] = word


@_compiled
def _against_line(operation: int, x: Floats, y: Floats, words: Words) -> None:
    whole = x.size // WORD
    for k in range(whole):
        if operation == LT:
            words[k] = less(x, y, k * WORD)
        elif operation == LE:
            words[k] = less_or_equal(x, y, k * WORD)
        elif operation == GT:
            words[k] = greater(x, y, k * WORD)
        else:
            words[k] = greater_or_equal(x, y, k * WORD)
    if whole * WORD < x.size:
        word = np.uint64(0)
        for j in range(x.size - whole * WORD):
            word |= _bit(operation, x[whole * WORD + j], y[whole * WORD + j]) << np.uint64(j)
        words[whole] = word


@_compiled
def _after_other_side(words: Words, other: Words, ordered: bool) -> None:
    """Keep each bit of `words` whose bar before has its bit in `other`; ordered: has none in `words`."""
    carry = np.uint64(0)
    for k in range(words.size):
        now = words[k]
        before = ~now if ordered else other[k]
        words[k] = now & ((before << _ONE) | carry)
        carry = before >> _TOP


@_compiled
def _compare(instruction: Ints, ordered: bool, numbers: Floats, x: Floats, y: Floats, masks: Words) -> None:
    """Write the mask of a comparison of line x with a constant, or with line y, into masks[0]; masks[1] is spare."""
    words, spare = masks[0], masks[1]
    operation = instruction[0] % TO_COLUMN
    crosses = operation >= CROSS_ABOVE
    side, other = (operation, LT) if not crosses else ((GT, LE) if operation == CROSS_ABOVE else (LT, GE))
    if instruction[0] < TO_COLUMN:
        _against_number(side, x, numbers[instruction[2]], words)
        if crosses and not ordered:
            _against_number(other, x, numbers[instruction[2]], spare)
    else:
        _against_line(side, x, y, words)
        if crosses and not ordered:
            _against_line(other, x, y, spare)
    if crosses:
        _after_other_side(words, spare, ordered)


@_compiled
def _store(mask: Words, lead: int, plane: Words) -> None:
    """Write a mask, of which the first `lead` bars (0 or 1) are left out, into a plane."""
    for k in range(min(plane.size, mask.size)):
        above = mask[k + 1] << _TOP if k + 1 < mask.size else np.uint64(0)
        plane[k] = (mask[k] >> _ONE) | above if lead == 1 else mask[k]


@_compiled
def _keep(plane: Words, first: int, stop: int) -> None:
    """Clear the bits outside [first, stop)."""
    for k in range(plane.size):
        low, high = min(max(first - k * WORD, 0), WORD), min(max(stop - k * WORD, 0), WORD)
        kept = _ALL if high == WORD else (_ONE << np.uint64(high)) - _ONE
        plane[k] &= np.uint64(0) if low >= high else kept & (_ALL << np.uint64(low))


@_compiled
def run_programs(code: Code, sets: Sets, lines: Lines, bars: tuple[int, int], planes: Words) -> None:
    """Write the signals of N parameter sets at bars [start, stop): 0 before a warm-up; a comparison with NaN is False.

    planes: (N, PLANES, W) with 64 W >= stop - start, written: bit i of plane p is signal 1 << p at bar start + i.
    """
    start, stop = bars
    lead = min(start, 1)
    first = start - lead
    places, constants, warmups = sets
    for m in range(lines[1].shape[0]):
        high, low, n = lines[0][lines[1][m, 0], :stop], lines[0][lines[1][m, 1], :stop], lines[1][m, 2]
        write_windows(high, low, n, 1.0 / n, lines[2][m, max(n - 1 - first, 0):max(stop - first, n - 1 - first)])
    masks, bar_count = lines[3], stop - first
    for k in range(places.shape[0]):
        planes[k] = 0
        top = 0
        for i in range(code[0].shape[0]):
            instruction = code[0][i]
            operation = instruction[0]
            if operation < AND:
                left = places[k, instruction[1]]
                x = lines[2][-1 - left, :bar_count] if left < 0 else lines[0][left, first:stop]
                right = left if operation < TO_COLUMN else places[k, instruction[2]]
                y = lines[2][-1 - right, :bar_count] if right < 0 else lines[0][right, first:stop]
                _compare(instruction, code[1], constants[k], x, y, masks[top:top + 2])
                top += 1
            elif operation == STORE:
                top -= 1
                _store(masks[top], lead, planes[k, instruction[1]])
                _keep(planes[k, instruction[1]], warmups[k] - start, stop - start)
            elif operation == NOT:
                for w in range(masks.shape[1]):
                    masks[top - 1, w] = ~masks[top - 1, w]
            else:
                top -= 1
                for w in range(masks.shape[1]):
                    both = masks[top - 1, w] & masks[top, w]
                    masks[top - 1, w] = both if operation == AND else masks[top - 1, w] | masks[top, w]


@_compiled
def write_bits(planes: Words, out: Bytes) -> None:
    """Signals as one byte a bar: planes (PLANES, W), out (T,) uint8 with T <= 64 W."""
    for t in range(out.size):
        k, j = t // WORD, np.uint64(t % WORD)
        bits = ((planes[0, k] >> j) & _ONE) | (((planes[1, k] >> j) & _ONE) << np.uint64(1))
        bits |= (((planes[2, k] >> j) & _ONE) << np.uint64(2)) | (((planes[3, k] >> j) & _ONE) << np.uint64(3))
        out[t] = bits
