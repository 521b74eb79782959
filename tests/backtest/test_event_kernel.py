"""The kernel of sweeps gives what the plain kernel gives, however the tape is cut and whatever the signals do."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from backtest_tapes import MA_SPEC, RSI_SPEC, bar_window, bars_of, walk_bars
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daybook.backtest import METRICS, Sizing, replay, sweep
from daybook.backtest import event_kernel as events
from daybook.backtest.kernel import run_one
from daybook.backtest.tape import window_tape
from daybook.core.arrays import Bytes, Floats
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import parse_spec
from daybook.strategy.batch import STRETCH

Levels = tuple[float, float, int]
SUMMED = {"sharpe", "sortino", "skew", "kurtosis", "mean_return", "std_return"}
"""Figures of returns that both kernels add up, each in an order of its own."""


def by_events(bits: Bytes, bars: Bars, costs: Costs, levels: Levels, sizing: Sizing, piece: int) -> Floats:
    """One simulation through `event_kernel`, its tape cut into pieces of so many bars."""
    tape = window_tape(bars, costs, None, sizing)
    states, room, out = events.new_states(1), events.new_room(), np.empty((1, len(METRICS)))
    for start in range(0, len(bars) - 1, piece):
        stop = min(start + piece, len(bars) - 1)
        columns = np.zeros((4, -(-piece // 64) * 64), np.uint8)
        columns[:, :stop - start] = bits[start:stop] >> np.arange(4)[:, None] & 1
        planes = np.packbits(columns, axis=1, bitorder="little").view(np.uint64)[None]
        for part in room:
            part[:] = np.nan  # whatever lies there is never read
        filled = (start + 1, stop + 1)
        events.advance(planes, tape.tape, tape.terms, np.array([levels], float), states, filled, room)
    events.write_metrics(states, len(bars), tape.terms[2], out)
    row: Floats = out[0]
    return row


def plainly(bits: Bytes, bars: Bars, costs: Costs, levels: Levels, sizing: Sizing) -> Floats:
    tape = window_tape(bars, costs, None, sizing)
    padded = np.zeros(-(-len(bars) // 8) * 8, np.uint8)
    padded[:len(bars)] = bits
    out = np.empty(len(METRICS))
    run_one(padded, tape.tape, tape.terms, levels, out, None)
    return out


def assert_same(found: Floats, wanted: Floats) -> None:
    for name, mine, theirs in zip(METRICS, found, wanted, strict=True):
        if name in SUMMED:
            # A figure of rounding noise, such as the skew of two nearly equal returns, has no digits to agree in.
            assert mine == pytest.approx(theirs, rel=1e-8, abs=1e-9, nan_ok=True), name
        else:
            assert mine == theirs or (np.isnan(mine) and np.isnan(theirs)), name


def random_bars(count: int, seed: int, volatility: float) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, volatility, count)))
    first = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, volatility / 3, count))
    up, down = np.abs(rng.normal(0.0, volatility / 2, (2, count)))
    return bars_of(np.column_stack([first, np.maximum(first, close) * (1 + up),
                                    np.minimum(first, close) * np.exp(-down), close]))


LEVELS = st.tuples(st.sampled_from([0.0, 0.002, 0.01, 0.2]), st.sampled_from([0.0, 0.003, 0.02, 0.3]),
                   st.sampled_from([0, 1, 2, 7, 40]))
SIZES = st.sampled_from([Sizing(), Sizing(1.0, 0.01), Sizing(1.0, 0.08), Sizing(1.0, 0.3)])


@settings(max_examples=250, deadline=None)
@given(count=st.integers(1, 420) | st.integers(500, 1700), seed=st.integers(0, 10**6),
       volatility=st.sampled_from([0.0005, 0.004, 0.05]),
       density=st.sampled_from([0.005, 0.05, 0.4, 1.0]), levels=LEVELS, sizing=SIZES,
       piece=st.sampled_from([1, 2, 3]))
@example(count=2, seed=1, volatility=0.004, density=1.0, levels=(0.0, 0.0, 0), sizing=Sizing(), piece=1)
@example(count=400, seed=3, volatility=0.05, density=0.05, levels=(0.0, 0.0, 0), sizing=Sizing(1.0, 0.3), piece=1)
@example(count=513, seed=5, volatility=0.0005, density=0.005, levels=(0.0, 0.0, 0), sizing=Sizing(), piece=1)
@example(count=1026, seed=5, volatility=0.05, density=0.005, levels=(0.0, 0.0, 0), sizing=Sizing(1.0, 0.08), piece=1)
def test_random_signals_on_random_bars(
    count: int, seed: int, volatility: float, density: float, levels: Levels, sizing: Sizing, piece: int,
) -> None:
    rng = np.random.default_rng(seed + 1)
    bits = (rng.integers(0, 16, count) * (rng.random(count) < density)).astype(np.uint8)
    bars, costs = random_bars(count, seed, volatility), Costs(2.0, 1.5)
    found = by_events(bits, bars, costs, levels, sizing, 2048)
    assert_same(found, plainly(bits, bars, costs, levels, sizing))
    assert by_events(bits, bars, costs, levels, sizing, piece * events.STRETCH).tobytes() == found.tobytes()


def test_the_pieces_of_a_batch_are_whole_stretches() -> None:
    assert STRETCH == events.STRETCH


def test_ruin_at_nothing_left_on_the_last_bar_of_a_stretch() -> None:
    """Equity that ends at exactly zero is never divided by."""
    closes = [128.0] * (events.STRETCH - 2) + [64.0] * 40
    bars = bars_of([[price] * 4 for price in closes])
    bits = np.zeros(len(bars), np.uint8)
    bits[3] = 1
    levels, sizing = (0.0, 0.0, 0), Sizing(1.0, 0.015625)
    found = by_events(bits, bars, Costs(0.0, 0.0), levels, sizing, events.STRETCH)
    assert found[METRICS.index("total_return")] == -1.0
    assert found[METRICS.index("ruined")] == 1.0
    assert_same(found, plainly(bits, bars, Costs(0.0, 0.0), levels, sizing))


def test_ruin_is_met_in_the_middle_of_a_hold() -> None:
    closes = [100.0] * 30 + [60.0] * 5 + [100.0] * 30
    bars = bars_of([[price] * 4 for price in closes])
    bits = np.zeros(len(bars), np.uint8)
    bits[3] = 1
    levels, sizing = (0.0, 0.0, 0), Sizing(1.0, 0.03)
    found = by_events(bits, bars, Costs(), levels, sizing, 64)
    assert found[METRICS.index("ruined")] == 1.0
    assert_same(found, plainly(bits, bars, Costs(), levels, sizing))


def test_a_sweep_of_more_sets_than_a_batch_equals_the_replay_of_each() -> None:
    bars, spec = walk_bars(3000), parse_spec(MA_SPEC)
    window = bar_window(bars, 700, 2900)
    sets = [{"fast": float(2 + number % 60), "slow": float(70 + number % 301)} for number in range(1100)]
    table = sweep(spec, bars, sets, Costs(2.0, 1.0), window)
    for row in table.iloc[[0, 1, 517, 1023, 1024, 1099]].to_dict("records"):
        done = replay(spec, bars, json.loads(row["params"]), Costs(2.0, 1.0), window)
        assert row["trades"] == done.metrics.trades > 0
        assert_same(np.array([row[name] for name in METRICS], float), done.metrics.row())


@pytest.mark.parametrize("quantity", [1e-8, 1e-5, 1e-3])
def test_a_small_position_keeps_its_digits_in_sweep_and_replay(quantity: float) -> None:
    """Returns of a millionth of the capital are told from its equity without losing the digits they have."""
    bars, sizing = walk_bars(20_000), Sizing(quantity=quantity)
    row = sweep(parse_spec(MA_SPEC), bars, None, Costs(2.0, 1.0), sizing=sizing).iloc[0]
    done = replay(parse_spec(MA_SPEC), bars, None, Costs(2.0, 1.0), sizing=sizing).metrics
    assert row["sharpe"] == pytest.approx(done.sharpe, rel=1e-12)


def test_a_row_does_not_depend_on_what_else_is_in_the_sweep() -> None:
    bars, spec = walk_bars(2000), parse_spec(RSI_SPEC)
    sets = [{"window": float(5 + number % 30), "sl": 0.002 + number % 7 / 1000} for number in range(90)]
    whole = sweep(spec, bars, sets)
    for position in (0, 31, 89):
        alone = sweep(spec, bars, [sets[position]])
        pd.testing.assert_frame_equal(whole.iloc[[position]].reset_index(drop=True), alone, check_exact=True)
