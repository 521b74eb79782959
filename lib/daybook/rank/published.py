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
from daybook.rank.audit import table_hashes
from daybook.rank.ledger import GENESIS, SCHEMA, chained, links, row_digests
from daybook.rank.result import RunResult

if TYPE_CHECKING:
    import duckdb

SCHEMA_VERSION = 3
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
    "followed": {
        "day": _TEXT, "forward_day": _TEXT, "kind": _TEXT, "identity": _TEXT, "birth_ms": _WHOLE,
        "blocks": pa.list_(_REAL), "trades": _WHOLE,
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
_OF_A_DAY = ("pools", "pool_members", "scores", "archive", "evidence", "followed", "tests")
_SQL_TYPES = {_TEXT: "VARCHAR", _WHOLE: "BIGINT", _REAL: "DOUBLE", pa.int32(): "INTEGER", pa.bool_(): "BOOLEAN",
              pa.binary(): "BLOB", pa.list_(_REAL): "DOUBLE[]"}


class Receipt(BaseModel):
    """What publishing a run came to.

    sequence: its place in publication order, which a rebuild must follow. chain_head: hex of its last trial's hash.
    outcome: `published` (new), `replaced` (the newest run again, with other content), `unchanged`, or `adopted`.
    tables: hash of what the run has in each other table (audit.table_hashes). artefacts: hash of what its manifest says
    of its artefacts. Receipts of the first Daybooks have neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    sequence: int
    trials: int
    chain_previous: str
    chain_head: str
    record_hash: str
    outcome: str
    tables: Mapping[str, str] | None = None
    artefacts: str | None = None


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


def _from_version_2(connection: duckdb.DuckDBPyConnection) -> None:
    """Add the forward days of former members and of days on which nothing was run; no row that is there changes."""
    _create(connection, "followed")


def store_schema() -> Schema:
    """The schema to open a core.store.Store with."""
    return Schema(version=SCHEMA_VERSION, create=create_tables, migrations={2: _from_version_1, 3: _from_version_2})


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
        return _again(connection, result, known[0], digests)
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
    record = _record(result, record_hash, rows.num_rows, previous, head) | {"sequence": sequence}
    _insert_rows(connection, "runs", [record])
    if result.official:
        _publish_day(connection, result)
    return _receipt(connection, record, "replaced" if known else "published")


def _record(result: RunResult, record_hash: str, trials: int, previous: bytes, head: bytes) -> dict[str, Any]:
    """The line of a run in the table `runs`, but for its sequence."""
    return {
        **result.model_dump(include=set(_TABLES["runs"])), "facts": canonical_json(dict(result.facts)),
        "record_hash": record_hash, "trials": trials, "chain_previous": previous, "chain_head": head,
    }


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


def _again(
    connection: duckdb.DuckDBPyConnection, result: RunResult, record: Mapping[str, Any], digests: Sequence[bytes]
) -> Receipt:
    """The same run once more: nothing new, unless it is being adopted.

    A receipt says what was published, so a changed store must not get one: the line of the run must follow from what it
    hands over, and the rows of its day are written again.
    """
    previous = record["chain_previous"]
    head = links(digests, previous)[-1] if digests else previous
    said = _record(result, record["record_hash"], len(digests), previous, head)
    differing = sorted(name for name, value in said.items() if name != "official" and record[name] != value)
    if differing:
        raise DataError(f"trial ledger: run {result.run_id}: the store says other {', '.join(differing)} than its run "
                        "folder. Move the store away: the next start rebuilds it from the runs folder.")
    adopted = result.official and not record["official"]
    if adopted:
        connection.execute("UPDATE runs SET official = true WHERE run_id = ?", [result.run_id])
    if result.official:
        _publish_day(connection, result)
    return _receipt(connection, record, "adopted" if adopted else "unchanged")


def _require_predecessor(connection: duckdb.DuckDBPyConnection, result: RunResult) -> None:
    """An official run must stand on the day that it read, which a store restored from an older copy may lack."""
    if not result.official:
        return
    found = _rows(connection, "SELECT max(day) AS day FROM runs WHERE official AND day < ?", [result.day])[0]["day"]
    if found != result.previous_day:
        raise DataError(
            f"run {result.run_id}: it started from the pools of {result.previous_day}, but the newest official day "
            f"before it in the store is {found}. `daybook trials check` names what the store lacks. Move the store "
            "away: the next start rebuilds it from the runs folder."
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
    # Of two runs that were sealed side by side neither knew of the tests of the other; the first one entered counts.
    done = set(connection.execute("SELECT kind, identity FROM tests").fetchall())
    _insert_rows(connection, "tests", [{"place": place, **test.model_dump()}
                                       for place, test in enumerate(result.tests) if test.born[:2] not in done])
    _insert_rows(connection, "evidence", [
        {"day": day, "kind": record.kind, "identity": record.identity, "birth_ms": record.birth_ms,
         "blocks": list(record.days[-1].blocks), "trades": record.days[-1].trades}
        for record in result.evidence if record.days and record.days[-1].day == day
    ])
    _insert_rows(connection, "followed", [
        {"day": day, "forward_day": entry.day, "kind": record.kind, "identity": record.identity,
         "birth_ms": record.birth_ms, "blocks": list(entry.blocks), "trades": entry.trades}
        for record in result.followed for entry in record.days
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


def _receipt(connection: duckdb.DuckDBPyConnection, record: Mapping[str, Any], outcome: str) -> Receipt:
    return Receipt(
        run_id=record["run_id"], sequence=record["sequence"], trials=record["trials"], outcome=outcome,
        chain_previous=record["chain_previous"].hex(), chain_head=record["chain_head"].hex(),
        record_hash=record["record_hash"], tables=table_hashes(connection, {record["run_id"]})[record["run_id"]],
    )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no place in the store")
