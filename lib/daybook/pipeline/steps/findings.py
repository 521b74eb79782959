"""What the day's figures say in words: the verdict, what to read first, and questions for tomorrow."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from daybook.models.registry import SUSPECT_ACCURACY
from daybook.pipeline.conditions import funding_notices
from daybook.pipeline.costs import cost_notices
from daybook.pipeline.day import Day
from daybook.pipeline.refresh import STALE
from daybook.pipeline.steps.rank import Ranking
from daybook.rank.gates import GateRules
from daybook.report import Focus, Headline, Metric, ModelRow, Notice, QualityRow, StrategyRow, Trials


def shown(value: Any) -> bool | int | float | str | None:
    """A setting as one plain value: lists and tables become text."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in sorted(value.items()))
    plain: bool | int | float | str | None = value
    return plain


def headline(day: Day, ranking: Ranking, strategies: tuple[StrategyRow, ...], trials: Trials) -> Headline:
    proven = [row.name for row in strategies if row.gate is not None and row.gate.passed]
    best = next((row for row in strategies if row.score is not None), None)
    found = _sentence(len(ranking.updates["strategy"].entered), strategies, best, trials, proven)
    stale = bool(day.inputs.get("refresh", {}).get("stale"))
    verdict = f"{STALE if stale else ''}{_told(day)}{found}"
    figures = (
        Metric(name="best score, 50 = even odds", value=None if best is None else best.score, unit="score",
               n=0 if best is None else best.trades, n_unit="trades", reason="no strategy has enough trades"),
        Metric(name="best Sharpe ratio in the pool", value=trials.best.value, unit="annualised",
               n=None if best is None else best.n_blocks, n_unit="hours",
               baseline=trials.expected_noise_maximum.value, baseline_name="luck alone among all trials ever",
               reason=trials.best.reason),
        Metric(name="trials ever", value=trials.ever, baseline=trials.today, baseline_name="today"),
        Metric(name="longest record since birth", value=max((row.forward_days for row in strategies), default=0.0),
               unit="days", baseline=float(GateRules().min_forward_days), baseline_name="needed for proof"),
    )
    tone: Literal["good", "warn", "neutral"] = "warn" if stale else "good" if proven else "neutral"
    return Headline(verdict=verdict, tone=tone, figures=figures)


def _sentence(
    entered: int, strategies: tuple[StrategyRow, ...], best: StrategyRow | None, trials: Trials, proven: list[str]
) -> str:
    """New members, the leader, and what may be believed of it, for a reader who has seen no figure yet."""
    new = f"{entered} of {len(strategies)} strategies are new today"
    if best is None:
        return f"{new}, none has traded enough for a score, and nothing is proven."
    leader = f"{best.name} leads with score {best.score:.1f} of 100"
    if proven:
        return f"{', '.join(proven)} passed every gate on bars after birth. {new}, {leader}."
    luck, found = trials.expected_noise_maximum.value, trials.best.value
    explained = luck is not None and found is not None and found <= luck
    why = "luck alone explains the best result" if explained else "only days after its birth could prove it"
    return f"{new}, {leader}, but nothing is proven: {why}."


def _told(day: Day) -> str:
    """What a re-run was told to do differently; the run of a day says nothing."""
    if day.sealed.official:
        return ""
    changed = [f"{name} = {shown(day.sealed.settings[name])}" for name in day.sealed.changed_parameters]
    return f"Re-run with {', '.join(changed) or 'the same settings'}: "


def cost_warnings(day: Day) -> tuple[Notice, ...]:
    """What a reader must know of measured costs and of funding that is not charged; nothing where all is as set."""
    free = tuple(Notice(where="funding", message=message) for message in funding_notices(day.inputs))
    return free + tuple(Notice(where="execution costs", message=message, severity="info")
                        for message in cost_notices(day.costs, day.settings))


def masked_notices(day: Day) -> tuple[Notice, ...]:
    """Which markets lack so many minutes that longer bars were left out."""
    found = []
    for symbol, market in day.inputs["markets"].items():
        left_out = [f"{count:,} of {timeframe}" for timeframe in ("5m", "60m")
                    if (count := market["quality"].get(f"masked_{timeframe}", 0))]
        if left_out:
            found.append(Notice(where=symbol, severity="info", message=(
                f"longer bars that lack more than a tenth of their minutes were left out ({', '.join(left_out)}): "
                "nothing was decided, filled or learned on them.")))
    return tuple(found)


def notices(quality: tuple[QualityRow, ...], models: tuple[ModelRow, ...]) -> tuple[Notice, ...]:
    flawed = [
        Notice(
            where=row.symbol,
            message=f"{row.missing:,} of {row.expected:,} minutes are missing (longest gap "
                    f"{row.longest_gap_minutes:.0f} minutes) and {row.quarantined:,} impossible rows were set aside.",
        )
        for row in quality if row.missing or row.quarantined
    ]
    stale = [row.symbol for row in quality if row.stale]
    if stale:
        flawed.insert(0, Notice(
            where="candles",
            message=f"stale: the exchange could not be reached, so candles of {', '.join(stale)} may be missing or "
                    "since corrected. Run the day again when it answers.",
        ))
    flawed += [
        Notice(where=row.symbol, message=f"lonely prices: {row.spikes:,}, far from their neighbours while no other "
                                         "market moved. They were used as they are; look before believing a result.")
        for row in quality if row.spikes
    ]
    leaks = [
        Notice(where=row.name, message=f"balanced accuracy {metric.value:.2f}: look for a leak before believing it")
        for row in models for metric in row.metrics
        if metric.name == "balanced accuracy" and metric.value is not None and metric.value >= SUSPECT_ACCURACY
    ]
    return (*flawed, *leaks)


def questions(
    strategies: tuple[StrategyRow, ...], quality: tuple[QualityRow, ...], models: tuple[ModelRow, ...]
) -> tuple[Focus, ...]:
    """Questions that the day's figures raise for tomorrow's design."""
    found = []
    weak = [row for row in strategies if row.score is not None and row.score < 50.0]
    silent = [row for row in strategies if row.score is None]
    if weak:
        found.append(Focus(area="strategies", question="Which losing ideas fail on costs, not on signal?",
                           evidence=f"{len(weak)} of {len(strategies)} strategies score below 50"))
    if silent:
        found.append(Focus(area="strategies", question="Do the silent ideas need looser entries?",
                           evidence=f"{len(silent)} of {len(strategies)} traded too little to be scored"))
    frames = pd.Series([row.timeframe for row in strategies]).value_counts()
    if len(frames):
        found.append(Focus(area="design", question=f"What would work on other bars than {frames.index[0]}?",
                           evidence=f"{frames.iloc[0]} of {len(strategies)} strategies trade {frames.index[0]} bars"))
    plain = [row.name for row in models if row.metrics and row.metrics[0].standing != "beats"]
    if plain:
        found.append(Focus(area="models", question="What would lift these models clearly above their baselines?",
                           evidence=f"no clear gain yet: {', '.join(plain)}"))
    if any(row.missing for row in quality):
        found.append(Focus(area="data", question="Can the missing minutes be imported?",
                           evidence=f"{sum(row.missing for row in quality):,} minutes are missing"))
    return tuple(found)
