"""The trial ledger: one row for every evaluation of anything, append-only, chained so that no row changes unseen."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from daybook.core.arrays import Floats
from daybook.core.errors import DataError
from daybook.core.files import read_parquet, write_parquet
from daybook.core.hashing import canonical_json
from daybook.rank.ledger_parts import PARTS, RETURNS_TYPE, drop_parts, read_parts, returns_list, write_part

TrialKind = Literal["score", "design", "sweep", "model", "ensemble", "null", "validation", "tuning", "stress"]
Outcome = Literal["ok", "undefined", "failed"]
KINDS = get_args(TrialKind)
OUTCOMES = get_args(Outcome)
FILE_NAME = "trials.parquet"
RETURNS_NAME = "trial_returns.parquet"
UNFINISHED = "unfinished/"
"""How the run_id of a row begins that was made in a run which was given up before it was published."""
GENESIS = bytes(16)
"""What the first row of the first run is chained to."""

LEDGER_VERSION = 2
"""What new rows are. Version 1 had no parents, n_returns or pointer to returns; its rows stay as they are."""

_FIELDS: tuple[tuple[str, pa.DataType, bool], ...] = (
    ("day", pa.string(), False),
    ("run_id", pa.string(), False),
    ("step", pa.string(), False),
    ("seq", pa.int32(), False),
    ("kind", pa.string(), False),
    ("identity", pa.string(), False),
    ("structure_hash", pa.string(), False),
    ("params", pa.string(), False),
    ("symbol", pa.string(), False),
    ("timeframe", pa.string(), False),
    ("window_start", pa.int64(), False),
    ("window_end", pa.int64(), False),
    ("n_bars", pa.int32(), False),
    ("birth", pa.int64(), False),
    ("author", pa.string(), False),
    ("data_hash", pa.string(), False),
    ("outcome", pa.string(), False),
    ("sharpe", pa.float64(), True),
    ("skew", pa.float64(), True),
    ("kurtosis", pa.float64(), True),
    ("total_return", pa.float64(), True),
    ("trades", pa.int32(), True),
    ("ledger_version", pa.int32(), False),
    ("parents", pa.string(), True),
    ("n_returns", pa.int32(), True),
    ("returns_at", pa.string(), True),
    ("returns_reason", pa.string(), True),
)
SCHEMA = pa.schema([pa.field(name, kind, nullable=nullable) for name, kind, nullable in _FIELDS])
"""Times are ms UTC; sharpe is annualised, over n_returns returns, as are its moments; an undefined figure is null.

params is canonical JSON. birth: when the design or fit was frozen; nothing after it could change what is evaluated.
parents: JSON list of the identities it was bred, tuned or shuffled from. returns_at: `<step>/<artefact>#<row>` of its
block returns in the run's artefacts; without one, returns_reason says why there are none to point at.
"""

_ORIGIN = ("day", "run_id", "step", "seq", "ledger_version")
_GIVEN = tuple(name for name, _, _ in _FIELDS if name not in _ORIGIN)
_OPTIONAL = tuple(name for name, _, nullable in _FIELDS if nullable)
_SINCE_VERSION_2 = ("ledger_version", "parents", "n_returns", "returns_at", "returns_reason")
_VERSION_1 = tuple(name for name, _, _ in _FIELDS if name not in _SINCE_VERSION_2)
_DIGESTED: Mapping[int, tuple[str, ...]] = {1: _VERSION_1, LEDGER_VERSION: tuple(SCHEMA.names)}
"""The columns that a row's hash covers, by its version: rows keep the hash they were published with."""
_NO_RETURNS = "its step keeps no returns by the hour"
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class TrialCounts(BaseModel):
    """How many evaluations were made: in one day, ever, and ever by kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    today: int = Field(default=0, ge=0)
    ever: int = Field(default=0, ge=0)
    by_kind: dict[str, int] = Field(default_factory=dict)


class BrokenRow(BaseModel):
    """The first row whose stored hash does not follow from its content and the row before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    run_id: str
    position: int
    step: str
    seq: int
    text: str


class TrialLedger:
    """Collects one step's evaluations in the order in which they were made, and writes them as one Parquet file.

    folder: where every batch lies from the moment it is counted until the whole is written, so that a step which fails
    or is killed leaves its rows (settled joins them); without one they are kept in memory alone.
    """

    def __init__(self, day: str, run_id: str, step: str, folder: Path | None = None) -> None:
        self.day = day
        self.run_id = run_id
        self.step = step
        self.folder = folder
        self._rows = 0
        self._batches: list[pa.Table] = []
        self._returns: list[Floats] = []
        self._kept = 0

    def __len__(self) -> int:
        return self._rows

    def extend(self, columns: Mapping[str, Any], returns: Floats | None = None) -> None:
        """Append a batch, one row a value; a scalar stands for every row.

        returns: (rows, B) float64 block returns of these evaluations; they are written beside the ledger, and each row
        points at its own.

        columns: every ledger column but day, run_id, step, seq and ledger_version; those that may be null may be left
        out. params, parents: JSON values or canonical JSON text, parents one list a row. NaN and infinity become null:
        undefined is not a number. Without returns_at and returns_reason, the reason is that the step keeps no returns.
        Raises DataError for an unknown or missing column, unequal lengths, an unknown kind or outcome.
        """
        unknown = sorted(set(columns) - set(_GIVEN))
        missing = [name for name in _GIVEN if name not in columns and name not in _OPTIONAL]
        if unknown or missing:
            raise DataError(f"trial ledger {self.step}: unknown columns {unknown}, missing columns {missing}.")
        rows = _row_count(columns, self.step)
        if returns is not None:
            columns = {**columns, "returns_at": self._keep(returns, rows)}
        filled = {name: _column(columns.get(name), rows) for name in _GIVEN}
        filled["parents"] = [() if value is None else value for value in filled["parents"]]
        for name in ("params", "parents"):
            filled[name] = [value if isinstance(value, str) else canonical_json(value) for value in filled[name]]
        filled["returns_reason"] = [
            _NO_RETURNS if place is None and reason is None else reason
            for place, reason in zip(filled["returns_at"], filled["returns_reason"], strict=True)
        ]
        filled |= {"day": [self.day] * rows, "run_id": [self.run_id] * rows, "step": [self.step] * rows,
                   "seq": list(range(self._rows, self._rows + rows)), "ledger_version": [LEDGER_VERSION] * rows}
        batch = checked(_table(filled, self.step), f"trial ledger {self.step}")
        if self.folder is not None and rows:
            write_part(self.folder / PARTS, len(self._batches), batch, returns)
        self._batches.append(batch)
        self._rows += rows

    def _keep(self, returns: Floats, rows: int) -> list[str]:
        """Keep a batch's returns; where each row of them will lie."""
        if returns.ndim != 2 or len(returns) != rows:
            raise DataError(f"trial ledger {self.step}: returns of shape {returns.shape} for {rows} rows.")
        self._returns.append(returns)
        first, self._kept = self._kept, self._kept + rows
        return [f"{self.step}/{RETURNS_NAME}#{place}" for place in range(first, self._kept)]

    def add(self, **row: Any) -> None:
        """Append one evaluation; the keywords are the columns of extend."""
        self.extend({name: [value] for name, value in row.items()})

    def table(self) -> pa.Table:
        """Every row so far, in order, with SCHEMA."""
        return joined(self._batches)

    def write(self, folder: Path) -> Path:
        """Write the rows to folder/trials.parquet, and the returns that they point at beside it."""
        returns = [returns_list(batch) for batch in self._returns]
        written = _write(folder, self.table(), pa.chunked_array(returns, RETURNS_TYPE))
        drop_parts((self.folder or folder) / PARTS)
        return written


def read_trials(path: Path) -> pa.Table:
    """The rows of a ledger file. Raises DataError when it is missing, corrupt or has other columns."""
    return checked(read_parquet(path), str(path))


def read_returns(folder: Path, returns_at: str) -> Floats:
    """(B,) block returns that a row of a ledger points at. folder: the artefacts of its run.

    Raises DataError when the pointer is ill-formed or nothing lies there.
    """
    name, _, row = returns_at.partition("#")
    table = read_parquet(folder / name)
    if not row.isdigit() or int(row) >= table.num_rows:
        raise DataError(f"{folder / name}: there are no returns at {returns_at!r}; it has {table.num_rows} rows.")
    return np.array(table["returns"][int(row)].as_py(), dtype=np.float64)


def _write(folder: Path, rows: pa.Table, returns: pa.ChunkedArray) -> Path:
    """Write a ledger and the returns that it points at; the rows last, so that no row ever points at nothing."""
    if len(returns):
        write_parquet(folder / RETURNS_NAME, pa.table({"returns": returns.combine_chunks()}), float_encoding=True)
    return write_parquet(folder / FILE_NAME, rows)


def settled(folder: Path) -> Path | None:
    """The ledger in a step's artefacts, made from the batches of a step that never wrote it; None if it counted none.

    Raises DataError when a batch is missing or can not be read.
    """
    path, parts = folder / FILE_NAME, folder / PARTS
    if not path.is_file() and parts.is_dir():
        rows, returns = read_parts(parts)
        if rows is not None:
            if rows["seq"][0].as_py() != 0:
                raise DataError(f"{parts}: its first batch is missing. Restore it from a backup.")
            _write(folder, checked(rows, str(parts)), returns)
    if path.is_file():
        drop_parts(parts)
    return path if path.is_file() else None


def checked(table: pa.Table, where: str) -> pa.Table:
    """The table in ledger form; rows of version 1 are taken as they are, with nulls for what they did not know.

    Raises DataError for other columns, a null, an unknown kind, a wrong order of seq, returns without place or reason.
    """
    if table.schema.names == list(_VERSION_1):
        table = _as_version_1(table)
    if table.schema.names != SCHEMA.names:
        raise DataError(f"{where}: columns are {table.schema.names}, allowed are {SCHEMA.names}.")
    for name in SCHEMA.names:
        if not SCHEMA.field(name).nullable and table[name].null_count:
            raise DataError(f"{where}: {name} is missing in {table[name].null_count} rows; only results may be.")
    try:
        table = table.cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataError(f"{where}: {error}. Types are those of ledger.SCHEMA.") from error
    for name, allowed in (("kind", KINDS), ("outcome", OUTCOMES)):
        unknown = sorted(set(table[name].unique().to_pylist()) - set(allowed))
        if unknown:
            raise DataError(f"{where}: {name} {unknown}, allowed are {', '.join(allowed)}.")
    if table.num_rows and not bool(np.all(np.diff(table["seq"].to_numpy()) == 1)):
        raise DataError(f"{where}: seq does not count up by one; a ledger is append-only, rows are never left out.")
    _require_explained(table, where)
    return table


def _as_version_1(table: pa.Table) -> pa.Table:
    """A table of the first form with the columns of today: its version, and null for the rest."""
    table = table.append_column("ledger_version", pa.array([1] * table.num_rows, pa.int32()))
    for name in _SINCE_VERSION_2[1:]:
        table = table.append_column(name, pa.nulls(table.num_rows, SCHEMA.field(name).type))
    return table


def _require_explained(table: pa.Table, where: str) -> None:
    """Every row of today's form names its parents, and either where its returns are or why they are nowhere."""
    versions = sorted(set(table["ledger_version"].unique().to_pylist()) - set(_DIGESTED))
    if versions:
        raise DataError(f"{where}: ledger_version {versions}, allowed are {', '.join(map(str, _DIGESTED))}.")
    now = table.filter(pc.greater(table["ledger_version"], 1))
    pointed = pc.xor(pc.is_null(now["returns_at"]), pc.is_null(now["returns_reason"]))
    if now["parents"].null_count or not pc.all(pointed, min_count=0).as_py():
        raise DataError(f"{where}: each row needs its parents (an empty list is one), and either returns_at or "
                        "returns_reason.")


def row_digests(table: pa.Table) -> list[bytes]:
    """SHA-256 of every row's canonical text: the values that its version knew, in schema order as JSON."""
    columns = {name: table[name].to_pylist() for name in SCHEMA.names}
    rows = {version: list(zip(*(columns[name] for name in names), strict=True)) for version, names in _DIGESTED.items()}
    unknown = [()] * table.num_rows
    values = (rows.get(version, unknown)[place] for place, version in enumerate(columns["ledger_version"]))
    return [hashlib.sha256(_ENCODE(row).encode()).digest() for row in values]


def links(digests: Iterable[bytes], previous: bytes = GENESIS) -> list[bytes]:
    """The chained hash of every row: the first 16 bytes of SHA-256 over the hash before it and its own digest.

    Sixteen bytes are enough against a second preimage, and the ledger grows by ten thousand rows a day.
    """
    chain: list[bytes] = []
    link = previous
    for digest in digests:
        link = hashlib.sha256(link + digest).digest()[:16]
        chain.append(link)
    return chain


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """The ledgers of a run's steps as one table, in step order."""
    return pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks()


def chained(rows: pa.Table, digests: Sequence[bytes], previous: bytes = GENESIS) -> tuple[pa.Table, bytes]:
    """One run's rows with `position` and `row_hash` appended, and the hash of the last row (previous without rows).

    digests: row_digests(rows).
    """
    hashes = links(digests, previous)
    rows = rows.append_column("position", pa.array(range(rows.num_rows), pa.int32()))
    rows = rows.append_column("row_hash", pa.array(hashes, pa.binary()))
    return rows, hashes[-1] if hashes else previous


def first_broken(rows: pa.Table, previous: bytes = GENESIS) -> BrokenRow | None:
    """The first row of a chained table that was changed, moved or whose predecessor was taken out; None if whole."""
    stored = rows["row_hash"].to_pylist()
    positions = rows["position"].to_pylist()
    for place, expected in enumerate(links(row_digests(rows), previous)):
        if positions[place] == place and stored[place] == expected:
            continue
        row = {name: rows[name][place].as_py() for name in ("run_id", "step", "seq")}
        moved = positions[place] != place
        what = "rows before it are missing" if moved else "its hash does not follow from its content"
        text = f"trial ledger: run {row['run_id']}, row {place} ({row['step']} {row['seq']}): {what}"
        return BrokenRow(position=place, text=text, **row)
    return None


def counts(table: pa.Table, day: str | None = None) -> TrialCounts:
    """Evaluations in a ledger table: of `day`, ever, and by kind; failed and undefined ones count."""
    today = 0 if day is None else sum(found == day for found in table["day"].to_pylist())
    return TrialCounts(
        today=today, ever=table.num_rows, by_kind=dict(sorted(Counter(table["kind"].to_pylist()).items()))
    )


def _row_count(columns: Mapping[str, Any], step: str) -> int:
    lengths = {name: len(values) for name, values in columns.items() if not _is_scalar(values)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"trial ledger {step}: columns have different lengths: {lengths}.")
    return next(iter(lengths.values()), 1)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__")


def _column(values: Any, rows: int) -> list[Any]:
    """Plain Python values; NaN and infinity become None."""
    if _is_scalar(values):
        values = [values] * rows
    values = values.tolist() if hasattr(values, "tolist") else values
    listed = [value.item() if isinstance(value, np.generic) else value for value in values]
    return [None if isinstance(value, float) and not np.isfinite(value) else value for value in listed]


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Typed values; a whole-number column goes through a checked cast, since pa.array cuts 1.5 to 1 in silence."""
    return pa.array(values).cast(kind) if pa.types.is_integer(kind) else pa.array(values, kind)


def _table(columns: Mapping[str, list[Any]], step: str) -> pa.Table:
    try:
        return pa.Table.from_arrays([_array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise DataError(f"trial ledger {step}: {error}. Types are those of ledger.SCHEMA.") from error
