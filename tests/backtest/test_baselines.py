"""Null contestants and baselines: what they keep of a strategy, and that they know nothing of the market."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backtest_tapes import FREE, LE, LX, MA_SPEC, RSI_SPEC, SE, bar_window, bits_of, flat_bars, play, walk_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.backtest import (
    NULL_KINDS,
    BlockFigures,
    Simulation,
    buy_and_hold,
    null_bits,
    random_rule,
    replay,
    replay_bits,
    simulate_bits,
)
from daybook.backtest.baselines import BASKET, held_blocks, percentile
from daybook.backtest.nulls import Holdings, random_entry_bits
from daybook.core.arrays import Bytes
from daybook.core.errors import UsageError
from daybook.core.seeds import generator
from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day
from daybook.execution import Costs
from daybook.market import synthetic_bars
from daybook.market.bars import Bars
from daybook.market.synthetic_planted import HOLDING_BARS, planted_signal
from daybook.rank import score
from daybook.strategy import Stops, parse_spec, signal_bits

BITS = st.lists(st.sampled_from([0, 0, 0, 1, 2, 4, 8, 5, 9]), min_size=1, max_size=60).map(
    lambda values: np.array(values, dtype=np.uint8))


@pytest.mark.parametrize("kind", NULL_KINDS)
@given(bits=BITS, seed=st.integers(0, 99))
def test_a_null_has_every_bit_as_often_and_leaves_its_model_as_it_was(kind: str, bits: Bytes, seed: int) -> None:
    before = bits.copy()
    moved = null_bits(kind, bits, np.random.default_rng(seed))
    assert moved.dtype == np.uint8
    np.testing.assert_array_equal(np.sort(moved), np.sort(bits))
    np.testing.assert_array_equal(bits, before)


@pytest.mark.parametrize("kind", NULL_KINDS)
def test_a_null_moves_nothing_in_from_before_the_window(kind: str) -> None:
    bits = np.arange(200, dtype=np.uint8) % 16
    moved = null_bits(kind, bits, np.random.default_rng(1), slice(80, 180))
    np.testing.assert_array_equal(moved[:80], bits[:80])
    np.testing.assert_array_equal(moved[180:], bits[180:])
    assert not np.array_equal(moved[80:180], bits[80:180])


@pytest.mark.parametrize("kind", NULL_KINDS)
def test_a_null_is_decided_by_its_generator(kind: str) -> None:
    bits = np.random.default_rng(2).choice([0, 0, 0, 1, 4], 500).astype(np.uint8)
    draws = [null_bits(kind, bits, generator(7, "null", place)) for place in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_spells_come_in_a_random_order_and_keep_their_lengths() -> None:
    """Silences of 1, 2, 3, 4 and 5 bars around single entries: beside a turn of the whole, their order changes."""
    bits = bits_of(*[bit for pause in range(1, 6) for bit in [*[0] * pause, LE]])
    orders = set()
    for seed in range(60):
        moved = null_bits("spells", bits, np.random.default_rng(seed))
        gaps = np.diff(np.flatnonzero(np.tile(moved, 2)))[:5] - 1
        assert sorted(gaps) == [1, 2, 3, 4, 5]
        orders.add(tuple(np.roll(gaps, -int(np.argmin(gaps))).tolist()))
    assert len(orders) > 12


def test_an_unknown_kind_of_null_is_refused() -> None:
    with pytest.raises(UsageError, match="kind is 'luck', allowed are shift, blocks, spells"):
        null_bits("luck", bits_of(1, 0), np.random.default_rng(0))


@pytest.mark.parametrize("kind", NULL_KINDS)
@pytest.mark.parametrize("spec", [RSI_SPEC, MA_SPEC], ids=["stops", "reversal"])
def test_nulls_trade_about_as_much_as_the_strategy(kind: str, spec: dict[str, Any]) -> None:
    strategy, bars = parse_spec(spec), walk_bars(5000, seed=8)
    bits, stops = signal_bits(strategy, bars), strategy.stops()
    turnover = simulate_bits(bits, bars, stops, FREE).turnover
    nulls = [simulate_bits(null_bits(kind, bits, generator(seed, kind)), bars, stops, FREE).turnover
             for seed in range(30)]
    assert np.mean(nulls) == pytest.approx(turnover, rel=0.12)


@pytest.fixture(scope="module")
def planted() -> Bars:
    start = day_start_ms(parse_day("2026-03-02"))
    return synthetic_bars("BTCUSDT", Window(start, start + 14 * DAY_MS), seed=3, mode="planted")


def planted_bits(bars: Bars) -> Bytes:
    side = planted_signal(bars)
    return np.where(side > 0, LE, np.where(side < 0, SE, 0)).astype(np.uint8)


@pytest.mark.parametrize("kind", NULL_KINDS)
def test_nulls_of_the_planted_edge_lose_their_costs_and_no_more(kind: str, planted: Bars) -> None:
    bits, stops, costs = planted_bits(planted), Stops(max_holding=HOLDING_BARS), Costs(fee_bps=2.0, spread_bps=2.0)
    model = simulate_bits(bits, planted, stops, costs)
    found = [simulate_bits(null_bits(kind, bits, generator(1, kind, draw)), planted, stops, costs)
             for draw in range(200)]
    gross = np.array([one.total_return + one.costs_paid for one in found])
    assert abs(gross.mean()) < 3 * gross.std(ddof=1) / np.sqrt(gross.size)
    sharpes = np.array([one.sharpe for one in found])
    assert model.sharpe is not None
    assert model.sharpe > 8.0 > 0.0 > sharpes.mean()
    assert np.mean(sharpes < model.sharpe) == 1.0


@settings(max_examples=150, deadline=None)
@given(bits=BITS, seed=st.integers(0, 99), stops=st.sampled_from([Stops(), Stops(0.002, 0.003), Stops(0.001, 0, 4)]))
def test_random_entries_hold_the_same_sides_for_the_same_times(bits: Bytes, seed: int, stops: Stops) -> None:
    bars = walk_bars(len(bits), seed)
    held = Holdings.of(replay_bits(bits, bars, stops, FREE))
    drawn = Holdings.of(replay_bits(random_entry_bits(held, np.random.default_rng(seed)), bars, None, FREE))
    assert sorted(zip(drawn.long, drawn.bars, strict=True)) == sorted(zip(held.long, held.bars, strict=True))


def test_holdings_count_the_bar_of_a_stop_and_not_the_bar_of_an_exit_at_the_open() -> None:
    calm, fall = [100.0] * 4, [100.0, 100.0, 90.0, 95.0]
    assert Holdings.of(play([calm, calm, fall, calm], [LE, 0, 0, 0], Stops(0.05))).bars.tolist() == [2]
    assert Holdings.of(play([calm] * 4, [LE, LX, 0, 0])).bars.tolist() == [1]
    assert Holdings.of(play([calm] * 4, [LE, 0, 0, 0])).bars.tolist() == [3]


def test_trades_of_one_side_that_only_a_stop_parted_make_room_for_a_bar_between() -> None:
    calm, fall = [100.0] * 4, [100.0, 100.0, 90.0, 100.0]
    done = play([calm, calm, fall, fall, calm], [LE] * 5, Stops(0.05))
    held = Holdings.of(done)
    assert done.metrics.trades == 3
    assert held.bars.tolist() == [1, 1]
    wide = Holdings.of(play([calm, calm, calm, fall, fall, calm], [LE] * 6, Stops(0.05)))
    assert wide.bars.tolist() == [1, 1, 1]


def test_random_entries_come_at_every_time_of_the_window() -> None:
    held = Holdings(np.array([True]), np.array([3]), 12)
    rng = np.random.default_rng(0)
    entries = {int(np.flatnonzero(random_entry_bits(held, rng) & LE)[0]) for _ in range(400)}
    assert entries == set(range(9))


def test_a_strategy_that_is_always_in_the_market_turns_at_random_times() -> None:
    held = Holdings(np.array([True, False, True, False]), np.array([1, 2, 3, 4]), 11)
    rng = np.random.default_rng(4)
    turns = set()
    for _ in range(40):
        drawn = Holdings.of(replay_bits(random_entry_bits(held, rng), walk_bars(11), None, FREE))
        assert sorted(drawn.bars[drawn.long]) == [1, 3]
        assert sorted(drawn.bars[~drawn.long]) == [2, 4]
        turns.add(tuple(drawn.bars.tolist()))
    assert len(turns) > 4


def test_buying_and_holding_pays_both_sides_and_earns_the_way_between() -> None:
    bars = flat_bars([100.0, 100.0, 105.0, 110.0])
    found = buy_and_hold([bars], Costs(fee_bps=10.0, spread_bps=20.0))
    bought, sold = 100.0 * 1.001, 110.0 * 0.999
    expected = (sold * (1 - 0.001) - bought * (1 + 0.001)) / bought
    assert found["BTCUSDT 1m"].total_return == pytest.approx(expected, rel=1e-12)
    assert list(found) == ["BTCUSDT 1m"]


def test_the_basket_is_the_mean_of_its_markets() -> None:
    bars = [walk_bars(600, symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
    found = buy_and_hold(bars, FREE, bar_window(bars[0], 100, 500))
    singles = [one.total_return for name, one in found.items() if name != BASKET]
    assert found[BASKET].total_return == pytest.approx(np.mean(singles))
    assert len(singles) == 3
    rows = held_blocks(bars, FREE, bar_window(bars[0], 100, 500))
    assert rows.sum(axis=1) == pytest.approx(singles)


def planted_simulation(bars: Bars, bits: Bytes, window: Window | None = None) -> Simulation:
    return replay_bits(bits, bars, Stops(max_holding=HOLDING_BARS), Costs(2.0, 2.0), window)


def test_an_edge_beats_random_rules_and_a_null_is_one_of_them(planted: Bars) -> None:
    bits = planted_bits(planted)
    edge = random_rule([planted_simulation(planted, bits)], [planted], Costs(2.0, 2.0))
    assert edge.sharpe_percentile == edge.return_percentile == 1.0
    assert edge.median_return is not None
    assert edge.median_return < 0.0
    places = [random_rule([planted_simulation(planted, null_bits("spells", bits, generator(seed, "x")))], [planted],
                          Costs(2.0, 2.0), draws=40).sharpe_percentile for seed in range(12)]
    assert 0.25 < np.mean([place for place in places if place is not None]) < 0.75


def test_the_seed_decides_the_random_rules() -> None:
    bars = walk_bars(900)
    done = replay(parse_spec(RSI_SPEC), bars)
    drawn = {seed: random_rule([done], [bars], draws=30, seed=seed) for seed in (0, 1)}
    assert random_rule([done], [bars], draws=30, seed=0) == drawn[0] != drawn[1]
    assert drawn[0].n_draws == 30


def test_random_rules_of_a_strategy_that_never_traded_are_undefined_with_the_reason() -> None:
    bars = walk_bars(100)
    found = random_rule([replay_bits(np.zeros(100, np.uint8), bars)], [bars])
    assert found.sharpe_percentile is found.return_percentile is None
    assert found.reason == "no trade was made, so there is nothing to match"


def test_random_rules_refuse_windows_that_differ() -> None:
    bars = walk_bars(100)
    bits = np.ones(100, np.uint8)
    done = [replay_bits(bits, bars), replay_bits(bits, bars, window=bar_window(bars, 3, 90))]
    with pytest.raises(UsageError, match="2 simulations over 2 windows for 2 markets"):
        random_rule(done, [bars, bars])
    with pytest.raises(UsageError, match="draws is 0"):
        random_rule(done[:1], [bars], draws=0)


def test_percentile_counts_ties_half() -> None:
    assert percentile(np.array([1.0, 2.0, 2.0, 5.0]), 2.0) == 0.5


def test_hourly_figures_are_those_of_the_score() -> None:
    blocks = np.random.default_rng(6).normal(0.0002, 0.003, 168)
    mine, theirs = BlockFigures.of(blocks, 40), score(blocks, 40)
    assert mine.sharpe == pytest.approx(theirs.sharpe, rel=1e-12)
    assert mine.total_return == pytest.approx(theirs.total_return, rel=1e-12)
    assert mine.max_drawdown == pytest.approx(theirs.max_drawdown, rel=1e-12)


@pytest.mark.parametrize(("blocks", "trades", "reason"), [
    (np.zeros(5), 0, "no trade was made"),
    (np.full(5, 0.1), 3, "the hourly returns never differ"),
    (np.empty(0), None, "there is no hour to look at"),
])
def test_undefined_hourly_figures_say_why(blocks: np.ndarray, trades: int | None, reason: str) -> None:
    found = BlockFigures.of(blocks, trades)
    assert found.sharpe is None
    assert found.reason == reason


def test_hourly_returns_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UsageError, match="1 of 3 are not finite"):
        BlockFigures.of(np.array([0.0, np.nan, 0.1]))
