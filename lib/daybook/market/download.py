"""Downloading candles: only what the store misses, from the archive first and over REST what it does not have yet."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

from daybook.core.parallel import parallel_map
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_of, utc_text
from daybook.market.binance_archive import ArchiveFile, BinanceArchive, day_file
from daybook.market.candle_files import read_candle_file
from daybook.market.download_plan import archive_files, day_window, days_of, joined_spans, missing_spans
from daybook.market.download_report import DownloadReport, FailedPart, ShortFile
from daybook.market.errors import CandleFileError
from daybook.market.http_errors import ExchangeError, NotFoundError, UnreachableError
from daybook.market.progress import Progress, silent
from daybook.market.rows import CandleRows
from daybook.market.store import CandleStore, SourceRows, WriteCounts

DOWNLOADS_AT_ONCE = 4
PENDING_DAYS = {"daily": 4, "monthly": 45}
"""So long after its end a file that is not there counts as not published yet; later, as never to come."""
REST_DAYS = 92
"""Where there is an archive, REST is asked for so many days before the end at most: years of it are no way to load."""
_FILES_AT_ONCE = 24
"""Files of one market that are fetched, then written together: two years of months, and bounded memory."""


class CandleSource(Protocol):
    """Anything that answers with closed 1-minute bars."""

    def candles(self, symbol: str, window: Window) -> CandleRows:
        """The closed bars that open inside the window, in time order."""


@dataclass(frozen=True)
class Sources:
    """Where one venue's candles come from; archive is None where the venue has none."""

    venue: str
    rest: CandleSource
    archive: BinanceArchive | None = None


@dataclass(frozen=True)
class DownloadRequest:
    """What to have afterwards. now_ms: the present, which no bar may lie after. recheck: ask about files and days that
    are here already too, and take in what was published anew; recheck_days: only about days that ended within so many
    days before now_ms."""

    symbols: tuple[str, ...]
    window: Window
    now_ms: int
    recheck: bool = False
    recheck_days: int = 0
    jobs: int = DOWNLOADS_AT_ONCE


@dataclass(frozen=True)
class _Outcome:
    file: ArchiveFile
    state: Literal["fetched", "present", "missing", "failed"]
    reason: str = ""
    unreachable: bool = False


@dataclass
class _Tally:
    """The counts of a report while they grow."""

    fetched: int = 0
    present: int = 0
    requested: int = 0
    pending: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    short: list[ShortFile] = field(default_factory=list)
    failed: list[FailedPart] = field(default_factory=list)
    counts: WriteCounts = field(default_factory=lambda: WriteCounts(0, 0, 0, 0, 0))
    stale: bool = False

    def add(self, counts: Sequence[WriteCounts]) -> None:
        """Add rows that were written."""
        every = (self.counts, *counts)
        self.counts = WriteCounts(*(sum(getattr(one, item.name) for one in every) for item in fields(WriteCounts)))

    def fail(self, name: str, error: ExchangeError | CandleFileError) -> None:
        """Note a file or span that could not be had."""
        self.failed.append(FailedPart(name=name, reason=str(error)))
        self.stale |= isinstance(error, UnreachableError)


def download_candles(store: CandleStore, sources: Sources, request: DownloadRequest,
                     progress: Progress = silent) -> DownloadReport:
    """Bring what the store misses of the symbols' bars, and say what came, what is not there yet and what failed.

    Nothing is ever filled in: a missing day stays missing until an exchange gives it. An exchange that can not be
    reached does not raise; the report is then `stale`. Raises UsageError for a market the exchange does not know,
    LockedError when another process downloads from this venue for ten minutes, DataError or StorageError when the
    store can not be read or written.
    """
    end = min(request.window.end_ms, request.now_ms // MINUTE_MS * MINUTE_MS)
    tally = _Tally()
    if end > request.window.start_ms:
        window = Window(request.window.start_ms, end)
        with store.locked(f"download.{sources.venue}"):  # two at once would write into each other's partial files
            for symbol in request.symbols:
                _Download(store, sources, request, window, symbol, tally, progress).run()
    counts = {item.name: getattr(tally.counts, item.name) for item in fields(WriteCounts)}
    return DownloadReport(
        venue=sources.venue, symbols=request.symbols, start_ms=request.window.start_ms, end_ms=request.window.end_ms,
        fetched=tally.fetched, present=tally.present, requested=tally.requested, pending=tuple(tally.pending),
        absent=tuple(tally.absent), short=tuple(tally.short), failed=tuple(tally.failed), stale=tally.stale, **counts,
    )


@dataclass
class _Download:
    """One market's download into a shared tally."""

    store: CandleStore
    sources: Sources
    request: DownloadRequest
    window: Window
    symbol: str
    tally: _Tally
    progress: Progress
    early: set[ArchiveFile] = field(default_factory=set)
    done: int = 0
    total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Archive first, then REST for the days it does not have yet."""
        spans = self._missing()
        days = {day_of(span.start_ms) for span in spans}
        if self.sources.archive is not None:
            days = self._from_archive(self.sources.archive, days | self._again())
            spans = self._missing()
            earliest = day_of(self.window.end_ms - 1).toordinal() - REST_DAYS
            days = {day for day in days if day.toordinal() > earliest}
        else:
            days |= self._again()
            spans = [span for span in spans if day_of(span.start_ms) not in self._again()]
            spans += [self._inside(day) for day in self._again()]
            spans.sort(key=lambda span: span.start_ms)
        self._over_rest(joined_spans(spans, days))

    def _missing(self) -> list[Window]:
        times = self.store.open_times(self.sources.venue, self.symbol, self.window)
        return missing_spans(times, self.window)

    def _again(self) -> set[date]:
        """The days to ask about even where every minute of them is here."""
        first, last = day_of(self.window.start_ms), day_of(self.window.end_ms - 1)
        days = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]
        return set(days) if self.request.recheck else {day for day in days if self._is_recent(day_window(day))}

    def _is_recent(self, span: Window) -> bool:
        earliest = self.request.now_ms - self.request.recheck_days * DAY_MS
        return earliest < span.end_ms <= self.request.now_ms

    def _inside(self, day: date) -> Window:
        whole = day_window(day)
        return Window(max(whole.start_ms, self.window.start_ms), min(whole.end_ms, self.window.end_ms))

    def _from_archive(self, archive: BinanceArchive, days: set[date]) -> set[date]:
        """Import what the archive has of these days; returns the days that are to be asked over REST."""
        running = {day for day in days if day_window(day).end_ms > self.request.now_ms}
        files = archive_files(self.sources.venue, self.symbol, sorted(days - running),
                              lambda file: archive.local(file).is_file())
        left = self._fetch(archive, files)
        cut_off = {day for one in left if one.file.day is None and one.unreachable for day in days_of(one.file)}
        singles = [single for one in left if one.file.day is None and not one.unreachable
                   for single in self._single_days(archive, one, days)]
        left = [one for one in left if one.file.day is not None] + self._fetch(archive, singles)
        return running | (cut_off & days) | {one.file.day for one in left if one.file.day is not None}

    def _fetch(self, archive: BinanceArchive, files: list[ArchiveFile]) -> list[_Outcome]:
        """Fetch and import files; returns the outcome of those that are not to be had, but may be elsewhere."""
        left: list[_Outcome] = []
        self.total += len(files)
        for start in range(0, len(files), _FILES_AT_ONCE):
            outcomes = parallel_map(lambda file: self._outcome(archive, file), files[start:start + _FILES_AT_ONCE],
                                    self.request.jobs)
            left += self._import(archive, [one for one in outcomes if one.state in ("fetched", "present")])
            left += [one for one in outcomes if self._is_left(one)]
        return left

    def _outcome(self, archive: BinanceArchive, file: ArchiveFile) -> _Outcome:
        try:
            asked_again = self.request.recheck or any(self._is_recent(day_window(day)) for day in days_of(file))
            if archive.local(file).is_file() and not asked_again:
                return _Outcome(file, "present")
            return _Outcome(file, archive.fetch(file))
        except NotFoundError:
            return _Outcome(file, "missing")
        except ExchangeError as error:
            return _Outcome(file, "failed", str(error), isinstance(error, UnreachableError))
        finally:
            self._step(file.name)

    def _is_left(self, outcome: _Outcome) -> bool:
        file = outcome.file
        if outcome.state == "failed":
            self.tally.failed.append(FailedPart(name=file.name, reason=outcome.reason))
            self.tally.stale |= outcome.unreachable
            return True
        if outcome.state != "missing":
            return False
        if file.day is None:
            return True
        (self.tally.pending if self._is_young(file) else self.tally.absent).append(file.name)
        return True

    def _is_young(self, file: ArchiveFile) -> bool:
        return file.window.end_ms > self.request.now_ms - PENDING_DAYS[file.period] * DAY_MS

    def _single_days(self, archive: BinanceArchive, month: _Outcome, days: set[date]) -> list[ArchiveFile]:
        """A month's daily files; none when its last day is long past and absent too: the market was not traded then."""
        file = month.file
        singles = [day_file(file.venue, file.symbol, day) for day in days_of(file) if day in days]
        if month.state == "missing" and not self._is_young(file):
            last = self._outcome(archive, singles[-1])
            if last.state == "missing":
                self.tally.absent.append(file.name)
                return []
            self.early |= {last.file} if last.state == "fetched" else set()
        return singles

    def _import(self, archive: BinanceArchive, outcomes: Sequence[_Outcome]) -> list[_Outcome]:
        """Write files' rows into the store; returns those that were put aside because they hold something else."""
        parts: list[SourceRows] = []
        refused: list[_Outcome] = []
        for outcome in outcomes:
            file, path = outcome.file, archive.local(outcome.file)
            try:
                rows = _rows_of_file(file, path)
            except CandleFileError as error:
                archive.quarantine(path, f"{file.name}.refused")
                self.tally.fail(file.name, error)
                refused.append(outcome)
                continue
            came = outcome.state == "fetched" or file in self.early
            self.tally.fetched += came
            self.tally.present += not came
            if len(rows) < file.minutes:
                self.tally.short.append(ShortFile(name=file.name, rows=len(rows), minutes=file.minutes))
            parts.append(SourceRows(file.name, rows))
        self._write(parts)
        return refused

    def _over_rest(self, spans: Sequence[Window]) -> None:
        self.total += len(spans)
        for span in spans:
            name = f"{self.symbol} {utc_text(span.start_ms)} to {utc_text(span.end_ms)}"
            try:
                rows = self.sources.rest.candles(self.symbol, span)
            except ExchangeError as error:
                self.tally.fail(name, error)
                self.tally.stale = True  # nobody else has these minutes, whether it was silent or refused (403, 451)
            else:
                self.tally.requested += 1
                minutes = (span.end_ms - span.start_ms) // MINUTE_MS
                if len(rows) < minutes:
                    self.tally.short.append(ShortFile(name=name, rows=len(rows), minutes=minutes))
                self._write([SourceRows(f"REST {name}", rows)])
            self._step(name)

    def _write(self, parts: list[SourceRows]) -> None:
        if any(len(part.rows) for part in parts):
            counts = self.store.write(self.sources.venue, self.symbol, parts, known_at=self.request.now_ms)
            self.tally.add(counts)

    def _step(self, name: str) -> None:
        with self._lock:
            self.done += 1
            self.progress(self.done, max(self.done, self.total), name)


def _rows_of_file(file: ArchiveFile, path: Path) -> CandleRows:
    """The rows of an archive file. Raises CandleFileError for one that is corrupt or of another symbol, span or bar."""
    candles = read_candle_file(path, file.venue)
    window = file.window
    times = candles.rows.open_time
    if candles.length_ms != MINUTE_MS or int(times.min()) < window.start_ms or int(times.max()) >= window.end_ms:
        raise CandleFileError(
            f"{path}: holds bars from {utc_text(int(times.min()))} to {utc_text(int(times.max()))}, allowed are "
            f"1-minute bars from {utc_text(window.start_ms)} to {utc_text(window.end_ms)}. It was put aside."
        )
    return candles.rows
