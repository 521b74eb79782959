"""Features on disk, a file a market and UTC day, found again by what they were computed from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np

from daybook.core.arrays import Floats32
from daybook.core.errors import DataError
from daybook.core.hashing import code_hash, hash_arrays, hash_json
from daybook.core.time import DAY_MS, Window, day_of, timeframe_ms
from daybook.features.feature import Feature
from daybook.features.partitions import read_partition, write_partition
from daybook.features.series import require_tradable
from daybook.features.table import (
    FeatureTable,
    beside,
    catalog,
    fill,
    market_names,
    resolve,
    resolve_market,
)
from daybook.features.weeks import Week, weeks
from daybook.market.bars import FIELDS, Bars

_LOG = logging.getLogger(__name__)
_HASH_SHOWN = 12


@dataclass(frozen=True)
class Partition:
    """One UTC day of a table: its bars are at [start, stop); `data` is the hash of all bars its values may use."""

    day: date
    start: int
    stop: int
    data: str
    ended: bool


@dataclass(frozen=True)
class FeatureStore:
    """Feature tables below one folder, a day a file, addressed by content: data hash, code hash of this part, names.

    Layout: `v=<code>/venue=<V>/symbol=<S>/timeframe=<T>/day=<YYYY-MM-DD>/<names>-<data>.parquet`, hive style, so that
    DuckDB reads all of it at once. A day is kept once it has ended and the warm-up of its week is whole, so that
    nothing in the store depends on where somebody's bars began; corrected bars replace the day's file. Adding a day
    computes the warm-up and the week up to that day, never what came before.
    """

    root: Path

    def table(self, bars: Bars, names: Iterable[str] | None = None, *, window: Window | None = None) -> FeatureTable:
        """What `compute` returns for these bars, to the last bit; days that are stored already are read.

        window: return only the bars that open inside it; earlier bars serve as warm-up. A file that is damaged is
        reported in the log, computed again and replaced.
        Raises what `compute` raises, and StorageError when the folder can not be written.
        """
        return self._table(bars, (), resolve_market(bars, names), window)

    def panel(
        self, bars_by_symbol: Mapping[str, Bars], names: Iterable[str] | None = None, *, window: Window | None = None
    ) -> dict[str, FeatureTable]:
        """What `compute_panel` returns for these bars, to the last bit; otherwise as `table`."""
        chosen = resolve(names)
        markets = beside(bars_by_symbol).items()
        return {symbol: self._table(bars, others, chosen, window) for symbol, (bars, others) in markets}

    def path(
        self, bars: Bars, day: date, names: Iterable[str] | None = None, others: Iterable[Bars] = ()
    ) -> Path | None:
        """Where the features of a day lie, whether or not they exist yet; None for a day that can not be kept.

        bars, names, others: as given to `table`, or by `panel` to this market.
        """
        peers = tuple(others)
        chosen = resolve(names) if peers else resolve_market(bars, names)
        found = (part for week in weeks(bars.open_time) if week.whole for part in _days(bars, peers, week))
        part = next((part for part in found if part.day == day and part.ended), None)
        return None if part is None else self._file(bars, part, tuple(feature.name for feature in chosen))

    def discard_before(self, day: date) -> int:
        """Delete the files of every code version for days before this UTC day; how many were deleted."""
        folders = [path for path in self.root.glob("v=*/**/day=*") if _day_named(path) < day]
        files = [file for folder in folders for file in folder.glob("*.parquet")]
        for file in files:
            file.unlink(missing_ok=True)
        for folder in folders:
            while folder != self.root and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent
        return len(files)

    def _table(
        self, bars: Bars, others: tuple[Bars, ...], chosen: tuple[Feature, ...], window: Window | None
    ) -> FeatureTable:
        for market in (bars, *others):
            require_tradable(market)
        span = (window.start_ms, window.end_ms) if window else (0, np.iinfo(np.int64).max)
        first, last = np.searchsorted(bars.open_time, span).tolist()
        columns: Floats32 = np.empty((len(chosen), len(bars)), dtype=np.float32)
        for week in weeks(bars.open_time):
            if week.stop > first and week.start < last and chosen:
                self._week(columns, bars, others, chosen, week)
        names = tuple(feature.name for feature in chosen)
        return FeatureTable(names, bars.open_time[first:last], columns[:, first:last].T)

    def _week(
        self, columns: Floats32, bars: Bars, others: tuple[Bars, ...], chosen: tuple[Feature, ...], week: Week
    ) -> None:
        """Read the week's stored days into the columns; compute it up to the last missing one and store those."""
        days = list(_days(bars, others, week)) if week.whole else []
        missing = [part for part in days if not self._load(columns, bars, part, chosen, bool(others))]
        if days and not missing:
            return
        stop = missing[-1].stop if missing else week.stop
        fill(columns[:, week.start : stop], bars.rows(week.warm, stop), others, chosen)
        names = tuple(feature.name for feature in chosen)
        for part in missing:
            if part.ended:
                rows = slice(part.start, part.stop)
                self._save(bars, part, FeatureTable(names, bars.open_time[rows], columns[:, rows].T))

    def _load(
        self, columns: Floats32, bars: Bars, part: Partition, chosen: tuple[Feature, ...], with_others: bool
    ) -> bool:
        wanted = tuple(feature.name for feature in chosen)
        everything = tuple(catalog()) if with_others else market_names()
        for stored in dict.fromkeys((wanted, everything)):
            path = self._file(bars, part, stored)
            if not path.is_file():
                continue
            try:
                read_partition(path, _key(part, stored), columns[:, part.start : part.stop], wanted)
            except DataError as error:
                _LOG.warning("features of a day are computed again: %s", error)
                continue
            return True
        return False

    def _save(self, bars: Bars, part: Partition, table: FeatureTable) -> None:
        path = self._file(bars, part, table.names)
        write_partition(path, table, _key(part, table.names))
        for outdated in path.parent.glob(f"{path.name.split('-')[0]}-*.parquet"):
            if outdated.name != path.name:
                outdated.unlink(missing_ok=True)

    def _file(self, bars: Bars, part: Partition, names: tuple[str, ...]) -> Path:
        market = (f"venue={quote(bars.venue, safe='')}", f"symbol={quote(bars.symbol, safe='')}")
        folder = self.root.joinpath(f"v={code_hash('features')[:_HASH_SHOWN]}", *market, f"timeframe={bars.timeframe}",
                                    f"day={part.day}")
        return folder / f"{hash_json(names)[:_HASH_SHOWN]}-{part.data[:_HASH_SHOWN]}.parquet"


def _days(bars: Bars, others: tuple[Bars, ...], week: Week) -> Iterator[Partition]:
    """The UTC days of a week, each with the hash of the bars up to its end, warm-up and other markets included."""
    time = bars.open_time
    day = time[week.start : week.stop] // DAY_MS
    starts = [week.start, *(np.flatnonzero(np.diff(day)) + week.start + 1).tolist(), week.stop]
    markets = [f"{market.venue}/{market.symbol}/{market.timeframe}" for market in (bars, *others)]
    used = hash_json([markets, [_rows_hash(market, int(time[week.warm]), int(time[week.start]))
                                for market in (bars, *others)]])
    for start, stop in pairwise(starts):
        end = int(time[start] // DAY_MS + 1) * DAY_MS
        used = hash_json([used, [_rows_hash(market, int(time[start]), end) for market in (bars, *others)]])
        ended = stop < len(bars) or int(time[-1]) + timeframe_ms(bars.timeframe) >= end
        yield Partition(day_of(int(time[start])), start, stop, used, ended)


def _rows_hash(bars: Bars, start_ms: int, end_ms: int) -> str:
    part = bars.rows(*np.searchsorted(bars.open_time, [start_ms, end_ms]).tolist())
    return hash_arrays([part.open_time, *(getattr(part, field) for field in FIELDS)])


def _key(part: Partition, names: tuple[str, ...]) -> str:
    return hash_json({"code": code_hash("features"), "data": part.data, "names": list(names)})


def _day_named(folder: Path) -> date:
    return date.fromisoformat(folder.name.removeprefix("day="))
