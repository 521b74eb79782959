"""runs/index.html: every run, newest first, and the course of the best score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from daybook.core.files import write_text
from daybook.report import assets
from daybook.report.sections import Count, Day, Number, Section
from daybook.report.views import render

INDEX = "index.html"
_WIDTH, _HEIGHT = 720.0, 84.0
_EVEN_ODDS = 50.0


class RunRow(Section):
    """One run as the index lists it; a figure that the run did not reach is null."""

    run_id: str
    day: Day
    number: int = Field(ge=1)
    official: bool
    parent: str | None = None
    status: Literal["ok", "failed", "unfinished"]
    reason: str = ""
    source: str
    synthetic: bool
    symbols: tuple[str, ...] = ()
    headline: str = ""
    top_score: Number = None
    entered: Count = None
    left: Count = None
    trials_ever: Count = None
    wall_seconds: Number = None
    pages: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The run's folder below runs/."""
        return f"{self.day}/{self.number:02d}"


def write_index(runs: Path, rows: Sequence[RunRow]) -> Path:
    """Write runs/index.html atomically: newest day first, within a day the newest run first; needs no other file."""
    ordered = sorted(rows, key=lambda row: (row.day, row.number), reverse=True)
    official = [row for row in reversed(ordered) if row.official and row.top_score is not None]
    values = {"rows": ordered, "policy": assets.index_policy(), "style": assets.style(), "latest": official[-1:],
              "days": len({row.day for row in rows}), "spark": sparkline([row.top_score or 0.0 for row in official]),
              "height": _HEIGHT, "width": _WIDTH}
    return write_text(runs / INDEX, str(render("index.html.j2", values)))


@dataclass(frozen=True)
class Sparkline:
    """An SVG line of scores, oldest first: its points, and the heights of even odds, the highest and the lowest."""

    points: str
    even_odds: float
    highest: float
    lowest: float


def sparkline(scores: Sequence[float]) -> Sparkline | None:
    """The line through scores 0..100, scaled to their range and to even odds; one score is drawn as a level line."""
    if not scores:
        return None
    listed = list(scores) if len(scores) > 1 else [scores[0], scores[0]]
    low, high = min(_EVEN_ODDS, *listed), max(_EVEN_ODDS, *listed)
    step, scale = _WIDTH / (len(listed) - 1), _HEIGHT / ((high - low) or 1.0)
    points = " ".join(f"{place * step:.1f},{scale * (high - score):.1f}" for place, score in enumerate(listed))
    return Sparkline(points, round(scale * (high - _EVEN_ODDS), 1), max(listed), min(listed))
