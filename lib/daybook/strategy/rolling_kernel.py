"""Rolling-window kernels: causal, written into a given row, NaN wherever the window is short or holds a NaN.

Sums are kept relative to an anchor value and rebuilt every n bars, so rounding neither grows with the length of the
history nor drowns a small deviation under a large price. A window of equal values is recognised exactly. Where what is
left of a sum is small beside what it held since it was rebuilt, as after a jump that has left the window, the window is
measured by itself: a value depends on its window alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from daybook.core.arrays import Floats

STD, SKEW, ZSCORE = 0, 1, 2
WMA, SLOPE = 0, 1
_CANCELLED = 1e-4
"""Share of the largest sum since the last rebuilding below which a sum has lost too many digits."""


@njit(cache=True, error_model="numpy", nogil=True)
def _window_moments(x: Floats, t: int, n: int) -> tuple[float, float, float]:
    """Mean relative to x[t], variance and third central moment of the n values up to and with bar t, in two passes."""
    mean = variance = third = 0.0
    for i in range(t - n + 1, t):
        mean += x[i] - x[t]
    mean /= n
    for i in range(t - n + 1, t + 1):
        d = x[i] - x[t] - mean
        variance += d * d
        third += d * d * d
    return mean, variance / n, third / n


@njit(cache=True, error_model="numpy", nogil=True)
def _window_correlation(x: Floats, y: Floats, t: int, n: int) -> tuple[float, float]:
    """(sum of products of deviations, product of the sums of squares) of the n pairs up to and with bar t."""
    mean_x = mean_y = sxx = syy = sxy = 0.0
    for i in range(t - n + 1, t):
        mean_x += (x[i] - x[t]) / n
        mean_y += (y[i] - y[t]) / n
    for i in range(t - n + 1, t + 1):
        dx, dy = x[i] - x[t] - mean_x, y[i] - y[t] - mean_y
        sxx += dx * dx
        syy += dy * dy
        sxy += dx * dy
    return sxy, sxx * syy


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_moment(x: Floats, n: int, which: int, out: Floats) -> None:
    """Population deviation, skewness or z-score of the last n values; undefined (0/0) is NaN."""
    s1 = s2 = s3 = anchor = most = 0.0
    bad = equal = 0
    share = 1.0 / n
    for t in range(x.size):
        now = x[t]
        equal = equal + 1 if t > 0 and now == x[t - 1] else 1
        if t % n == 0:
            anchor = now if np.isfinite(now) else 0.0
            s1 = s2 = s3 = most = 0.0
            bad = 0
            for i in range(max(0, t - n + 1), t):
                if np.isfinite(x[i]):
                    d = x[i] - anchor
                    s1 += d
                    s2 += d * d
                    s3 += d * d * d
                else:
                    bad += 1
        elif t >= n:
            if np.isfinite(x[t - n]):
                d = x[t - n] - anchor
                s1 -= d
                s2 -= d * d
                s3 -= d * d * d
            else:
                bad -= 1
        if np.isfinite(now):
            d = now - anchor
            s1 += d
            s2 += d * d
            s3 += d * d * d
            most = max(most, s2)
        else:
            bad += 1
        if t < n - 1 or bad > 0:
            out[t] = np.nan
            continue
        if equal >= n:
            out[t] = 0.0 if which == STD else np.nan
            continue
        mean = s1 * share
        variance = s2 * share - mean * mean
        third = s3 * share - 3.0 * mean * s2 * share + 2.0 * mean * mean * mean
        last = now - anchor
        if variance <= _CANCELLED * most * share:
            mean, variance, third = _window_moments(x, t, n)
            last = 0.0
        if which == STD:
            out[t] = np.sqrt(variance)
        elif variance <= 0.0:
            out[t] = np.nan
        elif which == SKEW:
            out[t] = third / (variance * np.sqrt(variance))
        else:
            out[t] = (last - mean) / np.sqrt(variance)


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_linear(x: Floats, n: int, which: int, out: Floats) -> None:
    """Linearly weighted mean (newest heaviest), or least-squares slope per bar, of the last n values."""
    s0 = s1 = anchor = 0.0
    bad = equal = 0
    weight = n * (n + 1) / 2.0
    spread = n * (n * n - 1.0) / 12.0
    for t in range(x.size):
        now = x[t]
        equal = equal + 1 if t > 0 and now == x[t - 1] else 1
        if t % n == 0:
            anchor = now if np.isfinite(now) else 0.0
            s0 = s1 = 0.0
            bad = 0
            for i in range(max(0, t - n + 1), t):
                if np.isfinite(x[i]):
                    s0 += x[i] - anchor
                    s1 += (i - t + n - 1) * (x[i] - anchor)
                else:
                    bad += 1
        else:
            if t >= n:
                if np.isfinite(x[t - n]):
                    s0 -= x[t - n] - anchor
                else:
                    bad -= 1
            s1 -= s0
        if np.isfinite(now):
            s0 += now - anchor
            s1 += (n - 1) * (now - anchor)
        else:
            bad += 1
        if t < n - 1 or bad > 0:
            out[t] = np.nan
        elif equal >= n:
            out[t] = now if which == 0 else 0.0
        elif which == 0:
            out[t] = anchor + (s1 + s0) / weight
        else:
            out[t] = (s1 - s0 * (n - 1) / 2.0) / spread


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_correlation(x: Floats, y: Floats, n: int, out: Floats) -> None:
    """Pearson correlation of the last n pairs, in [-1, 1]; NaN where either side does not move."""
    sx = sy = sxx = syy = sxy = ax = ay = most_x = most_y = 0.0
    bad = same_x = same_y = 0
    for t in range(x.size):
        good = np.isfinite(x[t]) and np.isfinite(y[t])
        same_x = same_x + 1 if t > 0 and x[t] == x[t - 1] else 1
        same_y = same_y + 1 if t > 0 and y[t] == y[t - 1] else 1
        if t % n == 0:
            ax = x[t] if good else 0.0
            ay = y[t] if good else 0.0
            sx = sy = sxx = syy = sxy = most_x = most_y = 0.0
            bad = 0
            first = max(0, t - n + 1)
        else:
            first = t
            if t >= n:
                dx, dy = x[t - n] - ax, y[t - n] - ay
                if np.isfinite(dx) and np.isfinite(dy):
                    sx -= dx
                    sy -= dy
                    sxx -= dx * dx
                    syy -= dy * dy
                    sxy -= dx * dy
                else:
                    bad -= 1
        for i in range(first, t + 1):
            dx, dy = x[i] - ax, y[i] - ay
            if np.isfinite(dx) and np.isfinite(dy):
                sx += dx
                sy += dy
                sxx += dx * dx
                syy += dy * dy
                sxy += dx * dy
            else:
                bad += 1
        most_x, most_y = max(most_x, sxx), max(most_y, syy)
        out[t] = np.nan
        if t >= n - 1 and bad == 0 and same_x < n and same_y < n:
            left_x, left_y, shared = sxx - sx * sx / n, syy - sy * sy / n, sxy - sx * sy / n
            scale = left_x * left_y
            if left_x <= _CANCELLED * most_x or left_y <= _CANCELLED * most_y:
                shared, scale = _window_correlation(x, y, t, n)
            if scale > 0.0:
                out[t] = min(1.0, max(-1.0, shared / np.sqrt(scale)))


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_extreme(x: Floats, n: int, sign: int, age: bool, out: Floats) -> None:
    """Highest (sign 1) or lowest (sign -1) of the last n values, or its age in bars; of equals the newest counts."""
    queue = np.empty(x.size, np.int64)
    head = tail = 0
    last_bad = -1
    for t in range(x.size):
        if np.isfinite(x[t]):
            value = sign * x[t]
            while tail > head and sign * x[queue[tail - 1]] <= value:
                tail -= 1
            queue[tail] = t
            tail += 1
        else:
            last_bad = t
        while tail > head and queue[head] <= t - n:
            head += 1
        if t < n - 1 or (last_bad >= 0 and t - last_bad < n):
            out[t] = np.nan
        else:
            out[t] = t - queue[head] if age else x[queue[head]]


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_rank(x: Floats, n: int, out: Floats) -> None:
    """Share of the n - 1 earlier values in the window that lie below the newest, ties counted half: 0 to 1."""
    last_bad = -1
    for t in range(x.size):
        now = x[t]
        if not np.isfinite(now):
            last_bad = t
        if t < n - 1 or (last_bad >= 0 and t - last_bad < n):
            out[t] = np.nan
            continue
        below = 0
        equal = 0
        for i in range(t - n + 1, t):
            below += x[i] < now
            equal += x[i] == now
        out[t] = (below + 0.5 * equal) / (n - 1)


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_quantile(x: Floats, n: int, q: float, out: Floats) -> None:
    """The q-quantile of the last n values, linear between neighbours."""
    ordered = np.empty(n + 1)
    count = 0
    place = q * (n - 1)
    low = int(np.floor(place))
    high = min(low + 1, n - 1)
    for t in range(x.size):
        if t >= n and np.isfinite(x[t - n]):
            at = np.searchsorted(ordered[:count], x[t - n])
            count -= 1
            for i in range(at, count):
                ordered[i] = ordered[i + 1]
        if np.isfinite(x[t]):
            at = np.searchsorted(ordered[:count], x[t])
            for i in range(count, at, -1):
                ordered[i] = ordered[i - 1]
            ordered[at] = x[t]
            count += 1
        if count == n:
            out[t] = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
        else:
            out[t] = np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def rolling_efficiency(x: Floats, n: int, out: Floats) -> None:
    """Distance covered in n bars over the length of the path, 0 to 1; NaN where the path has no length."""
    path = most = 0.0
    last_bad = -1
    still = 0
    for t in range(x.size):
        if not np.isfinite(x[t]):
            last_bad = t
        step = abs(x[t] - x[t - 1]) if t > 0 else 0.0
        still = still + 1 if step == 0.0 else 0
        if t % n == 0 or t - last_bad <= n + 1 or path <= _CANCELLED * most:
            path = most = 0.0
            for i in range(max(1, t - n + 1, last_bad + 2), t + 1):
                path += abs(x[i] - x[i - 1])
        else:
            path += step - abs(x[t - n] - x[t - n - 1]) if t > n else step
        most = max(most, path)
        if t < n or (last_bad >= 0 and t - last_bad <= n) or still >= n or path <= 0.0:
            out[t] = np.nan
        else:
            out[t] = min(1.0, abs(x[t] - x[t - n]) / path)
