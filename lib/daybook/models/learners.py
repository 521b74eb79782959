"""Boosted trees behind one interface: fit, predict, and a saved form that is plain JSON.

scikit-learn's HistGradientBoosting grows the trees; they are then held as arrays, so that saving needs no pickle, equal
fits give equal bytes (a skops archive of the same fit differs each time), and loading needs no scikit-learn at all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from daybook.core.arrays import Bools, Floats, Floats32
from daybook.models.binning import bin_edges, binned, edge_values
from daybook.models.errors import SavedModelError, TrainingDataError
from daybook.models.trees_kernel import sum_of_trees

Loss = Literal["log_loss", "quantile", "squared_error", "log_mean"]
FORMAT = "daybook-trees-1"


class Learner(Protocol):
    """What every learner offers. Inputs are never changed; equal inputs and seed give equal predictions."""

    def fit(self, X: Floats32, y: Floats, w: Floats) -> Self:
        """Learn from (N, F) features (NaN allowed), (N,) targets and (N,) positive weights; returns itself."""

    def predict(self, X: Floats32) -> Floats:
        """(N,) float64 prediction in the loss's own unit."""

    def to_json(self) -> dict[str, Any]:
        """All that is needed to predict again, as a JSON value."""


@dataclass(frozen=True)
class TreeSettings:
    """How many trees and how large; small on purpose: an hour's return holds little that a deep tree could learn.

    min_leaf is the most rows that a leaf must hold; small samples need a hundredth of their rows, at least 20.
    column_share: share of features that each split may look at.
    """

    iterations: int = 50
    learning_rate: float = 0.03
    leaves: int = 8
    depth: int = 3
    min_leaf: int = 500
    l2: float = 20.0
    column_share: float = 0.3


@dataclass(frozen=True)
class _Trees:
    base: float
    roots: NDArray[np.int32]
    column: NDArray[np.int32]
    threshold: Floats
    children: NDArray[np.int32]
    missing_left: Bools
    value: Floats


class SavedTrees(BaseModel):
    """The JSON form of BoostedTrees, checked in full before a single row is predicted.

    Children come after their parent, so that no saved file can send a prediction round in a circle. A threshold of
    None stands for infinity: every value that is not missing goes left.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["daybook-trees-1"]
    loss: Loss
    quantile: float | None
    features: int = Field(ge=1)
    base: float = Field(allow_inf_nan=False)
    roots: list[int]
    column: list[int]
    threshold: list[float | None]
    left: list[int]
    right: list[int]
    missing_left: list[int]
    value: list[float]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        nodes = len(self.column)
        per_node = (self.threshold, self.left, self.right, self.missing_left, self.value)
        if any(len(entries) != nodes for entries in per_node):
            raise ValueError("lists of one entry a node differ in length")
        if any(not 0 <= root < nodes for root in self.roots):
            raise ValueError("a root is not a node")
        if any(not 0 <= column < self.features for column in self.column):
            raise ValueError("a node tests a feature that the model does not have")
        for node, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            leaf = left == -1 and right == -1
            if not (leaf or (node < left < nodes and node < right < nodes)):
                raise ValueError(f"node {node} has children {left} and {right}")
        if not all(np.isfinite(self.value)) or any(limit is not None and not np.isfinite(limit)
                                                   for limit in self.threshold):
            raise ValueError("a leaf value or threshold is not finite")
        return self


class BoostedTrees:
    """Gradient boosted trees for one loss.

    predict gives: log_loss the probability of y = 1; quantile that quantile of y; squared_error the mean of y;
    log_mean the log of the mean of exp(y): squared error on y, then Duan's smearing factor. (On realised variance it
    did better out of fold, and by QLIKE itself, than trees grown by the gamma deviance, which is QLIKE: a few violent
    hours rule that fit.)
    """

    def __init__(
        self, loss: Loss, seed: int, *, quantile: float | None = None, settings: TreeSettings | None = None
    ) -> None:
        """seed: a derived seed of this fit. quantile: in (0, 1), only for the quantile loss."""
        self.loss: Loss = loss
        self.quantile = quantile
        self.seed = seed
        self.settings = settings or TreeSettings()
        self.features = 0
        self._trees: _Trees | None = None

    def fit(self, X: Floats32, y: Floats, w: Floats) -> Self:
        """Grow the trees. Raises TrainingDataError when targets or weights are not what the loss allows."""
        _require_trainable(self.loss, X, y, w)
        estimator = self._estimator(len(y))
        edges = bin_edges(X)
        targets = y.astype(np.int64) if self.loss == "log_loss" else y
        estimator.fit(binned(X, edges), targets, sample_weight=w * (w.size / w.sum()))
        self.features = X.shape[1]
        self._trees = _trees_of(estimator, edges)
        if self.loss == "log_mean":
            smear = np.log(np.average(np.exp(y - self.predict(X)), weights=w))
            self._trees = replace(self._trees, base=self._trees.base + float(smear))
        return self

    def predict(self, X: Floats32) -> Floats:
        """(N,) float64. Raises TrainingDataError when not fitted or when the number of features differs."""
        if self._trees is None:
            raise TrainingDataError(f"{self.loss} trees: predict before fit. Fit or load the model first.")
        if X.ndim != 2 or X.shape[1] != self.features:
            raise TrainingDataError(f"{self.loss} trees: features have shape {X.shape}, need (rows, {self.features}).")
        trees = self._trees
        values = np.ascontiguousarray(X, dtype=np.float32)
        raw = sum_of_trees(values, trees.base, trees.roots, trees.column, trees.threshold, trees.children,
                           trees.missing_left, trees.value)
        if self.loss != "log_loss":
            return raw
        probability: Floats = 1.0 / (1.0 + np.exp(-np.clip(raw, -700.0, 700.0)))
        return probability

    def to_json(self) -> dict[str, Any]:
        """The saved form; equal fits give equal values."""
        if self._trees is None:
            raise TrainingDataError(f"{self.loss} trees: nothing to save before fit.")
        trees = self._trees
        return {
            "format": FORMAT, "loss": self.loss, "quantile": self.quantile, "features": self.features,
            "base": trees.base, "roots": trees.roots.tolist(), "column": trees.column.tolist(),
            "threshold": [limit if np.isfinite(limit) else None for limit in trees.threshold.tolist()],
            "left": trees.children[:, 0].tolist(), "right": trees.children[:, 1].tolist(),
            "missing_left": trees.missing_left.astype(np.int64).tolist(), "value": trees.value.tolist(),
        }

    @classmethod
    def from_json(cls, value: Any) -> BoostedTrees:
        """The learner of a saved form. Raises SavedModelError when it is not sound."""
        try:
            saved = SavedTrees.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "trees"
            raise SavedModelError(
                f"saved trees: {place}: {first['msg']}. Restore the file or train the model again."
            ) from None
        learner = cls(saved.loss, 0, quantile=saved.quantile)
        learner.features = saved.features
        learner._trees = _Trees(
            base=saved.base,
            roots=np.array(saved.roots, dtype=np.int32),
            column=np.array(saved.column, dtype=np.int32),
            threshold=np.array([np.inf if limit is None else limit for limit in saved.threshold]),
            children=np.column_stack([saved.left, saved.right]).astype(np.int32),
            missing_left=np.array(saved.missing_left, dtype=np.bool_),
            value=np.array(saved.value, dtype=np.float64),
        )
        return learner

    def described(self) -> dict[str, Any]:
        """Loss and settings, as a model card lists them."""
        return {"loss": self.loss, "quantile": self.quantile, **asdict(self.settings)}

    def _estimator(self, rows: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        chosen = self.settings
        options: dict[str, Any] = {
            "max_iter": chosen.iterations, "learning_rate": chosen.learning_rate, "max_leaf_nodes": chosen.leaves,
            "max_depth": chosen.depth, "min_samples_leaf": min(chosen.min_leaf, max(20, rows // 100)),
            "l2_regularization": chosen.l2, "max_features": chosen.column_share, "early_stopping": False,
            "random_state": self.seed % 2**32,
        }
        if self.loss == "log_loss":
            return HistGradientBoostingClassifier(loss="log_loss", **options)
        loss = "squared_error" if self.loss == "log_mean" else self.loss
        return HistGradientBoostingRegressor(loss=loss, quantile=self.quantile, **options)


def _require_trainable(loss: Loss, X: Floats32, y: Floats, w: Floats) -> None:
    if X.ndim != 2 or y.shape != (X.shape[0],) or w.shape != y.shape or y.size == 0:
        raise TrainingDataError(f"{loss} trees: features {X.shape}, targets {y.shape} and weights {w.shape} differ.")
    if not (np.isfinite(y).all() and np.isfinite(w).all() and (w > 0.0).all()):
        raise TrainingDataError(f"{loss} trees: targets must be finite and weights positive; drop unknown rows first.")
    if loss == "log_loss" and set(np.unique(y)) != {0.0, 1.0}:
        raise TrainingDataError(
            f"log_loss trees: targets are {np.unique(y)[:5].tolist()}, both 0 and 1 are needed. "
            "Give a longer history, or a smaller dead zone."
        )


def _trees_of(estimator: Any, edges: list[Floats32]) -> _Trees:
    """The fitted trees as flat arrays, thresholds in feature values; leaves get children -1."""
    grown = [stage[0].nodes for stage in estimator._predictors]
    sizes = np.array([nodes.size for nodes in grown])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    nodes = np.concatenate(grown)
    offset = np.repeat(roots, sizes)
    leaf = nodes["is_leaf"].astype(np.bool_)
    children = np.column_stack([nodes["left"] + offset, nodes["right"] + offset]).astype(np.int32)
    children[leaf] = -1
    threshold = np.zeros(nodes.size)
    threshold[~leaf] = edge_values(nodes["feature_idx"][~leaf], nodes["num_threshold"][~leaf], edges)
    return _Trees(
        base=float(np.ravel(estimator._baseline_prediction)[0]),
        roots=roots,
        column=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=threshold,
        children=children,
        missing_left=nodes["missing_go_to_left"].astype(np.bool_) & ~leaf,
        value=np.where(leaf, nodes["value"], 0.0),
    )
