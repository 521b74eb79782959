"""Regime features: which kind of market this is, judged from past bars only."""

from __future__ import annotations

from functools import partial

import numpy as np

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.filter_kernel import filtered_probability
from daybook.features.rolling_kernel import ratio, rolling_moments, rolling_rank, rolling_sum
from daybook.features.series import Series, difference, lagged
from daybook.features.settling import settling
from daybook.features.trend import directional_balance, directional_strength

TRENDLESS_ADX = 20.0
TRENDING_ADX = 25.0
CALM, WILD = 0.7, 1.8
"""Volatility of the two states of the switching model, as multiples of the trailing one."""

STAY_CALM, STAY_WILD = 0.99, 0.95
"""Probability of staying a bar longer. Fixed, not fitted: a fit to the whole sample would know the future."""

_ADX_SETTLED = settling(27, 1.0 / 14, stages=2)
_WILDER = "Wilder (1978), New Concepts"


def volatility_rank(series: Series, window: int, history: int) -> Floats:
    """Share of the last `history` realised volatilities (of `window` bars) below the newest, ties counted half."""
    return series.shared(
        ("volatility_rank", window, history), lambda: rolling_rank(series.realised(window), history)
    )


def volatility_tercile(series: Series, window: int, history: int) -> Floats:
    """0 calm, 1 usual, 2 wild: the third of its own history in which the newest volatility lies."""
    tercile: Floats = np.minimum(np.floor(3.0 * volatility_rank(series, window, history)), 2.0)
    return tercile


def efficiency(series: Series, window: int) -> Floats:
    """Kaufman's efficiency ratio: net move over path length, 0 to 1; NaN where nothing moved."""
    path = rolling_sum(series.absolute_return, window)
    return np.minimum(ratio(np.abs(difference(series.log_close, window)), path), 1.0)


def trend_strength(series: Series) -> Floats:
    """0 trendless (ADX below 20), 1 between, 2 trending (ADX at least 25)."""
    strength = directional_strength(series, 14)
    level = (strength >= TRENDLESS_ADX).astype(np.float64) + (strength >= TRENDING_ADX)
    return np.where(np.isnan(strength), np.nan, level)


def trend_state(series: Series) -> Floats:
    """-1 falling, 1 rising where ADX is at least 25, else 0."""
    direction = np.sign(directional_balance(series, 14))
    strength = directional_strength(series, 14)
    trending: Floats = np.where(strength >= TRENDING_ADX, direction, 0.0)
    return np.where(np.isnan(strength), np.nan, trending)


def market_state(series: Series, window: int, history: int) -> Floats:
    """3 * (trend state + 1) + volatility tercile: 0 falling and calm ... 8 rising and wild."""
    state: Floats = 3.0 * (trend_state(series) + 1.0) + volatility_tercile(series, window, history)
    return state


def standardised(series: Series, history: int) -> Floats:
    """Return over the realised volatility of the `history` bars before it; NaN where those did not move."""
    return ratio(series.log_return, lagged(series.realised(history), 1))


def wild_probability(series: Series, history: int) -> Floats:
    """Filtered probability of the wild one of two volatility states, each a multiple of the trailing volatility."""
    return filtered_probability(standardised(series, history), CALM, WILD, STAY_CALM, STAY_WILD)


def variance_ratio(series: Series, lag: int, window: int) -> Floats:
    """Variance of `lag`-bar returns over lag times that of one-bar returns: below 1 reverting, above 1 trending."""
    _, slow = rolling_moments(difference(series.log_close, lag), window)
    return ratio(slow, lag * np.square(series.return_deviation(window)))


def choppiness(series: Series, window: int) -> Floats:
    """100 log(sum of true ranges / range of the window) / log(window); NaN in a flat window."""
    path = rolling_sum(series.true_range, window)
    travelled = ratio(path, series.highest(window) - series.lowest(window))
    score: Floats = np.log(travelled) * (100.0 / np.log(window))
    return score


FEATURES: tuple[Feature, ...] = (
    Feature("volatility_rank_480", "regime", ("close",), 539, "fraction",
            "Rank of the realised volatility of 60 bars among its last 480 values.", "by definition",
            partial(volatility_rank, window=60, history=480), bounds=(0.0, 1.0)),
    Feature("volatility_tercile_480", "regime", ("close",), 539, "state",
            "Third of its last 480 values in which the volatility of 60 bars lies: 0 calm, 1 usual, 2 wild.",
            "by definition", partial(volatility_tercile, window=60, history=480), bounds=(0.0, 2.0)),
    Feature("efficiency_60", "regime", ("close",), 60, "fraction",
            "Net move of 60 bars over the length of their path.", "Kaufman (1995), Smarter Trading",
            partial(efficiency, window=60), bounds=(0.0, 1.0)),
    Feature("trend_strength_14", "regime", ("high", "low"), _ADX_SETTLED, "state",
            "0 trendless (ADX below 20), 1 between, 2 trending (25 or more).", _WILDER, trend_strength,
            recursive=True, bounds=(0.0, 2.0)),
    Feature("trend_state_14", "regime", ("high", "low"), _ADX_SETTLED, "state",
            "-1 falling trend, 0 none (ADX below 25), 1 rising trend.", _WILDER, trend_state,
            recursive=True, bounds=(-1.0, 1.0)),
    Feature("market_state", "regime", ("high", "low", "close"), 539, "state",
            "3 x (trend state + 1) + volatility tercile: 0 falling and calm to 8 rising and wild.", "by definition",
            partial(market_state, window=60, history=480), bounds=(0.0, 8.0)),
    Feature("wild_probability_480", "regime", ("close",), settling(481, 2.0 - STAY_CALM - STAY_WILD), "fraction",
            f"Filtered probability of the wild state of a two-state Markov-switching volatility: {CALM:g} and {WILD:g} "
            f"times that of the 480 bars before, staying with {STAY_CALM:g} and {STAY_WILD:g}.",
            "Hamilton (1989), Econometrica 57", partial(wild_probability, history=480), recursive=True,
            bounds=(0.0, 1.0)),
    Feature("variance_ratio_5_60", "regime", ("close",), 64, "ratio",
            "Variance of 5-bar returns over five times that of 1-bar returns, 60 bars.",
            "Lo, MacKinlay (1988), Rev. Fin. Studies 1", partial(variance_ratio, lag=5, window=60),
            bounds=(0.0, np.inf)),
    Feature("choppiness_14", "regime", ("high", "low", "close"), 14, "score",
            "Path over range of 14 bars on a log scale: 100 goes nowhere, 0 straight.", "Dreiss (1993)",
            partial(choppiness, window=14)),
)
