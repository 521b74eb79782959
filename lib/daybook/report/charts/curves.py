"""Lines over time: equity, drawdown, and the scores of members from day to day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pandas as pd

from daybook.core.time import DAY_MS
from daybook.report import formats, palette
from daybook.report.plot import axis, chart, columns, label, no_data, numbers, plain, said, utc_axis, utc_stamps
from daybook.report.sections import Curve
from daybook.report.views import Chart

_EVEN_ODDS = 50.0
_SPARSE_DAYS = 40
_FEW_DAYS = 9


@dataclass(frozen=True)
class _Line:
    name: str
    role: str
    times_ms: list[int]
    equity: list[float | None]


@dataclass(frozen=True)
class _Panel:
    title: str
    subtitle: str
    unit: str
    height: int
    deepest: bool = False


def equity(curves: Sequence[Curve] | pd.DataFrame, *, title: str = "Equity after costs",
           subtitle: str = "net return in % of the starting capital", missing: str = "no curves") -> Chart:
    """Net return of strategies (or models) against buy-and-hold, in percent of the starting capital.

    curves: report sections, or a long DataFrame [name, role, time_ms, equity] with 1.0 = start; NaN leaves a gap.
    """
    drawn = [(line, [None if v is None else 100 * (v - 1) for v in line.equity]) for line in _lines(curves)]
    return _curves(drawn, _Panel(title, subtitle, "net return, % of capital", 420), missing)


def drawdown(curves: Sequence[Curve] | pd.DataFrame, *, title: str = "Drawdown",
             subtitle: str = "loss from the highest equity so far, in % of that equity; figures: the deepest",
             missing: str = "no curves") -> Chart:
    """Loss from the running maximum of each equity curve, in percent; input as for `equity`."""
    drawn = [(line, _drawdown(line.equity)) for line in _lines(curves)]
    return _curves(drawn, _Panel(title, subtitle, "drawdown, %", 320, deepest=True), missing)


def score_history(frame: pd.DataFrame, *, highlight: int = 5, title: str = "Score history",
                  missing: str = "this is the first day") -> Chart:
    """Each member's score from day to day; the best `highlight` of the last day are named, the others are grey.

    frame: [day YYYY-MM-DD, name, score 0..100]; NaN leaves a gap.
    """
    days, names, scores = columns(frame, "day", "name", "score", what="score history")
    if not days:
        return no_data(title, missing)
    if len(set(days)) == 1:
        return said(title, f"One day so far ({days[0]}, {len(names)} members): lines begin with the second day.")
    tracks: dict[str, list[tuple[str, float | None]]] = {}
    for day, name, score in zip(days, names, scores, strict=True):
        tracks.setdefault(str(name), []).append((str(day), plain(score)))
    last = max(map(str, days))
    standing = {name: next((s for d, s in track if d == last and s is not None), -1.0)
                for name, track in tracks.items()}
    order = sorted(tracks, key=lambda name: (-standing[name], name))
    many = len(set(days)) > _SPARSE_DAYS
    ticks: dict[str, Any] = {"nticks": 8} if len(set(days)) > _FEW_DAYS else {"dtick": DAY_MS}
    data = []
    for place, name in reversed(list(enumerate(order))):
        track = sorted(tracks[name], key=lambda point: point[0])
        named = place < highlight
        colour = palette.SERIES[place % len(palette.SERIES)] if named else palette.MUTED
        data.append({"type": "scatter", "mode": "lines" if many else "lines+markers", "name": label(name),
                     "x": [day for day, _ in track], "y": numbers(score for _, score in track),
                     "line": {"color": colour, "width": 2 if named else 1}, "opacity": 1 if named else 0.5,
                     "showlegend": named, "legendrank": place + 1, "marker": {"size": 6 if named else 4}})
    layout = {"xaxis": axis("day (UTC)", type="date", tickformat="%Y-%m-%d", **ticks),
              "yaxis": axis("score, 0–100", range=[0, 100]), "shapes": [_even_odds()]}
    subtitle = f"{len(order)} members, {len(set(days))} days; dashed: 50 = as likely as not to make money after costs"
    return chart(data, title=title, subtitle=subtitle, layout=layout)


def _even_odds() -> dict[str, Any]:
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": _EVEN_ODDS, "y1": _EVEN_ODDS, "layer": "below",
            "line": {"color": palette.THRESHOLD, "width": 1.5, "dash": "dash"}}


def _lines(curves: Sequence[Curve] | pd.DataFrame) -> list[_Line]:
    if not isinstance(curves, pd.DataFrame):
        return [_Line(c.name, c.role, [c.start_ms + i * c.step_ms for i in range(len(c.equity))], list(c.equity))
                for c in curves]
    rows = zip(*columns(curves, "name", "role", "time_ms", "equity", what="equity curves"), strict=True)
    found: dict[tuple[str, str], _Line] = {}
    for name, role, time_ms, value in rows:
        line = found.setdefault((str(name), str(role)), _Line(str(name), str(role), [], []))
        line.times_ms.append(int(time_ms))
        line.equity.append(plain(value))
    return list(found.values())


def _drawdown(values: Iterable[float | None]) -> list[float | None]:
    highest = 0.0
    depth: list[float | None] = []
    for value in values:
        if value is None:
            depth.append(None)
            continue
        highest = max(highest, value)
        depth.append(100 * (value / highest - 1) if highest > 0 else None)
    return depth


def _curves(drawn: list[tuple[_Line, list[float | None]]], panel: _Panel, missing: str) -> Chart:
    if not drawn:
        return no_data(panel.title, missing)
    colours, dashes = count(), count()
    benchmarks = any(line.role == "benchmark" for line, _ in drawn)
    subtitle = f"{panel.subtitle}; grey dashes: benchmark" if benchmarks else panel.subtitle
    data = []
    for line, values in drawn:
        known = [value for value in values if value is not None]
        figure = (min(known) if panel.deepest else known[-1]) if known else None
        benchmark = line.role == "benchmark"
        style = ({"color": palette.BENCHMARK, "width": 1.5,
                  "dash": palette.BENCHMARK_DASHES[next(dashes) % len(palette.BENCHMARK_DASHES)]} if benchmark
                 else {"color": palette.SERIES[next(colours) % len(palette.SERIES)], "width": 1.8})
        shown = formats.MISSING if figure is None else f"{formats.signed(figure)} %"
        data.append({"type": "scatter", "mode": "lines", "name": f"{label(line.name, 34)}  {shown}",
                     "x": utc_stamps(line.times_ms), "y": numbers(values), "line": style,
                     "hovertemplate": "%{y:.2f} %<extra>%{fullData.name}</extra>"})
    return chart(data, title=panel.title, subtitle=subtitle, height=panel.height, layout={
        "xaxis": utc_axis(), "yaxis": axis(panel.unit, ticksuffix=" %"), "hovermode": "x unified"})
