"""A run in a few lines: for `--json`, for `daybook runs list|show`, for the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daybook.core.errors import DataError
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.manifest import Manifest, read_manifest


def run_summary(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The facts of a run that a machine asks for, as JSON values; stable names.

    seconds: wall time by step and outside the steps. headline: glued figures by step.
    """
    sealed = manifest.sealed
    steps = {record.name: record.seconds for record in manifest.steps}
    seconds = {**steps, **manifest.overhead_seconds}
    return {
        "run_id": sealed.run_id,
        "day": sealed.day,
        "status": manifest.status,
        "official": sealed.official,
        "parent": sealed.parent,
        "source": sealed.settings["source"],
        "synthetic": sealed.synthetic_label is not None,
        "symbols": sealed.settings["symbols"],
        "changed_parameters": {name: sealed.settings[name] for name in sealed.changed_parameters},
        "settings_hash": sealed.settings_hash,
        "code_hash": sealed.code_hash,
        "data_hash": sealed.data_hash,
        "verdict": manifest.headline,
        "headline": {record.name: record.headline for record in manifest.steps},
        "seconds": seconds,
        "total_seconds": round(sum(value or 0.0 for value in seconds.values()), 3),
        "folder": str(folder),
        "report": str(folder / "report.html"),
        "report_hash": manifest.report_hash,
    }


def finished_runs(folders: RunFolders) -> Iterator[tuple[Path, Manifest]]:
    """Folder and manifest of every finished run, oldest first; a run with a damaged manifest stops with DataError."""
    for name in folders.run_ids():
        folder = folders.finished(name)
        if not (folder / "manifest.json").is_file():
            raise DataError(f"{folder}: has no manifest.json. Restore it or move the folder away.")
        yield folder, read_manifest(folder)
