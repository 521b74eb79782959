"""Robustness of the candidates: each frozen, on the scoring window, under every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daybook.backtest.baselines import BASKET, buy_and_hold
from daybook.backtest.block_figures import BlockFigures
from daybook.backtest.robustness import Candidate, Robustness, robustness
from daybook.core.arrays import Floats
from daybook.core.seeds import derived_seed
from daybook.pipeline.day import Day
from daybook.pipeline.screening import Screened
from daybook.rank import PoolMember
from daybook.report import RobustnessRow, StateReturn
from daybook.strategy import parse_spec


def stressed_candidates(
    day: Day, members: Sequence[tuple[PoolMember, Screened]]
) -> tuple[tuple[RobustnessRow, ...], dict[str, Any]]:
    """Rows for the page, best candidate first, and everything by identity for the run's artefacts."""
    incumbents = incumbent_blocks(day)
    # On 1m bars whatever a candidate trades: one figure a day, and the end of the line that the charts draw.
    holding = buy_and_hold(list(day.minute_bars.values()), day.costs, day.window, day.conditions)
    found = {member.identity: _stressed(day, member, incumbents, holding) for member, _ in members}
    ordered = sorted((member for member, _ in members), key=lambda one: (-(one.score or -1.0), one.identity))
    rows = tuple(robustness_row(member, found[member.identity]) for member in ordered)
    return rows, {identity: one.as_dict() for identity, one in found.items()}


def incumbent_blocks(day: Day) -> dict[str, Floats]:
    """Name -> hourly returns of every strategy of yesterday's pool over the scoring window."""
    names = {member.identity: member.name for member in day.state.pools["strategy"].members}
    frame = day.read_table("00_score", "blocks").sort_values(["identity", "time_ms"])
    return {names[str(identity)]: np.asarray(part["block_return"], dtype=np.float64)
            for identity, part in frame.groupby("identity", sort=True) if str(identity) in names}


def _stressed(
    day: Day, member: PoolMember, incumbents: Mapping[str, Floats], holding: Mapping[str, BlockFigures]
) -> Robustness:
    bars = tuple(day.bars[member.timeframe][symbol] for symbol in day.settings.symbols)
    candidate = Candidate(parse_spec(member.spec), bars, day.window, costs=day.costs,
                          conditions=day.conditions, min_trades=day.settings.min_trades)
    seed = derived_seed(day.settings.seed, "random rules", day.sealed.day, member.identity)
    return robustness(candidate, incumbents, holding=holding, seed=seed)


def robustness_row(member: PoolMember, found: Robustness) -> RobustnessRow:
    """A candidate's robustness as the report says it; what is undefined carries its reason."""
    base, stressed, near = found.base, found.stressed, found.neighbourhood
    worst, without = _worst_without(found)
    hold = _held(found)
    values: dict[str, tuple[float | None, str | None]] = {
        "sharpe": (base.sharpe, base.reason), "total_return": (base.total_return, base.reason),
        "sharpe_double_costs": (stressed["costs x 2"].sharpe, stressed["costs x 2"].reason),
        "sharpe_p50": (stressed["costs at p50"].sharpe, stressed["costs at p50"].reason),
        "sharpe_p90": (stressed["costs at p90"].sharpe, stressed["costs at p90"].reason),
        "sharpe_bar_later": (stressed["one bar later"].sharpe, stressed["one bar later"].reason),
        "sharpe_without": without,
        "half": (near.half, near.reason), "hold_return": hold,
        "random_percentile": (found.random_rule.sharpe_percentile, found.random_rule.reason),
        "correlation": (found.correlation.highest, found.correlation.reason),
        "capacity": (found.capacity.capital, found.capacity.reason),
    }
    return RobustnessRow(
        name=member.name, identity=member.identity, timeframe=member.timeframe, trades=base.trades or 0,
        n_blocks=base.n_blocks, without=worst, neighbours=near.n, neighbourhood=near.verdict or "",
        volatility=_states(found.volatility), session=_states(found.session), random_rules=found.random_rule.n_draws,
        correlated_with=found.correlation.name or "",
        reasons={name: why or "undefined" for name, (value, why) in values.items() if value is None},
        **{name: value for name, (value, _) in values.items()},
    )


def _held(found: Robustness) -> tuple[float | None, str | None]:
    """Return of holding the markets: the basket, or the one market there is."""
    held = found.buy_and_hold.get(BASKET) or next(iter(found.buy_and_hold.values()))
    return held.total_return, held.reason


def _worst_without(found: Robustness) -> tuple[str, tuple[float | None, str | None]]:
    """The market without which the Sharpe ratio is the lowest.

    Where every known one is above 0, one without which it is undefined goes first: what is left may be worse.
    """
    if len(found.without) == 1:
        return "", (None, next(iter(found.without.values())).reason)
    known = {name: one.sharpe for name, one in found.without.items() if one.sharpe is not None}
    failed = bool(known) and min(known.values()) <= 0.0
    worst = min(known if failed else found.without, key=lambda name: (name in known, known.get(name, 0.0), name))
    return worst, (found.without[worst].sharpe, found.without[worst].reason)


def _states(states: Mapping[str, Any]) -> tuple[StateReturn, ...]:
    return tuple(StateReturn(state=name, total_return=one.total_return, n_hours=one.n_hours, trades=one.trades)
                 for name, one in states.items())
