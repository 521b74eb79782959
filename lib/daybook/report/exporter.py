"""nbconvert's HTML exporter with our own template: escaped by default, no CDN, no random identity."""

from __future__ import annotations

from functools import cache
from typing import Any

from daybook.report.notebook import Page
from daybook.report.quick_imports import skip_iri_grammar
from daybook.report.sanitise import chart_json, clean_html
from daybook.report.views import TEMPLATES


def export(page: Page, resources: dict[str, Any]) -> str:
    """The page as HTML text; `resources` is what the template calls `page`."""
    exporter, notebook = _exporter(), _nbformat().from_dict(
        {"cells": page.cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    html, _ = exporter.from_notebook_node(notebook, resources={"daybook": resources})
    return str(html)


def _nbformat() -> Any:
    skip_iri_grammar()
    import nbformat

    return nbformat


@cache
def _exporter() -> Any:
    """One exporter for all pages of a process: building its template environment costs more than a page."""
    skip_iri_grammar()
    from nbconvert.exporters.html import HTMLExporter
    from nbconvert.exporters.templateexporter import TemplateExporter
    from nbconvert.filters.highlight import Highlight2HTML

    class PageExporter(HTMLExporter):  # type: ignore[misc, unused-ignore]
        """HTMLExporter whose templates escape every value that no filter of ours has cleaned."""

        def _create_environment(self) -> Any:
            environment = super()._create_environment()
            environment.autoescape = True
            environment.trim_blocks = environment.lstrip_blocks = True
            environment.filters.update(clean=clean_html, chart_json=chart_json)
            return environment

        def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
            # HTMLExporter's own version parses and rewrites the whole page (charts included) to add alt texts.
            self.register_filter("highlight_code", Highlight2HTML(pygments_lexer="python", parent=self))
            return TemplateExporter.from_notebook_node(self, nb, self._init_resources(resources), **kw)

    exporter = PageExporter(template_name="daybook", extra_template_basedirs=[str(TEMPLATES)],
                            exclude_anchor_links=True, preprocessors=[], default_preprocessors=[])
    return exporter
