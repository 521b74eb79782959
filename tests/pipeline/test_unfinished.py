"""A run that is given up takes none of its trials with it: the next run brings them into the ledger, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daybook.core.errors import DataError
from daybook.core.files import write_text
from daybook.pipeline.execute import _clear
from daybook.pipeline.folders import KEPT_UNFINISHED, RunFolders
from daybook.pipeline.unfinished import TAKEN, forget_attempts, holds_trials, mark_taken, take_in, taken_in
from daybook.rank import PriorState, TrialCounts, TrialLedger, read_trials
from daybook.rank.ledger import read_returns

DAY = "2026-01-15"


def given_up(folders: RunFolders, count: int, step: str = "20_backtest", day: str = DAY) -> Path:
    """A run that evaluated so much and was then set aside."""
    staged(folders, count, step, day)
    kept = folders.set_aside(day)
    assert kept is not None
    return kept


def staged(
    folders: RunFolders, count: int, step: str = "20_backtest", day: str = DAY, *, failed: bool = False
) -> Path:
    """A run at work whose step evaluated so much, and failed before it wrote its ledger if it is said to."""
    artefacts = folders.staging(day) / "artefacts" / step
    ledger = TrialLedger(day, f"{day}/01", step, artefacts)
    ledger.extend({
        "kind": "sweep", "identity": [f"{step}{n}" for n in range(count)], "structure_hash": "s", "params": {},
        "symbol": "BTCUSDT", "timeframe": "1m", "window_start": 0, "window_end": 1, "n_bars": 10, "birth": 0,
        "author": "test", "data_hash": "d", "outcome": "ok",
    }, returns=np.arange(count * 24.0).reshape(count, 24))
    if not failed:
        ledger.write(artefacts)
    return folders.staging(day)


def sealed(folders: RunFolders, day: str = DAY, *, mark: bool = True) -> PriorState:
    """What seal and begin do with leftovers; without the mark, as if killed in between."""
    staging = folders.staging(day)
    state = take_in(folders, staging / "inputs", PriorState.empty(day))
    write_text(staging / "manifest.json", "{}")
    if mark:
        mark_taken(folders, staging, f"{day}/01")
    return state


def test_what_was_given_up_is_counted_by_the_next_run_and_by_no_other(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    given_up(folders, 3)
    given_up(folders, 4, "10_design")
    state = sealed(folders)
    assert state.trials == TrialCounts(today=0, ever=7, by_kind={"sweep": 7})
    assert sorted(state.unfinished) == [f"{DAY}-1/20_backtest.parquet", f"{DAY}-2/10_design.parquet"]
    tables = [read_trials(path) for path in taken_in(folders.staging(DAY), state.unfinished)]
    assert {name for table in tables for name in table["run_id"].to_pylist()} == {
        f"unfinished/{DAY}-1", f"unfinished/{DAY}-2"}
    assert sealed(folders, "2026-01-16") == PriorState.empty("2026-01-16")


def test_the_same_evaluations_given_up_twice_count_twice(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    given_up(folders, 5)
    given_up(folders, 5)
    assert sealed(folders).trials.ever == 10


def test_a_run_that_is_given_up_hands_on_what_it_had_taken_in(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    given_up(folders, 3)
    for _ in range(3):
        assert sealed(folders).trials.ever == 3
        folders.set_aside(DAY)
    sealed(folders)
    given_up(folders, 2, "00_score")
    assert sealed(folders).trials.ever == 5


def test_a_runner_killed_between_the_seal_and_the_marks_counts_nothing_twice(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    left = given_up(folders, 3)
    assert sealed(folders, mark=False).trials.ever == 3
    assert not (left / TAKEN).exists()
    assert sealed(folders, "2026-01-16").trials.ever == 0, "the killed run may still be resumed"
    folders.set_aside(DAY)
    assert sealed(folders).trials.ever == 3


def test_a_name_never_stands_for_two_runs(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    first = given_up(folders, 3)
    sealed(folders)
    for path in sorted(first.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    first.rmdir()
    assert folders.set_aside(DAY) == tmp_path / ".unfinished" / f"{DAY}-2"


def test_runs_whose_trials_nobody_holds_outlive_the_tidying(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    first = given_up(folders, 3)
    for _ in range(KEPT_UNFINISHED + 1):
        folders.staging(DAY).mkdir(parents=True)
        folders.set_aside(DAY)
    folders.forget_unfinished(holds_trials)
    assert first.is_dir()
    sealed(folders)
    folders.forget_unfinished(holds_trials)
    assert not first.exists()


def test_a_ledger_that_changed_after_it_was_taken_in_is_refused(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    given_up(folders, 3)
    state = sealed(folders)
    path = folders.staging(DAY) / "inputs" / "unfinished" / f"{DAY}-1" / "20_backtest.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="not the ledger that was sealed"):
        taken_in(folders.staging(DAY), state.unfinished)


def test_a_step_that_failed_after_its_sweeps_leaves_their_rows_to_the_next_run(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    staged(folders, 728, failed=True)
    left = folders.set_aside(DAY)
    assert left is not None and holds_trials(left)
    state = sealed(folders)
    assert state.trials.ever == 728
    [path] = taken_in(folders.staging(DAY), state.unfinished)
    assert read_trials(path)["returns_at"].to_pylist()[-1] == "20_backtest/trial_returns.parquet#727"
    assert read_returns(left / "artefacts", "20_backtest/trial_returns.parquet#727")[0] == 727 * 24.0


@pytest.mark.parametrize(("attempts", "counted"), [((728, 3), 728), ((3, 728), 728), ((728,), 728), ((5, 728, 0), 728)])
def test_attempts_at_a_step_of_one_run_count_once_and_the_longest_is_never_lost(
    tmp_path: Path, attempts: tuple[int, ...], counted: int
) -> None:
    folders = RunFolders(tmp_path)
    for number in attempts:
        _clear(folders.staging(DAY), "20_backtest")
        if number:
            staged(folders, number, failed=True)
    left = folders.set_aside(DAY)
    state = sealed(folders)
    assert state.trials.ever == counted
    assert left is not None
    assert read_returns(left / "artefacts", f"20_backtest/trial_returns.parquet#{counted - 1}").size == 24


def test_a_step_that_was_done_after_all_leaves_nothing_of_its_attempts(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    staged(folders, 5, failed=True)
    _clear(folders.staging(DAY), "20_backtest")
    run = staged(folders, 7)
    forget_attempts(run, "20_backtest")
    assert {path.name for path in run.rglob("*") if path.is_file()} == {"trials.parquet", "trial_returns.parquet"}
    folders.set_aside(DAY)
    assert sealed(folders).trials.ever == 7


def test_a_damaged_ledger_of_a_step_that_is_done_again_stands_in_nobodys_way(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    run = staged(folders, 5)
    (run / "artefacts" / "20_backtest" / "trials.parquet").write_bytes(b"half")
    _clear(run, "20_backtest")
    staged(folders, 5)
    folders.set_aside(DAY)
    assert sealed(folders).trials.ever == 5
