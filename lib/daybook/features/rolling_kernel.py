"""Sliding-window kernels that never drift.

A running sum that adds the new bar and takes the old one away keeps rounding residue for ever: a window of exact zeros
then sums to 1e-17, and ratios of such sums are noise. Here time is cut into blocks as long as the window; a window is
the tail of one block and the head of the next, so nothing is ever taken away (van Herk 1992; Gil and Werman 1993).
Consequences that callers rely on: a window of zeros sums to exactly 0, equal values have a variance of exactly 0, a NaN
spoils the windows that hold it and no others, and a value never changes when bars are appended.
All kernels take (T,) float64 arrays and 1 <= window; the first window - 1 values are NaN.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from daybook.core.arrays import Bools, Floats


@njit(cache=True, error_model="numpy", nogil=True)
def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """(T,) numerator / denominator, NaN where the denominator is 0: one pass where numpy takes three."""
    out = np.empty(denominator.size)
    for i in range(denominator.size):
        out[i] = numerator[i] / denominator[i] if denominator[i] != 0.0 else np.nan
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def unchanged(high: Floats, low: Floats, window: int) -> Bools:
    """(T,) whether every high and low of the last `window` bars is one and the same price; no NaN allowed."""
    out = np.zeros(high.size, dtype=np.bool_)
    run = 0
    for i in range(high.size):
        if high[i] != low[i]:
            run = 0
        elif i > 0 and run > 0 and high[i] == high[i - 1]:
            run += 1
        else:
            run = 1
        out[i] = run >= window
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_sum(values: Floats, window: int) -> Floats:
    """(T,) sum of each window."""
    length = values.size
    out = np.full(length, np.nan)
    tail = np.zeros(window + 1)
    for start in range(0, length, window):
        stop = min(start + window, length)
        head = 0.0
        for i in range(start, stop):
            head += values[i]
            if i >= window - 1:
                out[i] = tail[i - start + 1] + head
        if stop - start == window:
            for j in range(window - 1, -1, -1):
                tail[j] = tail[j + 1] + values[start + j]
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_max(values: Floats, window: int, sign: float) -> Floats:
    """(T,) largest of sign * values in each window, times sign: sign 1.0 is the maximum, -1.0 the minimum."""
    length = values.size
    out = np.full(length, np.nan)
    tail = np.full(window + 1, -np.inf)
    for start in range(0, length, window):
        stop = min(start + window, length)
        head = -np.inf
        for i in range(start, stop):
            value = sign * values[i]
            if value > head or value != value:
                head = value
            if i >= window - 1:
                other = tail[i - start + 1]
                out[i] = sign * (other if other > head or other != other else head)
        if stop - start == window:
            best = -np.inf
            for j in range(window - 1, -1, -1):
                value = sign * values[start + j]
                if value > best or value != value:
                    best = value
                tail[j] = best
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_moments(values: Floats, window: int) -> tuple[Floats, Floats]:
    """(T,) mean and (T,) population variance of each window.

    Both halves are accumulated by Welford's recurrence and merged by Chan, Golub and LeVeque's (1983).
    """
    length = values.size
    mean_out = np.full(length, np.nan)
    variance_out = np.full(length, np.nan)
    inverse = 1.0 / np.arange(window + 1)
    tail_mean = np.zeros(window + 1)
    tail_square = np.zeros(window + 1)
    per_window = 1.0 / window
    for start in range(0, length, window):
        stop = min(start + window, length)
        mean = 0.0
        square = 0.0
        for i in range(start, stop):
            count = i - start + 1
            delta = values[i] - mean
            mean += delta * inverse[count]
            square += delta * (values[i] - mean)
            if i >= window - 1:
                apart = tail_mean[count] - mean if count < window else 0.0
                share = (window - count) * per_window
                mean_out[i] = mean + apart * share
                variance_out[i] = (square + tail_square[count] + apart * apart * share * count) * per_window
        if stop - start == window:
            mean = 0.0
            square = 0.0
            for j in range(window - 1, -1, -1):
                delta = values[start + j] - mean
                mean += delta * inverse[window - j]
                square += delta * (values[start + j] - mean)
                tail_mean[j] = mean
                tail_square[j] = square
    return mean_out, variance_out


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_covariance(x: Floats, y: Floats, window: int) -> Floats:
    """(T,) population covariance of each window, merged as rolling_moments merges variances."""
    length = x.size
    out = np.full(length, np.nan)
    inverse = 1.0 / np.arange(window + 1)
    tail_x = np.zeros(window + 1)
    tail_y = np.zeros(window + 1)
    tail_product = np.zeros(window + 1)
    per_window = 1.0 / window
    for start in range(0, length, window):
        stop = min(start + window, length)
        mean_x = 0.0
        mean_y = 0.0
        product = 0.0
        for i in range(start, stop):
            count = i - start + 1
            delta = x[i] - mean_x
            mean_x += delta * inverse[count]
            mean_y += (y[i] - mean_y) * inverse[count]
            product += delta * (y[i] - mean_y)
            if i >= window - 1:
                apart = (tail_x[count] - mean_x) * (tail_y[count] - mean_y) if count < window else 0.0
                share = (window - count) * per_window
                out[i] = (product + tail_product[count] + apart * share * count) * per_window
        if stop - start == window:
            mean_x = 0.0
            mean_y = 0.0
            product = 0.0
            for j in range(window - 1, -1, -1):
                delta = x[start + j] - mean_x
                mean_x += delta * inverse[window - j]
                mean_y += (y[start + j] - mean_y) * inverse[window - j]
                product += delta * (y[start + j] - mean_y)
                tail_x[j] = mean_x
                tail_y[j] = mean_y
                tail_product[j] = product
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_rank(values: Floats, window: int) -> Floats:
    """(T,) share of the window's values below the newest one, ties counted half: in (0, 1). NaN where any is NaN.

    Counted afresh at every bar, in float32: vectorised comparisons beat a sorted window up to about 1000 bars.
    """
    length = values.size
    out = np.full(length, np.nan)
    single = values.astype(np.float32)
    undefined = 0
    for i in range(length):
        undefined += values[i] != values[i]
        if i >= window:
            undefined -= values[i - window] != values[i - window]
        if i >= window - 1 and undefined == 0:
            newest = single[i]
            part = single[i - window + 1 : i + 1]
            count = np.int32(0)
            for j in range(window):
                count += np.int32(part[j] < newest) + np.int32(part[j] <= newest)
            out[i] = count / (2.0 * window)
    return out
