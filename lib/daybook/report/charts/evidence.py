"""Rankings, gates and trials: what stands out, and what luck alone would show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from daybook.report import formats, palette
from daybook.report.plot import axis, chart, columns, label, labels, marker_line, no_data, numbers, plain
from daybook.report.sections import StrategyRow
from daybook.report.views import Chart

_EVEN_ODDS = 50.0
_BINS = 48
_BESIDE = 100.5


def ranking(rows: Sequence[StrategyRow] | pd.DataFrame, *, title: str = "Ranking by score",
            n_unit: str = "60-minute blocks", missing: str = "the pool is empty") -> Chart:
    """Score of each member as a bar, yesterday's as a diamond, even odds as a line.

    rows: report sections, or a DataFrame [rank, name, score, n] and optionally previous_score; n in n_unit.
    """
    if isinstance(rows, pd.DataFrame):
        ranks, names, scores, sizes = columns(rows, "rank", "name", "score", "n", what="ranking")
        before = rows["previous_score"].tolist() if "previous_score" in rows.columns else [None] * len(ranks)
    else:
        ranks, names, scores = [r.rank for r in rows], [r.name for r in rows], [r.score for r in rows]
        sizes, before = [r.n_blocks for r in rows], [r.previous_score for r in rows]
    if not ranks:
        return no_data(title, missing)
    ticks = labels(f"{int(rank)}  {name}" for rank, name in zip(ranks, names, strict=True))
    values = numbers(scores)
    text = [f"{formats.number(value, 1)}   n {formats.count(size)}" for value, size in zip(values, sizes, strict=True)]
    colours = [palette.FOCUS if (value or 0) >= _EVEN_ODDS else palette.MUTED for value in values]
    data: list[dict[str, Any]] = [
        {"type": "bar", "orientation": "h", "x": values, "y": ticks, "marker": {"color": colours}, "name": "score",
         "showlegend": False, "hovertemplate": "%{y}: %{x:.1f}<extra></extra>"},
        {"type": "scatter", "mode": "text", "x": [_BESIDE] * len(ticks), "y": ticks, "text": text, "hoverinfo": "skip",
         "textposition": "middle right", "showlegend": False, "cliponaxis": False},
        {"type": "scatter", "mode": "markers", "x": numbers(before), "y": ticks, "name": "score the day before",
         "marker": {"symbol": "diamond-open", "size": 8, "color": palette.WARN, "line": {"width": 1.8}},
         "hovertemplate": "%{y}: %{x:.1f} the day before<extra></extra>"}]
    shape, note = marker_line(_EVEN_ODDS, "even odds")
    layout = {"xaxis": axis("score, 0–100", range=[0, 116], tickvals=[0, 20, 40, 50, 60, 80, 100]),
              "yaxis": axis("", autorange="reversed", ticks="", tickfont={"size": 11}), "shapes": [shape],
              "annotations": [note], "bargap": 0.3,
              "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"}}
    return chart(data, title=title, subtitle=f"n = {label(n_unit)} behind the score; blue: 50 or more",
                 height=130 + 22 * len(ticks), layout=layout)


def gates(rows: Sequence[StrategyRow], *, title: str = "Promotion gates",
          missing: str = "no member has a gate yet") -> Chart:
    """Each gate's value with its interval against its threshold; a value without sample is left out.

    rows: report sections; the interval is drawn as whiskers, green passes.
    """
    gated = [(row, row.gate) for row in rows if row.gate is not None and row.gate.value is not None]
    if not gated:
        return no_data(title, missing)
    values = [gate.value or 0.0 for _, gate in gated]
    low = [max(0.0, v - _bound(gate.interval, 0, v)) for v, (_, gate) in zip(values, gated, strict=True)]
    high = [max(0.0, _bound(gate.interval, 1, v) - v) for v, (_, gate) in zip(values, gated, strict=True)]
    ticks = labels(f"{row.rank}  {row.name}" for row, _ in gated)
    colours = [palette.GOOD if gate.passed else palette.INK for _, gate in gated]
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "markers", "x": numbers(values), "y": ticks, "name": "value and interval",
         "error_x": {"type": "data", "symmetric": False, "array": numbers(high), "arrayminus": numbers(low),
                     "color": palette.MUTED, "thickness": 1.5, "width": 4},
         "marker": {"size": 9, "color": colours}, "showlegend": False,
         "text": [f"n {formats.count(gate.n)} {label(gate.n_unit)}" for _, gate in gated],
         "hovertemplate": "%{y}: %{x} (%{text})<extra></extra>"},
        {"type": "scatter", "mode": "markers", "x": numbers(gate.threshold for _, gate in gated), "y": ticks,
         "name": "threshold", "marker": {"symbol": "line-ns-open", "size": 16, "color": palette.THRESHOLD,
                                         "line": {"width": 2.5}}}]
    first = gated[0][1]
    passed = sum(gate.passed for _, gate in gated)
    layout = {"xaxis": axis(", ".join(filter(None, (label(first.name), label(first.unit))))),
              "yaxis": axis("", autorange="reversed", ticks="", tickfont={"size": 11})}
    subtitle = f"{passed} of {len(gated)} pass; whiskers: interval; the whole interval must clear the threshold"
    return chart(data, title=title, subtitle=subtitle, height=150 + 22 * len(ticks), layout=layout)


def _bound(interval: tuple[float | None, float | None] | None, side: int, value: float) -> float:
    bound = interval[side] if interval else None
    return value if bound is None else bound


def trial_sharpes(sharpes: Any, *, expected_maximum: float | None, best: float | None, unit: str = "annualised",
                  best_name: str = "best found", title: str = "All trials of the day against luck",
                  counted: str = "trials") -> Chart:
    """Histogram of the trials' Sharpe ratios with the best one and the maximum that noise alone would show.

    sharpes: (N,) array-like, NaN left out of the bars and counted in the subtitle. counted: what they are, in a word.
    """
    given = np.asarray(sharpes, dtype=np.float64).ravel()
    known = given[np.isfinite(given)]
    if not known.size:
        return no_data(title, "no trial has a Sharpe ratio")
    heights, edges = np.histogram(known, bins=min(_BINS, max(8, int(np.sqrt(known.size)) * 2)))
    data = [{"type": "bar", "x": numbers((edges[:-1] + edges[1:]) / 2), "y": [int(height) for height in heights],
             "width": plain(edges[1] - edges[0]), "marker": {"color": palette.FOCUS}, "name": label(counted),
             "hovertemplate": f"Sharpe %{{x:.1f}}: %{{y}} {label(counted)}<extra></extra>"}]
    shapes, notes = [], []
    for value, caption, colour, level in ((expected_maximum, "best expected of luck alone", palette.THRESHOLD, 1.0),
                                          (best, label(best_name), palette.GOOD, 1.09)):
        if not formats.undefined(value):
            shape, note = marker_line(float(value or 0), f"{caption}: {formats.number(value, 1)}", colour)
            shapes.append(shape | {"layer": "above"})
            notes.append(note | {"y": level, "xanchor": "right", "xshift": 3})
    undefined = given.size - known.size
    subtitle = f"n = {known.size:,} {counted}" + (f", {undefined:,} more without a Sharpe ratio" if undefined else "")
    return chart(data, title=title, subtitle=subtitle, height=340, layout={
        "xaxis": axis(f"Sharpe ratio, {label(unit)}", range=_span([*known, *(s["x0"] for s in shapes)])),
        "yaxis": axis(label(counted)), "shapes": shapes, "annotations": notes, "bargap": 0.02, "showlegend": False,
        "margin": {"l": 64, "r": 24, "t": 92, "b": 44}})


def _span(values: list[float]) -> list[float | None]:
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 1.0
    return [plain(low - margin), plain(high + margin)]


def sweep_map(frame: pd.DataFrame, *, value: str = "score", title: str = "Score by timeframe and market",
              missing: str = "nothing was swept") -> Chart:
    """Heat map of scores or returns; each cell prints its value and number of trades, an undefined one stays empty.

    frame: [timeframe, symbol, value, trades], one row a cell. value "score": 0 to 100, white at 50, even odds; any
    other column: a return as a fraction, white at zero, shown in percent.
    """
    timeframes, symbols, scores, trades = columns(frame, "timeframe", "symbol", value, "trades", what="sweep map")
    if not timeframes:
        return no_data(title, missing)
    rows, across = list(dict.fromkeys(map(str, timeframes))), list(dict.fromkeys(map(str, symbols)))
    cells = {(str(t), str(s)): (plain(score), size)
             for t, s, score, size in zip(timeframes, symbols, scores, trades, strict=True)}
    empty = (None, None)
    scale = _scale(value, [score for score, _ in cells.values()])
    z = [[_times(cells.get((t, s), empty)[0], scale.factor) for s in across] for t in rows]
    text = [[_cell(*cells.get((t, s), empty), scale) for s in across] for t in rows]
    data = [{"type": "heatmap", "x": labels(across), "y": labels(rows), "z": z, "text": text,
             "zmin": scale.low, "zmax": scale.high,
             "texttemplate": "%{text}", "colorscale": [list(stop) for stop in palette.DIVERGING], "xgap": 2, "ygap": 2,
             "colorbar": {"title": {"text": scale.unit}, "thickness": 12, "outlinewidth": 0},
             "textfont": {"color": "#222222"}, "hovertemplate": "%{x} %{y}: %{text}<extra></extra>"}]
    return chart(data, title=title, subtitle=scale.subtitle,
                 height=170 + 48 * len(rows), layout={
                     "xaxis": axis("market", type="category", showgrid=False),
                     "yaxis": axis("timeframe", type="category", showgrid=False, autorange="reversed")})


@dataclass(frozen=True)
class _Scale:
    """How a heat map colours and writes its values."""

    low: float
    high: float
    factor: float
    unit: str
    subtitle: str


def _scale(value: str, known: Sequence[float | None]) -> _Scale:
    if value == "score":
        return _Scale(0.0, 100.0, 1.0, "score", "score, and n = trades below it; white = 50, even odds")
    reach = max((abs(100.0 * number) for number in known if number is not None), default=0.0) or 1.0
    return _Scale(-reach, reach, 100.0, "%", "% of capital, n = trades; white = 0, blue gains, orange loses")


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else plain(value * factor)


def _cell(value: float | None, trades: Any, scale: _Scale) -> str:
    written = formats.number(value, 1) if scale.unit == "score" else formats.percent(value)
    return f"{written}<br>n {formats.count(trades)}"
