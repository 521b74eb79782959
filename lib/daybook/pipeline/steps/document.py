"""The day's report document, from the ranking and what the steps wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from daybook.core.settings import PARAMETERS, Settings, parameter_unit
from daybook.models import ModelScorecard
from daybook.pipeline.day import Day
from daybook.pipeline.effective import EffectiveTrials
from daybook.pipeline.lost import lost_notices
from daybook.pipeline.steps.backtest import TOURNAMENT
from daybook.pipeline.steps.curves import buy_and_hold, hourly_curve
from daybook.pipeline.steps.findings import cost_warnings, headline, masked_notices, notices, questions, shown
from daybook.pipeline.steps.rank import Ranking
from daybook.pipeline.steps.records import POOL_NAMES, former_notices, forward_rows, refused_rows, rejected_rows
from daybook.pipeline.steps.train import model_row
from daybook.rank import PoolMember, ScoreResult, noise_best_sharpe
from daybook.report import (
    ArchiveRow,
    Changes,
    Curve,
    Gate,
    Metric,
    ModelRow,
    Parameter,
    PoolChange,
    QualityRow,
    ReportDocument,
    RunInfo,
    StrategyRow,
    Trials,
)
from daybook.report.tournament import PoolName

TOP_CURVES = 5
_EXPRESSIONS = ("long_entry", "long_exit", "short_entry", "short_exit", "stop_loss", "take_profit", "max_holding",
                "trailing_stop", "break_even")


def report_document(day: Day, ranking: Ranking) -> ReportDocument:
    """Everything report.json says but the wall times, which the runner adds."""
    strategies = tuple(_strategy_row(day, ranking, member) for member in ranking.pool("strategy").members)
    models = _model_rows(day, ranking, "model")
    ensembles = _model_rows(day, ranking, "ensemble")
    quality = tuple(QualityRow.model_validate(row) for row in day.read_json("00_score", "quality"))
    trials = _trials(day, ranking, strategies)
    return ReportDocument(
        run=run_info(day),
        headline=headline(day, ranking, strategies, trials),
        changes=_changes(day, ranking),
        strategies=strategies,
        models=models,
        ensembles=ensembles,
        trials=trials,
        data_quality=quality,
        warnings=(*lost_notices(day), *cost_warnings(day), *notices(quality, models), *masked_notices(day),
                  *former_notices(ranking)),
        archive=_archive(ranking),
        focus=questions(strategies, quality, models),
        curves=_curves(day, ranking),
        forward=forward_rows(day, ranking),
        rejected=(*refused_rows(day), *rejected_rows(ranking)),
        **{name: tuple(day.read_json("20_backtest", name)) for name in TOURNAMENT},
    )


def run_info(day: Day) -> RunInfo:
    """Which execution of which day this is, with where its costs are from, every research parameter and its default."""
    sealed = day.sealed
    asked = [("costs", Settings.model_fields["costs"], "who says what fills pay"),
             *((name, field, parameter_unit(name)) for name, field in PARAMETERS.items())]
    parameters = tuple(
        Parameter(name=name, value=shown(sealed.settings[name]), default=shown(field.default), unit=unit,
                  changed=name in sealed.changed_parameters)
        for name, field, unit in asked
    )
    return RunInfo(
        run_id=sealed.run_id, day=sealed.day, number=sealed.number, official=sealed.official, parent=sealed.parent,
        source=sealed.settings["source"], venue=day.inputs["venue"], synthetic=sealed.synthetic_label is not None,
        label=sealed.synthetic_label or "", symbols=tuple(day.settings.symbols), window_start_ms=day.window.start_ms,
        window_end_ms=day.window.end_ms, seed=day.settings.seed, parameters=parameters,
        settings_hash=sealed.settings_hash, code_hash=sealed.code_hash, data_hash=sealed.data_hash,
    )


def _strategy_row(day: Day, ranking: Ranking, member: PoolMember) -> StrategyRow:
    result = ranking.results.get(member.identity)
    figures = _totals(day).get(member.identity, {})
    why = member.score_reason or "not scored today"
    values: dict[str, Any] = {
        "score": member.score,
        "previous_score": member.score_previous,
        "psr": None if result is None else result.psr,
        "sharpe": None if result is None else result.sharpe,
        "max_drawdown": None if result is None else result.max_drawdown,
        "total_return": figures.get("total_return"),
        "win_rate": figures.get("win_rate"),
        "turnover": figures.get("turnover"),
    }
    values = {name: _finite(value) for name, value in values.items()}
    reasons = {name: why for name, value in values.items() if value is None}
    if "previous_score" in reasons:
        reasons["previous_score"] = "new today" if member.birth_day == day.sealed.day else "undefined the day before"
    if "win_rate" in reasons and not figures.get("trades"):
        reasons["win_rate"] = "no trade"
    return StrategyRow(
        rank=member.rank, previous_rank=member.rank_previous, name=member.name, identity=member.identity,
        timeframe=member.timeframe, symbols=tuple(day.settings.symbols), params=member.params,
        n_blocks=None if result is None else result.n_blocks, trades=0 if result is None else result.trades,
        birth=member.birth_day, forward_days=float(len(ranking.evidence[member.identity].days)),
        gate=_gate(ranking, member.identity), rationale=str(member.spec.get("rationale", "")),
        expressions={name: str(member.spec[name]) for name in _EXPRESSIONS if member.spec.get(name) is not None},
        reasons=reasons, **values,
    )


def _totals(day: Day) -> Mapping[str, Mapping[str, Any]]:
    frames = [day.read_table(step, "scorecards") for step in ("20_backtest", "00_score")]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1])
    columns = ["total_return", "win_rate", "turnover", "trades"]
    return {str(row["identity"]): {name: row[name] for name in columns} for row in rows.to_dict("records")}


def _finite(value: Any) -> float | None:
    return None if value is None or not np.isfinite(float(value)) else float(value)


def _gate(ranking: Ranking, identity: str) -> Gate:
    """The deflated Sharpe ratio of the forward record: the gate that promotes."""
    judged = ranking.verdicts[identity]
    gate = next(g for g in judged.gates if g.name == "deflated Sharpe ratio")
    return Gate(
        name=gate.name, value=gate.value, threshold=gate.threshold, unit=gate.unit, n=gate.n, n_unit="forward hours",
        interval=gate.interval, interval_of=gate.interval_of or "", passed=judged.proven, reason=judged.text,
        reasons={"value": gate.reason} if gate.value is None else {},
    )


def _model_rows(day: Day, ranking: Ranking, kind: Literal["model", "ensemble"]) -> tuple[ModelRow, ...]:
    rows = []
    for member in ranking.pool(kind).members:
        card = ModelScorecard.model_validate(member.spec["scorecard"])
        row = model_row(card, member.rank, _result_of(ranking, member), member.birth_day)
        rows.append(row.model_copy(update={
            "previous_score": member.score_previous, "gate": _gate(ranking, member.identity),
        }))
    return tuple(rows)


def _result_of(ranking: Ranking, member: PoolMember) -> ScoreResult:
    """Today's result of a member; one that was not trained today says so."""
    return ranking.results.get(member.identity) or ScoreResult(score=None, reason="not trained today")


def _changes(day: Day, ranking: Ranking) -> Changes:
    lists: dict[str, list[PoolChange]] = {"entered": [], "left": [], "moved": []}
    for kind, update in ranking.updates.items():
        members = {m.identity: m for m in update.pool.members} | {g.member.identity: g.member for g in update.archived}
        for change in update.changes:
            place = {"entered": "entered", "archived": "left", "rose": "moved", "fell": "moved"}.get(change.what)
            if place is not None:
                member = members[change.identity]
                reason = change.reason.removeprefix(f"entered at rank {member.rank}: ")
                lists[place].append(_pool_change(POOL_NAMES[kind], member, reason, place))
    return Changes(since=day.state.previous_day, **{name: tuple(rows) for name, rows in lists.items()})


def _pool_change(pool: PoolName, member: PoolMember, reason: str, place: str) -> PoolChange:
    return PoolChange(
        pool=pool, identity=member.identity, name=member.name, rank=None if place == "left" else member.rank,
        previous_rank=member.rank_previous, score=member.score, previous_score=member.score_previous, reason=reason,
    )


def _archive(ranking: Ranking) -> tuple[ArchiveRow, ...]:
    return tuple(
        ArchiveRow(identity=gone.member.identity, name=gone.member.name, reason=gone.reason, pool=POOL_NAMES[kind])
        for kind, update in ranking.updates.items() for gone in update.archived
    )


def _trials(day: Day, ranking: Ranking, strategies: tuple[StrategyRow, ...]) -> Trials:
    """The best score beside what the best of as many worthless trials would show."""
    blocks = [row.n_blocks for row in strategies if row.n_blocks]
    known = [row.sharpe for row in strategies if row.sharpe is not None]
    ever = max(1, ranking.trials.ever)
    maximum = noise_best_sharpe(ever, max(blocks)) if blocks else None
    counted = EffectiveTrials.model_validate(day.read_json("20_backtest", "trial_counts"))
    return Trials(
        today=ranking.trials.today, ever=ranking.trials.ever, by_kind=ranking.trials.by_kind,
        effective=round(counted.with_others(ranking.trials.today).effective, 1),
        expected_noise_maximum=Metric(name="expected of luck alone", value=maximum, unit="annualised",
                                      n=ever, n_unit="trials", reason="nothing has a defined Sharpe ratio yet"),
        best=Metric(name="best Sharpe in the pool", value=max(known) if known else None, unit="annualised",
                    n=len(known), n_unit="strategies", reason="no strategy has enough trades"),
    )


def _curves(day: Day, ranking: Ranking) -> tuple[Curve, ...]:
    """Hourly equity of the best strategies and of buy-and-hold over the scoring window, 1.0 at its start."""
    blocks = pd.concat([day.read_table(step, "blocks") for step in ("00_score", "20_backtest")])
    curves = []
    for member in ranking.pool("strategy").members[:TOP_CURVES]:
        own = blocks[blocks["identity"] == member.identity].sort_values("time_ms")
        if len(own):
            curves.append(hourly_curve(day, member.name, "strategy", member.identity, own["block_return"].to_numpy()))
    curves.append(buy_and_hold(day))
    return tuple(curves)
