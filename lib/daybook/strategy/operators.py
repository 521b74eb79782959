"""The registry of the expression language: every operator, declared once.

An entry says what an operator takes and returns, how many earlier bars it needs and how it is computed over whole
columns. The parser, the printer, the designer, the documentation and the conformance tests all read this one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from daybook.core.arrays import Floats
from daybook.strategy import mean_kernel as means
from daybook.strategy import recursive_kernel as recursive
from daybook.strategy import rolling_kernel as rolling
from daybook.strategy.kinds import Kind

LONGEST_WINDOW = 1440

Columns: TypeAlias = Sequence[Any]
"""What an operator reads, in argument order: each a (T,) float64 column, or a float where a number stands."""
Numbers: TypeAlias = tuple[float, ...]
"""Its windows and fractions."""
Vector: TypeAlias = Callable[[Columns, Numbers, Floats], None]
"""Fills the third argument, a (T,) float64 row, and changes nothing else."""
Prepare: TypeAlias = Callable[[Floats], Any]
"""What all windows over one series share. Whoever evaluates many windows computes it once and adds it to the columns;
a Vector that does not find it there computes its own."""


class Slot(StrEnum):
    """What an argument place accepts."""

    SERIES = "series"
    """Any price, volume, return, ratio or score series."""
    RATIO = "ratio"
    LIKE = "like"
    """A series or number of the same dimension as the other LIKE arguments."""
    BOOLEAN = "boolean"
    WINDOW = "window"
    FRACTION = "fraction"
    """A number strictly between 0 and 1."""
    OPERAND = "operand"
    """One side of an infix operator; the dimension rules of `kinds` decide."""


@dataclass(frozen=True)
class Operator:
    """One operator. `result` None means the kind of its series; `lag` maps its window to earlier bars needed.

    reads: bar fields it takes beside its arguments. infix: its symbol, where it is not written as a call.
    commutative: arguments may be sorted. vector is None for boolean operators, which run in the packed-bits kernel.
    prepare: what may be shared over the windows of its one series.
    """

    name: str
    slots: tuple[Slot, ...]
    result: Kind | None
    lag: Callable[[int], int]
    vector: Vector | None
    description: str
    reads: tuple[str, ...] = ()
    infix: str = ""
    commutative: bool = False
    shortest_window: int = 2
    prepare: Prepare | None = None

    @property
    def signature(self) -> str:
        """How it is written: `sma(series, window)` or `operand + operand`."""
        if self.infix:
            return f" {self.infix} ".join(self.slots) if len(self.slots) > 1 else f"{self.infix} {self.slots[0]}"
        return f"{self.name}({', '.join(self.slots)})"


def _none(window: int) -> int:
    return 0


def _one(window: int) -> int:
    return 1


def _full(window: int) -> int:
    return window - 1


def _back(window: int) -> int:
    return window


def _ema_lag(window: int) -> int:
    """After 3n bars the start weighs e^-6 of its first weight."""
    return 3 * window


def _wilder_lag(window: int) -> int:
    """Wilder's n forgets like an EMA of 2n - 1."""
    return 6 * window


def _adx_lag(window: int) -> int:
    """Two smoothings in a row: one window to start the second, then Wilder's lag of it."""
    return 8 * window


def _moment(which: int) -> Vector:
    def vector(columns: Columns, numbers: Numbers, out: Floats) -> None:
        rolling.rolling_moment(columns[0], int(numbers[0]), which, out)

    return vector


def _linear(which: int) -> Vector:
    def vector(columns: Columns, numbers: Numbers, out: Floats) -> None:
        rolling.rolling_linear(columns[0], int(numbers[0]), which, out)

    return vector


def _extreme(sign: int, age: bool) -> Vector:
    def vector(columns: Columns, numbers: Numbers, out: Floats) -> None:
        rolling.rolling_extreme(columns[0], int(numbers[0]), sign, age, out)

    return vector


def _sums(columns: Columns) -> means.RunningSums:
    return columns[1] if len(columns) > 1 else means.running_sums(columns[0])


def _mean(columns: Columns, numbers: Numbers, out: Floats) -> None:
    means.rolling_mean(_sums(columns), int(numbers[0]), out)


def _sum(columns: Columns, numbers: Numbers, out: Floats) -> None:
    means.rolling_sum(_sums(columns), int(numbers[0]), out)


def _ema(columns: Columns, numbers: Numbers, out: Floats) -> None:
    recursive.ema(columns[0], int(numbers[0]), _ema_lag(int(numbers[0])), out)


def _rsi(columns: Columns, numbers: Numbers, out: Floats) -> None:
    recursive.rsi(columns[0], int(numbers[0]), _wilder_lag(int(numbers[0])), out)


def _atr(columns: Columns, numbers: Numbers, out: Floats) -> None:
    high, low, close = columns
    recursive.atr(high, low, close, int(numbers[0]), _wilder_lag(int(numbers[0])), out)


def _adx(columns: Columns, numbers: Numbers, out: Floats) -> None:
    high, low = columns
    recursive.adx(high, low, int(numbers[0]), _adx_lag(int(numbers[0])), out)


def _rank(columns: Columns, numbers: Numbers, out: Floats) -> None:
    rolling.rolling_rank(columns[0], int(numbers[0]), out)


def _quantile(columns: Columns, numbers: Numbers, out: Floats) -> None:
    rolling.rolling_quantile(columns[0], int(numbers[0]), numbers[1], out)


def _correlation(columns: Columns, numbers: Numbers, out: Floats) -> None:
    rolling.rolling_correlation(columns[0], columns[1], int(numbers[0]), out)


def _efficiency(columns: Columns, numbers: Numbers, out: Floats) -> None:
    rolling.rolling_efficiency(columns[0], int(numbers[0]), out)


def _shifted(columns: Columns, numbers: Numbers, out: Floats) -> Floats:
    """The column n bars earlier, in `out`."""
    lag = min(int(numbers[0]), out.size)
    out[:lag] = np.nan
    out[lag:] = np.asarray(columns[0])[:out.size - lag]
    return out


def _delay(columns: Columns, numbers: Numbers, out: Floats) -> None:
    _shifted(columns, numbers, out)


def _delta(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.subtract(columns[0], _shifted(columns, numbers, out), out=out)


def _roc(columns: Columns, numbers: Numbers, out: Floats) -> None:
    _finite_quotient(columns[0], _shifted(columns, numbers, out), out)
    out -= 1.0


def _finite_quotient(left: Floats | float, right: Floats | float, out: Floats) -> None:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        np.divide(left, right, out=out)
    out[np.isinf(out)] = np.nan


def _stoch(columns: Columns, numbers: Numbers, out: Floats) -> None:
    high, low, close = (np.asarray(column) for column in columns)
    lowest = np.empty_like(out)
    rolling.rolling_extreme(high, int(numbers[0]), 1, False, out)
    rolling.rolling_extreme(low, int(numbers[0]), -1, False, lowest)
    _finite_quotient(close - lowest, out - lowest, out)


def _vwap(columns: Columns, numbers: Numbers, out: Floats) -> None:
    typical, volume = (np.asarray(column) for column in columns)
    traded = np.empty_like(out)
    _mean([typical * volume], numbers, out)
    _mean([volume], numbers, traded)
    _finite_quotient(out, traded, out)


def _log(columns: Columns, numbers: Numbers, out: Floats) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log(columns[0], out=out)
    out[np.isinf(out)] = np.nan


def _abs(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.abs(columns[0], out=out)


def _sign(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.sign(columns[0], out=out)


def _min(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.minimum(columns[0], columns[1], out=out)


def _max(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.maximum(columns[0], columns[1], out=out)


def _where(columns: Columns, numbers: Numbers, out: Floats) -> None:
    condition = np.asarray(columns[0])
    np.copyto(out, np.where(condition > 0.5, columns[1], columns[2]))
    out[np.isnan(condition)] = np.nan


def _add(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.add(columns[0], columns[1], out=out)
    for column in columns[2:]:
        np.add(out, column, out=out)


def _mul(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.multiply(columns[0], columns[1], out=out)
    for column in columns[2:]:
        np.multiply(out, column, out=out)


def _sub(columns: Columns, numbers: Numbers, out: Floats) -> None:
    np.subtract(columns[0], columns[1], out=out)


def _div(columns: Columns, numbers: Numbers, out: Floats) -> None:
    _finite_quotient(columns[0], columns[1], out)


_S, _W, _L, _B, _O = Slot.SERIES, Slot.WINDOW, Slot.LIKE, Slot.BOOLEAN, Slot.OPERAND

_CALLS = (
    Operator("sma", (_S, _W), None, _full, _mean, "plain mean of the last n values",
             prepare=means.running_sums),
    Operator("ema", (_S, _W), None, _ema_lag, _ema, "exponential mean, weight 2 / (n + 1)"),
    Operator("wma", (_S, _W), None, _full, _linear(rolling.WMA), "linearly weighted mean, newest heaviest"),
    Operator("std", (_S, _W), None, _full, _moment(rolling.STD), "population standard deviation of n values"),
    Operator("skew", (_S, _W), Kind.SCORE, _full, _moment(rolling.SKEW), "skewness of n values", shortest_window=3),
    Operator("zscore", (_S, _W), Kind.SCORE, _full, _moment(rolling.ZSCORE), "deviations from the mean of n values"),
    Operator("sum", (_S, _W), None, _full, _sum, "sum of the last n values", prepare=means.running_sums),
    Operator("slope", (_S, _W), None, _full, _linear(rolling.SLOPE), "least-squares change per bar over n values"),
    Operator("highest", (_S, _W), None, _full, _extreme(1, False), "highest of the last n values"),
    Operator("lowest", (_S, _W), None, _full, _extreme(-1, False), "lowest of the last n values"),
    Operator("argmax", (_S, _W), Kind.SCORE, _full, _extreme(1, True), "bars since the highest of n values"),
    Operator("argmin", (_S, _W), Kind.SCORE, _full, _extreme(-1, True), "bars since the lowest of n values"),
    Operator("rank", (_S, _W), Kind.RATIO, _full, _rank, "share of the window below the newest value, 0 to 1"),
    Operator("quantile", (_S, _W, Slot.FRACTION), None, _full, _quantile, "q-quantile of the last n values"),
    Operator("correlation", (_S, _S, _W), Kind.RATIO, _full, _correlation, "Pearson correlation of n pairs",
             commutative=True, shortest_window=3),
    Operator("efficiency_ratio", (_S, _W), Kind.RATIO, _back, _efficiency, "net move over path length, 0 to 1"),
    Operator("delay", (_S, _W), None, _back, _delay, "the value n bars earlier", shortest_window=1),
    Operator("delta", (_S, _W), None, _back, _delta, "change over n bars", shortest_window=1),
    Operator("roc", (_S, _W), Kind.RETURN, _back, _roc, "relative change over n bars", shortest_window=1),
    Operator("rsi", (_S, _W), Kind.SCORE, _wilder_lag, _rsi, "Wilder's relative strength index, 0 to 100"),
    Operator("atr", (_W,), Kind.PRICE, _wilder_lag, _atr, "Wilder's average true range", ("high", "low", "close")),
    Operator("adx", (_W,), Kind.SCORE, _adx_lag, _adx, "Wilder's directional index, 0 to 100", ("high", "low")),
    Operator("stoch", (_W,), Kind.RATIO, _full, _stoch, "place of the close in the n-bar range, 0 to 1",
             ("high", "low", "close")),
    Operator("vwap", (_W,), Kind.PRICE, _full, _vwap, "volume-weighted typical price of n bars", ("typical", "volume")),
    Operator("count", (_B, _W), Kind.SCORE, _full, _sum, "bars among the last n on which a condition held",
             prepare=means.running_sums),
    Operator("abs", (_S,), None, _none, _abs, "absolute value"),
    Operator("sign", (_S,), Kind.RATIO, _none, _sign, "-1, 0 or 1"),
    Operator("log", (Slot.RATIO,), Kind.RETURN, _none, _log, "natural logarithm of a ratio"),
    Operator("min", (_L, _L), None, _none, _min, "smaller of two", commutative=True),
    Operator("max", (_L, _L), None, _none, _max, "larger of two", commutative=True),
    Operator("where", (_B, _L, _L), None, _none, _where, "second argument where the condition holds, else the third"),
    Operator("cross_above", (_L, _L), Kind.BOOLEAN, _one, None, "first above second now, not one bar earlier"),
    Operator("cross_below", (_L, _L), Kind.BOOLEAN, _one, None, "first below second now, not one bar earlier"),
)
_INFIX = (
    Operator("add", (_O, _O), None, _none, _add, "sum of like things", infix="+", commutative=True),
    Operator("sub", (_O, _O), None, _none, _sub, "difference of like things", infix="-"),
    Operator("mul", (_O, _O), None, _none, _mul, "product; at most one price or volume", infix="*", commutative=True),
    Operator("div", (_O, _O), None, _none, _div, "quotient; undefined where the divisor is 0", infix="/"),
    Operator("lt", (_O, _O), Kind.BOOLEAN, _none, None, "below; False where a side is undefined", infix="<"),
    Operator("le", (_O, _O), Kind.BOOLEAN, _none, None, "at or below", infix="<="),
    Operator("gt", (_O, _O), Kind.BOOLEAN, _none, None, "above", infix=">"),
    Operator("ge", (_O, _O), Kind.BOOLEAN, _none, None, "at or above", infix=">="),
    Operator("eq", (_O, _O), Kind.BOOLEAN, _none, None, "equal; for hour and weekday only", infix="=="),
    Operator("ne", (_O, _O), Kind.BOOLEAN, _none, None, "unequal; for hour and weekday only", infix="!="),
    Operator("and", (_B, _B), Kind.BOOLEAN, _none, None, "both hold", infix="and", commutative=True),
    Operator("or", (_B, _B), Kind.BOOLEAN, _none, None, "either holds", infix="or", commutative=True),
    Operator("not", (_B,), Kind.BOOLEAN, _none, None, "fails to hold; undefined comparisons stay False", infix="not"),
)

REGISTRY = MappingProxyType({operator.name: operator for operator in (*_CALLS, *_INFIX)})
CALLABLE = MappingProxyType({operator.name: operator for operator in _CALLS})
ALIASES = MappingProxyType({"mean": "sma", "ret": "roc"})


def operators() -> tuple[Operator, ...]:
    """Every operator of the language, calls first, in the order of the documentation."""
    return tuple(REGISTRY.values())
