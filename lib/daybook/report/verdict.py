"""The box that opens a page: one sentence, and the figures that carry it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from daybook.report import formats
from daybook.report.sections import Headline, Metric, RunInfo, Tone
from daybook.report.views import TEMPLATES, Html, render


def verdict(headline: Headline | str, figures: Sequence[Metric] = (), *, tone: Tone = "neutral",
            run: RunInfo | None = None) -> Html:
    """The page's finding in one sentence, with key figures and, for a synthetic run, its label.

    It carries the small style that makes every fragment of the notebook readable in JupyterLab; a rendered page drops
    that style and uses its own.
    """
    if isinstance(headline, str):
        headline = Headline(verdict=headline, tone=tone, figures=tuple(figures))
    shown = headline.figures or tuple(figures)
    markup = render("verdict.html.j2", {"headline": headline, "tiles": [_tile(metric) for metric in shown], "run": run,
                                        "rerun": "" if run is None or run.official else rerun_text(run),
                                        "style": _lab_style()})
    return Html(str(markup), headline.verdict)


def rerun_text(run: RunInfo) -> str:
    """What a re-run was told to do differently."""
    changed = [f"{p.name} = {p.value} instead of {p.default}" for p in run.parameters if p.changed]
    if not changed:
        return "With the same parameters."
    return f"With {', '.join(changed)}; changes against the day before include the effect of that."


def _tile(metric: Metric) -> dict[str, str]:
    details = []
    if metric.n is not None:
        details.append(f"n {formats.count(metric.n)} {metric.n_unit}".strip())
    if metric.interval is not None:
        details.append(" … ".join(formats.figure(bound, metric.unit) for bound in metric.interval))
    if metric.baseline is not None:
        details.append(f"{metric.baseline_name or 'baseline'} {formats.figure(metric.baseline, metric.unit)}")
    if metric.value is None and metric.reason:
        details.append(metric.reason)
    return {"name": metric.name, "value": formats.figure(metric.value, metric.unit),
            "unit": formats.unit_text(metric.unit) if metric.value is not None else "", "detail": " · ".join(details)}


@cache
def _lab_style() -> str:
    return (TEMPLATES / "lab.css").read_text(encoding="utf-8")
