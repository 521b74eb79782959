"""Band and channel features: where the close lies between what the recent bars span, and how wide that is."""

from __future__ import annotations

from functools import partial

import numpy as np

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.rolling_kernel import ratio, rolling_moments, rolling_sum
from daybook.features.series import Series, lagged
from daybook.features.settling import settling

_BOLLINGER = "Bollinger (2001), Bollinger on Bollinger Bands; as TA-Lib BBANDS"
_DONCHIAN = "Donchian's channel, by definition"
_KELTNER = "Keltner (1960), with Wilder's average true range"


def _close_deviation(series: Series, window: int) -> tuple[Floats, Floats]:
    mean = series.shared(("close_mean", window), lambda: rolling_moments(series.close, window)[0])
    return mean, series.shared(("close_deviation", window), lambda: np.sqrt(rolling_moments(series.close, window)[1]))


def close_z(series: Series, window: int) -> Floats:
    """Standard deviations of the close above the window's mean; NaN where the close did not move."""
    mean, deviation = _close_deviation(series, window)
    return ratio(series.close - mean, deviation)


def bollinger_position(series: Series, window: int) -> Floats:
    """Place of the close between the bands at 2 standard deviations: 0 lower, 1 upper; NaN where they coincide."""
    return 0.5 + 0.25 * close_z(series, window)


def bollinger_width(series: Series, window: int) -> Floats:
    """Upper less lower band (2 standard deviations), over the mean."""
    mean, deviation = _close_deviation(series, window)
    return 4.0 * deviation / mean


def keltner_gap(series: Series, window: int) -> Floats:
    """Distance of the close from its EMA in average true ranges; NaN in a flat window."""
    gap = ratio(series.close - series.ema(window), series.average_true_range(window))
    gap[series.flat(window)] = np.nan
    return gap


def squeeze(series: Series, window: int) -> Floats:
    """Bollinger half width (2 sd) over Keltner half width (1.5 average true ranges): below 1 the market is coiled."""
    _, deviation = _close_deviation(series, window)
    values = ratio(2.0 * deviation, 1.5 * series.average_true_range(window))
    values[series.flat(window)] = np.nan
    return values


def donchian_position(series: Series, window: int) -> Floats:
    """Place of the close in the window's range, 0 to 1; NaN in a flat window."""
    low = series.lowest(window)
    return ratio(series.close - low, series.highest(window) - low)


def breakout_above(series: Series, window: int) -> Floats:
    """log(close / highest high of the window before this bar)."""
    return np.log(series.close / lagged(series.highest(window), 1))


def breakout_below(series: Series, window: int) -> Floats:
    """log(close / lowest low of the window before this bar)."""
    return np.log(series.close / lagged(series.lowest(window), 1))


def vwap_gap(series: Series, window: int) -> Floats:
    """close over the window's volume-weighted typical price, less 1; NaN where nothing traded."""
    typical = (series.high + series.low + series.close) / 3.0
    traded = rolling_sum(typical * series.volume, window)
    return ratio(series.close * series.volume_sum(window), traded) - 1.0


FEATURES: tuple[Feature, ...] = (
    Feature("bollinger_position_20", "bands", ("close",), 19, "fraction",
            "Place of the close between Bollinger bands of 20 bars, 2 sd.", _BOLLINGER,
            partial(bollinger_position, window=20)),
    Feature("bollinger_width_20", "bands", ("close",), 19, "fraction",
            "Width of the Bollinger bands of 20 bars, 2 sd, over their middle.", _BOLLINGER,
            partial(bollinger_width, window=20), bounds=(0.0, np.inf)),
    Feature("close_z_240", "bands", ("close",), 239, "sigma",
            "Standard deviations of the close above its mean of 240 bars.", "by definition",
            partial(close_z, window=240)),
    Feature("keltner_gap_20", "bands", ("high", "low", "close"), settling(20, 1.0 / 20), "ratio",
            "Close less its exponential average of 20, in average true ranges of 20.", _KELTNER,
            partial(keltner_gap, window=20), recursive=True),
    Feature("squeeze_20", "bands", ("high", "low", "close"), settling(20, 1.0 / 20), "ratio",
            "Bollinger over Keltner half width: below 1 the market is coiled.", "Carter (2005), Mastering the Trade",
            partial(squeeze, window=20), recursive=True, bounds=(0.0, np.inf)),
    *(
        Feature(f"donchian_position_{window}", "bands", ("high", "low", "close"), window - 1, "fraction",
                f"Place of the close between the low and the high of {window} bars.", _DONCHIAN,
                partial(donchian_position, window=window), bounds=(0.0, 1.0))
        for window in (60, 240)
    ),
    Feature("breakout_above_20", "bands", ("high", "close"), 20, "log return",
            "Log distance of the close above the high of the 20 bars before.", _DONCHIAN,
            partial(breakout_above, window=20)),
    Feature("breakout_below_20", "bands", ("low", "close"), 20, "log return",
            "Log distance of the close above the low of the 20 bars before.", _DONCHIAN,
            partial(breakout_below, window=20)),
    Feature("vwap_gap_60", "bands", ("high", "low", "close", "volume"), 59, "fraction",
            "Close over the volume-weighted price of 60 bars, less 1.", "by definition",
            partial(vwap_gap, window=60)),
)
