"""Steps of the day, notebook execution, manifest, publish, command line.

The names here are what notebooks call; the runner is `daybook.pipeline.runner.run_day`.
"""

import sys

# jsonschema's optional `rfc3987_syntax` compiles a grammar when imported, and nbformat, papermill, scrapbook and
# plotly all reach it: up to 3 s a process. The importer tolerates its absence, and no schema of ours checks IRIs.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from daybook.pipeline.day import Day, open_day  # noqa: E402

__all__ = ["Day", "open_day"]
