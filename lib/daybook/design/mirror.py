"""The short side of a long idea: the same condition with prices turned upside down.

Under p -> -p every series is even (volume, ranges, deviations: unchanged), odd (prices, changes: negated), or lies
about a centre (rsi about 100: 100 - rsi). A comparison is rewritten from what its two sides become. A ratio of two
price levels, and a factor near one, are mirrored about one, as log prices would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daybook.core.errors import UsageError
from daybook.strategy import ParameterRange
from daybook.strategy.build import call, field_node
from daybook.strategy.canonical import canonical
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter

_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "cross_above": "cross_below",
            "cross_below": "cross_above", "eq": "eq", "ne": "ne"}
_OPPOSITE = {"highest": "lowest", "lowest": "highest", "argmax": "argmin", "argmin": "argmax", "min": "max",
             "max": "min"}
_ODD_FIELDS = {"open": "open", "high": "low", "low": "high", "close": "close", "typical": "typical",
               "return_1": "return_1"}
_SMOOTH = ("sma", "ema", "wma", "delay")
_CHANGES = ("delta", "slope", "sub")
_LOWEST_FACTOR, _HIGHEST_FACTOR = 0.8, 1.25


class MirrorError(UsageError):
    """A condition that cannot be turned round."""


class UndirectedError(MirrorError):
    """A condition that is its own mirror image: it says neither up nor down."""


@dataclass(frozen=True)
class _Image:
    """What a series becomes: `centre - node` where it has a direction, else `node`."""

    node: Node
    directed: bool
    centre: float = 0.0


def mirrored(node: Node, parameters: Mapping[str, ParameterRange]) -> Node:
    """The canonical opposite of a condition. Raises UndirectedError for one without a direction, else MirrorError."""
    turned = canonical(_Mirror(parameters).condition(node))
    if turned == canonical(node):
        raise UndirectedError("mirror: the condition does not say up or down.")
    return turned


class _Mirror:
    def __init__(self, parameters: Mapping[str, ParameterRange]) -> None:
        self._parameters = parameters

    def condition(self, node: Node) -> Node:
        """The opposite condition; one without a direction stays as it is."""
        if not isinstance(node, Call):
            return node
        if node.operator in ("and", "or", "not"):
            return call(node.operator, [self.condition(argument) for argument in node.arguments])
        left, right = (self.series(argument) for argument in node.arguments)
        if not left.directed and not right.directed:
            return call(node.operator, [left.node, right.node])
        flipped = _FLIPPED[node.operator]
        if left.directed and right.directed:
            if left.centre != right.centre:
                raise MirrorError("mirror: the two sides turn about different centres.")
            return call(flipped, [left.node, right.node])
        if left.directed:
            return call(flipped, [left.node, _subtracted(left.centre, right.node)])
        return call(flipped, [_subtracted(right.centre, left.node), right.node])

    def series(self, node: Node) -> _Image:
        """The image of a series or number."""
        if isinstance(node, Field):
            if node.name == "close_position":
                return _Image(node, True, 1.0)
            name = _ODD_FIELDS.get(node.name)
            return _Image(field_node(name), True) if name else _Image(node, False)
        if not isinstance(node, Call):
            return _Image(node, False)
        if node.operator in ("add", "sub"):
            return self._sum(node)
        if node.operator in ("mul", "div"):
            return self._product(node)
        if node.operator in ("min", "max", "where", "count"):
            return self._choice(node)
        return self._operator(node)

    def _operator(self, node: Call) -> _Image:
        name, rest = node.operator, list(node.arguments[1:])
        if name in ("atr", "adx"):
            return _Image(node, False)
        if name in ("stoch", "vwap"):
            return _Image(node, True, 1.0 if name == "stoch" else 0.0)
        if name == "correlation":
            first, second = (self.series(argument) for argument in node.arguments[:2])
            return _Image(call(name, [first.node, second.node, node.arguments[2]]), first.directed != second.directed)
        inner = self.series(node.arguments[0])
        turned = call(name, [inner.node, *rest])
        if not inner.directed or name in ("std", "abs", "efficiency_ratio"):
            return _Image(turned, False)
        if name in _SMOOTH:
            return _Image(turned, True, inner.centre)
        if name in ("rsi", "rank"):
            return _Image(turned, True, 100.0 if name == "rsi" else 1.0)
        if name in ("argmax", "argmin"):
            return _Image(call(_OPPOSITE[name], [inner.node, *rest]), False)
        if name in ("highest", "lowest"):
            return _Image(call(_OPPOSITE[name], [inner.node, *rest]), True, inner.centre)
        if name == "quantile" and isinstance(rest[1], Number):
            return _Image(call(name, [inner.node, rest[0], Number(1.0 - rest[1].value)]), True, inner.centre)
        if name in ("zscore", "skew", "delta", "slope") or (name == "log" and inner.centre == 2.0):
            return _Image(turned, True)
        if name in ("roc", "sign", "sum") and inner.centre == 0.0:
            return _Image(turned, True)
        raise MirrorError(f"mirror: {name} of this series has no opposite.")

    def _sum(self, node: Call) -> _Image:
        """Parts with a direction keep their place; the others change sign, and numbers move the centre."""
        images = [self.series(argument) for argument in node.arguments]
        if not any(image.directed for image in images):
            return _Image(call(node.operator, [image.node for image in images]), False)
        centre, parts = 0.0, []
        for position, image in enumerate(images):
            sign = -1.0 if node.operator == "sub" and position else 1.0
            part = image.node
            if image.directed:
                centre += sign * image.centre
            elif isinstance(part, Number):
                centre += sign * 2.0 * part.value
            elif part.kind == Kind.NUMBER:
                raise MirrorError("mirror: a parameter is added to a series.")
            else:
                part = _negated(part)
            parts.append(part)
        return _Image(call(node.operator, parts), True, centre)

    def _product(self, node: Call) -> _Image:
        images = [self.series(argument) for argument in node.arguments]
        directed = [position for position, image in enumerate(images) if image.directed]
        parts = [image.node for image in images]
        if node.operator == "div" and len(directed) > 0 and 1 in directed:
            if not _is_level(node.arguments[1]):
                raise MirrorError("mirror: the divisor has a direction.")
            if 0 not in directed:
                return _Image(call("div", parts), False)
            return _Image(call("div", parts), True, 2.0 if _is_level(node.arguments[0]) else 0.0)
        if not directed:
            return _Image(call(node.operator, parts), False)
        if len(directed) > 1:
            raise MirrorError("mirror: a product of several directed series.")
        image = images[directed[0]]
        if image.centre and not all(isinstance(part, Number) for at, part in enumerate(parts) if at != directed[0]):
            raise MirrorError("mirror: the centre is scaled by more than a number.")
        centre = image.centre
        for at, part in enumerate(parts):
            if isinstance(part, Number) and at != directed[0]:
                centre = centre * part.value if node.operator == "mul" else centre / part.value
        if node.operator == "mul" and _is_level(node.arguments[directed[0]]):
            parts = [self._factor(part) if part.kind == Kind.NUMBER else part for part in parts]
        return _Image(call(node.operator, parts), True, centre)

    def _factor(self, node: Node) -> Node:
        """A factor near one is mirrored about one: 1.01 times a level becomes 0.99 times it."""
        if isinstance(node, Number) and _LOWEST_FACTOR <= node.value <= _HIGHEST_FACTOR:
            return Number(2.0 - node.value)
        if isinstance(node, Parameter):
            allowed = self._parameters[node.name]
            if allowed.low >= _LOWEST_FACTOR and allowed.high <= _HIGHEST_FACTOR:
                return call("sub", [Number(2.0), node])
        return node

    def _choice(self, node: Call) -> _Image:
        if node.operator in ("where", "count"):
            condition = self.condition(node.arguments[0])
            if node.operator == "count":
                return _Image(call("count", [condition, node.arguments[1]]), False)
        images = [self.series(argument) for argument in node.arguments[-2:]]
        if len({(image.directed, image.centre) for image in images}) > 1:
            raise MirrorError("mirror: a choice between unlike series.")
        parts, directed = [image.node for image in images], images[0].directed
        if node.operator == "where":
            return _Image(call("where", [condition, *parts]), directed, images[0].centre)
        name = _OPPOSITE[node.operator] if directed else node.operator
        return _Image(call(name, parts), directed, images[0].centre)


def _negated(node: Node) -> Node:
    return Number(-node.value) if isinstance(node, Number) else call("mul", [Number(-1.0), node])


def _subtracted(centre: float, node: Node) -> Node:
    """centre - node, folded."""
    if isinstance(node, Number):
        return Number(centre - node.value)
    return call("sub", [Number(centre), node]) if centre else _negated(node)


def _is_level(node: Node) -> bool:
    """Whether a price series is a level (not a difference of levels, nor a range)."""
    if isinstance(node, Field):
        return node.kind == Kind.PRICE and node.name != "range"
    if not isinstance(node, Call) or node.kind != Kind.PRICE or node.operator in (*_CHANGES, "atr", "std", "abs"):
        return False
    return node.operator == "vwap" or any(_is_level(argument) for argument in node.arguments)
