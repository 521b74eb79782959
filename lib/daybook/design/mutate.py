"""Variation that respects types: every child is built through the typed constructor, or is not built at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from daybook.core.errors import UsageError
from daybook.design.genome import STOP_KEYS, Genome
from daybook.design.grammar import WINDOWS, comparison, condition, market_filter, pick, random_node
from daybook.strategy import ParameterRange
from daybook.strategy.build import call
from daybook.strategy.canonical import rounded
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter, parameter_names, size, walk

_SWAPS = (("sma", "ema", "wma"), ("gt", "lt"), ("gt", "cross_above"), ("lt", "cross_below"), ("highest", "lowest"),
          ("argmax", "argmin"), ("zscore", "skew"), ("add", "sub"), ("min", "max"), ("and", "or"))
_FIELD_SWAPS = (("close", "open", "high", "low", "typical"), ("london", "newyork", "tokyo"))
STOPS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08)
TRAILED = 0.1
"""Share of fresh ideas with a trailing stop: their simulations go bar after bar, at several times the cost."""
HOLDINGS = (5, 10, 15, 24, 36, 60, 96, 144, 240)


def random_genome(rng: np.random.Generator, timeframes: tuple[str, ...]) -> Genome:
    """A fresh idea: a random entry, an exit or a holding time, perhaps stops; the short side mirrors the long."""
    trees: dict[str, Node] = {"long_entry": condition(rng)}
    hold = rng.random() < 0.45
    if not hold:
        trees["long_exit"] = comparison(rng)
    stop = pick(rng, STOPS) if rng.random() < 0.6 else None
    holding = pick(rng, HOLDINGS) if hold else None
    trail = pick(rng, STOPS) if rng.random() < TRAILED else None
    return _without_idle_stops(Genome(trees, {}, True, stop, None, holding, timeframes, trail))


def mutated(genome: Genome, rng: np.random.Generator) -> tuple[Genome, str] | None:
    """A changed copy and the name of the change; None where the change found nothing to act on."""
    name = pick(rng, tuple(_MUTATIONS), (4, 4, 3, 3, 3, 2, 2))
    try:
        child = _MUTATIONS[name](genome, rng)
    except UsageError:
        return None
    return None if child is None or child == genome else (child, name)


def crossed(first: Genome, second: Genome, rng: np.random.Generator) -> Genome | None:
    """The first genome with one subtree, or the whole exit and stops, of the second; types must agree."""
    if rng.random() < 0.35:
        exits = {signal: node for signal, node in second.trees.items() if signal.endswith("exit")}
        if first.mirror != second.mirror:
            return None
        entries = {signal: node for signal, node in first.trees.items() if signal.endswith("entry")}
        imported, parameters = _imported(exits, second, first)
        return replace(first, trees={**entries, **imported}, parameters=parameters,
                       **_literals(second))
    signal = pick(rng, sorted(first.trees))
    root = first.trees[signal]
    place = _place(root, rng)
    wanted = list(walk(root))[place].kind
    donors = [part for name in sorted(second.trees) for part in walk(second.trees[name])
              if part.kind == wanted and isinstance(part, Call) and size(part) <= 15]
    if not donors:
        return None
    imported, parameters = _imported({"graft": pick(rng, donors)}, second, first)
    try:
        child = replaced(root, place, imported["graft"])
    except UsageError:
        return None
    return replace(first, trees={**first.trees, signal: child}, parameters=parameters)


def replaced(root: Node, place: int, new: Node) -> Node:
    """The tree with its node number `place` (parents first) exchanged. Raises ExpressionError where types refuse."""
    if place == 0:
        return new
    if not isinstance(root, Call):
        return root
    arguments, before = list(root.arguments), 1
    for position, argument in enumerate(arguments):
        inside = size(argument)
        if before <= place < before + inside:
            arguments[position] = replaced(argument, place - before, new)
            break
        before += inside
    return call(root.operator, arguments)


def _place(root: Node, rng: np.random.Generator, test: Callable[[Node], bool] | None = None) -> int:
    """Number of a random node that passes the test; calls by default. The root where none does."""
    wanted = test or (lambda node: isinstance(node, Call))
    places = [place for place, node in enumerate(walk(root)) if wanted(node)]
    return pick(rng, places) if places else 0


def _edited(genome: Genome, rng: np.random.Generator, test: Callable[[Node], bool],
            change: Callable[[Node], Node | None]) -> Genome | None:
    """The genome with one node that passes the test changed, anywhere in its trees."""
    spots = [(signal, place) for signal in sorted(genome.trees)
             for place, node in enumerate(walk(genome.trees[signal])) if test(node)]
    if not spots:
        return None
    signal, place = pick(rng, spots)
    root = genome.trees[signal]
    new = change(list(walk(root))[place])
    return None if new is None else replace(genome, trees={**genome.trees, signal: replaced(root, place, new)})


def _jitter_window(genome: Genome, rng: np.random.Generator) -> Genome | None:
    def change(node: Node) -> Node | None:
        if not isinstance(node, Number):
            return None
        near = [length for length in WINDOWS if 0.4 * node.value <= length <= 2.5 * node.value]
        return Number(float(pick(rng, near)), Kind.WINDOW) if near else None

    return _edited(genome, rng, lambda node: isinstance(node, Number) and node.kind == Kind.WINDOW, change)


def _jitter_constant(genome: Genome, rng: np.random.Generator) -> Genome | None:
    def change(node: Node) -> Node | None:
        if not isinstance(node, Number):
            return None
        return Number(rounded(node.value * float(np.exp(0.25 * rng.standard_normal()))))

    return _edited(genome, rng, lambda node: isinstance(node, Number) and node.kind == Kind.NUMBER
                   and node.value != 0.0, change)


def _jitter_parameter(genome: Genome, rng: np.random.Generator) -> Genome | None:
    """Move one parameter's default inside its range."""
    if not genome.parameters:
        return None
    name = pick(rng, sorted(genome.parameters))
    allowed = genome.parameters[name]
    step = (allowed.high - allowed.low) * 0.2 * float(rng.standard_normal())
    value = min(max(allowed.default + step, allowed.low), allowed.high)
    value = float(round(value)) if allowed.integer else min(max(rounded(value), allowed.low), allowed.high)
    moved = ParameterRange(low=allowed.low, high=allowed.high, default=value, integer=allowed.integer)
    return replace(genome, parameters={**genome.parameters, name: moved})


def _swap_operator(genome: Genome, rng: np.random.Generator) -> Genome | None:
    def change(node: Node) -> Node | None:
        if isinstance(node, Call):
            names = [name for group in _SWAPS if node.operator in group for name in group if name != node.operator]
            return call(pick(rng, names), node.arguments) if names else None
        if isinstance(node, Field):
            names = [name for group in _FIELD_SWAPS if node.name in group for name in group if name != node.name]
            return Field(pick(rng, names), node.kind) if names else None
        return None

    return _edited(genome, rng, lambda node: isinstance(node, Call | Field), change)


def _replace_subtree(genome: Genome, rng: np.random.Generator) -> Genome | None:
    return _edited(genome, rng, lambda node: isinstance(node, Call), lambda node: random_node(rng, node.kind))


def _change_conditions(genome: Genome, rng: np.random.Generator) -> Genome | None:
    """Add a condition to an entry, or drop one."""
    signal = pick(rng, sorted(signal for signal in genome.trees if signal.endswith("entry")))
    root = genome.trees[signal]
    if isinstance(root, Call) and root.operator in ("and", "or") and rng.random() < 0.5:
        kept = list(root.arguments)
        kept.pop(int(rng.integers(len(kept))))
        node = kept[0] if len(kept) == 1 else call(root.operator, kept)
    else:
        extra = market_filter(rng) if rng.random() < 0.6 else comparison(rng)
        node = call("and", [root, extra])
    return replace(genome, trees={**genome.trees, signal: node})


def _change_stops(genome: Genome, rng: np.random.Generator) -> Genome | None:
    which = pick(rng, STOP_KEYS, (3, 1, 3, 1, 1))
    drop = rng.random() < 0.3
    change: dict[str, Any] = {which: None if drop else pick(rng, HOLDINGS if which == "max_holding" else STOPS)}
    return _without_idle_stops(replace(genome, **change))


def _without_idle_stops(genome: Genome) -> Genome:
    """The genome without stops that can never act: a loss beyond the trailing stop, a break-even beyond the target."""
    levels = _literals(genome)
    idle = [name for name, nearer in (("stop_loss", "trailing_stop"), ("break_even", "take_profit"))
            if None not in (levels[name], levels[nearer]) and levels[name] >= levels[nearer]]
    off: dict[str, Any] = dict.fromkeys(idle)
    return replace(genome, **off)


_MUTATIONS: Mapping[str, Callable[[Genome, np.random.Generator], Genome | None]] = {
    "window jitter": _jitter_window, "constant jitter": _jitter_constant, "parameter jitter": _jitter_parameter,
    "operator swap": _swap_operator, "subtree replacement": _replace_subtree, "condition change": _change_conditions,
    "stop change": _change_stops}


def _imported(trees: Mapping[str, Node], donor: Genome,
              host: Genome) -> tuple[dict[str, Node], dict[str, ParameterRange]]:
    """The donor's trees for use in the host, and the host's parameters with those that the trees bring along."""
    parameters, renamed = dict(host.parameters), {}
    for name in sorted({name for node in trees.values() for name in parameter_names(node)}):
        own = name
        while own in parameters and parameters[own] != donor.parameters[name]:
            own = f"{own}_b"
        renamed[name], parameters[own] = own, donor.parameters[name]
    return {signal: _renamed(node, renamed) for signal, node in trees.items()}, parameters


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    if isinstance(node, Parameter):
        return Parameter(names[node.name], node.kind)
    if isinstance(node, Call):
        return call(node.operator, [_renamed(argument, names) for argument in node.arguments])
    return node


def _literals(genome: Genome) -> dict[str, Any]:
    """Every stop as a number, whatever parameter it was, bars as a whole one; None where it is off."""
    values = {name: genome.parameters[stop].default if isinstance(stop, str) else stop
              for name, stop in genome.stops.items()}
    holding = values["max_holding"]
    return {**values, "max_holding": None if holding is None else int(holding)}
