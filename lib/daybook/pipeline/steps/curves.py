"""Hourly equity over the scoring window, and what holding the markets would have made in it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.time import HOUR_MS
from daybook.pipeline.day import Day
from daybook.report import Curve

HOLDING = "buy and hold, equal weights"


def hourly_curve(
    day: Day, name: str, role: Literal["strategy", "model", "ensemble", "benchmark"], identity: str, returns: Floats
) -> Curve:
    """Equity from (B,) hourly returns that are fractions of the starting capital: 1 + their sum."""
    equity = np.concatenate(([1.0], 1.0 + np.cumsum(returns))).round(9)
    return Curve(name=name, role=role, identity=identity, start_ms=day.window.start_ms, step_ms=HOUR_MS,
                 equity=tuple(equity.tolist()))


def buy_and_hold(day: Day) -> Curve:
    """Every market held with equal capital, the costs of one round trip and a perpetual's funding included."""
    return hourly_curve(day, HOLDING, "benchmark", "", _holding_returns(day))


def _holding_returns(day: Day) -> Floats:
    total = np.zeros((day.window.end_ms - day.window.start_ms) // HOUR_MS)
    ends = day.window.start_ms + HOUR_MS * (1 + np.arange(total.size))
    for bars in day.minute_bars.values():
        window = bars.within(day.window)
        side = day.costs.side_cost(window)
        entry = float(window.open[0] * (1.0 + side[0]))
        last = np.searchsorted(window.close_time, ends, side="right") - 1
        paid = np.cumsum(day.conditions.funding_due(window)[1:] * window.close[:-1] / entry)
        value = np.where(last >= 0, window.close[np.maximum(last, 0)] / entry, 1.0) - day.costs.fee
        value[-1] = float(window.close[-1] / entry) * (1.0 - side[-1] - day.costs.fee) - day.costs.fee
        value -= np.append(0.0, paid)[np.maximum(last, 0)]
        total += np.diff(value, prepend=1.0)
    return total / len(day.minute_bars)
