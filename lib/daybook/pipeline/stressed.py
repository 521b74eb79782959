"""The columns of every scorecard that tell what dearer and later fills leave of its Sharpe ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daybook.backtest.block_figures import BlockFigures
from daybook.backtest.neighbourhood import neighbour_values
from daybook.backtest.robustness import STRESSES, stressed_costs, stressed_fills
from daybook.core.time import TIMEFRAMES
from daybook.pipeline.day import Day
from daybook.pipeline.screening import LOST, Fills, Screened, count_trials, screen
from daybook.rank import TrialLedger
from daybook.strategy import Strategy

_LATER = "one bar later"
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


def stressed_scorecards(
    day: Day, ledger: TrialLedger, scored: Sequence[Screened], births: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Identity -> STRESS_COLUMNS of strategies that were scored on the day's window, simulated anew for each change.

    A strategy that was lost is not tried again; one without a Sharpe ratio has none to keep. Nothing is chosen by these
    simulations; they are trials all the same.
    births: as in count_trials.
    """
    found: dict[str, dict[str, BlockFigures]] = {one.strategy.identity: {} for one in scored}
    alive = [one.strategy for one in scored if not one.lost]
    none = {one.strategy.identity: one.result.reason or "undefined" for one in scored if one.result.sharpe is None}
    for change, fills in stressed_fills(day.costs, day.conditions).items():
        again = [] if isinstance(fills, str) else screen(day, alive, day.window, timeframes=TIMEFRAMES,
                                                         fills=Fills(*fills))
        _count(ledger, day, again, change, births)
        figures = {one.strategy.identity: _figures(one, day.settings.min_trades) for one in again}
        figures |= {identity: BlockFigures.missing(none[identity]) for identity in figures.keys() & none.keys()}
        why = fills if isinstance(fills, str) else LOST
        for identity, told in found.items():
            told[STRESSES[change]] = figures.get(identity) or BlockFigures.missing(why)
    return {
        identity: stress_columns({column: one.sharpe for column, one in told.items()},
                                 {column: one.reason or "undefined" for column, one in told.items()})
        for identity, told in found.items()
    }


def count_changes(day: Day, ledger: TrialLedger, candidates: Sequence[Strategy]) -> None:
    """Enter every change that the robustness of frozen candidates looks at: costs, a bar later, each moved parameter.

    Robustness simulates one candidate at a time and keeps figures alone; here the same simulations leave a row a market
    with their returns. Its draws of random rules and its holding are yardsticks, no evaluations of the candidate.
    """
    dearer = {name: costs for name, costs in stressed_costs(day.costs).items() if not isinstance(costs, str)}
    fills = {name: Fills(costs, day.conditions) for name, costs in dearer.items()}
    later = stressed_fills(day.costs, day.conditions)[_LATER]
    if not isinstance(later, str):
        fills[_LATER] = Fills(*later)
    for change, met in fills.items():
        _count(ledger, day, screen(day, candidates, day.window, timeframes=TIMEFRAMES, fills=met), change)
    moved = {one.identity: [{**one.defaults, name: value} for name, value in
                            neighbour_values(one.parameters, one.defaults)] for one in candidates}
    movable = [one for one in candidates if moved[one.identity]]
    sets = {one.identity: moved[one.identity] for one in movable}
    _count(ledger, day, screen(day, movable, day.window, params=sets, timeframes=TIMEFRAMES), "a parameter moved")


def _count(
    ledger: TrialLedger, day: Day, found: Sequence[Screened], change: str, births: Mapping[str, int] | None = None
) -> None:
    count_trials(ledger, day, "stress", "robustness", [one.under(change) for one in found], day.window, births)


def _figures(one: Screened, min_trades: int) -> BlockFigures:
    if one.lost:
        return BlockFigures.missing(LOST)
    return BlockFigures.of(one.blocks, int(one.rows["trades"].sum()), min_trades)
