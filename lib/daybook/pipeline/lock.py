"""One runner at a time: an flock on the runs folder and on the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from daybook.core.errors import LockedError, StorageError


@contextmanager
def runner_lock(*folders: Path) -> Iterator[None]:
    """Hold the lock of every folder, making the folder where it is missing.

    The lock is the kernel's: it goes with the process, however that ends. Raises LockedError naming the holder, and
    StorageError for a folder that can not be written.
    """
    with ExitStack() as stack:
        for folder in sorted({folder.resolve() for folder in folders}):
            stack.enter_context(_held(folder))
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    _require_writable(folder)
    # A soft lock file, which filelock would fall back to, outlives a killed runner.
    lock = FileLock(folder / ".lock", timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"{folder}: another runner (process {_holder(folder)}) is at work here. Wait for it, or give this one "
            "other --data and --runs folders."
        ) from None
    except (OSError, NotImplementedError) as error:
        raise StorageError(f"{folder}: can not be locked ({error}). Choose a folder on a local disk.") from None
    try:
        (folder / ".lock.pid").write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


def _require_writable(folder: Path) -> None:
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"{folder}: can not be written ({error.strerror}). Permit writing, or name another folder with --data "
            "or --runs."
        ) from None


def _holder(folder: Path) -> str:
    try:
        return (folder / ".lock.pid").read_text().strip() or "unknown"
    except OSError:
        return "unknown"
