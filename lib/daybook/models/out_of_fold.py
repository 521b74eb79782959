"""Forward out-of-fold predictions: each row predicted by a model that learned only from labels known before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.parallel import native_threads
from daybook.core.seeds import derived_seed
from daybook.models.dataset import Dataset
from daybook.models.learners import BoostedTrees, TreeSettings
from daybook.models.metrics import Scored
from daybook.models.registry import ModelSpec
from daybook.models.scorecards import FoldCard
from daybook.models.splits import Split


@dataclass(frozen=True)
class FoldFit:
    """One fitted fold: the rows predicted, what was predicted for them, and what the baseline says."""

    split: Split
    prediction: Floats
    baseline: Floats


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of all folds in time order, one row a bar and market.

    position: (M,) int64 row of the dataset. fold: (M,) int64. prediction, baseline: (M,) float64 in the model's unit;
    NaN where a baseline has none. label: (M,) float64, NaN where not known yet. scored: label counts (known, outside
    the dead zone, baseline known). weight: (M,) uniqueness. known_at: (M,) int64 ms UTC.
    """

    time: Ints
    market: Ints
    row: Ints
    position: Ints
    fold: Ints
    prediction: Floats
    baseline: Floats
    label: Floats
    scored: Bools
    weight: Floats
    known_at: Ints
    folds: tuple[FoldCard, ...]

    def table(self, symbols: Sequence[str]) -> pa.Table:
        """The rows as published, one column each; an unknown label, its time and an absent baseline are null."""
        known = np.isfinite(self.label)
        return pa.table({
            "open_time": self.time,
            "symbol": pa.array([symbols[code] for code in self.market], type=pa.string()),
            "fold": self.fold,
            "prediction": self.prediction,
            "baseline": pa.array(self.baseline, mask=~np.isfinite(self.baseline)),
            "label": pa.array(self.label, mask=~known),
            "scored": self.scored,
            "known_at": pa.array(self.known_at, mask=~known),
        })

    def scored_rows(self, horizon: int) -> Scored:
        """The rows that count towards metrics."""
        own = self.scored
        return Scored(self.time[own], self.market[own], self.prediction[own], self.baseline[own], self.label[own],
                      self.weight[own], (self.row % horizon == 0)[own], horizon)


def fit_rows(spec: ModelSpec, data: Dataset, train: Ints, seed: int, trees: TreeSettings | None = None) -> BoostedTrees:
    """A model fitted to these rows of the dataset, on one native thread."""
    labels = data.labels[spec.name]
    learner = spec.learner(seed, trees)
    targets = spec.learned(labels.value[train], data.state.recent_volatility[train])
    with native_threads(1):
        return learner.fit(data.X[train], targets, labels.weight[train])


def fit_fold(spec: ModelSpec, data: Dataset, split: Split, seed: int, trees: TreeSettings | None = None) -> FoldFit:
    """Fit one fold and predict its test rows; its seed depends on its test span, not on how many folds follow."""
    own_seed = derived_seed(seed, "models", spec.name, split.test_span.start_ms)
    learner = fit_rows(spec, data, split.train, own_seed, trees)
    prediction = spec.restored(learner.predict(data.X[split.test]), data.state.recent_volatility[split.test])
    return FoldFit(split, prediction, spec.baseline(data, split.train, split.test))


def joined(target: str, data: Dataset, fits: Sequence[FoldFit]) -> OutOfFold:
    """The folds of one model in time order."""
    position = np.concatenate([fit.split.test for fit in fits])
    prediction, baseline = (np.concatenate([getattr(fit, name) for fit in fits]) for name in ("prediction", "baseline"))
    labels = data.labels[target]
    return OutOfFold(
        time=data.time[position],
        market=data.market[position],
        row=data.row[position],
        position=position,
        fold=np.repeat([fit.split.fold for fit in fits], [fit.split.test.size for fit in fits]),
        prediction=prediction,
        baseline=baseline,
        label=labels.value[position],
        scored=labels.fit[position] & np.isfinite(baseline) & np.isfinite(prediction),
        weight=labels.weight[position],
        known_at=labels.known_at[position],
        folds=tuple(fold_card(fit.split) for fit in fits),
    )


def fold_card(split: Split) -> FoldCard:
    """A fold as the scorecard lists it."""
    return FoldCard(fold=split.fold, test_start_ms=split.test_span.start_ms, test_end_ms=split.test_span.end_ms,
                    n_train=split.train.size, n_test=split.test.size)
