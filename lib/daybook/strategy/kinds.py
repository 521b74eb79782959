"""What a value measures, and which values may meet: the dimension rules of the expression language."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The dimension of a value. A threshold is a `number`; a lag or length in bars is a `window`."""

    PRICE = "price"
    VOLUME = "volume"
    RETURN = "return"
    RATIO = "ratio"
    SCORE = "score"
    CLOCK = "clock"
    BOOLEAN = "boolean"
    WINDOW = "window"
    NUMBER = "number"


SERIES = (Kind.PRICE, Kind.VOLUME, Kind.RETURN, Kind.RATIO, Kind.SCORE)
_DIMENSIONED = (Kind.PRICE, Kind.VOLUME)
_FRACTIONS = (Kind.NUMBER, Kind.RETURN, Kind.RATIO)
_PRODUCT_ORDER = (Kind.NUMBER, Kind.RATIO, Kind.RETURN, Kind.SCORE)


def joined(left: Kind, right: Kind) -> Kind | None:
    """The kind of left + right, min, max or a choice between them; None where the two are unlike.

    Like means equal, or both fractions (return, ratio), or a bare number beside a return, ratio or score.
    Commutative and associative, so sorting terms never changes whether an expression is allowed.
    """
    if Kind.CLOCK in (left, right) or not _is_value(left) or not _is_value(right):
        return None
    if left == right:
        return left
    if left in _FRACTIONS and right in _FRACTIONS:
        return max(left, right, key=_FRACTIONS.index)
    if {left, right} == {Kind.NUMBER, Kind.SCORE}:
        return Kind.SCORE
    return None


def comparable(left: Kind, right: Kind) -> bool:
    """Whether left < right has a meaning; the literal 0 is checked by the caller, as it has every dimension."""
    if {left, right} == {Kind.CLOCK, Kind.NUMBER}:
        return True
    return not (left == right == Kind.NUMBER) and joined(left, right) is not None


def product(left: Kind, right: Kind) -> Kind | None:
    """The kind of left * right; None where it has no meaning here (price * price, price * volume)."""
    if not _multiplies(left) or not _multiplies(right):
        return None
    if left in _DIMENSIONED and right in _DIMENSIONED:
        return None
    if left in _DIMENSIONED:
        return left
    if right in _DIMENSIONED:
        return right
    return max(left, right, key=_PRODUCT_ORDER.index)


def quotient(left: Kind, right: Kind) -> Kind | None:
    """The kind of left / right; None where it has no meaning here (1 / price, price / volume)."""
    if not _multiplies(left) or not _multiplies(right):
        return None
    if right in _DIMENSIONED:
        return Kind.RATIO if left == right else None
    if left in _DIMENSIONED:
        return left
    if left == right == Kind.NUMBER:
        return Kind.NUMBER
    if left == right or left == Kind.NUMBER:
        return Kind.RATIO
    return max(left, right, key=_PRODUCT_ORDER.index)


def _is_value(kind: Kind) -> bool:
    return kind in SERIES or kind == Kind.NUMBER


def _multiplies(kind: Kind) -> bool:
    return kind in _DIMENSIONED or kind in _PRODUCT_ORDER
