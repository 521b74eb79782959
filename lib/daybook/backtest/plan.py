"""Which simulations a sweep runs: specs x markets x parameter sets, in one fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from daybook.core.arrays import Floats
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
class ParamTable:
    """N bound parameter sets of one strategy: name -> (N,) float64 in alphabetical order, and each set's JSON text."""

    columns: Mapping[str, Floats]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def params(self, position: int) -> dict[str, float]:
        """One of the sets, as `Strategy.bind` gives it."""
        return {name: float(column[position]) for name, column in self.columns.items()}

    def rows(self, start: int, stop: int) -> dict[str, list[float]]:
        """The values of sets [start, stop) by name."""
        return {name: column[start:stop].tolist() for name, column in self.columns.items()}


@dataclass(frozen=True)
class Group:
    """The simulations of one strategy on one market: rows [first, first + len(sets)) of the sweep."""

    strategy: Strategy
    market: int
    first: int
    sets: ParamTable


@dataclass(frozen=True)
class Span:
    """Parameter sets [start, stop) of a group."""

    group: Group
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """Where the results of these simulations belong in the table of the sweep."""
        return slice(self.group.first + self.start, self.group.first + self.stop)


@dataclass(frozen=True)
class SweepPlan:
    """The simulations of a sweep in the order of its rows: by spec, then bars, then parameter set."""

    bars: tuple[Bars, ...]
    groups: tuple[Group, ...]

    def __len__(self) -> int:
        return sum(len(group.sets) for group in self.groups)

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """Every simulation by itself, in the order of the rows."""
        return tuple(Job(group.strategy, group.market, group.sets.params(position), text)
                     for group in self.groups for position, text in enumerate(group.sets.texts))

    def pieces(self, count: int) -> list[tuple[int, list[Span]]]:
        """(market, its simulations) of work units; each market is cut into equal parts until there are `count`."""
        spans: dict[int, list[Span]] = {}
        for group in self.groups:
            spans.setdefault(group.market, []).append(Span(group, 0, len(group.sets)))
        parts = max(1, -(-count // len(spans)))
        return [(market, part) for market, listed in spans.items() for part in _cut(listed, parts)]

    @property
    def bar_count(self) -> int:
        """Bars over all simulations: the measure of the work."""
        return sum(len(self.bars[group.market]) * len(group.sets) for group in self.groups)


def sweep_plan(specs: SpecLike | Iterable[SpecLike], bars: Bars | Iterable[Bars], params: Params | None) -> SweepPlan:
    """The simulations of a sweep; a spec skips the bars of a timeframe that it does not name.

    Raises SweepError when there is nothing to run, SpecError for a spec or for parameters unknown or out of range.
    """
    strategies = strategies_of(specs)
    markets = (bars,) if isinstance(bars, Bars) else tuple(bars)
    if not strategies or not markets:
        raise SweepError(f"sweep: {len(strategies)} specs and {len(markets)} markets given; at least one of each is "
                         "needed.")
    groups: list[Group] = []
    rows = 0
    for strategy, sets in zip(strategies, _parameter_sets(strategies, params), strict=True):
        for market, part in enumerate(markets):
            if part.timeframe in strategy.timeframes:
                groups.append(Group(strategy, market, rows, sets))
                rows += len(sets)
    if not groups:
        wanted = sorted({timeframe for strategy in strategies for timeframe in strategy.timeframes})
        raise SweepError(f"sweep: the specs are for {', '.join(wanted)}, the bars given are "
                         f"{', '.join(part.name for part in markets)}. Give bars of a timeframe that a spec names.")
    return SweepPlan(markets, tuple(groups))


def strategies_of(specs: SpecLike | Iterable[SpecLike]) -> list[Strategy]:
    """The strategies of one spec or of several. Raises SpecError for what is no spec."""
    if isinstance(specs, Strategy | StrategySpec | str | bytes | Mapping):
        specs = [specs]
    return [spec if isinstance(spec, Strategy) else parse_spec(spec) for spec in specs]


def _parameter_sets(strategies: list[Strategy], params: Params | None) -> list[ParamTable]:
    """The parameter sets of each strategy, bound and checked."""
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
        done.append(_bound(strategy, given or [{}]))
    return done


def _bound(strategy: Strategy, given: Sequence[ParamSet]) -> ParamTable:
    """What `Strategy.bind` makes of each set. Raises SpecError as it does."""
    columns = _columns(strategy, given)
    if columns is None:
        bound = [strategy.bind(chosen) for chosen in given]
        columns = {name: np.array([values[name] for values in bound]) for name in strategy.defaults}
    if not columns:
        return ParamTable({}, [canonical_json({})] * len(given))
    pattern = ",".join(f"{canonical_json(name)}:%s" for name in columns)
    texts = (_texts(column.tolist()) for column in columns.values())
    return ParamTable(columns, [f"{{{pattern}}}" % values for values in zip(*texts, strict=True)])


def _texts(numbers: list[float]) -> list[str]:
    """Each number as JSON has it, written once where it occurs often; 0 and -0 are equal and have two texts."""
    known = {} if 0.0 in numbers else {number: repr(number) for number in set(numbers)}
    return [known.get(number) or repr(number) for number in numbers]


def _columns(strategy: Strategy, given: Sequence[ParamSet]) -> dict[str, Floats] | None:
    """The bound values by name, whole columns at a time; None for sets of different names or with a bad value."""
    names = given[0].keys()
    if not names <= strategy.defaults.keys() or any(chosen.keys() != names for chosen in given):
        return None
    columns = {}
    for name, default in strategy.defaults.items():
        if name not in names:
            columns[name] = np.full(len(given), default)
            continue
        try:
            column = np.array([chosen[name] for chosen in given], dtype=np.float64)
        except (TypeError, ValueError):
            return None
        allowed = strategy.parameters[name]
        fits = (column >= allowed.low) & (column <= allowed.high) & (not allowed.integer or column == np.trunc(column))
        if not fits.all():
            return None
        columns[name] = column
    return columns


def _cut(spans: list[Span], parts: int) -> list[list[Span]]:
    """Contiguous parts whose simulations differ by one at most; never an empty one."""
    total = sum(span.stop - span.start for span in spans)
    edges = [total * part // parts for part in range(parts + 1)]
    return [_between(spans, start, stop) for start, stop in pairwise(edges) if stop > start]


def _between(spans: list[Span], start: int, stop: int) -> list[Span]:
    """Simulations [start, stop) of all that the spans hold one after the other."""
    found, passed = [], 0
    for span in spans:
        first, last = max(start - passed, 0), min(stop - passed, span.stop - span.start)
        if first < last:
            found.append(Span(span.group, span.start + first, span.start + last))
        passed += span.stop - span.start
    return found
