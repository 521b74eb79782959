"""The tables of the published store, and how a finished run goes into them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from daybook.core.errors import DataError, UsageError
from daybook.core.hashing import canonical_json
from daybook.core.store import Schema
from daybook.rank.ledger import GENESIS, SCHEMA, BrokenRow, chained, first_broken, row_digests
from daybook.rank.result import RunResult

if TYPE_CHECKING:
    import duckdb

SCHEMA_VERSION = 2
# Statements below are put together from these table and column names only; values are always bound.
_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
_TABLES: Mapping[str, Mapping[str, pa.DataType]] = {
    "runs": {
        "sequence": _WHOLE, "run_id": _TEXT, "day": _TEXT, "number": _WHOLE, "parent": _TEXT, "official": pa.bool_(),
        "status": _TEXT, "previous_day": _TEXT, "seed": _WHOLE, "source": _TEXT, "code_hash": _TEXT,
        "data_hash": _TEXT, "settings_hash": _TEXT, "facts": _TEXT, "record_hash": _TEXT, "trials": _WHOLE,
        "chain_previous": pa.binary(), "chain_head": pa.binary(),
    },
    "pools": {"day": _TEXT, "kind": _TEXT, "run_id": _TEXT, "capacity": _WHOLE},
    "pool_members": {
        "day": _TEXT, "kind": _TEXT, "rank": _WHOLE, "identity": _TEXT, "structure_hash": _TEXT, "name": _TEXT,
        "timeframe": _TEXT, "score": _REAL, "payload": _TEXT,
    },
    "scores": {
        "day": _TEXT, "kind": _TEXT, "identity": _TEXT, "name": _TEXT, "score": _REAL, "reason": _TEXT, "psr": _REAL,
        "z": _REAL, "sharpe": _REAL, "sharpe_error": _REAL, "sharpe_low": _REAL, "sharpe_high": _REAL, "skew": _REAL,
        "kurtosis": _REAL, "total_return": _REAL, "max_drawdown": _REAL, "n_blocks": _WHOLE, "trades": _WHOLE,
    },
    "archive": {
        "day": _TEXT, "kind": _TEXT, "identity": _TEXT, "structure_hash": _TEXT, "name": _TEXT, "score": _REAL,
        "reason": _TEXT, "payload": _TEXT,
    },
    "evidence": {
        "day": _TEXT, "kind": _TEXT, "identity": _TEXT, "birth_ms": _WHOLE, "blocks": pa.list_(_REAL), "trades": _WHOLE,
    },
    "tests": {
        "day": _TEXT, "place": _WHOLE, "kind": _TEXT, "identity": _TEXT, "name": _TEXT, "birth_ms": _WHOLE,
        "forward_days": _WHOLE, "n": _WHOLE, "sharpe": _REAL, "p_value": _REAL, "level": _REAL,
        "rejected": pa.bool_(),
    },
    "trials": {
        "sequence": _WHOLE, **{field.name: field.type for field in SCHEMA},
        "position": pa.int32(), "row_hash": pa.binary(),
    },
}
_OF_A_DAY = ("pools", "pool_members", "scores", "archive", "evidence", "tests")
_SQL_TYPES = {_TEXT: "VARCHAR", _WHOLE: "BIGINT", _REAL: "DOUBLE", pa.int32(): "INTEGER", pa.bool_(): "BOOLEAN",
              pa.binary(): "BLOB", pa.list_(_REAL): "DOUBLE[]"}


class Receipt(BaseModel):
    """What publishing a run came to.

    sequence: its place in publication order, which a rebuild must follow. chain_head: hex of its last trial's hash.
    outcome: `published` (new), `replaced` (the newest run again, with other content), `unchanged`, or `adopted`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    sequence: int
    trials: int
    chain_previous: str
    chain_head: str
    record_hash: str
    outcome: str


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of an empty store.

    Uniqueness is kept by publish_run: DuckDB refuses to delete and insert one primary key in one transaction.
    """
    for name in _TABLES:
        _create(connection, name)


def _create(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    listed = ", ".join(f'"{column}" {_SQL_TYPES[kind]}' for column, kind in _TABLES[name].items())
    connection.execute(f"CREATE TABLE {name} ({listed})")


def _from_version_1(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the trials the columns of ledger version 2, empty for those that were published before, and add the tests.

    The old rows keep version 1, over whose columns their hashes were made, so that the chain holds as it is.
    """
    for name in SCHEMA.names[SCHEMA.names.index("ledger_version"):]:
        connection.execute(f'ALTER TABLE trials ADD COLUMN "{name}" {_SQL_TYPES[SCHEMA.field(name).type]}')
    connection.execute("UPDATE trials SET ledger_version = 1")
    _create(connection, "tests")


def store_schema() -> Schema:
    """The schema to open a core.store.Store with."""
    return Schema(version=SCHEMA_VERSION, create=create_tables, migrations={2: _from_version_1})


def publish_run(connection: duckdb.DuckDBPyConnection, result: RunResult) -> Receipt:
    """Record a run, inside the caller's transaction, replacing exactly what that run or day said before.

    A run goes to the end of the trial chain. Publishing it again with the same content changes nothing. With other
    content it is replaced only while it is the newest run, since later rows are chained to it. An official run, or one
    that becomes official (adoption), replaces the pools, scores, archive and evidence of its day; any other run is
    recorded and its trials count, and no pool changes.
    Raises UsageError for an older run with other content, DataError when the store lost the day the run started from.
    """
    rows = result.trial_rows()
    digests = row_digests(rows)
    record_hash = result.record_hash(digests)
    known = _rows(connection, "SELECT * FROM runs WHERE run_id = ?", [result.run_id])
    if known and known[0]["record_hash"] == record_hash:
        return _again(connection, result, known[0])
    newest = _rows(connection, "SELECT * FROM runs ORDER BY sequence DESC LIMIT 1")
    if known and known[0]["sequence"] != newest[0]["sequence"]:
        raise UsageError(
            f"run {result.run_id}: it was published with other content, and {newest[0]['run_id']} was published since; "
            "only the newest run can be replaced. Run the day again under the next number."
        )
    if known and known[0]["official"] and not result.official:
        raise UsageError(f"run {result.run_id}: it is the official run of its day, which a re-run can not replace.")
    _require_predecessor(connection, result)
    if known:
        _delete_run(connection, known[0]["sequence"])
        sequence, previous = known[0]["sequence"], known[0]["chain_previous"]
    else:
        sequence, previous = (newest[0]["sequence"] + 1, newest[0]["chain_head"]) if newest else (1, GENESIS)
    rows, head = chained(rows, digests, previous)
    rows = rows.add_column(0, "sequence", pa.array([sequence] * rows.num_rows, _WHOLE))
    _insert(connection, "trials", rows)
    record = {
        **result.model_dump(include=set(_TABLES["runs"])), "facts": canonical_json(dict(result.facts)),
        "sequence": sequence, "record_hash": record_hash, "trials": rows.num_rows, "chain_previous": previous,
        "chain_head": head,
    }
    _insert_rows(connection, "runs", [record])
    if result.official:
        _publish_day(connection, result)
    return _receipt(record, "replaced" if known else "published")


def content_hash(connection: duckdb.DuckDBPyConnection) -> str:
    """SHA-256 (hex) over every row of every table, in an order that does not depend on how they were written."""
    digest = hashlib.sha256()
    for name in sorted(_TABLES):
        columns = list(_TABLES[name])
        order = "sequence, position" if name == "trials" else ", ".join(f'"{column}"' for column in columns)
        cursor = connection.execute(f"SELECT {_listed(columns)} FROM {name} ORDER BY {order}")  # noqa: S608  # nosec B608
        digest.update(canonical_json([name, columns]).encode())
        while batch := cursor.fetchmany(10_000):
            for row in batch:
                digest.update(json.dumps(row, default=_plain, allow_nan=False, separators=(",", ":")).encode())
    return digest.hexdigest()


def verify_trials(connection: duckdb.DuckDBPyConnection, newest: int | None = None) -> BrokenRow | None:
    """The first trial that was changed, moved, added or taken out since it was published; None if the chain holds.

    newest: look at the rows of so many of the newest runs only, from the head that the run before them recorded.
    """
    runs = _rows(connection, "SELECT * FROM runs ORDER BY sequence")
    skipped = 0 if newest is None else max(0, len(runs) - newest)
    head = runs[skipped - 1]["chain_head"] if skipped else GENESIS
    for run in runs[skipped:]:
        columns = _listed([*SCHEMA.names, "position", "row_hash"])
        cursor = connection.execute(
            f"SELECT {columns} FROM trials WHERE sequence = ? ORDER BY position", [run["sequence"]]  # noqa: S608  # nosec B608
        )
        rows = cursor.to_arrow_table()
        broken = first_broken(rows, head)
        if broken is not None:
            return broken
        found = rows["row_hash"][-1].as_py() if rows.num_rows else head
        if run["chain_previous"] != head or run["chain_head"] != found or run["trials"] != rows.num_rows:
            text = f"trial ledger: run {run['run_id']} holds {rows.num_rows} trials, {run['trials']} were chained to it"
            return BrokenRow(run_id=run["run_id"], position=rows.num_rows, step="", seq=-1, text=text)
        head = found
    return _orphan(connection)


def _orphan(connection: duckdb.DuckDBPyConnection) -> BrokenRow | None:
    """A trial that no published run holds."""
    found = _rows(connection, "SELECT run_id, position, step, seq FROM trials WHERE sequence NOT IN "
                              "(SELECT sequence FROM runs) ORDER BY sequence, position LIMIT 1")
    if not found:
        return None
    text = f"trial ledger: run {found[0]['run_id']}, row {found[0]['position']}: no published run holds it"
    return BrokenRow(text=text, **found[0])


def _again(connection: duckdb.DuckDBPyConnection, result: RunResult, record: Mapping[str, Any]) -> Receipt:
    """The same run once more: nothing to do, unless it is being adopted."""
    if not result.official or record["official"]:
        return _receipt(record, "unchanged")
    connection.execute("UPDATE runs SET official = true WHERE run_id = ?", [result.run_id])
    _publish_day(connection, result)
    return _receipt(record, "adopted")


def _require_predecessor(connection: duckdb.DuckDBPyConnection, result: RunResult) -> None:
    """An official run must stand on the day that it read, which a store restored from an older copy may lack."""
    if not result.official:
        return
    found = _rows(connection, "SELECT max(day) AS day FROM runs WHERE official AND day < ?", [result.day])[0]["day"]
    if found != result.previous_day:
        raise DataError(
            f"run {result.run_id}: it started from the pools of {result.previous_day}, but the newest official day "
            f"before it in the store is {found}. Rebuild the store from the runs folder, then publish again."
        )


def _publish_day(connection: duckdb.DuckDBPyConnection, result: RunResult) -> None:
    """Make this run the official one of its day, in place of any other."""
    day = result.day
    connection.execute("UPDATE runs SET official = (run_id = ?) WHERE day = ?", [result.run_id, day])
    for name in _OF_A_DAY:
        connection.execute(f"DELETE FROM {name} WHERE day = ?", [day])  # noqa: S608  # nosec B608
    members = [member for pool in result.pools for member in pool.members]
    _insert_rows(connection, "pools", [
        {"day": day, "kind": pool.kind, "run_id": result.run_id, "capacity": pool.capacity} for pool in result.pools
    ])
    _insert_rows(connection, "pool_members", [
        {"day": day, **_outline(member), "payload": _payload(member)} for member in members
    ])
    _insert_rows(connection, "scores", [
        {"day": day, "kind": row.kind, "identity": row.identity, "name": row.name, **row.result.model_dump()}
        for row in result.scores
    ])
    _insert_rows(connection, "archive", [
        {"day": day, **_outline(gone.member), "reason": gone.reason, "payload": _payload(gone.member)}
        for gone in result.archived
    ])
    # A day that is run after a later one can not know that the later one has tested the same record; the first counts.
    done = set(connection.execute("SELECT kind, identity, birth_ms FROM tests").fetchall())
    _insert_rows(connection, "tests", [{"place": place, **test.model_dump()}
                                       for place, test in enumerate(result.tests) if test.born not in done])
    _insert_rows(connection, "evidence", [
        {"day": day, "kind": record.kind, "identity": record.identity, "birth_ms": record.birth_ms,
         "blocks": list(record.days[-1].blocks), "trades": record.days[-1].trades}
        for record in result.evidence if record.days and record.days[-1].day == day
    ])


def _outline(member: BaseModel) -> dict[str, Any]:
    return member.model_dump(include={"kind", "rank", "identity", "structure_hash", "name", "timeframe", "score"})


def _payload(member: BaseModel) -> str:
    return canonical_json(member.model_dump(mode="json"))


def _delete_run(connection: duckdb.DuckDBPyConnection, sequence: int) -> None:
    """Take a run out by its place: its trials include those of the unfinished runs that it took in."""
    for name in ("trials", "runs"):
        connection.execute(f"DELETE FROM {name} WHERE sequence = ?", [sequence])  # noqa: S608  # nosec B608


def _insert_rows(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = _TABLES[name]
    _insert(connection, name, pa.table({
        column: pa.array([row.get(column) for row in rows], kind) for column, kind in columns.items()
    }))


def _insert(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    if not table.num_rows:
        return
    connection.register("incoming", table.select(list(_TABLES[name])))
    try:
        connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")  # noqa: S608  # nosec B608
    finally:
        connection.unregister("incoming")


def _rows(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    cursor = connection.execute(query, list(values))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _receipt(record: Mapping[str, Any], outcome: str) -> Receipt:
    return Receipt(
        run_id=record["run_id"], sequence=record["sequence"], trials=record["trials"], outcome=outcome,
        chain_previous=record["chain_previous"].hex(), chain_head=record["chain_head"].hex(),
        record_hash=record["record_hash"],
    )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no place in the store")
