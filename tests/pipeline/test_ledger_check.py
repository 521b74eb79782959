"""A ledger that was rewritten is found out: by its chain, and by receipts that lie outside the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daybook.core.errors import DataError
from daybook.core.files import write_json
from daybook.core.store import Store
from daybook.pipeline import publish
from daybook.pipeline.commands.trials import trials_check
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.ledger_check import check_ledger, require_whole_ledger
from daybook.pipeline.publish import RECEIPT, record_all
from daybook.rank import RunResult, TrialLedger, publish_run, store_schema
from daybook.rank.ledger import chained, row_digests

Change = Callable[[Any], Any]


def result_of(day: str, best: float = 4.0) -> RunResult:
    """A re-run, which needs no pools, with four trials."""
    ledger = TrialLedger(day, f"{day}/02", "20_backtest")
    ledger.extend({
        "kind": "sweep", "identity": [f"i{n}" for n in range(4)], "structure_hash": "s", "params": {},
        "symbol": "BTCUSDT", "timeframe": "1m", "window_start": 0, "window_end": 1, "n_bars": 10, "birth": 0,
        "author": "test", "data_hash": "d", "outcome": "ok", "sharpe": [1.0, 2.0, 3.0, best],
    })
    return RunResult(run_id=f"{day}/02", day=day, number=2, official=False, status="complete", seed=7, source="test",
                     code_hash="c", data_hash="d", trials=(ledger.table(),))


def published(tmp_path: Path, days: int = 3) -> tuple[RunFolders, Path]:
    """Re-runs on so many days, each with its receipt."""
    folders, data = RunFolders(tmp_path / "runs"), tmp_path / "data"
    for number in range(1, days + 1):
        day = f"2026-01-{number:02d}"
        result = result_of(day)
        receipts: list[Any] = []
        Store(data, store_schema()).publish(
            lambda connection, result=result, receipts=receipts: receipts.append(publish_run(connection, result)))
        write_json(folders.finished(f"{day}/02") / RECEIPT, receipts[0].model_dump(mode="json"))
    return folders, data


def changed(data: Path, change: Change) -> None:
    Store(data, store_schema()).publish(change)


def test_a_ledger_as_published_is_whole(tmp_path: Path) -> None:
    folders, data = published(tmp_path)
    found = check_ledger(folders, data)
    assert (found.runs, found.trials, found.receipts, found.problem) == (3, 12, 3, None)
    assert check_ledger(folders, data, 2).runs == 2
    require_whole_ledger(folders, data)
    assert check_ledger(folders, tmp_path / "nothing").trials == 0


def test_a_changed_trial_of_a_recent_run_stops_the_day(tmp_path: Path) -> None:
    folders, data = published(tmp_path)
    changed(data, lambda connection: connection.execute("UPDATE trials SET sharpe = 9 WHERE sequence = 3"))
    with pytest.raises(DataError, match=r"run 2026-01-03/02, row 0.*Move .*store away"):
        require_whole_ledger(folders, data)


def test_an_older_change_is_found_by_the_whole_check(tmp_path: Path) -> None:
    folders, data = published(tmp_path)
    changed(data, lambda connection: connection.execute("DELETE FROM trials WHERE sequence = 1 AND position = 3"))
    require_whole_ledger(folders, data)
    assert "2026-01-01/02" in (check_ledger(folders, data).problem or "")
    with pytest.raises(DataError, match="2026-01-01/02"):
        trials_check(data=data, runs=folders.root)


def test_a_chain_that_was_forged_whole_does_not_agree_with_the_receipts(tmp_path: Path) -> None:
    folders, data = published(tmp_path, 1)

    def forge(connection: Any) -> None:
        connection.execute("UPDATE trials SET sharpe = 0 WHERE position = 3")
        names = TrialLedger("d", "r", "s").table().schema.names
        rows = connection.execute("SELECT * FROM trials ORDER BY position").to_arrow_table().select(names)
        table, head = chained(rows, row_digests(rows))
        for place, link in enumerate(table["row_hash"].to_pylist()):
            connection.execute("UPDATE trials SET row_hash = ? WHERE position = ?", [link, place])
        connection.execute("UPDATE runs SET chain_head = ?", [head])

    changed(data, forge)
    assert check_ledger(RunFolders(tmp_path / "elsewhere"), data).problem is None, "the chain alone holds"
    assert "as its receipt says" in (check_ledger(folders, data).problem or "")
    with pytest.raises(DataError, match="as its receipt says"):
        require_whole_ledger(folders, data)


def rebuilt(folders: RunFolders, data: Path, monkeypatch: pytest.MonkeyPatch, days: str, best: float = 4.0) -> None:
    """Enter the runs of these days into a new store, the second of January with this best Sharpe ratio."""
    monkeypatch.setattr(publish, "run_result", lambda folder: result_of(
        folder.parent.name, best if folder.parent.name.endswith("02") else 4.0))
    record_all([folders.finished(f"2026-01-{day}/02") for day in days.split()], data)


def test_a_rebuild_takes_no_trials_that_were_changed_and_misses_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, _ = published(tmp_path)
    before = {path: path.read_bytes() for path in folders.root.rglob(RECEIPT)}
    rebuilt(folders, tmp_path / "again", monkeypatch, "01 02 03")
    assert check_ledger(folders, tmp_path / "again").problem is None
    with pytest.raises(DataError, match="run 2026-01-02/02: its trials are not those that its receipt says"):
        rebuilt(folders, tmp_path / "better", monkeypatch, "01 02 03", best=9.0)
    with pytest.raises(DataError, match="run 2026-01-03/02: a run that was published before it is missing"):
        rebuilt(folders, tmp_path / "fewer", monkeypatch, "01 03")
    assert {path: path.read_bytes() for path in folders.root.rglob(RECEIPT)} == before, "receipts stay as they were"
    assert check_ledger(folders, tmp_path / "better").runs == 0
    (folders.finished("2026-01-03/02") / RECEIPT).unlink()
    rebuilt(folders, tmp_path / "lost", monkeypatch, "01 03")
    assert check_ledger(folders, tmp_path / "lost").trials == 8


def test_the_command_says_how_many_trials_are_as_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders, data = published(tmp_path, 2)
    trials_check(data=data, runs=folders.root)
    assert "8 trials of 2 runs are as published; 2 receipts agree (sweep 8)." in capsys.readouterr().out
    trials_check(data=data, runs=folders.root, as_json=True)
    assert json.loads(capsys.readouterr().out)["by_kind"] == {"sweep": 8}
