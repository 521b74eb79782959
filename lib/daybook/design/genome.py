"""What is bred: the trees, parameters and stops of a spec, its short side derived where it mirrors the long one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from daybook.core.errors import UsageError
from daybook.core.time import TIMEFRAMES
from daybook.design.grammar import THRESHOLDS
from daybook.design.mirror import MirrorError, UndirectedError, mirrored
from daybook.design.sense import makes_sense
from daybook.strategy import ParameterRange, Strategy, parse_spec
from daybook.strategy.build import call
from daybook.strategy.canonical import rounded, text
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Node, Number, Parameter, parameter_names
from daybook.strategy.operators import LONGEST_WINDOW
from daybook.strategy.parser import Budget, require_budget

DESIGN_BUDGET = Budget(nodes=30, depth=6, constants=6)
"""Tighter than the language: what a search may spend on one expression."""
MOST_PARAMETERS = 5
STOP_KEYS = ("stop_loss", "take_profit", "max_holding", "trailing_stop", "break_even")
_SHORTEST_TUNED = 5


@dataclass(frozen=True)
class Genome:
    """trees: signal -> tree; only the long side where `mirror` is set. Stops: literals or parameter names."""

    trees: Mapping[str, Node]
    parameters: Mapping[str, ParameterRange] = field(default_factory=dict)
    mirror: bool = True
    stop_loss: float | str | None = None
    take_profit: float | str | None = None
    max_holding: int | str | None = None
    timeframes: tuple[str, ...] = TIMEFRAMES
    trailing_stop: float | str | None = None
    break_even: float | str | None = None

    @property
    def stops(self) -> dict[str, float | str | None]:
        """Every stop by its key in a spec, None where it is off."""
        return {name: getattr(self, name) for name in STOP_KEYS}


def strategy_of(genome: Genome, name: str = "unnamed", rationale: str = "") -> Strategy | None:
    """The strategy a genome describes; None where the language, the design budget or good sense refuses it."""
    try:
        trees = _both_sides(genome)
        for node in trees.values():
            require_budget(node, DESIGN_BUDGET)
        stops = genome.stops
        used = {used for node in trees.values() for used in parameter_names(node)}
        used |= {stop for stop in stops.values() if isinstance(stop, str)}
        ranges = {key: genome.parameters[key].model_dump() for key in sorted(used)}
        strategy = parse_spec({"name": name, "rationale": rationale, "timeframes": list(genome.timeframes),
                               **{signal: text(node) for signal, node in trees.items()}, "parameters": ranges, **stops})
        for node in strategy.expressions.values():
            require_budget(node, DESIGN_BUDGET)
    except UsageError:
        return None
    sensible = all(makes_sense(node, genome.parameters) for node in strategy.expressions.values())
    return strategy if sensible else None


def _both_sides(genome: Genome) -> dict[str, Node]:
    """All four trees; an exit without a direction closes both sides. Raises MirrorError."""
    trees = dict(genome.trees)
    if genome.mirror:
        trees["short_entry"] = mirrored(trees["long_entry"], genome.parameters)
        if "long_exit" in trees:
            try:
                trees["short_exit"] = mirrored(trees["long_exit"], genome.parameters)
            except UndirectedError:
                trees["short_exit"] = trees["long_exit"]
    return {signal: node for signal, node in trees.items() if f"{signal.split('_')[0]}_entry" in trees}


def genome_of(strategy: Strategy) -> Genome:
    """The genome of any strategy; one whose short side mirrors its long side is bred as one side."""
    spec, trees = strategy.spec, dict(strategy.expressions)
    plain = Genome(trees, dict(strategy.parameters), False, timeframes=spec.timeframes,
                   **{name: getattr(spec, name) for name in STOP_KEYS})
    long_side = {signal: node for signal, node in trees.items() if signal.startswith("long")}
    folded = replace(plain, trees=long_side, mirror=True)
    try:
        same = bool(long_side) and {key: text(node) for key, node in _both_sides(folded).items()} == {
            key: text(node) for key, node in trees.items()}
    except MirrorError:
        same = False
    return folded if same else plain


def leaves(node: Node, owner: str = "") -> Iterator[tuple[str, Number]]:
    """Each literal of a tree with what it belongs to: its operator, or the indicator that it is compared with."""
    if isinstance(node, Number):
        yield owner, node
    elif isinstance(node, Call):
        compared = node.operator in ("gt", "lt", "ge", "le", "cross_above", "cross_below")
        main = node.arguments[0]
        label = node.operator
        if compared:
            label = main.operator if isinstance(main, Call) else getattr(main, "name", "")
        for argument in node.arguments:
            yield from leaves(argument, label)


def parameterised(genome: Genome, rng: np.random.Generator) -> Genome:
    """The genome with some of its literals turned into parameters with ranges, equal ones into the same parameter."""
    found = {(owner, leaf.kind, leaf.value): None for signal in sorted(genome.trees)
             for owner, leaf in leaves(genome.trees[signal])}
    keys = [key for key in found if _range(*key) is not None]
    room = max(0, MOST_PARAMETERS - len(genome.parameters))
    chosen = [keys[place] for place in sorted(rng.permutation(len(keys))[:room])]
    parameters = dict(genome.parameters)
    names: dict[tuple[str, Kind, float], str] = {}
    for key in chosen:
        allowed = _range(*key)
        if allowed is not None:
            names[key] = _free_name(f"{key[0]}_{'window' if key[1] == Kind.WINDOW else 'level'}", parameters)
            parameters[names[key]] = allowed
    trees = {signal: _named(node, names, "") for signal, node in genome.trees.items()}
    return replace(genome, trees=trees, parameters=parameters)


def _named(node: Node, names: Mapping[tuple[str, Kind, float], str], owner: str) -> Node:
    if isinstance(node, Number):
        name = names.get((owner, node.kind, node.value))
        return Parameter(name, node.kind) if name else node
    if not isinstance(node, Call):
        return node
    compared = node.operator in ("gt", "lt", "ge", "le", "cross_above", "cross_below")
    main = node.arguments[0]
    label = node.operator
    if compared:
        label = main.operator if isinstance(main, Call) else getattr(main, "name", "")
    return call(node.operator, [_named(argument, names, label) for argument in node.arguments])


def _range(owner: str, kind: Kind, value: float) -> ParameterRange | None:
    """The range in which a literal may be tuned; None where it should stay as it is."""
    if kind == Kind.WINDOW:
        if value < _SHORTEST_TUNED:
            return None
        low, high = max(3.0, value // 2), min(float(LONGEST_WINDOW), value * 2)
        return ParameterRange(low=low, high=high, default=value, integer=True)
    if owner in THRESHOLDS and owner != "div":
        low, high = THRESHOLDS[owner]
        reach = (high - low) / 6
        centred = min(max(value, low), high)
        return _bounded(max(low, centred - reach), min(high, centred + reach), value)
    if owner in ("mul", "div") and not 0.8 <= abs(value) <= 1.25 and value:
        ends = sorted((value * 0.5, value * 1.75))
        return _bounded(ends[0], ends[1], value)
    return None


def _bounded(low: float, high: float, value: float) -> ParameterRange | None:
    low, high = rounded(low), rounded(high)
    if not low < high or not low <= value <= high:
        return None
    return ParameterRange(low=low, high=high, default=value)


def _free_name(wish: str, taken: Mapping[str, ParameterRange]) -> str:
    name, number = wish, 2
    while name in taken:
        name, number = f"{wish}_{number}", number + 1
    return name
