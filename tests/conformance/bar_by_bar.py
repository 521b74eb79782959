"""Expressions evaluated one bar after the other, in plain Python: what was not yet handed in can not be known."""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from daybook.market.bars import Bars
from daybook.strategy import Strategy
from daybook.strategy.fields import FIELDS
from daybook.strategy.nodes import Call, Field, Node, Number
from daybook.strategy.operators import REGISTRY, Slot

BITS = {"long_entry": 1, "long_exit": 2, "short_entry": 4, "short_exit": 8}
SESSIONS = {"tokyo": ("Asia/Tokyo", time(9), time(15)), "london": ("Europe/London", time(8), time(16, 30)),
            "newyork": ("America/New_York", time(9, 30), time(16))}
NAN = math.nan
Row = tuple[float, float, float, float, float]


class Step(Protocol):
    """What takes the values of one bar and gives the operator's value there."""

    def __call__(self, *values: float) -> float: ...


class Rolling:
    """A rule over the last n values, undefined while they are fewer or one of them is."""

    def __init__(self, n: int, rule: Callable[[Sequence[float]], float]) -> None:
        self.values: deque[float] = deque(maxlen=n)
        self.rule, self.n, self.good = rule, n, 0

    def __call__(self, *values: float) -> float:
        self.good = self.good + 1 if all(value == value for value in values) else 0
        self.values.append(values[0] if len(values) == 1 else values)  # type: ignore[arg-type]
        return self.rule(list(self.values)) if self.good >= self.n else NAN


class Lagged:
    """A rule of the value now and the one n bars earlier."""

    def __init__(self, n: int, rule: Callable[[float, float], float]) -> None:
        self.values: deque[float] = deque(maxlen=n + 1)
        self.rule, self.n = rule, n

    def __call__(self, *values: float) -> float:
        self.values.append(values[0])
        return self.rule(values[0], self.values[0]) if len(self.values) > self.n else NAN


class Recursive:
    """A rule that carries state from bar to bar and starts anew after an undefined value."""

    def __init__(self, start: Callable[[], Callable[..., float]], lag: int) -> None:
        self.start, self.lag = start, lag
        self.state, self.seen = start(), 0

    def __call__(self, *values: float) -> float:
        if any(value != value for value in values):
            self.state, self.seen = self.start(), 0
            return NAN
        self.seen += 1
        value = self.state(*values)
        return value if self.seen > self.lag else NAN


def _smoothed(n: int, weight: float) -> Callable[[float], float]:
    """The mean of the first n steps, then a share of every later one."""
    first: list[float] = []
    value = 0.0

    def step(now: float) -> float:
        nonlocal value
        if len(first) < n:
            first.append(now)
            value = math.fsum(first) / len(first)
        else:
            value = (1 - weight) * value + weight * now
        return value

    return step


def _rsi(n: int) -> Callable[[float], float]:
    up, down, before = _smoothed(n, 1 / n), _smoothed(n, 1 / n), NAN

    def step(now: float) -> float:
        nonlocal before
        change, before = now - before, now
        if change != change:
            return NAN
        rise, fall = up(max(change, 0.0)), down(max(-change, 0.0))
        return 100 * rise / (rise + fall) if rise + fall else NAN

    return step


def _atr(n: int) -> Callable[[float, float, float], float]:
    mean, before = _smoothed(n, 1 / n), NAN

    def step(high: float, low: float, close: float) -> float:
        nonlocal before
        last, before = before, close
        return mean(max(high, last) - min(low, last)) if last == last else NAN

    return step


def _adx(n: int) -> Callable[[float, float], float]:
    plus, minus, mean, before, steps = _smoothed(n, 1 / n), _smoothed(n, 1 / n), _smoothed(n, 1 / n), (NAN, NAN), 0

    def step(high: float, low: float) -> float:
        nonlocal before, steps
        up, down, before = high - before[0], before[1] - low, (high, low)
        if up != up:
            return NAN
        steps += 1
        rising = plus(up if up > down and up > 0 else 0.0)
        falling = minus(down if down > up and down > 0 else 0.0)
        moved = rising + falling
        return mean(100 * abs(rising - falling) / moved if moved else 0.0) if steps >= n else NAN

    return step


def _mean(window: Sequence[float]) -> float:
    return window[0] if len(set(window)) == 1 else math.fsum(window) / len(window)


def _deviations(window: Sequence[float]) -> list[float]:
    """Distances from the mean, by way of the oldest value: close numbers have an exact difference, no exact mean."""
    moved = [value - window[0] for value in window]
    mean = math.fsum(moved) / len(moved)
    return [value - mean for value in moved]


def _moment(window: Sequence[float], power: int) -> float:
    return math.fsum(deviation**power for deviation in _deviations(window)) / len(window)


def _std(window: Sequence[float]) -> float:
    return math.sqrt(_moment(window, 2))


def _over_deviation(window: Sequence[float], value: Callable[[float], float]) -> float:
    deviation = _std(window)
    return value(deviation) if deviation else NAN


def _weighted(window: Sequence[float]) -> float:
    weights = range(1, len(window) + 1)
    return window[0] if len(set(window)) == 1 else math.fsum(map(operator.mul, weights, window)) / sum(weights)


def _slope(window: Sequence[float]) -> float:
    centre = (len(window) - 1) / 2
    spread = math.fsum((i - centre) ** 2 for i in range(len(window)))
    return math.fsum((i - centre) * (value - window[0]) for i, value in enumerate(window)) / spread


def _rank(window: Sequence[float]) -> float:
    earlier, now = window[:-1], window[-1]
    return (sum(v < now for v in earlier) + 0.5 * sum(v == now for v in earlier)) / len(earlier)


def _quantile(window: Sequence[float], share: float) -> float:
    ordered, place = sorted(window), share * (len(window) - 1)
    low = int(place)
    high = min(low + 1, len(window) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    left, right = zip(*pairs, strict=True)
    scale = math.sqrt(_moment(left, 2)) * math.sqrt(_moment(right, 2))
    products = (x * y for x, y in zip(_deviations(left), _deviations(right), strict=True))
    return math.fsum(products) / len(pairs) / scale if scale else NAN


def _efficiency(window: Sequence[float]) -> float:
    path = math.fsum(abs(b - a) for a, b in pairwise(window))
    return abs(window[-1] - window[0]) / path if path else NAN


def _stoch(bars: Sequence[tuple[float, float, float]]) -> float:
    top, bottom = max(bar[0] for bar in bars), min(bar[1] for bar in bars)
    return (bars[-1][2] - bottom) / (top - bottom) if top > bottom else NAN


def _vwap(pairs: Sequence[tuple[float, float]]) -> float:
    traded = math.fsum(volume for _, volume in pairs)
    return math.fsum(price * volume for price, volume in pairs) / traded if traded else NAN


def _rolling(rule: Callable[..., float], more: int = 0) -> Callable[..., Step]:
    return lambda n, *numbers: Rolling(int(n) + more, lambda window: rule(window, *numbers))


def _lagged(rule: Callable[[float, float], float]) -> Callable[..., Step]:
    return lambda n: Lagged(int(n), rule)


def _recursive(start: Callable[[int], Callable[..., float]], lag: int) -> Callable[..., Step]:
    return lambda n: Recursive(lambda: start(int(n)), lag * int(n))


def _at_once(rule: Callable[..., float]) -> Callable[..., Step]:
    return lambda: lambda *values: NAN if any(value != value for value in values) else rule(*values)


STEPS: dict[str, Callable[..., Step]] = {
    "sma": _rolling(_mean), "wma": _rolling(_weighted), "std": _rolling(_std), "sum": _rolling(math.fsum),
    "skew": _rolling(lambda w: _over_deviation(w, lambda s: _moment(w, 3) / s**3)),
    "zscore": _rolling(lambda w: _over_deviation(w, lambda s: _deviations(w)[-1] / s)),
    "slope": _rolling(_slope), "highest": _rolling(max), "lowest": _rolling(min),
    "argmax": _rolling(lambda w: w[::-1].index(max(w))), "argmin": _rolling(lambda w: w[::-1].index(min(w))),
    "rank": _rolling(_rank), "quantile": _rolling(_quantile), "correlation": _rolling(_correlation),
    "efficiency_ratio": _rolling(_efficiency, 1), "count": _rolling(math.fsum),
    "stoch": _rolling(_stoch), "vwap": _rolling(_vwap),
    "delay": _lagged(lambda now, then: then), "delta": _lagged(lambda now, then: now - then),
    "roc": _lagged(lambda now, then: now / then - 1 if then else NAN),
    "ema": _recursive(lambda n: _smoothed(n, 2 / (n + 1)), 3), "rsi": _recursive(_rsi, 6),
    "atr": _recursive(_atr, 6), "adx": _recursive(_adx, 8),
    "abs": _at_once(abs), "sign": _at_once(lambda x: float(x > 0) - float(x < 0)),
    "log": _at_once(lambda x: math.log(x) if x > 0 else NAN), "min": _at_once(min), "max": _at_once(max),
    "where": _at_once(lambda held, left, right: left if held else right),
    "add": _at_once(lambda *parts: sum(parts[1:], parts[0])), "sub": _at_once(operator.sub),
    "mul": _at_once(lambda *parts: math.prod(parts[1:], start=parts[0])),
    "div": _at_once(lambda a, b: a / b if b else NAN),
    "lt": lambda: operator.lt, "le": lambda: operator.le, "gt": lambda: operator.gt, "ge": lambda: operator.ge,
    "eq": lambda: operator.eq, "ne": lambda: lambda a, b: a == a and b == b and a != b,
    "and": lambda: lambda *parts: all(parts), "or": lambda: lambda *parts: any(parts),
    "not": lambda: lambda held: not held,
}
CROSSES = ("cross_above", "cross_below")
NUMBERS = {name: sum(slot in (Slot.WINDOW, Slot.FRACTION) for slot in rule.slots) for name, rule in REGISTRY.items()}


class BarByBar:
    """Values of trees at the newest bar; every tree must be known before the first bar is handed in."""

    def __init__(self, trees: Iterable[Node]) -> None:
        self.places: dict[Node, int] = {}
        self.values: list[float] = []
        self.fields: list[tuple[int, str]] = []
        self.plan: list[tuple[int, Step, tuple[int, ...]]] = []
        self.close = NAN
        self.asked = [self._place(tree) for tree in trees]

    def _place(self, node: Node) -> int:
        """Where the value of a tree stands; it is planned after what it is made of, each distinct one once."""
        if node in self.places:
            return self.places[node]
        parts: list[int] = []
        if isinstance(node, Call):
            count = len(node.arguments) - NUMBERS[node.operator]
            reads = (Field(name, FIELDS[name].kind) for name in REGISTRY[node.operator].reads)
            parts = [self._place(part) for part in (*reads, *node.arguments[:count])]
        place = self.places[node] = len(self.values)
        self.values.append(node.value if isinstance(node, Number) else NAN)
        if isinstance(node, Field):
            self.fields.append((place, node.name))
        elif isinstance(node, Call):
            numbers = (number.value for number in node.arguments[count:] if isinstance(number, Number))
            step = _crossing(node.operator) if node.operator in CROSSES else STEPS[node.operator](*numbers)
            self.plan.append((place, step, tuple(parts)))
        return place

    def push(self, open_time: int, bar: Row) -> list[float]:
        """The values of the trees asked for, at a bar that has just closed; conditions are False or True."""
        columns = _columns(open_time, bar, self.close)
        self.close, values = bar[3], self.values
        for place, name in self.fields:
            values[place] = columns[name]
        for place, step, parts in self.plan:
            values[place] = step(*[values[part] for part in parts])
        return [values[place] for place in self.asked]


def _crossing(name: str) -> Step:
    """Strictly beyond now, not one bar earlier."""
    beyond = operator.gt if name == "cross_above" else operator.lt
    within = operator.le if name == "cross_above" else operator.ge
    before = (NAN, NAN)

    def step(*values: float) -> float:
        nonlocal before
        (left, right), before = before, (values[0], values[1])
        return beyond(values[0], values[1]) and within(left, right)

    return step


def _columns(open_time: int, bar: Row, before: float) -> dict[str, float]:
    first, high, low, close, volume = bar
    now = datetime.fromtimestamp(open_time / 1000, UTC)
    columns = {
        "open": first, "high": high, "low": low, "close": close, "volume": volume, "typical": (high + low + close) / 3,
        "range": high - low, "close_position": (close - low) / (high - low) if high > low else 0.5,
        "return_1": close / before - 1, "hour": float(now.hour), "weekday": float(now.weekday()),
        "weekend": float(now.weekday() >= 5)}
    for name, (zone, opens, closes) in SESSIONS.items():
        local = now.astimezone(ZoneInfo(zone))
        columns[name] = float(local.weekday() < 5 and opens <= local.time() < closes)
    return columns


def rows_of(bars: Bars) -> Iterable[tuple[int, Row]]:
    """(open time, (open, high, low, close, volume)) of each bar."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return zip(bars.open_time.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True)


def bits_bar_by_bar(strategies: Sequence[Strategy], bars: Bars) -> list[list[int]]:
    """The signal bits of each strategy, decided bar after bar; none while one of its trees warms up."""
    engine = BarByBar(node for strategy in strategies for node in strategy.expressions.values())
    plans = [(strategy.warmup(), [BITS[signal] for signal in strategy.expressions]) for strategy in strategies]
    told: list[list[int]] = [[] for _ in strategies]
    for t, (open_time, bar) in enumerate(rows_of(bars)):
        values = iter(engine.push(open_time, bar))
        for bits, (warmup, places) in zip(told, plans, strict=True):
            wanted = sum([bit for bit in places if next(values)])
            bits.append(wanted if t >= warmup else 0)
    return told
