"""Every operator and column of the language: causal, true warm-up, start-independent, inputs unmutated."""

from __future__ import annotations

import numpy as np
import pytest

from daybook.market.bars import FIELDS as BAR_FIELDS
from daybook.market.bars import Bars
from daybook.strategy import SignalPlan, fields, operators, parse_expression, parse_spec, signal_bits
from daybook.strategy.compiled import warmup
from daybook.strategy.operators import Operator, Slot

WINDOW = 9
EXAMPLES = {Slot.WINDOW: str(WINDOW), Slot.FRACTION: "0.7", Slot.RATIO: "close / open", Slot.BOOLEAN: "close > open"}
SERIES = ("close", "high")


def example(operator: Operator) -> str:
    """A smallest expression that uses the operator."""
    series = iter(SERIES)
    arguments = [EXAMPLES.get(slot) or next(series) for slot in operator.slots]
    if operator.name in ("eq", "ne"):
        arguments = ["hour", "14"]
    if operator.name == "mul":
        arguments[1] = "return_1"
    if operator.name in ("and", "or"):
        arguments[1] = "volume > delay(volume, 1)"
    if operator.name == "not":
        arguments = ["london"]
    if not operator.infix:
        return f"{operator.name}({', '.join(arguments)})"
    return f"{operator.infix} {arguments[0]}" if len(arguments) == 1 else f" {operator.infix} ".join(arguments)


EXPRESSIONS = {operator.name: example(operator) for operator in operators()} | {
    f"field {rule.name}": rule.name for rule in fields()}


def market(bars: int = 700, seed: int = 3) -> Bars:
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.standard_t(4, bars) * 0.002)), 2)
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) + np.round(random.random(bars) * 0.1, 2)
    low = np.minimum(opened, close) - np.round(random.random(bars) * 0.1, 2)
    times = 1_709_251_200_000 + 300_000 * np.arange(bars, dtype=np.int64)
    return Bars("test", "BTCUSDT", "5m", times, opened, high, low, close, np.round(random.lognormal(3, 1, bars), 3))


BARS = market()


def column(expression: str, bars: Bars) -> np.ndarray:
    return SignalPlan(bars, memory_bytes=1 << 20).column(parse_expression(expression, boolean=False))


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_appending_bars_never_changes_a_value(name: str) -> None:
    whole = column(EXPRESSIONS[name], BARS)
    assert np.isfinite(whole).sum() > 500
    lengths = (1, 2, 8, 9, 10, 50, 97, 288, 289, 333, 400, 555, 699, *np.random.default_rng(1).integers(60, 699, 8))
    for length in lengths:
        np.testing.assert_array_equal(column(EXPRESSIONS[name], BARS.rows(0, int(length))), whole[:length])


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_a_corrupt_future_never_reaches_the_past(name: str) -> None:
    whole = column(EXPRESSIONS[name], BARS)
    cut = 431
    spoilt = {field: np.concatenate([getattr(BARS, field)[:cut], getattr(BARS, field)[cut:][::-1] * 7 + 3])
              for field in BAR_FIELDS}
    bars = Bars(BARS.venue, BARS.symbol, BARS.timeframe, BARS.open_time, *spoilt.values())
    np.testing.assert_array_equal(column(EXPRESSIONS[name], bars)[:cut], whole[:cut])


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_warmup_is_exactly_where_values_begin(name: str) -> None:
    node = parse_expression(EXPRESSIONS[name], boolean=False)
    defined = np.isfinite(column(EXPRESSIONS[name], BARS))
    declared = warmup(node, {})
    assert not defined[:declared].any()
    assert defined[declared:].all()


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_a_value_hardly_depends_on_where_history_begins(name: str) -> None:
    whole = column(EXPRESSIONS[name], BARS)
    node = parse_expression(EXPRESSIONS[name], boolean=False)
    start, declared = 173, warmup(node, {})
    later = column(EXPRESSIONS[name], BARS.rows(start, len(BARS)))[declared:]
    spread = float(np.nanstd(whole)) or 1.0
    assert np.nanmax(np.abs(later - whole[start + declared:])) < 0.02 * spread


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_bars_are_left_unmutated(name: str) -> None:
    bars = market()
    column(EXPRESSIONS[name], bars)
    assert bars.data_hash == market().data_hash


def test_signals_of_a_strategy_with_everything_are_causal() -> None:
    conditions = [text for text in EXPRESSIONS.values()
                  if parse_expression(text, boolean=False).kind == "boolean"]
    spec = {"name": "all", "long_entry": " or ".join(conditions[:5]), "short_entry": " or ".join(conditions[5:10]),
            "long_exit": "rsi(close, 5) > 60", "short_exit": "cross_above(close, ema(close, 12))"}
    strategy = parse_spec(spec)
    whole = signal_bits(strategy, BARS)
    assert len(np.unique(whole)) > 3
    for length in np.random.default_rng(2).integers(1, 699, 20):
        np.testing.assert_array_equal(signal_bits(strategy, BARS.rows(0, int(length))), whole[:length])
