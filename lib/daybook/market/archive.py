"""Candle CSV files as exchanges publish them, plain or alone in a zip.

Binance spot: no header, 12 columns, decimals with 8 places, milliseconds to 2024 and microseconds from 2025.
Binance USD-M: a header line (none in its oldest files), plain decimals, milliseconds. Close times are the last
millisecond or microsecond inside the bar. A person's own CSV may have the first six columns under a header.
"""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from daybook.core.arrays import Ints
from daybook.core.time import MINUTE_MS
from daybook.market.errors import CandleFileError
from daybook.market.rows import CandleRows

CANDLE_COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
ARCHIVE_COLUMNS = (*CANDLE_COLUMNS, "close_time", "quote_volume", "count", "taker_buy_volume",
                   "taker_buy_quote_volume", "ignore")
MAX_CSV_BYTES = 256 * 2**20
"""A month of 1-second bars is 250 MB; anything larger is no candle file."""

CORRUPT_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, UnicodeDecodeError)
"""What a damaged zip raises when it is opened or read, beside OSError: a name in it may be no UTF-8."""

SPOT, USDM = "binance_spot", "binance_usdm"

_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000
_US = 1000
_EIGHT_PLACES = re.compile(rb"[0-9]+\.[0-9]{8}", re.ASCII)
_CONVERSION = re.compile(r"CSV column #(\d+): (?:Row #(\d+): )?.*invalid value '(.*)'", re.DOTALL)


def csv_bytes(path: Path, inside: str | None = None) -> bytes:
    """The CSV text of a candle file, out of its zip where it is one.

    A zip must hold one CSV, named `inside` or by the zip's own base name, of at most MAX_CSV_BYTES, with right
    checksum.
    Raises CandleFileError naming file and cause.
    """
    try:
        if path.suffix == ".zip":
            return _unzipped(path, inside or f"{path.stem}.csv")
        size = path.stat().st_size
        if size > MAX_CSV_BYTES:
            raise CandleFileError(f"{path}: {size:,} bytes, allowed are {MAX_CSV_BYTES:,}. Split the file.")
        return path.read_bytes()
    except CORRUPT_ZIP as error:
        raise CandleFileError(f"{path}: corrupt or unreadable zip ({error}). Download it again.") from error
    except OSError as error:
        raise CandleFileError(f"{path}: can not be read ({error.strerror or error}). Check the file.") from error


def csv_columns(path: Path, text: bytes) -> tuple[tuple[str, ...], bool]:
    """Column names of a candle CSV, and whether its first line is a header. Raises CandleFileError for others."""
    if not text.strip():
        raise CandleFileError(f"{path}: the file is empty. Download it again.")
    cells = text[:65_536].partition(b"\n")[0].removeprefix(b"\xef\xbb\xbf").strip().split(b",")
    if not re.match(rb"\s*\"?[A-Za-z_]", cells[0]):
        if len(cells) != len(ARCHIVE_COLUMNS):
            raise CandleFileError(
                f"{path}: found {len(cells)} columns without a header, allowed are the {len(ARCHIVE_COLUMNS)} of the "
                f"Binance archive ({', '.join(ARCHIVE_COLUMNS)}) or a header line with {', '.join(CANDLE_COLUMNS)}."
            )
        return ARCHIVE_COLUMNS, False
    found = tuple(cell.strip().strip(b'"').decode("utf-8", "replace") for cell in cells)
    if found not in (ARCHIVE_COLUMNS, CANDLE_COLUMNS):
        allowed = ARCHIVE_COLUMNS if "close_time" in found else CANDLE_COLUMNS
        raise CandleFileError(f"{path}: {column_difference(found, allowed)}")
    return found, True


def column_difference(found: tuple[str, ...], allowed: tuple[str, ...] = CANDLE_COLUMNS) -> str:
    """What differs from the allowed columns, for an error message."""
    missing = [name for name in allowed if name not in found]
    extra = [name for name in found if name not in allowed]
    parts = ([f"missing column {', '.join(missing)}"] if missing else []) + (
        [f"unknown column {', '.join(extra)}"] if extra else [])
    return (f"{'; '.join(parts) or 'columns in another order'}. Found {', '.join(found)}; allowed are "
            f"{', '.join(allowed)}. Rename or drop columns, then import again.")


def venue_by_shape(text: bytes, has_header: bool) -> str:
    """binance_spot for headerless prices with 8 decimal places, else binance_usdm."""
    first = text.lstrip().split(b",", 2)
    return SPOT if not has_header and len(first) > 1 and _EIGHT_PLACES.fullmatch(first[1]) else USDM


def parse_csv(path: Path, text: bytes, length_ms: int = MINUTE_MS) -> CandleRows:
    """The rows of a candle CSV, in file order; times in milliseconds or microseconds, row by row.

    A stamp between two milliseconds is rounded up, which leaves it off the minute. Where there is no close time it
    is open time + length_ms. Raises CandleFileError naming file, column, what was found and what is allowed.
    """
    columns, has_header = csv_columns(path, text)
    used = tuple(name for name in columns if name in (*CANDLE_COLUMNS, "close_time"))
    values = csv_numbers(path, text, columns, used, skip_rows=int(has_header))
    if not values["open_time"].size:
        raise CandleFileError(f"{path}: no candle after the header. Download it again.")
    open_time = milliseconds(path, "open_time", values["open_time"])
    if "close_time" in values:
        close_time = milliseconds(path, "close_time", values["close_time"], after=1)
    else:
        close_time = open_time + length_ms
    return CandleRows.of(open_time, (values[name] for name in CANDLE_COLUMNS[1:]), close_time)


def csv_numbers(path: Path, text: bytes, columns: tuple[str, ...], used: tuple[str, ...],
                skip_rows: int = 0) -> dict[str, NDArray[Any]]:
    """(T,) int64 for each used column that is a time, (T,) float64 for the others.

    Raises CandleFileError naming file, column, row and what was found.
    """
    types = {name: pa.int64() if name.endswith("_time") else pa.float64() for name in used}
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text),
            # One thread: only then do errors name the row.
            pa.csv.ReadOptions(use_threads=False, column_names=list(columns), skip_rows=skip_rows),
            convert_options=pa.csv.ConvertOptions(column_types=types, include_columns=list(used), null_values=[]),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise CandleFileError(f"{path}: {_readable(str(error), columns)}") from error
    return {name: np.asarray(table[name].to_numpy()) for name in used}


def milliseconds(path: Path, column: str, stamps: Ints, after: int = 0) -> Ints:
    """(T,) int64 ms: stamps plus `after` units, each stamp told to be milliseconds or microseconds by its range.

    A time between two milliseconds is rounded up. Raises CandleFileError for a stamp outside the years 2000 to 2100.
    """
    micro = (stamps >= _EARLIEST_MS * _US) & (stamps < _LATEST_MS * _US)
    wrong = ~micro & ~((stamps >= _EARLIEST_MS) & (stamps < _LATEST_MS))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise CandleFileError(
            f"{path}: column {column}, row {row + 1}: found {int(stamps[row])}, allowed are milliseconds or "
            "microseconds since 1970-01-01 UTC between the years 2000 and 2100. Convert the column, then import again."
        )
    moved = stamps + after
    return np.where(micro, -(-moved // _US), moved)


def _unzipped(path: Path, expected: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if names != [expected]:
            listed = ", ".join(map(repr, names[:5])) or "nothing"
            raise CandleFileError(f"{path}: holds {listed} ({len(names)} entries), allowed is one file {expected!r}.")
        if members[0].file_size > MAX_CSV_BYTES:
            raise CandleFileError(
                f"{path}: unpacks to {members[0].file_size:,} bytes, allowed are {MAX_CSV_BYTES:,}. "
                "It is no candle file; remove it."
            )
        with archive.open(members[0]) as stream:
            text = stream.read(MAX_CSV_BYTES + 1)
    if len(text) != members[0].file_size:
        raise CandleFileError(f"{path}: unpacks to another size than it declares. Download it again.")
    return text


def _readable(error: str, columns: tuple[str, ...]) -> str:
    match = _CONVERSION.search(error)
    if not match:
        return f"{error.splitlines()[0]}. Allowed are {len(columns)} comma-separated numbers a line. Download it again."
    name = columns[int(match[1])]
    kind = "a whole number" if name.endswith("_time") else "a number"
    row = f", row {match[2]}" if match[2] else ""
    return f"column {name}{row}: found {match[3]!r}, allowed is {kind}. Download the file again."
