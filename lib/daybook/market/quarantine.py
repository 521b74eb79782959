"""Rows that are kept but never used: what was wrong with them, and which file brought them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from daybook.core.files import read_parquet, write_parquet
from daybook.core.time import Window
from daybook.market.bars import FIELDS
from daybook.market.rows import CandleRows, joined

_TIMES = ("open_time", "close_time")
Texts = NDArray[np.str_]


@dataclass(frozen=True)
class Quarantined:
    """Refused rows, sorted by open time; reasons and sources: (T,) str, one for each row."""

    rows: CandleRows
    reasons: Texts
    sources: Texts

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Quarantined:
        """The rows at these positions."""
        return Quarantined(self.rows.take(index), self.reasons[index], self.sources[index])

    def within(self, window: Window) -> Quarantined:
        """The rows that open inside the window."""
        times = self.rows.open_time
        return self.take((times >= window.start_ms) & (times < window.end_ms))


def united(parts: Sequence[Quarantined]) -> Quarantined:
    """All parts as one sorted table in which a row that several files brought stands once, under the first name.

    The result does not depend on the order of the parts.
    """
    rows = joined([part.rows for part in parts])
    reasons = np.concatenate([np.empty(0, np.str_), *(part.reasons for part in parts)])
    sources = np.concatenate([np.empty(0, np.str_), *(part.sources for part in parts)])
    # Bits, not values: NaN rows must find their equals.
    keys = [rows.open_time, rows.close_time, *(getattr(rows, field).view(np.int64) for field in FIELDS), reasons]
    order = np.lexsort([sources, *reversed(keys)])
    first = np.zeros(order.size, dtype=np.bool_)
    first[:1] = True
    for key in keys:
        first[1:] |= key[order][1:] != key[order][:-1]
    return Quarantined(rows, reasons, sources).take(order[first])


def read_quarantine(path: Path) -> Quarantined:
    """The quarantined rows of one month file. Raises DataError when it is missing or corrupt."""
    table = read_parquet(path)
    columns = {name: np.asarray(table[name].to_numpy()) for name in table.column_names}
    rows = CandleRows(*(columns[field.name] for field in fields(CandleRows)))
    return Quarantined(rows, columns["reason"].astype(np.str_), columns["source"].astype(np.str_))


def write_quarantine(path: Path, quarantined: Quarantined) -> None:
    """Write one month's quarantined rows; equal rows give equal bytes."""
    rows = quarantined.rows
    columns = {field.name: pa.array(getattr(rows, field.name)) for field in fields(rows)}
    texts = {"reason": pa.array(quarantined.reasons.tolist(), pa.string()),
             "source": pa.array(quarantined.sources.tolist(), pa.string())}
    write_parquet(path, pa.table(columns | texts))
