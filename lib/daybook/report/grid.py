"""The one table that every page uses: a units row, right-aligned figures, a reason behind every dash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from daybook.report import formats
from daybook.report.views import Html, render

_NARROW = 6
_DENSE = 12
Align = Literal["text", "number", "prose"]


@dataclass(frozen=True)
class Column:
    """A column: its heading, unit (second heading row), alignment and an explanation shown on hover."""

    label: str
    unit: str = ""
    align: Align = "number"
    help: str = ""


def words(*labels: str) -> tuple[Column, ...]:
    """Columns of short text, never broken."""
    return tuple(Column(label, "", "text") for label in labels)


def counts(*labels: str) -> tuple[Column, ...]:
    """Columns of figures without a unit."""
    return tuple(Column(label) for label in labels)


def prose(label: str) -> Column:
    """A column of sentences, broken where the page is too narrow."""
    return Column(label, "", "prose")


@dataclass(frozen=True)
class Cell:
    """A cell: its text, an explanation on hover, a tone (good, warn, bad, muted) and a bar of 0 to 100 behind it."""

    text: str
    title: str = ""
    tone: str = ""
    bar: int | None = None
    code: bool = False


def figure(value: Any, text: str, reason: str | None = None, *, tone: str = "") -> Cell:
    """A figure's cell; without a value a dash whose explanation is the reason."""
    if formats.undefined(value):
        return Cell(formats.MISSING, reason or "no reason was given", "muted")
    return Cell(text, tone=tone)


def score(value: Any, reason: str | None = None) -> Cell:
    """A score with its bar."""
    if formats.undefined(value):
        return figure(None, "", reason)
    return Cell(formats.number(value, 1), bar=max(0, min(100, round(float(value)))))


def text(value: Any, *, title: str = "", code: bool = False, tone: str = "") -> Cell:
    """A text cell; an empty text is a muted dash."""
    shown = "" if formats.undefined(value) else str(value)
    return Cell(shown, title, tone, code=code) if shown else Cell(formats.MISSING, title or "not given", "muted")


@dataclass(frozen=True)
class Grid:
    """A table to render: caption, columns, rows, a note below, and what to say when there is no row.

    folded: the table opens on a click; its caption and the number of rows are in sight.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    missing: str = "nothing to show"
    folded: bool = False

    @property
    def width(self) -> str:
        """How the style sheet spreads it: few columns keep to their content, many are set tighter."""
        columns = len(self.columns)
        return "narrow" if columns <= _NARROW else "dense" if columns >= _DENSE else "wide"

    def html(self) -> Html:
        """The table as HTML, with a plain-text line for terminals."""
        units = any(column.unit for column in self.columns)
        markup = render("table.html.j2", {"grid": self, "units": units, "width": self.width})
        rows = f"{len(self.rows)} row(s)" if self.rows else self.missing
        return Html(str(markup), f"{self.caption}: {rows}")


def stacked(*parts: Html) -> Html:
    """Several fragments as one."""
    return Html("\n".join(part.markup for part in parts), "\n".join(part.text for part in parts))
