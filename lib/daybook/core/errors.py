"""The family of errors a person may see, each with a stable exit code.

A message says what went wrong, where, what was found, what is allowed and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class DaybookError(Exception):
    """Base of every error that Daybook raises on purpose; `exit_code` is what `run_daily.py` leaves with."""

    exit_code: ClassVar[int] = 1


class UsageError(DaybookError):
    """A command line, setting or parameter that is unknown, ill-typed or out of range."""

    exit_code = 2


class DataError(DaybookError):
    """Candles, features or artefacts that are missing, corrupt or not what was sealed."""

    exit_code = 3


class StepError(DaybookError):
    """A step of the day failed; its notebook is kept and named in the message."""

    exit_code = 4


class LockedError(DaybookError):
    """Another runner holds the lock of this data or runs folder."""

    exit_code = 5


class StorageError(DaybookError):
    """A folder that can not be written, a full disk, or a store that can not be opened."""

    exit_code = 6
