"""Momentum features: oscillators of the close within its recent moves."""

from __future__ import annotations

from functools import partial

import numpy as np
import talib

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.rolling_kernel import ratio, rolling_sum, unchanged
from daybook.features.series import Series, lagged, rolling_correlation, rolling_mean
from daybook.features.settling import settling

STREAK_CAP = 10


def relative_strength(series: Series, window: int) -> Floats:
    """Wilder's RSI; NaN where the last `window` closes did not change (TA-Lib gives 0, which reads as oversold)."""
    return series.shared(("rsi", window), lambda: _relative_strength(series, window))


def _relative_strength(series: Series, window: int) -> Floats:
    values: Floats = np.asarray(talib.RSI(series.close, window))
    values[unchanged(series.close, series.close, window + 1)] = np.nan
    return values


def fast_stochastic(series: Series, window: int) -> Floats:
    """Place of the close between the window's low and high, 0 to 100; NaN in a flat window."""
    low, high = series.lowest(window), series.highest(window)
    return series.shared(("stochastic", window), lambda: 100.0 * ratio(series.close - low, high - low))


def slow_stochastic(series: Series, window: int) -> Floats:
    """Mean of the last three fast stochastics (%K)."""
    return series.shared(("slow", window), lambda: rolling_mean(fast_stochastic(series, window), 3))


def stochastic_gap(series: Series, window: int) -> Floats:
    """%K less its own mean of three (%D)."""
    slow = slow_stochastic(series, window)
    return slow - rolling_mean(slow, 3)


def williams_r(series: Series, window: int) -> Floats:
    """Larry Williams' %R, -100 to 0."""
    return fast_stochastic(series, window) - 100.0


def commodity_channel(series: Series, window: int) -> Floats:
    """Lambert's CCI; NaN in a flat window, where TA-Lib divides rounding by rounding."""
    values: Floats = np.asarray(talib.CCI(series.high, series.low, series.close, window))
    values[series.flat(window)] = np.nan
    return values


def ultimate_oscillator(series: Series) -> Floats:
    """Williams' ultimate oscillator over 7, 14 and 28 bars; NaN where the shortest window is flat."""
    values: Floats = np.asarray(talib.ULTOSC(series.high, series.low, series.close, 7, 14, 28))
    values[rolling_sum(series.true_range, 7) == 0.0] = np.nan
    return values


def macd(series: Series) -> Floats:
    """Fast less slow exponential average (12, 26), as a share of the close."""
    return (series.ema(12) - series.ema(26)) / series.close


def macd_histogram(series: Series) -> Floats:
    """MACD less its own exponential average of 9, as a share of the close."""
    line: Floats = np.asarray(talib.MACD(series.close, 12, 26, 9)[2])
    return line / series.close


def triple_smoothed_change(series: Series, window: int) -> Floats:
    """One-bar change of the triple exponential average (TRIX), as a fraction."""
    return np.asarray(talib.TRIX(series.close, window)) / 100.0


def autocorrelation(series: Series, window: int) -> Floats:
    """Correlation of each return with the one before, over the window."""
    return rolling_correlation(series.log_return, lagged(series.log_return, 1), window)


def streak(series: Series) -> Floats:
    """Closes in a row in one direction, negative when falling, cut at STREAK_CAP; 0 on an unchanged close."""
    sign = np.sign(series.log_return)
    position = np.arange(series.length)
    turned = np.ones(series.length, dtype=bool)
    turned[1:] = sign[1:] != sign[:-1]
    started = np.maximum.accumulate(np.where(turned, position, 0))
    values = sign * np.minimum(position - started + 1, STREAK_CAP)
    values[:STREAK_CAP] = np.nan
    return values


FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"rsi_{window}", "momentum", ("close",), settling(window, 1.0 / window), "score",
                f"Relative strength index of {window} bars.", "Wilder (1978), New Concepts; TA-Lib RSI",
                partial(relative_strength, window=window), recursive=True, bounds=(0.0, 100.0))
        for window in (14, 28)
    ),
    Feature("stoch_k_14", "momentum", ("high", "low", "close"), 15, "score",
            "Slow stochastic %K: place of the close in the range of 14 bars, mean of three.",
            "Lane (1984), Stocks & Commodities; TA-Lib STOCH", partial(slow_stochastic, window=14),
            bounds=(0.0, 100.0)),
    Feature("stoch_gap_14", "momentum", ("high", "low", "close"), 17, "score",
            "Slow stochastic %K less %D.", "Lane (1984), Stocks & Commodities; TA-Lib STOCH",
            partial(stochastic_gap, window=14), bounds=(-100.0, 100.0)),
    Feature("williams_r_28", "momentum", ("high", "low", "close"), 27, "score",
            "Williams %R of 28 bars.", "Williams (1979), How I Made One Million Dollars; TA-Lib WILLR",
            partial(williams_r, window=28), bounds=(-100.0, 0.0)),
    Feature("cci_20", "momentum", ("high", "low", "close"), 19, "score",
            "Commodity channel index of 20 bars.", "Lambert (1980), Commodities 9; TA-Lib CCI",
            partial(commodity_channel, window=20)),
    Feature("ultimate_oscillator", "momentum", ("high", "low", "close"), 28, "score",
            "Buying pressure over true range, 7, 14 and 28 bars weighted 4, 2, 1.",
            "Williams (1985), Stocks & Commodities; TA-Lib ULTOSC", ultimate_oscillator, bounds=(0.0, 100.0)),
    Feature("macd_12_26", "momentum", ("close",), settling(25, 2.0 / 27), "fraction",
            "Exponential average of 12 less that of 26, over the close.", "Appel (1979); TA-Lib MACD",
            macd, recursive=True),
    Feature("macd_histogram_12_26_9", "momentum", ("close",), settling(33, 2.0 / 27), "fraction",
            "MACD less its signal line of 9, over the close.", "Appel (1979), Aspray (1986); TA-Lib MACD",
            macd_histogram, recursive=True),
    Feature("trix_15", "momentum", ("close",), settling(43, 2.0 / 16, stages=3), "fraction",
            "One-bar change of the triple exponential average of 15.",
            "Hutson (1983), Stocks & Commodities; TA-Lib TRIX",
            partial(triple_smoothed_change, window=15), recursive=True),
    Feature("autocorrelation_60", "momentum", ("close",), 61, "correlation",
            "Correlation of neighbouring returns over 60 bars.", "Lo, MacKinlay (1990), Rev. Fin. Studies 3",
            partial(autocorrelation, window=60), bounds=(-1.0, 1.0)),
    Feature("streak", "momentum", ("close",), STREAK_CAP, "bars",
            f"Closes in a row in one direction, cut at {STREAK_CAP}.", "by definition", streak,
            bounds=(-STREAK_CAP, STREAK_CAP)),
)
