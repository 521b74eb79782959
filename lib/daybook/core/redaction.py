"""Keep secrets out of everything that is saved: notebooks, manifests, logs, tracebacks, reports."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

MASK = "********"
_SECRET_NAME = re.compile(
    r"(API|ACCESS|PRIVATE)_?KEY|(^|_)KEY$|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_KEY_FORMS = re.compile(
    r"sk-ant-[A-Za-z0-9_-]{8,}"  # Anthropic
    r"|\b\d{8,10}:[A-Za-z0-9_-]{35}\b"  # Telegram bot
    r"|AKIA[0-9A-Z]{16}"  # AWS
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_SHORTEST = 8
"""Shorter values are not searched for: masking them would eat ordinary words."""


def secret_values(known: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Values to mask, longest first: the known ones and those that the environment holds, in every form of writing.

    The environment's are the values of variables with a secret's name and the passwords inside URLs.
    """
    variables = os.environ if environment is None else environment
    named = [value for name, value in variables.items() if _SECRET_NAME.search(name)]
    inside = [password for value in variables.values() for password in _URL_PASSWORD.findall(value)]
    found = {form for value in (*known, *named, *inside) if len(value) >= _SHORTEST for form in _forms(value)}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _forms(value: str) -> set[str]:
    """A value as it stands in plain text, JSON, a Python repr, HTML and a URL."""
    return {
        value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1],
        html.escape(value), html.escape(value, quote=False), quote(value, safe=""),
    }


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
