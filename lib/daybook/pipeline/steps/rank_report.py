"""40_rank_report: rank everything, update the pools, and say what the day found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from daybook.pipeline.canaries import read_canaries, reddened
from daybook.pipeline.day import Day
from daybook.pipeline.steps.document import report_document
from daybook.pipeline.steps.rank import Ranking, outcome, rank_pools
from daybook.report import ReportDocument, StepTiming


@dataclass(frozen=True)
class ReportStep:
    """What the page shows: the report, its ranking, the history of scores, the time of the steps before it."""

    report: ReportDocument
    ranking: Ranking
    score_history: pd.DataFrame
    timings: tuple[StepTiming, ...]
    figures: dict[str, Any]


def rank_and_report(day: Day) -> ReportStep:
    """Rank the day, write its pools, its outcome for the store, and the report without wall times."""
    ranking = rank_pools(day)
    report = reddened(report_document(day, ranking), read_canaries(day))
    for kind, update in ranking.updates.items():
        day.write(f"pool_{kind}", update.pool.model_dump(mode="json"))
    day.write("outcome", outcome(day, ranking))
    day.write("report", report.model_dump(mode="json"))
    best = report.strategies[0] if report.strategies else None
    figures = {
        "verdict": report.headline.verdict,
        "strategies": len(report.strategies), "models": len(report.models), "ensembles": len(report.ensembles),
        "entered": len(ranking.updates["strategy"].entered), "left": len(ranking.updates["strategy"].archived),
        "best_score": None if best is None else best.score,
        "proven": sum(found.proven for found in ranking.verdicts.values()),
        "trials_today": ranking.trials.today, "trials_ever": ranking.trials.ever,
    }
    return ReportStep(report, ranking, score_history(day, ranking), step_timings(day), figures)


def score_history(day: Day, ranking: Ranking) -> pd.DataFrame:
    """Scores of today's strategies over the last days: day, name, score."""
    members = {member.identity: member for member in ranking.pool("strategy").members}
    rows = [
        {"day": row.day, "name": row.name, "score": row.score}
        for row in day.state.history if row.kind == "strategy" and row.identity in members
    ]
    rows += [{"day": day.sealed.day, "name": member.name, "score": member.score} for member in members.values()]
    return pd.DataFrame(rows, columns=["day", "name", "score"])


def step_timings(day: Day) -> tuple[StepTiming, ...]:
    """Wall time of the steps that are done, from the run's manifest; a scratch run has none."""
    from daybook.pipeline.manifest import read_manifest

    if not (day.folder / "manifest.json").is_file():
        return ()
    manifest = read_manifest(day.folder)
    return tuple(
        StepTiming(step=record.name, seconds=record.seconds, state="ok")
        for record in manifest.steps if record.seconds is not None and record.name != day.step
    )
