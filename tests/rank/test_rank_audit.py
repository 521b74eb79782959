"""What the store holds is compared with what was published: by counts, by hashes, table by table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daybook.core.store import Store
from daybook.rank import RunResult, TrialLedger, empty_pool, publish_run, store_schema, table_hashes, verify_trials
from daybook.rank.audit import NO_ROWS, stray_row
from daybook.rank.kinds import KINDS

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three official days of five trials."""
    found = Store(tmp_path, store_schema())
    for day, previous in zip(DAYS, (None, *DAYS), strict=False):
        ledger = TrialLedger(day, f"{day}/01", "20_backtest")
        ledger.extend({
            "kind": "sweep", "identity": [f"i{n}" for n in range(5)], "structure_hash": "s", "params": {},
            "symbol": "BTCUSDT", "timeframe": "1m", "window_start": 0, "window_end": 1, "n_bars": 10, "birth": 0,
            "author": "test", "data_hash": "d", "outcome": "ok", "sharpe": [1.0, 2.0, 3.0, 4.0, 5.0],
        })
        result = RunResult(
            run_id=f"{day}/01", day=day, number=1, official=True, status="complete", previous_day=previous, seed=7,
            source="test", code_hash="c", data_hash="d", pools=tuple(empty_pool(day, kind) for kind in KINDS),
            trials=(ledger.table(),))
        found.publish(lambda connection, result=result: publish_run(connection, result) and None)
    return found


@pytest.mark.parametrize(("change", "seen"), [
    ("DELETE FROM trials WHERE sequence = 1 AND position = 2", "it holds 4 trials, 5 were chained to it"),
    ("DELETE FROM trials WHERE sequence = 1 AND position = 4", "it holds 4 trials, 5 were chained to it"),
    ("UPDATE trials SET position = 7 WHERE sequence = 1 AND position = 4", "it holds 5 trials, 5 were chained to it"),
    ("UPDATE trials SET position = 4 - position WHERE sequence = 1", "its last trial is not the one"),
    ("UPDATE runs SET number = 2 WHERE sequence = 1", "its day and number are 2026-01-01 and 2"),
    ("UPDATE runs SET sequence = 4 WHERE sequence = 3", "published before it is missing"),
    ("UPDATE trials SET sharpe = 9 WHERE sequence = 1 AND position = 2", None),
])
def test_without_hashing_a_row_what_is_missing_or_too_many_is_seen(store: Store, change: str, seen: str | None) -> None:
    store.publish(lambda connection: connection.execute(change) and None)
    broken = store.read(lambda connection: verify_trials(connection, hashed=()))
    assert (broken is None) == (seen is None)
    assert broken is None or str(seen) in broken.text
    assert store.read(verify_trials) is not None
    hashed: Any = {2, 3}
    broken = store.read(lambda connection: verify_trials(connection, hashed))
    assert (broken is None) == (seen is None), "the run that was changed is not among those that are hashed"


def test_hashes_are_by_run_and_table_and_stay_when_a_schema_grows(store: Store) -> None:
    before = store.read(lambda connection: table_hashes(connection, {"2026-01-02/01"}))
    assert before.keys() == {"2026-01-02/01"}
    tables = before["2026-01-02/01"]
    assert {"runs", "pools", "pool_members", "evidence", "tests"} <= tables.keys()
    assert (tables["tests"], tables["pools"] == NO_ROWS) == (NO_ROWS, False)

    def grow(connection: Any) -> None:
        connection.execute("ALTER TABLE pools ADD COLUMN later VARCHAR")
        connection.execute("CREATE TABLE newer (day VARCHAR)")

    store.publish(grow)
    after = store.read(lambda connection: table_hashes(connection, {"2026-01-02/01"}))["2026-01-02/01"]
    assert after == tables | {"newer": NO_ROWS}


def test_rows_of_a_day_without_an_official_run_are_named(store: Store) -> None:
    assert store.read(stray_row) is None
    store.publish(lambda connection: connection.execute("UPDATE runs SET official = false WHERE sequence = 2") and None)
    assert store.read(stray_row) == "published state: pools has rows of 2026-01-02, a day without an official run"
