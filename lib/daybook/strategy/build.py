"""Typed construction: the only way to make a Call, refused with a reason where arguments do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from daybook.strategy.errors import ExpressionError
from daybook.strategy.fields import FIELDS
from daybook.strategy.kinds import SERIES, Kind, comparable, joined, product, quotient
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter
from daybook.strategy.operators import LONGEST_WINDOW, REGISTRY, Operator, Slot

_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_VARIADIC = ("add", "mul", "and", "or")


def field_node(name: str, at: int = 0) -> Field:
    """The node of a bar column. Raises KeyError for an unknown name."""
    return Field(name, FIELDS[name].kind, at)


def call(name: str, arguments: Sequence[Node], at: int = 0) -> Call:
    """The typed call of an operator. Raises ExpressionError (without text) where arguments do not fit its slots."""
    operator = REGISTRY[name]
    if len(arguments) != len(operator.slots) and not (name in _VARIADIC and len(arguments) > 2):
        raise ExpressionError(f"{operator.signature} takes {len(operator.slots)} arguments, found {len(arguments)}.",
                              at=at)
    if name in _COMPARISONS:
        return _comparison(operator, arguments[0], arguments[1], at)
    if operator.slots[0] == Slot.OPERAND:
        return _arithmetic(operator, arguments, at)
    slots = operator.slots if name not in _VARIADIC else (Slot.BOOLEAN,) * len(arguments)
    fitted = tuple(_fit(operator, slot, argument) for slot, argument in zip(slots, arguments, strict=True))
    kind = operator.result
    like = [argument for slot, argument in zip(slots, fitted, strict=True) if slot == Slot.LIKE]
    if like:
        shared = joined(like[0].kind, like[1].kind)
        if shared is None or shared == Kind.NUMBER:
            raise ExpressionError(f"{name} needs two like things, found {like[0].kind} and {like[1].kind}."
                                  f"{_hint(like[0].kind, like[1].kind)}", at=like[1].at)
        kind = kind or shared
    return Call(name, fitted, kind or fitted[0].kind, at)


def _fit(operator: Operator, slot: Slot, argument: Node) -> Node:
    """The argument as the slot takes it, windows marked as such; raises ExpressionError where it does not fit."""
    if slot == Slot.WINDOW:
        return _window(operator, argument)
    if slot == Slot.FRACTION:
        literal = isinstance(argument, Number) and 0.0 < argument.value < 1.0
        if not literal and not isinstance(argument, Parameter):
            raise ExpressionError(f"{operator.signature} needs a number between 0 and 1 or a parameter name here.",
                                  at=argument.at)
        return argument
    allowed = {Slot.SERIES: SERIES, Slot.RATIO: (Kind.RATIO,), Slot.BOOLEAN: (Kind.BOOLEAN,),
               Slot.LIKE: (*SERIES, Kind.NUMBER)}[slot]
    if argument.kind not in allowed:
        hint = " Take the logarithm of a ratio, such as close / delay(close, 1)." if slot == Slot.RATIO else ""
        raise ExpressionError(f"{operator.signature} needs a {slot} here, found a {argument.kind}; "
                              f"allowed are {', '.join(allowed)}.{hint}", at=argument.at)
    return argument


def _window(operator: Operator, argument: Node) -> Node:
    """A window: a whole number of bars, or a parameter whose range the spec checks."""
    if isinstance(argument, Parameter):
        return Parameter(argument.name, Kind.WINDOW, argument.at)
    low = operator.shortest_window
    if not isinstance(argument, Number):
        raise ExpressionError(f"{operator.signature} needs a whole number or a parameter name as its window.",
                              at=argument.at)
    if argument.value != int(argument.value) or not low <= argument.value <= LONGEST_WINDOW:
        raise ExpressionError(f"{operator.name}: window {argument.value:g}, allowed are whole numbers "
                              f"{low} to {LONGEST_WINDOW}.", at=argument.at)
    return Number(argument.value, Kind.WINDOW, argument.at)


def _comparison(operator: Operator, left: Node, right: Node, at: int) -> Call:
    if Kind.BOOLEAN in (left.kind, right.kind):
        raise ExpressionError(f"'{operator.infix}' compares values, found a condition; join conditions with and, or.",
                              at=at)
    if operator.name in ("eq", "ne") and Kind.CLOCK not in (left.kind, right.kind):
        raise ExpressionError(f"'{operator.infix}' is for hour and weekday only: a computed value is hardly ever "
                              "exactly equal. Use <, <=, > or >=.", at=at)
    zero = any(isinstance(side, Number) and side.value == 0.0 for side in (left, right))
    series = any(side.kind in SERIES for side in (left, right))
    if not (zero and series) and not comparable(left.kind, right.kind):
        raise ExpressionError(f"'{operator.infix}' compares like with like, found {left.kind} and {right.kind}."
                              f"{_hint(left.kind, right.kind)}", at=right.at)
    if left == right:
        raise ExpressionError(f"'{operator.infix}' compares a value with itself.", at=right.at)
    return Call(operator.name, (left, right), Kind.BOOLEAN, at)


def _arithmetic(operator: Operator, arguments: Sequence[Node], at: int) -> Call:
    rule = {"add": joined, "sub": joined, "mul": product, "div": quotient}[operator.name]
    divisor = arguments[1]
    if operator.name == "div" and isinstance(divisor, Number) and divisor.value == 0.0:
        raise ExpressionError("division by the constant 0.", at=divisor.at)
    kind = arguments[0].kind
    for argument in arguments[1:]:
        result = rule(kind, argument.kind)
        if result is None:
            raise ExpressionError(f"'{operator.infix}' has no meaning between {kind} and {argument.kind}."
                                  f"{_hint(kind, argument.kind)}", at=argument.at)
        kind = result
    return Call(operator.name, tuple(arguments), kind, at)


def _hint(left: Kind, right: Kind) -> str:
    pair = {left, right}
    if pair == {Kind.PRICE, Kind.NUMBER}:
        return (" A bare number means nothing beside a price: scale a price (close > 1.01 * sma(close, 20)) "
                "or use a score or return (zscore, roc, rsi).")
    if pair == {Kind.VOLUME, Kind.NUMBER}:
        return " Scale a volume instead: volume > 2 * sma(volume, 20)."
    if pair == {Kind.PRICE, Kind.VOLUME} or pair == {Kind.PRICE} or pair == {Kind.VOLUME}:
        return " Divide like by like first: close / sma(close, 20)."
    if Kind.BOOLEAN in pair:
        return " Join conditions with and, or, not, or choose with where(condition, a, b)."
    if pair == {Kind.NUMBER}:
        return " Two numbers alone say nothing about the market."
    return ""
