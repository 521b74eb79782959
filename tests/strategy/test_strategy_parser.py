"""The language refuses everything that is not an expression over bars, by character, and never runs anything."""

from __future__ import annotations

import builtins
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.strategy import ExpressionError, parse_expression
from daybook.strategy.parser import Budget

ATTACKS = [
    "__import__('os').system('id')", "close.__class__", "close.real > 1", "(lambda: close)() > open",
    "[c for c in close]", "{close: 1}", "(c := close) > open", "f'{close}' > open", "'close' > open", '"close" > open',
    "close[0] > open", "sma(close, window=5) > close", "sma(*close) > close", "sma(**close) > close",
    "sma(close, 14, **close) > close",
    "sma(close, 14, *close) > close",
    "10**10**10 > close", "close @ open", "close // open > 1", "close % open > 1", "close << 3 > 1", "~close > 1",
    "close if close > open else open", "close > open; close", "close > open\nimport os", "close > open # fine",
    "eval(close) > 1", "exec(close) > 1", "open('/etc/passwd') > 1", "print(close) > 1", "getattr(close, high) > 1",
    "True", "None", "close is open", "close in open", "await close", "yield", "... > 1", "1j > close", "0x10 > close",
    "1_000 > close", "0b1 > close", "close > open\\", "close\x00 > open", "\tclose > open", "close\u00a0> open",
    "ｃｌｏｓｅ > open", "сlose > open", "close > ١٠", "rsi(close, １４) < 30", "close > open\u202e", "𝐜lose > open",
    "__builtins__ > 1", "_x > 1", "x__y > 1", "close_ > 1", "sma > close", "close(14) > open", "sma(close, 14)(3) > 1",
    "(close, open) > close", "()", "sma() > close", "sma(close, 14, 14) > close", "sma(close, -3) > close",
    "sma(close, 2.5) > close", "sma(close, 1e9) > close", "sma(close, 999999999999) > close", "rsi(14, close) > 3",
    "9999999999999999999999999 * close > open", "1e99 * close > open", "1e-99 * close > open", "close / 0 > 1",
    "", "   ", "close", "close + open", "14", "not close", "close and open", "-(close > open) > 3",
    "close > close", "close > 100", "volume > 3", "volume > close", "rsi(close, 14) > close",
    "roc(close, 3) > rsi(close, 14)",
    "close * open > 3", "close + 1 > open", "1 / close > 0", "hour > rsi(close, 14)", "hour + 1 > 3", "close == open",
    "rsi(close, 14) == 30", "log(close) > 0", "where(close, open, high) > low", "where(london, close, 3) > low",
    "count(close, 5) > 3", "max(close, 3) > low", "max(1, 2) > 3", "2 > 1", "london > tokyo", "london + 1 > 2",
    "sma(london, 5) > 1", "quantile(close, 20, 1.5) > close", "quantile(close, 20, close) > close",
    "sma(close, close) > close",
    "sma(close, 3 + 4) > close", "cross_above(close, 30)", "close - close > 0", "0 * close > open",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_what_is_no_condition_over_bars_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert 0 <= caught.value.at <= len(text)


BOMBS = [
    "(" * 900 + "close" + ")" * 50, "not " * 240 + "london", "-" * 900 + "1 > close", "sma(" * 240 + "close",
    "+".join(["close"] * 160) + " > open", " and ".join(["london"] * 125), " " * 5000, "close > open" * 100_000,
    "a" * 1000, "1" * 1000, "((((((((((((((((close))))))))))))))))" * 20, "<".join(["close"] * 160),
    " or ".join(f"close > sma(close, {n})" for n in range(2, 40)), "max(" * 60 + "close" + ", open)" * 60 + " > low",
]


@pytest.mark.parametrize("text", BOMBS)
def test_bombs_are_refused_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ExpressionError):
        parse_expression(text)
    assert time.perf_counter() - started < 0.5


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*"()+-*/<>=!,.0123456789 e_'[]{}:@", "close", "sma", "and", "not ", "london",
                                 "rsi(close, 14)", " > ", "lambda", "\n", "é", "\x00"]), max_size=40))
def test_any_text_parses_or_is_refused_politely(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        parse_expression(text)
    except ExpressionError as error:
        assert error.text == text.strip(" ")


def test_nothing_is_compiled_or_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("text was executed")

    real = builtins.compile

    def only_trees(source: object, filename: str, mode: str, flags: int = 0, **rest: object) -> object:
        assert flags & 0x400, "only a syntax tree may be asked for"
        return real(source, filename, mode, flags, **rest)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "eval", forbidden)
    monkeypatch.setattr(builtins, "exec", forbidden)
    monkeypatch.setattr(builtins, "compile", only_trees)
    parse_expression("rsi(close, 14) < 30 and close > ema(close, 50)")


@pytest.mark.parametrize(("text", "at", "words"), [
    ("rsi(clos, 14) < 30", 4, ["unknown name 'clos'", "did you mean 'close'?", "typical"]),
    ("rsii(close, 14) < 30", 0, ["unknown operator 'rsii'", "did you mean 'rsi'?"]),
    ("close > 100", 8, ["price and number", "1.01 * sma(close, 20)"]),
    ("close > sma(close, 1)", 19, ["window 1", "2 to 1440"]),
    ("close > sma(close, 1441)", 19, ["window 1441"]),
    ("close > open and volume > close", 26, ["volume and price"]),
    ("close > open & london", 13, ["'&' is not part of the language"]),
    ("close > (open", 8, ["not a complete expression"]),
    ("close >", 7, ["not a complete expression"]),
    ("close > sma(close, period)", 19, ["unknown name 'period'", "none"]),
    ("close > lambda", 8, ["'lambda' is not part"]),
    ("london and log(close) > 0", 15, ["needs a ratio", "close / delay(close, 1)"]),
])
def test_error_points_at_the_character(text: str, at: int, words: list[str]) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, where="my-spec: long_entry")
    assert caught.value.at == at
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"my-spec: long_entry, character {at + 1}: ")
    assert lines[1] == f"    {text}"
    assert lines[2] == " " * (at + 4) + "^"
    for word in words:
        assert word in lines[0]


def test_error_shows_an_excerpt_of_a_long_text_with_the_caret_in_place() -> None:
    text = "close > open and " * 30 + "clsoe > open"
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    _, excerpt, caret = str(caught.value).splitlines()
    assert len(excerpt) <= 104
    assert excerpt[caret.index("^"):].startswith("clsoe")


@pytest.mark.parametrize(("budget", "words"), [
    (Budget(nodes=5), "9 nodes, at most 5"), (Budget(depth=2), "4 levels, at most 2"),
    (Budget(constants=0), "2 constants, at most 0"),
])
def test_budget_error_gives_count_and_limit(budget: Budget, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        parse_expression("rsi(close, 14) < 30 and hour > 8", budget=budget)


@pytest.mark.parametrize("text", [
    "20 < rsi(close, 14) < 30", "close > sma(close, 20) > sma(close, 50)", "mean(close, 5) < close",
    "ret(close, 5) > 0.01", "volatility(20) < 0.01", "delta(close, 5) > 0", "0 < close - open", "hour == 14",
    "weekday != 6", "not london", "close_position > 0.9 and volume > 2 * sma(volume, 20)",
    "where(london, high, low) < close",
    "-zscore(close, 20) > 2", "+roc(close, 3) > 0", "(close - open) / range > 0.5", "count(close > open, 5) >= 4",
    "max(open, close) < highest(high, 20)", "cross_above(rsi(close, 14), 30)", "atr(14) / close < 0.01",
    "log(close / delay(close, 5)) > 2 * volatility(60)", "quantile(volume, 60, 0.9) < volume", ".5 < close_position",
])
def test_useful_conditions_are_accepted(text: str) -> None:
    parse_expression(text)
