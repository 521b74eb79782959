"""The day's three ensembles: views of the five models, walked forward, judged and backtested like a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.hashing import hash_json
from daybook.core.time import Window
from daybook.models.dataset import Dataset
from daybook.models.ensembles import KINDS, QUESTIONS, EnsembleFit, ForwardEnsemble, Kind, final_fit, walk_forward
from daybook.models.metrics import classification_metrics
from daybook.models.out_of_fold import OutOfFold, fold_card
from daybook.models.registry import leakage_flags
from daybook.models.scorecards import ModelScorecard
from daybook.models.trading import ENSEMBLE_RULE, RULES, Desk, ModelBacktest, backtest_rule, model_view


@dataclass(frozen=True)
class TrainedEnsemble:
    """One ensemble: its card, its rows (those of the direction model with its own predictions) and its last fit."""

    kind: Kind
    scorecard: ModelScorecard
    out_of_fold: OutOfFold
    whole: ModelBacktest
    window: ModelBacktest
    fit: EnsembleFit
    forward: ForwardEnsemble
    members: tuple[str, ...]


def member_views(data: Dataset, predictions: Mapping[str, OutOfFold]) -> Floats:
    """(M, V) view of every model, in units of the market's volatility over the horizon; NaN where unknown.

    predictions: by model name, all on the same rows (the folds of one plan test the same bars for every model).
    """
    columns = []
    for name, rows in predictions.items():
        view = model_view(RULES[name].view, rows.prediction, data, rows)
        columns.append(view / data.state.horizon_volatility[rows.position])
    return np.column_stack(columns)


def train_ensembles(predictions: Mapping[str, OutOfFold], desk: Desk, embargo_ms: int) -> tuple[TrainedEnsemble, ...]:
    """Walk the three ensembles forward over the models' folds; the first fold only teaches.

    predictions: the five models' rows by name, direction among them. desk: the dataset, the direction model's rows,
    costs, and the span whose block returns are scored. Raises SplitError where a fold has too few rows before it.
    """
    views = member_views(desk.data, predictions)
    return tuple(_trained(kind, views, tuple(predictions), desk, embargo_ms) for kind in KINDS)


def _trained(kind: Kind, views: Floats, members: tuple[str, ...], desk: Desk, embargo_ms: int) -> TrainedEnsemble:
    data, direction = desk.data, desk.rows
    forward = walk_forward(kind, views, direction, embargo_ms)
    rows = replace(
        direction, prediction=forward.prediction, baseline=forward.baseline,
        scored=direction.scored & np.isfinite(forward.prediction), folds=tuple(fold_card(s) for s in forward.splits),
    )
    scored = rows.scored_rows(data.settings.horizon)
    fit = final_fit(kind, views, direction)
    span = Window(rows.folds[0].test_start_ms, data.history.end_ms)
    recent = Window(max(desk.window.start_ms, span.start_ms), desk.window.end_ms)
    whole = backtest_rule(ENSEMBLE_RULE, rows.prediction, replace(desk, rows=rows, window=span))
    window = backtest_rule(ENSEMBLE_RULE, rows.prediction, replace(desk, rows=rows, window=recent))
    flags = () if fit.slope > 0.0 else ("no model helped on the earlier folds: equal weights, no position",)
    figures = classification_metrics(scored)
    card = ModelScorecard(
        name=kind, kind="ensemble", identity=hash_json([kind, data.timeframe, vars(data.settings), list(members)]),
        target=QUESTIONS[kind], timeframe=data.timeframe, horizon_bars=data.settings.horizon, symbols=data.symbols,
        n_train=fit.n, n_test=int(np.isfinite(rows.prediction).sum()), n_scored=scored.n, metrics=figures,
        main_metric="balanced_accuracy", baseline="equal weights", folds=rows.folds, backtest=whole.card,
        window=window.card, flags=(*flags, *leakage_flags("balanced_accuracy", figures)),
        members=dict(zip(members, fit.weights, strict=True)),
    )
    return TrainedEnsemble(kind, card, rows, whole, window, fit, forward, members)
