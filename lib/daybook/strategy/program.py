"""Turns conditions into the little postfix program that the packed-bits kernel runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Ints
from daybook.strategy import bits_kernel as kernel
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Field, Node

PLANE_OF: Mapping[str, int] = {"long_entry": 0, "long_exit": 1, "short_entry": 2, "short_exit": 3}
"""Where each signal of a strategy is stored; in a byte of signals it is the bit of that number."""

_COMPARE = {"lt": kernel.LT, "le": kernel.LE, "gt": kernel.GT, "ge": kernel.GE, "eq": kernel.EQ, "ne": kernel.NE,
            "cross_above": kernel.CROSS_ABOVE, "cross_below": kernel.CROSS_BELOW}
_CROSSES = ("cross_above", "cross_below")
_HALF = 0.5


@dataclass(frozen=True)
class Program:
    """code: (I, 3) int64. columns: series each instruction column stands for. numbers: trees of its constants.

    crossed: columns that are also read one bar earlier.
    """

    code: Ints
    columns: tuple[Node, ...]
    numbers: tuple[Node | float, ...]
    crossed: frozenset[int]


def compile_conditions(conditions: Mapping[int, Node]) -> Program:
    """The program of some conditions, each stored in its plane."""
    writer = _Writer()
    for plane, node in conditions.items():
        writer.condition(node)
        writer.code.append((kernel.STORE, plane, 0))
    code = np.array(writer.code, dtype=np.int64)
    return Program(code, tuple(writer.columns), tuple(writer.numbers), frozenset(writer.crossed))


class _Writer:
    def __init__(self) -> None:
        self.code: list[tuple[int, int, int]] = []
        self.columns: dict[Node, int] = {}
        self.numbers: list[Node | float] = []
        self.crossed: set[int] = set()

    def condition(self, node: Node) -> None:
        """Append what leaves the mask of a boolean tree on the stack."""
        if isinstance(node, Field):
            self._against(kernel.GT, self._column(node), _HALF)
        elif isinstance(node, Call) and node.operator in ("and", "or"):
            self.condition(node.arguments[0])
            for argument in node.arguments[1:]:
                self.condition(argument)
                self.code.append((kernel.AND if node.operator == "and" else kernel.OR, 0, 0))
        elif isinstance(node, Call) and node.operator == "not":
            self.condition(node.arguments[0])
            self.code.append((kernel.NOT, 0, 0))
        elif isinstance(node, Call):
            self._comparison(node)

    def _comparison(self, node: Call) -> None:
        """A comparison in canonical form: a number, if there is one, stands on the right."""
        left, right = node.arguments
        first = self._column(left)
        if node.operator in _CROSSES:
            self.crossed.add(first)
        if right.kind == Kind.NUMBER:
            self._against(_COMPARE[node.operator], first, right)
            return
        second = self._column(right)
        if node.operator in _CROSSES:
            self.crossed.add(second)
        self.code.append((_COMPARE[node.operator] + kernel.TO_COLUMN, first, second))

    def _column(self, node: Node) -> int:
        return self.columns.setdefault(node, len(self.columns))

    def _against(self, operation: int, column: int, number: Node | float) -> None:
        self.numbers.append(number)
        self.code.append((operation, column, len(self.numbers) - 1))
