"""Confidence sequences: coverage at every look, the test they invert, and what they say of few days."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import nct, norm, t

from daybook.core.errors import UsageError
from daybook.rank.confidence_sequence import confidence_sequence


def wrong_somewhere(draws, mean: float) -> float:
    """Share of series whose intervals ever leave the true mean out."""
    missed = []
    for returns in draws:
        found = confidence_sequence(returns)
        missed.append(np.nanmax(found.low) > mean or np.nanmin(found.high) < mean)
    return float(np.mean(missed))


def test_a_look_every_night_for_half_a_year_is_wrong_in_at_most_one_series_of_twenty():
    draws = np.random.default_rng(1).normal(0.002, 0.02, size=(1500, 180))
    assert wrong_somewhere(draws, 0.002) <= 0.05
    counts = np.arange(1, 181)
    error = draws.std(axis=1, keepdims=True) / np.sqrt(counts)
    single = np.abs(np.cumsum(draws, axis=1) / counts - 0.002) > 1.96 * error
    assert single[:, 6:].any(axis=1).mean() > 0.3, "the interval of a single look, looked at every night"


def test_heavy_tails_do_not_break_it_and_strong_skew_does_not_break_it_far():
    rng = np.random.default_rng(2)
    assert wrong_somewhere(rng.standard_t(3, size=(800, 120)), 0.0) <= 0.05
    assert wrong_somewhere(rng.exponential(size=(800, 120)), 1.0) <= 0.13


def test_an_edge_is_decided_in_time():
    rng = np.random.default_rng(3)
    found = [confidence_sequence(rng.normal(0.4, 1.0, size=120)) for _ in range(200)]
    decided = [one.decided for one in found if one.decided is not None]
    assert len(decided) > 180
    assert 20 < np.median(decided) < 70
    assert all(one.low[one.decided - 1] > 0 for one in found if one.decided)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(-1.0, 1.0), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_e_value_is_the_mixture_of_t_likelihoods_and_the_interval_inverts_it(seed, n, shift, confidence):
    returns = np.random.default_rng(seed).normal(shift, 1.0, n)
    found = confidence_sequence(returns, confidence)
    spent = -2 * math.log(1 - confidence)
    prior = math.sqrt((spent + math.log(spent + 1)) / 28)
    statistic = returns.mean() / returns.std(ddof=1) * math.sqrt(n)
    mixed, _ = quad(lambda effect: nct.pdf(statistic, n - 1, math.sqrt(n) * effect) * norm.pdf(effect, 0, prior),
                    -10 * prior, 10 * prior, limit=200)
    assert found.evidence[-1] == pytest.approx(mixed / t.pdf(statistic, n - 1), rel=1e-4)
    if found.interval is not None:
        for bound in found.interval:
            assert confidence_sequence(returns - bound, confidence).evidence[-1] == pytest.approx(1 / (1 - confidence))


def test_the_interval_is_narrowest_where_it_was_asked_to_be():
    returns = np.random.default_rng(4).normal(size=400)
    for days, others in ((28, (120, 365)), (120, (28, 365)), (365, (28, 120))):
        width = {at: np.subtract(*confidence_sequence(returns[:days], tight_at=at).interval[::-1])
                 for at in (days, *others)}
        assert min(width, key=width.get) == days
    single = 2 * 1.96 * returns[:28].std() / math.sqrt(28)
    low, high = confidence_sequence(returns[:28]).interval
    assert (high - low) / single == pytest.approx(1.7, abs=0.05)


def test_a_day_more_changes_nothing_of_the_days_before():
    returns = np.random.default_rng(5).normal(size=60)
    returns[50] = 1e15
    whole, part = confidence_sequence(returns), confidence_sequence(returns[:40])
    np.testing.assert_array_equal(whole.low[:40], part.low)
    np.testing.assert_array_equal(whole.evidence[:40], part.evidence)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-250, 1e250))
def test_the_interval_scales_with_the_returns_and_turns_with_their_sign(seed, scale):
    returns = np.random.default_rng(seed).normal(0.3, 1.0, 30)
    plain, scaled, turned = (confidence_sequence(returns * factor) for factor in (1.0, scale, -1.0))
    np.testing.assert_allclose(scaled.low, plain.low * scale, rtol=1e-9)
    np.testing.assert_allclose(scaled.evidence, plain.evidence, rtol=1e-9)
    np.testing.assert_allclose(turned.low, -plain.high, rtol=1e-12)
    assert turned.decided == scaled.decided == plain.decided


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.2], [0.0] * 40, [0.1] * 40, [0.1, -0.1, 0.2, 0.1, 0.3]])
def test_few_or_equal_returns_give_no_interval_but_a_reason(returns):
    found = confidence_sequence(np.array(returns, dtype=np.float64))
    assert found.interval is None
    assert found.decided is None
    assert found.reason == f"{len(returns)} days, too few or too equal to bound the mean at 95%"
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["low"] is None


def test_a_nearly_constant_gain_stays_finite():
    found = confidence_sequence(1.0 + 1e-9 * np.random.default_rng(6).normal(size=400))
    assert found.decided is not None
    assert math.isfinite(found.evidence[-1])
    json.dumps(found.as_dict(), allow_nan=False)


def test_inputs_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="1 of them not finite"):
        confidence_sequence(np.array([0.1, np.nan]))
    with pytest.raises(UsageError, match="one row"):
        confidence_sequence(np.zeros((3, 3)))
    with pytest.raises(UsageError, match="confidence"):
        confidence_sequence(np.zeros(3), 1.0)
    with pytest.raises(UsageError, match="tight_at"):
        confidence_sequence(np.zeros(3), tight_at=0)
