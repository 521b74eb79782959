"""Means and sums from a shared running sum: exact enough, whatever the history holds, and the same in a program."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from test_strategy_plan import random_tape, tape

from daybook.core.arrays import Floats
from daybook.strategy import SignalPlan, parse_expression, parse_spec, signal_bits
from daybook.strategy.mean_kernel import rolling_mean, rolling_sum, running_sums


def mean(values: Floats, n: int) -> Floats:
    out = np.full(values.size, 7.0)
    rolling_mean(running_sums(values), n, out)
    return out


def largest_error(values: Floats, n: int, at: np.ndarray) -> float:
    """Largest relative error of the means at some bars, against exact fractions."""
    found = mean(values, n)
    exact = [sum(map(Fraction, values[t - n + 1:t + 1].tolist())) / n for t in at]
    return max(abs(float((Fraction(float(found[t])) - true) / true)) for t, true in zip(at, exact, strict=True))


@pytest.mark.parametrize("n", [2, 60, 1440])
def test_a_year_of_minutes_at_a_large_price_loses_no_digit(n: int) -> None:
    prices = 1e5 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 5e-4, 525_600)))
    assert largest_error(prices, n, np.random.default_rng(2).integers(500_000, 525_600, 40)) < 5e-16


def test_a_spike_leaves_nothing_behind() -> None:
    volume = np.random.default_rng(3).random(400) + 1e-3
    volume[100] = 1e15
    assert largest_error(volume, 10, np.arange(110, 400)) < 5e-16


def test_sums_of_whole_numbers_are_exact() -> None:
    held = (np.random.default_rng(4).random(3000) < 0.4).astype(np.float64)
    out = np.empty(held.size)
    for n in (2, 3, 7, 49):
        rolling_sum(running_sums(held), n, out)
        np.testing.assert_array_equal(out[n - 1:], np.convolve(held, np.ones(n), "valid"))


def test_undefined_values_blank_every_window_that_holds_them() -> None:
    values = np.arange(1.0, 13.0)
    values[[3, 5]] = np.nan, np.inf
    expected = [np.nan, 1.5, 2.5, *[np.nan] * 4, 7.5, 8.5, 9.5, 10.5, 11.5]
    np.testing.assert_array_equal(mean(values, 2), expected)
    assert np.isnan(mean(values, 13)).all()
    assert mean(np.empty(0), 3).size == 0


def test_a_mean_inside_a_program_equals_its_column() -> None:
    bars = random_tape(5000)
    for n in (2, 31, 1439, 1440):
        plan = SignalPlan(bars)
        column = plan.column(parse_expression(f"sma(close, {n})", boolean=False))
        spec = {"name": "m", "long_entry": f"close > sma(close, {n})", "max_holding": 3,
                "short_entry": f"cross_below(sma(close, {n}), high)"}
        below = column < bars.high
        crossed = below & ~np.concatenate(([True], below[:-1])) & (np.arange(5000) >= n)
        expected = np.where(np.arange(5000) >= n, (bars.close > column) + 4 * crossed, 0)
        np.testing.assert_array_equal(plan.bits(parse_spec(spec)), expected)


def test_flat_prices_and_many_series_take_stored_columns_with_the_same_signals() -> None:
    frozen = tape([1.0, 3.0, *[0.1] * 30, 2.0])
    assert signal_bits(parse_spec({"name": "f", "long_entry": "close >= sma(close, 7)", "max_holding": 3}),
                       frozen)[8:32].tolist() == [1] * 24
    bars, shared = random_tape(300), SignalPlan(random_tape(300))
    for lag in range(1, 13):
        strategy = parse_spec({"name": "s", "long_entry": f"sma(close * {lag}.5, 5) > {lag}.5 * close",
                               "max_holding": 3})
        np.testing.assert_array_equal(shared.bits(strategy), signal_bits(strategy, bars))


def test_a_closed_plan_leaves_nothing_to_the_next() -> None:
    strategy = parse_spec({"name": "r", "long_entry": "rsi(close, 5) < 40", "max_holding": 3})
    alone = SignalPlan(random_tape(700)).bits(strategy)
    other = SignalPlan(random_tape(9000, seed=8))
    other.bits(strategy)
    other.close()
    np.testing.assert_array_equal(signal_bits(strategy, random_tape(700)), alone)
