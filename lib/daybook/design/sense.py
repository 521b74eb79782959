"""Turns away comparisons that can never, or must always, hold: a bounded indicator against a level out of reach."""

from __future__ import annotations

from collections.abc import Mapping

from daybook.strategy import ParameterRange
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter, walk

_BOUNDS = {"rsi": (0.0, 100.0), "adx": (0.0, 100.0), "stoch": (0.0, 1.0), "rank": (0.0, 1.0),
           "efficiency_ratio": (0.0, 1.0), "correlation": (-1.0, 1.0), "close_position": (0.0, 1.0),
           "hour": (0.0, 23.0), "weekday": (0.0, 6.0)}
_COUNTS = ("count", "argmax", "argmin")
_COMPARISONS = ("gt", "ge", "lt", "le", "cross_above", "cross_below")


def makes_sense(node: Node, parameters: Mapping[str, ParameterRange]) -> bool:
    """Whether every comparison of a canonical tree can go both ways."""
    return all(_open(part, parameters) for part in walk(node)
               if isinstance(part, Call) and part.operator in _COMPARISONS)


def _open(comparison: Call, parameters: Mapping[str, ParameterRange]) -> bool:
    left, right = comparison.arguments
    span = _reach(right, parameters)
    bounds = _bounds(left, parameters)
    if span is None or bounds is None:
        return True
    strict = comparison.operator in ("gt", "lt", "cross_above", "cross_below")
    if strict:
        return bounds[0] <= span[0] and span[1] <= bounds[1] and not (span[0] == span[1] and _edge(comparison, bounds))
    return bounds[0] < span[1] and span[0] < bounds[1]


def _edge(comparison: Call, bounds: tuple[float, float]) -> bool:
    """Above the top or below the bottom: never."""
    level = comparison.arguments[1]
    edge = bounds[1] if comparison.operator in ("gt", "cross_above") else bounds[0]
    return isinstance(level, Number) and level.value == edge


def _reach(node: Node, parameters: Mapping[str, ParameterRange]) -> tuple[float, float] | None:
    if isinstance(node, Number):
        return node.value, node.value
    if isinstance(node, Parameter):
        return parameters[node.name].low, parameters[node.name].high
    return None


def _bounds(node: Node, parameters: Mapping[str, ParameterRange]) -> tuple[float, float] | None:
    if isinstance(node, Field):
        return _BOUNDS.get(node.name)
    if not isinstance(node, Call):
        return None
    if node.operator in _COUNTS:
        length = _reach(node.arguments[1], parameters)
        return None if length is None else (0.0, length[1] - (node.operator != "count"))
    return _BOUNDS.get(node.operator)
