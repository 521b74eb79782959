"""00_score: yesterday's pools on the last seven days, the records since birth, and the quality of the candles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from daybook.core.time import HOUR_MS, MINUTE_MS, TIMEFRAMES, utc_text
from daybook.features import FeatureStore
from daybook.pipeline.canaries import run_canaries
from daybook.pipeline.day import Day
from daybook.pipeline.screening import Screened, count_trials, screen, totals
from daybook.pipeline.steps.followed import Records, forward_records, records_told
from daybook.pipeline.steps.forward import ForwardModel, forward_models
from daybook.pipeline.stressed import STRESS_COLUMNS, STRESS_TYPES, stressed_scorecards
from daybook.rank import KINDS, PoolMember, ScoreResult, TrialLedger
from daybook.rank.gates import GateRules
from daybook.report import Headline, Metric, QualityRow
from daybook.strategy import Strategy, parse_spec

UNDERPERFORMING = 50.0
"""Below this score a member is more likely to lose than to make money; the design step tunes it."""


@dataclass(frozen=True)
class ScoreStep:
    """What the page shows. strategies, models, evidence, features: one row each; quality: one row a market."""

    headline: Headline
    strategies: pd.DataFrame
    models: pd.DataFrame
    evidence: pd.DataFrame
    quality: tuple[QualityRow, ...]
    completeness: pd.DataFrame
    features: pd.DataFrame
    underperformers: pd.DataFrame
    canaries: pd.DataFrame
    figures: dict[str, Any]


def score_pools(day: Day) -> ScoreStep:
    """Try the guards, bring the feature store up to date, score yesterday's pools, and extend every record."""
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step, day.artefacts)
    canaries = run_canaries(day)
    features = _refresh_features(day)
    scored = _score_strategies(day, ledger)
    forward = forward_models(day, ledger)
    records = forward_records(day, ledger, forward)
    births = {member.identity: member.birth_ms for member, _ in scored}
    strategies = _strategy_frame(day, scored, stressed_scorecards(day, ledger, [one for _, one in scored], births))
    under = strategies[strategies["score"].isna() | (strategies["score"] < UNDERPERFORMING)]
    yesterdays = [model for model in forward if model.day == day.sealed.day and model.identity in pooled(day)]
    _write(day, ledger, scored, records, strategies, yesterdays)
    quality = quality_rows(day)
    figures = {
        "strategies_scored": len(strategies),
        "median_score": None if strategies.empty else _median(strategies["score"]),
        "underperformers": len(under),
        "forward_days_longest": max((len(record.days) for record in records.members), default=0),
        "followed": len(records.former),
        "tests_ever": len(day.state.tests),
        "completeness": min(row.bars / row.expected for row in quality),
        "trials": len(ledger),
        "canaries_failed": len(canaries.failed),
    }
    headline = canaries.headline(_headline(day, strategies, figures, quality, records))
    return ScoreStep(
        headline=headline,
        strategies=strategies,
        models=_model_frame(yesterdays),
        evidence=_evidence_frame(records),
        quality=quality,
        completeness=hourly_completeness(day),
        features=features,
        underperformers=under,
        canaries=canaries.frame(),
        figures={"verdict": headline.verdict, **figures},
    )


def pool_strategies(day: Day) -> dict[str, tuple[PoolMember, Strategy]]:
    """Identity -> member and parsed strategy of yesterday's pool."""
    return {
        member.identity: (member, parse_spec(member.spec)) for member in day.state.pools["strategy"].members
    }


def pooled(day: Day) -> frozenset[str]:
    """Identities of all members of yesterday's pools."""
    return frozenset(member.identity for pool in day.state.pools.values() for member in pool.members)


def _refresh_features(day: Day) -> pd.DataFrame:
    """Bring every market and timeframe up to date in the store, over the scoring window and the day before it."""
    store = FeatureStore(day.settings.data / "features")
    rows = []
    for timeframe in TIMEFRAMES:
        tables = store.panel(day.bars[timeframe], window=day.span(day.settings.window_days + 1))
        for symbol, table in tables.items():
            defined = float(np.isfinite(table.values[-1]).mean())  # noqa: PD011 - an array, not a frame
            rows.append({"symbol": symbol, "timeframe": timeframe, "features": len(table.names), "bars": len(table),
                         "defined_on_last_bar": defined})
    return pd.DataFrame(rows)


def _score_strategies(day: Day, ledger: TrialLedger) -> list[tuple[PoolMember, Screened]]:
    members = pool_strategies(day)
    found = screen(day, [strategy for _, strategy in members.values()], day.window, timeframes=TIMEFRAMES)
    births = {identity: member.birth_ms for identity, (member, _) in members.items()}
    count_trials(ledger, day, "score", "pool", found, day.window, births)
    return [(members[one.strategy.identity][0], one) for one in found]


def _strategy_frame(
    day: Day, scored: list[tuple[PoolMember, Screened]], stressed: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    rows = [
        {
            "identity": member.identity, "name": member.name, "timeframe": member.timeframe,
            "score": one.result.score, "previous_score": member.score, "psr": one.result.psr,
            "sharpe": one.result.sharpe, "max_drawdown": one.result.max_drawdown, **totals(one),
            "n_blocks": one.result.n_blocks, "n": one.result.trades, "reason": one.result.reason or "",
            "forward_days": len(day.state.evidence[member.identity].days), **stressed[one.strategy.identity],
        }
        for member, one in scored
    ]
    columns = ["identity", "name", "timeframe", "score", "previous_score", "psr", "sharpe", *STRESS_COLUMNS,
               "max_drawdown", "total_return", "win_rate", "turnover", "exposure", "trades", "n_blocks", "n", "reason",
               "forward_days"]
    frame = pd.DataFrame(rows, columns=columns).astype(STRESS_TYPES)
    frame = frame.sort_values(["score", "identity"], ascending=[False, True], na_position="last", ignore_index=True)
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    return frame


def _model_frame(forward: list[ForwardModel]) -> pd.DataFrame:
    columns = ["name", "kind", "return_24h", "trades", "note"]
    rows = [
        {"name": model.name, "kind": model.kind, "trades": model.trades, "note": model.reason or "",
         "return_24h": None if model.blocks is None else float(np.sum(model.blocks))}
        for model in forward
    ]
    return pd.DataFrame(rows, columns=columns)


def _evidence_frame(records: Records) -> pd.DataFrame:
    """One row a member, longest record first; then one a kind with the means of those that left and are followed."""
    rows = [
        {"name": records.names[record.identity], "kind": record.kind, "forward_days": len(record.days),
         "trades": record.trades, "forward_return": float(np.sum(record.blocks)) if record.days else None,
         "last_day": record.days[-1].day if record.days else ""}
        for record in sorted(records.members, key=lambda one: (-len(one.days), records.names[one.identity]))
    ]
    for kind in KINDS:
        left = [record for record in records.former if record.kind == kind and record.days]
        if left:
            rows.append({
                "name": f"{len(left)} former, on average", "kind": kind,
                "forward_days": round(float(np.mean([len(one.days) for one in left]))),
                "trades": round(float(np.mean([one.trades for one in left]))),
                "forward_return": float(np.mean([np.sum(one.blocks) for one in left])),
                "last_day": max(one.days[-1].day for one in left),
            })
    return pd.DataFrame(rows, columns=["name", "kind", "forward_days", "trades", "forward_return", "last_day"])


def _write(
    day: Day, ledger: TrialLedger, scored: list[tuple[PoolMember, Screened]], records: Records,
    strategies: pd.DataFrame, forward: list[ForwardModel],
) -> None:
    results: dict[str, ScoreResult] = {member.identity: one.result for member, one in scored}
    ledger.write(day.artefacts)
    day.write("scorecards", strategies)
    day.write("scores", {identity: result.model_dump(mode="json") for identity, result in results.items()})
    day.write("evidence", [record.model_dump(mode="json") for record in records.everything])
    day.write("followed", [record.model_dump(mode="json") for record in records.new])
    day.write("blocks", block_frame(day, [(member.identity, one) for member, one in scored]))
    day.write("models", _model_frame(forward))
    day.write("quality", [row.model_dump(mode="json") for row in quality_rows(day)])


def block_frame(day: Day, found: list[tuple[str, Screened]]) -> pd.DataFrame:
    """Hourly portfolio returns in long form: identity, time_ms (block end), block_return (fraction)."""
    ends = day.window.start_ms + HOUR_MS * (1 + np.arange((day.window.end_ms - day.window.start_ms) // HOUR_MS))
    parts = [
        pd.DataFrame({"identity": identity, "time_ms": ends, "block_return": one.blocks}) for identity, one in found
    ]
    empty = pd.DataFrame({"identity": pd.Series(dtype="str"), "time_ms": pd.Series(dtype="int64"),
                          "block_return": pd.Series(dtype="float64")})
    return pd.concat(parts, ignore_index=True) if parts else empty


def quality_rows(day: Day) -> tuple[QualityRow, ...]:
    """The sealed quality of every market, as the report shows it."""
    rows = []
    stale = bool(day.inputs.get("refresh", {}).get("stale"))
    for symbol, market in day.inputs["markets"].items():
        found = market["quality"]
        longest = max((gap["missing"] for gap in found["gaps"]), default=0)
        rows.append(QualityRow(
            symbol=symbol, bars=found["present"], expected=found["expected"], missing=found["missing"],
            longest_gap_minutes=longest, duplicates=found["duplicates"], off_minute=found["off_minute"],
            zero_volume=found["zero_volume"], impossible=found["impossible"], quarantined=found["quarantined"],
            spikes=found["spikes"], revised=found["revised"], stale=stale, first_gap=_first_gap(found["gaps"], day),
        ))
    return tuple(rows)


def _first_gap(gaps: Sequence[Mapping[str, Any]], day: Day) -> str | None:
    """When the first missing minute should have opened."""
    if not gaps:
        return None
    before = gaps[0]["last_before_ms"]
    return utc_text(day.history.start_ms if before is None else before + MINUTE_MS).removesuffix(" UTC")


def hourly_completeness(day: Day) -> pd.DataFrame:
    """Share of the minutes that are there, by hour of the scoring window: symbol, time_ms, share (0 to 1)."""
    hours = day.window.start_ms + HOUR_MS * np.arange((day.window.end_ms - day.window.start_ms) // HOUR_MS)
    parts = []
    for symbol, bars in day.minute_bars.items():
        found = np.searchsorted(bars.open_time, np.append(hours, day.window.end_ms))
        parts.append(pd.DataFrame({"symbol": symbol, "time_ms": hours, "share": np.diff(found) / 60.0}))
    return pd.concat(parts, ignore_index=True)


def _median(scores: pd.Series[float]) -> float | None:
    known = scores.dropna()
    return None if known.empty else float(known.median())


def _headline(
    day: Day, strategies: pd.DataFrame, figures: dict[str, Any], quality: tuple[QualityRow, ...], records: Records
) -> Headline:
    missing = sum(row.missing for row in quality)
    if strategies.empty:
        text = "This is the first day: there is no pool to score yet; candles and features are ready."
    else:
        above = int((strategies["score"] > UNDERPERFORMING).sum())
        text = (f"{above} of {len(strategies)} strategies score above 50 on the last {day.settings.window_days} days: "
                "on these bars they were likelier to make money than not.")
    stale = any(row.stale for row in quality)
    if stale:
        text = f"STALE: the exchange could not be reached, so candles may be missing or since corrected. {text}"
    revised = int(day.inputs.get("refresh", {}).get("revised", 0))
    if revised:
        text = f"{text} The exchange has corrected {revised:,} bars of past days; later days will see the new values."
    text = " ".join([text, *records_told(day, records)])
    metrics = (
        Metric(name="strategies scored", value=figures["strategies_scored"]),
        Metric(name="median score, 50 = even odds", value=figures["median_score"], unit="score",
               n=figures["strategies_scored"], n_unit="strategies", reason="no strategy has a score yet"),
        Metric(name="minutes missing", value=missing, n=sum(row.expected for row in quality), n_unit="minutes expected",
               better="lower"),
        Metric(name="former members, tested like members", value=figures["followed"], n=figures["tests_ever"],
               n_unit="tests so far", better="neither"),
        Metric(name="longest record since birth", value=figures["forward_days_longest"], unit="days",
               baseline=float(GateRules().min_forward_days), baseline_name="needed for proof"),
    )
    return Headline(verdict=text, tone="warn" if missing or stale else "neutral", figures=metrics)
