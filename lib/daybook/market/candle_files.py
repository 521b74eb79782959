"""Candle files of any kind: what one is, by name and shape, and the rows in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daybook.core.arrays import Ints
from daybook.core.time import MINUTE_MS
from daybook.market.archive import (
    CANDLE_COLUMNS,
    column_difference,
    csv_bytes,
    csv_columns,
    milliseconds,
    parse_csv,
    venue_by_shape,
)
from daybook.market.errors import CandleFileError
from daybook.market.lean import lean_trade
from daybook.market.lean_candles import lean_bytes, parse_lean
from daybook.market.names import UNKNOWN_VENUE, FileName, interval_ms, interval_name, parse_file_name
from daybook.market.rows import CandleRows, distinct

MAX_ROWS = 2**25
"""A year of 1-second bars, 60 years of 1-minute bars. A Parquet file of some kilobytes can unpack to any number."""
_MIN_ROWS_FOR_SPACING = 20
# Damaged metadata also shows as unsupported types and broken UTF-8, which are no ArrowInvalid.
_UNREADABLE = (pa.ArrowException, OSError, ValueError)
NAMES_ALLOWED = ("allowed are SYMBOL-1m-DATE.zip or .csv (Binance archive), SYMBOL_FROM_TO.parquet below a folder "
                 "named 1m, SYMBOL_1m_FROM_TO.parquet, and crypto/MARKET/minute/SYMBOL/YYYYMMDD_trade.zip (Lean; also "
                 "cryptofuture, where the symbol ends in USDT)")


@dataclass(frozen=True)
class CandleFile:
    """The content of one candle file: its venue, symbol, bar length in ms, and rows in file order."""

    venue: str
    symbol: str
    length_ms: int
    rows: CandleRows


def candle_file_name(path: Path) -> FileName:
    """Symbol, interval and venue by name. Raises CandleFileError when it is no candle file's name."""
    name = parse_file_name(path)
    if name is None:
        raise CandleFileError(f"{path}: not the name of a candle file; {NAMES_ALLOWED}. Rename it, then import again.")
    return name


def probe(path: Path) -> None:
    """Check without reading the candles that a file is whole and has the right columns. Raises CandleFileError."""
    if path.suffix == ".parquet":
        _parquet(path)
    elif lean := lean_trade(path):
        lean_bytes(path, lean)
    else:
        csv_columns(path, csv_bytes(path))


def read_candle_file(path: Path, venue: str | None = None) -> CandleFile:
    """The rows of a Parquet, CSV, Binance or Lean zip candle file.

    The venue is the one given, else the folder's (Parquet, Lean and six-column CSV) or the one whose archive has this
    shape, else `files`. The bar length is the name's or folder's, else the commonest distance between bars.
    Raises CandleFileError naming file, cause, what was found and what is allowed.
    """
    name = candle_file_name(path)
    shaped: str | None = None
    declared_ms = interval_ms(name.interval) if name.interval else None
    if path.suffix == ".parquet":
        rows = _parquet_rows(path, declared_ms or MINUTE_MS)
    elif lean := lean_trade(path):
        rows = parse_lean(path, lean, lean_bytes(path, lean))
    else:
        text = csv_bytes(path)
        columns, has_header = csv_columns(path, text)
        shaped = None if columns == CANDLE_COLUMNS else venue_by_shape(text, has_header)
        rows = parse_csv(path, text, declared_ms or MINUTE_MS)
    if not len(rows):
        raise CandleFileError(f"{path}: no candle inside. Download it again.")
    length_ms = _length_ms(path, name, declared_ms, rows.open_time)
    if length_ms != (declared_ms or MINUTE_MS):
        rows = replace(rows, close_time=rows.open_time + length_ms)
    return CandleFile(venue or shaped or name.venue or UNKNOWN_VENUE, name.symbol, length_ms, rows)


def _length_ms(path: Path, name: FileName, declared_ms: int | None, open_time: Ints) -> int:
    if name.interval and declared_ms is None:
        raise CandleFileError(
            f"{path}: bars of {name.interval} have no fixed length, allowed are s, m, h and d. Choose another file."
        )
    steps = np.diff(distinct(open_time))
    if declared_ms is not None:
        spacing = int(np.gcd.reduce(steps)) if len(steps) >= _MIN_ROWS_FOR_SPACING else declared_ms
        if spacing > declared_ms and spacing % declared_ms == 0:
            raise CandleFileError(
                f"{path}: name or folder says {name.interval}, but every two bars are a multiple of "
                f"{interval_name(spacing)} apart. Name the file for what it holds."
            )
        return declared_ms
    if not len(steps):
        raise CandleFileError(
            f"{path}: neither name nor folder says the interval, nor can one bar; {NAMES_ALLOWED}. Rename it."
        )
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    except _UNREADABLE as error:
        raise CandleFileError(f"{path}: not a readable Parquet file ({error}). Download or export it again.") from error
    if sorted(schema.names) != sorted(CANDLE_COLUMNS):
        raise CandleFileError(f"{path}: {column_difference(tuple(schema.names))}")
    if file.metadata.num_rows > MAX_ROWS:
        rows = file.metadata.num_rows
        raise CandleFileError(f"{path}: holds {rows:,} rows, allowed are {MAX_ROWS:,}. Split the file.")
    for column in CANDLE_COLUMNS:
        kind = schema.field(column).type
        allowed = pa.types.is_integer(kind) or (column != "open_time" and pa.types.is_floating(kind))
        if not allowed:
            numbers = "int64 milliseconds since 1970-01-01 UTC" if column == "open_time" else "a number (float64)"
            raise CandleFileError(f"{path}: column {column}: found {kind}, allowed is {numbers}. Convert the column.")
    return file


def _parquet_rows(path: Path, length_ms: int) -> CandleRows:
    try:
        table = _parquet(path).read(columns=list(CANDLE_COLUMNS))
    except _UNREADABLE as error:
        raise CandleFileError(f"{path}: not a readable Parquet file ({error}). Download or export it again.") from error
    if table["open_time"].null_count:
        raise CandleFileError(
            f"{path}: column open_time: found {table['open_time'].null_count} empty values, allowed is none."
        )
    try:
        stamps = table["open_time"].cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise CandleFileError(f"{path}: column open_time: {error}; allowed are whole milliseconds UTC.") from error
    open_time = milliseconds(path, "open_time", stamps)
    # An empty price becomes NaN, which is quarantined with its reason.
    values = (table[column].cast(pa.float64()).to_numpy() for column in CANDLE_COLUMNS[1:])
    return CandleRows.of(open_time, values, open_time + length_ms)
