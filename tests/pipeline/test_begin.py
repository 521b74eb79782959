"""What --resume accepts, and what a new run is numbered: on fabricated unfinished runs, without executing a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daybook.core.errors import DataError, UsageError
from daybook.core.files import read_json, write_json
from daybook.core.hashing import hash_json
from daybook.core.settings import Settings
from daybook.pipeline import begin
from daybook.pipeline.begin import begin_run, finished_run
from daybook.pipeline.folders import KEPT_UNFINISHED, RunFolders
from daybook.pipeline.manifest import (
    Sealed,
    new_manifest,
    package_versions,
    read_manifest,
    research_settings,
    run_code_hash,
    settings_hash,
    write_manifest,
)
from daybook.pipeline.runner import RunRequest
from daybook.rank import PriorState, TrialLedger

DAY = "2026-01-15"


def sealed_run(request: RunRequest, number: int = 1) -> Sealed:
    state = PriorState.empty(request.day).model_dump(mode="json")
    return Sealed(
        run_id=f"{request.day}/{number:02d}", day=request.day, number=number, official=number == 1,
        parent=None if number == 1 else f"{request.day}/01", settings=research_settings(request.settings),
        changed_parameters=[], settings_hash=settings_hash(request.settings), code_hash=run_code_hash(),
        data_hash=hash_json({"BTCUSDT": "0a"}), state_hash=hash_json(state), synthetic_label=None,
        versions=package_versions(),
    )


def write_run(folder: Path, request: RunRequest, sealed: Sealed) -> None:
    write_json(folder / "inputs" / "state.json", PriorState.empty(request.day).model_dump(mode="json"))
    write_json(folder / "inputs" / "bars.json", {"markets": {"BTCUSDT": {"data_hash": "0a"}}})
    write_json(folder / "inputs" / "run.json", sealed.model_dump(mode="json"))
    write_manifest(folder, new_manifest(sealed))


@pytest.fixture
def unfinished(tmp_path: Path) -> tuple[RunRequest, RunFolders, Path]:
    """A request to resume, the runs folder, and the unfinished run in it."""
    request = RunRequest(DAY, Settings(data=tmp_path / "data", runs=tmp_path / "runs"), True)
    folders = RunFolders(tmp_path / "runs")
    write_run(folders.staging(DAY), request, sealed_run(request))
    return request, folders, folders.staging(DAY)


def begun(request: RunRequest, folders: RunFolders) -> tuple[Path, Any]:
    def measure(_name: str, work: Callable[[], Any]) -> Any:
        return work()

    return begin_run(request, folders, lambda _line: None, measure)


def test_an_unfinished_run_is_continued(unfinished: tuple[RunRequest, RunFolders, Path]) -> None:
    request, folders, staging = unfinished
    assert begun(request, folders)[0] == staging


def edited(path: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: (run / "manifest.json").write_text('{"schema_ver'), ["manifest.json", "not a JSON file"]),
        (lambda run: (run / "manifest.json").write_text("[]"), ["manifest.json"]),
        (lambda run: edited(run / "manifest.json", lambda m: m.pop("steps")), ["steps"]),
        (lambda run: edited(run / "manifest.json", lambda m: m["steps"].pop()), ["steps"]),
        (lambda run: (run / "inputs" / "state.json").unlink(), ["state.json", "missing"]),
        (lambda run: edited(run / "inputs" / "state.json", lambda s: s.update(previous_day="2026-01-14")),
         ["state.json changed"]),
        (lambda run: edited(run / "inputs" / "bars.json", lambda b: b["markets"]["BTCUSDT"].update(data_hash="0b")),
         ["bars.json changed"]),
        (lambda run: edited(run / "inputs" / "run.json", lambda r: r["settings"].update(fee_bps=0.0)),
         ["run.json changed"]),
    ],
)
def test_a_damaged_unfinished_run_is_refused_with_the_way_out(
    unfinished: tuple[RunRequest, RunFolders, Path], damage: Callable[[Path], object], words: list[str]
) -> None:
    request, folders, staging = unfinished
    damage(staging)
    with pytest.raises(DataError) as refused:
        begun(request, folders)
    for word in ["--resume: the unfinished run is damaged", *words, "Leave --resume out", ".unfinished"]:
        assert word in str(refused.value)
    assert staging.is_dir()


@pytest.mark.parametrize(("what", "words"), [("fee", "other parameters"), ("code", "code or notebooks"),
                                             ("numpy", "package versions")])
def test_a_run_told_other_things_is_not_continued(
    unfinished: tuple[RunRequest, RunFolders, Path], monkeypatch: pytest.MonkeyPatch, what: str, words: str
) -> None:
    request, folders, _ = unfinished
    if what == "fee":
        request = replace(request, settings=request.settings.model_copy(update={"fee_bps": 9.0}))
    elif what == "code":
        monkeypatch.setattr(begin, "run_code_hash", lambda: "0")
    else:
        monkeypatch.setattr(begin, "package_versions", lambda: package_versions() | {"numpy": "0.1"})
    with pytest.raises(UsageError, match=words):
        begun(request, folders)


def test_an_official_run_is_not_continued_over_a_day_that_came_between(
    unfinished: tuple[RunRequest, RunFolders, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    request, folders, _ = unfinished
    later = PriorState.empty(DAY).model_copy(update={"previous_day": "2026-01-14"})
    monkeypatch.setattr(begin, "prior_state", lambda *_: later)
    with pytest.raises(UsageError, match=r"no day.*2026-01-14 now.*Leave --resume out"):
        begun(request, folders)


def test_a_number_that_the_store_knows_is_not_given_again(
    unfinished: tuple[RunRequest, RunFolders, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    request, folders, _ = unfinished
    numbers: list[int] = []

    def seal(staging: Path, asked: RunRequest, number: int) -> Sealed:
        numbers.append(number)
        staging.mkdir(parents=True)
        return sealed_run(asked, number)

    monkeypatch.setattr("daybook.pipeline.seal.seal_run", seal)
    monkeypatch.setattr(begin, "published_ids", lambda _data: frozenset({f"{DAY}/01", f"{DAY}/03", "2026-01-16/09"}))
    _, manifest = begun(replace(request, resume=False), folders)
    assert numbers == [4]
    assert not manifest.sealed.official


def test_a_finished_run_of_the_same_settings_and_code_is_nothing_to_resume(
    unfinished: tuple[RunRequest, RunFolders, Path]
) -> None:
    request, folders, staging = unfinished
    assert finished_run(request, folders) is None
    (folders.root / DAY).mkdir()
    staging.rename(folders.root / DAY / "01")
    assert finished_run(request, folders) == folders.root / DAY / "01"
    other = replace(request, settings=request.settings.model_copy(update={"fee_bps": 9.0}))
    assert finished_run(other, folders) is None


def test_a_new_run_takes_in_the_trials_of_the_one_it_sets_aside(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", runs=tmp_path / "runs", symbols=("BTCUSDT",), history_days=14)
    request, folders = RunRequest(DAY, settings), RunFolders(tmp_path / "runs")
    staging, first = begun(request, folders)
    ledger = TrialLedger(DAY, first.sealed.run_id, "20_backtest")
    ledger.add(kind="sweep", identity="i", structure_hash="s", params={}, symbol="BTCUSDT", timeframe="1m",
               window_start=0, window_end=1, n_bars=1, birth=0, author="test", data_hash="d", outcome="failed")
    ledger.write(staging / "artefacts" / "20_backtest")
    staging, second = begun(request, folders)
    state = PriorState.model_validate(read_json(staging / "inputs" / "state.json"))
    assert (first.sealed.run_id, second.sealed.run_id) == (f"{DAY}/01", f"{DAY}/01")
    assert (state.trials.ever, list(state.unfinished)) == (1, [f"{DAY}-1/20_backtest.parquet"])
    assert (folders.unfinished / f"{DAY}-1" / "taken-in.json").is_file()
    resumed, third = begun(replace(request, resume=True), folders)
    assert (resumed, third.sealed) == (staging, second.sealed)


def test_only_the_newest_unfinished_runs_are_kept(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    (tmp_path / ".unfinished" / f"{DAY}-notes").mkdir(parents=True)
    for _ in range(KEPT_UNFINISHED + 3):
        folders.staging(DAY).mkdir(parents=True)
        folders.set_aside(DAY)
    folders.forget_unfinished(lambda folder: folder.name == f"{DAY}-2")
    left = sorted(int(p.name.rsplit("-", 1)[1]) for p in (tmp_path / ".unfinished").glob(f"{DAY}-[0-9]*"))
    assert left == [2, *range(4, KEPT_UNFINISHED + 4)]
    assert (tmp_path / ".unfinished" / f"{DAY}-notes").is_dir()


def test_a_manifest_must_name_every_step_once(unfinished: tuple[RunRequest, RunFolders, Path]) -> None:
    _, _, staging = unfinished
    edited(staging / "manifest.json", lambda m: m["steps"].append(m["steps"][0]))
    with pytest.raises(DataError, match="steps"):
        read_manifest(staging)
