"""Is the store what was published? The chain of the trials, and the rows beside it that decide what is proven."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from daybook.rank.ledger import GENESIS, SCHEMA, BrokenRow, first_broken

if TYPE_CHECKING:
    import duckdb

# Statements below are put together from these table and column names only; values are always bound.
_OF_A_DAY = ("SELECT DISTINCT table_name FROM duckdb_columns() "
             "WHERE column_name = 'day' AND table_name NOT IN ('runs', 'trials') ORDER BY 1")
"""The tables whose rows of a day its official run publishes, whatever the schema adds to them."""
NO_ROWS = hashlib.sha256().hexdigest()
"""Hash of a table in which a run has nothing."""
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=bytes.hex).encode
_OUTLINE = "SELECT sequence, count(*), min(position), max(position), arg_max(row_hash, position) FROM trials GROUP BY 1"


def stored_runs(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Every line of the table `runs`, in publication order."""
    return _rows(connection, "SELECT * FROM runs ORDER BY sequence")


def verify_trials(
    connection: duckdb.DuckDBPyConnection, hashed: Collection[int] | None = None
) -> BrokenRow | None:
    """The first trial that was changed, moved, added or taken out since it was published; None if the chain holds.

    hashed: sequences of the runs whose every row is hashed, all by default (25 microseconds a row). Of the others, the
    number of rows, their places, the hash of the last and the head before the first are compared, which finds a row
    that is missing or too many, but none that was edited or swapped (0.2 s for four million rows).
    """
    outlines = {row[0]: row[1:] for row in connection.execute(_OUTLINE).fetchall()}
    head = GENESIS
    for place, run in enumerate(stored_runs(connection), 1):
        rows, first, last, newest = outlines.get(run["sequence"], (0, 0, -1, head))
        if hashed is None or run["sequence"] in hashed:
            broken = _first_broken(connection, run["sequence"], head)
            if broken is not None:
                return broken
        if run["sequence"] != place or run["chain_previous"] != head:
            what = "a run that was published before it is missing or was changed"
        elif run["run_id"] != f"{run['day']}/{run['number']:02d}":
            what = f"its day and number are {run['day']} and {run['number']}"
        elif (run["trials"], first, last) != (rows, 0, rows - 1):
            what = f"it holds {rows} trials, {run['trials']} were chained to it"
        elif run["chain_head"] != newest:
            what = "its last trial is not the one that was chained to it"
        else:
            head = run["chain_head"]
            continue
        text = f"trial ledger: run {run['run_id']}: {what}"
        return BrokenRow(run_id=run["run_id"], position=rows, step="", seq=-1, text=text)
    return _orphan(connection)


def table_hashes(connection: duckdb.DuckDBPyConnection, run_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """SHA-256 (hex) of what these runs have in each table beside their trials, by run and table.

    A run has its line in `runs`, without the official mark, which adoption moves. The official run of a day has that
    day's rows in every other table that knows days as well. A null is left out of its row, so that a column that a
    later schema adds to older rows changes no hash.
    """
    runs = [run for run in stored_runs(connection) if run["run_id"] in run_ids]
    hashes = {run["run_id"]: {"runs": _hash([_line({**run, "official": None})])} for run in runs}
    official = {run["day"]: run["run_id"] for run in runs if run["official"]}
    for (name,) in connection.execute(_OF_A_DAY).fetchall():
        lines: dict[str, list[str]] = defaultdict(list)
        query = f"SELECT * FROM {name} WHERE day IN (SELECT unnest(?::VARCHAR[]))"  # noqa: S608  # nosec B608
        for row in _rows(connection, query, [sorted(official)]):
            lines[row["day"]].append(_line(row))
        for day, run_id in official.items():
            hashes[run_id][name] = _hash(lines[day])
    return hashes


def stray_row(connection: duckdb.DuckDBPyConnection) -> str | None:
    """A row beside the trials that belongs to a day without an official run, which no receipt can cover."""
    for (name,) in connection.execute(_OF_A_DAY).fetchall():
        query = (f"SELECT min(day) FROM {name} WHERE day NOT IN "  # noqa: S608  # nosec B608
                 "(SELECT day FROM runs WHERE official)")
        found = connection.execute(query).fetchone()
        if found and found[0] is not None:
            return f"published state: {name} has rows of {found[0]}, a day without an official run"
    return None


def _first_broken(connection: duckdb.DuckDBPyConnection, sequence: int, head: bytes) -> BrokenRow | None:
    columns = ", ".join(f'"{name}"' for name in [*SCHEMA.names, "position", "row_hash"])
    query = f"SELECT {columns} FROM trials WHERE sequence = ? ORDER BY position"  # noqa: S608  # nosec B608
    return first_broken(connection.execute(query, [sequence]).to_arrow_table(), head)


def _orphan(connection: duckdb.DuckDBPyConnection) -> BrokenRow | None:
    """A trial that no published run holds."""
    found = _rows(connection, "SELECT run_id, position, step, seq FROM trials WHERE sequence NOT IN "
                              "(SELECT sequence FROM runs) ORDER BY sequence, position LIMIT 1")
    if not found:
        return None
    text = f"trial ledger: run {found[0]['run_id']}, row {found[0]['position']}: no published run holds it"
    return BrokenRow(text=text, **found[0])


def _line(row: Mapping[str, Any]) -> str:
    return _ENCODE({name: value for name, value in row.items() if value is not None})


def _hash(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _rows(connection: duckdb.DuckDBPyConnection, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
    cursor = connection.execute(query, values or [])
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
