"""A spec is read strictly, and what does not fit together is refused with its place and what is allowed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from daybook.core.errors import UsageError
from daybook.strategy import ExpressionError, SpecError, Stops, StrategySpec, parse_spec

WINDOW = {"low": 5, "high": 30, "default": 14, "integer": True}


def spec(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": "rsi-reversion", "rationale": "Buys what fell fast.", "timeframes": ["5m", "1m"],
        "long_entry": "rsi(close, period) < threshold", "long_exit": "rsi(close, period) > 50",
        "parameters": {"period": WINDOW, "threshold": {"low": 15, "high": 40, "default": 30},
                       "hold": {"low": 5, "high": 500, "default": 60, "integer": True}},
        "stop_loss": 0.02, "max_holding": "hold"}
    return {key: value for key, value in {**plain, **changes}.items() if value is not ...}


def test_json_mapping_and_model_give_the_same_strategy() -> None:
    strategy = parse_spec(json.dumps(spec()))
    assert parse_spec(spec()).identity == parse_spec(strategy.spec).identity == strategy.identity
    assert strategy.name == "rsi-reversion"
    assert strategy.timeframes == ("1m", "5m")
    assert strategy.defaults == {"hold": 60.0, "period": 14.0, "threshold": 30.0}
    assert parse_spec(strategy.canonical).identity == strategy.identity
    assert parse_spec(json.dumps(strategy.canonical)).canonical == strategy.canonical


HALVES = {"low": 0.1, "high": 0.9, "default": 0.5}
UNWHOLE = {"period": WINDOW, "threshold": HALVES, "hold": HALVES}


@pytest.mark.parametrize(("changes", "words"), [
    ({"author": "me"}, "author"), ({"name": "Bad Name"}, "lower-case"), ({"name": "a" * 61}, "name"),
    ({"name": "rsi\n"}, "lower-case"), ({"name": "ｒｓｉ"}, "lower-case"), ({"rationale": "x" * 2001}, "rationale"),
    ({"rationale": "a\x1b[31m"}, "control"), ({"rationale": "\u202eevil"}, "direction"),
    ({"timeframes": []}, "timeframes"),
    ({"timeframes": ["15m"]}, "timeframes"), ({"timeframes": ["1m", "1m"]}, "each once"),
    ({"long_entry": None, "long_exit": None}, "at least one"), ({"short_exit": "close > open"}, "no short_entry"),
    ({"long_exit": None, "stop_loss": None, "max_holding": None}, "never closed"), ({"stop_loss": 1.5}, "fractions"),
    ({"stop_loss": -0.1}, "fractions"), ({"stop_loss": "0.02; import os"}, "no parameter"),
    ({"stop_loss": True}, "stop_loss"),
    ({"trailing_stop": 1.0}, "fractions"), ({"break_even": 0.0}, "fractions"), ({"trailing_stop": "x"}, "no parameter"),
    ({"break_even": "threshold"}, "between 0 and 1"),
    ({"long_exit": None, "stop_loss": None, "max_holding": None, "break_even": 0.01}, "never closed"),
    ({"stop_loss": "threshold"}, "between 0 and 1"), ({"max_holding": 0}, "1 to 100000"),
    ({"max_holding": 2.5}, "max_holding"),
    ({"parameters": UNWHOLE}, "counts bars"), ({"parameters": {"period": WINDOW}}, "unknown name 'threshold'"),
    ({"parameters": {**spec()["parameters"], "spare": WINDOW}}, "never used"),
    ({"parameters": {**spec()["parameters"], "close": WINDOW}}, "taken"),
    ({"parameters": {**spec()["parameters"], "__x": WINDOW}}, "ASCII"),
    ({"parameters": {**spec()["parameters"], "lambda": WINDOW}}, "never used"),
    ({"parameters": {f"p{n}": WINDOW for n in range(9)}}, "parameters"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "integer": False}}}, "integer true"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "low": 1}}}, "2 to 1440"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "high": 5000}}}, "2 to 1440"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "default": 31}}}, "default 31"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "low": 30, "default": 30}}}, "must lie below"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "low": 5.5}}}, "whole"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "integer": 1}}}, "integer"),
    ({"parameters": {**spec()["parameters"], "period": {**WINDOW, "low": "5"}}}, "low"),
    ({"long_entry": "rsi(close, period) < threshold and eval('1')"}, "long_entry, character"),
    ({"long_entry": 5}, "long_entry"), ({"long_entry": ""}, "long_entry"),
    ({"long_entry": "close > open" * 500}, "long_entry"),
    ({"stop_loss": float("nan")}, "JSON"), ({"stop_loss": {1, 2}}, "JSON"),
])
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec(spec(**changes))
    assert isinstance(caught.value, SpecError | ExpressionError)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("text", [
    "", "null", "[]", "3", '"close"', "{", "{}", '{"name": NaN}', '{"name": "a", "name": "b"}',
    "[" * 100_000, '{"a":' * 5000,
    '{"name": "\\ud800"}', '{"stop_loss": 1e999}', '{"max_holding": ' + "9" * 5000 + "}", '"' + '\\"' * 16000,
    '{"parameters": {"p": {"low": Infinity}}}', '{"parameters": {"p": {}, "p": {}}}', " " * 40_000, "{'name': 1}",
])
def test_hostile_json_is_refused_at_once(text: str) -> None:
    started = time.perf_counter()
    for source in (text, text.encode()):
        with pytest.raises(SpecError, match="spec"):
            parse_spec(source)
    assert time.perf_counter() - started < 1.0


def test_otherwise_good_json_with_a_key_twice_or_a_nan_is_refused() -> None:
    good = json.dumps(spec())
    for key, again in (("name", '"other"'), ("stop_loss", "0.5")):
        with pytest.raises(SpecError, match=f"key '{key}' stands there twice"):
            parse_spec(f'{good[:-1]}, "{key}": {again}}}')
    with pytest.raises(SpecError, match="key 'default' stands there twice"):
        parse_spec(good.replace('"default": 14', '"default": 14, "default": 15'))
    for value in ("NaN", "Infinity", "-Infinity", "1e999"):
        with pytest.raises(SpecError):
            parse_spec(good.replace('"stop_loss": 0.02', f'"stop_loss": {value}'))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(SpecError, match="UTF-8"):
        parse_spec(b'{"name": "\xff"}')


def test_error_names_the_unknown_key_and_the_allowed_ones() -> None:
    with pytest.raises(SpecError, match=r"'stoploss': Extra inputs .*; allowed keys are name, .*stop_loss"):
        parse_spec(spec(stoploss=0.1))


def test_identity_covers_behaviour_and_nothing_else() -> None:
    plain = parse_spec(spec())
    same = [spec(name="other", rationale="x"), spec(timeframes=["1m", "5m"]),
            spec(long_entry="threshold > rsi(close, period)")]
    assert {parse_spec(other).identity for other in same} == {plain.identity}
    parameters = spec()["parameters"]
    other = [spec(stop_loss=0.03), spec(stop_loss=None), spec(timeframes=["1m"]), spec(max_holding=60, parameters={
        name: parameters[name] for name in ("period", "threshold")}),
             spec(parameters={**parameters, "period": {**WINDOW, "default": 15}}),
             spec(parameters={**parameters, "period": {**WINDOW, "high": 31}}),
             spec(long_exit="rsi(close, period) > 51")]
    identities = {parse_spec(change).identity for change in other}
    assert len(identities) == len(other)
    assert plain.identity not in identities


def test_newer_stops_change_no_hash_of_a_spec_without_them() -> None:
    strategy = parse_spec(spec())
    assert strategy.identity == "440758336833a2cc970cfe821209346a750810988ba520645356fd4cebc71a3f"
    assert strategy.structure_hash == "974c4b6da098eea294297f739933090b67b0a309515b9c15b97a7dbb157dd54c"


def test_trailing_and_break_even_stops_are_part_of_what_a_spec_is() -> None:
    plain = parse_spec(spec())
    for stop, value in (("trailing_stop", 0.02), ("trailing_stop", 0.03), ("break_even", 0.02)):
        other = parse_spec(spec(**{stop: value}))
        assert other.identity != plain.identity
        assert other.structure_hash != plain.structure_hash
        assert other.complexity == plain.complexity + 1
        assert parse_spec(other.canonical).identity == other.identity
        assert getattr(other.stops(), stop) == value
    trailing = parse_spec(spec(trailing_stop=0.02))
    assert trailing.structure_hash == parse_spec(spec(trailing_stop=0.03)).structure_hash
    assert trailing.structure_hash != parse_spec(spec(break_even=0.03)).structure_hash


def test_a_trailing_stop_may_be_a_parameter_and_closes_a_position_by_itself() -> None:
    ranges = {"period": WINDOW, "threshold": spec()["parameters"]["threshold"],
              "trail": {"low": 0.005, "high": 0.05, "default": 0.02}}
    strategy = parse_spec(spec(long_exit=..., stop_loss=..., max_holding=..., parameters=ranges,
                               trailing_stop="trail", break_even="trail"))
    assert strategy.stops({"trail": 0.01}) == Stops(trailing_stop=0.01, break_even=0.01)


def test_structure_forgets_numbers_but_not_the_idea() -> None:
    plain = parse_spec(spec())
    near = parse_spec(spec(long_exit="rsi(close, 9) > 60", stop_loss=0.05, timeframes=["60m"]))
    far = parse_spec(spec(long_exit="rsi(close, period) < 50"))
    assert near.structure_hash == plain.structure_hash != far.structure_hash
    assert parse_spec(spec(stop_loss=None)).structure_hash != plain.structure_hash


def test_parameters_are_bound_within_their_ranges() -> None:
    strategy = parse_spec(spec())
    assert strategy.bind({"period": 20}) == {"hold": 60.0, "period": 20.0, "threshold": 30.0}
    assert strategy.stops({"hold": 7}) == Stops(stop_loss=0.02, take_profit=0.0, max_holding=7)
    wrong: list[dict[str, Any]] = [{"perod": 3}, {"period": 31}, {"period": 14.5}, {"threshold": float("nan")},
                                   {"threshold": "x"}, {"threshold": None}, {"threshold": float("inf")}]
    for params in wrong:
        with pytest.raises(SpecError, match="rsi-reversion"):
            strategy.bind(params)


def test_warmup_follows_the_parameters() -> None:
    strategy = parse_spec(spec(long_exit="close > sma(ema(close, 10), 200)"))
    assert strategy.warmup() == 199 + 30
    assert parse_spec(spec()).warmup({"period": 20}) == 6 * 20


def test_complexity_counts_nodes_and_stops() -> None:
    assert parse_spec(spec()).complexity == 5 + 5 + 2


def test_a_spec_is_frozen() -> None:
    frozen = parse_spec(spec()).spec
    with pytest.raises(ValueError, match="frozen"):
        frozen.name = "other"
    assert isinstance(frozen, StrategySpec)
