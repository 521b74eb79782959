"""Where measured costs are kept: one JSON file a date, and a pointer that says which are in force.

`<data>/execution/execution_metrics_YYYY-MM-DD.json` holds what was measured from everything before that date's 00:00
UTC; `latest.json` names the newest in force and those withdrawn by a rollback. A file that a new measurement of the
same date replaces is kept under `superseded/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from daybook.core.errors import DataError, LockedError, StorageError
from daybook.core.files import read_json, write_json
from daybook.core.time import parse_day
from daybook.execution.metrics import Day, ExecutionMetrics

FOLDER = "execution"
POINTER = "latest.json"
LOCK_TIMEOUT_S = 60.0
_NAME = re.compile(r"execution_metrics_(\d{4}-\d{2}-\d{2})\.json", re.ASCII)


class MetricsError(DataError):
    """Execution metrics that are missing, damaged or of another schema."""


class Pointer(BaseModel):
    """`latest.json`: the newest date in force, the identity of its document, and the dates that a rollback withdrew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    date: Day
    identity: str
    withdrawn: tuple[Day, ...] = ()


def metrics_path(data: Path, date: str) -> Path:
    """The file of a date. Raises UsageError unless the date is a calendar day."""
    return Path(data) / FOLDER / f"execution_metrics_{parse_day(date).isoformat()}.json"


def write_metrics(data: Path, metrics: ExecutionMetrics) -> Path:
    """Write the file of a date and bring it into force; the pointer moves on when no newer one is in force.

    Measuring the same date again keeps the replaced file under `superseded/`; the same content changes nothing.
    Raises LockedError when another process has been writing for a minute, StorageError for a folder that can not be
    written.
    """
    path = metrics_path(data, metrics.date)
    with _locked(data):
        _bring_into_force(data, path, metrics)
    return path


def _bring_into_force(data: Path, path: Path, metrics: ExecutionMetrics) -> None:
    if path.is_file():
        replaced = load_metrics(path)
        if replaced.identity != metrics.identity:
            kept = path.parent / "superseded" / f"{path.stem}_{replaced.identity[:12]}.json"
            write_json(kept, replaced.model_dump(mode="json"))
    write_json(path, metrics.model_dump(mode="json"))
    before = _pointer(data)
    withdrawn = tuple(date for date in (before.withdrawn if before else ()) if date != metrics.date)
    newest = max([date for date in metrics_dates(data) if date not in withdrawn])
    _point(data, newest, withdrawn)


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """One writer at a time, so that the pointer names the newest of two measurements made at once."""
    folder = Path(data) / FOLDER
    lock = FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_S)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise LockedError(f"{folder}: another process has been writing execution metrics for {LOCK_TIMEOUT_S:.0f} s. "
                          "Wait for it or end it, then measure again.") from None
    except OSError as error:
        raise StorageError(f"{folder}: can not be written ({error.strerror or error}). Permit writing, then measure "
                           "again.") from error
    try:
        yield
    finally:
        lock.release()


def load_metrics(path: Path) -> ExecutionMetrics:
    """Read and validate one document. Raises MetricsError naming the field that is not as it must be."""
    try:
        return ExecutionMetrics.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise MetricsError(f"{path}: {where}: {first['msg']}. Measure that date again with `daybook execution "
                           "measure`, or roll back to an earlier one.") from None


def metrics_dates(data: Path) -> list[str]:
    """The dates that were measured, oldest first, withdrawn ones included."""
    names = (_NAME.fullmatch(path.name) for path in (Path(data) / FOLDER).glob("execution_metrics_*.json"))
    return sorted(match[1] for match in names if match)


def dates_in_force(data: Path) -> list[str]:
    """The measured dates that no rollback has withdrawn, oldest first."""
    pointer = _pointer(data)
    withdrawn = pointer.withdrawn if pointer else ()
    return [date for date in metrics_dates(data) if date not in withdrawn]


def metrics_for(data: Path, day: str) -> ExecutionMetrics:
    """The newest metrics in force dated at or before the day, never later ones.

    Raises MetricsError when there are none, naming what there is.
    """
    parse_day(day)
    dates = dates_in_force(data)
    earlier = [date for date in dates if date <= day]
    if not earlier:
        there = f"the oldest in force is of {dates[0]}" if dates else "none is in force"
        raise MetricsError(
            f"execution metrics: none dated at or before {day} in {Path(data) / FOLDER}; {there}. Run `daybook "
            f"execution measure --date {day}`, or set costs = \"settings\"."
        )
    return _dated(data, earlier[-1])


def latest_metrics(data: Path) -> ExecutionMetrics:
    """What the pointer names. Raises MetricsError when nothing was measured, or the file is not the one pointed to."""
    pointer = _pointer(data)
    if pointer is None:
        raise MetricsError(f"execution metrics: nothing was measured yet in {Path(data) / FOLDER}. Run `daybook "
                           "execution measure`.")
    metrics = _dated(data, pointer.date)
    if metrics.identity != pointer.identity:
        raise MetricsError(f"{metrics_path(data, pointer.date)}: not the document that {POINTER} names (found "
                           f"{metrics.identity[:12]}, named {pointer.identity[:12]}). Measure that date again.")
    return metrics


def rollback(data: Path, date: str) -> Pointer:
    """Withdraw every measurement after a date, so that the pointer names that date; the files stay.

    Measuring a withdrawn date again brings it back into force. Raises MetricsError when the date was never measured
    or is withdrawn itself.
    """
    parse_day(date)
    with _locked(data):
        dates, in_force = metrics_dates(data), dates_in_force(data)
        if date not in in_force:
            listed = ", ".join(in_force) or "none"
            raise MetricsError(f"execution metrics: {date} is not in force; in force are {listed}. Choose one of them.")
        return _point(data, date, tuple(later for later in dates if later > date or later not in in_force))


def _dated(data: Path, date: str) -> ExecutionMetrics:
    """The document of a date. Raises MetricsError when the file holds another date's."""
    path = metrics_path(data, date)
    metrics = load_metrics(path)
    if metrics.date != date:
        raise MetricsError(f"{path}: holds what was measured on {metrics.date}. Restore the file, or measure {date} "
                           "again.")
    return metrics


def _point(data: Path, date: str, withdrawn: tuple[str, ...]) -> Pointer:
    pointer = Pointer(date=date, identity=load_metrics(metrics_path(data, date)).identity, withdrawn=withdrawn)
    write_json(Path(data) / FOLDER / POINTER, pointer.model_dump(mode="json"))
    return pointer


def _pointer(data: Path) -> Pointer | None:
    path = Path(data) / FOLDER / POINTER
    if not path.is_file():
        return None
    try:
        return Pointer.model_validate(read_json(path))
    except ValidationError as error:
        raise MetricsError(f"{path}: {error.errors(include_url=False)[0]['msg']}. Remove it and measure again, or roll "
                           "back to a date.") from None
