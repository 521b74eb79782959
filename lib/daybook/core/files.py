"""Files that are whole or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from daybook.core.errors import DataError, StorageError

_TEMPORARY = re.compile(r"\..+\.(\d+)-\d+\.tmp", re.ASCII | re.DOTALL)
"""`.<name>.<process>-<thread>.tmp`, as write_atomic names it."""


def write_atomic(path: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a temporary file beside `path`, sync it and rename it onto `path`.

    Raises StorageError when the folder can not be written or the disk is full; `path` then keeps its old content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # what stands in the way of writing may stand in the way of unlinking
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: can not be written ({error.strerror or error}). Free space or permit writing, then run again."
        ) from error
    return path


def sweep_temporaries(folder: Path, *, deep: bool = True, also_living: bool = False) -> int:
    """Remove what killed writers left in a folder, `deep` below it too; how many files that were.

    A temporary file of a process that still lives stays, unless also_living says that nobody can be writing here.
    """
    import psutil  # type: ignore[import-untyped]

    removed = 0
    for path in folder.rglob(".*.tmp") if deep else folder.glob(".*.tmp"):
        owner = _TEMPORARY.fullmatch(path.name)
        if owner and path.is_file() and (also_living or not psutil.pid_exists(int(owner[1]))):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def keep_newest(folder: Path, pattern: str, keep: int) -> int:
    """Remove all files of a folder that match but those written or touched last; how many were removed."""
    files = sorted(folder.glob(pattern), key=lambda path: (path.stat().st_mtime_ns, path.name))
    for path in files[:-keep]:
        path.unlink(missing_ok=True)
    return len(files[:-keep])


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text atomically."""
    return write_atomic(path, lambda temporary: _put(temporary, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> Path:
    """Write a JSON value atomically: sorted keys, two-space indent, no NaN (an undefined figure is None)."""
    return write_text(path, json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises DataError when it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: file is missing. Run the step that writes it again.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a JSON file ({error}). Restore it or run its step again.") from error


def write_parquet(path: Path, table: pa.Table, *, float_encoding: bool = False) -> Path:
    """Write a table as Parquet (zstd) atomically; equal tables give equal bytes.

    float_encoding: byte-stream-split float columns (smaller and faster for features) instead of dictionaries.
    """
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 1}
    if float_encoding:
        options |= {"use_dictionary": False, "use_byte_stream_split": floats}
    return write_atomic(path, lambda temporary: pq.write_table(table, temporary, **options))


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file. Raises DataError when it is missing or corrupt."""
    try:
        return pq.ParquetFile(path).read(columns=columns)
    except FileNotFoundError:
        raise DataError(f"{path}: file is missing. Run the step or import that writes it again.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}). Restore or import it again.") from error
