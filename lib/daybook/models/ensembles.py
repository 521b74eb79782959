"""Three ensembles of the five models' views, each fitted only on folds that lie before the one it predicts.

scikit-learn's StackingClassifier refuses forward splits (its inner predictions must form a partition), so the walk
through the folds is written out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.time import Window
from daybook.models.errors import SavedModelError, SplitError
from daybook.models.out_of_fold import OutOfFold
from daybook.models.splits import Split

Kind = Literal["weighted", "voting", "stacking"]
KINDS: tuple[Kind, ...] = get_args(Kind)
QUESTIONS: Mapping[Kind, str] = {
    "weighted": "Non-negative weights that sum to one, by non-negative least squares on earlier folds.",
    "voting": "Mean of the views' signs, scaled by what it was worth on earlier folds.",
    "stacking": "Logistic regression of the views on earlier folds.",
}
FEWEST_ROWS = 50
_LIMIT = 0.49
_RIDGE = 1.0


@dataclass(frozen=True)
class EnsembleFit:
    """A fitted ensemble: probability of a rise from the views of its members.

    scale: (V,) root mean square of each view on the fitted rows, so that views of different size weigh alike. For
    stacking weights and intercept are those of the logistic regression; for the others weights are not negative and sum
    to one, and slope turns the combined view into an edge.
    """

    kind: str
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    slope: float
    intercept: float
    n: int

    def predict(self, views: Floats) -> Floats:
        """(M, V) views -> (M,) probability of a rise; NaN where any view is NaN."""
        scaled = views / np.array(self.scale)
        weights = np.array(self.weights)
        if self.kind == "stacking":
            stacked: Floats = 1.0 / (1.0 + np.exp(-np.clip(scaled @ weights + self.intercept, -30.0, 30.0)))
            return stacked
        combined = (np.sign(scaled) if self.kind == "voting" else scaled) @ weights
        chance: Floats = 0.5 + np.clip(0.5 * self.slope * combined, -_LIMIT, _LIMIT)
        return chance

    def to_json(self) -> dict[str, Any]:
        """All that is needed to predict again."""
        return {"format": "daybook-ensemble-1", "kind": self.kind, "scale": list(self.scale),
                "weights": list(self.weights), "slope": self.slope, "intercept": self.intercept, "n": self.n}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EnsembleFit:
        """The fit that to_json gave; further keys are left alone. Raises SavedModelError when it is not sound."""
        try:
            saved = SavedEnsemble.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "weights"
            raise SavedModelError(
                f"saved ensemble: {place}: {first['msg']}. Restore the file or train the ensemble again."
            ) from None
        return cls(saved.kind, saved.scale, saved.weights, saved.slope, saved.intercept, saved.n)


class SavedEnsemble(BaseModel):
    """The JSON form of EnsembleFit: finite figures, one scale and one weight a member, positive scales."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    format: Literal["daybook-ensemble-1"]
    kind: Kind
    scale: tuple[float, ...] = Field(min_length=1)
    weights: tuple[float, ...] = Field(min_length=1)
    slope: float
    intercept: float
    n: int = Field(ge=0)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(self.scale) != len(self.weights):
            raise ValueError(f"{len(self.weights)} weights for {len(self.scale)} scales")
        if min(self.scale) <= 0.0:
            raise ValueError("a scale is not positive")
        return self


def fit_ensemble(kind: str, views: Floats, up: Bools, weight: Floats) -> EnsembleFit:
    """Fit one kind ("weighted", "voting", "stacking", or "equal", their baseline).

    views: (M, V) without NaN. up: (M,) whether the price rose. weight: (M,) uniqueness, positive.
    Raises SplitError for fewer than 50 rows or for one class only.
    """
    if up.size < FEWEST_ROWS or up.all() or not up.any():
        raise SplitError(
            f"ensemble {kind}: {up.size} rows to learn from, {int(up.sum())} of them rises; at least {FEWEST_ROWS} "
            "rows and both classes are needed. Give a longer history or fewer, longer folds."
        )
    scale = np.sqrt(np.average(views**2, axis=0, weights=weight))
    scale = np.where(scale > 0.0, scale, 1.0)
    scaled, side = views / scale, np.where(up, 1.0, -1.0)
    members = views.shape[1]
    weights, slope, intercept = np.full(members, 1.0 / members), 0.0, 0.0
    if kind == "stacking":
        weights, intercept = _logistic(scaled, up, weight)
        slope = 1.0
    elif kind == "weighted":
        weights, slope = _non_negative(scaled, side, weight)
    else:
        slope = _worth((np.sign(scaled) if kind == "voting" else scaled) @ weights, side, weight)
    return EnsembleFit(kind, tuple(scale.tolist()), tuple(weights.tolist()), slope, intercept, int(up.size))


@dataclass(frozen=True)
class ForwardEnsemble:
    """Probabilities of a rise over the folds after the first, and the fit of every fold.

    prediction, baseline: (M,) aligned with the rows handed in; NaN in the first fold, which nothing precedes.
    """

    kind: str
    prediction: Floats
    baseline: Floats
    fits: tuple[EnsembleFit, ...]
    splits: tuple[Split, ...]


def walk_forward(kind: str, views: Floats, rows: OutOfFold, embargo_ms: int) -> ForwardEnsemble:
    """Predict each fold but the first by an ensemble of what was known an embargo before it.

    views: (M, V) of the models on the same out-of-fold rows as `rows`, which is the direction model's: its labels are
    what is predicted. A row of an earlier fold is learned from only if its label was known an embargo before the fold.
    """
    prediction, baseline = np.full(rows.time.size, np.nan), np.full(rows.time.size, np.nan)
    known: Bools = np.asarray(np.isfinite(views).all(axis=1))
    fits, splits = [], []
    for card in rows.folds[1:]:
        train = np.flatnonzero(rows.scored & known & (rows.known_at <= card.test_start_ms - embargo_ms))
        test = np.flatnonzero((rows.fold == card.fold) & known)
        fit, equal = (_fit_rows(each, views, rows, train) for each in (kind, "equal"))
        prediction[test], baseline[test] = fit.predict(views[test]), equal.predict(views[test])
        fits.append(fit)
        splits.append(Split(card.fold, train, test, Window(card.test_start_ms, card.test_end_ms)))
    return ForwardEnsemble(kind, prediction, baseline, tuple(fits), tuple(splits))


def final_fit(kind: str, views: Floats, rows: OutOfFold) -> EnsembleFit:
    """The ensemble of all out-of-fold rows with a known label: what tomorrow's bars would be predicted with."""
    return _fit_rows(kind, views, rows, np.flatnonzero(rows.scored & np.isfinite(views).all(axis=1)))


def _fit_rows(kind: str, views: Floats, rows: OutOfFold, train: Ints) -> EnsembleFit:
    return fit_ensemble(kind, views[train], rows.label[train] > 0.0, rows.weight[train])


def _non_negative(scaled: Floats, side: Floats, weight: Floats) -> tuple[Floats, float]:
    """Weights that sum to one and the slope they were scaled by; equal weights and slope 0 if no view helped."""
    from scipy.optimize import nnls

    root = np.sqrt(weight)
    found, _ = nnls(scaled * root[:, None], side * root)
    total = float(found.sum())
    if total <= 0.0:
        return np.full(scaled.shape[1], 1.0 / scaled.shape[1]), 0.0
    return found / total, total


def _worth(combined: Floats, side: Floats, weight: Floats) -> float:
    """Least-squares slope of the outcome on a combined view, not below zero."""
    square = float(np.sum(weight * combined**2))
    return max(0.0, float(np.sum(weight * combined * side)) / square) if square > 0.0 else 0.0


def _logistic(scaled: Floats, up: Bools, weight: Floats) -> tuple[Floats, float]:
    """Coefficients and intercept of a lightly ridged logistic regression; weights count independent answers."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_RIDGE, max_iter=500).fit(scaled, up, sample_weight=weight)
    coefficients: Floats = model.coef_[0]
    return coefficients, float(model.intercept_[0])
