"""QuantConnect Lean's zips of 1-minute trade bars, one a UTC day: milliseconds since midnight, open, high, low, close,
volume, without a header.

The day is in the file's name alone, so the name inside the zip must be that day's too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daybook.core.time import DAY_MS, MINUTE_MS, day_start_ms
from daybook.market.archive import CANDLE_COLUMNS, csv_bytes, csv_numbers
from daybook.market.errors import CandleFileError
from daybook.market.lean import LeanTrade
from daybook.market.rows import CandleRows


def lean_bytes(path: Path, name: LeanTrade) -> bytes:
    """The CSV text of a Lean zip. Raises CandleFileError for a corrupt zip, another day inside, or other columns."""
    text = csv_bytes(path, name.inside)
    if not text.strip():
        raise CandleFileError(f"{path}: the file is empty. Download it again.")
    found = text.partition(b"\n")[0].count(b",") + 1
    if found != len(CANDLE_COLUMNS):
        raise CandleFileError(
            f"{path}: found {found} columns, allowed are the {len(CANDLE_COLUMNS)} of Lean's trade bars without a "
            "header: milliseconds since midnight, open, high, low, close, volume."
        )
    return text


def parse_lean(path: Path, name: LeanTrade, text: bytes) -> CandleRows:
    """The rows of a Lean file, in file order. Raises CandleFileError naming column, row and what was found."""
    values = csv_numbers(path, text, CANDLE_COLUMNS, CANDLE_COLUMNS)
    since_midnight = values["open_time"]
    wrong = (since_midnight < 0) | (since_midnight >= DAY_MS)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise CandleFileError(
            f"{path}: column open_time, row {row + 1}: found {int(since_midnight[row])}, allowed are milliseconds "
            f"since midnight, 0 to {DAY_MS - 1}. Download the file again."
        )
    open_time = day_start_ms(name.day) + since_midnight
    return CandleRows.of(open_time, (values[column] for column in CANDLE_COLUMNS[1:]), open_time + MINUTE_MS)
