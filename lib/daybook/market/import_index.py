"""Which files the store has already taken in, so that a daily import of a large folder costs next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from daybook.core.errors import DataError
from daybook.core.files import read_json, write_json
from daybook.core.hashing import hash_file
from daybook.market.errors import CandleFileError
from daybook.market.store import CandleStore

INDEX_NAME = "_imports.json"


@dataclass(frozen=True)
class FileIdentity:
    """A file's symbol, the venue that was asked for, and the one its folder says; None where nobody says one."""

    symbol: str
    venue_asked: str | None
    venue_folder: str | None


class ImportedFile(BaseModel):
    """One file as it was when it was imported, and where its rows went: to `venue`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    mtime_ns: int
    sha256: str
    symbol: str
    venue_asked: str | None
    venue_folder: str | None
    venue: str
    months: tuple[str, ...]
    rows: int

    @property
    def identity(self) -> FileIdentity:
        """What, beside its content, decides where the file's rows go."""
        return FileIdentity(self.symbol, self.venue_asked, self.venue_folder)


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    files: dict[str, ImportedFile] = {}


class ImportIndex:
    """The index of one store, by absolute path; read once, and merged under a lock when added to."""

    def __init__(self, store: CandleStore) -> None:
        self._store = store
        self._path = store.root / INDEX_NAME
        self._files = self._load()
        self._by_hash = {(entry.sha256, entry.identity): entry for entry in self._files.values()}

    def known(self, path: Path, identity: FileIdentity) -> ImportedFile | None:
        """The entry of a file that is in the store unchanged, or None.

        Equal size and modification time count as unchanged; otherwise the content's hash decides, so that a copied
        or touched file is not read again. A file whose months were removed from the store is not known.
        """
        status = path.stat()
        entry = self._files.get(str(path.absolute()))
        now = (status.st_size, status.st_mtime_ns, identity)
        if entry is None or (entry.size, entry.mtime_ns, entry.identity) != now:
            same_size = any(one.size == status.st_size for one in self._by_hash.values())
            entry = self._by_hash.get((content_hash(path), identity)) if same_size else None
        if entry is None or not self._store.has_months(entry.venue, entry.symbol, entry.months):
            return None
        return entry

    def add(self, entries: Mapping[Path, ImportedFile]) -> None:
        """Add entries to the index on disk, beside whatever another process has added meanwhile."""
        with self._store.locked("imports"):
            for leftover in self._store.root.glob(f".{INDEX_NAME}.*.tmp"):
                leftover.unlink(missing_ok=True)
            files = self._load() | {str(path.absolute()): entry for path, entry in entries.items()}
            write_json(self._path, _Index(files=files).model_dump(mode="json"))
        self._files = files
        self._by_hash |= {(entry.sha256, entry.identity): entry for entry in entries.values()}

    def _load(self) -> dict[str, ImportedFile]:
        if not self._path.exists():
            return {}
        try:
            return _Index.model_validate(read_json(self._path)).files
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise DataError(
                f"{self._path}: not an import index ({'.'.join(map(str, first['loc']))}: {first['msg']}). "
                "Remove it; the next import then reads every file again and loses nothing."
            ) from error


def content_hash(path: Path) -> str:
    """SHA-256 (hex) of a candle file. Raises CandleFileError when it can not be read."""
    try:
        return hash_file(path)
    except OSError as error:
        raise CandleFileError(f"{path}: can not be read ({error.strerror or error}). Permit reading it.") from error
