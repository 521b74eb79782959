"""Snapshots: which candle rows the store held at a moment, by name, and the rows themselves.

    <data>/snapshots/NAME.json               every market and month: rows, their hash, extent, revisions known then
    <data>/snapshots/files/<sha-256>.parquet the month files, by the hash of their bytes

A month file is never written in place, only replaced. A snapshot therefore keeps it by a second name for the same
bytes on the disk (a hard link), which costs nothing until the store replaces the month.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daybook.core.errors import DataError, StorageError, UsageError
from daybook.core.files import read_json, write_atomic, write_json
from daybook.core.hashing import hash_arrays, hash_file, hash_json
from daybook.core.time import Window
from daybook.market.bars import Bars
from daybook.market.month_file import read_month
from daybook.market.names import require_symbol, require_venue
from daybook.market.reading import candle_store
from daybook.market.revisions import as_known, read_revisions, united_revisions
from daybook.market.rows import CandleRows, joined

NOW = "now"
"""Not a snapshot: the store as it is."""
_FOLDER, _FILES = "snapshots", "files"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

MarketMonth = tuple[str, str, str]
"""Venue, symbol and month (`2023-03`)."""


class MonthVersion(BaseModel):
    """One market's month as it was: rows, first and last open time in ms UTC, and the hashes that name its bytes.

    rows_hash: over open times, prices, volumes and close times. file, revisions_file: SHA-256 of the Parquet files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    venue: str
    symbol: str
    month: str = Field(pattern=r"^\d{4}-\d{2}$")
    rows: int = Field(ge=0)
    first_ms: int
    last_ms: int
    rows_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str = Field(pattern=r"^[0-9a-f]{64}$")
    revisions: int = Field(0, ge=0)
    revisions_file: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")

    @property
    def key(self) -> MarketMonth:
        """Venue, symbol and month."""
        return self.venue, self.symbol, self.month


class Snapshot(BaseModel):
    """What the store held: every market's months, sorted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: str
    taken_at_ms: int
    months: tuple[MonthVersion, ...]

    @property
    def identity(self) -> str:
        """SHA-256 over what is held, whatever it is called and whenever it was taken."""
        return hash_json([[*month.key, month.rows_hash, month.revisions_file] for month in self.months])

    @property
    def rows(self) -> int:
        """Bars of all markets."""
        return sum(month.rows for month in self.months)


@dataclass(frozen=True)
class CandleVersion:
    """The candles of one snapshot, or of the store as it is, with the files that hold them."""

    label: str
    months: Mapping[MarketMonth, MonthVersion]
    files: Mapping[str, Path]

    def rows(self, key: MarketMonth) -> CandleRows | None:
        """The newest values of a month; None where its file is no longer kept. Raises DataError when it was changed."""
        path = self.file(self.months[key].file)
        return None if path is None else read_month(path)

    def bars(self, venue: str, symbol: str, window: Window) -> Bars | None:
        """The 1-minute bars a run of this window would have been given: later revisions are undone.

        None where a file of a month that the window touches is no longer kept.
        """
        touched = [self.months[key] for key in sorted(self.months) if key[:2] == (venue, symbol)
                   and self.months[key].last_ms >= window.start_ms and self.months[key].first_ms < window.end_ms]
        paths = [self.file(month.file) for month in touched]
        beside = [self.file(month.revisions_file) for month in touched if month.revisions_file is not None]
        if None in paths or None in beside:
            return None
        rows = joined([read_month(path) for path in paths if path is not None])
        revisions = united_revisions([read_revisions(path) for path in beside if path is not None])
        return as_known(rows, revisions, window.end_ms).within(window).bars(venue, symbol, "1m")

    def revised(self, key: MarketMonth) -> CandleRows | None:
        """The rows that a revision brought to a month, by open time; None where none is known."""
        name = self.months[key].revisions_file
        path = None if name is None else self.file(name)
        return None if path is None else read_revisions(path).new

    def file(self, digest: str) -> Path | None:
        """Where a file of this hash lies; None where it is no longer kept. Raises DataError when it was changed."""
        path = self.files.get(digest)
        if path is None or not path.is_file():
            return None
        if hash_file(path) != digest:
            raise DataError(f"{path}: changed since {self.label} was taken (its SHA-256 is another). Restore the file "
                            "from a backup.")
        return path


class Snapshots:
    """The snapshots of a data folder, taken from its candle store."""

    def __init__(self, data: Path) -> None:
        self.folder = Path(data) / _FOLDER
        self.store = candle_store(data)

    def names(self) -> tuple[str, ...]:
        """Every snapshot's name, sorted."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.json")))

    def take(self, name: str, taken_at_ms: int) -> Snapshot:
        """Name what the store holds now, and keep it.

        Raises UsageError for an ill-formed or taken name, DataError for an empty store, StorageError when the folder
        can not be written.
        """
        path = self._path(name)
        if path.exists():
            raise UsageError(f"snapshot: {name} exists already and is never overwritten. Choose another name.")
        snapshot = Snapshot(name=name, taken_at_ms=taken_at_ms, months=self._months(keep=True))
        if not snapshot.months:
            raise DataError(f"snapshot: the candle store {self.store.root} is empty. Import candles first.")
        write_json(path, snapshot.model_dump(mode="json"))
        return snapshot

    def load(self, name: str) -> Snapshot:
        """A snapshot by name. Raises UsageError for an ill-formed name, DataError when it is missing or no snapshot."""
        path = self._path(name)
        if not path.is_file():
            known = ", ".join(self.names()) or "none yet"
            raise DataError(f"snapshot {name}: not found in {self.folder}. There are: {known}.")
        try:
            snapshot = Snapshot.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{path}: no snapshot of this version of Daybook ({place}: {first['msg']}). Take it again, "
                            "or read it with the version that wrote it.") from None
        try:
            for month in snapshot.months:  # both become folders where it is restored
                require_venue(month.venue)
                require_symbol(month.symbol)
        except UsageError as error:
            raise DataError(f"{path}: {error} Restore the file from a backup.") from None
        return snapshot

    def version(self, name: str) -> CandleVersion:
        """The candles of a snapshot, or of the store as it is for the name `now`."""
        if name == NOW:
            months = self._months(keep=False)
            files = {}
            for month in months:
                files[month.file] = self._month_path(month)
                if month.revisions_file is not None:
                    files[month.revisions_file] = self._month_path(month, revisions=True)
            return CandleVersion("the store as it is", {month.key: month for month in months}, files)
        months = self.load(name).months
        digests = [digest for month in months for digest in (month.file, month.revisions_file) if digest is not None]
        return CandleVersion(f"snapshot {name}", {month.key: month for month in months},
                             {digest: self._kept(digest) for digest in digests})

    def restore(self, name: str, target: Path) -> int:
        """Lay a snapshot out as the candle store of a new data folder; returns how many months that were.

        Raises UsageError when the folder holds something, DataError when a kept file is missing or changed.
        """
        version = self.version(name)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target}: holds something already. Name a folder that does not exist yet.")
        root = candle_store(target).root
        for month in version.months.values():
            for digest, revisions in ((month.file, False), (month.revisions_file, True)):
                if digest is None:
                    continue
                path = version.file(digest)
                if path is None:
                    raise DataError(f"{self._kept(digest)}: missing, {month.symbol} {month.month} can not be restored. "
                                    "Fetch it from where the data folder is backed up.")
                _copied(path, _place(root, month, revisions))
        return len(version.months)

    def _months(self, *, keep: bool) -> tuple[MonthVersion, ...]:
        found: list[MonthVersion] = []
        for market in self.store.markets():
            # Under the market's lock no writer replaces one month between two that are kept.
            with self.store.locked(f"{market.venue}.{market.symbol}") if keep else nullcontext():
                folder = self.store.root / f"venue={market.venue}" / f"symbol={market.symbol}"
                found += [self._month(market.venue, market.symbol, path, keep=keep)
                          for path in sorted(folder.glob("month=*/bars.parquet"))]
        return tuple(found)

    def _month(self, venue: str, symbol: str, path: Path, *, keep: bool) -> MonthVersion:
        rows = read_month(path)
        beside = self.store.root / "_revisions" / path.parent.relative_to(self.store.root) / "rows.parquet"
        revised = beside.is_file()
        digests = [hash_file(path), hash_file(beside) if revised else None]
        if keep:
            for digest, source in zip(digests, (path, beside), strict=True):
                if digest is not None:
                    _linked(source, self._kept(digest))
        return MonthVersion(
            venue=venue, symbol=symbol, month=path.parent.name.removeprefix("month="), rows=len(rows),
            first_ms=int(rows.open_time[0]), last_ms=int(rows.open_time[-1]), rows_hash=rows_hash(rows),
            file=str(digests[0]), revisions=len(read_revisions(beside)) if revised else 0, revisions_file=digests[1],
        )

    def _month_path(self, month: MonthVersion, *, revisions: bool = False) -> Path:
        return _place(self.store.root, month, revisions)

    def _kept(self, digest: str) -> Path:
        return self.folder / _FILES / f"{digest}.parquet"

    def _path(self, name: str) -> Path:
        return self.folder / f"{require_snapshot_name(name)}.json"


def require_snapshot_name(name: str) -> str:
    """The name itself. Raises UsageError for one that is no file name, `now`, or a day, which would name a run."""
    if not _NAME.fullmatch(name) or name == NOW or _DAY.fullmatch(name):
        raise UsageError(f"snapshot: found {name!r}, allowed are 1 to 64 of a-z, 0-9, dot, dash and underscore, first "
                         "a letter or digit, and neither `now` nor a day: those name the store as it is and runs.")
    return name


def rows_hash(rows: CandleRows) -> str:
    """SHA-256 over every column of the rows."""
    return hash_arrays(getattr(rows, field.name) for field in fields(CandleRows))


def _place(root: Path, month: MonthVersion, revisions: bool) -> Path:
    folder = root / "_revisions" if revisions else root
    name = "rows.parquet" if revisions else "bars.parquet"
    return folder / f"venue={month.venue}" / f"symbol={month.symbol}" / f"month={month.month}" / name


def _linked(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    except FileExistsError:  # another snapshot, taken at the same moment, keeps the same bytes
        return
    except OSError as error:
        if not os.access(target.parent, os.W_OK):
            raise StorageError(f"{target.parent}: can not be written ({error.strerror or error}). Permit writing, then "
                               "take the snapshot again.") from error
        _copied(source, target)  # a file system without hard links


def _copied(source: Path, target: Path) -> None:
    def copy(temporary: Path) -> None:
        shutil.copyfile(source, temporary)

    write_atomic(target, copy)
