"""What a run starts from: the unfinished run of its date when resuming, else a newly sealed one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybook.core.errors import DataError, UsageError
from daybook.core.files import read_json
from daybook.core.hashing import hash_json
from daybook.core.settings import Settings
from daybook.core.store import Store
from daybook.pipeline.costs import data_hash_of
from daybook.pipeline.folders import RunFolders, run_id, split_run_id
from daybook.pipeline.manifest import (
    Manifest,
    Sealed,
    new_manifest,
    package_versions,
    read_manifest,
    run_code_hash,
    settings_hash,
    write_manifest,
)
from daybook.pipeline.publish import published_ids
from daybook.pipeline.unfinished import holds_trials, mark_taken
from daybook.rank import PriorState, prior_state, store_schema

if TYPE_CHECKING:
    from daybook.pipeline.runner import RunRequest

Measure = Callable[[str, Callable[[], Any]], Any]
_START_ANEW = "Leave --resume out to start a new run (the unfinished one is kept in .unfinished)."


def begin_run(
    request: RunRequest, folders: RunFolders, say: Callable[[str], None], measure: Measure
) -> tuple[Path, Manifest]:
    """The staged run to work on, and its manifest.

    Raises UsageError when the unfinished run was told other things than this one, DataError when it is damaged.
    """
    from daybook.pipeline.seal import seal_run

    staging = folders.staging(request.day)
    if staging.exists() and not (staging / "manifest.json").is_file():
        folders.discard_staging(request.day)
    if staging.exists() and request.resume:
        manifest = _resumed(staging, request.settings)
        mark_taken(folders, staging, manifest.sealed.run_id)
        say(f"{manifest.sealed.run_id}: resuming the unfinished run in {staging}")
        return staging, manifest
    if request.resume:
        say(f"{request.day}: nothing unfinished with these settings; a new run starts.")
    kept = folders.set_aside(request.day)
    if kept is not None:
        say(f"{request.day}: an unfinished run was moved to {kept}; --resume would have continued it.")
    started = time.perf_counter()
    sealed = measure("seal", lambda: seal_run(staging, request, _next_number(request, folders)))
    manifest = new_manifest(sealed)
    write_manifest(staging, manifest)
    mark_taken(folders, staging, sealed.run_id)
    folders.forget_unfinished(holds_trials)
    say(f"{sealed.run_id}: sealed {len(request.settings.symbols)} markets ({time.perf_counter() - started:.1f} s)")
    return staging, manifest


def finished_run(request: RunRequest, folders: RunFolders) -> Path | None:
    """The finished run of this day with the same settings and code, if nothing is left unfinished."""
    if folders.staging(request.day).exists():
        return None
    for number in reversed(folders.numbers(request.day)):
        folder = folders.finished(run_id(request.day, number))
        sealed = read_manifest(folder).sealed
        if sealed.settings_hash == settings_hash(request.settings) and sealed.code_hash == run_code_hash():
            return folder
    return None


def _next_number(request: RunRequest, folders: RunFolders) -> int:
    """One more than any run of this date that lies in the runs folder or stands in the store.

    The store may know runs that this runs folder lacks: another --runs was given, or old runs were removed. A number is
    never given twice, so that publishing can not replace what was published under it.
    """
    known = [split_run_id(name) for name in published_ids(request.settings.data)]
    return 1 + max([*folders.numbers(request.day), *(int(n) for day, n in known if day == request.day)], default=0)


def _resumed(staging: Path, settings: Settings) -> Manifest:
    try:
        manifest = read_manifest(staging)
        _require_sealed_inputs(staging, manifest.sealed)
    except DataError as error:
        raise DataError(f"--resume: the unfinished run is damaged. {error} {_START_ANEW}") from None
    _require_same_run(manifest, settings)
    _require_same_predecessor(staging, manifest.sealed, settings)
    return manifest


def _require_sealed_inputs(staging: Path, sealed: Sealed) -> None:
    inputs = staging / "inputs"
    bars = read_json(inputs / "bars.json")
    found = {
        "run.json": read_json(inputs / "run.json") == sealed.model_dump(mode="json"),
        "state.json": hash_json(read_json(inputs / "state.json")) == sealed.state_hash,
        "bars.json": data_hash_of(bars) == sealed.data_hash,
    }
    changed = [name for name, intact in found.items() if not intact]
    if changed:
        raise DataError(f"{inputs}: {', '.join(changed)} changed since the run was sealed.")


def _require_same_run(manifest: Manifest, settings: Settings) -> None:
    sealed = manifest.sealed
    same = {
        "parameters or settings": settings_hash(settings) == sealed.settings_hash,
        "code or notebooks": run_code_hash() == sealed.code_hash,
        "package versions": package_versions() == sealed.versions,
    }
    differing = [name for name, equal in same.items() if not equal]
    if differing:
        raise UsageError(
            f"--resume: the unfinished run {sealed.run_id} was started with other {' and '.join(differing)}. "
            f"Give the same ones. {_START_ANEW}"
        )


def _require_same_predecessor(staging: Path, sealed: Sealed, settings: Settings) -> None:
    """An official run stands on the newest official day before it: the store would refuse one that skips a day."""
    if not sealed.official:
        return
    began = PriorState.model_validate(read_json(staging / "inputs" / "state.json")).previous_day
    now = prior_state(Store(settings.data, store_schema()), sealed.day).previous_day
    if began != now:
        raise UsageError(
            f"--resume: the unfinished run {sealed.run_id} started from the pools of {began or 'no day'}, but the "
            f"newest official day before it is {now or 'no day'} now. {_START_ANEW}"
        )
