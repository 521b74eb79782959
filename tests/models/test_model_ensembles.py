"""Ensembles: they find the member that knows, and know nothing of the folds to come."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from daybook.core.seeds import generator
from daybook.models.ensembles import KINDS, EnsembleFit, fit_ensemble, walk_forward
from daybook.models.errors import SavedModelError, SplitError
from daybook.models.out_of_fold import OutOfFold
from daybook.models.scorecards import FoldCard

STEP = 300_000
FOLDS, PER_FOLD = 4, 150


def rows_and_views(seed=1, edge=0.4):
    """Four folds; view 0 knows the outcome by `edge`, view 1 is noise, view 2 says the opposite of view 0."""
    rng = generator(seed, "ensemble")
    n = FOLDS * PER_FOLD
    side = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    views = rng.standard_normal((n, 3))
    views[:, 0] += edge * side
    views[:, 2] = -views[:, 0] + 0.5 * rng.standard_normal(n)
    time = STEP * np.arange(n, dtype=np.int64)
    fold = np.repeat(np.arange(FOLDS), PER_FOLD)
    folds = tuple(FoldCard(fold=k, test_start_ms=int(time[k * PER_FOLD]), n_train=500, n_test=PER_FOLD,
                           test_end_ms=int(time[k * PER_FOLD]) + PER_FOLD * STEP) for k in range(FOLDS))
    zero = np.zeros(n, np.int64)
    rows = OutOfFold(time, zero, np.arange(n), np.arange(n), fold, np.full(n, 0.5), np.full(n, 0.5), side,
                     np.ones(n, bool), np.ones(n), time + 5 * STEP, folds)
    return rows, views


@pytest.mark.parametrize("kind", ["weighted", "stacking"])
def test_fitted_ensembles_lean_on_the_member_that_knows(kind):
    rows, views = rows_and_views()
    found = walk_forward(kind, views, rows, 0)
    later = rows.fold > 0
    accuracy = np.mean((found.prediction > 0.5)[later] == (rows.label > 0)[later])
    assert accuracy > 0.6
    weights = np.array(found.fits[-1].weights)
    assert np.argmax(weights) == 0


def test_weights_are_not_negative_and_sum_to_one():
    rows, views = rows_and_views()
    for kind in ("weighted", "voting", "equal"):
        fit = fit_ensemble(kind, views, rows.label > 0, rows.weight)
        assert min(fit.weights) >= 0.0
        assert sum(fit.weights) == pytest.approx(1.0)


def test_voting_counts_signs_only():
    rows, views = rows_and_views()
    fit = fit_ensemble("voting", views[:, :2], rows.label > 0, rows.weight)
    assert np.array_equal(fit.predict(views[:, :2]), fit.predict(np.sign(views[:, :2]) * 7.0))


def test_without_a_useful_member_there_is_no_edge():
    rows, views = rows_and_views()
    fit = fit_ensemble("weighted", views[:, 2:], rows.label > 0, rows.weight)
    assert fit.slope == 0.0
    assert np.all(fit.predict(views[:, 2:]) == 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("harm", ["views", "labels"])
def test_no_ensemble_sees_the_folds_it_predicts(kind, harm):
    """Corrupt everything from fold 2 on, and the last labels before it: predictions of folds 0 to 2 stay."""
    rows, views = rows_and_views()
    clean = walk_forward(kind, views, rows, 0)
    start = rows.folds[2].test_start_ms
    if harm == "views":
        spoiled = np.where((rows.fold > 2)[:, None], 1e3, views)
        unchanged = rows.fold <= 2
        again = walk_forward(kind, spoiled, rows, 0)
    else:
        late = rows.known_at > start
        assert (rows.fold[late] < 2).any()
        again = walk_forward(kind, views, replace(rows, label=np.where(late, -rows.label, rows.label)), 0)
        unchanged = rows.fold <= 2
    assert np.array_equal(clean.prediction[unchanged], again.prediction[unchanged], equal_nan=True)
    assert not np.array_equal(clean.prediction[~unchanged], again.prediction[~unchanged])
    assert np.isnan(clean.prediction[rows.fold == 0]).all()
    assert np.isfinite(clean.prediction[rows.fold > 0]).all()


def test_the_embargo_is_kept_between_folds():
    rows, views = rows_and_views()
    for split in walk_forward("voting", views, rows, 20 * STEP).splits:
        assert (rows.known_at[split.train] <= split.test_span.start_ms - 20 * STEP).all()


def test_a_row_with_an_unknown_view_is_not_predicted():
    rows, views = rows_and_views()
    views[200, 1] = np.nan
    found = walk_forward("stacking", views, rows, 0)
    assert np.flatnonzero(np.isnan(found.prediction)).tolist() == [*range(PER_FOLD), 200]


def test_too_few_rows_are_counted():
    rows, views = rows_and_views()
    with pytest.raises(SplitError, match="20 rows to learn from"):
        fit_ensemble("stacking", views[:20], rows.label[:20] > 0, rows.weight[:20])


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_ensemble_reads_back_and_predicts_the_same(kind):
    rows, views = rows_and_views()
    fit = fit_ensemble(kind, views, rows.label > 0, rows.weight)
    loaded = EnsembleFit.from_json(json.loads(json.dumps(fit.to_json() | {"members": ["a", "b", "c"]})))
    assert loaded == fit
    assert np.array_equal(loaded.predict(views), fit.predict(views))


@pytest.mark.parametrize("harm", [
    {"format": "other"}, {"kind": "oracle"}, {"weights": [1.0]}, {"scale": [1.0, 0.0, 1.0]}, {"slope": float("nan")},
    {"n": None},
])
def test_a_saved_ensemble_that_is_not_sound_is_refused(harm):
    rows, views = rows_and_views()
    value = fit_ensemble("weighted", views, rows.label > 0, rows.weight).to_json()
    with pytest.raises(SavedModelError, match="saved ensemble"):
        EnsembleFit.from_json(value | harm)
