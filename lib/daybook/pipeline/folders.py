"""Where runs lie: finished ones under `<date>/<NN>`, the unfinished one of a date under `.staging`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daybook.core.errors import DataError, StorageError, UsageError
from daybook.core.files import sync_folder
from daybook.core.time import parse_day

_RUN_ID = re.compile(r"(\d{4}-\d{2}-\d{2})/(\d{2,4})", re.ASCII)
_NUMBER = re.compile(r"\d{2,4}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SET_ASIDE = re.compile(r"\d{4}-\d{2}-\d{2}-(\d+)", re.ASCII)

KEPT_UNFINISHED = 20
"""Unfinished runs that were set aside and are kept, the newest of all dates."""


@dataclass(frozen=True)
class RunFolders:
    """The runs folder and the names inside it."""

    root: Path

    def finished(self, run_id: str) -> Path:
        """The folder of a finished run."""
        day, number = split_run_id(run_id)
        return self.root / day / number

    def staging(self, day: str) -> Path:
        """The folder of the run of a date while it is being made."""
        return self.root / ".staging" / day

    def numbers(self, day: str) -> list[int]:
        """Numbers of the finished runs of a date."""
        folder = self.root / day
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if p.is_dir() and _NUMBER.fullmatch(p.name))

    def run_ids(self) -> Iterator[str]:
        """Every finished run, oldest first."""
        if not self.root.is_dir():
            return
        for day in sorted(p.name for p in self.root.iterdir() if p.is_dir() and _DAY.fullmatch(p.name)):
            for number in self.numbers(day):
                yield run_id(day, number)

    def existing(self, text: str) -> Path:
        """The folder of a finished run named by a person (`2026-11-20/01`, or a date for its official run).

        Raises UsageError for another form and DataError when there is no such run.
        """
        name = f"{text}/01" if _DAY.fullmatch(text) else text
        folder = self.finished(name)
        if not (folder / "manifest.json").is_file():
            raise DataError(f"run {name}: not found in {self.root}. `daybook runs list` shows those there are.")
        return folder

    def staged(self) -> list[Path]:
        """Sealed runs of any date that are being made."""
        return sorted(path.parent for path in (self.root / ".staging").glob("*/manifest.json"))

    @property
    def unfinished(self) -> Path:
        """Where runs lie that were given up."""
        return self.root / ".unfinished"

    def set_aside(self, day: str) -> Path | None:
        """Move an unfinished run of this date out of the way; returns where it went."""
        staging = self.staging(day)
        if not staging.exists():
            return None
        self.unfinished.mkdir(parents=True, exist_ok=True)
        # Names that a run has taken in count too: a name never stands for two runs.
        named = [*self.unfinished.glob(f"{day}-*"), *self.unfinished.glob(f"*/inputs/unfinished/{day}-*"),
                 *staging.glob(f"inputs/unfinished/{day}-*")]
        taken = [int(found[1]) for path in named if (found := _SET_ASIDE.fullmatch(path.name))]
        target = self.unfinished / f"{day}-{1 + max(taken, default=0)}"
        staging.rename(target)
        os.utime(target)
        return target

    def set_aside_runs(self) -> list[Path]:
        """Runs that were set aside, the newest first."""
        if not self.unfinished.is_dir():
            return []
        return sorted((p for p in self.unfinished.iterdir() if _SET_ASIDE.fullmatch(p.name)), key=_age)

    def forget_unfinished(self, needed: Callable[[Path], bool]) -> None:
        """Remove the runs that were set aside but the newest, and none that is still needed."""
        for old in self.set_aside_runs()[KEPT_UNFINISHED:]:
            if not needed(old):
                shutil.rmtree(old, ignore_errors=True)

    def publish(self, day: str, number: int) -> Path:
        """Rename the staged run of a date to its final place, in one step."""
        target = self.finished(run_id(day, number))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.staging(day).rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise StorageError(
                f"{target}: can not be published ({error.strerror}). Run again with --resume."
            ) from error
        return target

    def discard_staging(self, day: str) -> None:
        """Remove a staged run that was never sealed: it holds nothing but copies of inputs."""
        shutil.rmtree(self.staging(day), ignore_errors=True)


def _age(path: Path) -> tuple[int, str]:
    return -path.stat().st_mtime_ns, path.name


def run_id(day: str, number: int) -> str:
    """`2026-11-20/01`."""
    return f"{day}/{number:02d}"


def split_run_id(text: str) -> tuple[str, str]:
    """Date and number of a run id. Raises UsageError for any other form, paths included."""
    match = _RUN_ID.fullmatch(text)
    if not match:
        raise UsageError(f"run: found {text!r}, allowed is YYYY-MM-DD/NN, for example 2026-11-20/01.")
    parse_day(match[1])
    return match[1], match[2]
