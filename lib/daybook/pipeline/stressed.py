"""The columns of every scorecard that tell what dearer and later fills leave of its Sharpe ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daybook.backtest.block_figures import BlockFigures
from daybook.backtest.robustness import STRESSES, stressed_fills
from daybook.core.time import TIMEFRAMES
from daybook.pipeline.day import Day
from daybook.pipeline.screening import LOST, Fills, Screened, screen

REASON = "stress_reason"
"""Why figures are missing."""
STRESS_COLUMNS = (*STRESSES.values(), REASON)
"""Sharpe ratios of hourly returns, per year of 365 days, and the reason."""
STRESS_TYPES = dict.fromkeys(STRESSES.values(), "float64")


def stress_columns(values: Mapping[str, float | None], reasons: Mapping[str, str]) -> dict[str, Any]:
    """STRESS_COLUMNS of one scorecard. values, reasons: by column; reasons of those without a value."""
    missing: dict[str, list[str]] = {}
    for change, column in STRESSES.items():
        if values[column] is None:
            missing.setdefault(reasons[column], []).append(change)
    told = "; ".join(f"{', '.join(changes)}: {reason}" for reason, changes in missing.items())
    return {**{column: values[column] for column in STRESSES.values()}, REASON: told}


def stressed_scorecards(day: Day, scored: Sequence[Screened]) -> dict[str, dict[str, Any]]:
    """Identity -> STRESS_COLUMNS of strategies that were scored on the day's window, simulated anew for each change.

    A strategy that was lost is not tried again. None of it is a trial: nothing is chosen by it.
    """
    found: dict[str, dict[str, BlockFigures]] = {one.strategy.identity: {} for one in scored}
    alive = [one.strategy for one in scored if not one.lost]
    for change, fills in stressed_fills(day.costs, day.conditions).items():
        again = [] if isinstance(fills, str) else screen(day, alive, day.window, timeframes=TIMEFRAMES,
                                                         fills=Fills(*fills))
        figures = {one.strategy.identity: _figures(one) for one in again}
        why = fills if isinstance(fills, str) else LOST
        for identity, told in found.items():
            told[STRESSES[change]] = figures.get(identity) or BlockFigures.missing(why)
    return {
        identity: stress_columns({column: one.sharpe for column, one in told.items()},
                                 {column: one.reason or "undefined" for column, one in told.items()})
        for identity, told in found.items()
    }


def _figures(one: Screened) -> BlockFigures:
    return BlockFigures.missing(LOST) if one.lost else BlockFigures.of(one.blocks, int(one.rows["trades"].sum()))
