"""Published numbers of the Sharpe ratio literature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import UsageError
from daybook.rank import statistics as stats


def test_probabilistic_sharpe_ratio_of_the_paper_normal_and_skewed():
    assert stats.probabilistic_sharpe_ratio(0.458, 24) == pytest.approx(0.982, abs=5e-4)
    assert stats.probabilistic_sharpe_ratio(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


def test_expected_maximum_of_ten_draws():
    assert stats.expected_maximum(10) == pytest.approx(1.5746, abs=5e-5)
    assert stats.expected_maximum(1) == 0.0


def test_expected_best_noise_sharpe_of_a_week_is_what_was_measured():
    week = math.sqrt(365 / 7)
    for trials, best in ((20, 13.7), (200, 20.0), (1000, 23.5)):
        assert week * stats.expected_maximum(trials) == pytest.approx(best, abs=0.1)


def test_deflated_sharpe_ratio_of_the_paper():
    daily, variance = 2.5 / math.sqrt(250), 0.5 / 250
    assert stats.expected_maximum_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    assert stats.deflated_sharpe_ratio(daily, 1250, 100, -3.0, 10.0, variance) == pytest.approx(0.9004, abs=5e-5)
    assert stats.deflated_sharpe_ratio(daily, 1250, 46, -3.0, 10.0, variance) == pytest.approx(0.9505, abs=5e-5)


def test_null_variance_is_the_default_of_the_deflated_sharpe_ratio():
    explicit = stats.deflated_sharpe_ratio(0.2, 101, 50, variance=1 / 100)
    assert stats.deflated_sharpe_ratio(0.2, 101, 50) == explicit


@pytest.mark.parametrize(("periods", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_minimum_track_record_of_sharpe_two_against_one(periods, years):
    root = math.sqrt(periods)
    assert stats.minimum_track_record(2 / root, benchmark=1 / root) / periods == pytest.approx(years, abs=0.006)


def test_minimum_track_record_is_infinite_at_or_below_the_benchmark():
    assert stats.minimum_track_record(0.1, benchmark=0.1) == math.inf


@pytest.mark.parametrize(("trials", "years"), [(7, 1.92), (45, 5.00)])
def test_minimum_backtest_length_of_the_paper(trials, years):
    assert stats.minimum_backtest_years(trials) == pytest.approx(years, abs=0.01)


@pytest.mark.parametrize(("sharpe_annual", "days"), [(2, 249), (3, 112), (5, 42)])
def test_days_until_a_sharpe_ratio_is_certified(sharpe_annual, days):
    found = stats.minimum_track_record(sharpe_annual / math.sqrt(365))
    assert found == pytest.approx(days, abs=4)


def test_moments_agree_with_scipy():
    from scipy.stats import kurtosis, skew

    returns = np.random.default_rng(3).standard_t(4, 500) * 0.01
    found = stats.moments(returns)
    assert found is not None
    assert found.skew == pytest.approx(skew(returns))
    assert found.kurtosis == pytest.approx(kurtosis(returns, fisher=False))
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))


@pytest.mark.parametrize("returns", [
    [], [0.1], [0.1] * 50, [0.0] * 50, [0.1, math.nan, 0.2], [0.1, math.inf, 0.2], [1e6 + 0.0] * 9,
])
def test_moments_are_undefined_without_risk_or_with_missing_values(returns):
    assert stats.moments(np.array(returns, dtype=np.float64)) is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(-1, 1, allow_nan=False), min_size=2, max_size=40), st.floats(1e-200, 1e100))
def test_moments_do_not_depend_on_the_scale_of_returns(values, scale):
    plain = stats.moments(np.array(values))
    scaled = stats.moments(np.array(values) * scale)
    if plain is not None and scaled is not None and min(abs(v) for v in values if v) > 1e-3:
        assert scaled.sharpe == pytest.approx(plain.sharpe, rel=1e-6, abs=1e-6)
        assert scaled.kurtosis == pytest.approx(plain.kurtosis, rel=1e-6)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_trials_raise_the_expected_best(first, second):
    low, high = sorted((first, second))
    assert stats.expected_maximum(low) <= stats.expected_maximum(high) + 1e-12


def test_deflation_agrees_with_simulated_noise():
    rng = np.random.default_rng(11)
    best = rng.normal(size=(4000, 50)).max(axis=1).mean()
    assert stats.expected_maximum(50) == pytest.approx(best, abs=0.05)


def test_effective_trials_of_independent_equal_and_grouped_returns():
    rng = np.random.default_rng(4)
    alone = rng.normal(size=(40, 2000))
    assert stats.effective_trials(alone) == pytest.approx(40, rel=0.05)
    assert stats.effective_trials(np.repeat(alone[:1], 40, axis=0)) == pytest.approx(1.0)
    half = np.sqrt(0.5) * (alone + alone[:1])
    assert stats.effective_trials(half[1:]) == pytest.approx(20, rel=0.1)
    assert stats.effective_trials(np.zeros((5, 10))) == 0.0
    assert stats.effective_trials(np.vstack([alone[:1], np.zeros((3, 2000))])) == 1.0


def test_rows_that_can_be_compared_are_those_whose_moments_are_defined():
    table = np.vstack([
        [1.0, 2.0, 4.0], [0.1, 0.1, 0.1], [0.0, 0.0, 0.0], [1e6, 1e6, 1e6 + 1e-7], [1e-9, 0.0, 0.0], [1.0, np.nan, 1.0],
        [np.inf, 1.0, 2.0], [1e300, -1e300, 1e300],
    ])
    found = stats.lively_rows(table)
    assert found.rows.tolist() == [row for row in range(len(table)) if stats.moments(table[row]) is not None]
    assert (found.rows.tolist(), found.constant, found.missing) == ([0, 4, 7], 3, 2)
    scaled = table[[0, 4, 7]] / [[4], [1e-9], [1e300]]
    assert stats.effective_trials(table) == pytest.approx(stats.effective_trials(scaled))
    empty = stats.lively_rows(np.empty((3, 0)))
    assert (empty.rows.size, empty.constant, empty.missing) == (0, 3, 0)


def test_an_independent_library_finds_the_same():
    import purgedcv

    for trials in (2, 7, 45, 1000):
        assert stats.minimum_backtest_years(trials, 1.7) == pytest.approx(
            purgedcv.minimum_backtest_length(trials, 1.7), rel=1e-9)
    returns = np.random.default_rng(8).standard_t(5, 400) * 0.01 + 0.001
    theirs = purgedcv.deflated_sharpe_ratio(returns, 30, 0.002)
    found = stats.moments(returns)
    assert found is not None
    ours = stats.deflated_sharpe_ratio(found.sharpe, found.n, 30, found.skew, found.kurtosis, 0.002)
    assert ours == pytest.approx(theirs, abs=2e-3), "their deviation divides by n, their skew and kurtosis are unbiased"
    for sharpe, skew, kurtosis, benchmark in ((0.1, 0.0, 3.0, 0.0), (0.458, -2.448, 10.164, 0.2)):
        needed = purgedcv.min_track_record_length(sharpe, benchmark, 0.05, skew, kurtosis)
        assert math.ceil(stats.minimum_track_record(sharpe, skew, kurtosis, benchmark)) == needed


def test_too_few_returns_or_trials_are_refused():
    with pytest.raises(UsageError, match="at least 2"):
        stats.sharpe_standard_error(0.1, 1)
    with pytest.raises(UsageError, match="1 or more"):
        stats.expected_maximum(0)
    with pytest.raises(UsageError, match="above 0"):
        stats.minimum_backtest_years(10, 0.0)
    for variance in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="variance"):
            stats.deflated_sharpe_ratio(0.1, 100, 5, variance=variance)
    with pytest.raises(UsageError, match="1 or more"):
        stats.expected_maximum(math.nan)


def test_sharpe_ratios_of_any_length_share_one_noise():
    rng = np.random.default_rng(6)
    for n in (24, 168, 336):
        found = [stats.moments(row) for row in rng.normal(size=(4000, n))]
        assert np.std([stats.noise_units(one.sharpe, n) for one in found if one]) == pytest.approx(1.0, abs=0.06)
    assert stats.noise_units(0.5, 2) == 0.5
    with pytest.raises(UsageError, match="at least 2"):
        stats.noise_units(0.5, 1)


def test_an_effective_number_of_trials_need_not_be_whole():
    found = [stats.expected_maximum(trials) for trials in (1, 1.2, 1.9, 2, 2.5, 3)]
    assert found == sorted(found)
    assert found[:2] == [0.0, 0.0]
    assert stats.deflated_sharpe_ratio(0.2, 168, 41.2) > stats.deflated_sharpe_ratio(0.2, 168, 72)


def test_two_returns_are_the_fewest_that_can_be_judged():
    found = stats.moments(np.array([0.01, 0.03]))
    assert found is not None
    assert (found.n, found.skew, found.kurtosis) == (2, pytest.approx(0.0), pytest.approx(1.0))
    assert 0.5 < stats.deflated_sharpe_ratio(found.sharpe, 2, 1, found.skew, found.kurtosis) < 1.0
