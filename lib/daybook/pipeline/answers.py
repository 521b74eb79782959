"""How a command ends: exit code, one line for people, and with --json exactly one JSON object for machines."""

from __future__ import annotations

import errno
import json
import sys
import traceback

from daybook.core.errors import DaybookError, StorageError
from daybook.core.redaction import redact, secret_values

INTERRUPTED = 130
TERMINATED = 143
_STORAGE_CODES = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR
}


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: the same as Ctrl-C but for the exit code."""


def failure(error: BaseException, as_json: bool) -> int:
    """Say why a command ended, without secrets, and return its exit code."""
    code, kind, message = _told(error)
    message = redact(message, secret_values())
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the command's answer
    if as_json:
        print(json.dumps({"status": "failed", "exit_code": code, "error": kind, "message": message}))  # noqa: T201
    return code


def _told(error: BaseException) -> tuple[int, str, str]:
    if isinstance(error, DaybookError):
        return error.exit_code, type(error).__name__, str(error)
    if isinstance(error, Terminated):
        return TERMINATED, "Terminated", "terminated; run the same command with --resume."
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Interrupted", "interrupted; run the same command with --resume."
    if isinstance(error, OSError) and error.errno in _STORAGE_CODES:
        place = f"{error.filename}: " if error.filename else ""
        text = f"{place}{error.strerror}. Free space or permit writing, then run the same command with --resume."
        return StorageError.exit_code, StorageError.__name__, text
    text = "".join(traceback.format_exception(error))
    return 1, type(error).__name__, f"{text}\nA defect of Daybook; the run can be resumed."
