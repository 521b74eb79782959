"""An executed notebook reduced to what a page shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybook.report.sanitise import chosen_mime
from daybook.report.views import PLOTLY_MIME

_KINDS = {PLOTLY_MIME: "chart", "text/html": "html", "image/png": "image", "text/plain": "text"}
_HEADING = re.compile(r"^##[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_ERROR_MARK = "papermill-error-cell-tag"
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*", re.ASCII)
_MARKDOWN_SIGNS = re.compile(r"[*_`]")


@dataclass(frozen=True)
class Page:
    """Cells to show (plain JSON values), headings as (cell number, text), and a notice for the reader."""

    cells: list[dict[str, Any]]
    sections: list[tuple[int, str]]
    notice: str = ""

    @property
    def stopped(self) -> tuple[int, str] | None:
        """The first cell that raised, and what it raised."""
        return next(((cell["number"], view["text"]) for cell in self.cells for view in cell["views"]
                     if view["kind"] == "error"), None)


def blank(notice: str) -> Page:
    """A page without cells."""
    return Page([], [], notice)


def read_page(path: Path) -> Page:
    """What a page shows of a notebook; a file that is no notebook gives a page that says so.

    A failed run keeps its notebook as it was when the run ended: it may be torn, and a reader still needs a page.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return Page(*_cells(notebook["cells"]))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        return blank(f"{path.name} can not be read as a notebook ({type(error).__name__}); it was not written whole.")


def _cells(source: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    cells: list[dict[str, Any]] = []
    sections: list[tuple[int, str]] = []
    for number, cell in enumerate(source):
        if _ERROR_MARK in cell.get("metadata", {}).get("tags", ()):
            continue
        text = _text(cell.get("source", ""))
        kind = cell.get("cell_type")
        if kind == "markdown":
            sections += [(number, _MARKDOWN_SIGNS.sub("", heading)) for heading in _HEADING.findall(text)]
        views = _views(cell.get("outputs", ())) if kind == "code" else []
        cells.append({"cell_type": kind, "id": f"c{number}", "number": number, "source": text, "metadata": {},
                      "views": views})
    return cells, sections


def _views(outputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    views: list[dict[str, Any]] = []
    for output in outputs:
        view = _view(output)
        if view is None:
            continue
        if views and view["kind"] == views[-1]["kind"] and view["kind"] in ("stdout", "stderr"):
            views[-1]["content"] += view["content"]
        else:
            views.append(view)
    return views


def _view(output: Mapping[str, Any]) -> dict[str, Any] | None:
    kind = output.get("output_type")
    if kind == "stream":
        stream = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"kind": stream, "content": _text(output.get("text", ""))}
    if kind == "error":
        return {"kind": "error", "text": f"{output.get('ename', 'Error')}: {output.get('evalue', '')}",
                "content": "\n".join(map(str, output.get("traceback", ())))}
    if kind not in ("display_data", "execute_result"):
        return None
    bundle = output.get("data", {})
    mime = chosen_mime(bundle)
    if mime is None:
        return None
    content = bundle[mime] if mime == PLOTLY_MIME else _text(bundle[mime])
    if mime == "image/png" and not _BASE64.fullmatch(content):
        return None
    return {"kind": _KINDS[mime], "content": content, "text": _text(bundle.get("text/plain", ""))}


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
