"""Is the published state what was published? The store's seal and chain, and what the run folders say of it.

Whoever rewrites the store with its seal and its chain can not make it agree with the receipts in the runs folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from daybook.core.errors import DataError
from daybook.core.files import read_json
from daybook.core.store import CorruptStoreError, Store
from daybook.pipeline.folder_check import folder_problems
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.publish import RECEIPT
from daybook.rank import store_schema, stored_runs, table_hashes, verify_trials
from daybook.rank.audit import NO_ROWS, stray_row

if TYPE_CHECKING:
    import duckdb

RECENT = 2
NEWEST_TRIALS = 20_000
NEWEST_TABLES = 64
EVERY = 28
"""What a day hashes row by row.

Of the trials, the newest runs as long as they have no more than NEWEST_TRIALS together, at least RECENT runs; of the
tables beside them, the newest NEWEST_TABLES runs, as far back as an open forward record reaches; of all older runs
those whose turn it is, each once in EVERY published runs. After a year of 10,000 trials a day that is 4 to 5 s a day:
25 microseconds a hashed trial, 0.2 s to count all 3.65 million, 0.5 s for the tables.
"""


Receipts = Mapping[str, Mapping[str, Any]]


class LedgerCheck(BaseModel):
    """What a check found. problem: the first thing that is not as published, None if all is; problems: each.

    hashed: trials whose every value was held against the chain. uncovered: runs whose receipts, of an older Daybook,
    say nothing of the tables beside the trials (pools, evidence, tests).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: int
    trials: int
    by_kind: dict[str, int]
    receipts: int
    problem: str | None
    problems: tuple[str, ...] = ()
    hashed: int = 0
    uncovered: tuple[str, ...] = ()


def check_ledger(folders: RunFolders, data: Path) -> LedgerCheck:
    """Look at everything: every trial and table, every receipt, and the artefacts of every run."""
    return _check(folders, data, daily=False)


def check_of_a_day(folders: RunFolders, data: Path) -> LedgerCheck:
    """What every day can afford: all of the newest runs and of those whose turn it is, the outline of all others.

    Runs that only the folders hold are no fault here: the day enters them next, as after a crash or a lost store.
    """
    return _check(folders, data, daily=True)


def require_whole_ledger(folders: RunFolders, data: Path) -> None:
    """Raises DataError, before a day begins, when the published state is not what was published."""
    found = check_of_a_day(folders, data)
    if found.problem is not None:
        raise DataError(
            f"{found.problem}. What is published never changes, so no day begins. `daybook trials check` looks at "
            f"every run and names all that differs. Move {data / 'store'} away: the next start rebuilds it from the "
            "runs folder and refuses runs that were changed there."
        )


def _check(folders: RunFolders, data: Path, *, daily: bool) -> LedgerCheck:
    problems = list(_seal_problems(data))
    receipts = dict(_receipts(folders))
    found = LedgerCheck(runs=0, trials=0, by_kind={}, receipts=len(receipts), problem=None)
    store = Store(data, store_schema(), warn=lambda _text: None)
    if problems and daily:
        return _with(found, problems)
    store.upgrade()
    if store.newest() is not None:
        found, more = store.read(lambda connection: _compared(connection, folders, receipts, daily=daily))
        problems += more
    elif receipts and not daily:
        problems.append(f"{store.folder}: there is no store, and {len(receipts)} runs in {folders.root} were "
                        "published; the next start of a day rebuilds it from them")
    return _with(found, problems)


def _with(found: LedgerCheck, problems: Sequence[str]) -> LedgerCheck:
    return found.model_copy(update={"problem": problems[0] if problems else None, "problems": tuple(problems)})


def _seal_problems(data: Path) -> Iterator[str]:
    """A newest generation that opens although its bytes are not those that were sealed: readers would take it."""
    store = Store(data, store_schema(), warn=lambda _text: None)
    newest = store.newest()
    try:
        whole = store.verified()
        text = f"{store.folder}: {' '.join(whole.warnings)}" if whole else ""
    except CorruptStoreError as error:
        whole, text = None, str(error)
    if newest is not None and (whole is None or whole.number != newest.number):
        yield f"{text.rstrip('.')}. Something else than a day wrote to it, or the disk is failing"


def _receipts(folders: RunFolders) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for run_id in folders.run_ids():
        path = folders.finished(run_id) / RECEIPT
        if path.is_file():
            yield run_id, read_json(path)


def _compared(
    connection: duckdb.DuckDBPyConnection, folders: RunFolders, receipts: Receipts, *, daily: bool
) -> tuple[LedgerCheck, list[str]]:
    """The store against itself, then run by run against the receipts and, unless it is a day's check, the folders."""
    runs = stored_runs(connection)
    chosen = _turns(runs) if daily else runs
    broken = verify_trials(connection, {run["sequence"] for run in chosen})
    problems = [text for text in (broken.text if broken else None, stray_row(connection)) if text]
    hashes = table_hashes(connection, {run["run_id"] for run in [*chosen, *runs[-NEWEST_TABLES:]]})
    for run in runs:
        said = receipts.get(run["run_id"])
        if said is not None:
            problems += _receipt_problems(run, said, hashes.get(run["run_id"], {}))
        if not daily:
            problems += folder_problems(folders, run, said)
    problems += _unknown(runs, receipts, daily=daily)
    kinds = connection.execute("SELECT kind, count(*) FROM trials GROUP BY kind ORDER BY kind").fetchall()
    return LedgerCheck(
        runs=len(runs), trials=sum(run["trials"] for run in runs), by_kind=dict(kinds),
        receipts=sum(run["run_id"] in receipts for run in runs), problem=None,
        hashed=sum(run["trials"] for run in chosen),
        uncovered=tuple(run["run_id"] for run in runs if not receipts.get(run["run_id"], {}).get("tables")),
    ), problems


def _turns(runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The runs whose every row is hashed today; turns follow the number of the newest run, so that none is skipped."""
    chosen, trials = [], 0
    for age, run in enumerate(reversed(runs)):
        trials += run["trials"]
        if age < RECENT or trials <= NEWEST_TRIALS or age % EVERY == 0:
            chosen.append(run)
    return chosen


def _receipt_problems(run: Mapping[str, Any], said: Mapping[str, Any], tables: Mapping[str, str]) -> Iterator[str]:
    """How a run in the store differs from its receipt."""
    found = {name: run[name].hex() if isinstance(run[name], bytes) else run[name]
             for name in ("sequence", "trials", "chain_previous", "chain_head", "record_hash")}
    differing = [f"{name} {said.get(name)}, not {value}" for name, value in found.items() if said.get(name) != value]
    if differing:
        yield (f"trial ledger: run {run['run_id']} is not in the store as its receipt says it was published "
               f"({'; '.join(differing)})")
    promised = said.get("tables") or {}
    if run["official"] and promised.keys() == {"runs"}:
        yield f"published state: run {run['run_id']} is marked official, which its receipt does not say"
    # A run whose day another run took over by adoption has only its own line left; a table of a later schema is empty.
    names = tables.keys() | (promised.keys() if run["official"] else set())
    changed = [name for name in sorted(names) if promised.get(name, NO_ROWS) != tables.get(name, NO_ROWS)]
    if promised and changed:
        yield (f"published state: run {run['run_id']}: its rows of {', '.join(changed)} are not those that were "
               "published")


def _unknown(runs: Sequence[Mapping[str, Any]], receipts: Receipts, *, daily: bool) -> Iterator[str]:
    """Published runs that the store lacks, and days that lost their official run."""
    known = {run["run_id"] for run in runs}
    newest = max((run["sequence"] for run in runs), default=0)
    for run_id, said in receipts.items():
        if run_id not in known and not (daily and said.get("sequence", 0) > newest):
            yield (f"trial ledger: run {run_id} was published as number {said.get('sequence')}, its receipt says; "
                   "the store does not hold it")
    told = {run["run_id"] for run in runs if len(receipts.get(run["run_id"], {}).get("tables") or {}) > 1}
    days = {run["day"] for run in runs if run["official"] and run["run_id"] in told}
    for run in runs:
        if run["run_id"] in told and run["day"] not in days:
            yield (f"published state: run {run['run_id']} was published as the official run of its day, by its "
                   "receipt; the store says it is not, and no run that was adopted took its place")
