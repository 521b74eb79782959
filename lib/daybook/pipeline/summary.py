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


DAMAGED = "its manifest.json is missing or damaged: restore the folder from a backup or move it away"


def damaged_summary(folder: Path) -> dict[str, Any]:
    """What is known of a run whose manifest can not be read, under the names of run_summary."""
    return {"run_id": f"{folder.parent.name}/{folder.name}", "day": folder.parent.name, "status": "damaged",
            "verdict": DAMAGED, "folder": str(folder)}


def finished_runs(folders: RunFolders) -> Iterator[tuple[Path, Manifest | None]]:
    """Folder and manifest of every finished run, oldest first; None where the manifest is missing or damaged.

    One damaged folder must not hide the others.
    """
    for name in folders.run_ids():
        folder = folders.finished(name)
        try:
            yield folder, read_manifest(folder)
        except DataError:
            yield folder, None
