"""10_design: new strategies and better parameters, searched on bars from before the scoring window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from daybook.core.time import Window
from daybook.design import Candidate, DesignRequest, DesignResult, GateRules, Parent, propose
from daybook.pipeline.day import Day
from daybook.pipeline.screening import best_by_strategy, count_trials, screen
from daybook.pipeline.steps.score import UNDERPERFORMING, pool_strategies
from daybook.rank import Evidence, TrialLedger
from daybook.rank.pool import TUNED_ORIGIN
from daybook.report import Headline, Metric, StrategyRow
from daybook.strategy import Strategy, parse_spec

AUTHOR = "embedded search"
WORTH_KEEPING_DAYS = 7
COLD_START_SPARE = 8
"""Extra designs on a cold start, since some will share a structure or never trade on the scoring window."""


@dataclass(frozen=True)
class DesignStep:
    """What the page shows: candidates (one row each) and their cards, the search by generation, what was refused."""

    headline: Headline
    candidates: pd.DataFrame
    cards: tuple[StrategyRow, ...]
    progress: pd.DataFrame
    refused: pd.DataFrame
    refused_by_reason: pd.DataFrame
    figures: dict[str, Any]


def design_window(day: Day) -> Window:
    """The span designs are searched and tuned on: it ends where the scoring window begins.

    Half of the history before the scoring window; the other half warms indicators up.
    """
    span = max(1, (day.settings.history_days - day.settings.window_days) // 2)
    return day.span(span, ending_days_ago=day.settings.window_days)


def design_strategies(day: Day) -> DesignStep:
    """Ask the embedded designer for candidates, and enter every design it evaluated into the ledger.

    The pool's underperformers go along, for their parameters to be tuned; everything ever tried is known and refused.
    """
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step, day.artefacts)
    members = pool_strategies(day)
    result = _searched(day, [strategy for _, strategy in members.values()], ledger)
    listed = [_entry(candidate) for candidate in result.candidates]
    listed += _to_tune(day, members)
    ledger.write(day.artefacts)
    day.write("candidates", listed)
    step = _step(day, ledger, result, listed)
    day.write("refused", step.refused)
    return step


def _searched(day: Day, pool: Sequence[Strategy], ledger: TrialLedger) -> DesignResult:
    """The designer's answer; every simulation behind a score is counted before the search sees the score."""
    window = design_window(day)
    parents: dict[str, Sequence[str]] = {}

    def scores(strategies: Sequence[Strategy]) -> list[float | None]:
        found = screen(day, strategies, window)
        count_trials(ledger, day, "design", AUTHOR, found, window, parents=parents)
        best = best_by_strategy(found)
        return [best[s.identity].result.score if s.identity in best else None for s in strategies]

    bred_from = scores(pool) if pool else []  # on this span, not their scores on bars that the verdict will use
    symbol = day.settings.symbols[0]
    return propose(DesignRequest(
        score=scores,
        probes=tuple(day.bars[timeframe][symbol].within(window) for timeframe in day.settings.timeframes),
        wanted=wanted(day),
        seed=day.settings.seed,
        stream=day.sealed.day,
        parents=tuple(Parent(strategy, value) for strategy, value in zip(pool, bred_from, strict=True)),
        known_identities=day.state.identities,
        timeframes=tuple(day.settings.timeframes),
        population=max(day.settings.population, wanted(day)),
        generations=day.settings.generations,
        per_structure=1,
        rules=GateRules(longest_warmup=_longest_warmup(day)),
        lineage=parents.update,
    ))


def wanted(day: Day) -> int:
    """Candidates to ask for: the usual few, or as many as fill the pool on a cold start."""
    pool = day.state.pools["strategy"]
    missing = pool.capacity - len(pool.members)
    return max(day.settings.designs, missing + COLD_START_SPARE) if missing > 0 else day.settings.designs


def _longest_warmup(day: Day) -> int:
    """Bars of the longest timeframe that lie before the design's span."""
    before_ms = design_window(day).start_ms - day.history.start_ms
    longest = max(int(timeframe.removesuffix("m")) for timeframe in day.settings.timeframes)
    return max(1, before_ms // (longest * 60_000))


def _entry(candidate: Candidate) -> dict[str, Any]:
    return {
        "identity": candidate.strategy.identity, "spec": candidate.strategy.canonical, "origin": candidate.origin,
        "parents": list(candidate.parents), "family": candidate.family, "fitness": candidate.fitness,
        "score": candidate.score,
    }


def _to_tune(day: Day, members: dict[str, Any]) -> list[dict[str, Any]]:
    """Pool members below even odds, listed as their own parents, so that 20_backtest tries other parameters.

    A variant is born anew, so a member that has earned forward evidence is left to earn more.
    """
    scores = day.read_json("00_score", "scores")
    entries = []
    for identity, (member, strategy) in members.items():
        value = scores.get(identity, {}).get("score")
        weak = value is None or value < UNDERPERFORMING
        if weak and strategy.parameters and not _earns(day.state.evidence[identity]):
            entries.append({
                "identity": identity, "spec": member.spec, "origin": TUNED_ORIGIN, "parents": [identity],
                "family": "tuned", "fitness": None, "score": value,
            })
    return entries


def _earns(record: Evidence) -> bool:
    """Whether a forward record of at least a week made money."""
    return len(record.days) >= WORTH_KEEPING_DAYS and float(record.blocks.sum()) > 0.0


def _step(day: Day, ledger: TrialLedger, result: DesignResult, listed: list[dict[str, Any]]) -> DesignStep:
    new = len(result.candidates)
    tuned = len(listed) - new
    refused = pd.DataFrame(
        [{"identity": r.identity[:12], "reason": r.reason, "against": r.against[:12]} for r in result.refused],
        columns=["identity", "reason", "against"],
    )
    best = max((c.score for c in result.candidates if c.score is not None), default=None)
    figures = {
        "designs": new, "to_tune": tuned, "evaluated": len(result.evaluated), "refused": len(refused),
        "best_design_score": best, "trials": len(ledger),
    }
    text = (
        f"{new} new designs go to the backtest, the best of {len(result.evaluated)} that were tried; "
        + (f"{tuned} pool members below 50 are tuned anew." if tuned else "no pool member needs it.")
    )
    headline = Headline(verdict=text, figures=(
        Metric(name="new designs", value=new, n=len(result.evaluated), n_unit="evaluated"),
        Metric(name="best score where it was searched", value=best, unit="score", n=new,
               n_unit="designs; fitted, so expect less", reason="no design traded enough"),
        Metric(name="turned away before any test", value=len(refused), better="neither"),
        Metric(name=f"seed of the {AUTHOR}", value=day.settings.seed, better="neither"),
    ))
    return DesignStep(
        headline=headline, candidates=_candidate_frame(result), cards=_cards(day, result),
        progress=_progress(result), refused=refused, refused_by_reason=_by_reason(refused),
        figures={"verdict": text, **figures},
    )


def _candidate_frame(result: DesignResult) -> pd.DataFrame:
    rows = [
        {"name": c.spec.name, "family": c.family, "origin": c.origin, "timeframes": ", ".join(c.spec.timeframes),
         "fitness": c.fitness, "score": c.score, "complexity": c.strategy.complexity, "parents": len(c.parents)}
        for c in result.candidates
    ]
    columns = ["name", "family", "origin", "timeframes", "fitness", "score", "complexity", "parents"]
    return pd.DataFrame(rows, columns=columns)


def _cards(day: Day, result: DesignResult) -> tuple[StrategyRow, ...]:
    return tuple(design_card(day, candidate, rank) for rank, candidate in enumerate(result.candidates, start=1))


def design_card(day: Day, candidate: Candidate, rank: int) -> StrategyRow:
    """A candidate in words and expressions; its figures come in 20_backtest."""
    strategy = parse_spec(candidate.strategy.canonical)
    canonical = strategy.canonical
    names = ("long_entry", "long_exit", "short_entry", "short_exit", "stop_loss", "take_profit", "max_holding",
             "trailing_stop", "break_even")
    return StrategyRow(
        rank=rank, name=strategy.name, identity=strategy.identity, timeframe=", ".join(strategy.timeframes),
        params=strategy.defaults, birth=day.sealed.day, rationale=candidate.rationale,
        expressions={name: str(canonical[name]) for name in names if canonical.get(name) is not None},
        reasons=dict.fromkeys(StrategyRow.figures, "tested in 20_backtest"),
    )


def _progress(result: DesignResult) -> pd.DataFrame:
    """Best and median fitness by generation, long form: generation, measure, fitness."""
    rows = pd.DataFrame(
        [{"generation": e.generation, "fitness": e.fitness} for e in result.evaluated if e.fitness is not None],
        columns=["generation", "fitness"],
    )
    if rows.empty:
        return pd.DataFrame(columns=["generation", "measure", "fitness"])
    grouped = rows.groupby("generation")["fitness"].agg(["max", "median"]).rename(columns={"max": "best"})
    return grouped.reset_index().melt("generation", var_name="measure", value_name="fitness")


def _by_reason(refused: pd.DataFrame) -> pd.DataFrame:
    """Refusals counted by the words of their reason, most first, each with the first one in full."""
    if refused.empty:
        return pd.DataFrame(columns=["example", "designs"])
    words = refused["reason"].str.replace(r"\s*\(.*\)", "", regex=True).str.replace(r"\d+", "", regex=True)
    grouped = refused.assign(words=words).groupby("words")["reason"].agg(["first", "size"])
    counted = grouped.rename(columns={"first": "example", "size": "designs"}).sort_values(
        ["designs", "example"], ascending=[False, True])
    return counted.reset_index(drop=True)
