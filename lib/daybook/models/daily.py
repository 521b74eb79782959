"""The day's training: five models and three ensembles, judged out of fold, backtested, and fitted for keeping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.core.arrays import Ints
from daybook.core.hashing import hash_json
from daybook.core.parallel import parallel_map
from daybook.core.seeds import derived_seed
from daybook.core.time import DAY_MS, Window
from daybook.execution import Costs
from daybook.models.dataset import Dataset, Market, build_dataset
from daybook.models.ensemble_day import TrainedEnsemble, train_ensembles
from daybook.models.errors import ModelSettingError, SplitError
from daybook.models.labels import LabelSettings
from daybook.models.learners import BoostedTrees, TreeSettings
from daybook.models.out_of_fold import FoldFit, OutOfFold, fit_fold, fit_rows, joined
from daybook.models.registry import MODELS, ModelSpec, leakage_flags
from daybook.models.scorecards import ModelScorecard
from daybook.models.splits import Split, SplitPlan, forward_splits, plan_folds, rows_known_by
from daybook.models.trading import RULES, Desk, ModelBacktest, backtest_rule


@dataclass(frozen=True)
class TrainRequest:
    """What a day trains on.

    markets: bars of one timeframe with their features, ending where the day begins. window: the span whose block
    returns are scored (the last seven days). conditions: latency and funding of every trade. plan: the forward folds;
    None lays six over the last 60 % of the history. trees: None gives each model its own size. jobs: Python threads,
    each with one native thread; it changes the time taken and nothing else.
    """

    markets: Sequence[Market]
    window: Window
    costs: Costs = field(default_factory=Costs)
    conditions: Conditions = PLAIN
    seed: int = 0
    jobs: int = 1
    labels: LabelSettings = field(default_factory=LabelSettings)
    trees: TreeSettings | None = None
    plan: SplitPlan | None = None


@dataclass(frozen=True)
class TrainedModel:
    """One model: its card, its out-of-fold rows, its backtests over these and over the window, and the last fit."""

    spec: ModelSpec
    scorecard: ModelScorecard
    out_of_fold: OutOfFold
    whole: ModelBacktest
    window: ModelBacktest
    learner: BoostedTrees
    train_span: Window
    seed: int


@dataclass(frozen=True)
class DayModels:
    """All that a day trained, models in registry order."""

    dataset: Dataset
    models: tuple[TrainedModel, ...]
    ensembles: tuple[TrainedEnsemble, ...]
    data_hash: str

    @property
    def trained(self) -> tuple[TrainedModel | TrainedEnsemble, ...]:
        """The five models, then the three ensembles."""
        return (*self.models, *self.ensembles)

    @property
    def scorecards(self) -> tuple[ModelScorecard, ...]:
        """Cards of the five models, then of the three ensembles."""
        return tuple(each.scorecard for each in self.trained)


Told: TypeAlias = Callable[[TrainedModel | TrainedEnsemble, str], None]
"""Who writes down what was evaluated, and on data of which hash."""


def _untold(trained: TrainedModel | TrainedEnsemble, data_hash: str) -> None:
    """Nobody asked."""


def train_models(request: TrainRequest, told: Told = _untold) -> DayModels:
    """Train, judge and backtest the five models and the three ensembles.

    told: is given each of them as soon as it is judged, with the hash of the data, before the next is.

    Equal requests give equal results bit for bit, whatever `jobs`. Raises TrainingDataError for markets that do not
    match, SplitError where a fold has too few rows, ModelSettingError where the folds leave the window unpredicted.
    """
    data = build_dataset(request.markets, request.costs, request.labels)
    plan = request.plan or plan_folds(data.history)
    desk_window = _scored_window(request.window, plan, data.history)
    fitted = _fit_all(data, plan, request)
    data_hash = data.data_hash()
    models = []
    for spec, (folds, learner) in zip(MODELS.values(), fitted, strict=True):
        models.append(_trained(spec, joined(spec.name, data, folds), learner, data, request, desk_window))
        told(models[-1], data_hash)
    predictions = {model.spec.name: model.out_of_fold for model in models}
    desk = Desk(data, predictions["direction"], request.costs, desk_window, request.conditions)
    ensembles = train_ensembles(predictions, desk, plan.embargo_ms)
    for ensemble in ensembles:
        told(ensemble, data_hash)
    return DayModels(data, tuple(models), ensembles, data_hash)


def out_of_fold_predictions(
    data: Dataset, plan: SplitPlan, spec: ModelSpec, *, seed: int = 0, trees: TreeSettings | None = None
) -> OutOfFold:
    """One model's forward predictions alone, without a final fit or a backtest."""
    splits = model_splits(spec, data, plan)
    return joined(spec.name, data, [fit_fold(spec, data, split, seed, trees) for split in splits])


def model_splits(spec: ModelSpec, data: Dataset, plan: SplitPlan) -> list[Split]:
    """The folds of a plan with the rows that this model may learn from. Raises SplitError where they are too few."""
    labels = data.labels[spec.name]
    earlier = data.time < plan.first_test_ms
    known, fit = int(np.sum(earlier & labels.valid)), int(np.sum(earlier & labels.fit))
    if fit < plan.min_train <= known and 2 * fit < known:
        raise SplitError(
            f"{spec.name}: of {known} labelled rows before the first fold only {fit} teach anything, at least "
            f"{plan.min_train} are needed: the others' moves over {data.settings.horizon} bars do not exceed what a "
            "round trip costs. Lower fee_bps or spread_bps, or raise horizon_bars."
        )
    return forward_splits(data.time, labels.known_at, data.usable(spec.name), plan)


def _fit_all(data: Dataset, plan: SplitPlan, request: TrainRequest) -> list[tuple[list[FoldFit], BoostedTrees]]:
    """Every fold of every model and its final fit, on the request's threads, the largest first."""
    tasks = [(spec, split) for spec in MODELS.values() for split in model_splits(spec, data, plan)]
    tasks.sort(key=lambda task: -task[1].train.size)

    def fold(task: tuple[ModelSpec, Split]) -> FoldFit:
        return fit_fold(task[0], data, task[1], request.seed, request.trees)

    def final(spec: ModelSpec) -> BoostedTrees:
        return fit_rows(spec, data, _known_rows(spec, data), _final_seed(request.seed, spec), request.trees)

    learners = parallel_map(final, MODELS.values(), request.jobs)
    folds = parallel_map(fold, tasks, request.jobs)
    fitted = []
    for spec, learner in zip(MODELS.values(), learners, strict=True):
        own = [fit for (model, _), fit in zip(tasks, folds, strict=True) if model is spec]
        fitted.append((sorted(own, key=lambda fit: fit.split.fold), learner))
    return fitted


def _known_rows(spec: ModelSpec, data: Dataset) -> Ints:
    labels = data.labels[spec.name]
    return rows_known_by(labels.known_at, data.usable(spec.name), data.history.end_ms)


def _trained(
    spec: ModelSpec, rows: OutOfFold, learner: BoostedTrees, data: Dataset, request: TrainRequest, window: Window
) -> TrainedModel:
    scored = rows.scored_rows(data.settings.horizon)
    figures = spec.metrics(scored)
    rule = RULES[spec.name]
    span = Window(int(rows.time[0]), data.history.end_ms)
    whole = backtest_rule(rule, rows.prediction, Desk(data, rows, request.costs, span, request.conditions))
    recent = backtest_rule(rule, rows.prediction, Desk(data, rows, request.costs, window, request.conditions))
    learned = _known_rows(spec, data)
    card = ModelScorecard(
        name=spec.name, kind="model", identity=_identity(spec, data, learner), target=spec.question,
        timeframe=data.timeframe, horizon_bars=data.settings.horizon, symbols=data.symbols, n_train=learned.size,
        n_test=rows.time.size, n_scored=scored.n, metrics=figures, main_metric=spec.main_metric,
        baseline=spec.baseline_name, folds=rows.folds, backtest=whole.card, window=recent.card,
        flags=leakage_flags(spec.accuracy_metric, figures),
    )
    train_span = Window(int(data.time[learned[0]]), int(data.labels[spec.name].known_at[learned].max()))
    return TrainedModel(spec, card, rows, whole, recent, learner, train_span, _final_seed(request.seed, spec))


def _final_seed(seed: int, spec: ModelSpec) -> int:
    return derived_seed(seed, "models", spec.name, "final")


def _identity(spec: ModelSpec, data: Dataset, learner: BoostedTrees) -> str:
    """SHA-256 of what the model is, whatever it was trained on: target, features, settings, timeframe."""
    return hash_json([spec.name, data.timeframe, vars(data.settings), list(data.names), learner.described()])


def _scored_window(window: Window, plan: SplitPlan, history: Window) -> Window:
    """The part of the window that is predicted out of fold. Raises ModelSettingError when there is none."""
    start = max(window.start_ms, plan.first_test_ms)
    end = min(window.end_ms, plan.test_span(plan.folds - 1).end_ms, history.end_ms)
    if end <= start:
        raise ModelSettingError(
            f"models: the window of {window.days:.1f} days and the {plan.folds * plan.fold_ms / DAY_MS:.1f} days of "
            "the folds do not meet: nothing in it is predicted out of fold. End the folds with the window."
        )
    return Window(start, end)
