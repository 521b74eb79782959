"""Rolling means and sums from one running sum that all windows of a series share.

The running sum is kept in two parts, high and low, which hold it to twice the digits of a float. A mean is the
difference of two of its values, so neither the length of the history nor a spike in it costs digits, and a bar costs
the same under every window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Floats, Ints
from daybook.strategy.bits_kernel import write_windows


@dataclass(frozen=True)
class RunningSums:
    """What the windows over one series share.

    high, low: (T,) the sum up to and with bar t is high[t] + low[t]; undefined values count as 0.
    gaps: (G, 2) positions [start, stop) of undefined values. flats: (F, 2) of values equal in a row; levels: (F,) them.
    """

    high: Floats
    low: Floats
    gaps: Ints
    flats: Ints
    levels: Floats

    @cached_property
    def longest_flat(self) -> int:
        """Equal values in a row, at most; 1 where every value differs from the one before."""
        return int((self.flats[:, 1] - self.flats[:, 0]).max(initial=1))

    def plain(self, n: int) -> bool:
        """Whether a window of n values is never undefined once it is full, and never flat."""
        return self.gaps.size == 0 and self.longest_flat < n


def running_sums(x: Floats) -> RunningSums:
    """The sums and the special stretches of a (T,) series."""
    high, low = np.empty(x.size), np.empty(x.size)
    defined = np.isfinite(x)
    _accumulate(x if defined.all() else np.where(defined, x, 0.0), high, low)
    flats = _stretches(x[1:] == x[:-1])
    flats[:, 1] += 1
    return RunningSums(high, low, _stretches(~defined), flats, x[flats[:, 0]])


def rolling_mean(sums: RunningSums, n: int, out: Floats) -> None:
    """Mean of the last n values; NaN where the window is short or holds an undefined value.

    A window of equal values has exactly their value.
    """
    _fill(sums, n, (1.0 / n, 1.0), out)


def rolling_sum(sums: RunningSums, n: int, out: Floats) -> None:
    """Sum of the last n values, undefined where their mean is; of whole numbers it is exact."""
    _fill(sums, n, (1.0, float(n)), out)


def _fill(sums: RunningSums, n: int, scales: tuple[float, float], out: Floats) -> None:
    """scales: what a window's sum, and the value of a flat one, are multiplied by."""
    out[:n - 1] = np.nan
    write_windows(sums.high, sums.low, n, scales[0], out[n - 1:])
    if sums.longest_flat >= n:
        _settle_flats(sums.flats, sums.levels, n, scales[1], out)
    if sums.gaps.size:
        _blank_gaps(sums.gaps, n, out)


def _stretches(mask: NDArray[np.bool_]) -> Ints:
    """(N, 2) positions [start, stop) of the stretches in which the mask holds."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges.astype(np.int64).reshape(-1, 2)


@njit(cache=True, error_model="numpy", nogil=True)
def _accumulate(x: Floats, high: Floats, low: Floats) -> None:
    """Running sum whose rounding errors, each exact (Knuth's two-sum), are summed beside it."""
    total = lost = 0.0
    for t in range(x.size):
        after = total + x[t]
        added = after - total
        lost += (total - (after - added)) + (x[t] - added)
        total = after
        high[t], low[t] = total, lost


@njit(cache=True, error_model="numpy", nogil=True)
def _settle_flats(flats: Ints, levels: Floats, n: int, scale: float, out: Floats) -> None:
    for k in range(flats.shape[0]):
        for t in range(flats[k, 0] + n - 1, flats[k, 1]):
            out[t] = levels[k] * scale


@njit(cache=True, error_model="numpy", nogil=True)
def _blank_gaps(gaps: Ints, n: int, out: Floats) -> None:
    filled = 0
    for k in range(gaps.shape[0]):
        stop = min(gaps[k, 1] + n - 1, out.size)
        for t in range(max(gaps[k, 0], filled), stop):
            out[t] = np.nan
        filled = stop
