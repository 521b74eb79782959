"""What a notebook cell shows: an HTML fragment or a chart, each as a MIME bundle of plain, repeatable text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from daybook.report import formats

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLOTLY_MIME = "application/vnd.plotly.v1+json"
TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Html:
    """An HTML fragment made by our own autoescaped templates; `text` is what a terminal shows instead."""

    markup: str
    text: str

    def __html__(self) -> str:
        return self.markup

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/html": self.markup, "text/plain": self.text}


@dataclass(frozen=True)
class Chart:
    """A chart as plotly JSON (data and layout): no renderer, no widget, no random identity.

    Kept as plain JSON instead of a plotly Figure so that a notebook need not import plotly, and so that equal
    input gives equal bytes (a Figure's renderers add identifiers, and its arrays arrive base64-coded).
    """

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    text: str = field(default="chart")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {PLOTLY_MIME: {"data": self.data, "layout": self.layout}, "text/plain": self.text}

    def figure(self) -> go.Figure:
        """The chart as a plotly Figure, checked by plotly's own validators."""
        import plotly.graph_objects as go

        return go.Figure(data=self.data, layout=self.layout)


@cache
def templates() -> Environment:
    """Our templates: HTML always escaped, an unknown name is an error."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        number=formats.number, count=formats.count, percent=formats.percent, signed=formats.signed,
        short=formats.short_hash, duration=formats.duration, day_time=formats.day_time)
    return environment


def render(template: str, values: Mapping[str, Any]) -> Markup:
    """A template filled in; every value is escaped unless a template of ours made it."""
    return Markup(templates().get_template(template).render(values))  # noqa: S704 - autoescaped  # nosec B704
