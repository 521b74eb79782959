"""The full kernel and the plain engine tell the same on random tapes, settings and recorded candles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_agreement import assert_agreement
from backtest_tapes import RSI_SPEC, bar_window, bars_of, walk_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from test_backtest_oracle import COSTS, STEPS, WICKS, tapes

from daybook.backtest import (
    METRICS,
    Conditions,
    Margin,
    Sizing,
    block_returns,
    replay,
    replay_bits,
    simulate_bits,
    story_kernel,
    sweep,
)
from daybook.backtest.kernel import REASONS
from daybook.backtest.simulate import new_record, simulate_one, window_bits
from daybook.backtest.tape import window_tape
from daybook.design.grammar import condition
from daybook.execution import Costs
from daybook.market.aggregate import aggregate_minutes
from daybook.market.bars import Bars
from daybook.market.funding import FundingRates
from daybook.strategy import Stops, parse_spec, signal_bits
from daybook.strategy.canonical import text

COST = Costs(2.0, 1.0)
FRACTIONS = [0.0, 0.001, 0.01, 0.02, 0.05, 0.3]
LEVELS = st.builds(Stops, st.sampled_from(FRACTIONS), st.sampled_from(FRACTIONS), st.sampled_from([0, 0, 1, 2, 5]),
                   st.sampled_from(FRACTIONS), st.sampled_from(FRACTIONS))
SIZES = st.sampled_from([
    Sizing(), Sizing(1000.0), Sizing(1000.0, 3.0), Sizing(1000.0, 40.0, leverage_cap=2.0), Sizing(notional=0.3),
    Sizing(1000.0, notional=3.0, compounding=True), Sizing(compounding=True),
    Sizing(volatility_target=5.0, leverage_cap=2.0, volatility_bars=2),
    Sizing(1000.0, volatility_target=30.0, leverage_cap=1.5, volatility_bars=3, compounding=True),
    Sizing(risk=0.01, leverage_cap=3.0), Sizing(risk=0.02, leverage_cap=0.5, compounding=True)])
MARGINS = st.sampled_from([None, None, Margin(1.0), Margin(5.0, 0.01), Margin(50.0)])


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    rates = None
    if draw(st.booleans()):
        every = 8 * 3_600_000
        times = 1_699_900_000_000 // every * every + every * np.arange(30, dtype=np.int64) + draw(st.integers(0, 47))
        times = np.concatenate([times, 1_700_000_040_000 + 60_000 * np.arange(0, 40, 3, dtype=np.int64)])
        drawn = np.random.default_rng(draw(st.integers(0, 99))).normal(0, 0.002, times.size)
        rates = FundingRates.of("random", times, drawn)
    return Conditions(draw(st.sampled_from([0, 0, 1, 3])), rates, draw(MARGINS))


@settings(max_examples=180, deadline=None)
@given(tapes(), LEVELS, COSTS, SIZES, conditions())
def test_full_kernel_and_replay_agree_with_the_plain_engine(tape: Any, stops: Stops, costs: Costs, sizing: Sizing,
                                                            around: Conditions) -> None:
    assert_agreement(tape, riskable(stops, sizing), costs, sizing, around)


def riskable(stops: Stops, sizing: Sizing) -> Stops:
    """The stops, with one to size a risk by where it is needed."""
    needs = sizing.risk is not None and stops.stop_loss == stops.trailing_stop == 0.0
    return replace(stops, stop_loss=0.02) if needs else stops


@st.composite
def fine_tapes(draw: st.DrawFn) -> tuple[Bars, Bars, Any]:
    """(5m bars, the 1m bars they are made of, bits); minutes are missing here and there."""
    moves = draw(st.lists(st.tuples(STEPS, STEPS, WICKS, WICKS), min_size=2, max_size=60))
    price, rows = 100.0, []
    for gap, body, up, down in moves:
        first = price * (1 + gap / 4)
        price = first * (1 + body / 4)
        rows.append([first, max(first, price) * (1 + up), min(first, price) * (1 - down), price])
    whole = bars_of(rows)
    kept = np.random.default_rng(draw(st.integers(0, 999))).random(len(whole)) < draw(st.sampled_from([1.0, 0.8]))
    kept[0] = True
    fine = Bars(whole.venue, whole.symbol, "1m", *(getattr(whole, name)[kept] for name in (
        "open_time", "open", "high", "low", "close", "volume")))
    bars = aggregate_minutes(fine, 5)
    bits = draw(st.lists(st.integers(0, 15), min_size=len(bars), max_size=len(bars)))
    return bars, fine, np.array(bits, dtype=np.uint8)


@settings(max_examples=100, deadline=None)
@given(fine_tapes(), LEVELS, COSTS, MARGINS)
def test_detail_agrees_with_the_plain_engine_and_with_trading_the_minutes(tape: Any, stops: Stops, costs: Costs,
                                                                          margin: Margin | None) -> None:
    bars, fine, bits = tape
    around = Conditions(margin=margin, detail=fine)
    assert_agreement((bars, bits, None), stops, costs, Sizing(), around)
    coarse = replay_bits(bits, bars, replace(stops, max_holding=0), costs, conditions=around)
    # Signals at the last minute of each bar, traded on the minutes: the same fills, for nothing else happens inside.
    last = np.searchsorted(fine.open_time, bars.close_time) - 1
    spread = np.zeros(len(fine), dtype=np.uint8)
    spread[last] = bits
    minute = replay_bits(spread, fine, replace(stops, max_holding=0), costs, conditions=replace(around, detail=None))
    if not (coarse.metrics.ruined or minute.metrics.ruined):  # ruin is looked for at closes, and minutes have more
        columns = ["entry_price", "exit_price", "quantity", "pnl", "cost"]
        np.testing.assert_allclose(coarse.trades[columns], minute.trades[columns], rtol=1e-9, atol=1e-12)
        assert coarse.trades["reason"].tolist() == minute.trades["reason"].tolist()


@settings(max_examples=80, deadline=None)
@given(tapes(), st.builds(Stops, st.sampled_from(FRACTIONS), st.sampled_from(FRACTIONS), st.sampled_from([0, 2])),
       COSTS)
def test_the_full_kernel_tells_what_the_plain_one_does_under_its_rules(tape: Any, stops: Stops, costs: Costs) -> None:
    bars, bits, window = tape
    never = Conditions(funding=FundingRates(np.arange(40_000, dtype=np.int64) * 3_600_000 + 1_690_000_000_000,
                                            np.zeros(40_000)))
    one = replay_bits(bits, bars, stops, costs, window)
    other = replay_bits(bits, bars, stops, costs, window, conditions=never)
    pd.testing.assert_frame_equal(one.trades, other.trades, rtol=1e-12)
    np.testing.assert_allclose(one.equity, other.equity, rtol=1e-12)
    np.testing.assert_allclose(one.metrics.row()[[0, 3, 4, 6, 7, 8, 11, 12, 13, 14]],
                               other.metrics.row()[[0, 3, 4, 6, 7, 8, 11, 12, 13, 14]], rtol=1e-9, atol=1e-15)


def random_spec(rng: np.random.Generator) -> dict[str, Any]:
    """A spec as the designer draws them, with any of the stops."""
    spec: dict[str, Any] = {"name": "random", "long_entry": text(condition(rng)), "short_entry": text(condition(rng))}
    spec |= {signal: text(condition(rng)) for signal in ("long_exit", "short_exit") if rng.random() < 0.3}
    spec |= {stop: float(rng.choice([0.002, 0.004, 0.01])) for stop in (
        "stop_loss", "take_profit", "trailing_stop", "break_even") if rng.random() < 0.5}
    return {**spec, "max_holding": 30} if rng.random() < 0.5 else spec


@pytest.mark.parametrize("seed", range(24))
def test_random_specs_agree_with_the_plain_engine_on_random_bars(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bars = walk_bars(420, seed)
    strategy = parse_spec(random_spec(rng))
    sizing = [Sizing(), Sizing(compounding=True), Sizing(1000.0, volatility_target=0.5, leverage_cap=2.0),
              Sizing(risk=0.01, leverage_cap=2.0)][seed % 4]
    stops = riskable(strategy.stops(), sizing)
    around = Conditions(int(rng.integers(0, 3)), margin=Margin(50.0) if rng.random() < 0.3 else None)
    tape = signal_bits(strategy, bars), bar_window(bars, 60, 420)
    oracle = assert_agreement((bars, *tape), stops, Costs(1.0, 1.0), sizing, around)
    if stops == strategy.stops():
        done = replay(strategy, bars, None, Costs(1.0, 1.0), tape[1], sizing, around)
        assert len(done.trades) == len(oracle.trades)


def test_latency_of_one_bar_is_one_more_bar_of_signals() -> None:
    bars = walk_bars(400)
    bits = np.random.default_rng(2).choice([0] * 9 + [1, 2, 4, 8], 400).astype(np.uint8)
    window = bar_window(bars, 50, 350)
    moved = np.zeros(400, np.uint8)
    moved[52:350] = bits[50:348]
    late = simulate_bits(bits, bars, Stops(0.004, 0.006, 30), Costs(), window, conditions=Conditions(latency_bars=2))
    assert late == simulate_bits(moved, bars, Stops(0.004, 0.006, 30), Costs(), window)


def test_every_row_of_a_sweep_equals_the_replay_under_every_rule() -> None:
    spec = {**RSI_SPEC, "name": "rsi-trail", "trailing_stop": "sl", "break_even": 0.002, "max_holding": 40}
    strategies = [parse_spec(spec), parse_spec(RSI_SPEC)]
    fine = walk_bars(2000)
    markets = [walk_bars(700, symbol="ETHUSDT"), aggregate_minutes(fine, 5)]
    window, sets = bar_window(fine, 300, 1900), [{"window": 7.0, "sl": 0.004}, {}]
    around = Conditions(1, None, Margin(30.0), {"BTCUSDT": fine, "ETHUSDT": None})
    sizing = Sizing(volatility_target=0.5, leverage_cap=2.0, volatility_bars=30)
    for rules in ({}, {"conditions": Conditions(latency_bars=2)}, {"conditions": around, "sizing": sizing}):
        table = sweep(strategies, markets, sets, COST, window, **rules)
        blocks = block_returns(strategies, markets, sets, COST, window, **rules)
        assert table["trades"].min() > 0
        named = {(one.identity, bars.name): (one, bars) for one in strategies for bars in markets}
        for row, sums in zip(table.to_dict("records"), blocks.sum(axis=1), strict=True):
            strategy, bars = named[row["identity"], f"{row['symbol']} {row['timeframe']}"]
            done = replay(strategy, bars, json.loads(row["params"]), COST, window, **rules)
            np.testing.assert_allclose([row[name] for name in METRICS], done.metrics.row(), rtol=1e-9, atol=1e-12)
            assert sums == pytest.approx(row["total_return"], rel=1e-9, abs=1e-12)


def test_reasons_of_the_kernel_are_those_of_the_ledger() -> None:
    for at, name in enumerate(REASONS):
        assert getattr(story_kernel, name.upper()) == at


def test_results_are_the_same_bits_every_time() -> None:
    bars = walk_bars(600)
    tape = window_tape(bars, Costs(), None, Sizing(compounding=True), Conditions(latency_bars=1, margin=Margin(5.0)))
    bits = np.random.default_rng(3).integers(0, 16, 600).astype(np.uint8)
    rows = []
    for record in (None, new_record(600), new_record(600)):
        out = np.empty(len(METRICS))
        simulate_one(window_bits(bits, tape), tape, Stops(0.02, 0.03, 9, 0.01, 0.005), out, record)
        rows.append(out.tobytes())
    assert len(set(rows)) == 1


HALT = int(pd.Timestamp("2023-03-24 12:39", tz="UTC").timestamp()) * 1000
"""Open of the last bar before an outage to 14:00; the 72 bars up to it stand still at 28,080.00."""
HOUR = 3_600_000


@pytest.fixture(scope="module")
def halted(shared_data: Path) -> Bars:
    """1m bars from ten hours before the halt to ten hours after."""
    span = [("open_time", ">=", HALT - 10 * HOUR), ("open_time", "<", HALT + 10 * HOUR)]
    path = shared_data / "candles/binance_spot/1m/BTCUSDT_2022-01-01_2023-12-31.parquet"
    table = pd.read_parquet(path, filters=span)
    return Bars("binance_spot", "BTCUSDT", "1m", *(table[name].to_numpy() for name in (
        "open_time", "open", "high", "low", "close", "volume")))


@pytest.fixture(scope="module")
def settled(shared_data: Path) -> FundingRates:
    span = [("funding_time", ">=", HALT - 24 * HOUR), ("funding_time", "<", HALT + 24 * HOUR)]
    table = pd.read_parquet(shared_data / "funding/binance_BTCUSDT_2019-09-10_2024-12-31.parquet", filters=span)
    return FundingRates(table["funding_time"].to_numpy(), table["funding_rate"].to_numpy())


@pytest.mark.shared
@pytest.mark.parametrize("seed", range(6))
def test_recorded_bars_with_a_halt_and_a_gap_agree_with_the_plain_engine(
        halted: Bars, settled: FundingRates, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bars = halted if seed % 2 else aggregate_minutes(halted, 5)
    bits = np.where(rng.random(len(bars)) < 0.12, rng.integers(0, 16, len(bars)), 0).astype(np.uint8)
    settles = int(np.searchsorted(bars.open_time, HALT - HALT % (8 * HOUR) + 8 * HOUR))
    bits[settles - 8:settles - 1] = [*[0] * 4, 1, 1, 1]
    stops = Stops(float(rng.choice([0.0, 0.008])), float(rng.choice([0.0, 0.006])), int(rng.choice([0, 40])),
                  float(rng.choice([0.0, 0.007])), float(rng.choice([0.0, 0.003])))
    sizing = [Sizing(), Sizing(10_000.0, volatility_target=0.2, leverage_cap=3.0, volatility_bars=12),
              Sizing(compounding=True)][seed % 3]
    around = Conditions(seed % 3, settled, Margin(20.0), None if seed % 2 else halted)
    oracle = assert_agreement((bars, bits, None), stops, Costs(2.0, 1.0), sizing, around)
    assert len(oracle.trades) > 5
    assert any(trade.funding for trade in oracle.trades)


@pytest.mark.shared
def test_nothing_fills_inside_a_recorded_gap(halted: Bars, settled: FundingRates) -> None:
    last = int(np.searchsorted(halted.open_time, HALT))
    assert halted.open_time[last + 1] - halted.open_time[last] == 81 * 60_000
    assert (halted.volume[last - 71:last + 1] == 0).all()
    bits = np.zeros(len(halted), np.uint8)
    bits[last], bits[last - 100] = 2, 1
    done = replay_bits(bits, halted, Stops(trailing_stop=0.05), Costs(0.0, 0.0), conditions=Conditions(funding=settled))
    assert done.trades["exit_time"].tolist() == [HALT + 81 * 60_000], "decided at 12:40, filled at 14:00"
    assert done.trades["exit_price"][0] == halted.open[last + 1]
    assert done.trades["funding"][0] == 0.0, "16:00 comes later"
