"""The typed expression tree: frozen nodes that are compared by what they mean, not by where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from daybook.strategy.kinds import Kind


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; kind is NUMBER (a threshold) or WINDOW (a positive whole number of bars)."""

    value: float
    kind: Kind = Kind.NUMBER
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named number or window of the spec, bound when the expression is evaluated."""

    name: str
    kind: Kind = Kind.NUMBER
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the bar table or of its calendar."""

    name: str
    kind: Kind
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator of the registry, infix ones included, over typed arguments."""

    operator: str
    arguments: tuple[Node, ...]
    kind: Kind
    at: int = field(default=0, compare=False)


Node: TypeAlias = Number | Parameter | Field | Call


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first."""
    yield node
    if isinstance(node, Call):
        for argument in node.arguments:
            yield from walk(argument)


def size(node: Node) -> int:
    """Nodes in the tree."""
    return sum(1 for _ in walk(node))


def depth(node: Node) -> int:
    """Levels in the tree; a lone field has one."""
    if isinstance(node, Call):
        return 1 + max((depth(argument) for argument in node.arguments), default=0)
    return 1


def parameter_names(node: Node) -> tuple[str, ...]:
    """Names of the parameters in the tree, each once, in alphabetical order."""
    return tuple(sorted({part.name for part in walk(node) if isinstance(part, Parameter)}))
