"""What of a notebook may reach a page: four MIME types, and HTML reduced to an allow-list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import nh3
from markupsafe import Markup

from daybook.report.views import PLOTLY_MIME

ALLOWED_MIME = (PLOTLY_MIME, "text/html", "image/png", "text/plain")
"""In the order of preference; an output with none of them (scrapbook's glue, scripts, widgets, SVG) is dropped."""

_TAGS = frozenset((
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details", "div", "dl",
    "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "ol", "p",
    "pre", "s", "section", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "ul", "var"))
_ATTRIBUTES = {"*": {"class", "title"}, "a": {"href"}, "details": {"open"}, "td": {"colspan", "rowspan"},
               "th": {"colspan", "rowspan", "scope"}, "col": {"span"}, "colgroup": {"span"}}
_DROPPED_WITH_CONTENT = {"script", "style", "iframe", "object", "embed", "template", "noscript", "svg", "math", "title"}
_CHART_KEYS = ("data", "layout")
_JSON_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def clean_html(markup: str) -> Markup:
    """HTML reduced to text, tables, lists and links: no script, style, form, image, id or event handler survives."""
    kept = nh3.clean(markup, tags=set(_TAGS), attributes=_ATTRIBUTES, clean_content_tags=_DROPPED_WITH_CONTENT,
                     url_schemes={"http", "https"}, link_rel="noopener noreferrer")
    return Markup(kept)  # noqa: S704 - nh3 has just cleaned it  # nosec B704


def chart_json(chart: Any) -> Markup | None:
    """A chart's data and layout as JSON that can not leave its script element; None when it is no chart.

    Everything else in the bundle (config with server addresses, frames) is left behind.
    """
    if not isinstance(chart, Mapping) or not isinstance(chart.get("data"), list):
        return None
    kept = {key: chart[key] for key in _CHART_KEYS if isinstance(chart.get(key), list | Mapping)}
    layout = kept.get("layout")
    if isinstance(layout, Mapping):
        kept["layout"] = {key: value for key, value in layout.items() if key != "images"}
    text = json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Markup(text.translate(_JSON_ESCAPES))  # noqa: S704 - no <, > or & is left  # nosec B704


def chosen_mime(bundle: Mapping[str, Any]) -> str | None:
    """The one representation of an output that a page shows, or None when none is allowed.

    An output that is a scrap carries nothing else worth showing, so text/plain beside a dropped type is dropped too.
    """
    for mime in ALLOWED_MIME:
        if mime in bundle:
            alone = all(known in ALLOWED_MIME or not known.startswith("application/") for known in bundle)
            return mime if mime != "text/plain" or alone else None
    return None
