"""The five daily models: for each its question, its loss, what it has to beat and the figures it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from daybook.core.arrays import Floats
from daybook.models import baselines, metrics
from daybook.models.learners import BoostedTrees, Loss, TreeSettings
from daybook.models.scorecards import Metric

WINSOR = 0.01
SUSPECT_ACCURACY = 0.58
"""Honest accuracies of intraday direction lie between 0.51 and 0.54; from here on a leak is likelier than skill."""


@dataclass(frozen=True)
class ModelSpec:
    """One registered model.

    learned turns label values and the recent volatility of the horizon into what the loss is fitted to; restored
    turns a learner's prediction back into the label's unit. main_metric leads the scorecard; accuracy_metric, where
    there is one, is watched for leakage.
    """

    name: str
    question: str
    unit: str
    loss: Loss
    learned: Callable[[Floats, Floats], Floats]
    restored: Callable[[Floats, Floats], Floats]
    baseline: baselines.Baseline
    baseline_name: str
    metrics: Callable[[metrics.Scored], dict[str, Metric]]
    main_metric: str
    accuracy_metric: str | None = None
    quantile: float | None = None
    trees: TreeSettings = field(default_factory=TreeSettings)

    def learner(self, seed: int, settings: TreeSettings | None = None) -> BoostedTrees:
        """An unfitted learner of this model; settings None gives the model's own."""
        return BoostedTrees(self.loss, seed, quantile=self.quantile, settings=settings or self.trees)


def upper_class(value: Floats, scale: Floats) -> Floats:
    """1 where the label is positive, else 0."""
    return (value > 0.0).astype(np.float64)


def as_learned(raw: Floats, scale: Floats) -> Floats:
    """The learner's prediction as it is."""
    return raw


def winsorised(value: Floats, scale: Floats) -> Floats:
    """Values pulled in to their own 1 % and 99 % quantiles.

    scikit-learn's trees have no Huber loss. Its point is that a far return pulls no harder than a near one; forecasts
    of returns are so close to zero that the residual is the return, and bounding it bounds the pull the same way.
    """
    low, high = np.quantile(value, [WINSOR, 1.0 - WINSOR])
    return np.clip(value, low, high)


def scaled_down(value: Floats, scale: Floats) -> Floats:
    """A move in units of recent volatility: trees can not reach beyond what they saw, volatility can."""
    return value / scale


def scaled_up(raw: Floats, scale: Floats) -> Floats:
    """Back to a fraction of price."""
    return raw * scale


def log_ratio(value: Floats, scale: Floats) -> Floats:
    """Log of realised over recent variance."""
    return value - 2.0 * np.log(scale)


def log_variance(raw: Floats, scale: Floats) -> Floats:
    """Back from the log of the ratio to log variance."""
    return raw + 2.0 * np.log(scale)


MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "direction", "Does the price rise or fall by more than the round trip over the horizon?",
            "probability of a rise",
            "log_loss", upper_class, as_learned, baselines.class_prior("direction"), "share of rises in training",
            metrics.classification_metrics, "balanced_accuracy", "balanced_accuracy",
        ),
        ModelSpec(
            "risk", "How far does a long trade fall at worst over the horizon, in one of twenty cases?",
            "5 % quantile of the worst excursion, fraction of price", "quantile", scaled_down, scaled_up,
            baselines.market_quantile, "each market's quantile in training", metrics.quantile_metrics,
            "pinball_skill", quantile=baselines.RISK_QUANTILE,
        ),
        ModelSpec(
            "price", "What is the log return over the horizon?", "log return", "squared_error", winsorised, as_learned,
            baselines.zero_return, "zero return", metrics.return_metrics, "rank_ic", "sign_accuracy",
        ),
        ModelSpec(
            "momentum", "Does the move of the last horizon continue or revert (triple barrier)?",
            "probability of continuing", "log_loss", upper_class, as_learned, baselines.class_prior("momentum"),
            "b / (a + b) = 1/2", metrics.momentum_metrics, "accuracy_excess", "accuracy",
        ),
        ModelSpec(
            "volatility", "How large is the realised variance over the horizon?", "log of expected variance",
            "log_mean", log_ratio, log_variance, baselines.har_variance, "HAR", metrics.variance_metrics,
            "r2_versus_har",
            trees=TreeSettings(iterations=60, learning_rate=0.05, min_leaf=300),
        ),
    )
}
"""By name. Everything registered here meets the conformance suite."""


def leakage_flags(accuracy_metric: str | None, figures: dict[str, Metric]) -> tuple[str, ...]:
    """A warning where an accuracy is better than honest ones are."""
    figure = figures.get(accuracy_metric) if accuracy_metric else None
    if figure is None or figure.value is None or figure.value < SUSPECT_ACCURACY:
        return ()
    return (f"suspected leakage: {accuracy_metric} {figure.value:.3f} on {figure.n} rows is at least "
            f"{SUSPECT_ACCURACY}; look for a feature that knows the future before believing it",)
