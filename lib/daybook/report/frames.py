"""Any DataFrame as a table: a format, unit and heading for each column, chosen from its type where none is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from daybook.report import formats as written
from daybook.report.errors import ReportError
from daybook.report.grid import Align, Cell, Column, Grid, figure, score, text

_NAMED: dict[str, Callable[[Any], str]] = {
    "percent": written.percent,
    "fraction": lambda value: written.number(value, 3),
    "int": written.count,
    "figure": written.significant,
    "ms": written.day_time,
    "seconds": written.duration,
    "signed": written.signed,
}


_ALIGNED: Mapping[str, Align] = {"text": "text", "code": "text", "prose": "prose"}


@dataclass(frozen=True)
class FrameStyle:
    """How columns are shown, by column name: unit, heading, format, and why a figure may be undefined.

    optional: columns that are left out where no row has a value in them.
    """

    units: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


def frame_grid(table: pd.DataFrame, style: FrameStyle, *, caption: str, note: str, limit: int, missing: str) -> Grid:
    """The first `limit` rows of a DataFrame as a table.

    Formats: figure (about three significant digits), percent (of a fraction), fraction, score, int, ms (UTC), seconds,
    signed, text, prose (text that may break), code, or a number format such as `.3f`. Raises ReportError for a format
    that does not exist.
    """
    table = table.drop(columns=[name for name in table.columns if str(name) in style.optional
                                and all(map(_blank, table[name].tolist()))])
    names = [str(name) for name in table.columns]
    chosen = [style.formats.get(name) or _usual(table.iloc[:, place]) for place, name in enumerate(names)]
    head = [Column(style.labels.get(name, name.replace("_", " ")), style.units.get(name, "UTC" if form == "ms" else ""),
                   _ALIGNED.get(form, "number")) for name, form in zip(names, chosen, strict=True)]
    shown = table.head(limit)
    cells = [[_cell(value, form, style.reasons.get(name)) for value in shown.iloc[:, place].tolist()]
             for place, (name, form) in enumerate(zip(names, chosen, strict=True))]
    if len(table) > limit:
        note = f"{note} First {limit} of {len(table):,} rows.".strip()
    return Grid(caption, head, [list(row) for row in zip(*cells, strict=True)], note, missing)


def _usual(column: pd.Series[Any]) -> str:
    if str(column.name).endswith("_ms"):
        return "ms"
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return "text"
    return "int" if pd.api.types.is_integer_dtype(column) else "figure"


def _blank(value: Any) -> bool:
    return written.undefined(value) or value == ""


def _cell(value: Any, form: str, reason: str | None) -> Cell:
    if form == "score":
        return score(value, reason)
    if form in ("text", "prose", "code"):
        listed = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        return text(listed, title=reason or "", code=form == "code")
    if written.undefined(value):
        return figure(None, "", reason)
    if form in _NAMED:
        return Cell(_NAMED[form](value))
    try:
        return Cell(written.true_minus(format(float(value), form)).replace("-", "−"))
    except (ValueError, TypeError) as error:
        raise ReportError(f"table: {value!r} can not be written with the format {form!r} ({error}). Allowed are "
                          f"score, text, prose, code, {', '.join(_NAMED)} or a number format such as .3f.") from None
