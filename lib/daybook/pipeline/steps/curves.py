"""Hourly equity over the scoring window, and what holding the markets would have made in it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from daybook.backtest.baselines import held_blocks
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
    """Every market bought at the window's second minute and sold at its end, with equal capital, costs and funding.

    It ends where the figure beside every candidate does: both are `baselines.buy_and_hold` on 1m bars.
    """
    blocks = held_blocks(list(day.minute_bars.values()), day.costs, day.window, day.conditions)
    return hourly_curve(day, HOLDING, "benchmark", "", blocks.mean(axis=0))
