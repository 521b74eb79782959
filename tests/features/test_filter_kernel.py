"""The recursive filters against arch and statsmodels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from feature_bars import random_bars

from daybook.features import compute
from daybook.features.filter_kernel import filtered_probability, garch_variance
from daybook.features.regime import CALM, STAY_CALM, STAY_WILD, WILD
from daybook.features.volatility import GARCH_ALPHA, GARCH_BETA

RETURNS = np.random.default_rng(4).standard_t(4, 1_500)


def test_garch_equals_arch_with_the_same_parameters():
    from arch.univariate import GARCH, ZeroMean

    long_run = 2.0
    omega = long_run * (1.0 - GARCH_ALPHA - GARCH_BETA)
    fixed = ZeroMean(RETURNS, volatility=GARCH(1, 0, 1)).fix([omega, GARCH_ALPHA, GARCH_BETA])
    expected = np.asarray(fixed.conditional_volatility) ** 2
    variance = garch_variance(np.square(RETURNS), np.full(RETURNS.size, long_run), GARCH_ALPHA, GARCH_BETA)
    np.testing.assert_allclose(variance[400:-1], expected[401:], rtol=1e-12)


def test_filtered_probabilities_equal_statsmodels_with_the_same_parameters():
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    model = MarkovRegression(RETURNS, k_regimes=2, trend="n", switching_variance=True)
    expected = model.filter([STAY_CALM, 1.0 - STAY_WILD, CALM**2, WILD**2]).filtered_marginal_probabilities[:, 1]
    probability = filtered_probability(RETURNS, CALM, WILD, STAY_CALM, STAY_WILD)
    np.testing.assert_allclose(probability, expected, rtol=1e-9, atol=1e-12)


def test_the_features_take_their_scale_from_the_bars_before():
    """The switching model's from before the newest return, GARCH's long run with it."""
    bars = random_bars(1_200, seed=2)
    table = compute(bars, ["wild_probability_480", "garch_480"])
    returns = pd.Series(np.log(bars.close)).diff()
    long_run = returns.pow(2).rolling(480).mean()
    scaled = (returns / np.sqrt(long_run.shift())).to_numpy()
    expected = filtered_probability(scaled, CALM, WILD, STAY_CALM, STAY_WILD)
    np.testing.assert_allclose(table.column("wild_probability_480")[700:], expected[700:], rtol=1e-5)
    variance = long_run.to_numpy().copy()
    for i in range(481, 1_200):
        innovation = (1.0 - GARCH_ALPHA - GARCH_BETA) * long_run[i] + GARCH_ALPHA * returns[i] ** 2
        variance[i] = innovation + GARCH_BETA * variance[i - 1]
    np.testing.assert_allclose(table.column("garch_480")[600:], np.sqrt(variance[600:]), rtol=1e-5)


def test_garch_by_hand_starts_at_the_first_long_run_variance():
    squared = np.array([9.0, 4.0, 1.0, 0.0])
    long_run = np.array([np.nan, 2.0, 2.0, 4.0])
    expected = [np.nan, 2.0, 0.1 * 2 + 0.1 * 1 + 0.8 * 2, 0.1 * 4 + 0.0 + 0.8 * 1.9]
    np.testing.assert_allclose(garch_variance(squared, long_run, 0.1, 0.8), expected)


def test_an_unobserved_bar_moves_the_chain_and_has_no_value():
    values = np.array([np.nan, 0.1, np.nan, 0.1])
    probability = filtered_probability(values, 0.7, 1.8, 0.99, 0.95)
    assert np.isnan(probability).tolist() == [True, False, True, False]
    ahead = probability[1]
    for _ in range(2):
        ahead = ahead * 0.95 + (1.0 - ahead) * 0.01
    calm, wild = (np.exp(-0.5 * (0.1 / s) ** 2) / s for s in (0.7, 1.8))
    assert probability[3] == pytest.approx(ahead * wild / (ahead * wild + (1.0 - ahead) * calm))


def test_no_move_is_too_large_for_the_filter():
    values = np.array([1.0, 1e6, -1e300, 0.0, 0.0])
    probability = filtered_probability(values, 0.7, 1.8, 0.99, 0.95)
    assert np.isfinite(probability).all()
    assert probability[2] == 1.0
    assert probability[4] < probability[3] < 1.0


def test_the_wild_state_is_found_where_volatility_trebles():
    random = np.random.default_rng(9)
    steps = random.normal(0.0, 5e-4, 1_400) * np.where(np.arange(1_400) >= 1_300, 3.0, 1.0)
    bars = random_bars(1_400)
    close = 100.0 * np.exp(np.cumsum(steps))
    table = compute(replace(bars, close=close), ["wild_probability_480", "garch_480"])
    probability, sigma = table.column("wild_probability_480"), table.column("garch_480")
    assert np.median(probability[700:1_300]) < 0.15
    assert np.median(probability[1_310:]) > 0.9
    assert np.median(sigma[1_320:]) > 1.8 * np.median(sigma[700:1_300])
