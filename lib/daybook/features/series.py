"""The bars as features read them: contiguous scaled arrays, and the intermediate series that several features share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import talib

from daybook.core.arrays import Bools, Floats, Ints
from daybook.features.errors import FeatureInputError
from daybook.features.peers import Peers
from daybook.features.rolling_kernel import (
    ratio,
    rolling_covariance,
    rolling_max,
    rolling_moments,
    rolling_sum,
    unchanged,
)
from daybook.market.bars import FIELDS, Bars

_TALIB_DIGITS = 16
_SHARED_ARRAYS = 16
"""Intermediates kept at a time: features that share one stand near each other, and so many fit a processor's cache."""

_LEAST_PRICE = float(np.nextafter(0.0, 1.0))
_LEAST_DEVIATION = 1e-12
"""A standard deviation of log returns below this is rounding of equal prices, not movement."""


class Series:
    """Prices, volume and shared intermediates of one table of bars; every array is (T,), oldest first.

    Prices are multiplied by one power of two, which brings the first close to 2**15..2**16 without any rounding:
    TA-Lib takes sums below an absolute 1e-14 for zero, which a coin priced at 1e-6 would meet. Divide by `price_scale`
    to return to quote currency. Features must not write into these arrays.
    others: bars of other markets on the same timeframe; `peers` shows them on this market's open times.
    Raises FeatureInputError when a price is not finite and positive, or a volume not finite and non-negative.
    """

    def __init__(self, bars: Bars, others: Sequence[Bars] = ()) -> None:
        require_tradable(bars)
        self.length = len(bars)
        self.timeframe = bars.timeframe
        self.symbol = bars.symbol
        self.peers = Peers(bars.open_time, others)
        self.open_time: Ints = np.ascontiguousarray(bars.open_time)
        exponent = int(np.frexp(bars.close[0])[1]) if self.length else 0
        self.price_scale = float(np.ldexp(1.0, _TALIB_DIGITS - exponent))
        self.open: Floats = bars.open * self.price_scale
        self.high: Floats = bars.high * self.price_scale
        self.low: Floats = bars.low * self.price_scale
        self.close: Floats = bars.close * self.price_scale
        self.volume: Floats = bars.volume * 1.0
        self._shared: dict[Hashable, Floats] = {}

    def shared(self, key: Hashable, build: Callable[[], Floats]) -> Floats:
        """What `build` returned, kept until _SHARED_ARRAYS others have been asked for since its last use."""
        values = self._shared.pop(key, None)
        if values is None:
            values = build()
        self._shared[key] = values
        if len(self._shared) > _SHARED_ARRAYS:
            del self._shared[next(iter(self._shared))]
        return values

    @property
    def log_close(self) -> Floats:
        """Logarithm of the close."""
        return self.shared("log_close", lambda: np.log(self.close))

    @property
    def log_return(self) -> Floats:
        """Log return from the close before; the first is NaN."""
        return self.shared("log_return", lambda: difference(self.log_close, 1))

    @property
    def absolute_return(self) -> Floats:
        """|log return|; the first is NaN."""
        return self.shared("absolute_return", lambda: np.abs(self.log_return))

    @property
    def squared_return(self) -> Floats:
        """Squared log return; the first is NaN."""
        return self.shared("squared_return", lambda: np.square(self.log_return))

    @property
    def log_range(self) -> Floats:
        """log(high / low)."""
        return self.shared("log_range", lambda: np.log(self.high / self.low))

    @property
    def turnover(self) -> Floats:
        """Quote currency turned over, taking the close for the bar's price."""
        return self.shared("turnover", lambda: self.close * self.volume / self.price_scale)

    @property
    def true_range(self) -> Floats:
        """Wilder's true range, in scaled price; the first is NaN."""
        return self.shared("true_range", lambda: np.asarray(talib.TRANGE(self.high, self.low, self.close)))

    def average_true_range(self, window: int) -> Floats:
        """Wilder's average true range, in scaled price."""
        return self.shared(("atr", window), lambda: np.asarray(talib.ATR(self.high, self.low, self.close, window)))

    def ema(self, window: int) -> Floats:
        """Exponential moving average of the close with weight 2 / (window + 1)."""
        return self.shared(("ema", window), lambda: np.asarray(talib.EMA(self.close, window)))

    def highest(self, window: int) -> Floats:
        """Highest high of the window."""
        return self.shared(("highest", window), lambda: rolling_max(self.high, window, 1.0))

    def lowest(self, window: int) -> Floats:
        """Lowest low of the window."""
        return self.shared(("lowest", window), lambda: rolling_max(self.low, window, -1.0))

    def volume_sum(self, window: int) -> Floats:
        """Volume of the window."""
        return self.shared(("volume", window), lambda: rolling_sum(self.volume, window))

    def realised(self, window: int) -> Floats:
        """Root mean squared log return of the window, zero mean assumed."""
        return self.shared(("realised", window), lambda: np.sqrt(rolling_sum(self.squared_return, window) / window))

    def return_deviation(self, window: int) -> Floats:
        """Population standard deviation of log returns in the window; 0 where they are equal."""
        return self.shared(("deviation", window), lambda: self._deviation(window))

    def _deviation(self, window: int) -> Floats:
        deviation = np.sqrt(rolling_moments(self.log_return, window)[1])
        deviation[deviation < _LEAST_DEVIATION] = 0.0
        return deviation

    def flat(self, window: int) -> Bools:
        """Where every price of the window is the same; false before the first whole window."""
        still: Bools = unchanged(self.high, self.low, window)
        return still


def require_tradable(bars: Bars) -> None:
    """Raise FeatureInputError at the first price that is not finite and positive, or volume not finite and >= 0."""
    for field in FIELDS:
        values: Floats = getattr(bars, field)
        least = 0.0 if field == "volume" else _LEAST_PRICE
        if values.size and not (values.min() >= least and values.max() < np.inf):
            first = int(np.argmin((values >= least) & (values < np.inf)))
            raise FeatureInputError(
                f"{bars.name}: {field} of bar {first} (open time {int(bars.open_time[first])} ms) is "
                f"{values[first]!r}; prices must be finite and positive, volumes finite and not negative. "
                "Quarantine such bars on import."
            )


def difference(values: Floats, lag: int) -> Floats:
    """values[t] - values[t - lag]; the first `lag` are NaN."""
    out = np.empty(values.size)
    out[:lag] = np.nan
    np.subtract(values[lag:], values[:-lag], out=out[lag:])
    return out


def lagged(values: Floats, lag: int) -> Floats:
    """values[t - lag]; the first `lag` are NaN."""
    out = np.empty(values.size)
    out[:lag] = np.nan
    out[lag:] = values[:-lag]
    return out


def rolling_mean(values: Floats, window: int) -> Floats:
    """Mean of each window."""
    mean = rolling_sum(values, window)
    mean /= window
    return mean


def rolling_deviation(values: Floats, window: int) -> Floats:
    """Population standard deviation of each window, exactly 0 where all values are equal."""
    return np.sqrt(rolling_moments(values, window)[1])


def rolling_correlation(x: Floats, y: Floats, window: int) -> Floats:
    """Pearson correlation of each window, within [-1, 1]; NaN where either side does not vary."""
    spread = rolling_deviation(x, window) * rolling_deviation(y, window)
    return np.clip(ratio(rolling_covariance(x, y, window), spread), -1.0, 1.0)
