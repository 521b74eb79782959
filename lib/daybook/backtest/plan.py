"""Which simulations a sweep runs: specs x markets x parameter sets, in one fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from daybook.core.errors import UsageError
from daybook.core.hashing import canonical_json
from daybook.market.bars import Bars
from daybook.strategy import Strategy, StrategySpec, parse_spec

SpecLike: TypeAlias = Strategy | StrategySpec | str | bytes | Mapping[str, Any]
"""A strategy, or whatever `parse_spec` turns into one."""
ParamSet: TypeAlias = Mapping[str, float]
Params: TypeAlias = Sequence[ParamSet] | Mapping[str, Sequence[ParamSet]]
"""Parameter sets for every spec, or identity -> parameter sets; a spec that is not named runs its defaults."""


class SweepError(UsageError):
    """Specs, bars or parameters from which no sweep can be made."""


@dataclass(frozen=True)
class Job:
    """One simulation to run: a strategy with all its parameters on the bars at position `market`."""

    strategy: Strategy
    market: int
    params: Mapping[str, float]
    params_text: str


@dataclass(frozen=True)
class SweepPlan:
    """The simulations of a sweep in the order of its rows: by spec, then bars, then parameter set."""

    bars: tuple[Bars, ...]
    jobs: tuple[Job, ...]

    def pieces(self, count: int) -> list[tuple[int, list[int]]]:
        """(market, row positions) of work units; each market is cut into equal parts until there are `count`."""
        rows: dict[int, list[int]] = {}
        for position, job in enumerate(self.jobs):
            rows.setdefault(job.market, []).append(position)
        parts = max(1, -(-count // len(rows)))
        return [(market, part) for market, positions in rows.items() for part in _cut(positions, parts)]

    @property
    def bar_count(self) -> int:
        """Bars over all simulations: the measure of the work."""
        return sum(len(self.bars[job.market]) for job in self.jobs)


def sweep_plan(specs: SpecLike | Iterable[SpecLike], bars: Bars | Iterable[Bars], params: Params | None) -> SweepPlan:
    """The simulations of a sweep; a spec skips the bars of a timeframe that it does not name.

    Raises SweepError when there is nothing to run, SpecError for a spec or for parameters unknown or out of range.
    """
    strategies = strategies_of(specs)
    markets = (bars,) if isinstance(bars, Bars) else tuple(bars)
    if not strategies or not markets:
        raise SweepError(f"sweep: {len(strategies)} specs and {len(markets)} markets given; at least one of each is "
                         "needed.")
    sets = _parameter_sets(strategies, params)
    jobs = tuple(Job(strategy, market, bound, text)
                 for strategy, bindings in zip(strategies, sets, strict=True)
                 for market, part in enumerate(markets) if part.timeframe in strategy.timeframes
                 for bound, text in bindings)
    if not jobs:
        wanted = sorted({timeframe for strategy in strategies for timeframe in strategy.timeframes})
        raise SweepError(f"sweep: the specs are for {', '.join(wanted)}, the bars given are "
                         f"{', '.join(part.name for part in markets)}. Give bars of a timeframe that a spec names.")
    return SweepPlan(markets, jobs)


def strategies_of(specs: SpecLike | Iterable[SpecLike]) -> list[Strategy]:
    """The strategies of one spec or of several. Raises SpecError for what is no spec."""
    if isinstance(specs, Strategy | StrategySpec | str | bytes | Mapping):
        specs = [specs]
    return [spec if isinstance(spec, Strategy) else parse_spec(spec) for spec in specs]


def _parameter_sets(strategies: list[Strategy], params: Params | None) -> list[list[tuple[dict[str, float], str]]]:
    """For each strategy its bound parameter sets with their canonical text."""
    if isinstance(params, Mapping):
        known = {strategy.identity for strategy in strategies}
        for key in params:
            if key not in known:
                raise SweepError(f"params: {key!r} is not the identity of a spec given. Name identities, or pass a "
                                 "sequence of parameter sets that every spec runs.")
    done = []
    for strategy in strategies:
        given = params.get(strategy.identity, [{}]) if isinstance(params, Mapping) else params
        if given is not None and len(given) == 0:
            raise SweepError(f"params: no parameter set for {strategy.name}. Give at least one, or None for its "
                             "defaults.")
        bound = [strategy.bind(chosen) for chosen in given or [{}]]
        done.append([(values, canonical_json(values)) for values in bound])
    return done


def _cut(positions: list[int], parts: int) -> list[list[int]]:
    """Contiguous parts whose lengths differ by one at most; never an empty one."""
    edges = [len(positions) * part // parts for part in range(parts + 1)]
    return [positions[start:stop] for start, stop in pairwise(edges) if stop > start]
