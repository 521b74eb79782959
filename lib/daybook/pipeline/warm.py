"""Compile every kernel once, at set-up, by walking through a scratch day: `python -m daybook.pipeline.warm`."""

from __future__ import annotations

import os
import tempfile

from daybook.core.parallel import thread_environment


def warm() -> None:
    """Run all five steps of a scratch day in a temporary folder; numba keeps what it compiled beside the source."""
    from daybook.pipeline.manifest import STEPS
    from daybook.pipeline.scratch import scratch_day, work_of

    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DAYBOOK_DATA=folder, DAYBOOK_RUNS=folder)
        last = STEPS[-1]
        work_of(last)(scratch_day(last, {}))


if __name__ == "__main__":
    os.environ.update(thread_environment(1))
    warm()
