"""Data quality, regimes and the time each step took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from daybook.report import formats, palette
from daybook.report.plot import axis, chart, columns, labels, no_data, numbers, plain, utc_axis, utc_stamps
from daybook.report.sections import QualityRow, StepTiming
from daybook.report.views import Chart

_STRIP = {"xaxis": utc_axis(showgrid=False),
          "yaxis": axis("", type="category", showgrid=False, ticks="", autorange="reversed")}
_PROBLEMS = (("missing", palette.BAD), ("duplicates", palette.WARN), ("off_minute", "#56b4e9"),
             ("zero_volume", palette.MUTED), ("impossible", palette.THRESHOLD))


def data_quality(rows: Sequence[QualityRow] | pd.DataFrame, *, title: str = "Candle quality",
                 missing: str = "no candles were checked") -> Chart:
    """Bars with a problem, by market and kind.

    rows: report sections, or a DataFrame [symbol, expected, missing, duplicates, off_minute, zero_volume, impossible].
    """
    kinds = [kind for kind, _ in _PROBLEMS]
    if isinstance(rows, pd.DataFrame):
        symbols, expected, *counts = columns(rows, "symbol", "expected", *kinds, what="data quality")
    else:
        symbols, expected = [row.symbol for row in rows], [row.expected for row in rows]
        counts = [[getattr(row, kind) for row in rows] for kind in kinds]
    if not symbols:
        return no_data(title, missing)
    ticks = labels(symbols)
    data = [{"type": "bar", "orientation": "h", "y": ticks, "x": numbers(values), "marker": {"color": colour},
             "name": f"{kind.replace('_', ' ')}  {int(sum(values)):,}",
             "hovertemplate": "%{y}: %{x} bars<extra>" + kind.replace("_", " ") + "</extra>"}
            for (kind, colour), values in zip(_PROBLEMS, counts, strict=True)]
    total = int(sum(sum(values) for values in counts))
    share = formats.percent(total / sum(expected), 3) if sum(expected) else formats.MISSING
    subtitle = f"{total:,} bars with a problem, {share} of the {int(sum(expected)):,} expected"
    layout: dict[str, Any] = {"barmode": "stack", "xaxis": axis("bars", rangemode="tozero"),
                              "yaxis": axis("", autorange="reversed", ticks="")}
    if not total:
        layout["xaxis"]["range"] = [0, 10]
    return chart(data, title=title, subtitle=subtitle, height=170 + 30 * len(ticks), layout=layout)


def completeness(frame: pd.DataFrame, *, title: str = "Candle completeness by hour",
                 missing: str = "no candles were checked") -> Chart:
    """Share of the expected bars that are there, one cell a market and hour.

    frame: [symbol, time_ms of the hour, share 0..1].
    """
    symbols, times, shares = columns(frame, "symbol", "time_ms", "share", what="completeness")
    if not symbols:
        return no_data(title, missing)
    rows, hours = list(dict.fromkeys(map(str, symbols))), sorted({int(time) for time in times})
    cells = {(str(s), int(t)): plain(share) for s, t, share in zip(symbols, times, shares, strict=True)}
    z = [[None if (v := cells.get((row, hour))) is None else plain(100 * v) for hour in hours] for row in rows]
    whole = sum(1 for share in cells.values() if share is not None and share >= 1)
    data = [{"type": "heatmap", "x": utc_stamps(hours), "y": labels(rows), "z": z, "zmin": 0, "zmax": 100, "ygap": 3,
             "colorscale": [list(stop) for stop in palette.COMPLETENESS],
             "colorbar": {"title": {"text": "%"}, "thickness": 12, "outlinewidth": 0},
             "hovertemplate": "%{y} %{x}: %{z:.1f} % of the bars<extra></extra>"}]
    return chart(data, title=title, subtitle=f"{whole:,} of {len(cells):,} market-hours are whole; green = 100 %",
                 height=140 + 32 * len(rows),
                 layout=_STRIP)


def regimes(frame: pd.DataFrame, *, title: str = "Market regimes", missing: str = "no regime was computed") -> Chart:
    """The regime of each market over time as a strip of colours, calm to wild in the order of their names.

    frame: [symbol, time_ms, regime text].
    """
    symbols, times, names = columns(frame, "symbol", "time_ms", "regime", what="regimes")
    if not symbols:
        return no_data(title, missing)
    kinds = sorted({str(name) for name in names})
    rows, moments = list(dict.fromkeys(map(str, symbols))), sorted({int(time) for time in times})
    cells = {(str(s), int(t)): kinds.index(str(n)) for s, t, n in zip(symbols, times, names, strict=True)}
    steps: list[list[Any]] = []
    for place in range(len(kinds)):
        colour = palette.REGIMES[place % len(palette.REGIMES)]
        steps += [[plain(place / len(kinds)), colour], [plain((place + 1) / len(kinds)), colour]]
    data = [{"type": "heatmap", "x": utc_stamps(moments), "y": labels(rows), "ygap": 3,
             "z": [[cells.get((row, moment)) for moment in moments] for row in rows],
             "zmin": -0.5, "zmax": len(kinds) - 0.5, "colorscale": steps,
             "colorbar": {"tickvals": list(range(len(kinds))), "ticktext": labels(kinds), "thickness": 12,
                          "outlinewidth": 0}, "hovertemplate": "%{y} %{x}<extra></extra>"}]
    return chart(data, title=title, subtitle=f"{len(rows)} markets, {len(moments):,} moments",
                 height=150 + 32 * len(rows),
                 layout=_STRIP)


def timings(rows: Sequence[StepTiming] | pd.DataFrame, *, title: str = "Wall time by step",
            missing: str = "no step was timed") -> Chart:
    """Seconds each step took; grey was reused from an earlier run, orange failed.

    rows: report sections, or a DataFrame [step, seconds] and optionally state.
    """
    if isinstance(rows, pd.DataFrame):
        steps, seconds = columns(rows, "step", "seconds", what="timings")
        states = rows["state"].tolist() if "state" in rows.columns else ["ok"] * len(steps)
    else:
        steps, seconds = [row.step for row in rows], [row.seconds for row in rows]
        states = ["reused" if row.reused_from else row.state for row in rows]
    if not steps:
        return no_data(title, missing)
    colour = {"ok": palette.FOCUS, "reused": palette.MUTED, "failed": palette.BAD}
    data = [{"type": "bar", "orientation": "h", "y": labels(steps), "x": numbers(seconds), "textposition": "outside",
             "text": [formats.duration(value) for value in seconds], "cliponaxis": False,
             "marker": {"color": [colour.get(str(state), palette.WARN) for state in states]},
             "hovertemplate": "%{y}: %{text}<extra></extra>"}]
    total = sum(value for raw in seconds if (value := plain(raw)) is not None)
    return chart(data, title=title, subtitle=f"{formats.duration(total)} of work in all; steps may overlap",
                 height=130 + 26 * len(steps), layout={
                     "xaxis": axis("wall time, s", rangemode="tozero"),
                     "yaxis": axis("", autorange="reversed", ticks=""), "showlegend": False})
