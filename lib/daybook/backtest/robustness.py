"""How much of a frozen candidate's result is left when costs, timing, parameters, markets and times change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from daybook.backtest.baselines import DRAWS, RandomRule, buy_and_hold, random_rule
from daybook.backtest.block_figures import BLOCK, BlockFigures, block_sharpe, too_few_trades
from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.market_states import HourStates, StateFigures, by_session, by_volatility
from daybook.backtest.neighbourhood import Neighbour, Neighbourhood, judged, neighbour_values
from daybook.backtest.replay import Simulation, replay_bits
from daybook.backtest.sweep import block_returns, sweep
from daybook.core.arrays import Bytes, Floats, Ints
from daybook.core.errors import UsageError
from daybook.core.time import Window
from daybook.execution import CostError, Costs, MeasuredCosts
from daybook.execution.measured import Level
from daybook.market.bars import Bars
from daybook.strategy import Strategy, signal_bits

PARTICIPATION = 0.01
"""Part of a bar's traded volume that a fill may be before its price is no longer the bar's."""
_FEWEST_MARKETS = 2
_PERCENTILES: tuple[Level, ...] = ("p50", "p90")
STRESSES: Mapping[str, str] = {
    "costs at p50": "sharpe_p50", "costs at p90": "sharpe_p90", "one bar later": "sharpe_bar_later",
}
"""The changes that every scorecard tells, and the column in which it tells the Sharpe ratio under each."""
_NOT_MEASURED = "costs are set, not measured, so that they have no percentiles"


@dataclass(frozen=True)
class Candidate:
    """A frozen strategy on one timeframe of one or several markets with equal capital, over one window.

    params: values by name, the strategy's defaults where absent. Bars before the window warm signals up and part
    volatility into terciles. min_trades: a Sharpe ratio of fewer trades is undefined. Raises UsageError without markets
    or with bars of several timeframes.
    """

    strategy: Strategy
    bars: tuple[Bars, ...]
    window: Window
    params: Mapping[str, float] | None = None
    costs: Costs = field(default_factory=Costs)
    conditions: Conditions = PLAIN
    min_trades: int = 0

    def __post_init__(self) -> None:
        timeframes = sorted({part.timeframe for part in self.bars})
        if len(timeframes) != 1:
            raise UsageError(f"candidate {self.strategy.name}: bars of {', '.join(timeframes) or 'no market'} are "
                             "given, needed is one timeframe of at least one market.")


@dataclass(frozen=True)
class Correlation:
    """How alike a candidate's hourly returns are to those of what is held already.

    n_incumbents: compared. highest, name: the largest absolute correlation, with its sign, and whose it is.
    by_name: each incumbent's, None where its returns never differ.
    """

    n_incumbents: int
    n_blocks: int
    highest: float | None
    name: str | None
    by_name: Mapping[str, float | None]
    reason: str | None = None


@dataclass(frozen=True)
class Capacity:
    """The capital in quote currency at which a median entry is `participation` of its bar's traded volume.

    capital: in all, split equally over the markets, so that the thinnest market sets it. by_market: symbol -> capital
    in this market alone, None where it was not entered. n: entries behind them.
    """

    n: int
    participation: float
    capital: float | None
    by_market: Mapping[str, float | None]
    reason: str | None = None


@dataclass(frozen=True)
class Robustness:
    """A candidate under every change; formulas and reading are in docs/BACKTEST_GUIDE.md, "Robustness".

    base: as it is. stressed: change -> figures. without: market left out -> figures of the others. volatility, session:
    state -> figures. Everything rests on hourly returns with equal capital in each market; what is None has a reason.
    """

    base: BlockFigures
    stressed: Mapping[str, BlockFigures]
    neighbourhood: Neighbourhood
    volatility: Mapping[str, StateFigures]
    session: Mapping[str, StateFigures]
    without: Mapping[str, BlockFigures]
    buy_and_hold: Mapping[str, BlockFigures]
    random_rule: RandomRule
    correlation: Correlation
    capacity: Capacity

    def as_dict(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


def robustness(
    candidate: Candidate, incumbents: Mapping[str, Floats] | None = None, *,
    holding: Mapping[str, BlockFigures] | None = None, draws: int = DRAWS, seed: int = 0,
) -> Robustness:
    """Put a candidate under every change.

    incumbents: name -> (B,) hourly returns over the same window. holding: what holding the markets made, that of the
    candidate's own bars when left out. draws, seed: of the random rules. Raises as `replay` does, and UsageError for
    incumbents of another length.
    """
    bars, costs, window = candidate.bars, candidate.costs, candidate.window
    grid = BlockGrid.of(window, BLOCK)
    bits = [_signals(candidate, part) for part in bars]
    simulations = _simulated(candidate, bits)
    blocks = np.stack([one.block_returns(BLOCK) for one in simulations])
    base = _figures(simulations, candidate.min_trades)
    states, entries = HourStates.of(bars, grid), _entries(simulations, grid)
    drawn = random_rule(simulations, bars, costs, draws=draws, seed=seed, conditions=candidate.conditions)
    return Robustness(
        base=base, stressed=_stressed(candidate, bits, base), neighbourhood=_neighbourhood(candidate, base),
        volatility=_told_states(by_volatility(states, blocks, entries), candidate, base),
        session=_told_states(by_session(states, blocks, entries), candidate, base),
        without=_without(candidate, simulations),
        buy_and_hold=holding or buy_and_hold(bars, costs, window, candidate.conditions),
        random_rule=_told_rule(drawn, base),
        correlation=correlation(blocks.mean(axis=0), incumbents or {}), capacity=capacity(simulations, bars),
    )


def _signals(candidate: Candidate, bars: Bars) -> Bytes:
    """(T,) uint8 for all bars, computed up to the window's end alone."""
    stop = int(np.searchsorted(bars.open_time, candidate.window.end_ms))
    bits = np.zeros(len(bars), dtype=np.uint8)
    bits[:stop] = signal_bits(candidate.strategy, bars.rows(0, stop), candidate.params)
    return bits


def _simulated(candidate: Candidate, bits: list[Bytes]) -> list[Simulation]:
    """The candidate on each of its markets, by its costs and conditions."""
    stops = candidate.strategy.stops(candidate.params)
    return [replay_bits(own, part, stops, candidate.costs, candidate.window, conditions=candidate.conditions)
            for part, own in zip(candidate.bars, bits, strict=True)]


def _figures(simulations: list[Simulation], min_trades: int) -> BlockFigures:
    blocks = np.mean([one.block_returns(BLOCK) for one in simulations], axis=0)
    return BlockFigures.of(blocks, sum(one.metrics.trades for one in simulations), min_trades)


def _told_states(
    states: Mapping[str, StateFigures], candidate: Candidate, base: BlockFigures
) -> dict[str, StateFigures]:
    """The states without a Sharpe ratio where the candidate has none, or entered too seldom in one."""
    found = {}
    for name, one in states.items():
        why = base.reason or too_few_trades(one.trades, candidate.min_trades)
        found[name] = one if one.sharpe is None or why is None else replace(one, sharpe=None, reason=why)
    return found


def _told_rule(drawn: RandomRule, base: BlockFigures) -> RandomRule:
    """The random rules beside a candidate; one without a Sharpe ratio has no place among theirs."""
    if base.sharpe is not None or drawn.reason is not None:
        return drawn
    return replace(drawn, sharpe_percentile=None, median_sharpe=None, high_sharpe=None, reason=base.reason)


def _entries(simulations: list[Simulation], grid: BlockGrid) -> Ints:
    """(M, B) int64 trades entered in each hour of each market."""
    return np.stack([
        np.bincount((one.trades["entry_time"].to_numpy(dtype=np.int64) - grid.start_ms) // grid.block_ms,
                    minlength=grid.count) for one in simulations])


def stressed_costs(costs: Costs) -> dict[str, Costs | str]:
    """The dearer cost models of a table, doubled and at the 50th and 90th percentile, or why there is none."""
    found: dict[str, Costs | str] = {}
    try:
        found["costs x 2"] = costs.scaled(2.0)
    except CostError as error:
        found["costs x 2"] = str(error)
    for level in _PERCENTILES:
        found[f"costs at {level}"] = costs.at(level) if isinstance(costs, MeasuredCosts) else _NOT_MEASURED
    return found


def stressed_fills(costs: Costs, conditions: Conditions) -> dict[str, tuple[Costs, Conditions] | str]:
    """What fills meet under each of STRESSES, or why it can not be told."""
    dearer = stressed_costs(costs)
    found: dict[str, tuple[Costs, Conditions] | str] = {}
    for change in STRESSES:
        met = dearer.get(change, costs)
        found[change] = met if isinstance(met, str) else (met, conditions)
    return {**found, "one bar later": (costs, replace(conditions, latency_bars=conditions.latency_bars + 1))}


def _stressed(candidate: Candidate, bits: list[Bytes], base: BlockFigures) -> dict[str, BlockFigures]:
    """Figures under each change; where the candidate itself has no Sharpe ratio there is none to keep."""
    found = {}
    for name, costs in stressed_costs(candidate.costs).items():
        if isinstance(costs, str):
            found[name] = BlockFigures.missing(costs)
        else:
            found[name] = _figures(_simulated(replace(candidate, costs=costs), bits), candidate.min_trades)
    later = replace(candidate.conditions, latency_bars=candidate.conditions.latency_bars + 1)
    found["one bar later"] = _figures(_simulated(replace(candidate, conditions=later), bits), candidate.min_trades)
    if base.sharpe is not None:
        return found
    return {name: one if one.sharpe is None else replace(one, sharpe=None, reason=base.reason)
            for name, one in found.items()}


def _neighbourhood(candidate: Candidate, base: BlockFigures) -> Neighbourhood:
    strategy = candidate.strategy
    values = strategy.bind(candidate.params)
    others = neighbour_values(strategy.parameters, values)
    if not others:
        return judged(base.sharpe, base.total_return or 0.0, ())
    sets = [{**values, name: value} for name, value in others]
    rows = block_returns(strategy, candidate.bars, sets, candidate.costs, candidate.window,
                         conditions=candidate.conditions)
    portfolios = rows.reshape(len(candidate.bars), len(sets), -1).mean(axis=0)
    counted = sweep(strategy, candidate.bars, sets, candidate.costs, candidate.window, conditions=candidate.conditions)
    trades = counted["trades"].to_numpy().reshape(len(candidate.bars), len(sets)).sum(axis=0)
    neighbours = tuple(
        Neighbour(name, value, BlockFigures.of(row, int(made), candidate.min_trades).sharpe, float(row.sum()))
        for (name, value), row, made in zip(others, portfolios, trades, strict=True))
    found = judged(base.sharpe, base.total_return or 0.0, neighbours)
    return found if base.sharpe is not None else replace(found, reason=base.reason)


def _without(candidate: Candidate, simulations: list[Simulation]) -> dict[str, BlockFigures]:
    names = [part.symbol for part in candidate.bars]
    if len(names) < _FEWEST_MARKETS:
        return {name: BlockFigures.missing("it is the only market") for name in names}
    return {name: _figures(simulations[:place] + simulations[place + 1:], candidate.min_trades)
            for place, name in enumerate(names)}


def correlation(blocks: Floats, incumbents: Mapping[str, Floats]) -> Correlation:
    """Correlate (B,) hourly returns with each incumbent's. Raises UsageError for an incumbent of another length."""
    found: dict[str, float | None] = {}
    for name, theirs in incumbents.items():
        if theirs.shape != blocks.shape:
            raise UsageError(f"correlation: {name} has hourly returns of shape {theirs.shape}, needed is "
                             f"{blocks.shape}. Give those of the same window.")
        defined = block_sharpe(blocks) is not None and block_sharpe(theirs) is not None
        found[name] = float(np.corrcoef(blocks, theirs)[0, 1]) if defined else None
    known = {name: value for name, value in found.items() if value is not None}
    if not known:
        reason = "the hourly returns never differ" if found else "there is no incumbent"
        return Correlation(len(found), blocks.size, None, None, found, reason)
    name = max(known, key=lambda one: abs(known[one]))
    return Correlation(len(found), blocks.size, known[name], name, found)


def capacity(
    simulations: list[Simulation], bars: tuple[Bars, ...], participation: float = PARTICIPATION
) -> Capacity:
    """How much capital the volume of the bars in which the candidate entered can fill, at the median entry.

    simulations: one for each of the bars, at sizes that use up the capital at every entry.
    """
    found: dict[str, float | None] = {}
    entries = 0
    for one, part in zip(simulations, bars, strict=True):
        at = np.searchsorted(part.open_time, one.trades["entry_time"].to_numpy(dtype=np.int64))
        entries += at.size
        turnover = part.volume[at] * part.close[at]
        found[part.symbol] = participation * float(np.median(turnover)) if at.size else None
    if any(value is None for value in found.values()):
        never = ", ".join(name for name, value in found.items() if value is None)
        return Capacity(entries, participation, None, found, f"{never} was never entered")
    thinnest = min(value for value in found.values() if value is not None)
    return Capacity(entries, participation, thinnest * len(found), found)
