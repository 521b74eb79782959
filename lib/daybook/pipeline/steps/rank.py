"""40_rank_report, first half: today's pools out of yesterday's and today's candidates, and what may be said of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from daybook.pipeline.canaries import read_canaries
from daybook.pipeline.day import Day
from daybook.pipeline.manifest import STEPS
from daybook.rank import (
    Evidence,
    EvidenceSummary,
    ForwardTest,
    GateResult,
    Kind,
    Pool,
    PoolMember,
    PoolRules,
    PoolUpdate,
    ScoreResult,
    ScoreRow,
    TrialCounts,
    Verdict,
    due_tests,
    read_trials,
    update_pool,
    verdict,
)
from daybook.rank.ledger import FILE_NAME, counts
from daybook.rank.twins import Twins, trading_twins


@dataclass(frozen=True)
class Ranking:
    """Today's pools and all they rest on.

    updates: kind -> what happened to that pool. results: identity -> today's score. evidence: forward records of all
    members, new ones empty. trials: today's, ever, by kind. tests, earlier: forward tests made today and before. also:
    gates of the day that stand beside those of a record, none unless a canary failed. unchanged: candidates that are
    members of yesterday's pool, because re-tuning them ended at the parameters they had.
    """

    updates: dict[Kind, PoolUpdate]
    results: dict[str, ScoreResult]
    evidence: dict[str, Evidence]
    trials: TrialCounts
    tests: tuple[ForwardTest, ...] = ()
    earlier: tuple[ForwardTest, ...] = ()
    also: tuple[GateResult, ...] = ()
    unchanged: tuple[PoolMember, ...] = ()

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Identity -> what may be called proven, with every trial ever charged."""
        tested = {test.born: test for test in (*self.earlier, *self.tests)}
        return {identity: _judged(record, self.trials, tested, self.also) for identity, record in self.evidence.items()}

    def pool(self, kind: Kind) -> Pool:
        """Today's snapshot of a kind."""
        return self.updates[kind].pool


def rank_pools(day: Day) -> Ranking:
    """Let candidates and incumbents compete, kind by kind.

    A red day makes no forward test, for the next green one would promote by it: what is due stays due, on the same
    first days.
    """
    results = _results(day)
    trials = _trial_counts(day)
    known = {
        record.identity: record
        for record in (Evidence.model_validate(entry) for entry in day.read_json("00_score", "evidence"))
    }
    names = {member.identity: member.name for pool in day.state.pools.values() for member in pool.members}
    names |= {former.identity: former.name for former in day.state.followed}
    also = read_canaries(day).gates
    tests = () if also else due_tests(day.sealed.day, known.values(), names, day.state.tests)
    tested = {test.born: test for test in (*day.state.tests, *tests)}
    summaries = {
        identity: EvidenceSummary.of(_judged(record, trials, tested, also)) for identity, record in known.items()
    }
    rules = PoolRules(margin=day.settings.replace_margin)
    candidates = _candidates(day, "20_backtest", "members")
    twins = _twins(day)
    updates: dict[Kind, PoolUpdate] = {
        "strategy": _updated(day, "strategy", candidates, results, summaries, rules, twins),
        "model": _updated(day, "model", _candidates(day, "30_train", "models"), results, summaries, rules),
        "ensemble": _updated(day, "ensemble", _candidates(day, "30_train", "ensembles"), results, summaries, rules),
    }
    members = [member for update in updates.values() for member in update.pool.members]
    evidence = {
        member.identity: known.get(member.identity)
        or Evidence(identity=member.identity, kind=member.kind, birth_ms=member.birth_ms)
        for member in members
    }
    unchanged = tuple(one for one in candidates if day.state.pools["strategy"].member(one.identity) is not None)
    return Ranking(updates, results, evidence, trials, tests, day.state.tests, also, unchanged)


def _judged(
    record: Evidence, trials: TrialCounts, tested: Mapping[tuple[Kind, str, int], ForwardTest],
    also: tuple[GateResult, ...],
) -> Verdict:
    return verdict(record, max(1, trials.ever), test=tested.get(record.born), also=also)


def _results(day: Day) -> dict[str, ScoreResult]:
    found: dict[str, ScoreResult] = {}
    for step in ("00_score", "20_backtest", "30_train"):
        for identity, value in day.read_json(step, "scores").items():
            found.setdefault(identity, ScoreResult.model_validate(value))
    return found


def _candidates(day: Day, step: str, name: str) -> list[PoolMember]:
    return [PoolMember.model_validate(entry) for entry in day.read_json(step, name)]


def _twins(day: Day) -> Twins:
    """Strategies of yesterday's pool and of today that trade alike over the scoring window."""
    rows = pd.concat([day.read_table(step, "blocks") for step in ("00_score", "20_backtest")], ignore_index=True)
    wide = rows.pivot_table(index="time_ms", columns="identity", values="block_return", aggfunc="first")
    return trading_twins({str(identity): wide[identity].to_numpy(dtype=np.float64) for identity in wide.columns})


def _updated(
    day: Day, kind: Kind, candidates: Sequence[PoolMember], results: Mapping[str, ScoreResult],
    summaries: Mapping[str, EvidenceSummary], rules: PoolRules, twins: Twins | None = None,
) -> PoolUpdate:
    """A recipe that is in the pool already was trained again: the incumbent keeps its birth and takes today's card."""
    before = day.state.pools[kind]
    trained = {member.identity: member for member in candidates}
    renewed = [
        member.model_copy(update={"spec": trained[member.identity].spec}) if member.identity in trained else member
        for member in before.members
    ]
    rescored = before.model_copy(update={"members": tuple(renewed)}).rescored(day.sealed.day, results, summaries)
    newcomers = [member for member in candidates if rescored.member(member.identity) is None]
    return update_pool(rescored, newcomers, day.sealed.day, rules=rules, twins=twins)


def _trial_counts(day: Day) -> TrialCounts:
    today: dict[str, int] = {}
    for step in STEPS:
        path = day.folder / "artefacts" / step / FILE_NAME
        if path.is_file():
            for kind, number in counts(read_trials(path)).by_kind.items():
                today[kind] = today.get(kind, 0) + number
    before = day.state.trials
    by_kind = {kind: before.by_kind.get(kind, 0) + today.get(kind, 0) for kind in sorted({*before.by_kind, *today})}
    total = sum(today.values())
    return TrialCounts(today=total, ever=before.ever + total, by_kind=by_kind)


def outcome(day: Day, ranking: Ranking) -> dict[str, Any]:
    """What the store will be told, as JSON: pools, scores, archive, evidence."""
    members = {m.identity: m for update in ranking.updates.values() for m in update.pool.members}
    names = members | {gone.member.identity: gone.member for u in ranking.updates.values() for gone in u.archived}
    scores = [
        ScoreRow(kind=member.kind, identity=identity, name=member.name, result=ranking.results[identity])
        for identity, member in sorted(names.items()) if identity in ranking.results
    ]
    archived = [gone for update in ranking.updates.values() for gone in update.archived]
    return {
        "previous_day": day.state.previous_day,
        "pools": [update.pool.model_dump(mode="json") for update in ranking.updates.values()],
        "scores": [row.model_dump(mode="json") for row in scores],
        "archived": [gone.model_dump(mode="json") for gone in archived],
        "evidence": [record.model_dump(mode="json") for _, record in sorted(ranking.evidence.items())],
        "tests": [test.model_dump(mode="json") for test in ranking.tests],
    }
