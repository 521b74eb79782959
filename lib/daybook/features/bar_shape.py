"""Bar shape features: what one bar and the one before it look like."""

from __future__ import annotations

from functools import partial

import numpy as np

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.rolling_kernel import ratio, rolling_sum
from daybook.features.series import Series, lagged

_CANDLE = "Nison (1991), Japanese Candlestick Charting Techniques"


def body_share(series: Series) -> Floats:
    """(close - open) / (high - low), -1 to 1; NaN in a bar without range."""
    return ratio(series.close - series.open, series.high - series.low)


def upper_shadow(series: Series) -> Floats:
    """(high - max(open, close)) / (high - low); NaN in a bar without range."""
    return ratio(series.high - np.maximum(series.open, series.close), series.high - series.low)


def lower_shadow(series: Series) -> Floats:
    """(min(open, close) - low) / (high - low); NaN in a bar without range."""
    return ratio(np.minimum(series.open, series.close) - series.low, series.high - series.low)


def log_range(series: Series) -> Floats:
    """log(high / low)."""
    return series.log_range


def range_ratio(series: Series, window: int) -> Floats:
    """log(high / low) over its mean of the window; NaN where no bar had a range."""
    return ratio(series.log_range * window, rolling_sum(series.log_range, window))


def mean_body(series: Series, window: int) -> Floats:
    """Sum of bodies over sum of ranges, -1 to 1; NaN where no bar had a range."""
    return ratio(rolling_sum(series.close - series.open, window), rolling_sum(series.high - series.low, window))


def inside_outside(series: Series) -> Floats:
    """-1 inside the bar before, 1 outside it on both sides, else 0."""
    before_high, before_low = lagged(series.high, 1), lagged(series.low, 1)
    inside = (series.high <= before_high) & (series.low >= before_low)
    outside = (series.high > before_high) & (series.low < before_low)
    return np.where(np.isnan(before_high), np.nan, outside.astype(np.float64) - inside)


def overlap(series: Series) -> Floats:
    """Common part of this bar's and the last bar's range over their joint range; NaN where neither has any."""
    before_high, before_low = lagged(series.high, 1), lagged(series.low, 1)
    common = np.minimum(series.high, before_high) - np.maximum(series.low, before_low)
    return ratio(np.maximum(common, 0.0), np.maximum(series.high, before_high) - np.minimum(series.low, before_low))


FEATURES: tuple[Feature, ...] = (
    Feature("body_share", "bar", ("open", "high", "low", "close"), 0, "fraction",
            "Signed body over range.", f"{_CANDLE}; as TA-Lib BOP", body_share, bounds=(-1.0, 1.0)),
    Feature("upper_shadow", "bar", ("open", "high", "low", "close"), 0, "fraction",
            "Shadow above the body over range.", _CANDLE, upper_shadow, bounds=(0.0, 1.0)),
    Feature("lower_shadow", "bar", ("open", "high", "low", "close"), 0, "fraction",
            "Shadow below the body over range.", _CANDLE, lower_shadow, bounds=(0.0, 1.0)),
    Feature("range_1", "bar", ("high", "low"), 0, "log return",
            "Log of high over low.", "by definition", log_range, bounds=(0.0, np.inf)),
    Feature("range_ratio_20", "bar", ("high", "low"), 19, "ratio",
            "Range over the mean range of 20 bars.", "by definition", partial(range_ratio, window=20),
            bounds=(0.0, 20.0)),
    Feature("mean_body_10", "bar", ("open", "high", "low", "close"), 9, "fraction",
            "Sum of the signed bodies of 10 bars over the sum of their ranges.", _CANDLE,
            partial(mean_body, window=10), bounds=(-1.0, 1.0)),
    Feature("inside_outside", "bar", ("high", "low"), 1, "state",
            "-1 within the range of the bar before, 1 beyond it on both sides, else 0.", _CANDLE, inside_outside,
            bounds=(-1.0, 1.0)),
    Feature("overlap_1", "bar", ("high", "low"), 1, "fraction",
            "Range shared with the bar before over the range of both.", "by definition", overlap, bounds=(0.0, 1.0)),
)
