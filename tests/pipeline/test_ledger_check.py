"""A published state that was rewritten is found out: by its seal, its chain, and receipts outside the store."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daybook.core.errors import DataError
from daybook.core.files import write_json
from daybook.core.hashing import hash_json
from daybook.core.settings import Settings
from daybook.core.store import Store
from daybook.core.time import day_start_ms, parse_day
from daybook.pipeline import ledger_check
from daybook.pipeline.commands.trials import trials_check
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.ledger_check import check_ledger, check_of_a_day, require_whole_ledger
from daybook.pipeline.manifest import Sealed, artefact_hashes, new_manifest, read_manifest, write_manifest
from daybook.pipeline.publish import RECEIPT, publish_missing, record
from daybook.pipeline.runner import RunRequest, run_day
from daybook.rank import KINDS, Evidence, EvidenceDay, TrialLedger, empty_pool, store_schema
from daybook.rank.ledger import GENESIS, SCHEMA, chained, read_trials, row_digests

Change = Callable[[Any], Any]
FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"


def finished(folders: RunFolders, day: str, previous: str | None, number: int = 1) -> Path:
    """The folder of a finished run with four trials; the first run of a day is official and tells a forward day."""
    name = f"{day}/{number:02d}"
    folder, official = folders.finished(name), number == 1
    write_json(folder / "inputs" / "bars.json", {"venue": "test"})
    write_json(folder / "inputs" / "state.json", {})
    ledger = TrialLedger(day, name, "20_backtest")
    ledger.extend({
        "kind": "sweep", "identity": [f"i{n}" for n in range(4)], "structure_hash": "s", "params": {},
        "symbol": "BTCUSDT", "timeframe": "1m", "window_start": 0, "window_end": 1, "n_bars": 10, "birth": 0,
        "author": "test", "data_hash": "d", "outcome": "ok", "sharpe": [1.0, 2.0, 3.0, 4.0],
    })
    ledger.write(folder / "artefacts" / "20_backtest")
    told = Evidence(identity="i1", kind="strategy", birth_ms=day_start_ms(parse_day("2025-12-01")),
                    days=(EvidenceDay(day=day, blocks=(0.01,) * 24, trades=3),))
    write_json(folder / "artefacts" / "40_rank_report" / "outcome.json", {
        "previous_day": previous, "pools": [empty_pool(day, kind).model_dump(mode="json") for kind in KINDS],
        "evidence": [told.model_dump(mode="json")],
    })
    sealed = Sealed(run_id=name, day=day, number=number, parent=None if official else f"{day}/01", official=official,
                    settings={"seed": 7, "source": "test"}, changed_parameters=[], settings_hash="s", code_hash="c",
                    data_hash="d", state_hash=hash_json({}), synthetic_label=None, versions={})
    manifest = new_manifest(sealed)
    manifest.status = "complete"
    for step in manifest.steps:
        step.state, step.artefacts = "done", artefact_hashes(folder, step.name)
    write_manifest(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three official days, each with its receipt."""
    root = tmp_path_factory.mktemp("published")
    for day, previous in ((FIRST, None), (SECOND, FIRST), (THIRD, SECOND)):
        record(finished(RunFolders(root / "runs"), day, previous), root / "data")
    return root


@pytest.fixture
def place(tmp_path: Path, published: Path) -> tuple[RunFolders, Path]:
    """A copy of it."""
    shutil.copytree(published, tmp_path / "place")
    return RunFolders(tmp_path / "place" / "runs"), tmp_path / "place" / "data"


def statement(text: str) -> Change:
    return lambda connection: connection.execute(text)


def changed(data: Path, change: Change | str) -> None:
    """Change the store, under a seal that fits, as a forger who knows the format would."""
    Store(data, store_schema()).publish(statement(change) if isinstance(change, str) else change)


def receipt_of(folders: RunFolders, day: str) -> Path:
    return folders.finished(f"{day}/01") / RECEIPT


def remanifest(folder: Path) -> None:
    """Make the manifest fit what lies in the folder."""
    manifest = read_manifest(folder)
    for step in manifest.steps:
        step.artefacts = artefact_hashes(folder, step.name)
    write_manifest(folder, manifest)


def forge(connection: Any, left_out: int = 1) -> None:
    """Take trials off the end of the first run and chain everything anew."""
    head = GENESIS
    for (sequence,) in connection.execute("SELECT sequence FROM runs ORDER BY sequence").fetchall():
        columns = ", ".join(f'"{name}"' for name in SCHEMA.names)
        query = f"SELECT {columns} FROM trials WHERE sequence = ? ORDER BY position"  # noqa: S608
        rows = connection.execute(query, [sequence]).to_arrow_table().cast(SCHEMA)
        rows = rows.slice(0, rows.num_rows - left_out) if sequence == 1 else rows
        previous, (rows, head) = head, chained(rows, row_digests(rows), head)
        connection.execute("DELETE FROM trials WHERE sequence = ? AND position >= ?", [sequence, rows.num_rows])
        for position, link in enumerate(rows["row_hash"].to_pylist()):
            connection.execute("UPDATE trials SET row_hash = ? WHERE sequence = ? AND position = ?",
                               [link, sequence, position])
        connection.execute("UPDATE runs SET trials = ?, chain_previous = ?, chain_head = ? WHERE sequence = ?",
                           [rows.num_rows, previous, head, sequence])


def test_a_state_as_published_is_whole(place: tuple[RunFolders, Path]) -> None:
    folders, data = place
    found = check_ledger(folders, data)
    assert (found.runs, found.trials, found.receipts, found.hashed) == (3, 12, 3, 12)
    assert (found.problem, found.problems, found.uncovered) == (None, (), ())
    require_whole_ledger(folders, data)
    nothing = check_ledger(RunFolders(data / "none"), data / "nothing")
    assert (nothing.trials, nothing.problem) == (0, None)


@pytest.mark.parametrize("change", [
    "DELETE FROM trials WHERE sequence = 1",
    "DELETE FROM trials WHERE sequence = 1 AND position = 1",
    "DELETE FROM trials WHERE sequence = 1 AND position = 3",
    "INSERT INTO trials SELECT * REPLACE (4 AS position) FROM trials WHERE sequence = 1 AND position = 3",
    "INSERT INTO trials SELECT * FROM trials WHERE sequence = 1 AND position = 2",
    "UPDATE runs SET trials = 3 WHERE sequence = 1",
    "UPDATE runs SET day = '2030-01-01' WHERE sequence = 1",
    "UPDATE runs SET record_hash = 'x' WHERE sequence = 1",
    "UPDATE runs SET chain_head = chain_previous WHERE sequence = 1",
    "DELETE FROM runs WHERE sequence = 1",
    "INSERT INTO trials SELECT * REPLACE (9 AS sequence) FROM trials WHERE sequence = 1",
    forge,
])
def test_rows_missing_or_too_many_in_the_oldest_run_stop_the_day(
    place: tuple[RunFolders, Path], monkeypatch: pytest.MonkeyPatch, change: Change | str
) -> None:
    folders, data = place
    monkeypatch.setattr(ledger_check, "NEWEST_TRIALS", 0)  # the oldest run's turn to be hashed is far off
    monkeypatch.setattr(ledger_check, "NEWEST_TABLES", 1)
    changed(data, change)
    with pytest.raises(DataError, match=r"no day begins. `daybook trials check`.*Move .*store away"):
        require_whole_ledger(folders, data)
    assert check_ledger(folders, data).problem is not None


@pytest.mark.parametrize("change", [
    "UPDATE trials SET sharpe = 9 WHERE sequence = 1 AND position = 1",
    "UPDATE trials SET position = 3 - position WHERE sequence = 1 AND position IN (1, 2)",
])
def test_an_edited_row_is_found_when_its_run_is_hashed(
    place: tuple[RunFolders, Path], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    folders, data = place
    changed(data, change)
    with pytest.raises(DataError, match=f"run {FIRST}/01, row"):
        require_whole_ledger(folders, data)
    monkeypatch.setattr(ledger_check, "NEWEST_TRIALS", 0)
    require_whole_ledger(folders, data)
    monkeypatch.setattr(ledger_check, "EVERY", 2)
    with pytest.raises(DataError, match=f"run {FIRST}/01, row"):
        require_whole_ledger(folders, data)
    with pytest.raises(DataError, match=f"run {FIRST}/01, row"):
        trials_check(data=data, runs=folders.root)


def test_every_run_has_its_turn_once_in_so_many_published_runs() -> None:
    def hashed(newest: int) -> set[int]:
        runs = [{"sequence": number, "trials": 10_000} for number in range(1, newest + 1)]
        return {run["sequence"] for run in ledger_check._turns(runs)}

    assert hashed(1) == {1}
    assert hashed(365) == {364, 365} | set(range(1, 365, 28))
    seen = [number for newest in range(365, 365 + 28) for number in hashed(newest) if number < 364]
    assert sorted(seen) == list(range(1, 364))


@pytest.mark.parametrize(("table", "change"), [
    ("evidence", "UPDATE evidence SET blocks = list_transform(blocks, x -> x + 0.01) WHERE day = '2026-01-02'"),
    ("evidence", "DELETE FROM evidence WHERE day = '2026-01-02'"),
    ("tests", "INSERT INTO tests BY NAME SELECT '2026-01-02' AS day, 0 AS place, 'strategy' AS kind, 'i1' AS identity, "
              "0.001 AS p_value, true AS rejected"),
    ("pools", "UPDATE pools SET capacity = 21 WHERE day = '2026-01-02'"),
    ("pool_members", "INSERT INTO pool_members BY NAME SELECT '2026-01-02' AS day, 'strategy' AS kind, 99.0 AS score"),
    ("runs", "UPDATE runs SET seed = 8 WHERE sequence = 2"),
    ("a day without an official run", "UPDATE runs SET official = false WHERE sequence = 2"),
    ("evidence has rows of 2025-12-31", "INSERT INTO evidence SELECT * REPLACE ('2025-12-31' AS day) FROM evidence"),
])
def test_what_decides_beside_the_trials_is_covered_by_the_receipts(
    place: tuple[RunFolders, Path], table: str, change: str
) -> None:
    folders, data = place
    changed(data, change)
    with pytest.raises(DataError, match=table):
        require_whole_ledger(folders, data)
    assert table in (check_ledger(folders, data).problem or "")


def test_a_run_that_never_was_official_can_not_be_marked_so(place: tuple[RunFolders, Path]) -> None:
    folders, data = place
    record(finished(folders, SECOND, FIRST, 2), data)
    require_whole_ledger(folders, data)
    changed(data, "UPDATE runs SET official = (number = 2) WHERE day = '2026-01-02'")
    with pytest.raises(DataError, match=f"run {SECOND}/02 is marked official"):
        require_whole_ledger(folders, data)


def test_receipts_of_an_older_daybook_are_told_as_not_covering_all(
    place: tuple[RunFolders, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folders, data = place
    said = json.loads(receipt_of(folders, SECOND).read_text())
    write_json(receipt_of(folders, SECOND), {name: said[name] for name in said if name not in ("tables", "artefacts")})
    found = check_ledger(folders, data)
    assert (found.problem, found.uncovered) == (None, (f"{SECOND}/01",))
    trials_check(data=data, runs=folders.root)
    assert f"Not covered: pools, evidence and tests of {SECOND}/01" in capsys.readouterr().out
    publish_missing(folders, data)
    shutil.rmtree(data / "store")
    publish_missing(folders, data)
    assert check_ledger(folders, data).uncovered == (), "a rebuild writes receipts that do"


def test_an_edited_generation_stops_the_day_before_it_begins_and_a_rebuild_has_the_true_count(
    place: tuple[RunFolders, Path]
) -> None:
    import duckdb

    folders, data = place
    newest = Store(data, store_schema()).newest()
    assert newest is not None
    with duckdb.connect(str(newest.path)) as connection:
        connection.execute("DELETE FROM trials WHERE sequence = 1")
    with pytest.raises(DataError, match=r"000003.duckdb: its bytes are not those that were sealed.*trials check"):
        require_whole_ledger(folders, data)
    found = check_ledger(folders, data)
    assert "its bytes are not those that were sealed" in found.problems[0]
    settings = Settings(data=data, runs=folders.root, source="synthetic")
    with pytest.raises(DataError, match="its bytes are not those that were sealed"):
        run_day(RunRequest("2026-01-04", settings), lambda _line: None)
    assert not (folders.root / ".staging").exists(), "no day began"
    assert f"run {FIRST}/01: it holds 0 trials, 4 were chained to it" in found.problems[1]
    digest = hashlib.sha256(newest.path.read_bytes()).hexdigest()
    newest.path.with_suffix(".sha256").write_text(f"{digest}  {newest.path.name}\n")
    with pytest.raises(DataError, match="it holds 0 trials, 4 were chained to it"):
        require_whole_ledger(folders, data)
    (data / "store").rename(data / "away")
    require_whole_ledger(folders, data)
    publish_missing(folders, data)
    assert check_ledger(folders, data).model_dump(include={"trials", "problem"}) == {"trials": 12, "problem": None}


def test_an_edited_only_generation_is_named_once(place: tuple[RunFolders, Path]) -> None:
    import duckdb

    folders, data = place
    for number in (1, 2):
        for path in (data / "store").glob(f"daybook-00000{number}.*"):
            path.unlink()
    with duckdb.connect(str(data / "store" / "daybook-000003.duckdb")) as connection:
        connection.execute("UPDATE trials SET sharpe = 9 WHERE sequence = 1")
    problem = check_ledger(folders, data).problem or ""
    assert problem.count("store: ") == 1
    assert "no generation is whole" in problem
    with pytest.raises(DataError, match="Something else than a day wrote to it"):
        require_whole_ledger(folders, data)


def test_a_store_that_lacks_published_runs_is_no_fault_of_a_day_but_one_that_the_check_names(
    place: tuple[RunFolders, Path]
) -> None:
    folders, data = place
    changed(data, lambda connection: [
        connection.execute("DELETE FROM trials WHERE sequence = 3"),
        connection.execute("DELETE FROM runs WHERE sequence = 3"),
    ])
    changed(data, "DELETE FROM evidence WHERE day = '2026-01-03'")
    changed(data, "DELETE FROM pools WHERE day = '2026-01-03'")
    assert f"run {THIRD}/01 was published as number 3" in (check_ledger(folders, data).problem or "")
    require_whole_ledger(folders, data)
    publish_missing(folders, data)
    assert check_ledger(folders, data).problem is None
    shutil.rmtree(data / "store")
    assert "there is no store, and 3 runs" in (check_ledger(folders, data).problem or "")
    assert check_of_a_day(folders, data).problem is None, "the day rebuilds it"


def cut(folders: RunFolders) -> Path:
    import pyarrow.parquet as pq

    path = folders.finished(f"{FIRST}/01") / "artefacts" / "20_backtest" / "trials.parquet"
    pq.write_table(read_trials(path).slice(0, 2), path)
    return path


def test_the_check_names_what_is_changed_or_missing_in_the_folders(place: tuple[RunFolders, Path]) -> None:
    folders, data = place
    folder = folders.finished(f"{FIRST}/01")
    cut(folders)
    assert "artefacts/20_backtest/trials.parquet in" in (check_ledger(folders, data).problem or "")
    remanifest(folder)
    assert "manifest.json is not the one that was published" in (check_ledger(folders, data).problem or "")
    said = json.loads((folder / RECEIPT).read_text())
    write_json(folder / RECEIPT, said | {"artefacts": None})
    assert f"the trials in {folder} are not those in the store" in (check_ledger(folders, data).problem or "")
    (folder / RECEIPT).unlink()
    assert f"its receipt {folder / RECEIPT} is missing" in (check_ledger(folders, data).problem or "")
    shutil.rmtree(folder)
    assert f"its folder {folder} is missing" in (check_ledger(folders, data).problem or "")
    with pytest.raises(DataError, match=r"is missing.*Restore what was changed"):
        trials_check(data=data, runs=folders.root)
    require_whole_ledger(RunFolders(data / "elsewhere"), data)


def test_a_lost_receipt_is_written_again_only_if_the_store_follows_from_the_run(place: tuple[RunFolders, Path]) -> None:
    folders, data = place
    before = receipt_of(folders, SECOND).read_bytes()
    for day in (FIRST, SECOND, THIRD):
        receipt_of(folders, day).unlink()
    changed(data, "UPDATE evidence SET trades = 99")
    publish_missing(folders, data)
    assert json.loads(receipt_of(folders, SECOND).read_text()) | {"outcome": "published"} == json.loads(before)
    assert check_ledger(folders, data).problem is None, "the rows of the days were written again"
    for day in (FIRST, SECOND, THIRD):
        receipt_of(folders, day).unlink()
    changed(data, forge)
    with pytest.raises(DataError, match=f"run {FIRST}/01: the store says other chain_head, trials"):
        publish_missing(folders, data)
    assert not list(folders.root.rglob(RECEIPT))


def test_a_rebuild_takes_no_run_that_was_changed_and_misses_none(place: tuple[RunFolders, Path]) -> None:
    folders, data = place
    before = {path: path.read_bytes() for path in folders.root.rglob(RECEIPT)}
    shutil.rmtree(data / "store")
    publish_missing(folders, data)
    assert {path: path.read_bytes() for path in before} == before
    shutil.rmtree(data / "store")
    folder = folders.finished(f"{SECOND}/01")
    outcome = folder / "artefacts" / "40_rank_report" / "outcome.json"
    text = outcome.read_text()
    outcome.write_text(text.replace("0.01", "0.02"))
    remanifest(folder)
    with pytest.raises(DataError, match=f"run {SECOND}/01: its artefacts are not those that its receipt says"):
        publish_missing(folders, data)
    outcome.write_text(text)
    cut(folders)
    remanifest(folders.finished(f"{FIRST}/01"))
    remanifest(folder)
    with pytest.raises(DataError, match=f"run {FIRST}/01: its trials are not those that its receipt says"):
        publish_missing(folders, data)
    shutil.rmtree(folders.finished(f"{FIRST}/01"))
    with pytest.raises(DataError, match=r"that was published before it is missing|started from the pools of"):
        publish_missing(folders, data)
    assert {path: path.read_bytes() for path in before if path.is_file()}.items() <= before.items()


def test_the_command_says_how_many_trials_are_as_published(
    place: tuple[RunFolders, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folders, data = place
    trials_check(data=data, runs=folders.root)
    assert capsys.readouterr().out == "12 trials of 3 runs are as published; 3 receipts agree (sweep 12).\n"
    trials_check(data=data, runs=folders.root, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["by_kind"], said["problem"], said["problems"], said["hashed"]) == ({"sweep": 12}, None, [], 12)
    receipt_of(folders, FIRST).unlink()
    receipt_of(folders, SECOND).unlink()
    with pytest.raises(DataError, match=r"2026-01-01.*\(and 1 more: --json lists them\)"):
        trials_check(data=data, runs=folders.root)


def test_a_changed_state_of_a_published_run_is_named(place: tuple[RunFolders, Path]) -> None:
    """It says which tests and levels the run started from."""
    folders, data = place
    write_json(folders.finished(f"{SECOND}/01") / "inputs" / "state.json", {"trials": {"ever": 1}})
    assert f"run {SECOND}/01: inputs/state.json" in (check_ledger(folders, data).problem or "")
