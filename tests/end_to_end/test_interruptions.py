"""Days that are stopped, torn or interleaved: the way on is always a command, and the result is the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from days import TINY, Place, without_timings

pytestmark = pytest.mark.slow
DAY, RUN = "2026-01-15", "2026-01-15/01"
CRASHER = """
import importlib, os, signal, sys
from daybook.pipeline.run_command import main
place, count, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
module, _, path = place.partition(":")
owner = importlib.import_module(module)
*classes, name = path.split(".")
for part in classes:
    owner = getattr(owner, part)
original, calls = getattr(owner, name), 0

def crashing(*arguments, **named):
    global calls
    calls += 1
    if calls == count and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **named)
    if calls == count and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, crashing)
sys.exit(main(sys.argv[4:]))
"""
"""Runs the day and kills itself, like a power cut, before or after the count-th call of a function."""

MOMENTS = [
    ("daybook.report.pages:render_page", 3, "before"),
    ("daybook.core.files:sync_folder", 9, "before"),
    ("pathlib:Path.replace", 6, "before"),  # a temporary file of a page is left behind
    ("daybook.pipeline.publish:_sync_tree", 1, "after"),
    ("daybook.pipeline.folders:RunFolders.publish", 1, "after"),  # renamed, and not yet in the store
    ("daybook.core.store:_seal", 1, "before"),
    ("daybook.core.store:Store.publish", 1, "after"),  # in the store, and without its receipt
    ("daybook.report.site:write_text", 1, "before"),
]


def steps_done(still: Place, root: Path) -> Place:
    """A copy of a place in which every step of the first day is done, and nothing is published."""
    here = Place(root)
    shutil.copytree(still.data, here.data, ignore=shutil.ignore_patterns("store", ".lock*"))
    staging = here.runs / ".staging" / DAY
    shutil.copytree(still.runs / RUN, staging)
    for path in (staging / "publication.json", staging / "report.json", *staging.glob("*.html")):
        path.unlink()
    manifest = json.loads((staging / "manifest.json").read_text())
    manifest.update(status="running", headline=None, report_hash=None)
    (staging / "manifest.json").write_text(json.dumps(manifest))
    return here


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("function", "count", "when"), MOMENTS)
def test_a_publication_cut_at_any_point_is_finished_by_the_next_start(
    still: Place, tmp_path: Path, function: str, count: int, when: str
) -> None:
    here = steps_done(still, tmp_path)
    arguments = here.command(*TINY, "--date", DAY, "--resume")[2:]
    cut = subprocess.run([sys.executable, "-c", CRASHER, function, str(count), when, *arguments],
                         env=here.environment(), cwd=here.root, capture_output=True, check=False)
    assert cut.returncode == -signal.SIGKILL, cut.stderr
    here.day("--date", DAY, "--resume")
    assert without_timings(here.report(RUN)) == without_timings(still.report(RUN))
    assert names(here.runs / RUN) == names(still.runs / RUN)
    assert not [path for path in here.root.rglob(".*.tmp") if "store" not in path.parts]
    assert here.daybook("runs", "list", "--runs", str(here.runs), "--json").stdout.count('"complete"') == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_day_ends_at_once_with_its_kernels_and_can_be_resumed(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    here = Place(tmp_path)
    with subprocess.Popen(here.command(*TINY, "--date", DAY, "--json"), env=here.environment(), cwd=tmp_path,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as runner:
        while not (kernels := children(runner.pid)):
            time.sleep(0.05)
            assert runner.poll() is None
        time.sleep(1)
        stopped = time.monotonic()
        runner.send_signal(number)
        out, err = runner.communicate(timeout=60)
    assert runner.returncode == code, err
    assert time.monotonic() - stopped < 30
    answer = json.loads(out)
    assert (answer["status"], answer["exit_code"]) == ("failed", code)
    assert "--resume" in answer["message"]
    assert "Traceback" not in err
    assert "FAILED" not in err
    assert "Kernel died" not in err
    assert not [pid for pid in kernels if alive(pid)]
    manifest = json.loads((here.runs / ".staging" / DAY / "manifest.json").read_text())
    assert manifest["status"] == "running"
    assert "failed" not in {step["state"] for step in manifest["steps"]}


def children(pid: int) -> list[int]:
    """Processes that any thread of a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_two_dates_begun_out_of_order_do_not_block_each_other(still: Place, tmp_path: Path) -> None:
    here = steps_done(still, tmp_path)
    later = here.runs / ".staging" / "2026-01-16"
    shutil.copytree(still.runs / "2026-01-16" / "01", later)
    # It was begun when no day was published yet.
    state = json.loads((here.runs / ".staging" / DAY / "inputs" / "state.json").read_text())
    (later / "inputs" / "state.json").write_text(json.dumps({**state, "day": "2026-01-16"}))
    reseal(later)
    here.day("--date", DAY, "--resume")
    refused = here.run(*TINY, "--date", "2026-01-16", "--resume", "--json")
    assert refused.returncode == 2, refused.stderr
    assert "no day" in refused.stderr
    assert "2026-01-15 now" in refused.stderr
    assert later.is_dir()
    assert here.day("--date", DAY, "--resume")["run_id"] == RUN


def reseal(folder: Path) -> None:
    """Give a staged run the state hash that its state.json has."""
    from daybook.core.hashing import hash_json

    digest = hash_json(json.loads((folder / "inputs" / "state.json").read_text()))
    sealed = json.loads((folder / "inputs" / "run.json").read_text()) | {"state_hash": digest}
    (folder / "inputs" / "run.json").write_text(json.dumps(sealed))
    manifest = json.loads((folder / "manifest.json").read_text()) | {"sealed": sealed}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_one_damaged_run_hides_no_other_and_blocks_only_what_needs_it(still: Place, tmp_path: Path) -> None:
    here = Place(tmp_path)
    shutil.copytree(still.runs, here.runs, ignore=shutil.ignore_patterns(".lock*"))
    (here.runs / "2026-01-15" / "01" / "manifest.json").write_text("{")
    listed = here.daybook("runs", "list", "--runs", str(here.runs), "--json")
    assert listed.returncode == 0, listed.stderr
    assert [row["status"] for row in json.loads(listed.stdout)][:2] == ["damaged", "complete"]
    shown = here.daybook("runs", "show", DAY, "--runs", str(here.runs), "--json")
    assert shown.returncode == 3
    assert json.loads(shown.stdout)["exit_code"] == 3
    blocked = here.run(*TINY, "--date", "2026-01-18")
    assert blocked.returncode == 3
    assert "moved out of the runs folder" in blocked.stderr


def test_a_store_that_fell_back_to_an_older_generation_is_brought_up_to_date(still: Place, tmp_path: Path) -> None:
    from daybook.core.store import Store
    from daybook.pipeline.folders import RunFolders
    from daybook.pipeline.publish import publish_missing
    from daybook.rank import content_hash, store_schema

    shutil.copytree(still.runs, tmp_path / "runs")
    shutil.copytree(still.data / "store", tmp_path / "data" / "store")
    before = Store(tmp_path / "data", store_schema()).read(content_hash)
    newest = max((tmp_path / "data" / "store").glob("daybook-*.duckdb"))
    newest.unlink()
    newest.with_suffix(".sha256").unlink()
    publish_missing(RunFolders(tmp_path / "runs"), tmp_path / "data")
    assert Store(tmp_path / "data", store_schema()).read(content_hash) == before


def test_a_full_disk_is_a_storage_error_and_nothing_final_is_torn(still: Place, tmp_path: Path) -> None:
    here = steps_done(still, tmp_path)
    limited = f"ulimit -f 64; exec {' '.join(here.command(*TINY, '--date', DAY, '--resume', '--json'))}"
    full = subprocess.run(["bash", "-c", f"trap '' XFSZ; {limited}"], env=here.environment(), cwd=here.root, text=True,
                          capture_output=True, check=False)
    assert full.returncode == 6, full.stderr
    assert json.loads(full.stdout)["error"] == "StorageError"
    assert not (here.runs / RUN).exists()
    here.day("--date", DAY, "--resume")
    assert without_timings(here.report(RUN)) == without_timings(still.report(RUN))
    assert names(here.runs / RUN) == names(still.runs / RUN)


def test_a_runner_whose_progress_nobody_reads_goes_on(still: Place, tmp_path: Path) -> None:
    here = steps_done(still, tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(here.command(*TINY, "--date", DAY, "--resume", "--json"), env=here.environment(),
                          cwd=here.root, stdout=subprocess.PIPE, stderr=writer, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert json.loads(done.stdout)["run_id"] == RUN
