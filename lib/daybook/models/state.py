"""What is known about a market at each bar's close and needed by labels, baselines and trading rules alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Bools, Floats
from daybook.core.time import timeframe_ms
from daybook.market.bars import Bars

HAR_MULTIPLES = (1, 6, 24)
"""Windows of the HAR baseline in horizons: at 12 bars of 5 minutes an hour, six hours and a day."""


@dataclass(frozen=True)
class MarketState:
    """Trailing measures of one market, each (T,) float64 and NaN until its window is full.

    bar_volatility: root mean square log return of one bar over the trailing `volatility_window` bars.
    horizon_volatility: bar_volatility scaled to the horizon by the square root of time.
    past_return, slow_return: log return of the last horizon, and of the last 24 horizons.
    har: (T, 3) log realised variance per horizon over the HAR windows. recent_volatility: its mean as a volatility of
    the horizon, which follows a change of weather sooner than horizon_volatility does.
    """

    bar_volatility: Floats
    horizon_volatility: Floats
    past_return: Floats
    slow_return: Floats
    har: Floats
    recent_volatility: Floats


def market_state(bars: Bars, horizon: int, volatility_window: int) -> MarketState:
    """The trailing measures of a market; nothing after a bar's close enters its row."""
    squared = log_returns(bars) ** 2
    mean_square = trailing_mean(squared, volatility_window)
    bar_volatility = np.sqrt(np.where(mean_square > 0.0, mean_square, np.nan))
    har = np.column_stack([_log_or_nan(trailing_mean(squared, horizon * m) * horizon) for m in HAR_MULTIPLES])
    return MarketState(
        bar_volatility=bar_volatility,
        horizon_volatility=bar_volatility * np.sqrt(horizon),
        past_return=trailing_return(bars, horizon),
        slow_return=trailing_return(bars, horizon * HAR_MULTIPLES[-1]),
        har=har,
        recent_volatility=np.exp(har.mean(axis=1) / 2.0),
    )


def log_returns(bars: Bars) -> Floats:
    """(T,) log return from the previous close to each close; NaN at the first bar and after a gap."""
    returns = np.full(len(bars), np.nan)
    if len(bars) > 1:
        returns[1:] = np.diff(np.log(bars.close))
        returns[1:][np.diff(bars.open_time) != timeframe_ms(bars.timeframe)] = np.nan
    return returns


def trailing_return(bars: Bars, reach: int) -> Floats:
    """(T,) log return of the last `reach` bars; NaN where they are not all there."""
    returns = np.full(len(bars), np.nan)
    if len(bars) > reach:
        logs = np.log(bars.close)
        whole = bars.open_time[reach:] - bars.open_time[:-reach] == reach * timeframe_ms(bars.timeframe)
        returns[reach:] = np.where(whole, logs[reach:] - logs[:-reach], np.nan)
    return returns


def trailing_mean(values: Floats, window: int) -> Floats:
    """(T,) mean of the known values among the last `window`; NaN where fewer than nine tenths of them are known.

    Summed window by window, not by a running total, so that a frozen price gives exactly zero.
    """
    means = np.full(values.size, np.nan)
    if values.size < window:
        return means
    known = np.isfinite(values)
    counts = np.lib.stride_tricks.sliding_window_view(known, window).sum(axis=1)
    sums = np.lib.stride_tricks.sliding_window_view(np.where(known, values, 0.0), window).sum(axis=1)
    enough = counts >= max(1, int(np.ceil(0.9 * window)))
    means[window - 1 :] = np.where(enough, sums / np.maximum(counts, 1), np.nan)
    return means


def whole_ahead(bars: Bars, reach: int) -> Bools:
    """(T,) whether the `reach` bars after each bar exist without a gap."""
    whole = np.zeros(len(bars), dtype=np.bool_)
    if len(bars) > reach:
        step = timeframe_ms(bars.timeframe)
        whole[: len(bars) - reach] = bars.open_time[reach:] - bars.open_time[:-reach] == reach * step
    return whole


def _log_or_nan(values: Floats) -> Floats:
    return np.log(np.where(values > 0.0, values, np.nan))
