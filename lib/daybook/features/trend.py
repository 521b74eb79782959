"""Trend features: distance from averages, direction and strength of the drift."""

from __future__ import annotations

from functools import partial

import numpy as np
import talib

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.filter_kernel import directional_movement
from daybook.features.rolling_kernel import ratio, rolling_covariance, rolling_sum
from daybook.features.series import Series, lagged, rolling_deviation, rolling_mean
from daybook.features.settling import settling

_AVERAGE = "by definition; TA-Lib EMA"
_WILDER = "Wilder (1978), New Concepts; TA-Lib ADX, PLUS_DI, MINUS_DI"
_SAME = 1e-12
"""Moves closer than this share of the price are equal ticks, of which a decimal's rounding must not choose one."""


def ema_gap(series: Series, window: int) -> Floats:
    """close / EMA - 1."""
    return series.close / series.ema(window) - 1.0


def ema_cross(series: Series, fast: int, slow: int) -> Floats:
    """EMA(fast) / EMA(slow) - 1."""
    return series.ema(fast) / series.ema(slow) - 1.0


def sma_gap(series: Series, window: int) -> Floats:
    """close / simple mean - 1."""
    return series.close / rolling_mean(series.close, window) - 1.0


def regression_gap(series: Series, window: int) -> Floats:
    """close / end of the window's regression line - 1."""
    return series.close / np.asarray(talib.LINEARREG(series.close, window)) - 1.0


def directional_strength(series: Series, window: int) -> Floats:
    """Wilder's ADX, 0 to 100; NaN in a flat window."""
    return series.shared(("adx", window), lambda: _directional_strength(series, window))


def _directional_strength(series: Series, window: int) -> Floats:
    values, _ = directional_movement(series.high, series.low, window, _SAME)
    values[series.flat(window)] = np.nan
    return values


def directional_balance(series: Series, window: int) -> Floats:
    """(+DI - -DI) / (+DI + -DI): -1 all falling, 1 all rising; NaN in a flat window."""
    return series.shared(("di_balance", window), lambda: _directional_balance(series, window))


def _directional_balance(series: Series, window: int) -> Floats:
    _, balance = directional_movement(series.high, series.low, window, _SAME)
    balance[series.flat(window)] = np.nan
    return balance


def aroon(series: Series, window: int) -> Floats:
    """Bars since the low less bars since the high, as a score of -100 to 100."""
    return np.asarray(talib.AROONOSC(series.high, series.low, window))


def vortex(series: Series, window: int) -> Floats:
    """Upward less downward vortex movement over true range; NaN where nothing moved."""
    up = np.abs(series.high - lagged(series.low, 1))
    down = np.abs(series.low - lagged(series.high, 1))
    return ratio(rolling_sum(up - down, window), rolling_sum(series.true_range, window))


def time_slope(series: Series, window: int) -> Floats:
    """Least-squares slope of the log close on time: log return a bar."""
    return _time_covariance(series, window) / ((window * window - 1.0) / 12.0)


def signed_fit(series: Series, window: int) -> Floats:
    """Correlation of the log close with time: its square is the trend line's R²; NaN where the close did not move."""
    spread = rolling_deviation(series.log_close, window) * np.sqrt((window * window - 1.0) / 12.0)
    return np.clip(ratio(_time_covariance(series, window), spread), -1.0, 1.0)


def _time_covariance(series: Series, window: int) -> Floats:
    bar = np.arange(series.length, dtype=np.float64)
    return series.shared(("time_covariance", window), lambda: rolling_covariance(bar, series.log_close, window))


FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"ema_gap_{window}", "trend", ("close",), settling(window - 1, 2.0 / (window + 1)), "fraction",
                f"Close over its exponential average of {window}, less 1.", _AVERAGE,
                partial(ema_gap, window=window), recursive=True)
        for window in (10, 20, 50)
    ),
    Feature("sma_gap_240", "trend", ("close",), 239, "fraction",
            "Close over its mean of 240 bars, less 1.", "by definition", partial(sma_gap, window=240)),
    Feature("regression_gap_20", "trend", ("close",), 19, "fraction",
            "Close over the end of the regression line of 20 bars, less 1.", "by definition; TA-Lib LINEARREG",
            partial(regression_gap, window=20)),
    Feature("ema_cross_10_50", "trend", ("close",), settling(49, 2.0 / 51), "fraction",
            "Exponential average of 10 over that of 50, less 1.", _AVERAGE,
            partial(ema_cross, fast=10, slow=50), recursive=True),
    Feature("adx_14", "trend", ("high", "low"), settling(27, 1.0 / 14, stages=2), "score",
            "Average directional index of 14 bars: strength of a trend, whichever way.", _WILDER,
            partial(directional_strength, window=14), recursive=True, bounds=(0.0, 100.0)),
    Feature("di_balance_14", "trend", ("high", "low"), settling(14, 1.0 / 14), "fraction",
            "Rising less falling directional movement, over their sum.", _WILDER,
            partial(directional_balance, window=14), recursive=True, bounds=(-1.0, 1.0)),
    Feature("aroon_25", "trend", ("high", "low"), 25, "score",
            "Aroon oscillator: how much more recent the high of 25 bars is than their low.",
            "Chande (1995), Stocks & Commodities; TA-Lib AROONOSC", partial(aroon, window=25), bounds=(-100.0, 100.0)),
    Feature("vortex_14", "trend", ("high", "low", "close"), 14, "ratio",
            "Upward less downward vortex movement over true range.", "Botes, Siepman (2010), Stocks & Commodities",
            partial(vortex, window=14)),
    *(
        Feature(f"slope_{window}", "trend", ("close",), window - 1, "log return",
                f"Least-squares slope of the log close over {window} bars, a bar.", "by definition",
                partial(time_slope, window=window))
        for window in (60, 240)
    ),
    *(
        Feature(f"trend_fit_{window}", "trend", ("close",), window - 1, "correlation",
                f"Correlation of the log close with time over {window} bars.", "by definition",
                partial(signed_fit, window=window), bounds=(-1.0, 1.0))
        for window in (60, 240)
    ),
)
