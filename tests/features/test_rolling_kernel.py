"""The sliding kernels against plain oracles."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from daybook.features.rolling_kernel import (
    rolling_covariance,
    rolling_max,
    rolling_moments,
    rolling_rank,
    rolling_sum,
    unchanged,
)

windows = st.integers(1, 25)


@st.composite
def series(draw, *, holes=True):
    count = draw(st.integers(0, 120))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    values = random.normal(0.0, 1.0, count) if draw(st.booleans()) else random.integers(0, 5, count).astype(float)
    if holes:
        values[random.random(count) < 0.04] = np.nan
    return values


def over(values, window, function):
    out = np.full(values.size, np.nan)
    if values.size >= window:
        out[window - 1:] = [function(part) for part in sliding_window_view(values, window)]
    return out


@settings(max_examples=60, deadline=None)
@given(series(), windows)
def test_sums_moments_and_extremes_equal_the_plain_formula_and_spread_nan_no_further(values, window):
    mean, variance = rolling_moments(values, window)
    np.testing.assert_allclose(rolling_sum(values, window), over(values, window, np.sum), atol=1e-12)
    np.testing.assert_allclose(mean, over(values, window, np.mean), atol=1e-13)
    np.testing.assert_allclose(variance, over(values, window, np.var), atol=1e-13)
    np.testing.assert_array_equal(rolling_max(values, window, 1.0), over(values, window, np.max))
    np.testing.assert_array_equal(rolling_max(values, window, -1.0), over(values, window, np.min))


@settings(max_examples=60, deadline=None)
@given(series(), windows)
def test_rank_counts_ties_half(values, window):
    def rank(part):
        if np.isnan(part).any():
            return np.nan
        return ((part < part[-1]).sum() + (part <= part[-1]).sum()) / (2 * window)

    single = values.astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(rolling_rank(single, window), over(single, window, rank))


@settings(max_examples=40, deadline=None)
@given(series(holes=False), windows, st.integers(0, 1000))
def test_covariance_equals_the_plain_formula(x, window, seed):
    y = np.random.default_rng(seed).normal(3.0, 2.0, x.size)
    expected = np.full(x.size, np.nan)
    for i in range(window - 1, x.size):
        part = slice(i - window + 1, i + 1)
        expected[i] = np.mean((x[part] - x[part].mean()) * (y[part] - y[part].mean()))
    np.testing.assert_allclose(rolling_covariance(x, y, window), expected, atol=1e-12)


def test_zeros_after_a_large_value_sum_to_exactly_zero():
    values = np.concatenate([np.random.default_rng(1).lognormal(20.0, 3.0, 500), np.zeros(100)])
    assert np.all(rolling_sum(values, 60)[559:] == 0.0)


def test_equal_values_have_exactly_no_variance_and_no_covariance():
    values = np.concatenate([np.random.default_rng(2).normal(28_080.0, 50.0, 333), np.full(200, 28_080.1)])
    _, variance = rolling_moments(values, 60)
    assert np.all(variance[392:] == 0.0)
    assert np.all(rolling_covariance(np.arange(533.0), values, 60)[392:] == 0.0)


def test_variance_of_a_narrow_band_far_from_zero_keeps_its_digits():
    small = np.random.default_rng(3).normal(0.0, 1e-4, 400)
    _, variance = rolling_moments(small + 2.0**20, 50)
    _, expected = rolling_moments((small + 2.0**20) - 2.0**20, 50)
    np.testing.assert_allclose(variance[49:], expected[49:], rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 1)), max_size=60), windows)
def test_prices_are_unchanged_where_the_highest_is_the_lowest(drawn, window):
    low = np.array([price for price, _ in drawn], dtype=np.float64)
    high = low + np.array([extra for _, extra in drawn], dtype=np.float64)
    expected = rolling_max(high, window, 1.0) == rolling_max(low, window, -1.0)
    np.testing.assert_array_equal(unchanged(high, low, window), expected)
