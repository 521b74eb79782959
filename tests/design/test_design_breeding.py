"""What the designer breeds is always typed, within budget, mirrored truly and said in plain words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.hashing import hash_json
from daybook.core.seeds import generator
from daybook.core.time import TIMEFRAMES
from daybook.design.genome import DESIGN_BUDGET, Genome, genome_of, parameterised, strategy_of
from daybook.design.grammar import SERIES, comparison, condition, random_node
from daybook.design.mirror import MirrorError, mirrored
from daybook.design.mutate import STOPS, crossed, mutated, random_genome
from daybook.design.sense import makes_sense
from daybook.design.templates import seed_templates, template_genomes
from daybook.design.words import family, rationale, retold, said, slug
from daybook.market.bars import Bars
from daybook.strategy import ExpressionError, SignalPlan, Strategy, parse_expression, parse_spec, positions_from_bits
from daybook.strategy.canonical import canonical, text
from daybook.strategy.kinds import Kind
from daybook.strategy.nodes import Call, Field, Node, walk
from daybook.strategy.parser import require_budget

seeds = st.integers(0, 2**40)


def require_sound(strategy: Strategy) -> None:
    """It parses back to itself, within the design budget, and sensibly."""
    assert parse_spec(strategy.canonical).identity == strategy.identity
    for node in strategy.expressions.values():
        require_budget(node, DESIGN_BUDGET)
        assert makes_sense(node, strategy.parameters)


@settings(max_examples=120, deadline=None)
@given(seeds)
def test_random_trees_type_check_and_print(seed: int) -> None:
    rng = generator(seed, "test")
    for node in (condition(rng), *[random_node(rng, kind) for kind in (*SERIES, Kind.BOOLEAN)]):
        assert node is not None
        printed = text(canonical(node))
        assert text(parse_expression(printed, boolean=False)) == printed


def test_random_kinds_are_what_was_asked_for() -> None:
    rng = generator(1, "kinds")
    for kind in (*SERIES, Kind.BOOLEAN):
        assert {made.kind for _ in range(60) if (made := random_node(rng, kind))} == {kind}
    assert random_node(rng, Kind.NUMBER) is None


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_random_genomes_and_their_offspring_are_sound(seed: int) -> None:
    rng = generator(seed, "test")
    parents = [*template_genomes().values(), *(parameterised(random_genome(rng, TIMEFRAMES), rng) for _ in range(4))]
    first, second = (parents[int(rng.integers(len(parents)))] for _ in range(2))
    for _ in range(6):
        change = mutated(first, rng)
        child = crossed(first, second, rng) if rng.random() < 0.4 else change[0] if change else None
        if child is None:
            continue
        strategy = strategy_of(child)
        if strategy is not None:
            require_sound(strategy)
            require_sound(strategy_of(genome_of(strategy)) or strategy)
            first = child


def test_most_random_genomes_become_strategies() -> None:
    rng = generator(3, "yield")
    made = [strategy_of(parameterised(random_genome(rng, TIMEFRAMES), rng)) for _ in range(200)]
    assert sum(strategy is not None for strategy in made) > 150
    assert len({family(strategy) for strategy in made if strategy}) >= 8


def test_every_template_is_sound_two_sided_and_its_own_idea() -> None:
    templates = seed_templates(("1m", "5m"))
    assert len(templates) == len(template_genomes()) >= 12
    assert len({strategy.structure_hash for strategy in templates}) == len(templates)
    for strategy in templates:
        require_sound(strategy)
        assert strategy.timeframes == ("1m", "5m")
        assert {"long_entry", "short_entry"} <= set(strategy.expressions)
        assert genome_of(strategy).mirror
        assert strategy.warmup() <= 600


@pytest.mark.parametrize(("long", "short"), [
    ("rsi(close, 14) < 30", "rsi(close, 14) > 70"), ("cross_above(close, sma(close, 20))",
                                                    "cross_below(close, sma(close, 20))"),
    ("close > highest(delay(high, 1), 20)", "close < lowest(delay(low, 1), 20)"),
    ("close > 1.01 * sma(close, 20)", "close < 0.99 * sma(close, 20)"),
    ("close / sma(close, 20) > 1.02", "close / sma(close, 20) < 0.98"),
    ("close < sma(close, 20) - 2 * std(close, 20)", "close > sma(close, 20) + 2 * std(close, 20)"),
    ("close_position > 0.9 and volume > 5 * sma(volume, 60)", "close_position < 0.1 and volume > 5 * sma(volume, 60)"),
    ("roc(close, 5) > 2 * volatility(60) and london", "roc(close, 5) < -2 * volatility(60) and london"),
    ("delta(close, 5) > atr(14)", "delta(close, 5) < -atr(14)"), ("(close - open) / range > 0.5",
                                                                  "(close - open) / range < -0.5"),
    ("zscore(close, 20) < -2 or stoch(14) < 0.1", "zscore(close, 20) > 2 or stoch(14) > 0.9"),
    ("count(close > open, 5) > 3", "count(close < open, 5) > 3"), ("argmax(high, 20) < 3", "argmin(low, 20) < 3"),
    ("quantile(close, 60, 0.9) < close", "quantile(close, 60, 0.1) > close"),
    ("rsi(close, 14) - 50 > 10", "rsi(close, 14) - 50 < -10"), ("not (close > open)", "close >= open"),
    ("log(close / delay(close, 5)) > 0.01", "log(close / delay(close, 5)) < -0.01"),
    ("max(open, close) < sma(close, 9)", "min(open, close) > sma(close, 9)"),
])
def test_mirror_is_what_a_trader_would_write(long: str, short: str) -> None:
    node, expected = parse_expression(long), parse_expression(short)
    assert text(mirrored(node, {})) == text(expected)
    assert text(mirrored(expected, {})) == text(node)


@pytest.mark.parametrize("long", ["volume > 2 * sma(volume, 20)", "london", "adx(14) > 25", "atr(14) > atr(50)",
                                  "hour == 14", "close * return_1 > open", "rsi(close, 14) > zscore(close, 14)"])
def test_what_has_no_direction_has_no_mirror(long: str) -> None:
    with pytest.raises(MirrorError):
        mirrored(parse_expression(long), {})


def tape(bars: int = 900, sign: int = 1) -> Bars:
    random = np.random.default_rng(6)
    close = 1000 + np.cumsum(random.standard_normal(bars))
    opened = np.concatenate(([1000.0], close[:-1]))
    high, low = np.maximum(opened, close) + random.random(bars), np.minimum(opened, close) - random.random(bars)
    volume = random.lognormal(1, 1, bars)
    times = 300_000 * np.arange(bars, dtype=np.int64)
    if sign < 0:
        return Bars("t", "X", "5m", times, -opened, -low, -high, -close, volume)
    return Bars("t", "X", "5m", times, opened, high, low, close, volume)


UPRIGHT, INVERTED = SignalPlan(tape()), SignalPlan(tape(sign=-1))


def _exact(node: Node) -> bool:
    """No ratio of prices in it: those are mirrored as log prices, which plain negation does not do."""
    return not any((isinstance(part, Call) and part.operator == "roc")
                   or (isinstance(part, Field) and part.name == "return_1") for part in walk(node))


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_mirror_gives_on_inverted_prices_what_the_original_gives(seed: int) -> None:
    rng = generator(seed, "mirror")
    try:
        node = canonical(comparison(rng))
        opposite = mirrored(node, {})
    except (MirrorError, ExpressionError):
        return
    assert text(mirrored(opposite, {})) == text(node)
    if _exact(node):
        original, inverted = UPRIGHT.column(node), INVERTED.column(opposite)
        assert np.mean((original == inverted) | np.isnan(original)) > 0.995


@pytest.mark.parametrize(("condition_text", "sensible"), [
    ("rsi(close, 14) < 30", True), ("rsi(close, 14) > 100", False), ("rsi(close, 14) < -5", False),
    ("close_position > 1.2", False), ("count(close > open, 5) > 5", False), ("count(close > open, 5) > 4", True),
    ("correlation(close, volume, 20) < -0.5", True), ("zscore(close, 20) > 9", True), ("hour >= 0", False),
    ("argmax(close, 5) > 4", False), ("argmax(close, 5) > 3", True),
])
def test_comparisons_that_never_or_always_hold_make_no_sense(condition_text: str, sensible: bool) -> None:
    assert makes_sense(parse_expression(condition_text), {}) is sensible


def test_an_exit_without_direction_closes_both_sides() -> None:
    trees = {"long_entry": parse_expression("close > sma(close, 20)"), "long_exit": parse_expression("adx(14) < 20")}
    strategy = strategy_of(Genome(trees))
    assert strategy is not None
    assert (strategy.spec.short_entry, strategy.spec.short_exit) == ("close < sma(close, 20)", "adx(14) < 20")
    assert genome_of(strategy) == Genome({key: strategy.expressions[key] for key in trees})


def test_a_spec_keeps_every_stop_through_breeding() -> None:
    plain = template_genomes()["volume-surge"]
    before = strategy_of(plain)
    trailed = replace(plain, trailing_stop=0.02, break_even=0.01)
    strategy = strategy_of(trailed)
    assert strategy is not None and before is not None
    assert (strategy.spec.trailing_stop, strategy.spec.break_even) == (0.02, 0.01)
    assert strategy.identity != before.identity
    assert "trailing_stop" not in before.canonical
    again = genome_of(strategy)
    assert again.stops == trailed.stops
    assert (strategy_of(again) or before).identity == strategy.identity
    bred = [change for seed in range(40) if (change := mutated(again, generator(seed, "stops")))]
    assert len(bred) > 20
    assert all(child.stops == again.stops for child, name in bred if name != "stop change")
    exits = [child for seed in range(60) if (child := crossed(plain, again, generator(seed, "cross")))]
    assert {child.trailing_stop for child in exits} == {None, 0.02}
    assert all(child.stops == (again.stops if child.trailing_stop else plain.stops) for child in exits)


def test_a_stop_that_is_a_parameter_is_kept_and_crosses_as_a_number() -> None:
    spec = {"name": "p", "timeframes": ["5m"], "long_entry": "close > sma(close, 20)", "trailing_stop": "trail",
            "parameters": {"trail": {"low": 0.01, "high": 0.05, "default": 0.02}}}
    strategy = parse_spec(spec)
    genome = genome_of(strategy)
    assert (strategy_of(genome) or strategy).identity == strategy.identity
    host = Genome({"long_entry": parse_expression("close > ema(close, 9)")}, {}, False, 0.05)
    given = [child.trailing_stop for seed in range(40) if (child := crossed(host, genome, generator(seed, "p")))]
    assert set(given) == {None, 0.02}


def test_the_search_proposes_trailing_and_break_even_stops_and_none_that_can_never_act() -> None:
    rng = generator(5, "stops")
    made = []
    for _ in range(600):
        genome = random_genome(rng, TIMEFRAMES)
        for _ in range(3):
            genome = (mutated(genome, rng) or (genome, ""))[0]
        made.append(genome)
    fresh = [random_genome(rng, TIMEFRAMES) for _ in range(1000)]
    assert 60 < sum(genome.trailing_stop is not None for genome in fresh) < 140
    assert all(genome.break_even is None for genome in fresh)
    assert sum(genome.break_even is not None for genome in made) > 5
    for genome in (*made, *fresh):
        levels = [genome.stop_loss, genome.trailing_stop, genome.break_even, genome.take_profit]
        assert {level for level in levels if level is not None} <= set(STOPS)
        loss, trail, even, target = (float(level or 0.0) for level in levels)
        assert not 0.0 < trail <= loss
        assert not 0.0 < target <= even


def test_specs_without_the_newer_stops_keep_their_identities() -> None:
    kept = hash_json([strategy.identity for strategy in seed_templates(TIMEFRAMES)])
    assert kept == "0e04ad25712ef33bb77ccdba1178f033d12ea9a739850294a7acdc448ca99d69"


def test_equal_literals_become_one_parameter_on_both_sides() -> None:
    trees = {"long_entry": parse_expression("rsi(close, 14) < 30"),
             "long_exit": parse_expression("rsi(close, 14) > 55")}
    strategy = strategy_of(parameterised(Genome(trees), generator(0, "p")))
    assert strategy is not None
    assert sorted(strategy.parameters) == ["rsi_level", "rsi_level_2", "rsi_window"]
    assert strategy.spec.short_entry == "rsi(close, rsi_window) > 100 - " + strategy.spec.long_entry.split("< ")[1]
    assert strategy.defaults["rsi_window"] == 14


def test_words_say_what_a_spec_does() -> None:
    genome = template_genomes()["volume-surge"]
    strategy = strategy_of(genome)
    assert strategy is not None
    told = rationale(strategy, genome)
    assert told.startswith("Buys when the place of the close in its bar is above 0.85 (place) and volume is above 5 "
                           "(surge) times the 240-bar mean of volume. Sells short on the mirror image.")
    assert "a longest holding of 15 bars" in told
    assert slug(strategy) == f"volume-follow-{strategy.identity[:4]}"
    trailed = parse_spec({**strategy.canonical, "trailing_stop": 0.02, "break_even": 0.01})
    assert "a trailing stop of 2 percent and a stop at the entry price after a move of 1 percent" in retold(trailed)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_names_and_rationales_of_anything_bred_are_valid(seed: int) -> None:
    rng = generator(seed, "words")
    genome = parameterised(random_genome(rng, TIMEFRAMES), rng)
    strategy = strategy_of(genome)
    if strategy is not None:
        named = strategy_of(genome, slug(strategy), rationale(strategy, genome))
        assert named is not None
        assert named.identity == strategy.identity
        assert len(named.spec.rationale) > 60


def test_every_operator_can_be_said() -> None:
    for expression in ["quantile(close, 20, 0.9) < close", "where(london, high, low) > close", "not london",
                       "correlation(close, volume, 20) > 0.5", "hour == 14 or weekday != 6",
                       "abs(roc(close, 3)) > 0.01", "close / open > 1.01",
                       "sign(delta(close, 3)) >= 0.5", "wma(close, 5) <= vwap(20)",
                       "argmax(high, 9) < 3 and skew(return_1, 20) > 0", "log(close / open) > 0.01",
                       "max(open, close) > min(high, sum(low, 2))", "slope(close, 9) > 0",
                       "cross_below(stoch(14), 0.8)"]:
        assert "{" not in said(parse_expression(expression), {})


def test_positions_close_after_the_longest_holding() -> None:
    signals = np.array([1, 0, 0, 0, 1, 1, 1, 4, 0, 0, 0], dtype=np.uint8)
    assert positions_from_bits(signals, 2).tolist() == [1, 1, 0, 0, 1, 1, 0, -1, -1, 0, 0]
