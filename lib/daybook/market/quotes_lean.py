"""QuantConnect Lean quote zips: `<kind>/<market>/<minute|tick>/<symbol>/YYYYMMDD_quote.zip`.

A minute row holds milliseconds since midnight, then open, high, low, close and size of the bid and of the ask; its
close is the quote at the end of that minute, and is stamped so. A tick row holds milliseconds (with fractions), bid and
ask, sometimes sizes. Days are UTC, except fxcm's, which are UTC-05 all year (Lean's market-hours database).
Source: github.com/QuantConnect/Lean, Data/*/readme.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from daybook.core.arrays import Floats
from daybook.core.time import HOUR_MS, MINUTE_MS, day_start_ms
from daybook.market.lean import HOURS_BEHIND_UTC, lean_venue
from daybook.market.quotes import QuoteFileError, Quotes, RawQuotes, clean_quotes
from daybook.market.quotes_files import file_bytes

_NAME = re.compile(r"(\d{4})(\d{2})(\d{2})_quote\.zip", re.ASCII)
_KINDS = ("crypto", "cryptofuture", "cfd", "forex")
_RESOLUTIONS = ("minute", "tick")
_MINUTE_COLUMNS: dict[int, tuple[int, ...]] = {11: (4, 9, 5, 10)}
_TICK_COLUMNS: dict[int, tuple[int, ...]] = {3: (1, 2), 5: (1, 3, 2, 4)}
"""Places of bid, ask, bid size and ask size by the number of columns."""


def is_lean(path: Path) -> bool:
    """Whether a path is named as Lean names quote files."""
    return len(path.parts) >= 5 and bool(_NAME.fullmatch(path.name)) and path.parts[-3] in _RESOLUTIONS \
        and path.parts[-5] in _KINDS


def read_lean(path: Path) -> Quotes:
    """The quotes of one Lean file. Raises QuoteFileError for another name, form or number of columns."""
    if not is_lean(path):
        raise QuoteFileError(f"{path}: not named as Lean names quotes; allowed is KIND/MARKET/minute|tick/SYMBOL/"
                             f"YYYYMMDD_quote.zip with KIND one of {', '.join(_KINDS)}.")
    kind, market, resolution, symbol = path.parts[-5:-1]
    table = _table(path)
    allowed = _MINUTE_COLUMNS if resolution == "minute" else _TICK_COLUMNS
    if table.shape[1] not in allowed:
        raise QuoteFileError(f"{path}: found {table.shape[1]} columns; {resolution} quotes have "
                             f"{' or '.join(map(str, allowed))}. Download the file again.")
    times = _midnight(path, market) + table[:, 0] + (MINUTE_MS if resolution == "minute" else 0)
    bid, ask, *sizes = (table[:, place] for place in allowed[table.shape[1]])
    return clean_quotes(lean_venue(kind, market, symbol), symbol.upper(), path, RawQuotes(times, bid, ask, *sizes))


def without_coarser(files: Iterable[Path]) -> list[Path]:
    """The files, less the minute files of markets and days whose ticks are among them: those are the same quotes."""
    listed = list(files)
    ticks = {_market_day(path) for path in listed if is_lean(path) and path.parts[-3] == "tick"}
    return [path for path in listed
            if not (is_lean(path) and path.parts[-3] == "minute" and _market_day(path) in ticks)]


def _market_day(path: Path) -> tuple[str, ...]:
    return (*path.parts[-5:-3], *path.parts[-2:])


def _midnight(path: Path, market: str) -> int:
    """The moment in ms UTC at which the file's day begins."""
    match = _NAME.fullmatch(path.name)
    year, month, day = (int(part) for part in match.groups()) if match else (0, 0, 0)
    try:
        return day_start_ms(date(year, month, day)) + HOURS_BEHIND_UTC.get(market, 0) * HOUR_MS
    except ValueError:
        raise QuoteFileError(f"{path}: its name is no calendar day. Name it YYYYMMDD_quote.zip.") from None


def _table(path: Path) -> Floats:
    """The CSV as a (rows, columns) float64 array; an empty cell is NaN."""
    text = file_bytes(path)
    if not text.strip():
        raise QuoteFileError(f"{path}: the file is empty. Download it again.")
    width = text.partition(b"\n")[0].count(b",") + 1
    names = [f"c{place}" for place in range(width)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text), read_options=pyarrow.csv.ReadOptions(column_names=names),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64())),
        )
    except pa.ArrowInvalid as error:
        raise QuoteFileError(f"{path}: not a table of numbers ({error}). Download it again.") from None
    return np.column_stack([table.column(name).to_numpy(zero_copy_only=False) for name in names])
