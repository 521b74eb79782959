"""Runs go into the published store: replaced exactly, never rewriting history, rebuilt alike."""

from __future__ import annotations

import gzip
import hashlib
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from daybook.core.errors import DataError, UsageError
from daybook.core.store import Store
from daybook.core.time import day_start_ms, parse_day
from daybook.rank import (
    KINDS,
    Archived,
    Evidence,
    EvidenceDay,
    ForwardTest,
    PoolMember,
    PriorState,
    RunResult,
    ScoreResult,
    ScoreRow,
    TrialLedger,
    content_hash,
    empty_pool,
    pool_of,
    prior_state,
    publish_run,
    published_runs,
    state_before,
    store_schema,
    trial_counts,
    verify_trials,
)
from daybook.rank.ledger import row_digests
from daybook.rank.pool import ranked_pool

FIRST = "2023-06-14"
STORE_1 = Path(__file__).with_name("stores") / "store-1.duckdb.gz"
RECORD_1 = "d986986f0ef4f2e813f8cfbf2a2ec76c8b8f7e7758f29617b4431c5e9178c3a2"
"""Record hash of the first day in that store."""


def day_after(day: str, days: int = 1) -> str:
    return (parse_day(day) + timedelta(days=days)).isoformat()


def member(identity: str, score: float, day: str) -> PoolMember:
    return PoolMember(
        kind="strategy", identity=identity, structure_hash=f"s-{identity}", name=f"name {identity}",
        spec={"entry": "é"}, params={"period": 14, "level": 0.25}, timeframe="5m",
        birth_day=FIRST, birth_ms=day_start_ms(parse_day(FIRST)),
        origin="evolution", score=score, entered=day,
    )


def trials(run_id: str, count: int, label: str, kind: str = "sweep") -> pa.Table:
    ledger = TrialLedger(run_id[:10], run_id, "20_backtest")
    ledger.extend({
        "kind": kind, "identity": [f"{label}{n}" for n in range(count)], "structure_hash": f"s-{label}",
        "params": {"n": 1}, "symbol": "BTCUSDT", "timeframe": "1m", "window_start": 0, "window_end": 1, "n_bars": 10,
        "birth": 0, "author": "test", "data_hash": "d", "outcome": "ok", "sharpe": np.arange(count) * 0.5,
    })
    return ledger.table()


def run(day: str, number: int = 1, *, official: bool | None = None, previous: str | None = None, label: str = "a",
        count: int = 5) -> RunResult:
    run_id = f"{day}/{number:02d}"
    held = [member(f"{label}1", 60.0, day), member(f"{label}2", 40.0, day)]
    birth = day_start_ms(parse_day(FIRST))
    evidence = []
    if day > FIRST:
        evidence = [Evidence(identity=f"{label}1", kind="strategy", birth_ms=birth, days=(
            EvidenceDay(day=day, blocks=tuple(np.linspace(-0.01, 0.01, 24)), trades=3),))]
    pools = tuple(
        ranked_pool(day, kind, 20, held) if kind == "strategy" else empty_pool(day, kind) for kind in KINDS
    )
    return RunResult(
        run_id=run_id, day=day, number=number, parent=f"{day}/01" if number > 1 else None,
        official=number == 1 if official is None else official, status="finished", previous_day=previous, seed=7,
        source="synthetic", code_hash="c", data_hash="d", facts={"fee_bps": 5.0}, pools=pools,
        scores=tuple(ScoreRow(kind="strategy", identity=one.identity, name=one.name,
                              result=ScoreResult(score=one.score, psr=0.5, n_blocks=168, trades=9)) for one in held),
        archived=(Archived(member=member(f"{label}9", 1.0, day), reason="replaced"),),
        evidence=tuple(evidence), trials=(trials(run_id, count, label),),
    )


def outcome_of(day: str, name: str) -> ForwardTest:
    return ForwardTest(day=day, kind="strategy", identity=name, name=f"name {name}", birth_ms=0, forward_days=28, n=672,
                       sharpe=3.5, p_value=0.01, level=0.002, rejected=False)


def unfinished_trials(name: str, count: int) -> pa.Table:
    table = trials("2023-06-14/01", count, name)
    place = table.schema.get_field_index("run_id")
    return table.set_column(place, table.schema.field(place), pa.array([f"unfinished/{name}"] * count))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data", store_schema())


def publish(store: Store, *results: RunResult):
    receipts = []
    for result in results:
        store.publish(lambda connection, result=result: receipts.append(publish_run(connection, result)))
    return receipts if len(receipts) != 1 else receipts[0]


def days(count: int) -> list[RunResult]:
    names = [day_after(FIRST, n) for n in range(count)]
    return [run(day, previous=names[n - 1] if n else None, label=chr(97 + n)) for n, day in enumerate(names)]


def test_each_day_finds_the_day_before(store):
    one, two, three = days(3)
    publish(store, one, two, three)
    state = prior_state(store, three.day)
    assert state.previous_day == two.day
    assert state.pools["strategy"] == two.pools[0]
    assert [row.day for row in state.history] == [one.day] * 2 + [two.day] * 2
    assert (state.trials.today, state.trials.ever, state.trials.by_kind) == (5, 10, {"sweep": 10})
    assert "a0" in state.identities
    assert "c0" not in state.identities
    assert [entry.day for entry in state.evidence["b1"].days] == [two.day]
    assert PriorState.model_validate_json(state.model_dump_json()) == state


def test_the_first_day_starts_from_nothing(store):
    assert prior_state(store, FIRST) == PriorState.empty(FIRST)
    publish(store, *days(2))
    assert store.read(lambda connection: state_before(connection, FIRST)) == PriorState.empty(FIRST)


def test_a_gap_of_days_reads_the_newest_day_before_it(store):
    publish(store, *days(2))
    state = prior_state(store, day_after(FIRST, 9))
    assert state.previous_day == day_after(FIRST)
    assert (state.trials.today, state.trials.ever) == (5, 10)


def test_evidence_grows_over_the_days_of_a_member(store):
    first, second = day_after(FIRST), day_after(FIRST, 2)
    publish(store, run(FIRST), run(first, previous=FIRST), run(second, previous=first))
    record = prior_state(store, day_after(FIRST, 3)).evidence["a1"]
    assert [entry.day for entry in record.days] == [first, second]
    assert record.trades == 6
    assert prior_state(store, second).evidence["a1"].days == record.days[:1]


def test_publishing_a_day_again_changes_nothing(store):
    one, two = days(2)
    publish(store, one, two)
    before = store.read(content_hash)
    for result in (two, one):
        assert publish(store, result).outcome == "unchanged"
    assert store.read(content_hash) == before
    assert store.read(verify_trials) is None


def test_the_newest_day_is_replaced_exactly(store, tmp_path):
    one, two = days(2)
    publish(store, one, two)
    other = run(two.day, previous=one.day, label="z", count=3)
    receipt = publish(store, other)
    assert (receipt.outcome, receipt.sequence, receipt.trials) == ("replaced", 2, 3)
    fresh = Store(tmp_path / "fresh", store_schema())
    publish(fresh, one, other)
    assert fresh.read(content_hash) == store.read(content_hash)


def test_an_older_day_with_other_content_is_refused_and_nothing_changes(store):
    one, two = days(2)
    publish(store, one, two)
    before = store.read(content_hash)
    with pytest.raises(UsageError, match="only the newest run can be replaced"):
        publish(store, run(one.day, label="z"))
    assert store.read(content_hash) == before


def test_a_re_run_counts_its_trials_and_touches_no_pool(store):
    one, two = days(2)
    publish(store, one, two)
    pools = store.read(lambda connection: [pool_of(connection, one.day, kind) for kind in KINDS])
    receipt = publish(store, run(one.day, 2, label="r", count=9))
    assert receipt.sequence == 3
    assert store.read(lambda connection: [pool_of(connection, one.day, kind) for kind in KINDS]) == pools
    assert store.read(lambda connection: trial_counts(connection, two.day)).ever == 19
    assert prior_state(store, two.day).trials.ever == 5, "what the first run of that day found"
    state = prior_state(store, two.day, 2)
    assert state.previous_day == one.day
    assert state.trials.ever == 19
    assert "r0" in state.identities
    assert not [row for row in state.history if row.identity.startswith("r")]


def test_a_re_run_counts_the_runs_of_its_day_that_came_before_it(store):
    one, two = days(2)
    publish(store, one, two)
    assert prior_state(store, two.day, 2).trials.ever == 10
    publish(store, run(two.day, 2, label="r", count=9))
    assert prior_state(store, two.day, 3).trials.ever == 19
    assert prior_state(store, two.day, 2).trials.ever == 10
    assert prior_state(store, two.day).trials.ever == 5
    assert prior_state(store, two.day, 3).trials.today == 5


def test_nulls_are_counted_and_are_no_designs_that_a_duplicate_could_repeat(store):
    one = run(FIRST).model_copy(update={"trials": (trials(f"{FIRST}/01", 3, "null-", "null"),)})
    publish(store, one)
    state = prior_state(store, day_after(FIRST))
    assert (state.trials.by_kind, state.identities) == ({"null": 3}, frozenset({"a1", "a2"})), "the pool"


def test_trials_of_unfinished_runs_are_chained_and_counted_with_the_run_that_took_them_in(store):
    one, two = days(2)
    one = one.model_copy(update={"unfinished": (unfinished_trials("2023-06-14-1", 4),)})
    receipts = publish(store, one, two)
    assert [receipt.trials for receipt in receipts] == [9, 5]
    assert store.read(verify_trials) is None
    assert prior_state(store, two.day).trials.ever == 9
    assert publish(store, one).outcome == "unchanged"
    replaced = run(two.day, previous=one.day, label="z", count=2)
    publish(store, replaced.model_copy(update={"unfinished": (unfinished_trials("2023-06-15-1", 3),)}))
    publish(store, replaced)
    assert store.read(lambda connection: trial_counts(connection, two.day)).ever == 11
    assert store.read(verify_trials) is None


def test_a_ledger_that_is_said_to_be_unfinished_can_not_hold_rows_of_a_finished_run(store):
    with pytest.raises(DataError, match="holds rows of"):
        publish(store, run(FIRST).model_copy(update={"unfinished": (trials(f"{FIRST}/01", 2, "x"),)}))


def test_forward_tests_are_carried_on_in_the_order_in_which_they_were_made(store):
    one, two, three = days(3)
    first = one.model_copy(update={"tests": (outcome_of(one.day, "b"), outcome_of(one.day, "a"))})
    second = two.model_copy(update={"tests": (outcome_of(two.day, "c"),)})
    publish(store, first, second, run(two.day, 2, label="r").model_copy(update={"tests": (outcome_of(two.day, "x"),)}))
    assert [test.identity for test in prior_state(store, three.day).tests] == ["b", "a", "c"]
    assert [test.identity for test in prior_state(store, two.day).tests] == ["b", "a"]
    with pytest.raises(ValidationError, match="its day only"):
        RunResult(**{name: getattr(one, name) for name in RunResult.model_fields}
                  | {"tests": (outcome_of(two.day, "c"),)})


@pytest.fixture
def version_1(tmp_path):
    """A store as the first Daybook published it: two days and a re-run."""
    content = gzip.decompress(STORE_1.read_bytes())
    folder = tmp_path / "old" / "store"
    folder.mkdir(parents=True)
    name = "daybook-000003.duckdb"
    (folder / name).write_bytes(content)
    (folder / "daybook-000003.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    return Store(tmp_path / "old", store_schema())


def test_row_11_a_store_of_the_first_schema_is_migrated_on_a_copy_and_its_chain_holds(version_1):
    one, two = days(2)
    before = {path.name: path.read_bytes() for path in version_1.folder.glob("daybook-000003*")}
    assert version_1.upgrade().number == 4
    assert version_1.upgrade() is None
    assert {path.name: path.read_bytes() for path in version_1.folder.glob("daybook-000003*")} == before
    assert version_1.read(verify_trials) is None
    state = prior_state(version_1, day_after(two.day))
    assert (state.previous_day, state.trials.ever, state.tests) == (two.day, 19, ())
    assert state.pools["strategy"] == two.pools[0]
    head = version_1.read(lambda connection: connection.execute("SELECT max(sequence), last(chain_head) FROM runs"
                                                                " WHERE sequence = 3").fetchone())
    assert (head[0], head[1].hex()) == (3, "a306c9bef3cc08725c5f7c47635f4c3c")
    three = run(day_after(two.day), previous=two.day, label="c")
    assert publish(version_1, three).sequence == 4
    assert version_1.read(verify_trials) is None
    assert publish(version_1, three).outcome == "unchanged"
    assert one.record_hash(row_digests(one.trial_rows())) != RECORD_1, "rows of today are of another form"


KILLED = """
import os, signal, sys
from pathlib import Path
import daybook.core.store as core
from daybook.rank import store_schema
name, when = sys.argv[2], sys.argv[3]
owner = core.Store if hasattr(core.Store, name) else core
original = getattr(owner, name)

def dying(*arguments):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, dying)
core.Store(Path(sys.argv[1]), store_schema()).upgrade()
"""


@pytest.mark.parametrize(("name", "when"), [
    ("_bring_up_to_date", "after"), ("_seal", "before"), ("_seal", "after"),
])
def test_row_13_a_migration_that_is_killed_leaves_a_usable_generation(version_1, tmp_path, name, when):
    died = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "old"), name, when], check=False)
    assert died.returncode == -signal.SIGKILL
    usable = version_1.verified()
    assert usable.number == (4 if (name, when) == ("_seal", "after") else 3)
    version_1.upgrade()
    assert version_1.read(verify_trials) is None
    assert prior_state(version_1, "2023-06-16").trials.ever == 19


def test_a_changed_row_of_the_first_form_is_still_found_after_the_migration(version_1):
    version_1.upgrade()
    version_1.publish(lambda connection: connection.execute(
        "UPDATE trials SET sharpe = 9 WHERE sequence = 2 AND position = 3"))
    broken = version_1.read(verify_trials)
    assert (broken.run_id, broken.position) == ("2023-06-15/01", 3)


def test_an_old_run_published_anew_gives_the_record_and_chain_that_it_had(store):
    old = run(FIRST).model_copy(update={"trials": (STORE_1.with_name("trials-1.parquet"),)})
    receipt = publish(store, old)
    assert (receipt.record_hash, receipt.chain_head) == (RECORD_1, "08625b8bb4beb8c343b0cd6d87f5d2b3")


def test_a_day_that_has_only_a_re_run_is_no_previous_day(store):
    one, two = days(2)
    publish(store, one, run(two.day, 2, label="r"))
    state = prior_state(store, day_after(two.day))
    assert (state.previous_day, state.trials.today, state.trials.ever) == (one.day, 5, 10)


def test_an_adopted_re_run_becomes_the_day(store):
    one = run(FIRST)
    publish(store, one, run(FIRST, 2, label="r"))
    assert prior_state(store, day_after(FIRST)).pools["strategy"].members[0].identity == "a1"
    assert publish(store, run(FIRST, 2, label="r", official=True)).outcome == "adopted"
    state = prior_state(store, day_after(FIRST))
    assert state.pools["strategy"].members[0].identity == "r1"
    official = store.read(lambda connection: connection.execute("SELECT run_id FROM runs WHERE official").fetchall())
    assert official == [(f"{FIRST}/02",)]


def test_the_store_is_rebuilt_alike_from_runs_in_order(store, tmp_path):
    one, two, three = days(3)
    results = [one, two, run(one.day, 2, label="r"), three]
    for result in (*results, two, one):
        publish(store, result)
    rebuilt = Store(tmp_path / "rebuilt", store_schema())

    def rebuild(connection):
        for result in results:
            publish_run(connection, result)

    rebuilt.publish(rebuild)
    assert rebuilt.read(content_hash) == store.read(content_hash)
    assert rebuilt.read(verify_trials) is None


def test_content_hash_sees_every_table(store):
    publish(store, *days(2))
    seen = {store.read(content_hash)}
    for change in (
        "UPDATE runs SET seed = 8 WHERE sequence = 1", "UPDATE pools SET capacity = 21",
        "DELETE FROM scores WHERE score > 50",
        "UPDATE pool_members SET name = 'x' WHERE rank = 1", "UPDATE archive SET reason = 'y'",
        "UPDATE evidence SET trades = 4", "UPDATE trials SET sharpe = 9 WHERE position = 2",
    ):
        store.publish(lambda connection, change=change: connection.execute(change))
        seen.add(store.read(content_hash))
    assert len(seen) == 8


@pytest.mark.parametrize(("change", "run_id", "position"), [
    ("UPDATE trials SET sharpe = 9 WHERE sequence = 2 AND position = 3", "2023-06-15/01", 3),
    ("DELETE FROM trials WHERE sequence = 1 AND position = 1", "2023-06-14/01", 1),
    ("DELETE FROM trials WHERE sequence = 2 AND position = 4", "2023-06-15/01", 4),
    ("UPDATE runs SET trials = 4 WHERE sequence = 1", "2023-06-14/01", 5),
    ("INSERT INTO trials SELECT * REPLACE (5 AS position) FROM trials WHERE sequence = 1 AND position = 4",
     "2023-06-14/01", 5),
    ("UPDATE trials SET position = 9 - position WHERE sequence = 2", "2023-06-15/01", 0),
    ("UPDATE trials SET sequence = 5 - sequence WHERE sequence IN (2, 3)", "2023-06-16/01", 0),
    ("INSERT INTO trials SELECT * REPLACE (9 AS sequence) FROM trials WHERE sequence = 1 AND position = 0",
     "2023-06-14/01", 0),
    ("DELETE FROM trials WHERE sequence = 3", "2023-06-16/01", 0),
    ("UPDATE runs SET chain_head = chain_previous WHERE sequence = 3", "2023-06-16/01", 5),
])
def test_a_changed_or_missing_trial_is_named(store, change, run_id, position):
    publish(store, *days(3))
    store.publish(lambda connection: connection.execute(change))
    broken = store.read(verify_trials)
    assert (broken.run_id, broken.position) == (run_id, position)


def test_a_store_that_lost_a_day_refuses_the_next(store):
    one, two, three = days(3)
    publish(store, one)
    with pytest.raises(DataError, match=r"started from the pools of 2023-06-15.*is 2023-06-14"):
        publish(store, three)
    assert publish(store, two).outcome == "published"


def test_trials_of_another_run_or_a_missing_ledger_are_refused(store, tmp_path):
    foreign = run(FIRST).model_copy(update={"trials": (trials("2023-06-13/01", 2, "x"),)})
    with pytest.raises(DataError, match="holds rows of"):
        publish(store, foreign)
    with pytest.raises(DataError, match="file is missing"):
        publish(store, run(FIRST).model_copy(update={"trials": (tmp_path / "trials.parquet",)}))
    assert store.newest() is None


def test_published_runs_are_listed_in_the_order_of_a_rebuild(store):
    one, two = days(2)
    publish(store, one, two, run(FIRST, 2, label="r"))
    listed = store.read(published_runs)
    assert [(row.sequence, row.run_id, row.official, row.parent, row.trials) for row in listed] == [
        (1, "2023-06-14/01", True, None, 5), (2, "2023-06-15/01", True, None, 5),
        (3, "2023-06-14/02", False, "2023-06-14/01", 5),
    ]


def test_a_run_result_must_be_consistent():
    for change, said in (
        ({"run_id": "2023-06-14/02"}, "day and number name the run"),
        ({"facts": {"fee_bps": float("nan")}}, "JSON without NaN"),
        ({"previous_day": FIRST}, "must lie before its day"),
        ({"pools": ()}, "an official run needs the pools"),
        ({"pools": (empty_pool("2023-06-13", "model"),)}, "of the run's own day"),
    ):
        values = {name: getattr(run(FIRST), name) for name in RunResult.model_fields} | change
        with pytest.raises(ValidationError, match=said):
            RunResult(**values)
