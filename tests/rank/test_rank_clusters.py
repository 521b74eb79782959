"""Clusters of trials: against a plain agglomeration, simulated maxima, and crowds whose number of ideas is known."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.rank.clusters import trial_clusters
from daybook.rank.statistics import effective_trials, expected_maximum


def crowd(seed: int, ideas: int, copies: int, noise: float, periods: int = 168) -> Floats:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.normal(size=(ideas, periods)), copies, axis=0) + noise * rng.normal(
        size=(ideas * copies, periods))


def plain(returns: Floats, cut: float) -> tuple[set[frozenset[int]], float]:
    """Clusters and effective number, by joining the two closest clusters again and again."""
    correlation = np.corrcoef(returns)
    clusters = [[row] for row in range(len(returns))]
    while len(clusters) > 1:
        pairs = [(correlation[np.ix_(a, b)].mean(), i, j) for i, a in enumerate(clusters)
                 for j, b in enumerate(clusters) if i < j]
        nearest, i, j = max(pairs)
        if nearest < cut:
            break
        clusters[i] += clusters.pop(j)
    effective = 0.0
    for members in clusters:
        n = len(members)
        inside = correlation[np.ix_(members, members)]
        rho = (inside.sum() - n) / (n * (n - 1)) if n > 1 else 0.0
        effective += max(rho, 0.0) + (1 - max(rho, 0.0)) * n
    return {frozenset(members) for members in clusters}, effective


def parts(labels) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == name).tolist()) for name in np.unique(labels[labels >= 0])}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4), st.floats(0.1, 2.0), st.floats(0.2, 0.9))
def test_clusters_are_those_of_a_plain_agglomeration(seed, ideas, copies, noise, cut):
    returns = crowd(seed, ideas, copies, noise, 30)
    found = trial_clusters(returns, cut)
    if len(returns) == 1:
        assert (found.clusters, found.effective) == (1, 1.0)
        return
    clusters, effective = plain(returns, cut)
    assert parts(found.labels) == clusters
    assert found.clusters == len(clusters)
    assert found.effective == pytest.approx(effective, abs=1e-6)


def test_copies_count_once_and_unrelated_trials_each():
    alone = crowd(1, 40, 1, 0.0)
    assert trial_clusters(alone).effective == 40.0
    assert trial_clusters(np.repeat(alone[:1], 40, axis=0) * np.arange(1, 41)[:, None]).effective == 1.0
    assert trial_clusters(alone[:1]).as_dict()["effective"] == 1.0


def test_opposite_trials_are_two_ideas():
    one = crowd(2, 1, 20, 0.1)
    found = trial_clusters(np.vstack([one, -one]))
    assert found.clusters == 2
    assert 2.0 <= found.effective < 3.0
    assert effective_trials(np.vstack([one, -one])) == 40.0, "the mean correlation of opposites says nothing"


def test_the_ideas_of_a_crowd_are_counted_where_the_mean_correlation_sees_hardly_any():
    found = trial_clusters(crowd(3, 10, 20, 0.3))
    assert found.clusters == 10
    assert 10 < found.effective < 35
    assert effective_trials(crowd(3, 10, 20, 0.3)) > 150


def test_the_effective_number_expects_the_best_that_is_seen():
    rng = np.random.default_rng(5)
    best = []
    for _ in range(2000):
        z = np.repeat(rng.normal(size=10), 20) + 0.3 * rng.normal(size=200)
        best.append(z.max() / np.sqrt(1.09))
    found = trial_clusters(crowd(5, 10, 20, 0.3))
    assert expected_maximum(round(found.effective)) == pytest.approx(np.mean(best), abs=0.06)
    assert expected_maximum(found.clusters) < np.mean(best) - 0.3, "the bare number of clusters would be too kind"
    assert expected_maximum(200) > np.mean(best) + 0.5


def test_the_order_of_rows_changes_nothing():
    returns = np.vstack([crowd(6, 8, 5, 0.9), crowd(7, 10, 1, 0.0)])
    returns[-3:] = returns[:3]
    order = np.random.default_rng(0).permutation(len(returns))
    first, moved = trial_clusters(returns), trial_clusters(np.asfortranarray(returns[order]))
    assert moved.as_dict() == first.as_dict()
    assert {frozenset(order[list(part)].tolist()) for part in parts(moved.labels)} == parts(first.labels)
    assert list(dict.fromkeys(first.labels.tolist())) == list(range(first.clusters))


def test_a_larger_crowd_is_clustered_in_parts_and_counts_no_less(monkeypatch):
    returns = crowd(8, 12, 10, 0.4)
    whole = trial_clusters(returns)
    monkeypatch.setattr(importlib.import_module("daybook.rank.clusters"), "_GROUP", 50)
    in_parts = trial_clusters(returns)
    assert whole.effective <= in_parts.effective <= len(returns)
    assert in_parts.clusters == len(parts(in_parts.labels)) >= whole.clusters
    assert in_parts.as_dict() == trial_clusters(returns[::-1]).as_dict()


def test_rows_that_can_not_be_compared_are_left_out_and_counted():
    returns = crowd(9, 6, 1, 0.0)
    returns[0], returns[3], returns[4, 7] = 0.0, 0.5, np.nan
    found = trial_clusters(returns)
    assert (found.trials, found.clusters, found.effective, found.constant, found.missing) == (6, 3, 3.0, 2, 1)
    assert found.labels.tolist() == [-1, 0, 1, -1, -1, 2]


@pytest.mark.parametrize("shape", [(0, 10), (4, 0), (4, 1)])
def test_no_row_that_varies_is_no_trial(shape):
    found = trial_clusters(np.ones(shape))
    assert (found.clusters, found.effective, found.constant) == (0, 0.0, shape[0])
    assert found.labels.tolist() == [-1] * shape[0]


def test_inputs_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="shape"):
        trial_clusters(np.ones(5))
    with pytest.raises(UsageError, match="correlation"):
        trial_clusters(np.ones((2, 5)), 0.0)
