"""Recursive filters of volatility: the GARCH(1, 1) recursion and Hamilton's filter, both forward only."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from daybook.core.arrays import Floats


@njit(cache=True, error_model="numpy", nogil=True)
def garch_variance(squared: Floats, long_run: Floats, alpha: float, beta: float) -> Floats:
    """(T,) variance expected for the next bar, known at this bar's close.

    variance[t] = (1 - alpha - beta) long_run[t] + alpha squared[t] + beta variance[t - 1]; it starts at the first
    long-run variance that is not NaN and is NaN before. squared: (T,) squared returns.
    Source: Bollerslev (1986), J. Econometrics 31, with the long-run variance of Engle and Mezrich (1996).
    """
    out = np.full(squared.size, np.nan)
    variance = np.nan
    for i in range(squared.size):
        if long_run[i] == long_run[i]:
            if variance == variance:
                variance = (1.0 - alpha - beta) * long_run[i] + alpha * squared[i] + beta * variance
            else:
                variance = long_run[i]
            out[i] = variance
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def filtered_probability(values: Floats, calm: float, wild: float, stay_calm: float, stay_wild: float) -> Floats:
    """(T,) probability, given the values up to and including each bar, that the chain is in its wild state.

    values: (T,) draws from a normal law of zero mean and standard deviation `calm` or `wild`; where one is NaN the
    chain moves on unobserved and the output is NaN. stay_*: probability of remaining a bar longer. It starts at the
    stationary law. Kept as log odds, so that no value however large makes both likelihoods vanish.
    Source: Hamilton (1989), Econometrica 57, 357-384, equations 4.5 to 4.8.
    """
    out = np.full(values.size, np.nan)
    probability = (1.0 - stay_calm) / (2.0 - stay_calm - stay_wild)
    narrow = math.log(calm / wild)
    tail = 0.5 * (1.0 / (calm * calm) - 1.0 / (wild * wild))
    started = False
    for i in range(values.size):
        if started:
            probability = probability * stay_wild + (1.0 - probability) * (1.0 - stay_calm)
        if values[i] == values[i]:
            started = True
            odds = math.log(probability / (1.0 - probability)) + narrow + tail * values[i] * values[i]
            probability = 1.0 / (1.0 + math.exp(-odds))
            out[i] = probability
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def directional_movement(high: Floats, low: Floats, window: int, same: float) -> tuple[Floats, Floats]:
    """(T,) Wilder's ADX, 0 to 100, and (T,) (+DI - -DI) / (+DI + -DI), NaN before their first values.

    high, low: (T,) prices, no NaN. The true range, by which Wilder divides both movements, falls out of both ratios.
    same: moves closer to each other than this share of the price are equal, so that equal ticks are no movement either
    way however a decimal happens to be rounded. ADX begins at 2 * window - 1, the balance at window; where nothing has
    moved the ADX stays as it was, and the balance is undefined.
    Source: Wilder (1978), New Concepts; begins as TA-Lib's ADX and PLUS_DI.
    """
    strength = np.full(high.size, np.nan)
    balance = np.full(high.size, np.nan)
    plus = minus = total = average = 0.0
    for i in range(1, high.size):
        up = high[i] - high[i - 1]
        down = low[i - 1] - low[i]
        least = same * high[i]
        kept = 1.0 if i < window else 1.0 - 1.0 / window
        plus = plus * kept + (up if up > least and up - down > least else 0.0)
        minus = minus * kept + (down if down > least and down - up > least else 0.0)
        if i < window:
            continue
        known = plus + minus > 0.0
        if known:
            balance[i] = (plus - minus) / (plus + minus)
        if i < 2 * window - 1:
            total += abs(balance[i]) if known else 0.0
        elif i == 2 * window - 1:
            average = (total + (abs(balance[i]) if known else 0.0)) / window
        elif known:
            average += (abs(balance[i]) - average) / window
        if i >= 2 * window - 1:
            strength[i] = 100.0 * average
    return strength, balance
