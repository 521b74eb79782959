"""Run one notebook in its own kernel and judge it by its end marker, never by papermill's word.

After a kernel's death papermill marks every cell completed, and `sys.exit(0)` in a cell returns as a success
with cells left over; so a step counts as done only when its last cell left a marker whose artefact hashes hold.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybook.core.errors import StepError, StorageError
from daybook.core.files import read_json, write_text
from daybook.core.redaction import redact
from daybook.core.settings import Settings
from daybook.pipeline.day import DONE_MARKER
from daybook.pipeline.glue import figure
from daybook.pipeline.manifest import NOTEBOOKS, artefact_hashes
from daybook.pipeline.unfinished import forget_attempts, keep_attempt

_VOLATILE_CELL_METADATA = ("papermill", "execution", "ExecuteTime")


@dataclass(frozen=True)
class Executed:
    """What an executed step left: artefact hashes, headline figures and seconds (whole, and inside the page)."""

    artefacts: dict[str, str]
    headline: dict[str, Any]
    seconds: float
    work_seconds: float


def execute_step(
    folder: Path, step: str, parameters: Mapping[str, Any], settings: Settings, secrets: tuple[str, ...] = ()
) -> Executed:
    """Execute `notebooks/<step>.ipynb` inside the run folder and return what it left.

    secrets: values to mask in the kept notebook and in messages, beside those of the settings. The executed notebook is
    kept as `<step>.ipynb` whatever happens. Raises StepError naming the notebook, the cell and the cause, and
    StorageError when the cause is a disk that is full or can not be written.
    """
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    _quiet()
    _clear(folder, step)
    work = folder / f".{step}.work.ipynb"
    kept = folder / f"{step}.ipynb"
    secrets = (*secrets, *settings.secrets())
    started = time.perf_counter()
    try:
        papermill.execute_notebook(
            _literal(NOTEBOOKS / f"{step}.ipynb"),
            _literal(work),
            parameters={"run": ".", **parameters},
            kernel_name="python3",
            progress_bar=False,
            timeout_func=_remaining(settings.step_timeout_s),
            shutdown_kernel="immediate",
            config=Config({"KernelManager": {"transport": "ipc", "connection_file": str(_connection_file(step))}}),
            resources={"metadata": {"path": str(folder)}},
        )
    except papermill.PapermillExecutionError as error:
        cause = f"cell {error.cell_index}: {error.ename}: {error.evalue}"
        kind = StorageError if _is_storage(error.ename, error.evalue) else StepError
        raise kind(_failure(step, kept, redact(cause, secrets))) from None
    except (DeadKernelError, CellTimeoutError, NoSuchKernel, RuntimeError) as error:
        cause = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
        raise StepError(_failure(step, kept, redact(cause, secrets))) from None
    except OSError as error:
        cause = f"saving its notebook: {error.strerror or error}"
        raise StorageError(_failure(step, kept, cause)) from error
    finally:
        if work.exists():
            keep_notebook(work, kept, secrets)
    marker = _checked_marker(folder, step, kept)
    headline = _headline(kept)
    forget_attempts(folder, step)
    return Executed(marker["artefacts"], headline, time.perf_counter() - started, marker["work_seconds"])


def _quiet() -> None:
    """Keep papermill's and nbclient's own words, which nobody redacts, from the terminal: the error says it all."""
    for name in ("papermill", "nbclient", "traitlets"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
            logger.propagate = False


def _literal(path: Path) -> str:
    """A path that papermill, which reads braces in it as format fields, takes as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _remaining(limit_s: int) -> Callable[[Any], int]:
    """Seconds that are left for a cell, at least one, when the whole notebook may take limit_s from now."""
    deadline = time.monotonic() + limit_s
    return lambda _cell: max(1, round(deadline - time.monotonic()))


def _is_storage(name: str, text: str) -> bool:
    """Whether what a cell raised says that the disk is full or can not be written."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return name == StorageError.__name__ or (name == "OSError" and any(f"[Errno {code}]" in text for code in codes))


def _connection_file(step: str) -> Path:
    """A new name for a kernel's sockets in the runtime folder; without one, Jupyter would put them into its own cwd."""
    return Path(os.environ["JUPYTER_RUNTIME_DIR"]) / f"{step[:2]}-{os.urandom(4).hex()}.json"


def _clear(folder: Path, step: str) -> None:
    """Remove what an earlier attempt at this step left, so that nothing stale can be taken for its result.

    Its trial ledger alone is kept, since what it counted stays counted.
    """
    keep_attempt(folder, step)
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
    text = json.dumps(_redacted(notebook, secrets), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_text(kept, text)
    work.unlink()


def _redacted(value: Any, secrets: tuple[str, ...]) -> Any:
    """A notebook's JSON value without secrets; text that the format splits into lines is searched as a whole."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(name, secrets): _redacted(entry, secrets) for name, entry in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > 1 and all(isinstance(line, str) and line.endswith("\n") for line in value[:-1]):
        return redact("".join(map(str, value)), secrets).splitlines(keepends=True)
    return [_redacted(entry, secrets) for entry in value]


def _headline(notebook: Path) -> dict[str, Any]:
    import scrapbook

    scraps = scrapbook.read_notebook(str(notebook)).scraps
    return {name: figure(scraps[name].data) for name in sorted(scraps)}
