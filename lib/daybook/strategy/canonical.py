"""One form for all spellings of the same expression: sorted, folded, rounded; and its two texts.

`text` prints a tree so that it parses back to itself. `blind_text` forgets every number and parameter, which leaves the
idea. Rules: `not` moves down to comparisons, so that a comparison with an undefined value is False under `not` too;
numbers stand right of a comparison; like terms are flattened and sorted; constants are folded and rounded.
"""

from __future__ import annotations

from decimal import Decimal

from daybook.strategy.build import call
from daybook.strategy.errors import ExpressionError
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter
from daybook.strategy.operators import REGISTRY

SIGNIFICANT_DIGITS = 3
LARGEST_NUMBER, SMALLEST_NUMBER = 1e9, 1e-9

_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne",
            "cross_above": "cross_below", "cross_below": "cross_above"}
_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
_PRECEDENCE = {"or": 1, "and": 2, "not": 3, "lt": 4, "le": 4, "gt": 4, "ge": 4, "eq": 4, "ne": 4,
               "add": 5, "sub": 5, "mul": 6, "div": 6}
_ATOM = 7


def rounded(value: float) -> float:
    """The constant with three significant digits; near one (0.5 to 2), three digits of its distance from one.

    So 1.0005 times a mean stays 1.0005, and 0.12345 becomes 0.123.
    """
    exact = Decimal(repr(value))
    if Decimal("0.5") <= abs(exact) <= 2:
        centre = Decimal(1 if exact > 0 else -1)
        distance = exact - centre
        return float(centre + _significant(distance if abs(distance) >= SMALLEST_NUMBER else Decimal(0)))
    return float(_significant(exact)) + 0.0


def _significant(value: Decimal) -> Decimal:
    if not value:
        return Decimal(0)
    return round(value, SIGNIFICANT_DIGITS - 1 - value.adjusted())


def require_size(value: float, at: int) -> None:
    """Raise ExpressionError for a constant too large or too small to be written out."""
    if not abs(value) <= LARGEST_NUMBER or 0.0 < abs(value) < SMALLEST_NUMBER:
        raise ExpressionError(f"constant {value:g}, allowed are 0 and sizes from {SMALLEST_NUMBER:g} to "
                              f"{LARGEST_NUMBER:g}.", at=at)


def canonical(node: Node) -> Node:
    """The canonical tree of an expression. Raises ExpressionError where folding leaves something meaningless."""
    if isinstance(node, Number):
        return node if node.kind == Kind.WINDOW else Number(rounded(node.value), node.kind, node.at)
    if not isinstance(node, Call):
        return node
    if node.operator == "not":
        return _negation(node)
    arguments = [canonical(argument) for argument in node.arguments]
    if node.operator in _FLIPPED:
        return _ordered(node.operator, arguments, node.at)
    if node.operator in ("and", "or"):
        return _junction(node.operator, arguments, node.at)
    if node.operator == "sub":
        return _difference(arguments, node.at)
    if node.operator in ("add", "mul"):
        return _gathered(node.operator, arguments, node.at)
    if node.operator == "div":
        return _divided(arguments, node.at)
    if REGISTRY[node.operator].commutative:
        pair = sorted(arguments[:2], key=_order)
        arguments = [*pair, *arguments[2:]]
    return call(node.operator, arguments, node.at)


def _negation(node: Call) -> Node:
    inner = node.arguments[0]
    if isinstance(inner, Call):
        if inner.operator == "not":
            return canonical(inner.arguments[0])
        if inner.operator in _NEGATED:
            return canonical(call(_NEGATED[inner.operator], inner.arguments, inner.at))
        if inner.operator in ("and", "or"):
            other = "or" if inner.operator == "and" else "and"
            return canonical(call(other, [call("not", [part], node.at) for part in inner.arguments], inner.at))
    return call("not", [canonical(inner)], node.at)


def _ordered(name: str, arguments: list[Node], at: int) -> Node:
    """Numbers on the right; otherwise what is not arithmetic, then the alphabetically first, on the left."""
    left, right = arguments
    flip = left.kind == Kind.NUMBER if Kind.NUMBER in (left.kind, right.kind) else _side(right) < _side(left)
    return call(_FLIPPED[name], [right, left], at) if flip else call(name, [left, right], at)


def _junction(name: str, arguments: list[Node], at: int) -> Node:
    parts = {text(part): part for part in _flat(name, arguments)}
    ordered = [parts[key] for key in sorted(parts)]
    return ordered[0] if len(ordered) == 1 else call(name, ordered, at)


def _difference(arguments: list[Node], at: int) -> Node:
    left, right = arguments
    if isinstance(right, Number):
        return _gathered("add", [left, Number(rounded(-right.value), right.kind, right.at)], at)
    if left == right:
        raise ExpressionError("a value minus itself is always 0.", at=at)
    opposite = _opposite(right)
    if opposite is not None:
        return _gathered("add", [left, opposite], at)
    return call("sub", arguments, at)


def _divided(arguments: list[Node], at: int) -> Node:
    left, right = arguments
    if isinstance(left, Number) and isinstance(right, Number):
        require_size(left.value / right.value, at)
        return Number(rounded(left.value / right.value), Kind.NUMBER, at)
    if left == right:
        raise ExpressionError("a value divided by itself is always 1.", at=at)
    if isinstance(right, Number) and right.value == 1.0:
        return left
    return call("div", arguments, at)


def _gathered(name: str, arguments: list[Node], at: int) -> Node:
    """A flat sum (constants last) or product (constants first) with its constants folded into one."""
    neutral = 0.0 if name == "add" else 1.0
    constant = neutral
    rest: list[Node] = []
    for part in _flat(name, arguments):
        if isinstance(part, Number):
            constant = constant + part.value if name == "add" else constant * part.value
        else:
            rest.append(part)
    require_size(constant, at)
    constant = rounded(constant)
    rest.sort(key=_order)
    if not rest:
        return Number(constant, Kind.NUMBER, at)
    if constant == 0.0 and name == "mul":
        raise ExpressionError("a product with 0 is always 0.", at=at)
    if name == "add" and constant == 0.0 and len(rest) == 2:
        for minuend, subtrahend in (rest, rest[::-1]):
            opposite = _opposite(subtrahend)
            if opposite is not None and _opposite(minuend) is None:
                return _difference([minuend, opposite], at)
    if constant != neutral:
        number = Number(constant, Kind.NUMBER, at)
        rest = [*rest, number] if name == "add" else [number, *rest]
    return rest[0] if len(rest) == 1 else call(name, rest, at)


def _opposite(node: Node) -> Node | None:
    """The product without its minus sign; None where it has none."""
    if not isinstance(node, Call) or node.operator != "mul":
        return None
    first = node.arguments[0]
    if not isinstance(first, Number) or first.value >= 0.0:
        return None
    return _gathered("mul", [Number(-first.value, first.kind, first.at), *node.arguments[1:]], node.at)


def _flat(name: str, arguments: list[Node]) -> list[Node]:
    flat: list[Node] = []
    for argument in arguments:
        nested = isinstance(argument, Call) and argument.operator == name
        flat.extend(argument.arguments if nested and isinstance(argument, Call) else [argument])
    return flat


def _order(node: Node) -> tuple[int, str]:
    """Numbers and parameters before series, then by text."""
    return (0 if node.kind == Kind.NUMBER else 1, text(node))


def _side(node: Node) -> tuple[bool, str]:
    return isinstance(node, Call) and bool(REGISTRY[node.operator].infix), text(node)


def number_text(value: float) -> str:
    """The shortest text of a constant: `30`, `0.005`, never an exponent."""
    return format(Decimal(repr(value)).normalize(), "f")


def text(node: Node) -> str:
    """The expression in the language; parsing it gives the same tree back."""
    if isinstance(node, Number):
        return number_text(node.value)
    if isinstance(node, Parameter | Field):
        return node.name
    operator = REGISTRY[node.operator]
    if not operator.infix:
        return f"{node.operator}({', '.join(text(argument) for argument in node.arguments)})"
    own = _PRECEDENCE[node.operator]
    if node.operator == "not":
        return f"not {_wrapped(node.arguments[0], own)}"
    arguments, first = node.arguments[1:], _wrapped(node.arguments[0], own)
    if node.operator == "mul" and node.arguments[0] == Number(-1.0):
        arguments, first = node.arguments[2:], f"-{_wrapped(node.arguments[1], _ATOM)}"
    parts = [first]
    for argument in arguments:
        if node.operator == "add" and isinstance(argument, Number) and argument.value < 0.0:
            parts.append(f"- {number_text(-argument.value)}")
        else:
            parts.append(f"{operator.infix} {_wrapped(argument, own + 1)}")
    return " ".join(parts)


def _wrapped(node: Node, at_least: int) -> str:
    inner = text(node)
    own = _PRECEDENCE.get(node.operator, _ATOM) if isinstance(node, Call) else _ATOM
    return inner if own >= at_least else f"({inner})"


def blind_text(node: Node) -> str:
    """The idea alone: every number, window and parameter is `#`, every order of like arguments the same."""
    if isinstance(node, Number | Parameter):
        return "#"
    if isinstance(node, Field):
        return node.name
    name, arguments = node.operator, [blind_text(argument) for argument in node.arguments]
    if name in ("gt", "ge", "cross_below"):
        arguments.reverse()
    name = {"gt": "lt", "ge": "lt", "le": "lt", "cross_below": "cross_above"}.get(name, name)
    if REGISTRY[node.operator].commutative:
        arguments = sorted(set(arguments)) if node.operator in ("and", "or") else _one_number(arguments)
    return f"{name}({','.join(arguments)})"


def _one_number(arguments: list[str]) -> list[str]:
    """Sorted, with several numbers counted as one: 2 * k * x and k * x are the same idea."""
    numbers = arguments.count("#")
    return sorted([*["#"] * min(numbers, 1), *(argument for argument in arguments if argument != "#")])


