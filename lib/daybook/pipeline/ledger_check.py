"""Is the trial ledger what was published? The chain in the store, and the receipts that lie outside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from daybook.core.errors import DataError
from daybook.core.files import read_json
from daybook.core.store import Store
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.publish import RECEIPT
from daybook.rank import store_schema, verify_trials

if TYPE_CHECKING:
    import duckdb

RECENT = 2
"""Runs whose trials every day checks; `daybook trials check` looks at all."""


class LedgerCheck(BaseModel):
    """What a check of the ledger found. problem: the first row or run that is not as published, None if all are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: int
    trials: int
    by_kind: dict[str, int]
    receipts: int
    problem: str | None


def check_ledger(folders: RunFolders, data: Path, newest: int | None = None) -> LedgerCheck:
    """Follow the chain of every trial, or of the newest runs alone, and hold each run against its receipt.

    Whoever rewrites the store and its chain can not make it agree with receipts that lie in the runs folder.
    """
    store = Store(data, store_schema())
    if store.newest() is None:
        return LedgerCheck(runs=0, trials=0, by_kind={}, receipts=0, problem=None)
    return store.read(lambda connection: _checked(connection, folders, newest))


def require_whole_ledger(folders: RunFolders, data: Path) -> None:
    """Raises DataError when the trials of the newest runs are not those that were published."""
    found = check_ledger(folders, data, RECENT)
    if found.problem is not None:
        raise DataError(
            f"{found.problem}. Trials are never changed once they are published. Move {data / 'store'} away: the next "
            "start rebuilds it from the runs folder."
        )


def _checked(connection: duckdb.DuckDBPyConnection, folders: RunFolders, newest: int | None) -> LedgerCheck:
    names = ("run_id", "sequence", "trials", "chain_previous", "chain_head")
    rows = connection.execute(f"SELECT {', '.join(names)} FROM runs ORDER BY sequence").fetchall()  # noqa: S608  # nosec B608
    runs: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows][-(newest or len(rows)):]
    broken = verify_trials(connection, newest)
    receipts = {run["run_id"]: path for run in runs if (path := folders.finished(run["run_id"]) / RECEIPT).is_file()}
    differing = [run["run_id"] for run in runs if run["run_id"] in receipts and not _agrees(run, receipts)]
    problem = broken.text if broken else None
    if problem is None and differing:
        problem = f"trial ledger: run {differing[0]} is not in the store as its receipt says it was published"
    kinds = connection.execute("SELECT kind, count(*) FROM trials GROUP BY kind ORDER BY kind").fetchall()
    return LedgerCheck(runs=len(runs), trials=sum(run["trials"] for run in runs), by_kind=dict(kinds),
                       receipts=len(receipts), problem=problem)


def _agrees(run: dict[str, Any], receipts: dict[str, Path]) -> bool:
    said = read_json(receipts[run["run_id"]])
    return (said["sequence"], said["trials"], said["chain_previous"], said["chain_head"]) == (
        run["sequence"], run["trials"], run["chain_previous"].hex(), run["chain_head"].hex())
