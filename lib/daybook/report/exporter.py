"""nbconvert's HTML exporter with our own template: escaped by default, no CDN, no random identity."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from daybook.core.quick_imports import skip_iri_grammar
from daybook.report.notebook import Page
from daybook.report.sanitise import chart_json, clean_html
from daybook.report.views import TEMPLATES


def export(page: Page, resources: dict[str, Any]) -> str:
    """The page as HTML text; `resources` is what the template calls `page`."""
    exporter = _exporter()
    nbformat: Any = import_module("nbformat")
    notebook = nbformat.from_dict({"cells": page.cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    html, _ = exporter.from_notebook_node(notebook, resources={"daybook": resources})
    return str(html)


@cache
def _exporter() -> Any:
    """One exporter for all pages of a process: building its template environment costs more than a page."""
    skip_iri_grammar()
    html: Any = import_module("nbconvert.exporters.html")
    template: Any = import_module("nbconvert.exporters.templateexporter")
    highlight: Any = import_module("nbconvert.filters.highlight")

    class PageExporter(html.HTMLExporter):  # type: ignore[misc]
        """HTMLExporter whose templates escape every value that no filter of ours has cleaned."""

        def _create_environment(self) -> Any:
            environment = super()._create_environment()
            environment.autoescape = True
            environment.trim_blocks = environment.lstrip_blocks = True
            environment.filters.update(clean=clean_html, chart_json=chart_json)
            return environment

        def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
            # HTMLExporter's own version parses and rewrites the whole page (charts included) to add alt texts.
            self.register_filter("highlight_code", highlight.Highlight2HTML(pygments_lexer="python", parent=self))
            return template.TemplateExporter.from_notebook_node(self, nb, self._init_resources(resources), **kw)

    return PageExporter(template_name="daybook", extra_template_basedirs=[str(TEMPLATES)], exclude_anchor_links=True,
                        preprocessors=[], default_preprocessors=[])
