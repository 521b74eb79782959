"""Spreads estimated from candles, where nobody recorded quotes.

Both estimators read the spread out of how highs, lows and closes sit to each other, and both are noisy where the spread
is far below the volatility of a bar: on such markets they tell an upper bound, and are labelled as estimated.
"""

from __future__ import annotations

import numpy as np

from daybook.core.arrays import Floats

_K = 3.0 - 2.0 * np.sqrt(2.0)


def corwin_schultz(high: Floats, low: Floats) -> Floats:
    """Spread of each pair of neighbouring bars, as a fraction of the price; negative ones are kept.

    high, low: (T,) float64 quote price, oldest first, of bars without a gap between them. Returns (T - 1,) float64.
    Source: Corwin, Schultz (2012), J. Finance 67, 719-760, equations 14 and 18; without their overnight correction,
    since these markets do not close. They set negative values to 0 before averaging.
    """
    squared_range = np.log(high / low) ** 2
    beta = squared_range[:-1] + squared_range[1:]
    gamma = np.log(np.maximum(high[:-1], high[1:]) / np.minimum(low[:-1], low[1:])) ** 2
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / _K - np.sqrt(gamma / _K)
    return np.asarray(2.0 * (np.exp(alpha) - 1.0) / (1.0 + np.exp(alpha)), dtype=np.float64)


def abdi_ranaldo_squares(high: Floats, low: Floats, close: Floats) -> Floats:
    """Squared spread that each pair of neighbouring bars speaks for, as a squared fraction; often negative.

    high, low, close: (T,) float64 quote price, oldest first, of bars without a gap. Returns (T - 1,) float64.
    The estimate of many bars is the root of the mean, 0 where the mean is negative.
    Source: Abdi, Ranaldo (2017), Rev. Financial Studies 30, 4437-4480, equation 9.
    """
    logs = np.log(close)
    middle = (np.log(high) + np.log(low)) / 2.0
    return np.asarray(4.0 * (logs[:-1] - middle[:-1]) * (logs[:-1] - middle[1:]), dtype=np.float64)


def root_of_mean(squares: Floats) -> float:
    """The root of the mean of squared spreads, 0 where the mean is negative, NaN of nothing."""
    return float(np.sqrt(max(float(np.mean(squares)), 0.0))) if squares.size else float("nan")
