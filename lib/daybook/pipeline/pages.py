"""What a run looks like from outside: report.json, its HTML pages, and the site that lists every run."""

from __future__ import annotations

from pathlib import Path

from daybook.core.files import read_json
from daybook.pipeline.folders import RunFolders, run_id
from daybook.pipeline.manifest import Manifest
from daybook.report import ReportDocument, StepTiming, validate_report, write_report_json
from daybook.report.assets import install_assets
from daybook.report.pages import RunFrame, render_run
from daybook.report.site import RunRow, write_index


def write_report(folder: Path, manifest: Manifest) -> ReportDocument:
    """Write report.json: what 40_rank_report found, with the wall times that only the runner knows."""
    found = validate_report(read_json(folder / "artefacts" / "40_rank_report" / "report.json"))
    timings = [
        StepTiming(step=record.name, seconds=record.seconds, state="ok") for record in manifest.steps
    ]
    timings += [
        StepTiming(step=name, seconds=seconds, state="ok") for name, seconds in manifest.overhead_seconds.items()
    ]
    report = found.model_copy(update={"timings": tuple(timings)})
    write_report_json(folder / "report.json", report)
    return report


def write_pages(folders: RunFolders, folder: Path, manifest: Manifest) -> None:
    """Render every executed notebook of a run as HTML."""
    report = validate_report(read_json(folder / "report.json"))
    previous = _previous_run(folders, manifest.sealed.day)
    frame = RunFrame(run=report.run, previous=previous, parent=manifest.sealed.parent)
    render_run(folder, frame, install_assets(folders.root))


def _previous_run(folders: RunFolders, day: str) -> str | None:
    """The official run of the newest earlier day."""
    earlier = [name for name in folders.run_ids() if name < run_id(day, 0) and name.endswith("/01")]
    return earlier[-1] if earlier else None


def write_site(folders: RunFolders) -> None:
    """Write runs/index.html from the manifests and reports of every finished run."""
    from daybook.pipeline.summary import finished_runs

    runs = finished_runs(folders)
    write_index(folders.root, [_row(folder, found) if found else _damaged_row(folder) for folder, found in runs])


def _damaged_row(folder: Path) -> RunRow:
    from daybook.pipeline.summary import DAMAGED

    day, number = folder.parent.name, int(folder.name)
    return RunRow(run_id=run_id(day, number), day=day, number=number, official=False, status="failed", reason=DAMAGED,
                  source="unknown", synthetic=False)


def _row(folder: Path, manifest: Manifest) -> RunRow:
    sealed = manifest.sealed
    figures = manifest.step("40_rank_report").headline
    seconds = [record.seconds or 0.0 for record in manifest.steps] + list(manifest.overhead_seconds.values())
    pages = tuple(sorted(path.name for path in folder.glob("[0-9][0-9]_*.html")))
    return RunRow(
        run_id=sealed.run_id, day=sealed.day, number=sealed.number, official=sealed.official, parent=sealed.parent,
        status="ok" if manifest.status == "complete" else "failed", source=sealed.settings["source"],
        synthetic=sealed.synthetic_label is not None, symbols=tuple(sealed.settings["symbols"]),
        headline=manifest.headline or "", top_score=figures.get("best_score"), entered=figures.get("entered"),
        left=figures.get("left"), trials_ever=figures.get("trials_ever"), wall_seconds=round(sum(seconds), 1),
        pages=pages,
    )
