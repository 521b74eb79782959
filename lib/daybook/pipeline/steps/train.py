"""30_train: five models and three ensembles, judged out of fold, backtested, scored like any strategy, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from daybook.backtest.robustness import STRESSES
from daybook.core.time import DAY_MS, timeframe_ms
from daybook.features import compute_panel
from daybook.models import (
    DayModels,
    LabelSettings,
    Market,
    ModelScorecard,
    TrainedEnsemble,
    TrainedModel,
    TrainRequest,
    plan_folds,
    save_day,
)
from daybook.models import train_models as train_all
from daybook.pipeline.day import Day
from daybook.pipeline.model_trials import count_backtest
from daybook.pipeline.steps.curves import buy_and_hold, hourly_curve
from daybook.rank import PoolMember, ScoreResult, ScoreRules, TrialLedger, score
from daybook.report import Curve, Headline, Metric, ModelRow

TIERS = 10
_PREDICTED = "a fold is predicted, not traded: its bars are traded with those of the other folds"
_CHANCE = frozenset(("balanced_accuracy", "auc", "mcc", "sign_accuracy", "rank_ic"))


@dataclass(frozen=True)
class TrainStep:
    """What the page shows: report rows of models and ensembles, reliability by tier, backtests, equity curves."""

    headline: Headline
    models: tuple[ModelRow, ...]
    ensembles: tuple[ModelRow, ...]
    calibration: pd.DataFrame
    backtests: pd.DataFrame
    curves: tuple[Curve, ...]
    figures: dict[str, Any]


def train_models(day: Day) -> TrainStep:
    """Train on the whole history, score every model and ensemble on the scoring window, save what was fitted."""
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step, day.artefacts)
    trained = train_all(train_request(day), lambda each, data_hash: _count(day, ledger, each, data_hash))
    results = {each.scorecard.identity: _scored(day, each.scorecard, each.window.portfolio) for each in trained.trained}
    members = {
        kind: [_member(day, kind, card, results[card.identity]) for card in _cards(trained, kind)]
        for kind in ("model", "ensemble")
    }
    save_day(trained, day.artefacts)
    ledger.write(day.artefacts)
    day.write("scores", {identity: result.model_dump(mode="json") for identity, result in results.items()})
    day.write("models", [member.model_dump(mode="json") for member in members["model"]])
    day.write("ensembles", [member.model_dump(mode="json") for member in members["ensemble"]])
    return _step(day, trained, results, ledger)


def train_request(day: Day) -> TrainRequest:
    """What the models learn from: every market's bars and features on the model timeframe, folds to the day's start."""
    history = day.history
    return TrainRequest(
        markets=markets(day), window=day.window, costs=day.costs, conditions=day.conditions,
        seed=day.settings.seed, jobs=day.settings.jobs, labels=label_settings(day),
        plan=plan_folds(history, folds=day.settings.folds),
    )


def markets(day: Day) -> list[Market]:
    """Bars of every market on the model timeframe, and its features beside the other markets.

    Computed, not read: the feature store holds the same bits, but a month of a few markets takes longer to read.
    """
    bars = day.bars[day.settings.model_timeframe]
    tables = compute_panel(bars)
    return [Market(own, tables[symbol]) for symbol, own in bars.items()]


def label_settings(day: Day) -> LabelSettings:
    """Horizon of this run's labels; volatility trails over one day of bars, whatever their length."""
    a_day = DAY_MS // timeframe_ms(day.settings.model_timeframe)
    return LabelSettings(horizon=day.settings.horizon_bars, volatility_window=a_day)


def _cards(trained: DayModels, kind: str) -> list[ModelScorecard]:
    return [card for card in trained.scorecards if card.kind == kind]


def _scored(day: Day, card: ModelScorecard, portfolio: np.ndarray[Any, Any]) -> ScoreResult:
    trades = int(card.window.figures["trades"] or 0) if card.window else 0
    return score(portfolio, trades, rules=ScoreRules(min_trades=day.settings.min_trades))


def _member(day: Day, kind: Literal["model", "ensemble"], card: ModelScorecard, result: ScoreResult) -> PoolMember:
    """A recipe as the pool holds it: its identity is what it is, whatever bars it was fitted to."""
    return PoolMember(
        kind=kind, identity=card.identity, structure_hash=card.identity, name=card.name,
        spec={"scorecard": card.as_json()}, timeframe=card.timeframe, birth_day=day.sealed.day, birth_ms=day.start_ms,
        origin="daily training", score=result.score, score_reason=result.reason, entered=day.sealed.day,
    )


def _count(day: Day, ledger: TrialLedger, each: TrainedModel | TrainedEnsemble, data_hash: str) -> None:
    """One trial a fold and one a simulation of a model or ensemble: each is an evaluation of an idea."""
    card = each.scorecard
    common: dict[str, Any] = {
        "kind": card.kind, "identity": card.identity, "structure_hash": card.identity, "timeframe": card.timeframe,
        "birth": day.start_ms, "author": "daily training", "data_hash": data_hash,
    }
    if card.folds:
        ledger.extend({
            **common, "params": [{"fold": fold.fold} for fold in card.folds], "symbol": "all",
            "window_start": [fold.test_start_ms for fold in card.folds],
            "window_end": [fold.test_end_ms for fold in card.folds], "n_bars": [fold.n_test for fold in card.folds],
            "outcome": "ok", "returns_reason": _PREDICTED,
        })
    count_backtest(ledger, common, each.whole)
    count_backtest(ledger, common, each.window)


def _step(day: Day, trained: DayModels, results: dict[str, ScoreResult], ledger: TrialLedger) -> TrainStep:
    rows = {kind: _rows(day, _cards(trained, kind), results) for kind in ("model", "ensemble")}
    leaks = [card.name for card in trained.scorecards if any("leakage" in flag for flag in card.flags)]
    beating = [row.name for row in rows["model"] if row.metrics[0].standing == "beats"]
    direction = next(card for card in trained.scorecards if card.name == "direction")
    accuracy = metric_row("balanced_accuracy", direction)
    best = max((r.score for r in results.values() if r.score is not None), default=None)
    text = _sentence(rows["model"], leaks)
    headline = Headline(verdict=text, tone="warn" if leaks else "neutral", figures=(
        accuracy.model_copy(update={"name": "direction, balanced accuracy"}),
        Metric(name="clearly better than their baseline", value=len(beating), n=len(rows["model"]), n_unit="models"),
        Metric(name="best trading score, 50 = even odds", value=best, unit="score", n=len(results),
               n_unit="models and ensembles", reason="no model traded enough"),
        Metric(name="rows learned from, most", value=max(card.n_train for card in trained.scorecards)),
    ))
    figures = {
        "verdict": text, "models": len(rows["model"]), "ensembles": len(rows["ensemble"]), "beating": len(beating),
        "balanced_accuracy": accuracy.value, "best_score": best, "trials": len(ledger), "suspected_leaks": len(leaks),
    }
    return TrainStep(headline, rows["model"], rows["ensemble"], _calibration(trained), _backtests(trained, results),
                     _curves(day, trained), figures)


def _sentence(models: Sequence[ModelRow], leaks: Sequence[str]) -> str:
    """Which models are better than their baselines, and how surely: the words of the table and the chart."""
    names = {standing: [row.name for row in models if row.metrics[0].standing == standing]
             for standing in ("beats", "unsure", "ahead", "behind")}
    sure = names["beats"]
    parts = [f"{len(sure)} of {len(models)} models are clearly better than their baselines: {', '.join(sure)}." if sure
             else f"None of {len(models)} models is clearly better than its baseline."]
    for standing, said in (("ahead", "Better, but with no interval to say how surely: {}."),
                           ("unsure", "Within chance: {}."), ("behind", "Not better: {}.")):
        if names[standing]:
            parts.append(said.format(", ".join(names[standing])))
    if leaks:
        parts.append(f"A leak is suspected in {', '.join(leaks)}: look before believing.")
    return " ".join(parts)


def _rows(day: Day, cards: Sequence[ModelScorecard], results: dict[str, ScoreResult]) -> tuple[ModelRow, ...]:
    ordered = sorted(cards, key=lambda card: (-(results[card.identity].score or -1.0), card.name))
    return tuple(model_row(card, rank, results[card.identity], day.sealed.day) for rank, card in enumerate(ordered, 1))


def model_row(card: ModelScorecard, rank: int, result: ScoreResult, birth: str) -> ModelRow:
    """A scorecard as the report shows it, its main metric first."""
    names = (card.main_metric, *sorted(set(card.metrics) - {card.main_metric}))
    return ModelRow(
        rank=rank, name=card.name, identity=card.identity, target=card.target, kind=card.kind, score=result.score,
        metrics=tuple(metric_row(name, card) for name in names), birth=birth, members=card.members,
        reasons={} if result.score is not None else {"score": result.reason or "not scored"},
    )


def metric_row(name: str, card: ModelScorecard) -> Metric:
    """One figure of a scorecard with its baseline and a 95 % interval where the standard error is known."""
    figure = card.metrics[name]
    interval = None
    if figure.value is not None and figure.standard_error is not None:
        reach = 1.96 * figure.standard_error
        interval = (figure.value - reach, figure.value + reach)
    return Metric(
        name=name.replace("_", " "), value=figure.value, unit=figure.unit, n=figure.n, n_unit="rows",
        n_effective=figure.n_effective, baseline=figure.baseline, baseline_name=_against(name, card, figure.baseline),
        interval=interval, better=figure.better, reason=figure.reason,
    )


def _against(name: str, card: ModelScorecard, baseline: float | None) -> str:
    """What a baseline stands for: ratios that any constant forecast reaches are chance, the rest is the card's own."""
    if baseline is None:
        return ""
    if name in _CHANCE:
        return "chance"
    return card.baseline


def _calibration(trained: DayModels) -> pd.DataFrame:
    """Predicted and observed share of rises by tenth of the prediction, for every model of a probability."""
    parts = []
    for each in trained.trained:
        if each.scorecard.name not in ("direction", "momentum") and each.scorecard.kind == "model":
            continue
        rows = each.out_of_fold
        own = rows.scored & np.isfinite(rows.prediction)
        frame = pd.DataFrame({"predicted": rows.prediction[own], "observed": (rows.label[own] > 0).astype(float)})
        if len(frame) < TIERS * 10 or frame["predicted"].nunique() < TIERS:
            continue
        tier = frame["predicted"].rank(method="first", pct=True).mul(TIERS).clip(upper=TIERS - 1e-9).astype(int)
        grouped = frame.groupby(tier.to_numpy()).agg(
            predicted=("predicted", "mean"), observed=("observed", "mean"), n=("observed", "size")
        )
        parts.append(grouped.assign(model=each.scorecard.name))
    columns = ["model", "predicted", "observed", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _backtests(trained: DayModels, results: dict[str, ScoreResult]) -> pd.DataFrame:
    names = ("total_return", "sharpe", *STRESSES.values(), "max_drawdown", "win_rate", "trades", "turnover",
             "costs_paid")
    rows = []
    for card in trained.scorecards:
        if card.window is not None:
            result = results[card.identity]
            undefined = () if result.sharpe is not None else ("sharpe", *STRESSES.values())
            figures = {name: None if name in undefined else card.window.figures[name] for name in names}
            rows.append({"name": card.name, "kind": card.kind, "score": result.score, **figures,
                         "baseline": card.window.baseline, "rule": card.window.rule})
    return pd.DataFrame(rows, columns=["name", "kind", "score", *names, "baseline", "rule"])


def _curves(day: Day, trained: DayModels) -> tuple[Curve, ...]:
    """Hourly equity of everything trained over the scoring window, and of buy-and-hold."""
    drawn = [hourly_curve(day, each.scorecard.name, each.scorecard.kind, each.scorecard.identity, each.window.portfolio)
             for each in trained.trained]
    return (*drawn, buy_and_hold(day))
