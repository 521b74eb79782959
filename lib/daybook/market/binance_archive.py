"""Binance's public archive: which file holds which minutes, and bringing one here whole and verified.

data.binance.vision holds one zip a market and month, and one a market and day, each beside a CHECKSUM file with its
SHA-256. A day appears some hours after it ended and a month some days after; files are sometimes published again.
"""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from daybook.core.errors import StorageError
from daybook.core.files import sync_folder
from daybook.core.hashing import hash_file
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms
from daybook.market.archive import CORRUPT_ZIP, SPOT, USDM
from daybook.market.http import ExchangeClient
from daybook.market.http_errors import AnswerError, ExchangeError
from daybook.market.names import require_symbol

FOLDERS = {SPOT: "data/spot", USDM: "data/futures/um"}
MAX_ZIP_BYTES = {"daily": 8 * 2**20, "monthly": 64 * 2**20}
"""A day of 1-minute bars is 60 kB to 110 kB zipped, a month 2 MB to 3 MB."""
MAX_UNPACKED_BYTES = {"daily": 4 * 2**20, "monthly": 64 * 2**20}
"""A day of 1-minute bars is about 200 kB, a month 6 MB."""
DOWNLOADS = 3
"""How often a file is fetched whose checksum does not fit."""

_CHECKSUM = re.compile(rb"\s*([0-9a-fA-F]{64})\s+\*?([!-~]+)\s*", re.ASCII)

FetchState = Literal["fetched", "present"]


class BadChecksumError(ExchangeError):
    """A file that differs from its published checksum however often it is fetched."""


@dataclass(frozen=True, order=True)
class ArchiveFile:
    """One zip of 1-minute bars: of a month when day is None, else of that day."""

    venue: str
    symbol: str
    month: str
    day: date | None = None

    @property
    def period(self) -> Literal["monthly", "daily"]:
        """Which of the archive's two layouts it is in."""
        return "monthly" if self.day is None else "daily"

    @property
    def name(self) -> str:
        """`BTCUSDT-1m-2023-03.zip` or `BTCUSDT-1m-2023-03-24.zip`."""
        return f"{self.symbol}-1m-{self.day or self.month}.zip"

    @property
    def path(self) -> str:
        """Where the archive keeps it, below its address."""
        return f"{FOLDERS[self.venue]}/{self.period}/klines/{self.symbol}/1m/{self.name}"

    @property
    def window(self) -> Window:
        """The span of open times it covers."""
        if self.day is not None:
            return Window(day_start_ms(self.day), day_start_ms(self.day) + DAY_MS)
        first = date.fromisoformat(f"{self.month}-01")
        return Window(day_start_ms(first), day_start_ms((first + timedelta(days=32)).replace(day=1)))

    @property
    def minutes(self) -> int:
        """How many bars a full file has."""
        return (self.window.end_ms - self.window.start_ms) // MINUTE_MS


def month_file(venue: str, symbol: str, day: date) -> ArchiveFile:
    """The file of the month in which a day lies."""
    return ArchiveFile(venue, require_symbol(symbol), f"{day:%Y-%m}")


def day_file(venue: str, symbol: str, day: date) -> ArchiveFile:
    """The file of one day."""
    return ArchiveFile(venue, require_symbol(symbol), f"{day:%Y-%m}", day)


@dataclass(frozen=True)
class BinanceArchive:
    """The archive at `url`, mirrored file by file below `folder`. A file there was verified, or it would not be."""

    client: ExchangeClient
    url: str
    folder: Path

    def local(self, file: ArchiveFile) -> Path:
        """Where the file is kept here, whether or not it is there yet."""
        return self.folder / file.path

    def fetch(self, file: ArchiveFile) -> FetchState:
        """Bring a file here: `present` when the one here is what the archive has now, else `fetched`.

        A file that differs from its checksum is kept below `_quarantine` and fetched again, at most DOWNLOADS times.
        Raises NotFoundError while the archive does not have it, BadChecksumError, AnswerError for a zip that unpacks
        to more than a candle file can, and the client's errors; a file from before then stays as it was.
        """
        address, target = f"{self.url.rstrip('/')}/{file.path}", self.local(file)
        wanted = self._checksum(f"{address}.CHECKSUM", file)
        if target.is_file() and hash_file(target) == wanted:
            return "present"
        part = target.with_name(f".{file.name}.part")
        for _ in range(DOWNLOADS):
            self.client.download(address, part, max_bytes=MAX_ZIP_BYTES[file.period])
            found = hash_file(part)
            if found == wanted:
                self._require_modest(file, part)
                _promote(part, target)
                return "fetched"
            self.quarantine(part, f"{file.name}.{found[:12]}")
        raise BadChecksumError(
            f"{file.path}: SHA-256 is {found[:12]}…, the archive says {wanted[:12]}…, in {DOWNLOADS} downloads. The "
            f"files are kept in {self.folder / '_quarantine'}; nothing of them was imported. Run again later."
        )

    def quarantine(self, path: Path, name: str) -> Path:
        """Move a file that is not to be trusted out of the way, and say where to."""
        kept = self.folder / "_quarantine" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        return path.replace(kept)

    def _checksum(self, address: str, file: ArchiveFile) -> str:
        text = self.client.text(address, max_bytes=1024)
        found = _CHECKSUM.fullmatch(text)
        if found is None or found[2].decode("ascii") != file.name:
            raise AnswerError(
                f"{file.path}.CHECKSUM: found {text[:80]!r}, allowed is a SHA-256 and the name {file.name}. Run again "
                "later."
            )
        return found[1].decode("ascii").lower()

    def _require_modest(self, file: ArchiveFile, part: Path) -> None:
        """Refuse a zip that says it unpacks to more than a candle file can; one that lies fails when it is read."""
        allowed = MAX_UNPACKED_BYTES[file.period]
        try:
            with zipfile.ZipFile(part) as archive:
                size = sum(member.file_size for member in archive.infolist())
        except (*CORRUPT_ZIP, OSError) as error:
            self.quarantine(part, f"{file.name}.unreadable")
            raise AnswerError(f"{file.path}: no readable zip ({error}), though its checksum fits.") from None
        if size > allowed:
            self.quarantine(part, f"{file.name}.oversize")
            raise AnswerError(f"{file.path}: unpacks to {size:,} bytes, allowed are {allowed:,}. It was not unpacked.")


def _promote(part: Path, target: Path) -> None:
    try:
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError(f"{target}: can not be written ({error.strerror or error}). Run again.") from error
