"""The shared frame of every chart: safe labels, one layout, plain rounded numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from daybook.report import palette
from daybook.report.errors import ReportError
from daybook.report.views import Chart

LABEL_LENGTH = 44
_DIGITS = 6
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"


def label(value: Any, length: int = LABEL_LENGTH) -> str:
    """A text that plotly draws as it stands.

    plotly reads a subset of HTML (b, a href, span style, br) in names, ticks and titles; `<`, `>` and `&` are
    therefore entities, control and line characters become spaces, and a long text is cut.
    """
    flat = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    cut = flat if len(flat) <= length else flat[: length - 1] + "…"
    escaped = cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A pair of dollar signs would start TeX and %{ a template where plotly looks for them.
    return escaped.replace("$", "＄").replace("%{", "% {")


def labels(values: Iterable[Any]) -> list[str]:
    """`label` of each value, made distinct: plotly would draw two equal categories as one."""
    seen: dict[str, int] = {}
    distinct = []
    for value in values:
        text = label(value)
        seen[text] = seen.get(text, 0) + 1
        distinct.append(text if seen[text] == 1 else f"{text} ·{seen[text]}")
    return distinct


def plain(value: Any) -> float | None:
    """A number of six significant digits, or None where it is undefined (a gap in the line)."""
    if value is None:
        return None
    number = float(value)
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None


def numbers(values: Iterable[Any]) -> list[float | None]:
    """`plain` of each value."""
    return [plain(value) for value in values]


def utc_stamps(times_ms: Iterable[Any]) -> list[str]:
    """Times in milliseconds as plotly dates; plotly draws a date without zone as it stands, so axes read UTC."""
    return [datetime.fromtimestamp(int(time) / 1000, UTC).strftime("%Y-%m-%d %H:%M") for time in times_ms]


def columns(frame: Any, *names: str, what: str) -> list[list[Any]]:
    """The named columns of a DataFrame as lists. Raises ReportError naming those that are missing."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns))
        raise ReportError(
            f"{what}: column(s) {', '.join(missing)} missing, found {found}. Needed are {', '.join(names)}.")
    return [frame[name].tolist() for name in names]


def axis(title: str = "", **options: Any) -> dict[str, Any]:
    """One axis: its title with the unit, quiet grid."""
    return {"title": {"text": title, "standoff": 8}, "gridcolor": palette.GRID, "zeroline": False, "automargin": True,
            "linecolor": palette.GRID, "ticks": "outside", "ticklen": 4, "ticklabelstandoff": 3,
            "tickcolor": palette.GRID} | options


def utc_axis(**options: Any) -> dict[str, Any]:
    """The time axis of every chart."""
    return axis("date and time, UTC", type="date", **options)


def chart(data: list[dict[str, Any]], *, title: str, subtitle: str = "", height: int = 360,
          layout: Mapping[str, Any] | None = None) -> Chart:
    """A chart in the common frame: title at left, sample sizes and units in the subtitle, transparent ground."""
    frame: dict[str, Any] = {
        "title": {"text": title, "subtitle": {"text": subtitle, "font": {"size": 12}}, "x": 0, "xref": "container",
                  "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12, "l": 8},
                  "font": {"size": 15, "weight": 600}},
        "font": {"family": _FONT, "size": 12, "color": palette.INK},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "height": height, "margin": {"l": 64, "r": 24, "t": 72, "b": 44},
        "hoverlabel": {"font": {"family": _FONT, "size": 12}},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "traceorder": "normal",
                   "font": {"size": 11}},
        "colorway": list(palette.SERIES),
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": palette.INK, "activecolor": palette.FOCUS},
        "separators": ".,",
    }
    merged = frame | dict(layout or {})
    return Chart(data, merged, f"{title} ({subtitle})" if subtitle else title)


def no_data(title: str, reason: str) -> Chart:
    """A chart that says why there is nothing to draw."""
    return said(title, f"No data: {reason}")


def said(title: str, sentence: str) -> Chart:
    """A chart that is a sentence: there is something to say and not yet anything to draw."""
    note = {"text": label(sentence, 120), "xref": "paper", "yref": "paper", "x": 0, "y": 0.5,
            "showarrow": False, "xanchor": "left", "font": {"size": 13}}
    hidden = {"visible": False}
    return chart([], title=title, height=104, layout={"annotations": [note], "xaxis": hidden, "yaxis": hidden,
                                                      "margin": {"l": 10, "r": 24, "t": 44, "b": 12}})


def marker_line(position: float, text: str, colour: str = palette.THRESHOLD) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dashed upright line at a value of the x axis, and its caption above it (shape, annotation)."""
    line = {"color": colour, "width": 1.5, "dash": "dash"}
    shape = {"type": "line", "x0": position, "x1": position, "yref": "paper", "y0": 0, "y1": 1, "line": line,
             "layer": "below"}
    note = {"text": text, "showarrow": False, "font": {"size": 11, "color": colour}, "x": position, "yref": "paper",
            "y": 1, "yanchor": "bottom", "xanchor": "center"}
    return shape, note
