"""Random typed expressions: conditions that a trader could have meant, drawn from a weighted grammar.

Every tree is made through the typed constructor, so what comes out is allowed by the language. Thresholds lie where
their indicator lives (an RSI between 10 and 90), windows on a roughly logarithmic grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from daybook.strategy.build import call, field_node
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Field, Node, Number

T = TypeVar("T")

WINDOWS = (3, 5, 8, 10, 14, 20, 30, 48, 60, 90, 120, 180, 240)
RECURSIVE_WINDOWS = (5, 8, 10, 14, 20, 30, 48, 60)
"""Shorter: recursive indicators need several times their window before they can be trusted."""
THRESHOLDS = {"rsi": (10.0, 90.0), "zscore": (-3.0, 3.0), "adx": (12.0, 45.0), "skew": (-1.5, 1.5),
              "stoch": (0.05, 0.95), "close_position": (0.05, 0.95), "rank": (0.05, 0.95),
              "efficiency_ratio": (0.1, 0.7), "correlation": (-0.7, 0.7), "div": (0.5, 3.0)}
"""Where the threshold of an indicator may lie."""


def pick(rng: np.random.Generator, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of the items, by weight."""
    if weights is None:
        return items[int(rng.integers(len(items)))]
    share = np.cumsum(weights) / sum(weights)
    return items[min(int(np.searchsorted(share, rng.random(), side="right")), len(items) - 1)]


def window(rng: np.random.Generator, grid: Sequence[int] = WINDOWS) -> Number:
    """A window from the grid."""
    return Number(float(pick(rng, grid)), Kind.WINDOW)


def constant(rng: np.random.Generator, low: float, high: float) -> Number:
    """A threshold between two bounds, two decimals of their span."""
    step = 10.0 ** np.floor(np.log10((high - low) / 20.0))
    return Number(float(round(round(float(rng.uniform(low, high)) / step) * step, 6)))


def price(rng: np.random.Generator, room: int = 2) -> Node:
    """A price level: a bar price, a mean, an extreme of a window, or a mean moved by some deviations."""
    kind = pick(rng, ("field", "mean", "extreme", "delay", "vwap", "band"), (4, 4, 2, 1, 1, 2 if room > 1 else 0))
    if kind == "field":
        return field_node(pick(rng, ("close", "open", "high", "low", "typical"), (6, 1, 1, 1, 1)))
    if kind == "mean":
        name = pick(rng, ("sma", "ema", "wma"))
        return call(name, [field_node("close"), window(rng, RECURSIVE_WINDOWS if name == "ema" else WINDOWS)])
    if kind == "extreme":
        high = rng.random() < 0.5
        delayed = call("delay", [field_node("high" if high else "low"), Number(1.0, Kind.WINDOW)])
        return call("highest" if high else "lowest", [delayed, window(rng)])
    if kind == "delay":
        return call("delay", [field_node("close"), window(rng)])
    if kind == "vwap":
        return call("vwap", [window(rng)])
    length = window(rng, RECURSIVE_WINDOWS)
    width = pick(rng, (call("std", [field_node("close"), length]), call("atr", [length])))
    moved = call("mul", [constant(rng, 0.5, 3.0), width])
    return call(pick(rng, ("add", "sub")), [call("sma", [field_node("close"), length]), moved])


def volume(rng: np.random.Generator, room: int = 2) -> Node:
    """Traded volume or a mean of it."""
    if room < 1 or rng.random() < 0.5:
        return field_node("volume")
    return call("sma", [field_node("volume"), window(rng)])


def returns(rng: np.random.Generator, room: int = 2) -> Node:
    """A relative change."""
    if rng.random() < 0.3:
        return field_node("return_1")
    return call("roc", [field_node("close"), window(rng)])


def ratio(rng: np.random.Generator, room: int = 2) -> Node:
    """A dimensionless place or share."""
    name = pick(rng, ("close_position", "stoch", "efficiency_ratio", "rank", "correlation", "div"), (3, 2, 2, 2, 1, 2))
    if name == "close_position":
        return field_node(name)
    if name == "stoch":
        return call(name, [window(rng)])
    if name == "correlation":
        return call(name, [field_node("close"), field_node("volume"), window(rng, WINDOWS[2:])])
    if name == "div":
        return call(name, [field_node("volume"), call("sma", [field_node("volume"), window(rng)])])
    column = pick(rng, ("close", "volume", "range")) if name == "rank" else "close"
    return call(name, [field_node(column), window(rng)])


def score(rng: np.random.Generator, room: int = 2) -> Node:
    """An indicator on its own scale."""
    name = pick(rng, ("rsi", "zscore", "adx", "skew", "count"), (5, 4, 2, 1, 1 if room > 1 else 0))
    if name == "adx":
        return call(name, [window(rng, RECURSIVE_WINDOWS[:5])])
    if name == "rsi":
        return call(name, [field_node("close"), window(rng, RECURSIVE_WINDOWS)])
    if name == "count":
        return call(name, [call("gt", [field_node("close"), field_node("open")]), window(rng, WINDOWS[1:6])])
    source = field_node("return_1") if name == "skew" else field_node(pick(rng, ("close", "volume"), (4, 1)))
    return call(name, [source, window(rng, WINDOWS[2:])])


SERIES: dict[Kind, Callable[[np.random.Generator, int], Node]] = {
    Kind.PRICE: price, Kind.VOLUME: volume, Kind.RETURN: returns, Kind.RATIO: ratio, Kind.SCORE: score}


def threshold(rng: np.random.Generator, node: Node) -> Number:
    """A number where this series lives."""
    name = node.operator if isinstance(node, Call) else node.name if isinstance(node, Field) else ""
    if name == "count" and isinstance(node, Call):
        length = node.arguments[1]
        return constant(rng, 0.0, length.value if isinstance(length, Number) else 10.0)
    low, high = THRESHOLDS.get(name, (0.05, 0.95))
    return constant(rng, low, high)


def comparison(rng: np.random.Generator, room: int = 2) -> Node:
    """One elementary condition."""
    kind = pick(rng, ("score", "price", "ratio", "surge", "move"), (4, 4, 3, 2, 2))
    above = pick(rng, ("gt", "lt"))
    if kind in ("score", "ratio"):
        left = score(rng, room) if kind == "score" else ratio(rng, room)
        crossing = rng.random() < 0.25
        name = pick(rng, ("cross_above", "cross_below")) if crossing else above
        return call(name, [left, threshold(rng, left)])
    if kind == "surge":
        mean = call("sma", [field_node("volume"), window(rng, WINDOWS[5:])])
        return call("gt", [field_node("volume"), call("mul", [constant(rng, 1.2, 6.0), mean])])
    if kind == "move":
        length = window(rng)
        deviation = call("std", [field_node("return_1"), window(rng, WINDOWS[5:])])
        change = call("roc", [field_node("close"), length])
        signed = constant(rng, 1.0, 4.0).value * (1 if above == "gt" else -1)
        return call(above, [change, call("mul", [Number(signed), deviation])])
    left, right = field_node("close") if rng.random() < 0.6 else price(rng, room), price(rng, room)
    while left == right:
        right = price(rng, room)
    return call(pick(rng, ("gt", "lt", "cross_above", "cross_below"), (3, 3, 2, 2)), [left, right])


def market_filter(rng: np.random.Generator) -> Node:
    """A condition without direction: session, trend strength, calm or busy market."""
    kind = pick(rng, ("session", "adx", "efficiency_ratio", "volatility"), (3, 2, 2, 2))
    if kind == "session":
        return field_node(pick(rng, ("london", "newyork", "tokyo")))
    above = pick(rng, ("gt", "lt"))
    if kind == "volatility":
        short, long = window(rng, (10, 14, 20)), window(rng, (60, 90, 120, 240))
        return call(above, [call("std", [field_node("return_1"), short]), call("std", [field_node("return_1"), long])])
    left = call("adx", [window(rng, RECURSIVE_WINDOWS[:5])]) if kind == "adx" else call(
        "efficiency_ratio", [field_node("close"), window(rng)])
    return call(above, [left, threshold(rng, left)])


def condition(rng: np.random.Generator, parts: int | None = None) -> Node:
    """One to three elementary conditions that must hold together; a filter may be one of them."""
    count = parts or pick(rng, (1, 2, 3), (3, 5, 2))
    nodes = [comparison(rng)]
    nodes += [market_filter(rng) if rng.random() < 0.5 else comparison(rng) for _ in range(count - 1)]
    return nodes[0] if len(nodes) == 1 else call("and", nodes)


def random_node(rng: np.random.Generator, kind: Kind) -> Node | None:
    """A random tree of this kind; None for kinds that are leaves only (numbers, windows, the clock)."""
    if kind == Kind.BOOLEAN:
        return comparison(rng) if rng.random() < 0.7 else market_filter(rng)
    make = SERIES.get(kind)
    return make(rng, 1) if make else None
