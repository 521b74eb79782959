"""Research days without notebooks: the same seal, steps and publication, in this process."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from daybook.core.settings import Settings, load_settings
from daybook.core.store import Store
from daybook.pipeline.day import Day
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.manifest import STEPS, Manifest, artefact_hashes, new_manifest, write_manifest
from daybook.pipeline.publish import record
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.scratch import work_of
from daybook.pipeline.seal import seal_run
from daybook.rank import store_schema
from daybook.report import ReportDocument, validate_report

SMALL = {
    "symbols": "BTCUSDT,ETHUSDT", "history_days": 21, "population": 16, "generations": 2, "tuning_draws": 4, "folds": 2,
}


def market_settings(root: Path, mode: str, seed: int, **given: object) -> Settings:
    """Settings of a day on one kind of built-in market, with everything not given at its default."""
    places = {"market_mode": mode, "seed": seed, "data": root / "data", "runs": root / "runs"}
    return load_settings({**given, **places}, environment={})


def walk_days(settings: Settings, first: date, count: int) -> list[ReportDocument]:
    """Run so many consecutive days; returns their reports, oldest first."""
    return [walk_day(settings, (first + timedelta(days=offset)).isoformat()) for offset in range(count)]


def walk_day(settings: Settings, day: str) -> ReportDocument:
    """Seal, run the five steps, publish; returns the report."""
    folders = RunFolders(settings.runs)
    staging = folders.staging(day)
    manifest = new_manifest(seal_run(staging, RunRequest(day, settings), 1))
    for step in STEPS:
        page = Day(staging, step, manifest.sealed, settings)
        work_of(step)(page)
        _done(manifest, staging, step)
        write_manifest(staging, manifest)
    manifest.status = "complete"
    write_manifest(staging, manifest)
    report = validate_report(page.read_json("40_rank_report", "report"))
    record(folders.publish(day, 1), settings.data)
    return report


def _done(manifest: Manifest, folder: Path, step: str) -> None:
    entry = manifest.step(step)
    entry.state, entry.artefacts = "done", artefact_hashes(folder, step)


def store(settings: Settings) -> Store:
    """The published store of these settings."""
    return Store(settings.data, store_schema())
