"""Keep secrets out of everything that is saved: notebooks, manifests, logs, tracebacks, reports."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

MASK = "********"
_SECRET_NAME = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)", re.IGNORECASE)
_KEY_FORMS = re.compile(
    r"sk-ant-[A-Za-z0-9_-]{8,}"  # Anthropic
    r"|\b\d{8,10}:[A-Za-z0-9_-]{35}\b"  # Telegram bot
    r"|AKIA[0-9A-Z]{16}"  # AWS
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_SHORTEST = 8
"""Shorter values are not searched for: masking them would eat ordinary words."""


def secret_values(known: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Values to mask, longest first: the known ones and those of environment variables with a secret's name."""
    variables = os.environ if environment is None else environment
    named = (value for name, value in variables.items() if _SECRET_NAME.search(name))
    return tuple(sorted({v for v in (*known, *named) if len(v) >= _SHORTEST}, key=lambda v: (-len(v), v)))


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with every given secret, and everything that has the form of a key, replaced by asterisks."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _KEY_FORMS.sub(MASK, text)


def files_with_secrets(folder: Path, secrets: Iterable[str]) -> list[Path]:
    """Files below the folder that hold a secret, in name order: asked before anything is published."""
    wanted = [secret.encode() for secret in secrets]
    forms = re.compile(_KEY_FORMS.pattern.encode())
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if any(secret in content for secret in wanted) or forms.search(content):
            found.append(path)
    return found
