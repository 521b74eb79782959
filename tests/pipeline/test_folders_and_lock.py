"""Run folders, ids and the runner's lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daybook.core.errors import DataError, LockedError, StorageError, UsageError
from daybook.pipeline.folders import RunFolders, run_id, split_run_id
from daybook.pipeline.lock import runner_lock

NO_IDS = ["2023-06-14", "../../etc/01", "2023-06-14/1", "2023-02-30/01", "/2023-06-14/01", "2023-06-14/01\n"]


@pytest.mark.parametrize("text", NO_IDS)
def test_only_run_ids_name_a_folder(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        RunFolders(tmp_path).finished(text)


def test_a_run_id_names_day_and_number() -> None:
    assert run_id("2023-06-14", 2) == "2023-06-14/02"
    assert split_run_id("2023-06-14/02") == ("2023-06-14", "02")


def test_an_absent_run_is_named_with_the_way_to_see_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="daybook runs list"):
        RunFolders(tmp_path).existing("2023-06-14")


def test_an_unfinished_run_is_set_aside_and_never_overwritten(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    for number in (1, 2):
        folders.staging("2023-06-14").mkdir(parents=True)
        (folders.staging("2023-06-14") / "x").write_text(str(number))
        kept = folders.set_aside("2023-06-14")
        assert kept == tmp_path / ".unfinished" / f"2023-06-14-{number}"
        assert (kept / "x").read_text() == str(number)
    assert folders.set_aside("2023-06-14") is None


def test_a_second_runner_is_refused_while_the_first_lives_and_not_after(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from daybook.pipeline.lock import runner_lock\n"
        "with runner_lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=str(holder.pid)), runner_lock(tmp_path):
            raise AssertionError("the lock was given twice")
        holder.kill()
        holder.wait()
    with runner_lock(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_a_folder_that_can_not_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can not be written"), runner_lock(tmp_path / "file" / "runs"):
        raise AssertionError("a lock below a file")
