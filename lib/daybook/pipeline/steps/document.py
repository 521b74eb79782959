"""The day's report document, from the ranking and what the steps wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from daybook.core.settings import PARAMETERS, parameter_unit
from daybook.core.time import HOUR_MS
from daybook.models import ModelScorecard
from daybook.models.registry import SUSPECT_ACCURACY
from daybook.pipeline.day import Day
from daybook.pipeline.steps.rank import Ranking
from daybook.pipeline.steps.train import model_row
from daybook.rank import PoolMember, ScoreResult
from daybook.rank.statistics import expected_maximum
from daybook.report import (
    ArchiveRow,
    Changes,
    Curve,
    Focus,
    Gate,
    Headline,
    Metric,
    ModelRow,
    Notice,
    Parameter,
    PoolChange,
    QualityRow,
    ReportDocument,
    RunInfo,
    StrategyRow,
    Trials,
)

PoolName = Literal["strategies", "models", "ensembles"]
POOL_NAMES: dict[str, PoolName] = {"strategy": "strategies", "model": "models", "ensemble": "ensembles"}
TOP_CURVES = 5
_EXPRESSIONS = ("long_entry", "long_exit", "short_entry", "short_exit", "stop_loss", "take_profit", "max_holding")


def report_document(day: Day, ranking: Ranking) -> ReportDocument:
    """Everything report.json says but the wall times, which the runner adds."""
    strategies = tuple(_strategy_row(day, ranking, member) for member in ranking.pool("strategy").members)
    models = _model_rows(day, ranking, "model")
    ensembles = _model_rows(day, ranking, "ensemble")
    quality = tuple(QualityRow.model_validate(row) for row in day.read_json("00_score", "quality"))
    trials = _trials(ranking, strategies)
    return ReportDocument(
        run=run_info(day),
        headline=_headline(day, ranking, strategies, trials),
        changes=_changes(day, ranking),
        strategies=strategies,
        models=models,
        ensembles=ensembles,
        trials=trials,
        data_quality=quality,
        warnings=_warnings(quality, models),
        archive=_archive(ranking),
        focus=_focus(strategies, quality, models),
        curves=_curves(day, ranking),
    )


def run_info(day: Day) -> RunInfo:
    """Which execution of which day this is, with every research parameter and its default."""
    sealed = day.sealed
    parameters = tuple(
        Parameter(name=name, value=_shown(sealed.settings[name]), default=_shown(_plain(field.default)),
                  unit=parameter_unit(name), changed=name in sealed.changed_parameters)
        for name, field in PARAMETERS.items()
    )
    return RunInfo(
        run_id=sealed.run_id, day=sealed.day, number=sealed.number, official=sealed.official, parent=sealed.parent,
        source=sealed.settings["source"], venue=day.inputs["venue"], synthetic=sealed.synthetic_label is not None,
        label=sealed.synthetic_label or "", symbols=tuple(day.settings.symbols), window_start_ms=day.window.start_ms,
        window_end_ms=day.window.end_ms, seed=day.settings.seed, parameters=parameters,
        settings_hash=sealed.settings_hash, code_hash=sealed.code_hash, data_hash=sealed.data_hash,
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> bool | int | float | str | None:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in sorted(value.items()))
    shown: bool | int | float | str | None = value
    return shown


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
        interval=None, passed=judged.proven, reason=judged.text,
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
                lists[place].append(_pool_change(POOL_NAMES[kind], members[change.identity], change.reason, place))
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


def _trials(ranking: Ranking, strategies: tuple[StrategyRow, ...]) -> Trials:
    """The best score beside what the best of as many worthless trials would show."""
    errors = [r.sharpe_error for r in ranking.results.values() if r.sharpe_error is not None]
    known = [row.sharpe for row in strategies if row.sharpe is not None]
    ever = max(1, ranking.trials.ever)
    maximum = expected_maximum(ever) * float(np.median(errors)) if errors else None
    return Trials(
        today=ranking.trials.today, ever=ranking.trials.ever, by_kind=ranking.trials.by_kind,
        expected_noise_maximum=Metric(name="expected best Sharpe of worthless trials", value=maximum, unit="annualised",
                                      n=ever, n_unit="trials", reason="nothing has a defined Sharpe ratio yet"),
        best=Metric(name="best Sharpe in the pool", value=max(known) if known else None, unit="annualised",
                    n=len(known), n_unit="strategies", reason="no strategy has enough trades"),
    )


def _headline(day: Day, ranking: Ranking, strategies: tuple[StrategyRow, ...], trials: Trials) -> Headline:
    proven = [row.name for row in strategies if row.gate is not None and row.gate.passed]
    entered = len(ranking.updates["strategy"].entered)
    best = next((row for row in strategies if row.score is not None), None)
    leader = "no strategy has a score" if best is None else f"{best.name} leads with {best.score:.0f}"
    certainty = f"{', '.join(proven)} proven at the gates" if proven else "nothing is proven"
    verdict = f"{entered} of {len(strategies)} strategies are new, {leader}; {certainty}."
    figures = (
        Metric(name="best score", value=None if best is None else best.score, n=0 if best is None else best.trades,
               n_unit="trades", reason="no strategy has enough trades"),
        Metric(name="best Sharpe", value=trials.best.value, unit="annualised", n=168 if best is None else best.n_blocks,
               n_unit="hours", baseline=trials.expected_noise_maximum.value, baseline_name="best of noise",
               reason=trials.best.reason),
        Metric(name="trials", value=trials.today, n=trials.ever, n_unit="ever"),
        Metric(name="longest forward record", value=max((row.forward_days for row in strategies), default=0.0),
               unit="days", n=len(strategies), n_unit="strategies"),
    )
    return Headline(verdict=verdict, tone="good" if proven else "neutral", figures=figures)


def _warnings(quality: tuple[QualityRow, ...], models: tuple[ModelRow, ...]) -> tuple[Notice, ...]:
    notices = [
        Notice(
            where=row.symbol, severity="warning" if row.missing or row.quarantined else "info",
            message=f"{row.missing:,} minutes missing (longest gap {row.longest_gap_minutes:.0f} min), "
                    f"{row.zero_volume:,} without volume, {row.quarantined:,} rows quarantined of {row.expected:,}",
        )
        for row in quality if row.missing or row.quarantined or row.zero_volume
    ]
    leaks = [
        Notice(where=row.name, message=f"balanced accuracy {metric.value:.2f}: look for a leak before believing it")
        for row in models for metric in row.metrics
        if metric.name == "balanced accuracy" and metric.value is not None and metric.value >= SUSPECT_ACCURACY
    ]
    return (*notices, *leaks)


def _focus(
    strategies: tuple[StrategyRow, ...], quality: tuple[QualityRow, ...], models: tuple[ModelRow, ...]
) -> tuple[Focus, ...]:
    """Questions that the day's figures raise for tomorrow's design."""
    questions = []
    weak = [row for row in strategies if row.score is not None and row.score < 50.0]
    silent = [row for row in strategies if row.score is None]
    if weak:
        questions.append(Focus(area="strategies", question="Which losing ideas fail on costs, not on signal?",
                               evidence=f"{len(weak)} of {len(strategies)} score below 50"))
    if silent:
        questions.append(Focus(area="strategies", question="Do the silent ideas need looser entries?",
                               evidence=f"{len(silent)} of {len(strategies)} traded too little to be scored"))
    frames = pd.Series([row.timeframe for row in strategies]).value_counts()
    if len(frames):
        questions.append(Focus(area="design", question=f"What would work beside the {frames.index[0]} ideas?",
                               evidence=f"{frames.iloc[0]} of {len(strategies)} trade {frames.index[0]}"))
    if any(row.missing for row in quality):
        questions.append(Focus(area="data", question="Can the missing minutes be imported?",
                               evidence=f"{sum(row.missing for row in quality):,} minutes are missing"))
    return tuple(questions)


def _curves(day: Day, ranking: Ranking) -> tuple[Curve, ...]:
    """Hourly equity of the best strategies and of buy-and-hold over the scoring window, 1.0 at its start."""
    blocks = pd.concat([day.read_table(step, "blocks") for step in ("00_score", "20_backtest")])
    curves = []
    for member in ranking.pool("strategy").members[:TOP_CURVES]:
        own = blocks[blocks["identity"] == member.identity].sort_values("time_ms")
        if len(own):
            curves.append(_curve(day, member.name, "strategy", member.identity, own["block_return"].to_numpy()))
    curves.append(_curve(day, "buy and hold, equal weights", "benchmark", "", _buy_and_hold(day)))
    return tuple(curves)


def _curve(
    day: Day, name: str, role: Literal["strategy", "benchmark"], identity: str, returns: np.ndarray[Any, Any]
) -> Curve:
    equity = np.concatenate(([1.0], 1.0 + np.cumsum(returns))).round(9)
    return Curve(name=name, role=role, identity=identity, start_ms=day.window.start_ms, step_ms=HOUR_MS,
                 equity=tuple(equity.tolist()))


def _buy_and_hold(day: Day) -> np.ndarray[Any, Any]:
    """(B,) hourly return of holding every market with equal capital, costs of one round trip included."""
    total = np.zeros((day.window.end_ms - day.window.start_ms) // HOUR_MS)
    ends = day.window.start_ms + HOUR_MS * (1 + np.arange(total.size))
    for bars in day.minute_bars.values():
        window = bars.within(day.window)
        side = day.costs.side_cost(window)
        entry = float(window.open[0] * (1.0 + side[0]))
        last = np.searchsorted(window.close_time, ends, side="right") - 1
        value = np.where(last >= 0, window.close[np.maximum(last, 0)] / entry, 1.0) - day.costs.fee
        value[-1] = float(window.close[-1] / entry) * (1.0 - side[-1] - day.costs.fee) - day.costs.fee
        total += np.diff(value, prepend=1.0)
    return total / len(day.minute_bars)
