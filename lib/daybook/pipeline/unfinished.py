"""Trials of runs that were given up: the next run takes them in, once, so that no look at a result is forgotten.

A run that is set aside keeps its ledgers. The next run that is sealed copies them to `inputs/unfinished/<name>/`,
counts them in the state it starts from, and brings them into the store with its own. Should that run be given up as
well, what it had taken in goes on with its own ledgers.

A step that failed or was killed leaves what it had counted until then. When the same run does it again, with the same
code on the same inputs, it repeats these evaluations bit by bit: they count once, and stay counted if the second
attempt gets less far.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from daybook.core.errors import DataError
from daybook.core.files import write_json, write_parquet
from daybook.core.hashing import hash_file
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.manifest import STEPS
from daybook.rank import PriorState, TrialCounts, counts, read_trials
from daybook.rank.ledger import FILE_NAME, RETURNS_NAME, SCHEMA, UNFINISHED, settled

FOLDER = "unfinished"
TAKEN = "taken-in.json"
"""Lies in an unfinished run whose trials another run holds."""
_ATTEMPTS = ".attempts"
"""Beside the artefacts of the steps: the longest ledger of earlier attempts at a step that is not done yet."""


def take_in(folders: RunFolders, inputs: Path, state: PriorState) -> PriorState:
    """Copy every ledger of an unfinished run that no run has taken in yet; the state with them counted.

    Raises DataError when such a ledger can not be read.
    """
    hashes: dict[str, str] = {}
    tables: list[pa.Table] = []
    for name, table in sorted(_waiting(folders).items()):
        tables.append(table)
        hashes[name] = hash_file(write_parquet(inputs / FOLDER / name, table))
    if not tables:
        return state
    found = counts(pa.concat_tables(tables))
    before = state.trials
    kinds = sorted({*before.by_kind, *found.by_kind})
    by_kind = {kind: before.by_kind.get(kind, 0) + found.by_kind.get(kind, 0) for kind in kinds}
    trials = TrialCounts(today=before.today, ever=before.ever + found.ever, by_kind=by_kind)
    return state.model_copy(update={"trials": trials, "unfinished": hashes})


def mark_taken(folders: RunFolders, staging: Path, run_id: str) -> None:
    """Mark the unfinished runs whose trials the sealed run in `staging` holds, so that no other takes them in."""
    for folder in sorted((staging / "inputs" / FOLDER).glob("*")):
        left = folders.unfinished / folder.name
        if left.is_dir() and not (left / TAKEN).is_file():
            age = left.stat()
            write_json(left / TAKEN, {"run_id": run_id})
            os.utime(left, ns=(age.st_atime_ns, age.st_mtime_ns))


def taken_in(folder: Path, hashes: Mapping[str, str]) -> tuple[Path, ...]:
    """The ledgers that a run took in, in name order. Raises DataError when one is not as it was sealed."""
    paths = {name: folder / "inputs" / FOLDER / name for name in sorted(hashes)}
    for name, path in paths.items():
        if not path.is_file() or hash_file(path) != hashes[name]:
            raise DataError(f"{path}: it is not the ledger that was sealed. Restore it from a backup.")
    return tuple(paths.values())


def holds_trials(folder: Path) -> bool:
    """Whether an unfinished run has trials that no other run has taken in."""
    return not (folder / TAKEN).is_file() and any(True for _ in _ledgers(folder))


def keep_attempt(folder: Path, step: str) -> None:
    """Keep the ledger of an attempt at a step of the run in `folder`, before a new attempt clears its artefacts."""
    left, kept = _places(folder, step)
    try:
        longer = settled(left) is not None and _length(left) > _length(kept)
    except DataError:
        return  # damaged artefacts are a reason to do a step again, and the new attempt makes the same ledger
    if longer:
        _move(left, kept)


def forget_attempts(folder: Path, step: str) -> None:
    """Remove what earlier attempts at a step left: it is done, and its ledger holds all of it."""
    shutil.rmtree(_places(folder, step)[1], ignore_errors=True)


def _places(folder: Path, step: str) -> tuple[Path, Path]:
    return folder / "artefacts" / step, folder / "artefacts" / _ATTEMPTS / step


def _length(ledger: Path) -> int:
    path = ledger / FILE_NAME
    return read_trials(path).num_rows if path.is_file() else -1


def _move(ledger: Path, target: Path) -> None:
    """Move a ledger over another, the returns first: both hold the same rows as far as they go."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (RETURNS_NAME, FILE_NAME):
        if (ledger / name).is_file():
            (ledger / name).replace(target / name)


def _waiting(folders: RunFolders) -> dict[str, pa.Table]:
    """`<unfinished run>/<step>.parquet` -> rows, of every unfinished run that is not marked, each run once."""
    found: dict[str, pa.Table] = {}
    # A run that was killed between its seal and its marks still holds what it took in.
    held = {path.name for sealed in folders.staged() for path in (sealed / "inputs" / FOLDER).glob("*")}
    for folder in folders.set_aside_runs():
        if (folder / TAKEN).is_file() or folder.name in held:
            continue
        for name, path in _ledgers(folder):
            found.setdefault(name, _renamed(path, f"{UNFINISHED}{name.partition('/')[0]}"))
    return found


def _ledgers(folder: Path) -> Iterator[tuple[str, Path]]:
    """The ledgers of an unfinished run: what it had taken in itself, then its own steps'."""
    for path in sorted((folder / "inputs" / FOLDER).glob("*/*.parquet")):
        yield f"{path.parent.name}/{path.name}", path
    for step in STEPS:
        left, kept = _places(folder, step)
        whole = settled(left)
        if _length(kept) > _length(left):
            _move(kept, left)
            whole = left / FILE_NAME
        if whole is not None:
            yield f"{folder.name}/{step}.parquet", whole


def _renamed(path: Path, run_id: str) -> pa.Table:
    """The rows under the name of the unfinished run: the number that it had will be given to another run."""
    table = read_trials(path)
    column = pa.array([run_id] * table.num_rows, pa.string())
    return table.set_column(SCHEMA.get_field_index("run_id"), SCHEMA.field("run_id"), column)
