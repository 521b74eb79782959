"""Quotes in Parquet: one row a quote with `bid`, `ask` and a `timestamp` or `time_ms`, sizes where they are known.

`timestamp` is an Arrow timestamp of any unit in UTC, `time_ms` a number of milliseconds. The market is read from a
column `symbol` (`BTC/USDT` and `BTCUSDT` alike) or from the file's name, the venue from the folder.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.core.arrays import Floats
from daybook.core.errors import DataError
from daybook.core.files import read_parquet
from daybook.market.quotes import EARLIEST_MS, LATEST_MS, QuoteFileError, Quotes, RawQuotes, clean_quotes

_NAME = re.compile(r"([A-Za-z0-9]{4,24})[-_]quotes.*\.parquet", re.ASCII)
_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{2,24}", re.ASCII)


def is_quote_parquet(path: Path) -> bool:
    """Whether a path is named SYMBOL-quotes*.parquet."""
    return bool(_NAME.fullmatch(path.name))


def read_quote_parquet(path: Path) -> Quotes:
    """The quotes of one Parquet file. Raises QuoteFileError for missing columns, several markets, an odd name or a
    time in another unit."""
    try:
        table = read_parquet(path)
    except DataError as error:
        raise QuoteFileError(str(error)) from None
    missing = [name for name in ("bid", "ask") if name not in table.column_names]
    if missing or not {"timestamp", "time_ms"} & set(table.column_names):
        raise QuoteFileError(f"{path}: found the columns {', '.join(table.column_names)}; needed are bid, ask and "
                             "timestamp or time_ms.")
    venue, symbol = path.parent.name.lower(), _symbol(path, table)
    if not _VENUE.fullmatch(venue) or not _SYMBOL.fullmatch(symbol):
        raise QuoteFileError(f"{path}: venue {venue!r} (its folder) or symbol {symbol!r} is no name. Use letters and "
                             "digits, for example binance_spot/BTCUSDT-quotes.parquet.")
    try:
        sizes = [_floats(table, name) if name in table.column_names else None for name in ("bid_size", "ask_size")]
        raw = RawQuotes(_times(table), _floats(table, "bid"), _floats(table, "ask"), *sizes)
    except pa.ArrowException as error:
        raise QuoteFileError(f"{path}: a column does not hold what its name says ({error}). Write times as timestamps "
                             "or milliseconds and the others as numbers.") from None
    if "time_ms" in table.column_names:
        _require_milliseconds(path, raw.time_ms)
    return clean_quotes(venue, symbol, path, raw)


def _require_milliseconds(path: Path, times: Floats) -> None:
    wrong = np.flatnonzero(np.isfinite(times) & ~((times >= EARLIEST_MS) & (times < LATEST_MS)))
    if wrong.size:
        raise QuoteFileError(f"{path}: row {wrong[0]} holds the time {times[wrong[0]]:.0f}, allowed are milliseconds "
                             "since 1970-01-01 UTC between the years 2000 and 2100. Convert the column, then read it "
                             "again.")


def _symbol(path: Path, table: pa.Table) -> str:
    if "symbol" not in table.column_names:
        match = _NAME.fullmatch(path.name)
        return match[1].upper() if match else path.stem.upper()
    found = [str(name) for name in pc.unique(table.column("symbol")).to_pylist()]
    if len(found) != 1:
        raise QuoteFileError(f"{path}: holds {len(found)} symbols, allowed is one. Split the file.")
    return re.sub(r"[/_-]", "", found[0]).upper()


def _times(table: pa.Table) -> Floats:
    if "time_ms" in table.column_names:
        return _floats(table, "time_ms")
    stamps = table.column("timestamp")
    ticks = pc.cast(pc.cast(stamps, pa.timestamp("ns", tz="UTC")), pa.int64())
    times: Floats = np.asarray(ticks.to_numpy(zero_copy_only=False) / 1e6, dtype=np.float64)
    return times


def _floats(table: pa.Table, name: str) -> Floats:
    values: Floats = np.asarray(pc.cast(table.column(name), pa.float64()).to_numpy(zero_copy_only=False))
    return values
