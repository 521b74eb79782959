"""Volatility features: per-bar volatility by several estimators, its shape and its jumps."""

from __future__ import annotations

from functools import partial

import numpy as np
import talib

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.filter_kernel import garch_variance
from daybook.features.rolling_kernel import ratio, rolling_max, rolling_moments, rolling_sum
from daybook.features.series import Series, lagged, rolling_mean
from daybook.features.settling import settling

GARCH_ALPHA = 0.06
GARCH_BETA = 0.90
"""Fixed, not fitted, so that nothing later than the bar can have shaped them; the long-run level follows the market."""

_ABOVE_ZERO = (0.0, np.inf)
_REALISED = "Andersen, Bollerslev, Diebold, Labys (2003), Econometrica 71"
_HAR = "Corsi (2009), J. Fin. Econometrics 7"
_BIPOWER = "Barndorff-Nielsen, Shephard (2004), J. Fin. Econometrics 2"
_SEMI = "Barndorff-Nielsen, Kinnebrock, Shephard (2010)"


def realised(series: Series, window: int) -> Floats:
    """Root mean squared return."""
    return series.realised(window)


def realised_ratio(series: Series, fast: int, slow: int) -> Floats:
    """Realised volatility of the last `fast` bars over that of the last `slow`."""
    return ratio(series.realised(fast), series.realised(slow))


def _bipower_variance(series: Series, window: int) -> Floats:
    product = series.absolute_return * lagged(series.absolute_return, 1)
    return series.shared(("bipower", window), lambda: rolling_mean(product, window) * (np.pi / 2.0))


def bipower(series: Series, window: int) -> Floats:
    """Volatility from products of neighbouring absolute returns, which one jump hardly moves."""
    return np.sqrt(_bipower_variance(series, window))


def jump_share(series: Series, window: int) -> Floats:
    """Share of the realised variance that bipower variation does not see, at least 0; NaN where nothing moved."""
    return np.maximum(1.0 - ratio(_bipower_variance(series, window), np.square(series.realised(window))), 0.0)


def downside(series: Series, window: int) -> Floats:
    """Root mean squared return with rises counted as 0."""
    falls = np.minimum(series.log_return, 0.0)
    return series.shared(("downside", window), lambda: np.sqrt(rolling_mean(np.square(falls), window)))


def semivariance_balance(series: Series, window: int) -> Floats:
    """Upside less downside semivariance over their sum: -1 only falls, 1 only rises; NaN where nothing moved."""
    falling = ratio(np.square(downside(series, window)), np.square(series.realised(window)))
    return np.clip(1.0 - 2.0 * falling, -1.0, 1.0)


def parkinson(series: Series, window: int) -> Floats:
    """Volatility from the high-low range: sqrt(mean log(h / l)² / (4 log 2))."""
    return series.shared(
        ("parkinson", window), lambda: np.sqrt(rolling_mean(np.square(series.log_range), window) / (4.0 * np.log(2.0)))
    )


def garman_klass(series: Series, window: int) -> Floats:
    """Volatility from range and body: mean of log(h / l)² / 2 - (2 log 2 - 1) log(c / o)²."""
    body = np.square(np.log(series.close / series.open))
    variance = rolling_mean(np.square(series.log_range) / 2.0 - (2.0 * np.log(2.0) - 1.0) * body, window)
    return np.sqrt(np.maximum(variance, 0.0))


def _rogers_satchell_variance(series: Series, window: int) -> Floats:
    up, down = np.log(series.high / series.open), np.log(series.low / series.open)
    body = np.log(series.close / series.open)
    return rolling_mean(up * (up - body) + down * (down - body), window)


def rogers_satchell(series: Series, window: int) -> Floats:
    """Volatility that a drift does not bias: mean of u (u - c) + d (d - c), in logs from the open."""
    return np.sqrt(np.maximum(_rogers_satchell_variance(series, window), 0.0))


def yang_zhang(series: Series, window: int) -> Floats:
    """Opening-gap variance + k body variance + (1 - k) Rogers-Satchell, k = 0.34 / (1.34 + (n + 1) / (n - 1))."""
    sample = window / (window - 1.0)
    k = 0.34 / (1.34 + (window + 1.0) / (window - 1.0))
    gap = rolling_moments(np.log(series.open / lagged(series.close, 1)), window)[1] * sample
    body = rolling_moments(np.log(series.close / series.open), window)[1] * sample
    variance = gap + k * body + (1.0 - k) * _rogers_satchell_variance(series, window)
    return np.sqrt(np.maximum(variance, 0.0))


def range_to_return(series: Series, window: int) -> Floats:
    """Parkinson's over realised volatility: above 1 bars travel farther than their closes do; NaN where none moved."""
    return ratio(parkinson(series, window), series.realised(window))


def average_true_range(series: Series, window: int) -> Floats:
    """Wilder's average true range over the close."""
    return series.average_true_range(window) / series.close


def smoothed(series: Series, window: int) -> Floats:
    """Root of the exponential average of squared returns, weight 2 / (window + 1)."""
    return np.sqrt(np.asarray(talib.EMA(series.squared_return, window)))


def garch(series: Series, history: int) -> Floats:
    """Volatility expected for the next bar by GARCH(1, 1), its long-run variance that of the last `history` bars."""
    long_run = np.square(series.realised(history))
    return np.sqrt(garch_variance(series.squared_return, long_run, GARCH_ALPHA, GARCH_BETA))


def largest_move(series: Series, window: int) -> Floats:
    """Largest |return| of the window in units of its realised volatility; NaN where nothing moved."""
    return ratio(rolling_max(series.absolute_return, window, 1.0), series.realised(window))


def skewness(series: Series, window: int) -> Floats:
    """Third standardised moment of the returns; NaN where they do not vary."""
    mean, mean_square = rolling_mean(series.log_return, window), rolling_mean(series.squared_return, window)
    cube = rolling_mean(series.squared_return * series.log_return, window)
    third = cube - 3.0 * mean * mean_square + 2.0 * mean * mean * mean
    deviation = series.return_deviation(window)
    return ratio(third, deviation * deviation * deviation)


def tail_weight(series: Series, window: int) -> Floats:
    """Fourth moment of the returns over their squared second (about 0): 3 for a normal law; NaN where none moved."""
    fourth = rolling_sum(np.square(series.squared_return), window) / window
    return ratio(fourth, np.square(np.square(series.realised(window))))


FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"realised_{window}", "volatility", ("close",), window, "log return",
                f"Realised volatility a bar, {window} bars.", f"{_REALISED}; {_HAR}",
                partial(realised, window=window), bounds=_ABOVE_ZERO)
        for window in (12, 60, 288)
    ),
    *(
        Feature(f"realised_ratio_{fast}_288", "volatility", ("close",), 288, "ratio",
                f"Realised volatility of {fast} bars over that of 288.", _HAR,
                partial(realised_ratio, fast=fast, slow=288), bounds=_ABOVE_ZERO)
        for fast in (12, 60)
    ),
    Feature("bipower_60", "volatility", ("close",), 61, "log return",
            "Bipower volatility a bar, 60 bars: realised volatility without jumps.", _BIPOWER,
            partial(bipower, window=60), bounds=_ABOVE_ZERO),
    Feature("jump_share_60", "volatility", ("close",), 61, "fraction",
            "Share of the realised variance of 60 bars that came as jumps.", _BIPOWER,
            partial(jump_share, window=60), bounds=(0.0, 1.0)),
    Feature("downside_60", "volatility", ("close",), 60, "log return",
            "Downside semideviation a bar, 60 bars.", _SEMI, partial(downside, window=60), bounds=_ABOVE_ZERO),
    Feature("semivariance_balance_60", "volatility", ("close",), 60, "fraction",
            "Upside less downside semivariance of 60 bars, over their sum.", _SEMI,
            partial(semivariance_balance, window=60), bounds=(-1.0, 1.0)),
    *(
        Feature(f"parkinson_{window}", "volatility", ("high", "low"), window - 1, "log return",
                f"High-low volatility a bar, {window} bars.", "Parkinson (1980), J. Business 53, 61-65",
                partial(parkinson, window=window), bounds=_ABOVE_ZERO)
        for window in (12, 60)
    ),
    Feature("garman_klass_60", "volatility", ("open", "high", "low", "close"), 59, "log return",
            "Open-high-low-close volatility a bar, 60 bars.", "Garman, Klass (1980), J. Business 53, 67-78",
            partial(garman_klass, window=60), bounds=_ABOVE_ZERO),
    Feature("rogers_satchell_60", "volatility", ("open", "high", "low", "close"), 59, "log return",
            "Drift-free open-high-low-close volatility a bar, 60 bars.",
            "Rogers, Satchell (1991), Ann. Appl. Probability 1", partial(rogers_satchell, window=60),
            bounds=_ABOVE_ZERO),
    Feature("yang_zhang_60", "volatility", ("open", "high", "low", "close"), 60, "log return",
            "Drift-free volatility a bar with opening gaps, 60 bars.", "Yang, Zhang (2000), J. Business 73",
            partial(yang_zhang, window=60), bounds=_ABOVE_ZERO),
    Feature("range_to_return_60", "volatility", ("high", "low", "close"), 60, "ratio",
            "High-low over close-to-close volatility of 60 bars.", "Parkinson (1980), J. Business 53, 61-65",
            partial(range_to_return, window=60), bounds=_ABOVE_ZERO),
    Feature("atr_14", "volatility", ("high", "low", "close"), settling(14, 1.0 / 14), "fraction",
            "Average true range of 14 bars over the close.", "Wilder (1978), New Concepts; TA-Lib ATR",
            partial(average_true_range, window=14), recursive=True, bounds=_ABOVE_ZERO),
    Feature("smoothed_volatility_33", "volatility", ("close",), settling(33, 2.0 / 34), "log return",
            "Exponentially weighted volatility a bar, decay 0.94.", "RiskMetrics (1996), technical document",
            partial(smoothed, window=33), recursive=True, bounds=_ABOVE_ZERO),
    Feature("garch_480", "volatility", ("close",), settling(480, 1.0 - GARCH_BETA), "log return",
            f"Volatility a bar expected for the next bar: GARCH(1, 1), alpha {GARCH_ALPHA:g}, beta {GARCH_BETA:g}, "
            "long-run variance of 480 bars.", "Bollerslev (1986), J. Econometrics 31",
            partial(garch, history=480), recursive=True, bounds=_ABOVE_ZERO),
    Feature("largest_move_60", "volatility", ("close",), 60, "ratio",
            "Largest absolute return of 60 bars over their realised volatility.", "by definition",
            partial(largest_move, window=60), bounds=_ABOVE_ZERO),
    Feature("skewness_240", "volatility", ("close",), 240, "ratio",
            "Skewness of 240 returns.", "by definition", partial(skewness, window=240)),
    Feature("tail_weight_240", "volatility", ("close",), 240, "ratio",
            "Fourth moment of 240 returns over their squared variance: 3 for a normal law.", _REALISED,
            partial(tail_weight, window=240), bounds=_ABOVE_ZERO),
)
