"""Models: value against baseline, calibration, drift of their inputs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from daybook.report import formats, palette
from daybook.report.plot import axis, chart, columns, label, labels, marker_line, no_data, numbers, plain
from daybook.report.sections import Metric, ModelRow, Standing
from daybook.report.views import Chart

_PANELS_ACROSS = 5
_AROUND = 0.06


@dataclass(frozen=True)
class _Panel:
    model: str
    metric: str
    value: float | None
    baseline: float | None
    n: Any
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    standing: Standing = "none"


_COLOURS: dict[Standing, str] = {"beats": palette.GOOD, "unsure": palette.FOCUS, "ahead": palette.FOCUS,
                                 "behind": palette.BAD, "none": palette.INK}


def model_scorecards(rows: Sequence[ModelRow] | pd.DataFrame, *, title: str = "Models against their baselines",
                     missing: str = "no model was scored") -> Chart:
    """One panel a model: its main metric out of fold, with interval, against its baseline.

    rows: report sections (their first metric), or a DataFrame [model, metric, value, baseline, n] and optionally
    lower, upper, unit, better ("higher" or "lower"). An undefined value leaves its panel empty.
    """
    panels = _panels(rows)
    if not panels:
        return no_data(title, missing)
    across = min(_PANELS_ACROSS, len(panels))
    down = -(-len(panels) // across)
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"grid": {"rows": down, "columns": across, "pattern": "independent", "xgap": 0.32,
                                       "ygap": 0.5}, "annotations": [], "shapes": [], "showlegend": False}
    for place, panel in enumerate(panels):
        suffix = "" if place == 0 else str(place + 1)
        x, y = f"x{suffix}", f"y{suffix}"
        data.append(_dot(panel, x, y))
        layout[f"xaxis{suffix}"] = {"visible": False, "range": [-1, 1]}
        layout[f"yaxis{suffix}"] = axis(
            label(panel.unit), nticks=5, tickfont={"size": 10}) | {"title": {"text": label(panel.unit), "standoff": 4,
                                                                             "font": {"size": 10}}}
        if panel.baseline is not None:
            data.append({"type": "scatter", "mode": "lines", "x": [-0.8, 0.8], "y": [plain(panel.baseline)] * 2,
                         "xaxis": x, "yaxis": y, "line": {"color": palette.THRESHOLD, "dash": "dash", "width": 1.5},
                         "hovertemplate": "baseline %{y}<extra></extra>"})
        layout["annotations"].append(
            {"text": f"<b>{label(panel.model)}</b><br>{label(panel.metric)}<br>n {formats.count(panel.n)}",
             "xref": f"{x} domain", "yref": f"{y} domain", "x": 0.5, "y": 1.04, "xanchor": "center",
             "yanchor": "bottom", "showarrow": False, "font": {"size": 11}})
    layout["margin"] = {"l": 48, "r": 16, "t": 128, "b": 20}
    return chart(data, title=title, height=110 + 250 * down, layout=layout,
                 subtitle="out of fold, whiskers: 95 % interval, dashed: baseline; green: the whole interval beats it, "
                          "blue: only the value does, orange: not")


def _panels(rows: Sequence[ModelRow] | pd.DataFrame) -> list[_Panel]:
    if not isinstance(rows, pd.DataFrame):
        mains = [(row, row.metrics[0]) for row in rows if row.metrics]
        return [_Panel(row.name, formats.metric_name(main.name), main.value, main.baseline, main.n,
                       *(main.interval or (None, None)), unit=formats.unit_text(main.unit), standing=main.standing)
                for row, main in mains]
    columns(rows, "model", "metric", "value", "baseline", "n", what="model scorecards")
    return [_framed(row) for row in rows.to_dict("records")]


def _framed(row: Mapping[Hashable, Any]) -> _Panel:
    lower, upper = plain(row.get("lower")), plain(row.get("upper"))
    metric = Metric(name=str(row["metric"]), value=plain(row["value"]), baseline=plain(row["baseline"]),
                    interval=None if lower is None and upper is None else (lower, upper),
                    better="lower" if row.get("better") == "lower" else "higher", reason="undefined")
    return _Panel(str(row["model"]), metric.name, metric.value, metric.baseline, row["n"], lower, upper,
                  str(row.get("unit", "")), metric.standing)


def _dot(panel: _Panel, x: str, y: str) -> dict[str, Any]:
    dot: dict[str, Any] = {
        "type": "scatter", "mode": "markers+text", "x": [0], "y": [plain(panel.value)], "xaxis": x, "yaxis": y,
        "marker": {"size": 11, "color": _COLOURS[panel.standing]}, "textposition": "middle right", "cliponaxis": False,
        "text": [f"  {formats.significant(panel.value)}"], "hovertemplate": "%{y}<extra></extra>"}
    if panel.value is not None and panel.lower is not None and panel.upper is not None:
        dot["error_y"] = {"type": "data", "symmetric": False, "array": [plain(max(0.0, panel.upper - panel.value))],
                          "arrayminus": [plain(max(0.0, panel.value - panel.lower))], "color": _COLOURS[panel.standing],
                          "thickness": 1.5, "width": 5}
    return dot


def calibration(frame: pd.DataFrame, *, title: str = "Calibration: does a predicted chance come true?",
                missing: str = "no model predicts a probability") -> Chart:
    """Observed frequency against predicted probability, a marker's area growing with its sample.

    frame: [model, predicted 0..1, observed 0..1, n], one row a bin.
    """
    models, predicted, observed, sizes = columns(frame, "model", "predicted", "observed", "n", what="calibration")
    if not models:
        return no_data(title, missing)
    largest = max(float(size) for size in sizes) or 1.0
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "perfectly calibrated",
         "line": {"color": palette.BENCHMARK, "dash": "dash", "width": 1.2}, "hoverinfo": "skip"}]
    for place, model in enumerate(dict.fromkeys(models)):
        rows = [i for i, name in enumerate(models) if name == model]
        colour = palette.SERIES[place % len(palette.SERIES)]
        counts = [int(sizes[i]) for i in rows]
        data.append({"type": "scatter", "mode": "lines+markers", "name": f"{label(model)}  n {sum(counts):,}",
                     "x": numbers(predicted[i] for i in rows), "y": numbers(observed[i] for i in rows),
                     "line": {"color": colour, "width": 1.2}, "text": [f"n {c:,}" for c in counts],
                     "marker": {"color": colour, "size": numbers(5 + 15 * (c / largest) ** 0.5 for c in counts)},
                     "hovertemplate": "predicted %{x:.2f}, observed %{y:.2f}, %{text}<extra>%{fullData.name}</extra>"})
    known = [value for raw in (*predicted, *observed) if (value := plain(raw)) is not None]
    shown = [max(0.0, min(known, default=0.0) - _AROUND), min(1.0, max(known, default=1.0) + _AROUND)]
    layout = {"xaxis": axis("predicted probability", range=shown),
              "yaxis": axis("observed frequency", range=shown)}
    subtitle = "out of fold; marker area: sample size of the bin"
    return chart(data, title=title, subtitle=subtitle, height=420, layout=layout)


def drift(frame: pd.DataFrame, *, alarm: float = 0.25, title: str = "Drift of inputs",
          missing: str = "no drift was measured") -> Chart:
    """Population stability index of each feature against the alarm level, largest first.

    frame: [name, psi, n].
    """
    names, psi, sizes = columns(frame, "name", "psi", "n", what="drift")
    known = [(str(name), value, size) for name, raw, size in zip(names, psi, sizes, strict=True)
             if (value := plain(raw)) is not None]
    if not known:
        return no_data(title, missing)
    known.sort(key=lambda row: (-row[1], row[0]))
    colours = [palette.BAD if value >= alarm else palette.FOCUS for _, value, _ in known]
    data = [{"type": "bar", "orientation": "h", "x": [value for _, value, _ in known],
             "y": labels(name for name, _, _ in known), "marker": {"color": colours}, "textposition": "outside",
             "text": [f"{formats.number(value, 3)}  n {formats.count(size)}" for _, value, size in known],
             "cliponaxis": False, "hovertemplate": "%{y}: %{text}<extra></extra>"}]
    shape, note = marker_line(alarm, f"alarm {alarm:g}")
    over = sum(value >= alarm for _, value, _ in known)
    return chart(data, title=title, subtitle=f"{over} of {len(known)} over the alarm; n = observations",
                 height=130 + 20 * len(known), layout={
                     "xaxis": axis("population stability index", range=[0, 1.2 * max(alarm, known[0][1])]),
                     "yaxis": axis("", autorange="reversed", ticks="", tickfont={"size": 11}), "shapes": [shape],
                     "annotations": [note], "showlegend": False})
