"""Price and return features: how far the close moved, in log returns and in units of its own volatility."""

from __future__ import annotations

from functools import partial

import numpy as np

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.rolling_kernel import ratio, rolling_max, rolling_moments
from daybook.features.series import Series, difference, lagged, rolling_mean

_DEFINITION = "by definition"


def log_return(series: Series, window: int) -> Floats:
    """log(close[t] / close[t - window])."""
    return series.log_return if window == 1 else difference(series.log_close, window)


def opening_gap(series: Series) -> Floats:
    """log(open[t] / close[t - 1])."""
    return np.log(series.open / lagged(series.close, 1))


def standardised_return(series: Series, window: int) -> Floats:
    """The newest return over the standard deviation of the window's returns."""
    return ratio(series.log_return, series.return_deviation(window))


def scaled_return(series: Series, lag: int, window: int) -> Floats:
    """Return over `lag` bars in units of what a random walk with the window's realised volatility covers in them."""
    return ratio(difference(series.log_close, lag), series.realised(window) * np.sqrt(lag))


def mean_return_t(series: Series, window: int) -> Floats:
    """t statistic of the window's mean return."""
    mean, _ = rolling_moments(series.log_return, window)
    return ratio(mean * np.sqrt(window), series.return_deviation(window))


def rising_share(series: Series, window: int) -> Floats:
    """Share of the window's bars that closed above the close before."""
    rising = np.where(np.isnan(series.log_return), np.nan, series.log_return > 0.0)
    return rolling_mean(rising, window)


def drawdown(series: Series, window: int) -> Floats:
    """log(close / highest close of the window), at most 0."""
    return np.log(series.close / rolling_max(series.close, window, 1.0))


def rise_from_low(series: Series, window: int) -> Floats:
    """log(close / lowest close of the window), at least 0."""
    return np.log(series.close / rolling_max(series.close, window, -1.0))


FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"return_{window}", "return", ("close",), window, "log return",
                f"Log return over {window} bar{'s' if window > 1 else ''}.", _DEFINITION,
                partial(log_return, window=window))
        for window in (1, 5, 15, 60, 240)
    ),
    Feature("gap_1", "return", ("open", "close"), 1, "log return",
            "Log return from the close before to this bar's open.", _DEFINITION, opening_gap),
    Feature("return_z_60", "return", ("close",), 60, "sigma",
            "Newest return over the standard deviation of the last 60.", _DEFINITION,
            partial(standardised_return, window=60)),
    Feature("return_15_scaled_240", "return", ("close",), 240, "sigma",
            "15-bar return over what a random walk with the volatility of 240 bars covers in 15.", _DEFINITION,
            partial(scaled_return, lag=15, window=240)),
    Feature("return_t_60", "return", ("close",), 60, "sigma",
            "t statistic of the mean return of 60 bars.", "Moskowitz, Ooi, Pedersen (2012), J. Fin. Econ. 104",
            partial(mean_return_t, window=60)),
    Feature("rising_share_60", "return", ("close",), 60, "fraction",
            "Share of 60 bars that closed above the close before.", _DEFINITION,
            partial(rising_share, window=60), bounds=(0.0, 1.0)),
    Feature("drawdown_240", "return", ("close",), 239, "log return",
            "Log distance of the close below the highest close of 240 bars.", _DEFINITION,
            partial(drawdown, window=240), bounds=(-np.inf, 0.0)),
    Feature("rise_240", "return", ("close",), 239, "log return",
            "Log distance of the close above the lowest close of 240 bars.", _DEFINITION,
            partial(rise_from_low, window=240), bounds=(0.0, np.inf)),
)
