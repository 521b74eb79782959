"""A bar chart and a line chart for any DataFrame."""

from __future__ import annotations

import pandas as pd

from daybook.report import formats, palette
from daybook.report.plot import axis, chart, columns, label, labels, no_data, numbers, utc_axis, utc_stamps
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
        "xaxis": axis(label(unit or y)), "yaxis": axis("", autorange="reversed", ticks="", tickfont={"size": 11}),
        "showlegend": False})


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
