"""A bar chart, a line chart and a map of cells for any DataFrame."""

from __future__ import annotations

import pandas as pd

from daybook.report import formats, palette
from daybook.report.plot import axis, chart, columns, label, labels, no_data, numbers, plain, utc_axis, utc_stamps
from daybook.report.views import Chart

_EMPTY = "the table is empty"


def bars(frame: pd.DataFrame, x: str, y: str, n: str | None = None, *, title: str, unit: str = "") -> Chart:
    """Horizontal bars in the frame's order: labels from column `x`, values from `y`, sample sizes from `n`."""
    names, values = columns(frame, x, y, what=title)
    sizes = columns(frame, n, what=title)[0] if n else None
    if not names:
        return no_data(label(title, 90), _EMPTY)
    text = [formats.figure(value, unit) for value in values]
    if sizes is not None:
        text = [f"{shown}  n {formats.count(size)}" for shown, size in zip(text, sizes, strict=True)]
    data = [{"type": "bar", "orientation": "h", "y": labels(names), "x": numbers(values), "text": text,
             "textposition": "outside", "cliponaxis": False, "marker": {"color": palette.FOCUS},
             "hovertemplate": "%{y}: %{text}<extra></extra>"}]
    return chart(data, title=label(title, 90), subtitle=f"{len(names):,} rows", height=130 + 22 * len(names), layout={
        "xaxis": axis(label(unit or y), **_room(numbers(values))),
        "yaxis": axis("", autorange="reversed", ticks="", tickfont={"size": 11}),
        "showlegend": False})


def _room(values: list[float | None]) -> dict[str, list[float | None]]:
    """A range that leaves room for the text beyond the longest bar."""
    known = [0.0, *(value for value in values if value is not None)]
    low, high = min(known), max(known)
    text = 0.16 * (high - low)
    return {"range": [plain(low - text if low < 0 else 0.0), plain(high + text)]} if high > low else {}


def cells(frame: pd.DataFrame, x: str, y: str, z: str, n: str, *, title: str, unit: str = "", axis_title: str = "",
          middle: float = 1.0) -> Chart:
    """A map of `z`, one cell for each value of `x` across and `y` down, in the frame's order; `n` is told on hover.

    middle: the value drawn near-white; orange above it and blue below, each at its full strength one `middle` away.
    """
    across, down, values, sizes = columns(frame, x, y, z, n, what=title)
    if not across:
        return no_data(label(title, 90), _EMPTY)
    ticks, rows = sorted(set(across)), list(dict.fromkeys(down))
    found = {(one, other): (plain(value), formats.count(size))
             for one, other, value, size in zip(across, down, values, sizes, strict=True)}
    table = [[found.get((tick, row), (None, "0")) for tick in ticks] for row in rows]
    data = [{"type": "heatmap", "x": [label(tick) for tick in ticks], "y": labels(rows), "xgap": 2, "ygap": 2,
             "z": [[value for value, _ in row] for row in table],
             "text": [["" if value is None else f"{value:.2g}" for value, _ in row] for row in table],
             "customdata": [[size for _, size in row] for row in table], "texttemplate": "%{text}",
             "textfont": {"size": 10, "color": "#222222"}, "hoverongaps": False,
             "colorscale": [list(stop) for stop in palette.DIVERGING], "reversescale": True,
             "zmin": plain(0.0), "zmax": plain(2 * middle),
             "colorbar": {"title": {"text": ""}, "thickness": 12, "outlinewidth": 0},
             "hovertemplate": "%{y}, %{x}: %{z:.3g}  n %{customdata}<extra></extra>"}]
    return chart(data, title=label(title, 90), subtitle=f"{len(found):,} cells, {label(unit or z)}",
                 height=150 + 26 * len(rows), layout={
                     "xaxis": axis(label(axis_title or x), type="category", showgrid=False),
                     "yaxis": axis("", type="category", showgrid=False, ticks="", autorange="reversed",
                                   tickfont={"size": 11})})


def lines(frame: pd.DataFrame, x: str, y: str, group: str | None = None, *, title: str, unit: str = "",
          subtitle: str = "") -> Chart:
    """Lines of `y` over `x`, one for each value of `group`; an `x` column that ends in _ms becomes UTC dates."""
    across, values = columns(frame, x, y, what=title)
    names = columns(frame, group, what=title)[0] if group else [y] * len(across)
    if not across:
        return no_data(label(title, 90), _EMPTY)
    dated = x.endswith("_ms")
    data = []
    for place, name in enumerate(dict.fromkeys(names)):
        rows = [i for i, found in enumerate(names) if found == name]
        data.append({"type": "scatter", "mode": "lines", "name": label(name),
                     "x": utc_stamps(across[i] for i in rows) if dated else [label(across[i]) for i in rows]
                     if isinstance(across[0], str) else numbers(across[i] for i in rows),
                     "y": numbers(values[i] for i in rows),
                     "line": {"color": palette.SERIES[place % len(palette.SERIES)], "width": 1.8}})
    return chart(data, title=label(title, 90), subtitle=subtitle or f"{len(across):,} points", layout={
        "xaxis": utc_axis() if dated else axis(label(x)), "yaxis": axis(label(unit or y)),
        "showlegend": group is not None})
