"""Steps of the day, notebook execution, manifest, publish, command line.

The names here are what notebooks call; the runner is `daybook.pipeline.runner.run_day`.
"""

from daybook.core.quick_imports import skip_iri_grammar

skip_iri_grammar()  # before papermill, nbformat, scrapbook or plotly are reached, in the runner and in every kernel

from daybook.pipeline.day import Day, open_day  # noqa: E402

__all__ = ["Day", "open_day"]
