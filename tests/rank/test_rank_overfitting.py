"""Overfitting: against a plain loop, an independent library, and markets whose truth is known."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import probability_of_backtest_overfitting
from scipy.stats import rankdata

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.rank.overfitting import overfitting


def plain(returns: Floats, groups: int) -> tuple[list[float], list[float], list[float]]:
    """(relative rank, Sharpe in, Sharpe out) of each split, by loops over whole columns."""
    parts = np.array_split(np.arange(returns.shape[1]), groups)
    told: tuple[list[float], list[float], list[float]] = ([], [], [])
    for outside in combinations(range(groups), groups // 2):
        chosen = np.concatenate([parts[group] for group in outside])
        rest = np.setdiff1d(np.arange(returns.shape[1]), chosen)
        inside, out = (np.array([_sharpe(row[where]) for row in returns]) for where in (rest, chosen))
        best = np.flatnonzero(np.isclose(inside, inside.max(), rtol=0.0, atol=1e-11))
        ranks = rankdata(np.round(out, 11)) / (len(returns) + 1)
        for column, value in zip(told, (ranks[best].mean(), inside.max(), out[best].mean()), strict=True):
            column.append(float(value))
    return told


def _sharpe(values: Floats) -> float:
    return 0.0 if np.ptp(values) < 1e-12 else float(values.mean() / values.std(ddof=1))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(2, 14), st.sampled_from([2, 4, 6]), st.integers(0, 9),
    st.sampled_from(["plain", "shifted", "idle", "twins", "grid"]),
)
def test_every_split_equals_a_plain_loop(seed, rows, groups, extra, kind):
    rng = np.random.default_rng(seed)
    periods = 2 * groups + extra
    returns = rng.normal(size=(rows, periods))
    if kind == "shifted":
        returns += rng.normal(0, 30, size=(rows, 1))
    elif kind == "idle":
        returns[::2, : periods // 2] = 0.0
    elif kind == "twins":
        returns[-1] = returns[0]
    elif kind == "grid":
        returns = np.round(returns)
        returns[:, 0], returns[:, -1] = -1.0, 1.0
    found = overfitting(returns, groups)
    assert found.reason is None
    rank, inside, out = (np.array(column) for column in plain(returns, groups))
    np.testing.assert_allclose(found.logits, np.log(rank / (1 - rank)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.in_sample, inside, atol=1e-9)
    np.testing.assert_allclose(found.out_of_sample, out, atol=1e-9)


@pytest.mark.parametrize(("rows", "periods", "groups"), [(6, 96, 8), (7, 131, 8), (12, 61, 6)])
def test_an_independent_library_finds_the_same(rows, periods, groups):
    rng = np.random.default_rng(rows)
    returns = rng.normal(0.001, 0.01, size=(rows, periods))
    returns[2, : periods // 2 + 3] = 0.0
    ours, theirs = overfitting(returns, groups), probability_of_backtest_overfitting(returns, groups)
    np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-12)
    np.testing.assert_allclose(ours.in_sample, theirs.is_oos_performance[:, 0], atol=1e-12)
    np.testing.assert_allclose(ours.out_of_sample, theirs.is_oos_performance[:, 1], atol=1e-12)
    assert ours.slope == pytest.approx(theirs.slope)
    on_the_median = np.mean(theirs.logits == 0.0)
    assert ours.pbo == pytest.approx(theirs.pbo + 0.5 * on_the_median)
    assert ours.loss == np.mean(theirs.is_oos_performance[:, 1] < 0.0)


def test_sixteen_groups_make_12870_splits_and_noise_is_a_coin():
    found = [overfitting(np.random.default_rng(seed).normal(size=(100, 672))) for seed in range(8)]
    assert {one.splits for one in found} == {12_870}
    assert 0.35 < np.mean([one.pbo for one in found]) < 0.65


def test_a_real_edge_among_a_hundred_is_chosen_again():
    values = []
    for seed in range(8):
        returns = np.random.default_rng(seed).normal(size=(100, 1500))
        returns[0] += 0.12
        values.append(overfitting(returns).pbo)
    assert np.mean(values) < 0.30


def test_a_choice_that_reverses_itself_is_pure_overfitting():
    """Each row earns in one half of the groups what it loses in the other."""
    rng = np.random.default_rng(2)
    returns = rng.normal(0, 0.05, size=(20, 160))
    sides = np.array([np.where(rng.permutation(16) < 8, 1.0, -1.0) for _ in range(20)])
    found = overfitting(returns + np.repeat(sides, 10, axis=1))
    assert found.pbo is not None
    assert found.loss is not None
    assert min(found.pbo, found.loss) > 0.999
    assert found.slope is not None
    assert found.slope < -0.5


def test_a_rank_on_the_median_counts_half():
    returns = np.random.default_rng(1).normal(size=(1, 40)).repeat(3, axis=0)
    assert overfitting(returns, 4).pbo == 0.5


def test_the_order_and_scale_of_rows_mean_nothing():
    rng = np.random.default_rng(5)
    returns = rng.normal(size=(30, 100))
    returns[20:] = returns[:10]
    returns[10:14, :60] = 0.0
    shuffled = (returns * 2.0 ** rng.integers(-90, 90, size=(30, 1)))[rng.permutation(30)]
    first, second = overfitting(returns, 10), overfitting(np.asfortranarray(shuffled), 10)
    assert first.as_dict() == second.as_dict()
    np.testing.assert_array_equal(first.logits, second.logits)


def test_an_idle_half_has_no_sharpe_ratio_however_long_it_is():
    returns = np.random.default_rng(0).normal(0.01, 0.01, size=(5, 200_000))
    returns[:, :100_000] = 0.0
    found = overfitting(returns, 4)
    assert found.in_sample[-1] == found.logits[-1] == 0.0


def test_rows_that_can_not_be_compared_are_left_out_and_counted():
    returns = np.random.default_rng(3).normal(size=(6, 64))
    returns[1], returns[2], returns[4, 5] = 0.0, 0.01, np.nan
    found = overfitting(returns, 4)
    assert (found.rows, found.constant, found.missing) == (3, 2, 1)
    assert found.as_dict() == overfitting(returns[[0, 3, 5]], 4).as_dict() | {"constant": 2, "missing": 1}


@pytest.mark.parametrize(("shape", "reason"), [
    ((5, 31), "31 periods; 16 groups need at least 32"), ((1, 64), "1 of 1 rows vary"), ((0, 64), "0 of 0 rows vary"),
    ((3, 0), "0 periods"),
])
def test_what_is_undefined_has_a_reason(shape, reason):
    found = overfitting(np.random.default_rng(0).normal(size=shape))
    assert (found.pbo, found.slope, found.loss, found.splits) == (None, None, None, 0)
    assert reason in str(found.reason)
    assert json.loads(json.dumps(found.as_dict()))["pbo"] is None


def test_inputs_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="found 7"):
        overfitting(np.ones((3, 50)), 7)
    with pytest.raises(UsageError, match="found 22"):
        overfitting(np.ones((3, 50)), 22)
    with pytest.raises(UsageError, match="shape"):
        overfitting(np.ones(50))
