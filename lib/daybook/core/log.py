"""A run's log: one JSON object a line, UTC, secrets masked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daybook.core.redaction import redact


class RunLog:
    """Appends events to `log.jsonl`; every line is flushed, so that a killed run keeps what it said."""

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        import structlog

        path.parent.mkdir(parents=True, exist_ok=True)
        self._secrets = tuple(secrets)
        torn = path.is_file() and not path.read_bytes().endswith((b"\n", b""))
        self._file = path.open("a", encoding="utf-8")
        if torn:  # a full disk or a power cut ended the last line early
            self._file.write("\n")
        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(self._file),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(sort_keys=True),
                self._redacted,
            ],
        )

    def _redacted(self, _logger: object, _method: str, line: Any) -> str:
        return redact(str(line), self._secrets)

    def event(self, name: str, **facts: Any) -> None:
        """Write one event with its facts (JSON values)."""
        self._logger.msg(name, **facts)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


