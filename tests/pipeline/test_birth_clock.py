"""The one test, through ranking, publication and the state of the days after: made once, never again, and replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from daybook.core.store import Store
from daybook.core.time import day_start_ms, parse_day
from daybook.pipeline.steps.rank import Ranking, outcome, rank_pools
from daybook.pipeline.steps.records import former_notices, forward_rows, rejected_rows
from daybook.rank import (
    Evidence,
    EvidenceDay,
    PoolMember,
    PriorState,
    RunResult,
    ScoreResult,
    prior_state,
    publish_run,
    store_schema,
)
from daybook.rank.pool import ranked_pool

BORN = parse_day("2026-01-01")
DRIFT = {"edge": 0.5, "luck": 0.0}


def later(days: int) -> str:
    return (BORN + timedelta(days=days)).isoformat()


def member(name: str, born: int = 0, score: float = 60.0) -> PoolMember:
    return PoolMember(kind="strategy", identity=name, structure_hash=f"s-{name}", name=name, spec={}, timeframe="5m",
                      birth_day=later(born), birth_ms=day_start_ms(parse_day(later(born))), origin="evolution",
                      score=score, entered=later(born))


def record(name: str, days: int) -> Evidence:
    rng = np.random.default_rng([7, *name.encode()])
    return Evidence(identity=name, kind="strategy", birth_ms=member(name).birth_ms, days=tuple(
        EvidenceDay(day=later(1 + n), blocks=tuple(rng.normal(DRIFT[name], 1.0, 24) * 1e-3), trades=4)
        for n in range(days)))


def ranked_day(state: PriorState, folder: Path, newcomer: PoolMember | None = None) -> Ranking:
    """40_rank_report of `state.day`, at which both members have a record of that many days."""
    days = (parse_day(state.day) - BORN).days
    known = [record(name, days) for name in DRIFT]
    new = [] if newcomer is None else [newcomer]
    results = {one: ScoreResult(score=60.0, psr=0.6, n_blocks=168, trades=9).model_dump(mode="json") for one in DRIFT}
    artefacts: dict[str, Any] = {
        "evidence": [one.model_dump(mode="json") for one in known], "canaries": [], "scores": results,
        "members": [one.model_dump(mode="json") for one in new], "models": [], "ensembles": [],
    }
    return rank_pools(day_of(state, folder, artefacts))


def day_of(state: PriorState, folder: Path, artefacts: dict[str, Any]) -> Any:
    return SimpleNamespace(
        sealed=SimpleNamespace(day=state.day, run_id=f"{state.day}/01"), state=state, folder=folder,
        settings=SimpleNamespace(replace_margin=2.0, min_trades=5), read_json=lambda _step, name: artefacts[name],
        read_table=lambda *_: pd.DataFrame({"identity": [], "time_ms": [], "block_return": []}),
    )


def first_state(day: str) -> PriorState:
    state = PriorState.empty(day)
    pool = ranked_pool(later(0), "strategy", 20, [member(name) for name in DRIFT])
    return state.model_copy(update={"pools": state.pools | {"strategy": pool}})


def published(store: Store, state: PriorState, ranking: Ranking) -> PriorState:
    """The state of the day after this one was published."""
    told = outcome(day_of(state, Path(), {}), ranking) | {"previous_day": state.previous_day}
    result = RunResult.model_validate({
        "run_id": f"{state.day}/01", "day": state.day, "number": 1, "official": True, "status": "complete", "seed": 7,
        "source": "test", "code_hash": "c", "data_hash": "d", **told,
    })
    store.publish(lambda connection: publish_run(connection, result))
    return prior_state(store, (parse_day(state.day) + timedelta(days=1)).isoformat())


def test_nobody_is_tested_at_27_days_and_the_report_counts_down(tmp_path: Path) -> None:
    ranking = ranked_day(first_state(later(27)), tmp_path)
    assert ranking.tests == ()
    rows = {row.name: row for row in forward_rows(day_of(first_state(later(27)), tmp_path, {}), ranking)}
    assert rows["edge"].verdict == "1 day to its one test"
    assert (rows["edge"].tested, rows["edge"].proven, rows["edge"].forward_days) == (None, False, 27)
    assert rows["edge"].track_record_days is not None
    low, high = rows["edge"].nightly or (0.0, 0.0)
    assert 0.0 < low < high


def test_both_are_tested_at_28_days_and_only_the_edge_is_proven(tmp_path: Path) -> None:
    ranking = ranked_day(first_state(later(28)), tmp_path)
    assert [(test.identity, test.rejected) for test in ranking.tests] == [("edge", True), ("luck", False)]
    assert {name: one.status for name, one in ranking.verdicts.items()} == {"edge": "proven", "luck": "unproven"}
    members = {one.identity: one.evidence.status for one in ranking.pool("strategy").members}
    assert members == {"edge": "proven", "luck": "unproven"}
    assert ranked_day(first_state(later(28)), tmp_path).tests == ranking.tests


def test_the_published_test_is_carried_on_and_nobody_is_tested_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", store_schema())
    state = first_state(later(28))
    ranking = ranked_day(state, tmp_path)
    after = published(store, state, ranking)
    assert after.tests == ranking.tests
    following = ranked_day(after, tmp_path)
    assert following.tests == ()
    assert following.verdicts["edge"].status == "proven"
    assert following.verdicts["luck"].status == "unproven"
    assert published(store, after, following).tests == ranking.tests


def test_a_day_that_is_run_after_a_later_one_tests_nobody_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", store_schema())
    late = first_state(later(29))
    made = ranked_day(late, tmp_path).tests
    assert published(store, late, ranked_day(late, tmp_path)).tests == made
    missed = first_state(later(28)).model_copy(update={"tests": prior_state(store, later(28)).tests})
    assert missed.tests == made
    found = ranked_day(missed, tmp_path)
    assert found.tests == ()
    published(store, missed, found)
    assert prior_state(store, later(30)).tests == made


def test_who_left_the_pool_is_tested_on_the_same_day_as_who_stayed(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", store_schema())
    state = first_state(later(28))
    stayed = ranked_pool(later(0), "strategy", 20, [member("edge")])
    state = state.model_copy(update={"pools": state.pools | {"strategy": stayed}, "followed": (member("luck"),)})
    ranking = ranked_day(state, tmp_path)
    assert [test.identity for test in ranking.tests] == ["edge", "luck"]
    assert [one.identity for one in ranking.pool("strategy").members] == ["edge"]
    assert published(store, state, ranking).tests == ranking.tests
    assert {test.identity: test.name for test in ranking.tests} == {"edge": "edge", "luck": "luck"}
    (told,) = former_notices(ranking)
    assert told.message.startswith("1 that had left the pools reached 28 forward days and had their one test today")
    assert "discoveries: none." in told.message
    assert former_notices(ranked_day(first_state(later(28)), tmp_path)) == ()


def test_a_record_that_lacks_a_day_says_so_instead_of_counting_down(tmp_path: Path) -> None:
    ranking = ranked_day(first_state(later(28)), tmp_path)
    whole = ranking.evidence["luck"]
    gap = whole.model_copy(update={"days": (*whole.days[:5], *whole.days[6:])})
    paused = replace(ranking, evidence=ranking.evidence | {"luck": gap}, tests=())
    rows = {row.name: row for row in forward_rows(day_of(first_state(later(28)), tmp_path, {}), paused)}
    assert rows["luck"].verdict == "no test, for 1 forward day is missing"
    assert rows["edge"].verdict == "its test is due"


def test_a_record_of_few_trades_has_no_forward_sharpe_ratio(tmp_path: Path) -> None:
    ranking = ranked_day(first_state(later(1)), tmp_path)
    rows = {row.name: row for row in forward_rows(day_of(first_state(later(1)), tmp_path, {}), ranking)}
    assert rows["luck"].trades == 4
    assert (rows["luck"].sharpe, rows["luck"].interval, rows["luck"].track_record_days) == (None, None, None)
    assert rows["luck"].reasons["sharpe"] == "4 trades; at least 5 are needed"


def test_a_newcomer_with_a_perfect_screening_score_leads_and_is_not_promoted(tmp_path: Path) -> None:
    ranking = ranked_day(first_state(later(28)), tmp_path, member("new", 28, 100.0))
    leader = ranking.pool("strategy").members[0]
    assert (leader.identity, leader.score) == ("new", 100.0)
    assert ranking.verdicts["new"].status == "screened"
    assert not ranking.verdicts["new"].proven
    assert [test.identity for test in ranking.tests] == ["edge", "luck"]
    assert rejected_rows(ranking) == ()
