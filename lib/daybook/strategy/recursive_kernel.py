"""Recursive kernels (EMA, Wilder's RSI, ATR, ADX): causal, restarted after a NaN, NaN until the start is forgotten.

Each takes `lag`: the number of consecutive valid bars that must precede one before its value is given. It is a multiple
of the smoothing length, so that a value does not depend, materially, on where the history begins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from daybook.core.arrays import Floats


@njit(cache=True, error_model="numpy", nogil=True)
def ema(x: Floats, n: int, lag: int, out: Floats) -> None:
    """Exponential mean with weight 2 / (n + 1), started from the plain mean of the first n values."""
    weight = 2.0 / (n + 1.0)
    value = 0.0
    seen = 0
    for t in range(x.size):
        now = x[t]
        if not np.isfinite(now):
            seen = 0
            value = 0.0
            out[t] = np.nan
            continue
        seen += 1
        if seen < n:
            value += now
        elif seen == n:
            value = (value + now) / n
        else:
            value += weight * (now - value)
        out[t] = value if seen > lag else np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def _run_stop(x: Floats, start: int) -> int:
    """The end of the run of valid values that begins at `start`."""
    stop = start
    while stop < x.size and np.isfinite(x[stop]):
        stop += 1
    return stop


@njit(cache=True, error_model="numpy", nogil=True)
def rsi(x: Floats, n: int, lag: int, out: Floats) -> None:
    """Wilder's relative strength index, 0 to 100; NaN (0/0) where nothing has moved at all. lag is larger than n."""
    share = 1.0 / n
    keep = 1.0 - share
    start = 0
    while start < x.size:
        stop = _run_stop(x, start)
        given = min(start + lag, stop)
        out[start:given] = np.nan
        up = down = 0.0
        for t in range(start + 1, given):
            step = x[t] - x[t - 1]
            weight = keep if t > start + n else 1.0
            up = up * weight + max(step, 0.0) * share
            down = down * weight + max(-step, 0.0) * share
        for t in range(given, stop):
            step = x[t] - x[t - 1]
            gain = step if step > 0.0 else 0.0
            up = up * keep + gain * share
            down = down * keep + (gain - step) * share
            out[t] = 100.0 * up / (up + down)
        if stop < x.size:
            out[stop] = np.nan
        start = stop + 1


@njit(cache=True, error_model="numpy", nogil=True)
def atr(high: Floats, low: Floats, close: Floats, n: int, lag: int, out: Floats) -> None:
    """Wilder's average true range, in quote price."""
    value = 0.0
    seen = 0
    for t in range(close.size):
        if not np.isfinite(high[t] + low[t] + close[t]):
            seen = 0
            value = 0.0
            out[t] = np.nan
            continue
        seen += 1
        if seen == 1:
            out[t] = np.nan
            continue
        true_range = max(high[t], close[t - 1]) - min(low[t], close[t - 1])
        if seen <= n + 1:
            value += true_range / n
        else:
            value += (true_range - value) / n
        out[t] = value if seen > lag else np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def adx(high: Floats, low: Floats, n: int, lag: int, out: Floats) -> None:
    """Wilder's average directional index, 0 to 100; a bar without any direction counts as 0.

    The true range divides both directional indicators and so cancels out of their ratio: it is left out.
    """
    rising = falling = value = 0.0
    seen = 0
    for t in range(high.size):
        if not np.isfinite(high[t] + low[t]):
            seen = 0
            rising = falling = value = 0.0
            out[t] = np.nan
            continue
        seen += 1
        if seen == 1:
            out[t] = np.nan
            continue
        up, down = high[t] - high[t - 1], low[t - 1] - low[t]
        rising += (up if up > down and up > 0.0 else 0.0) - (rising / n if seen > n + 1 else 0.0)
        falling += (down if down > up and down > 0.0 else 0.0) - (falling / n if seen > n + 1 else 0.0)
        if seen > n:
            moved = rising + falling
            strength = 100.0 * abs(rising - falling) / moved if moved > 0.0 else 0.0
            if seen <= 2 * n:
                value += strength / n
            else:
                value += (strength - value) / n
        out[t] = value if seen > lag else np.nan
