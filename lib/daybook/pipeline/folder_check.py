"""Is a published run's folder as it was when the run was published?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from daybook.core.errors import DaybookError
from daybook.core.files import read_json
from daybook.core.hashing import hash_json
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.manifest import artefact_hashes, read_manifest
from daybook.pipeline.publish import RECEIPT, artefacts_hash, run_result
from daybook.rank.ledger import links, row_digests


def folder_problems(folders: RunFolders, run: Mapping[str, Any], said: Mapping[str, Any] | None) -> Iterator[str]:
    """What is missing or changed in the folder of a run that the store holds; said: its receipt, None without one.

    Daybook never removes the folder of a published run: what it tidies away are feature tables and bars that are
    computed again, and unfinished runs whose trials another run holds. So one that is missing was taken away.
    """
    folder = folders.finished(run["run_id"])
    if not folder.is_dir():
        yield f"run {run['run_id']}: its folder {folder} is missing. Restore it, or name the right folder with --runs"
        return
    if said is None:
        yield (f"run {run['run_id']}: its receipt {folder / RECEIPT} is missing. Restore it; else the next start of a "
               "day writes it anew if the store still follows from the run's artefacts")
    try:
        yield from _artefact_problems(folder, run, said or {})
    except DaybookError as error:
        yield f"run {run['run_id']}: {str(error).rstrip('.')}"


def _artefact_problems(folder: Path, run: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    manifest = read_manifest(folder)
    if hash_json(read_json(folder / "inputs" / "state.json")) != manifest.sealed.state_hash:
        yield f"run {run['run_id']}: inputs/state.json in {folder} is not the state that the run was sealed with"
    changed: list[str] = []
    for step in manifest.steps:
        found = artefact_hashes(folder, step.name)
        changed += sorted(name for name in found.keys() | step.artefacts.keys()
                          if found.get(name) != step.artefacts.get(name))
    if changed:
        yield f"run {run['run_id']}: {', '.join(changed)} in {folder} are not as its manifest says they were written"
        return
    if said.get("artefacts") not in (None, artefacts_hash(folder)):
        yield f"run {run['run_id']}: {folder / 'manifest.json'} is not the one that was published, by its receipt"
        return
    digests = row_digests(run_result(folder).trial_rows())
    previous = run["chain_previous"]
    if (links(digests, previous)[-1] if digests else previous) != run["chain_head"]:
        yield f"run {run['run_id']}: the trials in {folder} are not those in the store"
