"""The table of best bid and ask that execution measurement reads, and what was wrong with the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.errors import DataError
from daybook.core.hashing import hash_arrays
from daybook.core.time import DAY_MS

_BPS = 1e4
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000
"""2000 and 2100: a time outside is damaged, or in another unit than ms."""
_COLUMNS = ("time_ms", "bid", "ask", "bid_size", "ask_size")


class QuoteFileError(DataError):
    """A quote file that can not be read: corrupt, misplaced, or with other columns or values than allowed."""


@dataclass(frozen=True, slots=True)
class QuoteFaults:
    """What a recording held beside usable quotes.

    rows: quotes in the file. crossed: ask below bid, left out. invalid: a price that is not finite and positive, or a
    time outside the years 2000 to 2100, left out. backward: rows stamped before the row above them, kept and put in
    order. locked: ask equals bid, kept.
    """

    rows: int = 0
    crossed: int = 0
    invalid: int = 0
    backward: int = 0
    locked: int = 0

    def plus(self, other: QuoteFaults) -> QuoteFaults:
        """The counts of two recordings together."""
        return QuoteFaults(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """What one file held of one UTC day: the file's name, the day's 00:00 in ms UTC, and the faults counted there."""

    source: str
    day_ms: int
    faults: QuoteFaults


@dataclass(frozen=True)
class Quotes:
    """Best bid and ask of one market, oldest first; a quote stands until the next one.

    time_ms: (N,) float64 ms UTC, never falling, with fractions where the recorder had them. bid, ask: (N,) float64
    quote price, 0 < bid <= ask. bid_size, ask_size: (N,) float64 base units, NaN where the recording has none.
    feed_delay_ms: (N,) float64 receive time minus the exchange's own time, or None where one of them is missing;
    it holds the difference of the two clocks. days: sources and faults by file and UTC day, where they are known so.
    Arrays are read-only. Raises DataError when lengths differ.
    """

    venue: str
    symbol: str
    sources: tuple[str, ...]
    time_ms: Floats
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    feed_delay_ms: Floats | None = None
    faults: QuoteFaults = field(default_factory=QuoteFaults)
    days: tuple[RecordedDay, ...] = ()

    def __post_init__(self) -> None:
        for name in (*_COLUMNS, "feed_delay_ms"):
            column = getattr(self, name)
            if column is None:
                continue
            if column.shape != self.time_ms.shape:
                raise DataError(f"{self.name}: {name} has shape {column.shape}, time_ms has {self.time_ms.shape}.")
            view = column.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return int(self.time_ms.size)

    @property
    def name(self) -> str:
        """`BTCUSDT on binance_spot`, as errors and tables name it."""
        return f"{self.symbol} on {self.venue}"

    @property
    def mid(self) -> Floats:
        """(N,) float64 middle of bid and ask."""
        middle: Floats = (self.bid + self.ask) / 2
        return middle

    @property
    def spread_bps(self) -> Floats:
        """(N,) float64 full spread in basis points of the mid."""
        spread: Floats = (self.ask - self.bid) / self.mid * _BPS
        return spread

    @property
    def clock_skew_ms(self) -> float | None:
        """Median of receive time minus exchange time: the clocks' difference plus the network; None where unknown.

        A negative figure can not be a delay: the recorder's clock runs behind the exchange's.
        """
        if self.feed_delay_ms is None or not self.feed_delay_ms.size:
            return None
        return float(np.median(self.feed_delay_ms))

    @property
    def data_hash(self) -> str:
        """SHA-256 over market and every value."""
        columns = [getattr(self, name) for name in _COLUMNS]
        return hash_arrays([np.frombuffer(f"{self.venue}/{self.symbol}".encode(), dtype=np.uint8), *columns])

    def within(self, start_ms: float, end_ms: float) -> Quotes:
        """The quotes stamped in [start_ms, end_ms), with the sources and faults of the UTC days that it touches."""
        start, stop = np.searchsorted(self.time_ms, [start_ms, end_ms])
        part = slice(int(start), int(stop))
        delay = None if self.feed_delay_ms is None else self.feed_delay_ms[part]
        columns = {name: getattr(self, name)[part] for name in _COLUMNS}
        if not self.days:
            return replace(self, feed_delay_ms=delay, **columns)
        days = tuple(day for day in self.days if day.day_ms < end_ms and day.day_ms + DAY_MS > start_ms)
        sources = tuple(dict.fromkeys(day.source for day in days))
        return replace(self, feed_delay_ms=delay, sources=sources, faults=_added(days), days=days, **columns)


@dataclass(frozen=True)
class RawQuotes:
    """The columns of one file as they lie, before anything is left out; sizes and delays may be missing."""

    time_ms: Floats
    bid: Floats
    ask: Floats
    bid_size: Floats | None = None
    ask_size: Floats | None = None
    feed_delay_ms: Floats | None = None


def clean_quotes(venue: str, symbol: str, path: Path, raw: RawQuotes) -> Quotes:
    """The usable quotes of a file in the order of time, with the count of those left out: none of a crossed file.

    Raises QuoteFileError when the file holds nothing but impossible prices or times.
    """
    usable: Bools = _timed(raw)
    for price in (raw.bid, raw.ask):
        usable &= np.isfinite(price) & (price > 0)
    if not usable.any():
        raise QuoteFileError(f"{path}: none of {raw.bid.size:,} quotes is usable; allowed are positive prices and "
                             "times in ms UTC from 2000 to 2100. Record or download the file again.")
    crossed: Bools = usable & (raw.ask < raw.bid)
    kept = usable & ~crossed
    times = raw.time_ms[kept]
    days = _recorded_days(path.name, raw, usable, crossed)
    order = np.argsort(times, kind="stable")
    unknown = np.full(raw.bid.size, np.nan)
    bid_size, ask_size = (unknown if size is None else size for size in (raw.bid_size, raw.ask_size))
    delay = None if raw.feed_delay_ms is None else raw.feed_delay_ms[kept][order]
    return Quotes(venue, symbol, (path.name,), times[order], raw.bid[kept][order], raw.ask[kept][order],
                  bid_size[kept][order], ask_size[kept][order], delay, _added(days), days)


def _timed(raw: RawQuotes) -> Bools:
    timed: Bools = (raw.time_ms >= EARLIEST_MS) & (raw.time_ms < LATEST_MS)
    return timed


def _recorded_days(source: str, raw: RawQuotes, usable: Bools, crossed: Bools) -> tuple[RecordedDay, ...]:
    """The faults of a file by UTC day; a row without such a time belongs to the day of the row above it."""
    timed = _timed(raw)
    above = np.maximum.accumulate(np.where(timed, np.arange(timed.size), np.argmax(timed)))
    day: Ints = np.floor(raw.time_ms[above] / DAY_MS).astype(np.int64)
    kept = np.flatnonzero(usable & ~crossed)
    backward = np.zeros(timed.size, dtype=np.bool_)
    backward[kept[1:]] = np.diff(raw.time_ms[kept]) < 0
    locked = np.zeros(timed.size, dtype=np.bool_)
    locked[kept] = raw.ask[kept] == raw.bid[kept]
    numbers, place = np.unique(day, return_inverse=True)
    counts = [np.bincount(place[rows], minlength=numbers.size).tolist()
              for rows in (slice(None), crossed, ~usable, backward, locked)]
    return tuple(RecordedDay(source, int(number) * DAY_MS, QuoteFaults(*(int(count) for count in found)))
                 for number, *found in zip(numbers, *counts, strict=True))


def _added(days: Sequence[RecordedDay]) -> QuoteFaults:
    total = QuoteFaults()
    for day in days:
        total = total.plus(day.faults)
    return total


def joined_quotes(parts: Sequence[Quotes]) -> Quotes:
    """The recordings of one market as one table in the order of time, faults added up.

    Raises DataError when they are of several markets, or when there are none.
    """
    markets = sorted({part.name for part in parts})
    if len(markets) != 1:
        raise DataError(f"quotes: found {', '.join(markets) or 'nothing'}, allowed are recordings of one market.")
    if len(parts) == 1:
        return parts[0]
    ordered = sorted(parts, key=lambda part: (part.time_ms[0] if len(part) else np.inf, part.sources))
    columns = [np.concatenate([getattr(part, name) for part in ordered]) for name in _COLUMNS]
    delays = [part.feed_delay_ms for part in ordered]
    known = [delay for delay in delays if delay is not None]
    order = np.argsort(columns[0], kind="stable")
    faults = QuoteFaults()
    for part in ordered:
        faults = faults.plus(part.faults)
    delay = np.concatenate(known)[order] if len(known) == len(delays) else None
    sources = tuple(source for part in ordered for source in part.sources)
    times, bid, ask, bid_size, ask_size = (column[order] for column in columns)
    days = tuple(day for part in ordered for day in part.days) if all(part.days for part in ordered) else ()
    return Quotes(ordered[0].venue, ordered[0].symbol, sources, times, bid, ask, bid_size, ask_size, delay, faults,
                  days)
