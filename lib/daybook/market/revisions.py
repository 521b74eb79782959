"""Bars that an exchange gave again with other values: both values are kept, and from when on the later one was known.

Only a download revises: what a person imports from files is history, in which the stored bar wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa

from daybook.core.arrays import Bools, Ints
from daybook.core.errors import DataError
from daybook.core.files import read_parquet, write_parquet
from daybook.core.time import Window
from daybook.market.rows import CandleRows, joined, same_values

_FIELDS = tuple(field.name for field in fields(CandleRows))
_COLUMNS = pa.schema([
    ("open_time", pa.int64()),
    *((f"{side}_{name}", pa.int64() if name == "close_time" else pa.float64())
      for side in ("old", "new") for name in _FIELDS if name != "open_time"),
    ("known_at", pa.int64()),
])


@dataclass(frozen=True)
class Revisions:
    """Bars before and after, by open time and in the order in which they came to be known.

    old, new: (N,) rows of equal open times. known_at: (N,) int64 ms UTC at which the new values were downloaded.
    """

    old: CandleRows
    new: CandleRows
    known_at: Ints

    def __len__(self) -> int:
        return int(self.known_at.size)

    def take(self, index: Ints | Bools) -> Revisions:
        """The revisions at these positions."""
        return Revisions(self.old.take(index), self.new.take(index), self.known_at[index])

    def within(self, window: Window) -> Revisions:
        """The revisions of bars that open inside the window."""
        return self.take((self.old.open_time >= window.start_ms) & (self.old.open_time < window.end_ms))


def united_revisions(parts: Sequence[Revisions]) -> Revisions:
    """All parts, sorted by open time; of one bar the earlier part's revisions come first."""
    times = np.concatenate([np.empty(0, np.int64), *(part.known_at for part in parts)])
    every = Revisions(joined([part.old for part in parts]), joined([part.new for part in parts]), times)
    return every.take(np.argsort(every.old.open_time, kind="stable"))


def found_revisions(stored: CandleRows, arriving: CandleRows, conflicting: Ints,
                    known_at: int) -> tuple[Revisions, Ints]:
    """The revisions among conflicting arriving rows, and the positions in `arriving` that they account for.

    stored: sorted. conflicting: positions of arriving rows that differ from an earlier row of their open time. Of
    several arriving versions of one bar the first is the revision; others that differ from it stay conflicts.
    """
    times = arriving.open_time[conflicting]
    places = np.searchsorted(stored.open_time, times)
    known = places < len(stored)
    known[known] = stored.open_time[places[known]] == times[known]
    candidates, places = conflicting[known], places[known]
    _, first, group = np.unique(arriving.open_time[candidates], return_index=True, return_inverse=True)
    new = arriving.take(candidates[first])
    agreeing = candidates[same_values(arriving.take(candidates), new.take(group))]
    found = Revisions(stored.take(places[first]), new, np.full(first.size, known_at, dtype=np.int64))
    return found, agreeing


def with_values(rows: CandleRows, others: CandleRows) -> CandleRows:
    """`rows`, sorted by open time, with the values of `others` where these have the same open time."""
    places = np.searchsorted(rows.open_time, others.open_time)
    known = places < len(rows)
    known[known] = rows.open_time[places[known]] == others.open_time[known]
    columns = []
    for name in _FIELDS:
        column = getattr(rows, name).copy()
        column[places[known]] = getattr(others, name)[known]
        columns.append(column)
    return CandleRows(*columns)


def as_known(rows: CandleRows, revisions: Revisions, known_before: int) -> CandleRows:
    """The rows with the values that were known at `known_before` (ms UTC): later revisions are undone."""
    late = revisions.take(revisions.known_at > known_before)
    if not len(late):
        return rows
    first = np.ones(len(late), dtype=np.bool_)
    first[1:] = late.old.open_time[1:] != late.old.open_time[:-1]
    return with_values(rows, late.old.take(first))


def known_since(open_time: Ints, revisions: Revisions) -> tuple[Ints, Bools]:
    """When each bar's value came to be known, and whether it was revised at all; (T,) int64 ms UTC and (T,) bool."""
    times = np.zeros(open_time.size, dtype=np.int64)
    revised = np.isin(open_time, revisions.old.open_time)
    last = np.searchsorted(revisions.old.open_time, open_time[revised], side="right") - 1
    times[revised] = revisions.known_at[last]
    return times, revised


def read_revisions(path: Path) -> Revisions:
    """The revisions of one month file. Raises DataError when it is corrupt or of another shape."""
    table = read_parquet(path)
    if table.schema.remove_metadata() != _COLUMNS:
        raise DataError(f"{path}: not a file of revised candles (columns {', '.join(table.column_names)}). Restore it.")
    columns = {name: np.asarray(table[name].to_numpy()) for name in table.column_names}
    sides = [CandleRows(columns["open_time"], *(columns[f"{side}_{name}"] for name in _FIELDS[1:]))
             for side in ("old", "new")]
    return Revisions(sides[0], sides[1], columns["known_at"])


def write_revisions(path: Path, revisions: Revisions) -> None:
    """Write one month's revisions; equal ones give equal bytes."""
    columns = [revisions.old.open_time]
    columns += [getattr(side, name) for side in (revisions.old, revisions.new) for name in _FIELDS[1:]]
    write_parquet(path, pa.table([pa.array(column) for column in (*columns, revisions.known_at)], schema=_COLUMNS))
