"""An executed notebook as one HTML page that opens from disk, offline, years later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup

from daybook.core.files import write_text
from daybook.core.time import utc_text
from daybook.report import assets, tables
from daybook.report.assets import Assets
from daybook.report.exporter import export
from daybook.report.notebook import Page, blank, read_page
from daybook.report.sections import RunInfo
from daybook.report.verdict import rerun_text

REPORT_PAGE = "report.html"
REPORT_NOTEBOOK = "40_rank_report"
_UP = "../../"


@dataclass(frozen=True)
class Link:
    """A link of the navigation."""

    label: str
    href: str


@dataclass(frozen=True)
class PageFrame:
    """What surrounds a notebook on its page; hrefs are relative to the run folder, runs/<day>/<number>/."""

    run: RunInfo
    title: str
    own: str
    plotly: str
    pages: tuple[Link, ...] = ()
    neighbours: tuple[Link, ...] = ()
    index: str = f"{_UP}index.html"
    failure: str = ""
    code: Literal["hidden", "folded"] = "folded"


@dataclass(frozen=True)
class RunFrame:
    """A run whose notebooks become pages: `previous` and `parent` are other runs as `<day>/<number>`."""

    run: RunInfo
    previous: str | None = None
    parent: str | None = None
    failure: str = ""


def render_run(folder: Path, frame: RunFrame, shared: Assets) -> list[Path]:
    """Write a page for every notebook of a run folder, and report.html from the last one without code.

    The folder lies two levels below the one that holds the shared assets and the index, a staging folder too. A run
    that failed before its report gets a report.html that says so. Raises StorageError when the folder is read-only.
    """
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    pages = (Link("Report", REPORT_PAGE), *(Link(_title(path), f"{path.stem}.html") for path in notebooks))
    common = PageFrame(frame.run, "Report", REPORT_PAGE, _UP + shared.plotly, pages, tuple(_neighbours(frame)),
                       failure=frame.failure, code="hidden")
    written = [render_page(folder / f"{REPORT_NOTEBOOK}.ipynb", folder / REPORT_PAGE, common)]
    for path in notebooks:
        own = replace(common, title=_title(path), own=f"{path.stem}.html", code="folded")
        written.append(render_page(path, folder / own.own, own))
    return written


def _title(notebook: Path) -> str:
    return notebook.stem.replace("_", " ")


def _neighbours(frame: RunFrame) -> Iterator[Link]:
    if frame.parent:
        yield Link(f"parent run {frame.parent}", f"{_UP}{frame.parent}/{REPORT_PAGE}")
    if frame.previous:
        yield Link(f"← {frame.previous}", f"{_UP}{frame.previous}/{REPORT_PAGE}")
    yield Link("report.json", "report.json")
    yield Link("all runs", f"{_UP}index.html")


def render_page(notebook: Path, target: Path, frame: PageFrame) -> Path:
    """Write one notebook as a page; equal notebooks and frames give equal bytes.

    A notebook that is missing or torn gives a page that says so. Raises StorageError when it can not be written.
    """
    page = read_page(notebook) if notebook.is_file() else blank(f"{notebook.name} was not written in this run.")
    return write_text(target, export(page, _resources(page, frame)))


def _resources(page: Page, frame: PageFrame) -> dict[str, Any]:
    run = frame.run
    return {
        "frame": frame, "folded": frame.code == "folded", "sections": page.sections, "notice": page.notice,
        "stopped": page.stopped,
        "window": f"{utc_text(run.window_start_ms)} – {utc_text(run.window_end_ms)}", "policy": assets.page_policy(),
        "style": Markup(assets.style()), "script": Markup(assets.script()),  # noqa: S704 - our own files  # nosec B704
        "parameters": tables.parameters(run), "rerun": rerun_text(run),
    }
