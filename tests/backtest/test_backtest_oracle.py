"""The fused kernel, the replay and the plain engine tell the same story on random tapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backtest_agreement import assert_agreement, walk
from backtest_tapes import bar_window, bars_of
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.backtest import METRICS, Sizing, simulate_bits
from daybook.backtest.oracle import metrics_of
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

# Steps that make flat bars, exact touches of round stop levels, gaps over them and ruin all common.
STEPS = st.sampled_from([0.0, 0.0, 0.001, -0.001, 0.01, -0.01, 0.02, -0.02, 0.05, -0.05, 0.4, -0.4, 1.2])
WICKS = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.02, 0.3])
LEVELS = st.builds(Stops, st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.05, 0.5]),
                   st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.05, 1.5]), st.sampled_from([0, 0, 1, 2, 5]))
COSTS = st.builds(Costs, st.sampled_from([0.0, 1.0, 5.0, 100.0]), st.sampled_from([0.0, 2.0, 50.0, 1000.0]))
SIZES = st.sampled_from([Sizing(), Sizing(1000.0), Sizing(1000.0, 3.0), Sizing(1000.0, 40.0)])


@st.composite
def tapes(draw: st.DrawFn) -> tuple[Bars, Any, Any]:
    """(bars, bits, window) of 1 to 30 bars."""
    moves = draw(st.lists(st.tuples(STEPS, STEPS, WICKS, WICKS, st.integers(0, 15)), min_size=1, max_size=30))
    price, rows = 100.0, []
    for gap, body, up, down, _ in moves:
        first = price * (1 + gap)
        price = first * (1 + body)
        rows.append([first, max(first, price) * (1 + up), min(first, price) * (1 - down), price])
    bars = bars_of(rows, timeframe=draw(st.sampled_from(["1m", "5m", "60m"])))
    start = draw(st.integers(0, len(rows) - 1))
    window = draw(st.one_of(st.none(), st.just(bar_window(bars, start, draw(st.integers(start + 1, len(rows)))))))
    return bars, np.array([move[4] for move in moves], dtype=np.uint8), window


@settings(max_examples=300, deadline=None)
@given(tapes(), LEVELS, COSTS, SIZES)
def test_kernel_and_replay_agree_with_the_plain_engine(tape: Any, stops: Stops, costs: Costs, sizing: Sizing) -> None:
    assert_agreement(tape, stops, costs, sizing)


@pytest.mark.parametrize("seed", range(120))
def test_long_quiet_stretches_agree_with_the_plain_engine(seed: int) -> None:
    """Stretches without a signal are passed eight bars at a time, with edges anywhere in and around them."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 160))
    volatility = rng.choice([0.0005, 0.003, 0.03])
    close = 100 * np.exp(np.cumsum(rng.normal(0, volatility, count) + rng.choice([0, 0.5, -0.5]) * volatility))
    first = np.concatenate(([100.0], close[:-1])) * (1 + rng.normal(0, volatility / 5, count))
    up, down = np.abs(rng.normal(0, volatility / 2, (2, count)))
    rows = np.column_stack([first, np.maximum(first, close) * (1 + up), np.minimum(first, close) * (1 - down), close])
    bits = np.where(rng.random(count) < rng.choice([0.01, 0.04, 0.12]), rng.integers(0, 16, count), 0).astype(np.uint8)
    bits[int(rng.integers(0, min(count, 20)))] = rng.choice([1, 4])
    stops = Stops(rng.choice([0.0, 0.02, 0.1]), rng.choice([0.0, 0.02, 0.1]), int(rng.choice([0, 0, 7, 8, 16, 33])))
    assert_agreement((bars_of(rows), bits, None), stops, Costs(1.0, 2.0), Sizing(1000.0, rng.choice([None, 9.0, 90.0])))


def test_results_are_the_same_bits_every_time() -> None:
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 500)))
    bars = bars_of(np.column_stack([close, close * 1.01, close * 0.99, close]))
    bits = rng.integers(0, 16, 500).astype(np.uint8)
    rows = [simulate_bits(bits, bars, Stops(0.02, 0.03, 9)).row().tobytes() for _ in range(3)]
    assert len(set(rows)) == 1


def test_long_walk_agrees_with_the_plain_engine_where_raw_sums_could_lose_digits() -> None:
    rng = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(rng.normal(1e-4, 1e-5, 3000)))
    bars = bars_of(np.column_stack([close, close, close, close]))
    bits = np.zeros(3000, dtype=np.uint8)
    bits[0] = 1
    costs = Costs(1.0, 1.0)
    expected = metrics_of(walk(bars, bits, None, Stops(), costs, Sizing()))
    for name, value in zip(METRICS, simulate_bits(bits, bars, None, costs).row(), strict=True):
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, err_msg=name)
