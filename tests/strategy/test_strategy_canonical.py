"""One form for all spellings: equal ideas meet, the printed form parses back to itself, meaning is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.market.bars import Bars
from daybook.strategy import ExpressionError, SignalPlan, parse_expression
from daybook.strategy.canonical import blind_text, canonical, rounded, text
from daybook.strategy.parser import Budget

ROOMY = Budget(nodes=400, depth=40, constants=100)
PARAMETERS = ("n", "k")

windows = st.sampled_from(["2", "5", "14", "60", "n"])
numbers = st.one_of(st.integers(-50, 50).map(str), st.floats(0.001, 3.0).map(lambda x: f"{x:.6f}"), st.just("k"))
prices = st.deferred(lambda: st.one_of(
    st.sampled_from(["open", "high", "low", "close", "typical", "range", "atr(14)", "vwap(n)"]),
    st.builds("{}({}, {})".format, st.sampled_from(["sma", "ema", "std", "delay", "highest", "slope"]), prices,
              windows),
    st.builds("({} {} {})".format, prices, st.sampled_from("+-"), prices),
    st.builds("({}) * ({})".format, numbers, prices), st.builds("-{}".format, prices),
    st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), prices, prices),
    st.builds("where({}, {}, {})".format, conditions, prices, prices)))
scores = st.deferred(lambda: st.one_of(
    st.builds("rsi({}, {})".format, prices, windows), st.builds("zscore({}, {})".format, prices, windows),
    st.just("adx(14)"), st.builds("({} {} {})".format, scores, st.sampled_from("+-*"), numbers),
    st.builds("({} - {})".format, numbers, scores), st.builds("count({}, {})".format, conditions, windows)))
fractions = st.deferred(lambda: st.one_of(
    st.sampled_from(["close_position", "return_1"]), st.builds("roc({}, {})".format, prices, windows),
    st.builds("correlation({}, {}, 20)".format, prices, prices), st.builds("({}) / ({})".format, prices, prices),
    st.builds("({} {} {})".format, fractions, st.sampled_from("+-*/"), numbers)))
comparisons = st.one_of(
    *[st.builds("{} {} {}".format, left, st.sampled_from(["<", "<=", ">", ">="]), right) for left, right in
      [(prices, prices), (scores, numbers), (numbers, scores), (fractions, numbers), (fractions, fractions)]],
    st.builds("{}({}, {})".format, st.sampled_from(["cross_above", "cross_below"]), prices, prices),
    st.builds("{}({}, {})".format, st.sampled_from(["cross_above", "cross_below"]), numbers, scores),
    st.sampled_from(["hour == 14", "8 <= hour < 16", "weekday != 6", "0 < delta(close, 3)"]))
conditions = st.deferred(lambda: st.one_of(
    comparisons, st.sampled_from(["london", "not newyork"]), st.builds("not ({})".format, conditions),
    st.builds("({}) {} ({})".format, conditions, st.sampled_from(["and", "or"]), conditions)))


def tape(bars: int = 260) -> Bars:
    random = np.random.default_rng(8)
    close = 100 + np.cumsum(random.standard_normal(bars))
    return Bars("test", "X", "60m", 3_600_000 * np.arange(bars, dtype=np.int64), close - 0.3, close + 1, close - 1,
                close, random.random(bars) * 9)


PLAN = SignalPlan(tape(), memory_bytes=1 << 22)


@settings(max_examples=120, deadline=None)
@given(conditions)
def test_printed_form_parses_back_to_itself(source: str) -> None:
    try:
        node = parse_expression(source, PARAMETERS, budget=ROOMY)
    except ExpressionError:
        return
    printed = text(node)
    assert canonical(node) == node
    if len(printed) <= 900:
        again = parse_expression(printed, PARAMETERS, budget=ROOMY)
        assert again == node
        assert text(again) == printed
        assert blind_text(again) == blind_text(node)


SAME = [
    ("close > open", "open < close"), ("not (close > open)", "close <= open"),
    ("20 < rsi(close, 14)", "rsi(close, 14) > 20"),
    ("close > open and volume > delay(volume, 1)", "delay(volume, 1) < volume and close > open"),
    ("not (london or close > open)", "close <= open and not london"), ("london and london", "london"),
    ("2 * (3 * atr(14)) < range", "range > 6 * atr(14)"), ("rsi(close, 14) - 50 > 0.0", "rsi(close, 14) + -50 > 0"),
    ("(open + close) + high > low", "high + (close + open) > low"),
    ("cross_below(open, close)", "cross_above(close, open)"),
    ("max(open, close) > low", "max(close, open) > low"), ("close * 1 > open", "close > open"),
    ("20 < rsi(close, 14) < 30", "rsi(close, 14) < 30 and rsi(close, 14) > 20"),
    ("0.12345 < close_position", "close_position > 0.123"), ("correlation(close, volume, 9) > 0.5",
                                                             "correlation(volume, close, 9) > 0.5"),
    ("close + -1 * atr(14) > low", "close - atr(14) > low"),
    ("close - -2 * atr(14) > low", "close + 2 * atr(14) > low"),
    ("not (rsi(close, 14) < 30)", "rsi(close, 14) >= 30"), ("not (rsi(close, 14) <= 30)", "rsi(close, 14) > 30"),
    ("not (rsi(close, 14) >= 30)", "rsi(close, 14) < 30"), ("not (hour == 3)", "hour != 3"),
    ("volatility(20) > 0.01", "std(return_1, 20) > 0.01"), ("not not london", "london"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_spellings_of_one_condition_meet(left: str, right: str) -> None:
    assert text(parse_expression(left)) == text(parse_expression(right))


DIFFERENT = [("close - open > 0", "open - close > 0"), ("close / open > 1", "open / close > 1"),
             ("close > open", "close >= open"),
             ("where(london, close, open) > low", "where(london, open, close) > low"),
             ("1.0005 * sma(close, 9) < close", "1.001 * sma(close, 9) < close")]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different_conditions_stay_apart(left: str, right: str) -> None:
    assert text(parse_expression(left)) != text(parse_expression(right))


def test_blind_text_keeps_the_idea_and_forgets_the_numbers() -> None:
    first = parse_expression("rsi(close, 14) < 30 and close > 2 * n * sma(close, 50)", ("n",))
    second = parse_expression("0.3 * sma(close, n) < close and rsi(close, n) <= 70", ("n",))
    third = parse_expression("rsi(close, 14) > 30 and close > sma(close, 50)")
    assert blind_text(first) == blind_text(second) != blind_text(third)


@pytest.mark.parametrize(("value", "expected"), [
    (0.0, 0.0), (0.12345, 0.123), (30.25, 30.2), (70, 70), (1.0005, 1.0005), (0.99953, 0.99953), (1.23456, 1.235),
    (-1.23456, -1.235), (123456.0, 123000.0), (1e-9, 1e-9), (2.0, 2.0), (0.5, 0.5), (1.00000000001, 1.0),
])
def test_rounding_keeps_three_digits_of_what_matters(value: float, expected: float) -> None:
    assert rounded(value) == expected
    assert rounded(rounded(value)) == rounded(value)


@settings(max_examples=30, deadline=None)
@given(conditions)
def test_negation_is_the_complement_where_all_is_defined(source: str) -> None:
    values = {"n": 7.0, "k": 1.5}
    try:
        plain = parse_expression(source, PARAMETERS, budget=ROOMY)
        negated = parse_expression(f"not ({source})", PARAMETERS, budget=ROOMY)
    except ExpressionError:
        return
    yes, no = PLAN.column(plain, values), PLAN.column(negated, values)
    both = np.isfinite(yes) & np.isfinite(no)
    assert not ((yes == 1) & (no == 1))[both].any()
