"""A step counts as done only by its end marker; a failed notebook is kept, without secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from daybook.core.errors import StepError, StorageError
from daybook.core.redaction import MASK, secret_values
from daybook.core.settings import Settings
from daybook.pipeline import execute
from daybook.pipeline.execute import execute_step
from daybook.pipeline.kernels import kernel_environment

STEP = "00_score"
FINISH = """
import json, hashlib, pathlib
out = pathlib.Path("artefacts/00_score"); out.mkdir(parents=True)
(out / "a.json").write_text("{}")
marker = pathlib.Path("markers/00_score"); marker.mkdir(parents=True)
digest = hashlib.sha256(b"{}").hexdigest()
(marker / "done.json").write_text(json.dumps(
    {"step": "00_score", "artefacts": {"artefacts/00_score/a.json": digest}, "work_seconds": 0.1}))
from daybook.pipeline.glue import glue
glue("answer", fee_bps)
glue("nothing", float("nan"))
"""


def notebook(folder: Path, *sources: str) -> None:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": "parameters", "metadata": {"tags": ["parameters"]}, "execution_count": None,
         "outputs": [], "source": "run = None\nfee_bps = 5.0\nspread_bps = 2.0"},
    ]
    cells += [
        {"cell_type": "code", "id": f"cell-{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
        for n, text in enumerate(sources)
    ]
    book = {"cells": cells, "nbformat": 4, "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}}
    (folder / f"{STEP}.ipynb").write_text(json.dumps(book))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Settings]:
    """Notebooks folder, run folder, settings."""
    books, run = tmp_path / "notebooks", tmp_path / "run"
    books.mkdir()
    run.mkdir()
    monkeypatch.setattr(execute, "NOTEBOOKS", books)
    return books, run, Settings(data=tmp_path / "data", runs=tmp_path / "runs", step_timeout_s=120)


def run_step(run: Path, settings: Settings) -> execute.Executed:
    with kernel_environment(settings):
        return execute_step(run, STEP, {"fee_bps": 7.5}, settings)


def test_a_step_with_a_valid_marker_is_done_and_its_figures_are_read(places: tuple[Path, Path, Settings]) -> None:
    books, run, settings = places
    notebook(books, FINISH)
    done = run_step(run, settings)
    assert list(done.artefacts) == ["artefacts/00_score/a.json"]
    assert done.headline == {"answer": 7.5, "nothing": None}
    kept = json.loads((run / f"{STEP}.ipynb").read_text())
    assert kept["metadata"]["daybook"]["parameters"] == {"fee_bps": 7.5, "run": "."}
    assert str(run) not in json.dumps(kept)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("raise ValueError('broken candle')", ["ValueError", "broken candle"]),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ["DeadKernelError"]),
        ("import sys; sys.exit(0)", ["before the last cell"]),
        ("pass", ["before the last cell"]),
    ],
)
def test_a_step_that_did_not_reach_its_end_fails_and_is_kept(
    places: tuple[Path, Path, Settings], cell: str, words: list[str]
) -> None:
    books, run, settings = places
    notebook(books, cell)
    with pytest.raises(StepError) as failed:
        run_step(run, settings)
    for word in [*words, str(run / f"{STEP}.ipynb"), "--resume"]:
        assert word in str(failed.value)
    assert (run / f"{STEP}.ipynb").is_file()


def test_artefacts_changed_after_the_marker_fail_the_step(places: tuple[Path, Path, Settings]) -> None:
    books, run, settings = places
    notebook(books, FINISH, "pathlib.Path('artefacts/00_score/a.json').write_text('{ }')")
    with pytest.raises(StepError, match="differ from the hashes"):
        run_step(run, settings)


def test_a_stale_marker_of_an_earlier_attempt_does_not_count(places: tuple[Path, Path, Settings]) -> None:
    books, run, settings = places
    notebook(books, FINISH)
    run_step(run, settings)
    notebook(books, "import sys; sys.exit(0)")
    with pytest.raises(StepError, match="before the last cell"):
        run_step(run, settings)


def test_secrets_reach_neither_the_kernel_nor_the_kept_notebook(
    places: tuple[Path, Path, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    books, run, settings = places
    canary = "canary-5f2a9c1e77"
    monkeypatch.setenv("SOME_API_KEY", canary)
    settings = settings.model_copy(update={"anthropic_api_key": None})
    notebook(books, "import os; print(os.environ.get('SOME_API_KEY'))", "raise RuntimeError('sk-ant-abcdefghijklmnop')")
    with pytest.raises(StepError) as failed:
        run_step(run, settings)
    assert "sk-ant-abcdefgh" not in str(failed.value)
    text = (run / f"{STEP}.ipynb").read_text()
    assert canary not in text
    assert "sk-ant-abcdefgh" not in text
    assert "None" in text
    assert os.environ["SOME_API_KEY"] == canary


def test_a_kernel_gets_no_variable_but_those_that_matter(
    places: tuple[Path, Path, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    books, run, settings = places
    for name in ("DB_PASSWD", "ODDLY_NAMED", "JUPYTER_PATH", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "canary-77aa01")
    notebook(books, "import os; raise RuntimeError(repr(sorted(os.environ.items())))")
    with pytest.raises(StepError) as failed:
        run_step(run, settings)
    assert "canary" not in str(failed.value)
    kept = (run / f"{STEP}.ipynb").read_text()
    assert "DAYBOOK_DATA" in kept
    assert "canary" not in kept
    assert os.environ["ODDLY_NAMED"] == "canary-77aa01"


def test_a_kernel_imports_the_library_of_its_runner(
    places: tuple[Path, Path, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    import daybook

    books, run, settings = places
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    with kernel_environment(settings):  # an interpreter may have another copy installed
        assert os.environ["PYTHONPATH"] == f"{Path(str(daybook.__file__)).parents[1]}{os.pathsep}elsewhere"
    notebook(books, "import daybook; raise RuntimeError(daybook.__file__)")
    with pytest.raises(StepError, match=str(daybook.__file__)):
        run_step(run, settings)


def test_a_secret_with_quotes_and_newlines_is_masked_in_the_kept_notebook(
    places: tuple[Path, Path, Settings]
) -> None:
    books, run, settings = places
    secret = 'pa"ss\\wo\nrd<1>'
    (run / "secret.txt").write_text(secret)
    notebook(books, "t = open('secret.txt').read(); print(t); print(repr(t))", "raise ValueError(t)")
    with pytest.raises(StepError) as failed, kernel_environment(settings):
        execute_step(run, STEP, {"fee_bps": 1.0}, settings, secret_values([secret], {}))
    assert "rd<1>" not in str(failed.value)
    kept = json.loads((run / f"{STEP}.ipynb").read_text())
    outputs = json.dumps([output for cell in kept["cells"] for output in cell.get("outputs", [])])
    assert "rd<1>" not in outputs
    assert MASK in outputs


def test_a_run_folder_with_braces_spaces_and_accents_is_a_folder_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, run = tmp_path / "note{books}", tmp_path / "r {x} é'q"
    books.mkdir()
    run.mkdir()
    monkeypatch.setattr(execute, "NOTEBOOKS", books)
    notebook(books, FINISH)
    settings = Settings(data=tmp_path / "d {y}", runs=tmp_path / "runs")
    assert run_step(run, settings).headline["answer"] == 7.5


def test_the_time_limit_is_of_the_whole_notebook(places: tuple[Path, Path, Settings]) -> None:
    books, run, settings = places
    notebook(books, *["import time; time.sleep(4)"] * 4, FINISH)
    with pytest.raises(StepError, match="CellTimeoutError") as stopped:
        run_step(run, settings.model_copy(update={"step_timeout_s": 10}))
    assert str(run / f"{STEP}.ipynb") in str(stopped.value)
    assert (run / f"{STEP}.ipynb").is_file()


@pytest.mark.parametrize(
    "cell",
    ["raise OSError(28, 'No space left on device')",
     "from daybook.core.errors import StorageError; raise StorageError('x: the disk is full')"],
)
def test_a_full_disk_inside_a_page_is_a_storage_error(places: tuple[Path, Path, Settings], cell: str) -> None:
    books, run, settings = places
    notebook(books, cell)
    with pytest.raises(StorageError, match="--resume"):
        run_step(run, settings)
