"""Boosted trees: what scikit-learn grows, in our arrays; the same bytes each time; nothing unsound is loaded."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from daybook.core.seeds import generator
from daybook.models import TreeSettings
from daybook.models.binning import MOST_BINS, bin_edges, binned
from daybook.models.errors import SavedModelError, TrainingDataError
from daybook.models.learners import BoostedTrees

SETTINGS = TreeSettings(iterations=20, min_leaf=30)
LOSSES = (("log_loss", None), ("quantile", 0.1), ("squared_error", None), ("log_mean", None))


@pytest.fixture(scope="module")
def sample():
    rng = generator(1, "learners")
    X = rng.standard_normal((1500, 8)).astype(np.float32)
    y = X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.3 * rng.standard_normal(1500)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[:, 5], X[:, 6], X[:, 7] = 1.0, np.nan, np.sign(X[:, 0])
    X[0, 0], X[1, 1] = np.inf, -np.inf
    return X, y, rng.uniform(0.1, 1.0, 1500)


def target(loss, y):
    return (y > 0).astype(np.float64) if loss == "log_loss" else y


@pytest.mark.parametrize(("loss", "quantile"), LOSSES)
def test_predictions_are_those_of_scikit_learn_on_the_same_codes(loss, quantile, sample):
    X, y, w = sample
    ours = BoostedTrees(loss, 5, quantile=quantile, settings=SETTINGS).fit(X, target(loss, y), w)
    codes = binned(X, bin_edges(X))
    theirs = ours._estimator(y.size)
    theirs.fit(codes, (y > 0).astype(int) if loss == "log_loss" else y, sample_weight=w * (w.size / w.sum()))
    expected = theirs.predict_proba(codes)[:, 1] if loss == "log_loss" else theirs.predict(codes)
    if loss == "log_mean":
        expected += np.log(np.average(np.exp(y - expected), weights=w))
    assert ours.predict(X) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("loss", "quantile"), LOSSES)
def test_equal_fits_save_to_equal_bytes_and_load_to_equal_predictions(loss, quantile, sample):
    X, y, w = sample
    first, second, other = (BoostedTrees(loss, seed, quantile=quantile, settings=SETTINGS).fit(X, target(loss, y), w)
                            for seed in (5, 5, 6))
    text = json.dumps(first.to_json(), allow_nan=False)
    assert text == json.dumps(second.to_json(), allow_nan=False)
    assert text != json.dumps(other.to_json(), allow_nan=False)
    loaded = BoostedTrees.from_json(json.loads(text))
    fresh = generator(2, "fresh").standard_normal((300, 8)).astype(np.float32)
    fresh[::7, 1] = np.nan
    assert np.array_equal(loaded.predict(fresh), first.predict(fresh))


def test_log_mean_is_unbiased_for_the_mean_of_the_exponential(sample):
    X, _, _ = sample
    y = generator(3, "log").standard_normal(1500) + np.nan_to_num(X[:, 2])
    found = BoostedTrees("log_mean", 1, settings=SETTINGS).fit(X, y, np.ones(1500)).predict(X)
    assert np.mean(np.exp(y - found)) == pytest.approx(1.0)


def test_bins_hold_their_upper_edge_and_missing_stays_missing():
    X = np.array([[1.0, 5.0], [2.0, np.nan], [2.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    edges = bin_edges(X)
    assert [cuts.tolist() for cuts in edges] == [[1.0, 2.0], []]
    codes = binned(X, edges)
    assert codes[:, 0].tolist() == [0, 1, 1, 2]
    assert np.isnan(codes[1, 1])
    wide = generator(4, "wide").standard_normal((5000, 1)).astype(np.float32)
    counts = np.bincount(binned(wide, bin_edges(wide))[:, 0].astype(int))
    assert counts.size == MOST_BINS
    assert counts.max() <= 2 * counts.min()


@pytest.mark.parametrize("harm", [
    lambda v: v["left"].__setitem__(0, 0),
    lambda v: v["right"].__setitem__(0, 10**6),
    lambda v: v["column"].__setitem__(0, 99),
    lambda v: v["roots"].append(10**6),
    lambda v: v["value"].__setitem__(1, float("nan")),
    lambda v: v["threshold"].pop(),
    lambda v: v.__setitem__("base", float("inf")),
    lambda v: v.__setitem__("format", "pickle"),
    lambda v: v.__setitem__("code", "import os"),
    lambda v: v["left"].__setitem__(0, -5),
])
def test_a_saved_form_that_is_not_sound_is_refused(harm, sample):
    X, y, w = sample
    value = BoostedTrees("squared_error", 5, settings=SETTINGS).fit(X, y, w).to_json()
    BoostedTrees.from_json(copy.deepcopy(value))
    harm(value)
    with pytest.raises(SavedModelError, match="saved trees"):
        BoostedTrees.from_json(value)


@pytest.mark.parametrize(("loss", "spoil"), [
    ("squared_error", lambda X, y, w: (X, y[:-1], w)),
    ("squared_error", lambda X, y, w: (X, np.where(y > 2, np.nan, y), w)),
    ("squared_error", lambda X, y, w: (X, y, 0 * w)),
    ("log_loss", lambda X, y, w: (X, np.ones_like(y), w)),
    ("log_loss", lambda X, y, w: (X, np.sign(y), w)),
])
def test_targets_that_the_loss_can_not_learn_are_refused(loss, spoil, sample):
    with pytest.raises(TrainingDataError, match=loss):
        BoostedTrees(loss, 1, settings=SETTINGS).fit(*spoil(*sample))


def test_predicting_needs_a_fit_and_as_many_features(sample):
    X, y, w = sample
    with pytest.raises(TrainingDataError, match="before fit"):
        BoostedTrees("squared_error", 1).predict(X)
    with pytest.raises(TrainingDataError, match=r"need \(rows, 8\)"):
        BoostedTrees("squared_error", 1, settings=SETTINGS).fit(X, y, w).predict(X[:, :4])
