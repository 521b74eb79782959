"""The candle store: one Parquet file a market and month, and beside it the rows that were refused.

    <root>/venue=binance_spot/symbol=BTCUSDT/month=2023-03/bars.parquet
    <root>/_quarantine/venue=.../symbol=.../month=.../rows.parquet
    <root>/_revisions/venue=.../symbol=.../month=.../rows.parquet   (bars that came again with other values)

Only 1-minute bars are stored; every longer bar is aggregated from them. Files are whole or absent, one process at a
time writes a market, and readers need no lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from daybook.core.arrays import Ints
from daybook.core.errors import DataError, LockedError, StorageError
from daybook.core.time import MINUTE_MS, Window
from daybook.market.bars import Bars
from daybook.market.merge import CONFLICTING, DUPLICATE, NEW, REVISED, Merged, merge
from daybook.market.month_file import read_month, read_open_times, write_month
from daybook.market.names import require_symbol, require_venue
from daybook.market.quarantine import Quarantined, read_quarantine, united, write_quarantine
from daybook.market.revisions import (
    Revisions,
    as_known,
    found_revisions,
    known_since,
    read_revisions,
    united_revisions,
    with_values,
    write_revisions,
)
from daybook.market.rows import CandleRows, distinct, joined, month_name, month_of, normalised, rows_of
from daybook.market.validity import CONFLICT, OK, REASONS, Codes, defects

LOCK_TIMEOUT_S = 600.0
_LATEST_MS = 4_102_444_800_000
"""2100-01-01: later open times are another unit, not a time."""


@dataclass(frozen=True)
class SourceRows:
    """Rows and the name of the file that brought them."""

    source: str
    rows: CandleRows


@dataclass(frozen=True)
class WriteCounts:
    """What became of one source's rows: new + duplicates + conflicts + quarantined + revised = rows."""

    rows: int
    new: int
    duplicates: int
    conflicts: int
    quarantined: int
    revised: int = 0


@dataclass(frozen=True)
class StoredMarket:
    """One market of the store: first and last open time in ms UTC, holes in between and the minutes they miss."""

    venue: str
    symbol: str
    first_ms: int
    last_ms: int
    rows: int
    gaps: int
    missing: int


class CandleStore:
    """1-minute bars below `root`, by venue, symbol and month."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def write(self, venue: str, symbol: str, parts: Sequence[SourceRows], *,
              known_at: int | None = None) -> list[WriteCounts]:
        """Merge rows into the store and quarantine those that are no usable bars; returns one count for each part.

        A usable row whose open time is stored with other values is quarantined as a conflict; where known_at (ms UTC)
        says when an exchange gave it, it is a revision: it takes the stored one's place, and both are kept. Writing
        the same rows again changes no byte. Raises DataError for an open time that is no time, LockedError when
        another process holds this market for ten minutes, StorageError when the folder can not be written.
        """
        rows = normalised(joined([part.rows for part in parts]))
        _require_times(f"{venue} {symbol}", rows.open_time)
        origin = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
        sources = np.array([part.source for part in parts], dtype=np.str_)
        codes = defects(rows, MINUTE_MS)
        with self.locked(f"{require_venue(venue)}.{require_symbol(symbol)}"):
            self._sweep(venue, symbol)
            merged, status = self._merge(venue, symbol, rows, codes, known_at)
            codes[status == CONFLICTING] = CONFLICT
            refused = np.flatnonzero(codes != OK)
            reasons = np.array(REASONS, dtype=np.str_)[codes[refused]]
            self._quarantine(venue, symbol, Quarantined(rows.take(refused), reasons, sources[origin[refused]]))
            for path, result in merged.items():
                if result.changed:
                    self._write_month(path, result.rows)
        return [_counts(codes[origin == number], status[origin == number]) for number in range(len(parts))]

    def write_bars(self, bars: Bars) -> WriteCounts:
        """Merge a 1-minute bar table. Raises DataError for bars of another timeframe."""
        if bars.timeframe != "1m":
            raise DataError(f"{bars.name}: the store keeps 1m bars only; longer ones are aggregated from them.")
        return self.write(bars.venue, bars.symbol, [SourceRows("bars", rows_of(bars, MINUTE_MS))])[0]

    def read(self, venue: str, symbol: str, window: Window | None = None, *, known_before: int | None = None) -> Bars:
        """The 1-minute bars that open inside the window, possibly none; only the months it touches are read.

        known_before: ms UTC; revisions that came to be known after it are undone. None: the newest values.
        """
        return self.rows(venue, symbol, window, known_before=known_before).bars(venue, symbol, "1m")

    def rows(self, venue: str, symbol: str, window: Window | None = None, *,
             known_before: int | None = None) -> CandleRows:
        """The same with each bar's own close time."""
        parts = [read_month(path) for path in self._months(self._folder(venue, symbol), "bars.parquet", window)]
        rows = joined(parts)
        if known_before is not None:
            rows = as_known(rows, self.revisions(venue, symbol, window), known_before)
        if window is None:
            return rows
        start, stop = np.searchsorted(rows.open_time, [window.start_ms, window.end_ms])
        return rows.take(slice(int(start), int(stop)))

    def open_times(self, venue: str, symbol: str, window: Window) -> Ints:
        """(T,) int64 ms UTC: open times of the stored bars inside the window; prices are not read."""
        paths = self._months(self._folder(venue, symbol), "bars.parquet", window)
        times = np.concatenate([np.empty(0, np.int64), *(read_open_times(path) for path in paths)])
        return times[slice(*np.searchsorted(times, [window.start_ms, window.end_ms]))]

    def quarantined(self, venue: str, symbol: str, window: Window | None = None) -> Quarantined:
        """The refused rows that open inside the window, sorted."""
        folder = self._folder(venue, symbol, "_quarantine")
        found = united([read_quarantine(path) for path in self._months(folder, "rows.parquet", window)])
        return found if window is None else found.within(window)

    def revisions(self, venue: str, symbol: str, window: Window | None = None) -> Revisions:
        """The revisions of bars that open inside the window, by open time."""
        folder = self._folder(venue, symbol, "_revisions")
        found = united_revisions([read_revisions(path) for path in self._months(folder, "rows.parquet", window)])
        return found if window is None else found.within(window)

    def revised_markets(self) -> tuple[tuple[str, str], ...]:
        """Venue and symbol of every market that has revisions, sorted."""
        files = self.root.glob("_revisions/venue=*/symbol=*/month=*/rows.parquet")
        return tuple(sorted({(path.parents[2].name.removeprefix("venue="), path.parents[1].name.removeprefix("symbol="))
                             for path in files}))

    def markets(self) -> tuple[StoredMarket, ...]:
        """Every market of the store with its extent and its gaps, by venue and symbol; reads open times only."""
        return tuple(
            self.market(folder.parent.name.removeprefix("venue="), folder.name.removeprefix("symbol="))
            for folder in sorted(self.root.glob("venue=*/symbol=*"))
            if any(folder.glob("month=*/bars.parquet"))
        )

    def market(self, venue: str, symbol: str) -> StoredMarket:
        """Extent and gaps of one stored market. Raises DataError when the store does not have it."""
        paths = self._months(self._folder(venue, symbol), "bars.parquet", None)
        if not paths:
            raise DataError(f"{symbol} on {venue}: not in the candle store {self.root}. Import its candles first.")
        times = np.concatenate([read_open_times(path) for path in paths])
        steps = np.diff(times) // MINUTE_MS
        return StoredMarket(venue, symbol, int(times[0]), int(times[-1]), int(times.size),
                            int(np.count_nonzero(steps > 1)), int((steps - 1).sum()))

    def symbols(self, venue: str) -> tuple[str, ...]:
        """The symbols stored for a venue, sorted."""
        folder = self.root / f"venue={require_venue(venue)}"
        months = folder.glob("symbol=*/month=*/bars.parquet")
        return tuple(sorted({path.parents[1].name.removeprefix("symbol=") for path in months}))

    def has_months(self, venue: str, symbol: str, months: Sequence[str]) -> bool:
        """Whether bars or quarantined rows of every one of these months are stored."""
        folders = (self._folder(venue, symbol), self._folder(venue, symbol, "_quarantine"))
        return all(any((folder / f"month={month}").is_dir() for folder in folders) for month in months)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the named lock of this store. Raises LockedError after ten minutes, StorageError when it can not be."""
        path = self.root / "_locks" / f"{name}.lock"
        lock = FileLock(path, timeout=LOCK_TIMEOUT_S)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise LockedError(
                f"{path}: another process has been writing these candles for {LOCK_TIMEOUT_S:.0f} s. "
                "Wait for it or end it, then import again."
            ) from None
        except OSError as error:
            raise StorageError(
                f"{self.root}: can not be written ({error.strerror or error}). Permit writing, then import again."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _merge(self, venue: str, symbol: str, rows: CandleRows, codes: Codes,
               known_at: int | None) -> tuple[dict[Path, Merged], NDArray[np.uint8]]:
        """The months that usable rows touch, merged; and each row's status (NEW for unusable rows)."""
        status = np.full(len(rows), NEW, dtype=np.uint8)
        usable = np.flatnonzero(codes == OK)
        months = month_of(rows.open_time[usable])
        merged: dict[Path, Merged] = {}
        for month in distinct(months):
            members = usable[months == month]
            path = self._folder(venue, symbol) / f"month={month_name(int(month))}" / "bars.parquet"
            stored = read_month(path) if path.exists() else joined([])
            merged[path] = merge(stored, rows.take(members))
            if known_at is not None:
                merged[path] = self._revised(path, stored, rows.take(members), merged[path], known_at)
            status[members] = merged[path].status
        return merged, status

    def _revised(self, path: Path, stored: CandleRows, arriving: CandleRows, merged: Merged, known_at: int) -> Merged:
        """The merge with conflicts taken for revisions, which are written first: a crash then loses neither value."""
        found, positions = found_revisions(stored, arriving, np.flatnonzero(merged.status == CONFLICTING), known_at)
        if not len(found):
            return merged
        beside = self._revisions_file(path)
        write_revisions(beside, united_revisions([*([read_revisions(beside)] if beside.exists() else []), found]))
        status = merged.status.copy()
        status[positions] = REVISED
        return Merged(with_values(merged.rows, found.new), status, changed=True)

    def _write_month(self, path: Path, rows: CandleRows) -> None:
        beside = self._revisions_file(path)
        write_month(path, rows, known_since(rows.open_time, read_revisions(beside)) if beside.exists() else None)

    def _revisions_file(self, path: Path) -> Path:
        return self.root / "_revisions" / path.parent.relative_to(self.root) / "rows.parquet"

    def _quarantine(self, venue: str, symbol: str, refused: Quarantined) -> None:
        months = month_of(refused.rows.open_time)
        for month in distinct(months):
            path = self._folder(venue, symbol, "_quarantine") / f"month={month_name(int(month))}" / "rows.parquet"
            stored = [read_quarantine(path)] if path.exists() else []
            together = united([*stored, refused.take(months == month)])
            # A source named earlier in the alphabet may replace another without adding a row.
            if not stored or not _same_quarantine(together, stored[0]):
                write_quarantine(path, together)

    def _folder(self, venue: str, symbol: str, below: str = "") -> Path:
        return self.root / below / f"venue={require_venue(venue)}" / f"symbol={require_symbol(symbol)}"

    def _months(self, folder: Path, name: str, window: Window | None) -> list[Path]:
        paths = sorted(folder.glob(f"month=*/{name}"))
        if window is None:
            return paths
        first, last = (month_name(int(month_of(np.array([time]))[0])) for time in (window.start_ms, window.end_ms - 1))
        return [path for path in paths if first <= path.parent.name.removeprefix("month=") <= last]

    def _sweep(self, venue: str, symbol: str) -> None:
        """Remove what a killed writer left; the lock is held, so nobody is writing."""
        for below in ("", "_quarantine", "_revisions"):
            for leftover in self._folder(venue, symbol, below).glob("month=*/.*.tmp"):
                leftover.unlink(missing_ok=True)


def _same_quarantine(one: Quarantined, other: Quarantined) -> bool:
    return len(one) == len(other) and np.array_equal(one.sources, other.sources)


def _counts(codes: Codes, status: NDArray[np.uint8]) -> WriteCounts:
    usable = codes == OK
    return WriteCounts(
        rows=int(codes.size),
        new=int(np.count_nonzero(usable & (status == NEW))),
        duplicates=int(np.count_nonzero(usable & (status == DUPLICATE))),
        conflicts=int(np.count_nonzero(codes == CONFLICT)),
        quarantined=int(np.count_nonzero(~usable & (codes != CONFLICT))),
        revised=int(np.count_nonzero(usable & (status == REVISED))),
    )


def _require_times(name: str, open_time: Ints) -> None:
    wrong = (open_time < 0) | (open_time >= _LATEST_MS)
    if wrong.any():
        raise DataError(
            f"{name}: open time {int(open_time[np.argmax(wrong)])} in row {int(np.argmax(wrong)) + 1} is no time; "
            "allowed are milliseconds since 1970-01-01 UTC up to the year 2100."
        )
