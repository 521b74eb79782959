"""The five targets: what a model is asked at a bar's close, and when the answer is known.

A question is put at the close of bar t. The trade it is about enters at the open of bar t + 1 and, unless a barrier
ends it, leaves at the open of bar t + 1 + horizon. A label is unknown (NaN, not valid) where a bar of that span is
missing: it is never guessed across a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.time import timeframe_ms
from daybook.market.bars import Bars
from daybook.models.errors import ModelSettingError
from daybook.models.state import log_returns, market_state, whole_ahead

UNKNOWN_TIME = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LabelSettings:
    """Horizon and scales shared by the five targets.

    horizon: bars from entry to exit, 1 or more. barrier: distance of both momentum barriers in trailing volatilities
    of one horizon. volatility_window: bars of trailing volatility.
    """

    horizon: int = 12
    barrier: float = 1.0
    volatility_window: int = 288

    def __post_init__(self) -> None:
        for name, found, least in (("horizon", self.horizon, 1), ("volatility_window", self.volatility_window, 2)):
            if found < least:
                raise ModelSettingError(f"models: {name} is {found} bars, allowed is {least} or more.")
        if not self.barrier > 0.0:
            raise ModelSettingError(f"models: barrier is {self.barrier} volatilities, allowed is more than 0.")


@dataclass(frozen=True)
class Labels:
    """The answers to one target's question, one row a bar.

    value: (T,) float64, NaN where unknown. known_at: (T,) int64 ms UTC at which the value is known (UNKNOWN_TIME where
    it is not). valid: value is known. fit: valid and used for fitting and scoring (outside the dead zone).
    weight: (T,) uniqueness in (0, 1]: the mean share that this label has of each bar of its span.
    """

    value: Floats
    known_at: Ints
    valid: Bools
    fit: Bools
    weight: Floats


Labeller = Callable[[Bars, LabelSettings, Floats], Labels]


def direction_labels(bars: Bars, settings: LabelSettings, round_trip: Floats) -> Labels:
    """+1 or -1: the sign of the log return from the next open to the open one horizon later.

    round_trip: (T,) cost fraction of entry and exit. Moves that do not exceed it are valid but not fitted: which way
    such a trade went did not matter.
    """
    returns, known_at = _horizon_returns(bars, settings.horizon)
    valid = np.isfinite(returns)
    value = np.where(valid, np.where(returns > 0.0, 1.0, -1.0), np.nan)
    fit = valid & (np.abs(np.where(valid, returns, 0.0)) > round_trip)
    return _labels(value, known_at, fit, _horizon_ends(bars, settings.horizon))


def price_labels(bars: Bars, settings: LabelSettings, round_trip: Floats) -> Labels:
    """The log return from the next open to the open one horizon later, never a price level."""
    returns, known_at = _horizon_returns(bars, settings.horizon)
    return _labels(returns, known_at, np.isfinite(returns), _horizon_ends(bars, settings.horizon))


def risk_labels(bars: Bars, settings: LabelSettings, round_trip: Floats) -> Labels:
    """The worst excursion of a long trade: lowest low of the horizon over the next open, minus 1 (never positive)."""
    horizon = settings.horizon
    value = np.full(len(bars), np.nan)
    whole = whole_ahead(bars, horizon)
    if len(bars) > horizon:
        lows = np.lib.stride_tricks.sliding_window_view(bars.low[1:], horizon).min(axis=1)
        value[: lows.size] = lows / bars.open[1 : 1 + lows.size] - 1.0
    value[~whole] = np.nan
    return _labels(value, _close_after(bars, horizon), whole, _horizon_ends(bars, horizon))


def volatility_labels(bars: Bars, settings: LabelSettings, round_trip: Floats) -> Labels:
    """Log of the sum of squared close-to-close log returns over the horizon; a frozen price has none."""
    horizon = settings.horizon
    variance = np.full(len(bars), np.nan)
    whole = whole_ahead(bars, horizon)
    if len(bars) > horizon:
        sums = np.lib.stride_tricks.sliding_window_view(log_returns(bars)[1:] ** 2, horizon).sum(axis=1)
        variance[: sums.size] = sums
    moved = whole & (np.nan_to_num(variance) > 0.0)
    value = np.log(np.where(moved, variance, np.nan))
    return _labels(value, _close_after(bars, horizon), moved, _horizon_ends(bars, horizon))


def momentum_labels(bars: Bars, settings: LabelSettings, round_trip: Floats) -> Labels:
    """Triple barrier: 1 if the move of the last horizon continues, 0 if it reverts.

    Both barriers stand `barrier` trailing volatilities of one horizon from the next open, so that a driftless price
    continues as often as it reverts. The first touched decides; without a touch the sign of the return at the
    horizon does, and such a row is fitted only where that return exceeds the round trip. A bar that touches both
    barriers says nothing about which came first: its label is unknown.
    Source: López de Prado (2018), Advances in Financial Machine Learning, chapter 3.
    """
    horizon, size = settings.horizon, len(bars)
    state = market_state(bars, horizon, settings.volatility_window)
    distance = settings.barrier * state.horizon_volatility
    outcome, touch = _first_touch(bars, distance, horizon)
    returns, known_at = _horizon_returns(bars, horizon)
    touched = np.isfinite(outcome) & (outcome != 0.0)
    timed_out = outcome == 0.0
    outcome = np.where(timed_out, np.sign(returns), outcome)
    past = np.sign(state.past_return)
    asked = np.isfinite(distance) & np.isfinite(past) & (past != 0.0)
    valid = asked & np.isfinite(outcome) & (outcome != 0.0)
    value = np.where(valid, (outcome == past).astype(np.float64), np.nan)
    touch_row = np.minimum(np.arange(size) + touch, size - 1)
    known_at = np.where(touched, bars.close_time[touch_row] if size else known_at, known_at)
    fit = valid & (touched | (np.abs(np.nan_to_num(returns)) > round_trip))
    ends = np.where(touched, touch_row, _horizon_ends(bars, horizon))
    return _labels(value, known_at, fit, ends)


LABELLERS: Mapping[str, Labeller] = {
    "direction": direction_labels,
    "risk": risk_labels,
    "price": price_labels,
    "momentum": momentum_labels,
    "volatility": volatility_labels,
}


def uniqueness(ends: Ints) -> Floats:
    """(T,) mean share of a label in each bar of its span [t + 1, ends[t]]; a row without a span gets 1.

    Shares count every row's span, fitted or not: whether a later row falls into the dead zone is not known yet.
    Source: López de Prado (2018), Advances in Financial Machine Learning, section 4.4.
    """
    size = ends.size
    starts = np.arange(size) + 1
    spans = ends >= starts
    change = np.zeros(size + 2)
    np.add.at(change, starts[spans], 1.0)
    np.add.at(change, ends[spans] + 1, -1.0)
    share = 1.0 / np.maximum(np.cumsum(change), 1.0)
    total = np.concatenate([[0.0], np.cumsum(share)])
    weight = np.ones(size)
    length = (ends - starts + 1)[spans]
    weight[spans] = (total[ends[spans] + 1] - total[starts[spans]]) / length
    return weight


def _labels(value: Floats, known_at: Ints, fit: Bools, ends: Ints) -> Labels:
    valid = np.isfinite(value)
    return Labels(value, np.where(valid, known_at, UNKNOWN_TIME), valid, fit & valid, uniqueness(ends))


def _horizon_returns(bars: Bars, horizon: int) -> tuple[Floats, Ints]:
    """Log return from the open of t + 1 to the open of t + 1 + horizon, and the time of that last open."""
    returns = np.full(len(bars), np.nan)
    known_at = np.full(len(bars), UNKNOWN_TIME)
    reach = horizon + 1
    if len(bars) > reach:
        logs = np.log(bars.open)
        returns[:-reach] = logs[reach:] - logs[1:-horizon]
        known_at[:-reach] = bars.open_time[reach:]
    returns[~whole_ahead(bars, reach)] = np.nan
    return returns, known_at


def _close_after(bars: Bars, horizon: int) -> Ints:
    """Close time of the last bar of the horizon."""
    return bars.open_time + (horizon + 1) * timeframe_ms(bars.timeframe)


def _horizon_ends(bars: Bars, horizon: int) -> Ints:
    """Row of the last bar of each label's span, clipped to the bars there are."""
    return np.minimum(np.arange(len(bars)) + horizon, len(bars) - 1)


def _first_touch(bars: Bars, distance: Floats, horizon: int) -> tuple[Floats, Ints]:
    """Which barrier is touched first within the horizon, and how many bars after t.

    distance: (T,) log distance of both barriers from the next open.
    Returns outcome (T,): +1 upper, -1 lower, 0 neither, NaN where both in one bar or where bars are missing.
    """
    size = len(bars)
    outcome, touch = np.zeros(size), np.full(size, horizon)
    open_rows = np.minimum(np.arange(size) + 1, max(size - 1, 0))
    entry = bars.open[open_rows]
    with np.errstate(invalid="ignore"):
        upper, lower = entry * np.exp(distance), entry * np.exp(-distance)
    undecided = np.isfinite(distance)
    outcome[~undecided] = np.nan
    for ahead in range(1, horizon + 1):
        rows = np.minimum(np.arange(size) + ahead, max(size - 1, 0))
        there = undecided & whole_ahead(bars, ahead)
        outcome[undecided & ~there] = np.nan
        undecided = there
        up, down = undecided & (bars.high[rows] >= upper), undecided & (bars.low[rows] <= lower)
        outcome[up & ~down], outcome[down & ~up], outcome[up & down] = 1.0, -1.0, np.nan
        touch[up | down] = ahead
        undecided = undecided & ~(up | down)
    return outcome, touch
