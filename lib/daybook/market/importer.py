"""Importing candle files into the store: a single file, or every 1-minute file below a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from daybook.core.time import MINUTE_MS
from daybook.market.candle_files import NAMES_ALLOWED, CandleFile, candle_file_name, probe, read_candle_file
from daybook.market.errors import CandleFileError
from daybook.market.import_index import FileIdentity, ImportedFile, ImportIndex, content_hash
from daybook.market.names import interval_ms, parse_file_name, require_symbol, require_venue
from daybook.market.progress import Progress, silent
from daybook.market.rows import distinct, month_name, month_of
from daybook.market.store import CandleStore, SourceRows, WriteCounts

_BATCH_ROWS = 1_500_000
"""Rows of one market written together, so that a year of daily files rewrites each month once."""


class SkippedFile(BaseModel):
    """A file below the folder that was left alone, and why; path is relative to the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    reason: str


class MarketImport(BaseModel):
    """What an import brought for one market. rows = new + duplicates + conflicts + quarantined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    venue: str
    symbol: str
    files: int = 0
    unchanged: int = 0
    rows: int = 0
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0


class ImportReport(BaseModel):
    """What became of every file and row.

    files: read now; unchanged: already in the store as they are, not read again. conflicts: rows whose open time was
    stored with other values; the stored bar stays and the row is quarantined. quarantined: rows that are no usable bar.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: int
    unchanged: int
    rows: int
    new: int
    duplicates: int
    conflicts: int
    quarantined: int
    markets: tuple[MarketImport, ...]
    skipped: tuple[SkippedFile, ...]

    @property
    def summary(self) -> str:
        """One line for a log or a command line."""
        names = ", ".join(f"{market.symbol} on {market.venue}" for market in self.markets)
        return (f"{names}: {self.files} files read, {self.unchanged} unchanged, {len(self.skipped)} skipped; "
                f"{self.rows:,} rows: {self.new:,} new, {self.duplicates:,} duplicates, {self.conflicts:,} conflicts, "
                f"{self.quarantined:,} quarantined")


@dataclass(frozen=True)
class _Planned:
    path: Path
    identity: FileIdentity


@dataclass(frozen=True)
class _Read:
    path: Path
    size: int
    mtime_ns: int
    sha256: str
    identity: FileIdentity
    candles: CandleFile


@dataclass(frozen=True)
class _Written:
    path: Path
    entry: ImportedFile
    counts: WriteCounts


def import_candles(path: Path, store: CandleStore, *, venue: str | None = None,
                   symbols: Sequence[str] | None = None, progress: Progress = silent) -> ImportReport:
    """Import a candle file, or every 1-minute candle file below a folder, into the store.

    venue: overrides what folders and file shapes say. symbols: only these; each must have a file.
    Before anything is written all files are opened and checked; a file is imported whole or not at all, and importing
    it again changes nothing. Files of other intervals and of other kinds are skipped with a reason in a folder, and
    an error when named alone. Raises CandleFileError naming file, cause, what is allowed and what to do.
    """
    root = Path(path)
    venue_asked = require_venue(venue) if venue is not None else None
    wanted = frozenset(map(require_symbol, symbols)) if symbols is not None else None
    planned, skipped = _plan(root, venue_asked, wanted)
    index = ImportIndex(store)
    fresh: list[_Planned] = []
    unchanged: list[ImportedFile] = []
    for file in planned:
        known = index.known(file.path, file.identity)
        if known is None:
            fresh.append(file)
        else:
            unchanged.append(known)
    for file in fresh:
        probe(file.path)
    written: list[_Written] = []
    for batch in _batches(_reading(fresh, progress)):
        results = _write(store, batch)
        index.add({result.path: result.entry for result in results})
        written.extend(results)
    return _report(written, unchanged, skipped)


def _reading(files: Sequence[_Planned], progress: Progress) -> Iterator[_Read]:
    for number, file in enumerate(files, 1):
        yield _read(file)
        progress(number, len(files), file.path.name)


def _plan(root: Path, venue: str | None, wanted: frozenset[str] | None) -> tuple[list[_Planned], list[SkippedFile]]:
    """The files to import, by path, and those left alone. Raises CandleFileError when nothing is to import."""
    if not root.exists():
        raise CandleFileError(f"{root}: no such file or folder. Give a candle file or a folder of them.")
    if not root.is_dir():
        planned_file = _planned(root, venue)
        reason = _refusal(root, wanted)
        if reason:
            raise CandleFileError(f"{root}: {reason}. Choose another file.")
        return [planned_file], []
    planned: list[_Planned] = []
    skipped: list[SkippedFile] = []
    paths = (one for one in root.rglob("*") if one.is_file() and not one.name.startswith("."))
    for path in sorted(paths, key=lambda one: one.relative_to(root).as_posix()):
        reason = _refusal(path, wanted)
        if reason:
            skipped.append(SkippedFile(path=path.relative_to(root).as_posix(), reason=reason))
        else:
            planned.append(_planned(path, venue))
    _require_symbols(root, wanted, planned)
    if not planned:
        examples = "; ".join(f"{one.path}: {one.reason}" for one in skipped[:3]) or "the folder is empty"
        raise CandleFileError(f"{root}: no 1-minute candle file below it ({examples}); {NAMES_ALLOWED}.")
    return planned, skipped


def _require_symbols(root: Path, wanted: frozenset[str] | None, planned: list[_Planned]) -> None:
    absent = sorted((wanted or frozenset()) - {file.identity.symbol for file in planned})
    if absent:
        names = (parse_file_name(path) for path in root.rglob("*") if path.is_file())
        there = sorted({name.symbol for name in names if name and _is_minute(name.interval)})
        raise CandleFileError(
            f"{root}: no 1-minute candle file of {', '.join(absent)}; there are files of "
            f"{', '.join(there) or 'no symbol'}. Choose among them or give another folder."
        )


def _refusal(path: Path, wanted: frozenset[str] | None) -> str:
    """Why a file is not imported; empty when it is."""
    name = parse_file_name(path)
    if name is None:
        return "not the name of a candle file"
    if not _is_minute(name.interval):
        return f"bars of {name.interval}: only 1m is imported, longer bars are aggregated from it"
    if wanted is not None and name.symbol not in wanted:
        return f"{name.symbol} was not asked for"
    return ""


def _is_minute(interval: str | None) -> bool:
    return interval is None or interval_ms(interval) == MINUTE_MS


def _planned(path: Path, venue: str | None) -> _Planned:
    name = candle_file_name(path)
    return _Planned(path, FileIdentity(name.symbol, venue, name.venue))


def _read(file: _Planned) -> _Read:
    # Taken before the rows: a file that changes meanwhile then counts as changed next time.
    status, sha256 = file.path.stat(), content_hash(file.path)
    candles = read_candle_file(file.path, file.identity.venue_asked)
    if candles.length_ms != MINUTE_MS:
        raise CandleFileError(
            f"{file.path}: its bars are {candles.length_ms / MINUTE_MS:g} minutes apart, allowed are 1-minute bars. "
            "Choose the 1-minute file; longer bars are aggregated from it."
        )
    return _Read(file.path, status.st_size, status.st_mtime_ns, sha256, file.identity, candles)


def _batches(files: Iterable[_Read]) -> Iterator[list[_Read]]:
    """Neighbouring files of one market together, up to _BATCH_ROWS rows."""
    batch: list[_Read] = []
    rows = 0
    market = ("", "")
    for file in files:
        found = (file.candles.venue, file.candles.symbol)
        if batch and (found != market or rows + len(file.candles.rows) > _BATCH_ROWS):
            yield batch
            batch, rows = [], 0
        market = found
        batch.append(file)
        rows += len(file.candles.rows)
    if batch:
        yield batch


def _write(store: CandleStore, batch: list[_Read]) -> list[_Written]:
    venue, symbol = batch[0].candles.venue, batch[0].candles.symbol
    counts = store.write(venue, symbol, [SourceRows(file.path.name, file.candles.rows) for file in batch])
    written: list[_Written] = []
    for file, count in zip(batch, counts, strict=True):
        months = distinct(month_of(file.candles.rows.open_time))
        entry = ImportedFile(
            size=file.size, mtime_ns=file.mtime_ns, sha256=file.sha256, symbol=symbol,
            venue_asked=file.identity.venue_asked, venue_folder=file.identity.venue_folder, venue=venue,
            months=tuple(month_name(int(month)) for month in months), rows=count.rows,
        )
        written.append(_Written(file.path, entry, count))
    return written


def _report(written: list[_Written], unchanged: list[ImportedFile], skipped: list[SkippedFile]) -> ImportReport:
    entries = [*(one.entry for one in written), *unchanged]
    markets = []
    for market in sorted({_market(entry) for entry in entries}):
        members = [one for one in written if _market(one.entry) == market]
        markets.append(MarketImport(
            venue=market[0], symbol=market[1], files=len(members),
            unchanged=sum(_market(entry) == market for entry in unchanged), **_totals(members),
        ))
    return ImportReport(files=len(written), unchanged=len(unchanged), markets=tuple(markets), skipped=tuple(skipped),
                        **_totals(written))


def _market(entry: ImportedFile) -> tuple[str, str]:
    return entry.venue, entry.symbol


def _totals(written: Sequence[_Written]) -> dict[str, int]:
    """The counts of WriteCounts that an import can have: a file never revises a stored bar."""
    names = [field.name for field in fields(WriteCounts) if field.name != "revised"]
    return {name: sum(getattr(one.counts, name) for one in written) for name in names}
