"""The newest saved models and ensembles, exactly as they are, on the days that came after they were saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import DataError
from daybook.core.files import read_json
from daybook.core.time import Window, parse_day, window_before
from daybook.models import Dataset, SavedModel, build_dataset, load_model
from daybook.models.ensemble_day import member_views
from daybook.models.ensembles import EnsembleFit
from daybook.models.out_of_fold import OutOfFold
from daybook.models.trading import ENSEMBLE_RULE, RULES, Desk, ModelBacktest, Rule, backtest_rule
from daybook.pipeline.day import Day
from daybook.pipeline.folders import RunFolders, run_id
from daybook.pipeline.model_trials import count_backtest
from daybook.pipeline.steps.reach import days_in_reach
from daybook.pipeline.steps.train import label_settings, markets
from daybook.rank import PoolMember, TrialLedger


@dataclass(frozen=True)
class ForwardModel:
    """One saved model or ensemble on the 24 hours before `day`: hourly portfolio returns (24,), or why there are none.
    """

    day: str
    identity: str
    name: str
    kind: str
    blocks: Floats | None
    trades: int
    reason: str | None = None
    backtest: ModelBacktest | None = None


def forward_models(day: Day, ledger: TrialLedger) -> list[ForwardModel]:
    """Trade what the newest official day saved, on every day since then, none of whose hours it has seen.

    A former member goes on as long as its recipe is trained. Nothing on a first day.
    """
    previous = day.state.previous_day
    pooled = [member for kind in ("model", "ensemble") for member in day.state.pools[kind].members]
    if previous is None or not (pooled or day.state.followed):
        return []
    saved = RunFolders(day.settings.runs).finished(run_id(previous, 1)) / "artefacts" / "30_train"
    members = [*pooled, *_still_trained(day.state.followed, saved)]
    if not members:
        return []
    data = build_dataset(markets(day), day.costs, label_settings(day))
    found = []
    for after in (one for one in days_in_reach(day) if one > previous):
        window = window_before(parse_day(after), 1)
        rows = _live_rows(data, window)
        desk = Desk(data, rows, day.costs, window, day.conditions)
        predictions = _predictions(saved, data, rows)
        todays = [_forward(after, member, saved, predictions, desk) for member in members]
        _count(day, ledger, members, todays, window)
        found += todays
    return found


def _still_trained(followed: Sequence[PoolMember], saved: Path) -> list[PoolMember]:
    """Former members of which the newest day saved a fit; the record of any other has ended."""
    trained = {entry["identity"] for name in ("models", "ensembles") for entry in read_json(saved / f"{name}.json")}
    return [member for member in followed if member.kind != "strategy" and member.identity in trained]


def _live_rows(data: Dataset, window: Window) -> OutOfFold:
    """Rows of every bar that opens inside the window, without labels: what is predicted here is traded, not scored."""
    position = np.flatnonzero((data.time >= window.start_ms) & (data.time < window.end_ms))
    unknown = np.full(position.size, np.nan)
    none = np.zeros(position.size, dtype=np.int64)
    return OutOfFold(
        time=data.time[position], market=data.market[position], row=data.row[position], position=position, fold=none,
        prediction=unknown, baseline=unknown, label=unknown, scored=np.zeros(position.size, dtype=np.bool_),
        weight=np.zeros(position.size), known_at=none, folds=(),
    )


def _predictions(saved: Path, data: Dataset, rows: OutOfFold) -> dict[str, OutOfFold | str]:
    """Model name -> live rows with its predictions, or why it has none."""
    found: dict[str, OutOfFold | str] = {}
    for name in RULES:
        try:
            model = load_model(saved / "models" / name)
            found[name] = replace(rows, prediction=_predicted(model, data, rows))
        except DataError as error:
            found[name] = str(error)
    return found


def _predicted(model: SavedModel, data: Dataset, rows: OutOfFold) -> Floats:
    prediction = np.full(rows.position.size, np.nan)
    for code, market in enumerate(data.markets):
        own = rows.market == code
        prediction[own] = model.predict(market.bars, market.features)[rows.row[own]]
    return prediction


def _forward(
    after: str, member: PoolMember, saved: Path, predictions: Mapping[str, OutOfFold | str], desk: Desk
) -> ForwardModel:
    try:
        result = _traded(member, saved, predictions, desk)
    except DataError as error:
        return ForwardModel(after, member.identity, member.name, member.kind, None, 0, str(error))
    trades = int(result.card.figures["trades"] or 0)
    return ForwardModel(after, member.identity, member.name, member.kind, result.portfolio, trades, backtest=result)


def _traded(
    member: PoolMember, saved: Path, predictions: Mapping[str, OutOfFold | str], desk: Desk
) -> ModelBacktest:
    if member.kind == "model":
        rows = _known(predictions[member.name])
        return backtest_rule(RULES[member.name], rows.prediction, replace(desk, rows=rows))
    known = {name: _known(rows) for name, rows in predictions.items()}
    card = read_json(saved / "ensembles" / f"{member.name}.json")
    fit = EnsembleFit.from_json(card)
    views = member_views(desk.data, {name: known[name] for name in card["members"]})
    rule: Rule = ENSEMBLE_RULE
    return backtest_rule(rule, fit.predict(views), desk)


def _known(rows: OutOfFold | str) -> OutOfFold:
    if isinstance(rows, str):
        raise DataError(rows)
    return rows


def _count(
    day: Day, ledger: TrialLedger, members: list[PoolMember], found: list[ForwardModel], window: Window
) -> None:
    births = {member.identity: member.birth_ms for member in members}
    for model in found:
        common: dict[str, Any] = {
            "kind": model.kind, "identity": model.identity, "structure_hash": model.identity,
            "timeframe": day.settings.model_timeframe, "birth": births[model.identity], "author": "pool",
            "data_hash": day.sealed.data_hash,
        }
        if model.backtest is not None:
            count_backtest(ledger, common, model.backtest)
        else:
            ledger.add(**common, params={}, symbol="all", window_start=window.start_ms, window_end=window.end_ms,
                       n_bars=0, outcome="failed", returns_reason=model.reason)
