"""Run one notebook in its own kernel and judge it by its end marker, never by papermill's word.

After a kernel's death papermill marks every cell completed, and `sys.exit(0)` in a cell returns as a success
with cells left over; so a step counts as done only when its last cell left a marker whose artefact hashes hold.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybook.core.errors import StepError
from daybook.core.files import read_json, write_text
from daybook.core.parallel import thread_environment, worker_threads
from daybook.core.redaction import redact
from daybook.core.settings import ENVIRONMENT_PREFIX, Settings
from daybook.pipeline.day import DONE_MARKER
from daybook.pipeline.glue import figure
from daybook.pipeline.manifest import NOTEBOOKS, artefact_hashes

_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_VOLATILE_CELL_METADATA = ("papermill", "execution", "ExecuteTime")


@dataclass(frozen=True)
class Executed:
    """What an executed step left: artefact hashes, headline figures and seconds (whole, and inside the page)."""

    artefacts: dict[str, str]
    headline: dict[str, Any]
    seconds: float
    work_seconds: float


@contextmanager
def kernel_environment(settings: Settings) -> Iterator[None]:
    """Environment that kernels inherit: threads, folders, no secrets, and nothing written to the user's home."""
    cache = settings.data.resolve() / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    wanted = thread_environment(worker_threads(settings.jobs)) | {
        "DAYBOOK_DATA": str(settings.data.resolve()),
        "DAYBOOK_RUNS": str(settings.runs.resolve()),
        "DAYBOOK_JOBS": str(settings.jobs),
        "IPYTHONDIR": str(cache / "ipython"),
        "JUPYTER_CONFIG_DIR": str(cache / "jupyter" / "config"),
        "JUPYTER_DATA_DIR": str(cache / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(cache / "jupyter" / "runtime"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
    }
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(ENVIRONMENT_PREFIX) or any(word in name.upper() for word in _SECRET_WORDS):
            del os.environ[name]
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def execute_step(folder: Path, step: str, parameters: Mapping[str, Any], settings: Settings) -> Executed:
    """Execute `notebooks/<step>.ipynb` inside the run folder and return what it left.

    The executed notebook is kept as `<step>.ipynb` whatever happens. Raises StepError naming the notebook, the cell
    and the cause.
    """
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    _clear(folder, step)
    work = folder / f".{step}.work.ipynb"
    kept = folder / f"{step}.ipynb"
    started = time.perf_counter()
    try:
        papermill.execute_notebook(
            str(NOTEBOOKS / f"{step}.ipynb"),
            str(work),
            parameters={"run": ".", **parameters},
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=settings.step_timeout_s,
            shutdown_kernel="immediate",
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # each kernel warns of its own loopback port
            resources={"metadata": {"path": str(folder)}},
        )
    except papermill.PapermillExecutionError as error:
        cause = f"cell {error.cell_index}: {error.ename}: {error.evalue}"
        raise StepError(_failure(step, kept, redact(cause, settings.secrets()))) from None
    except (DeadKernelError, CellTimeoutError, NoSuchKernel, RuntimeError) as error:
        cause = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
        raise StepError(_failure(step, kept, cause)) from None
    finally:
        if work.exists():
            keep_notebook(work, kept, settings.secrets())
    marker = _checked_marker(folder, step, kept)
    headline = _headline(kept)
    return Executed(marker["artefacts"], headline, time.perf_counter() - started, marker["work_seconds"])


def _clear(folder: Path, step: str) -> None:
    """Remove what an earlier attempt at this step left, so that nothing stale can be taken for its result."""
    shutil.rmtree(folder / "artefacts" / step, ignore_errors=True)
    shutil.rmtree(folder / "markers" / step, ignore_errors=True)
    for name in (f"{step}.ipynb", f".{step}.work.ipynb"):
        (folder / name).unlink(missing_ok=True)


def _failure(step: str, notebook: Path, cause: str) -> str:
    return (
        f"{step} failed at {cause}\n  The notebook with the error is {notebook}. "
        "Mend the cause and run the same command with --resume."
    )


def _checked_marker(folder: Path, step: str, notebook: Path) -> dict[str, Any]:
    path = folder / "markers" / step / DONE_MARKER
    if not path.is_file():
        raise StepError(_failure(step, notebook, "its end: the kernel stopped before the last cell had run"))
    marker: dict[str, Any] = read_json(path)
    if marker["artefacts"] != artefact_hashes(folder, step):
        raise StepError(_failure(step, notebook, "its end: artefacts differ from the hashes in the end marker"))
    return marker


def keep_notebook(work: Path, kept: Path, secrets: tuple[str, ...]) -> None:
    """Move an executed notebook to its final name: whole, without secrets, machine paths or wall-clock metadata."""
    try:
        notebook = json.loads(work.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return  # torn while being saved; the next attempt writes it anew
    papermill_facts = notebook.get("metadata", {}).pop("papermill", {})
    notebook["metadata"]["daybook"] = {"parameters": papermill_facts.get("parameters", {})}
    for position, cell in enumerate(notebook["cells"]):
        metadata = cell.setdefault("metadata", {})
        for name in _VOLATILE_CELL_METADATA:
            metadata.pop(name, None)
        if "injected-parameters" in metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        elif "papermill-error-cell-tag" in metadata.get("tags", []):
            cell["id"] = f"error-{position}"
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_text(kept, redact(text, secrets))
    work.unlink()


def _headline(notebook: Path) -> dict[str, Any]:
    import scrapbook

    scraps = scrapbook.read_notebook(str(notebook)).scraps
    return {name: figure(scraps[name].data) for name in sorted(scraps)}
