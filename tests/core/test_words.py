"""Words of comparisons: each bit is what Python says of that pair, NaN and infinities included."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError

from daybook.backtest import event_kernel
from daybook.core import words
from daybook.core.arrays import Floats
from daybook.core.uncounted import uncounted
from daybook.strategy import bits_kernel

Word = np.uint64
PREDICATES: dict[str, Callable[[float, float], bool]] = {
    "less": operator.lt, "less_or_equal": operator.le, "greater": operator.gt, "greater_or_equal": operator.ge,
    "equal": operator.eq, "unequal": operator.ne}
ODD = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, 1.0 + 2**-52]


@uncounted()
def against_line(which: int, x: Floats, y: Floats, at: int) -> Word:
    if which == 0:
        return words.less(x, y, at)
    if which == 1:
        return words.less_or_equal(x, y, at)
    if which == 2:
        return words.greater(x, y, at)
    if which == 3:
        return words.greater_or_equal(x, y, at)
    if which == 4:
        return words.equal(x, y, at)
    return words.unequal(x, y, at)


@uncounted()
def against_number(which: int, x: Floats, c: float, at: int) -> Word:
    if which == 0:
        return words.less(x, c, at)
    if which == 1:
        return words.less_or_equal(x, c, at)
    if which == 2:
        return words.greater(x, c, at)
    if which == 3:
        return words.greater_or_equal(x, c, at)
    if which == 4:
        return words.equal(x, c, at)
    return words.unequal(x, c, at)


@uncounted()
def lowest(word: Word) -> int:
    return words.lowest_bit(word)


@pytest.mark.parametrize("which", range(len(PREDICATES)))
@settings(deadline=None)
@given(seed=st.integers(0, 10**6), at=st.integers(0, 9))
def test_every_bit_is_what_python_says_of_the_pair(which: int, seed: int, at: int) -> None:
    rng, says = np.random.default_rng(seed), list(PREDICATES.values())[which]
    x, y = rng.choice(ODD, (2, at + words.WORD))
    told = sum(1 << i for i in range(words.WORD) if says(x[at + i], y[at + i]))
    assert int(against_line(which, x, y, at)) == told
    for c in ODD:
        told = sum(1 << i for i in range(words.WORD) if says(x[at + i], c))
        assert int(against_number(which, x, c, at)) == told


@settings(deadline=None)
@given(st.integers(1, 2**64 - 1))
def test_the_lowest_bit_is_found(word: int) -> None:
    assert lowest(np.uint64(word)) == (word & -word).bit_length() - 1


def test_a_line_with_gaps_between_its_values_is_refused() -> None:
    line = np.zeros(4 * words.WORD)
    with pytest.raises(TypingError, match="contiguous"):
        against_number(0, line[::2], 1.0, 0)


@pytest.mark.parametrize("kernel", [bits_kernel, event_kernel])
def test_a_change_of_the_words_changes_the_kernels_that_use_them(kernel: ModuleType) -> None:
    """A kernel's file that stays as it is keeps its compiled code, whatever became of what it calls."""
    now = hashlib.sha256(Path(words.__file__).read_bytes()).hexdigest()[:16]
    assert now == kernel.WORDS, f"write {now} into {kernel.__file__}, so that numba compiles it anew"
