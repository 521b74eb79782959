"""Files that every page of the site shares, named by the hash of their content and never changed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from daybook.core.files import write_atomic
from daybook.core.hashing import hash_file
from daybook.report.views import TEMPLATES

FOLDER = "_assets"
_HASH_LENGTH = 16


@dataclass(frozen=True)
class Assets:
    """Names of the shared files, relative to runs/."""

    plotly: str


def install_assets(runs: Path) -> Assets:
    """Put plotly's script, as its package ships it, under runs/_assets/ unless it is there already.

    A page of years ago keeps the plotly that drew it: another version has another hash, hence another name. A file
    whose content does not match its name is damaged and is written anew. Raises StorageError.
    """
    content, name = _plotly()
    path = runs / FOLDER / name
    if not path.is_file() or hash_file(path)[:_HASH_LENGTH] != name.split("-")[1].split(".")[0]:
        write_atomic(path, lambda temporary: _put(temporary, content))
    return Assets(f"{FOLDER}/{name}")


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@cache
def _plotly() -> tuple[bytes, str]:
    content = (resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return content, f"plotly-{hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]}.min.js"


@cache
def style() -> str:
    """The style sheet of every page; a page carries its own copy and so reads well without the shared files."""
    return (TEMPLATES / "page.css").read_text(encoding="utf-8") + _bar_rules()


def _bar_rules() -> str:
    return "".join(f".w{width}{{--w:{width}%}}" for width in range(101)) + "\n"


@cache
def script() -> str:
    """The only script a page may start: it loads plotly and draws the charts."""
    return (TEMPLATES / "draw.js").read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """A content security policy's source expression for an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page_policy() -> str:
    """The policy of a notebook page: nothing but our own script, which may load plotly; no network, no form, no frame.

    Charts set inline styles, hence 'unsafe-inline' for styles alone; without network sources a style can not leak.
    'strict-dynamic' lets the hashed script load plotly from disk, where 'self' has no meaning that browsers share.
    """
    return (f"default-src 'none'; script-src {source_hash(script())} 'strict-dynamic'; style-src 'unsafe-inline'; "
            "img-src data: blob:; base-uri 'none'; form-action 'none'")


def index_policy() -> str:
    """The policy of a page without charts: no script at all."""
    return f"default-src 'none'; style-src {source_hash(style())}; img-src data:; base-uri 'none'; form-action 'none'"
