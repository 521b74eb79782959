"""Keep the folders from growing for ever: leftovers of killed runners, and what is computed again when needed."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from daybook.core.files import keep_newest, sweep_temporaries
from daybook.core.time import parse_day
from daybook.features import FeatureStore
from daybook.pipeline.folders import RunFolders

if TYPE_CHECKING:
    from daybook.pipeline.runner import RunRequest

KEPT_BARS = 64
"""Files of bars that are kept for worker processes, those used last: a day on three markets uses nine."""


def sweep(folders: RunFolders, data: Path) -> None:
    """Remove temporary files and kernel connection files that killed processes left; only a lock holder calls this."""
    sweep_temporaries(folders.root, deep=False)
    for folder in (folders.root / "_assets", folders.root / ".staging", data):
        sweep_temporaries(folder)
    shutil.rmtree(data / "cache" / "jupyter" / "runtime", ignore_errors=True)


def tidy(request: RunRequest) -> None:
    """Discard feature tables that end before the scoring window of the day just published, and bars for old sweeps.

    A later run of an older day computes its own again.
    """
    window_start = parse_day(request.day) - timedelta(days=request.settings.window_days)
    FeatureStore(request.settings.data / "features").discard_before(window_start)
    keep_newest(request.settings.data / "cache" / "bars", "*.parquet", KEPT_BARS)
