"""A strategy ready to run: the spec, its canonical trees, its identity, and what a set of parameters means for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from daybook.core.hashing import hash_json
from daybook.strategy.canonical import blind_text, text
from daybook.strategy.errors import SpecError
from daybook.strategy.fields import FIELDS
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter, parameter_names, size, walk
from daybook.strategy.operators import LONGEST_WINDOW, REGISTRY, Slot
from daybook.strategy.parser import parse_expression
from daybook.strategy.spec import LONGEST_HOLDING, SIGNALS, ParameterRange, StrategySpec, read_spec

LANGUAGE = 1
"""Raised when the same text comes to mean something else, so that identities never mix two meanings."""

_STOPS = ("stop_loss", "take_profit", "max_holding", "trailing_stop", "break_even")
"""Keys of a spec that are absent from every text and hash of one that does not use them."""


@dataclass(frozen=True)
class Stops:
    """What closes a position beside the exits; 0 switches one off.

    stop_loss, take_profit: fraction of the entry price. max_holding: bars. trailing_stop: fraction of the best price
    since the entry. break_even: favourable move, a fraction of the entry price, after which the stop is that price.
    """

    stop_loss: float = 0.0
    take_profit: float = 0.0
    max_holding: int = 0
    trailing_stop: float = 0.0
    break_even: float = 0.0


@dataclass(frozen=True)
class Strategy:
    """A parsed spec. expressions: the canonical tree of each signal the spec has, in the order of SIGNALS."""

    spec: StrategySpec
    expressions: Mapping[str, Node]

    @property
    def name(self) -> str:
        """The slug of the spec."""
        return self.spec.name

    @property
    def timeframes(self) -> tuple[str, ...]:
        """The timeframes it was designed for, shortest first."""
        return self.spec.timeframes

    @property
    def parameters(self) -> Mapping[str, ParameterRange]:
        """name -> range and default."""
        return self.spec.parameters

    @cached_property
    def defaults(self) -> dict[str, float]:
        """name -> default value, in alphabetical order."""
        return {name: float(self.parameters[name].default) for name in sorted(self.parameters)}

    @cached_property
    def canonical(self) -> dict[str, Any]:
        """The spec in its one form, ready for JSON; parse_spec of it gives the same identity."""
        ranges = {name: self.parameters[name].model_dump() for name in sorted(self.parameters)}
        return {"name": self.name, "rationale": self.spec.rationale, "timeframes": list(self.timeframes),
                **{signal: text(node) for signal, node in self.expressions.items()}, "parameters": ranges,
                **{stop: value for stop in _STOPS if (value := getattr(self.spec, stop)) is not None}}

    @cached_property
    def identity(self) -> str:
        """SHA-256 of everything that decides behaviour: all but name and rationale."""
        behaviour = {key: value for key, value in self.canonical.items() if key not in ("name", "rationale")}
        return hash_json({"language": LANGUAGE, **behaviour})

    @cached_property
    def structure_hash(self) -> str:
        """SHA-256 of the idea alone: numbers, windows, parameters and timeframes are forgotten, kinds of stop kept."""
        idea: dict[str, Any] = {signal: blind_text(node) for signal, node in self.expressions.items()}
        return hash_json({"language": LANGUAGE, **idea, "stops": [stop for stop in _STOPS if getattr(self.spec, stop)]})

    @cached_property
    def complexity(self) -> int:
        """Nodes of all its trees, plus one for each kind of stop."""
        return sum(map(size, self.expressions.values())) + sum(getattr(self.spec, stop) is not None for stop in _STOPS)

    def bind(self, params: Mapping[str, float] | None = None) -> dict[str, float]:
        """Values of all parameters: the given ones over the defaults.

        Raises SpecError for an unknown name, a value out of range, or a fraction where a whole number is needed.
        """
        values = dict(self.defaults)
        for name, value in (params or {}).items():
            values[name] = self._checked(name, value)
        return values

    def _checked(self, name: str, value: float) -> float:
        allowed = self.parameters.get(name)
        if allowed is None:
            raise SpecError(f"{self.name}: unknown parameter {name!r}; it has "
                            f"{', '.join(sorted(self.parameters)) or 'none'}.")
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not allowed.low <= number <= allowed.high or (allowed.integer and number != int(number)):
            whole = "whole numbers " if allowed.integer else ""
            raise SpecError(f"{self.name}: parameter {name} is {value!r}, allowed are {whole}"
                            f"{allowed.low:g} to {allowed.high:g}.")
        return number

    def stops(self, params: Mapping[str, float] | None = None) -> Stops:
        """The stops under these parameters. Raises SpecError as bind does."""
        return self.bound_stops(self.bind(params))

    def bound_stops(self, values: Mapping[str, float]) -> Stops:
        """`stops` for all parameters' values as `bind` returned them, which are not checked again."""
        loss, profit, holding, trailing, even = (
            values[source] if isinstance(source, str) else source for source in self._stop_sources)
        return Stops(loss, profit, int(holding), trailing, even)

    @cached_property
    def _stop_sources(self) -> tuple[float | str, ...]:
        """For each stop its parameter or its constant."""
        given = (getattr(self.spec, stop) for stop in _STOPS)
        return tuple(value if isinstance(value, str) else float(value or 0.0) for value in given)

    def warmup(self, params: Mapping[str, float] | None = None) -> int:
        """Bars at the start of a history on which no signal is given. Raises SpecError as bind does."""
        values = self.bind(params)
        return max(warmup(node, values) for node in self.expressions.values())


def warmup(node: Node, values: Mapping[str, float]) -> int:
    """Earlier bars a tree needs before its first defined value: the longest path of lags from its root."""
    if isinstance(node, Field):
        return FIELDS[node.name].lag
    if not isinstance(node, Call):
        return 0
    operator = REGISTRY[node.operator]
    window = 0
    for slot, argument in zip(operator.slots, node.arguments, strict=False):
        if slot == Slot.WINDOW:
            window = int(values[argument.name] if isinstance(argument, Parameter) else _value(argument))
    below = max((warmup(argument, values) for argument in node.arguments), default=0)
    return operator.lag(window) + max(below, max((FIELDS[name].lag for name in operator.reads), default=0))


def _value(node: Node) -> float:
    return node.value if isinstance(node, Number) else 0.0


def parse_spec(source: str | bytes | Mapping[str, Any] | StrategySpec) -> Strategy:
    """The strategy that a spec describes: JSON text, a mapping or a StrategySpec.

    Raises SpecError for the spec, ExpressionError (marking the character) for an expression; both are UsageError.
    """
    spec = read_spec(source)
    expressions = {signal: parse_expression(getattr(spec, signal), spec.parameters, where=f"{spec.name}: {signal}")
                   for signal in SIGNALS if getattr(spec, signal) is not None}
    strategy = Strategy(spec, expressions)
    _require_used(strategy)
    for node in expressions.values():
        _require_slots(strategy, node)
    for stop in _STOPS:
        _require_stop(strategy, stop)
    return strategy


def _require_used(strategy: Strategy) -> None:
    used = {name for node in strategy.expressions.values() for name in parameter_names(node)}
    used |= {value for stop in _STOPS if isinstance(value := getattr(strategy.spec, stop), str)}
    for name in strategy.parameters:
        if name not in used:
            raise SpecError(f"{strategy.name}: parameter {name!r} is declared but never used. Remove it.")


def _require_slots(strategy: Strategy, node: Node) -> None:
    """Every parameter's range lies inside what the places it stands in allow; raises SpecError."""
    for part in walk(node):
        if not isinstance(part, Call):
            continue
        operator = REGISTRY[part.operator]
        for slot, argument in zip(operator.slots, part.arguments, strict=False):
            if not isinstance(argument, Parameter):
                continue
            allowed = strategy.parameters[argument.name]
            if slot == Slot.WINDOW and not (allowed.integer and allowed.low >= operator.shortest_window
                                            and allowed.high <= LONGEST_WINDOW):
                raise SpecError(f"{strategy.name}: parameter {argument.name} is a window of {operator.name}: it needs "
                                f"integer true and a range within {operator.shortest_window} to {LONGEST_WINDOW}, "
                                f"found {allowed.low:g} to {allowed.high:g}, integer {str(allowed.integer).lower()}.")
            if slot == Slot.FRACTION and not (allowed.low > 0.0 and allowed.high < 1.0):
                raise SpecError(f"{strategy.name}: parameter {argument.name} is a fraction of {operator.name}: its "
                                f"range must lie between 0 and 1, found {allowed.low:g} to {allowed.high:g}.")


def _require_stop(strategy: Strategy, stop: str) -> None:
    name = getattr(strategy.spec, stop)
    if not isinstance(name, str):
        return
    allowed = strategy.parameters.get(name)
    if allowed is None:
        raise SpecError(f"{strategy.name}: {stop} names {name[:40]!r}, which is no parameter of this spec; "
                        f"it has {', '.join(sorted(strategy.parameters)) or 'none'}.")
    if stop == "max_holding":
        if not (allowed.integer and allowed.low >= 1 and allowed.high <= LONGEST_HOLDING):
            raise SpecError(f"{strategy.name}: max_holding counts bars: {name} needs integer true and a range within "
                            f"1 to {LONGEST_HOLDING}.")
    elif not (allowed.low > 0.0 and allowed.high < 1.0):
        raise SpecError(f"{strategy.name}: {stop} is a fraction of the price: the range of {name} must lie between "
                        f"0 and 1, found {allowed.low:g} to {allowed.high:g}.")
