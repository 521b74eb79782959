"""From text to a typed tree: a character scan, Python's own syntax tree, and a whitelist of its node types.

Nothing is ever compiled or evaluated. The scan refuses whatever the language has no use for (text, subscripts,
attributes, keywords, letters beyond ASCII) before Python's parser sees it, and caps length, tokens and nesting.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
from collections.abc import Collection
from dataclasses import dataclass

from daybook.strategy.build import call, field_node
from daybook.strategy.canonical import canonical, require_size
from daybook.strategy.errors import ExpressionError
from daybook.strategy.fields import FIELDS
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Node, Number, Parameter, depth, size, walk
from daybook.strategy.operators import ALIASES, CALLABLE

LONGEST_TEXT = 1000
MOST_TOKENS = 256
DEEPEST_NESTING = 16

_TOKEN = re.compile(
    r" +|(?P<number>\d{1,12}(?:\.\d{0,12})?(?:[eE][+-]?\d{1,2})?|\.\d{1,12})|(?P<name>[A-Za-z][A-Za-z0-9_]{0,39})"
    r"|(?P<open>\()|(?P<close>\))|(?P<sign>[+-])|(?P<other><=|>=|==|!=|<|>|\*|/|,)", re.ASCII)
_WORDS = ("and", "or", "not")
_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_COMPARED = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}


@dataclass(frozen=True)
class Budget:
    """The size an expression may have: nodes and levels of its tree, literal thresholds in it."""

    nodes: int = 40
    depth: int = 8
    constants: int = 8


DEFAULT_BUDGET = Budget()


def parse_expression(text: str, parameters: Collection[str] = (), *, where: str = "expression",
                     budget: Budget = DEFAULT_BUDGET, boolean: bool = True) -> Node:
    """The canonical typed tree of an expression.

    parameters: names that stand for numbers. boolean: require a condition. where: how errors name the expression.
    Raises ExpressionError, which marks the character.
    """
    if isinstance(text, str):
        text = text.strip(" ")
    try:
        _scan(text)
        node = canonical(_Reader(parameters).read(_syntax(text)))
        if boolean and node.kind != Kind.BOOLEAN:
            raise ExpressionError(f"a condition is needed, found a {node.kind}. Compare it with something.")
        require_budget(node, budget)
    except ExpressionError as error:
        raise error.within(text, where) from None
    return node


def require_budget(node: Node, budget: Budget) -> None:
    """Raise ExpressionError where a tree is larger than its budget; the message has each count and limit."""
    constants = sum(isinstance(part, Number) and part.kind == Kind.NUMBER for part in walk(node))
    counts = (("nodes", size(node), budget.nodes), ("levels", depth(node), budget.depth),
              ("constants", constants, budget.constants))
    for what, found, allowed in counts:
        if found > allowed:
            raise ExpressionError(f"{found} {what}, at most {allowed} are allowed. Split the idea or drop a condition.")


def _scan(text: str) -> None:
    """Refuse by character what the language has no use for; raises ExpressionError."""
    if not isinstance(text, str) or not text.strip():
        raise ExpressionError("the expression is empty; leave it out or write a condition such as close > open.")
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(f"{len(text)} characters, at most {LONGEST_TEXT} are allowed.")
    position = tokens = nesting = prefixes = 0
    previous = ""
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(_unusable(text[position]), at=position)
        kind = match.lastgroup or ""
        if kind:
            tokens += 1
            if kind == "name":
                _require_word(match[0], position, adjoins=previous in ("number", "name"))
            nesting += (kind == "open") - (kind == "close")
            prefix = kind == "sign" or match[0] == "not"
            prefixes = prefixes + 1 if prefix else 0
            if tokens > MOST_TOKENS or nesting > DEEPEST_NESTING or prefixes > DEEPEST_NESTING:
                raise ExpressionError(f"too long or too deeply nested: at most {MOST_TOKENS} words and signs and "
                                      f"{DEEPEST_NESTING} levels of brackets or signs are allowed.", at=position)
        if kind == "number" and previous in ("number", "name"):
            raise ExpressionError("a number has at most 12 digits before and after its point, and no letters.",
                                  at=position)
        previous = kind
        position = match.end()


def _require_word(word: str, at: int, *, adjoins: bool) -> None:
    if adjoins:
        raise ExpressionError("a letter directly after a number or a name longer than 40 characters.", at=at)
    if "__" in word or word.endswith("_"):
        raise ExpressionError("names have no double or trailing underscore.", at=at)
    if keyword.iskeyword(word) and word not in _WORDS:
        raise ExpressionError(f"'{word}' is not part of the language; its words are and, or, not.", at=at)


def _unusable(char: str) -> str:
    if not char.isascii():
        return "only plain ASCII characters are allowed."
    shown = f"'{char}'" if " " < char <= "~" else "a control character"
    return (f"{shown} is not part of the language. Allowed are names, numbers, brackets, commas, "
            "+ - * /, < <= > >= == !=, and, or, not.")


def _syntax(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        at = min(error.offset - 1, len(text)) if error.offset else len(text)
        raise ExpressionError(f"not a complete expression ({error.msg}).", at=at) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("too deeply nested to read.") from None


class _Reader:
    """Turns whitelisted syntax nodes into typed nodes, from the leaves up."""

    def __init__(self, parameters: Collection[str]) -> None:
        self._parameters = parameters

    def read(self, node: ast.expr) -> Node:
        """The typed node of one syntax node. Raises ExpressionError for any type that is not listed here."""
        at = node.col_offset
        if isinstance(node, ast.Constant):
            return self._number(node, at)
        if isinstance(node, ast.Name):
            return self._name(node.id, at)
        if isinstance(node, ast.Call):
            return self._call(node, at)
        if isinstance(node, ast.BoolOp):
            name = "and" if isinstance(node.op, ast.And) else "or"
            return call(name, [self.read(value) for value in node.values], at)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node, at)
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            sides = [self.read(node.left), self.read(node.right)]
            return call(_BINARY[type(node.op)], sides, at)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        raise ExpressionError(f"'{type(node).__name__}' is not part of the language. Allowed are operators "
                              "applied to columns, numbers and parameters.", at=at)

    def _number(self, node: ast.Constant, at: int) -> Node:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExpressionError("only plain numbers are allowed as literals.", at=at)
        require_size(float(value), at)
        return Number(float(value), Kind.NUMBER, at)

    def _name(self, name: str, at: int) -> Node:
        if name in self._parameters:
            return Parameter(name, Kind.NUMBER, at)
        if name in FIELDS:
            return field_node(name, at)
        if name in CALLABLE:
            raise ExpressionError(f"'{name}' is an operator: write {CALLABLE[name].signature}.", at=at)
        known = [*self._parameters, *FIELDS]
        declared = ", ".join(sorted(self._parameters)) or "none"
        raise ExpressionError(f"unknown name '{name}'{_nearest(name, known)}. Columns are {', '.join(FIELDS)}; "
                              f"parameters declared here: {declared}.", at=at)

    def _call(self, node: ast.Call, at: int) -> Node:
        if not isinstance(node.func, ast.Name):
            raise ExpressionError("only operators can be called, by their name.", at=at)
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise ExpressionError("operators take plain arguments, in order.", at=at)
        name = ALIASES.get(node.func.id, node.func.id)
        arguments = [self.read(argument) for argument in node.args]
        if name == "volatility":
            return call("std", [field_node("return_1", at), *arguments], at)
        if name not in CALLABLE:
            raise ExpressionError(f"unknown operator '{name}'{_nearest(name, CALLABLE)}. "
                                  f"Operators are {', '.join(CALLABLE)}.", at=at)
        return call(name, arguments, at)

    def _unary(self, node: ast.UnaryOp, at: int) -> Node:
        inner = self.read(node.operand)
        if isinstance(node.op, ast.Not):
            return call("not", [inner], at)
        if isinstance(node.op, ast.UAdd) and inner.kind != Kind.BOOLEAN:
            return inner
        if not isinstance(node.op, ast.USub):
            raise ExpressionError("this sign is not part of the language.", at=at)
        if isinstance(inner, Number):
            return Number(-inner.value, inner.kind, at)
        return call("mul", [Number(-1.0, Kind.NUMBER, at), inner], at)

    def _compare(self, node: ast.Compare) -> Node:
        """A comparison; a chain a < b < c means a < b and b < c."""
        sides = [self.read(side) for side in (node.left, *node.comparators)]
        links: list[Node] = []
        for position, operator in enumerate(node.ops):
            if type(operator) not in _COMPARED:
                raise ExpressionError("only < <= > >= == != compare.", at=node.col_offset)
            left, right = sides[position], sides[position + 1]
            links.append(call(_COMPARED[type(operator)], [left, right], left.at))
        return links[0] if len(links) == 1 else call("and", links, node.col_offset)


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
