"""What left a pool keeps its first birth and its record until its one test, and a late day knows what was tested."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from daybook.core.store import Store
from daybook.core.time import day_start_ms, parse_day
from daybook.rank import (
    KINDS,
    Evidence,
    EvidenceDay,
    PoolMember,
    PriorState,
    RunResult,
    TrialLedger,
    content_hash,
    due_tests,
    empty_pool,
    prior_state,
    publish_run,
    store_schema,
)
from daybook.rank.pool import ranked_pool

BEGAN = parse_day("2026-01-01")


def day_name(number: int) -> str:
    return (BEGAN + timedelta(days=number)).isoformat()


def member(name: str, born: int) -> PoolMember:
    return PoolMember(kind="strategy", identity=name, structure_hash=f"s-{name}", name=f"name {name}", spec={"n": name},
                      timeframe="5m", birth_day=day_name(born), birth_ms=day_start_ms(parse_day(day_name(born))),
                      origin="evolution", score=50.0, entered=day_name(born))


def record(one: PoolMember, *numbers: int) -> Evidence:
    def blocks(number: int) -> tuple[float, ...]:
        return tuple(np.random.default_rng([number, *one.identity.encode()]).normal(0.0, 1e-3, 24))

    return Evidence(identity=one.identity, kind="strategy", birth_ms=one.birth_ms, days=tuple(
        EvidenceDay(day=day_name(number), blocks=blocks(number), trades=2) for number in numbers))


def trials(run_id: str, count: int) -> TrialLedger:
    ledger = TrialLedger(run_id[:10], run_id, "00_score")
    ledger.extend({
        "kind": "sweep", "identity": [f"{run_id}-{n}" for n in range(count)], "structure_hash": "s", "params": {},
        "symbol": "B", "timeframe": "1m", "window_start": 0, "window_end": 1, "n_bars": 5, "birth": 0, "author": "t",
        "data_hash": "d", "outcome": "ok",
    })
    return ledger


def published(store: Store, number: int, pool: list[PoolMember], *, run: int = 1, previous: int | None = None,
              **more) -> RunResult:
    today = day_name(number)
    held = ranked_pool(today, "strategy", 20, pool)
    result = RunResult.model_validate({
        "run_id": f"{today}/{run:02d}", "day": today, "number": run, "official": run == 1, "status": "complete",
        "seed": 7, "source": "t", "code_hash": "c", "data_hash": "d",
        "previous_day": None if previous is None else day_name(previous),
        "pools": tuple(held if kind == "strategy" else empty_pool(today, kind) for kind in KINDS),
        "trials": (trials(f"{today}/{run:02d}", 10).table(),), **more})
    store.publish(lambda connection: publish_run(connection, result))
    return result


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "data", store_schema())


A, B = member("a", 0), member("b", 0)


def made_on(number: int, state: PriorState):
    records = [state.evidence[name] for name in sorted(state.evidence)]
    return due_tests(day_name(number), records, {"a": "name a", "b": "name b"}, state.tests)


def test_a_former_member_is_followed_with_its_record_until_it_is_tested(store):
    published(store, 0, [A, B])
    published(store, 1, [A], previous=0, evidence=(record(A, 1),), followed=(record(A, 1), record(B, 1)))
    state = prior_state(store, day_name(2))
    assert state.followed == (B.model_copy(update={"rank": 2}),)
    assert state.evidence == {"a": record(A, 1), "b": record(B, 1)}
    published(store, 28, [A], previous=1, evidence=(record(A, *range(1, 29)),),
              followed=(record(A, *range(2, 29)), record(B, *range(2, 29))))
    state = prior_state(store, day_name(29))
    assert state.evidence == {"a": record(A, *range(1, 29)), "b": record(B, *range(1, 29))}
    made = made_on(29, state)
    assert [test.name for test in made] == ["name a", "name b"]
    published(store, 29, [A], previous=28, tests=made)
    after = prior_state(store, day_name(30))
    assert after.followed == ()
    assert set(after.evidence) == {"a"}
    assert after.tests == made


def test_a_record_that_can_no_more_be_made_whole_is_not_followed_for_ever(store):
    published(store, 0, [A, B])
    published(store, 1, [A], previous=0)
    assert [one.identity for one in prior_state(store, day_name(63)).followed] == ["b"]
    assert prior_state(store, day_name(64)).followed == ()


def test_what_is_born_again_keeps_its_first_birth_and_its_one_test(store):
    published(store, 0, [A, B])
    published(store, 1, [B], previous=0, followed=(record(A, 1), record(B, 1)))
    again = member("a", 2)
    published(store, 2, [again, B], previous=1, followed=(record(A, 2),))
    state = prior_state(store, day_name(3))
    assert state.pools["strategy"].member("a").birth_ms == again.birth_ms
    assert state.evidence["a"] == record(A, 1, 2)
    assert {"a", "b"} <= state.identities, "a design that was born is refused"
    late = prior_state(store, day_name(300))
    assert {"a", "b"} <= late.identities


def test_a_day_that_is_run_late_knows_every_test_and_spends_no_level_twice(store):
    whole = tuple(range(1, 29))
    published(store, 0, [A, B])
    first = due_tests(day_name(30), [record(A, *whole)], {"a": "name a"}, ())
    published(store, 30, [A, B], previous=0, tests=first, followed=(record(A, *whole), record(B, *whole)))
    late = prior_state(store, day_name(29))
    assert late.tests == first
    assert late.previous_day == day_name(0)
    second = due_tests(day_name(29), [record(A, *whole), record(B, *whole)], {"b": "name b"}, late.tests)
    assert [test.identity for test in second] == ["b"]
    assert second[0].level < first[0].level
    published(store, 29, [A, B], previous=0, tests=second)
    assert prior_state(store, day_name(31)).tests == (*first, *second), "in the order in which they were entered"


def test_a_late_day_is_charged_with_the_trials_of_all_runs_before_it(store):
    published(store, 0, [A])
    published(store, 2, [A], previous=0)
    assert prior_state(store, day_name(1)).trials.ever == 20
    assert prior_state(store, day_name(2), 2).trials.ever == 20
    published(store, 1, [A], previous=0)
    assert prior_state(store, day_name(3)).trials.ever == 30


def test_a_published_day_finds_again_what_it_found_whatever_came_later(store):
    published(store, 0, [A, B])
    published(store, 1, [A, B], previous=0, evidence=(record(A, 1),), followed=(record(A, 1),))
    found = prior_state(store, day_name(2))
    published(store, 2, [A, B], previous=1, evidence=(record(A, 2),), followed=(record(A, 2), record(B, 1, 2)),
              tests=due_tests(day_name(2), [record(A, 1)], {}, (), forward_days=1))
    published(store, 1, [B], run=2)
    assert prior_state(store, day_name(2)) == found
    re_run = prior_state(store, day_name(2), 2)
    assert (re_run.tests, re_run.evidence) == (found.tests, found.evidence)
    assert re_run.trials.ever == 40


def test_a_re_run_starts_where_its_day_did_though_an_earlier_day_was_run_late(store):
    published(store, 0, [A, B])
    found = prior_state(store, day_name(2))
    published(store, 2, [A, B], previous=0)
    published(store, 1, [B], previous=0)
    again = prior_state(store, day_name(2), 2)
    assert again.previous_day == found.previous_day == day_name(0)
    assert (again.pools, again.history, again.tests) == (found.pools, found.history, found.tests)
    assert prior_state(store, day_name(2)) == found
    assert prior_state(store, day_name(3)).previous_day == day_name(2)


def test_of_a_day_that_two_runs_tell_of_the_first_word_counts_and_a_rebuild_says_the_same(store, tmp_path):
    told = record(B, 1).model_copy(update={"days": (EvidenceDay(day=day_name(1), blocks=(0.5,) * 24, trades=1),)})
    runs = [published(store, 0, [A, B]), published(store, 2, [A], previous=0, followed=(record(B, 1, 2),)),
            published(store, 1, [B], previous=0, evidence=(told,), followed=(told,))]
    assert prior_state(store, day_name(3)).evidence["b"] == record(B, 1, 2)
    rebuilt = Store(tmp_path / "rebuilt", store_schema())
    for result in (*runs, runs[1], runs[2]):
        rebuilt.publish(lambda connection, result=result: publish_run(connection, result))
    assert rebuilt.read(content_hash) == store.read(content_hash)


def test_a_run_without_followed_records_hashes_as_it_did_before_there_were_any(store):
    result = published(store, 0, [A])
    assert result.record_hash(()) == result.model_copy(update={"followed": ()}).record_hash(())
    assert "followed" not in result.model_dump(exclude={"followed"})
    assert result.record_hash(()) != result.model_copy(update={"followed": (record(A),)}).record_hash(())
