"""Tables of models and ensembles: one line each for the verdict, every figure folded below it."""

from __future__ import annotations

from collections.abc import Sequence

from daybook.report import formats
from daybook.report.grid import Cell, Column, Grid, counts, figure, prose, score, stacked, text, words
from daybook.report.sections import Metric, ModelRow, Standing
from daybook.report.table_cells import CHANGE, SCORE, change, interval, named, sample, tone_of, unit_cell
from daybook.report.views import Html

STANDINGS: dict[Standing, tuple[str, str]] = {
    "beats": ("better", "good"), "unsure": ("within chance", "focus"), "ahead": ("better, no interval", "focus"),
    "behind": ("not better", "bad"), "none": ("", "muted"),
}
"""Words and colour of each standing against a baseline; the charts use the same colours."""

_NOTE = ("Judged out of fold: on bars the model did not learn from, in forward order. Better: the whole 95 % interval "
         "beats the baseline; within chance: only the value does. The score is what trading on it made after costs.")


def models(rows: Sequence[ModelRow], *, caption: str = "Models", missing: str = "no model was trained") -> Html:
    """One line a model with its main figure against its baseline; below, folded, every figure."""
    head = (Column("#"), *words("model"), prose("question"), SCORE, CHANGE, *words("judged by"), *counts("value"),
            Column("interval", "95 %"), *counts("baseline"), *words("standing"), Column("rows", "n"),
            Column("independent", "n", help="rows whose answers do not overlap; the interval rests on them"))
    body = [[Cell(str(row.rank)), named(row.name, row.identity), text(row.target),
             score(row.score, row.reasons.get("score")), change(row.score, row.previous_score, None),
             *_main(row.metrics[0] if row.metrics else None)] for row in rows]
    table = Grid(caption, head, body, _NOTE, missing).html()
    return stacked(table, _every_figure(rows, f"{caption}: every figure")) if any(r.metrics for r in rows) else table


def ensembles(rows: Sequence[ModelRow], *, caption: str = "Ensembles") -> Html:
    """Ensembles as models are shown, and the weights of their members."""
    table = models(rows, caption=caption, missing="no ensemble was built")
    weights = [[Cell(row.name), Cell(" · ".join(f"{member} {formats.number(weight, 3)}"
                                                for member, weight in row.members.items()))]
               for row in rows if row.members]
    head = (*words("ensemble"), prose("weights"))
    return stacked(table, Grid("Weights of members", head, weights, missing="no weights").html()) if weights else table


def _main(metric: Metric | None) -> list[Cell]:
    if metric is None:
        return [figure(None, "", "no figure was computed"), *[Cell("")] * 6]
    said, tone = STANDINGS[metric.standing]
    unit = formats.unit_text(metric.unit)
    return [Cell(formats.metric_name(metric.name), title=f"{metric.name}, {unit}" if unit else metric.name),
            figure(metric.value, formats.figure(metric.value, metric.unit), metric.reason),
            interval(metric.interval, metric.unit),
            Cell(formats.figure(metric.baseline, metric.unit), title=metric.baseline_name or "no baseline applies"),
            Cell(said, tone=tone), Cell(formats.count(metric.n), title=metric.n_unit),
            Cell(formats.MISSING if metric.n_effective is None else formats.number(metric.n_effective, 0))]


def _every_figure(rows: Sequence[ModelRow], caption: str) -> Html:
    head = (*words("model", "figure"), *counts("value"), Column("interval", "95 %"), *counts("baseline"),
            prose("baseline is"), *words("unit"), *counts("n"))
    body = [[Cell(row.name if place == 0 else ""), *_figure(metric)]
            for row in rows for place, metric in enumerate(row.metrics)]
    return Grid(caption, head, body, "Green is better than the baseline; the interval says how surely.",
                folded=True).html()


def _figure(metric: Metric) -> list[Cell]:
    better = ""
    if metric.value is not None and metric.baseline is not None and metric.better != "neither":
        gain = metric.value - metric.baseline
        better = tone_of(-gain if metric.better == "lower" else gain)
    return [Cell(formats.metric_name(metric.name), title=metric.name),
            figure(metric.value, formats.figure(metric.value, metric.unit), metric.reason, tone=better),
            interval(metric.interval, metric.unit),
            figure(metric.baseline, formats.figure(metric.baseline, metric.unit), "no baseline applies"),
            Cell(metric.baseline_name, tone="muted"), unit_cell(metric.unit), sample(metric.n, metric.n_unit)]
