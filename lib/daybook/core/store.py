"""The published store: one DuckDB file a generation, replaced whole, so that a reader is never in the way.

Publishing copies the newest generation, changes the copy in one transaction, checkpoints, syncs and renames it. Every
generation has a seal beside it (`sha256sum -c` checks it), renamed in first: a file without its seal is not complete.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from daybook.core.errors import LockedError, StorageError
from daybook.core.files import sync_folder, write_text
from daybook.core.hashing import hash_file

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
Transaction = Callable[["duckdb.DuckDBPyConnection"], None]

KEPT_GENERATIONS = 14
STORAGE_VERSION = "v1.5.0"
_CHUNK = 1 << 20
_NAME = re.compile(r"daybook-(\d{6,})\.duckdb", re.ASCII)


class EmptyStoreError(StorageError):
    """Nothing was ever published here."""


class CorruptStoreError(StorageError):
    """No generation is whole."""


class NewerStoreError(StorageError):
    """The store was written by a newer Daybook or DuckDB, which this one must not touch."""


class StoreWarning(UserWarning):
    """The newest generation is damaged and an older one is used."""


@dataclass(frozen=True)
class Schema:
    """The tables of a store: version >= 1, how to create them, and how to come from each older version."""

    version: int
    create: Transaction
    migrations: Mapping[int, Transaction] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation:
    """A complete generation, and what was wrong with newer ones that had to be passed over."""

    number: int
    path: Path
    warnings: tuple[str, ...] = ()


def _warn(text: str) -> None:
    warnings.warn(text, StoreWarning, stacklevel=4)


class Store:
    """The generations below <data>/store. One writer at a time; any number of readers.

    warn: told once about each damaged generation that is passed over. memory_limit and threads hold DuckDB to its share
    of the machine.
    """

    def __init__(
        self, data: Path, schema: Schema, *, memory_limit: str = "512MB", threads: int = 1,
        warn: Callable[[str], None] = _warn,
    ) -> None:
        self.folder = data / "store"
        self.schema = schema
        self._config = {
            "memory_limit": memory_limit, "threads": str(threads), "temp_directory": str(self.folder / "tmp"),
            "storage_compatibility_version": STORAGE_VERSION, "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false", "allow_community_extensions": "false",
        }
        self._warn = warn
        self._told: set[str] = set()
        self._damaged: dict[tuple[int, int, int], str] = {}

    def newest(self) -> Generation | None:
        """The newest generation that opens, or None when nothing was ever published. Raises CorruptStoreError."""
        return self._first(self._opens)

    def verified(self) -> Generation | None:
        """The newest generation that opens and whose every byte is as it was sealed, or None.

        Reads the whole file (about a second a gigabyte). Raises CorruptStoreError or NewerStoreError.
        """
        return self._first(lambda path: self._damage(path) or self._opens(path))

    def read(self, function: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """function(read-only connection) on the newest generation that is whole.

        A damaged block may show itself only inside `function`: when DuckDB complains there and the seal is broken, the
        generation before is read instead. Raises EmptyStoreError, CorruptStoreError or NewerStoreError.
        """
        import duckdb

        while True:
            generation = self.newest()
            if generation is None:
                raise EmptyStoreError(f"{self.folder}: no generation was published yet. Run a research day first.")
            try:
                with self._connected(generation.path, read_only=True) as connection:
                    return function(connection)
            except (duckdb.Error, UnicodeDecodeError):
                if self._damage(generation.path) is None:
                    raise

    def publish(self, transaction: Transaction, *, timeout_s: float = 10.0) -> Generation:
        """Apply one transaction to a copy of the newest whole generation and make the copy the newest.

        A crash, a full disk or an error in `transaction` leaves the store as it was. Raises LockedError when another
        writer does not finish within timeout_s, NewerStoreError, CorruptStoreError, or StorageError.
        """
        with self._locked(timeout_s):
            base = self.verified()
            taken = max((number for number, _ in self._files()), default=0)
            number = taken + 1
            target = self.folder / f"daybook-{number:06d}.duckdb"
            temporary = self.folder / f".{target.name}.tmp"
            self._sweep()
            try:
                if base is not None:
                    _copy(base.path, temporary)
                self._apply(temporary, transaction)
                _seal(temporary, target)
            except OSError as error:
                raise StorageError(
                    f"{target}: can not be written ({error.strerror or error}). Free space or permit writing, then "
                    "publish again; the store is as it was."
                ) from error
            finally:
                self._sweep()
            self._prune()
            return Generation(number, target, base.warnings if base else ())

    def upgrade(self) -> Generation | None:
        """Bring a store of an older schema to this one, on a copy as ever; None when there is nothing to do.

        Readers of tables that an older schema lacks call this first. Raises as `publish` does.
        """
        if self.newest() is None or self.read(_schema_version) == self.schema.version:
            return None
        return self.publish(lambda _connection: None)

    def _apply(self, path: Path, transaction: Transaction) -> None:
        import duckdb

        try:
            with self._connected(path, read_only=False) as connection:
                connection.execute("BEGIN TRANSACTION")
                self._bring_up_to_date(connection)
                transaction(connection)
                connection.execute("COMMIT")
                connection.execute("CHECKPOINT")
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise StorageError(f"{self.folder}: publishing failed ({error}); the store is as it was.") from error
        wal = path.with_name(path.name + ".wal")
        if wal.exists():
            raise StorageError(f"{wal}: the checkpoint left a write-ahead log; the store is as it was.")

    def _bring_up_to_date(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS store_schema (version INTEGER NOT NULL)")
        version = _schema_version(connection)
        if version == self.schema.version:
            return
        if version == 0:
            self.schema.create(connection)
        for step in range(version + 1, self.schema.version + 1) if version else ():
            if step not in self.schema.migrations:
                raise StorageError(f"{self.folder}: no way from schema {version} to {self.schema.version}; rebuild it.")
            self.schema.migrations[step](connection)
        connection.execute("DELETE FROM store_schema")
        connection.execute("INSERT INTO store_schema VALUES (?)", [self.schema.version])

    def _files(self) -> list[tuple[int, Path]]:
        """(number, path) of every generation file, newest first, whole or not."""
        try:
            names = [(found, entry) for entry in self.folder.iterdir() if (found := _NAME.fullmatch(entry.name))]
        except FileNotFoundError:
            return []
        return sorted(((int(found[1]), entry) for found, entry in names), reverse=True)

    def _first(self, problem: Callable[[Path], str | None]) -> Generation | None:
        passed_over: list[str] = []
        for number, path in self._files():
            found = problem(path)
            if found is None:
                for text in passed_over:
                    self._tell(f"{text} Generation {number} is used; rebuild the store from the runs folder.")
                return Generation(number, path, tuple(passed_over))
            passed_over.append(found)
        if passed_over:
            damage = " ".join(passed_over)
            raise CorruptStoreError(
                f"{self.folder}: no generation is whole. {damage} Move it away: the next start rebuilds it from the "
                "runs folder."
            )
        return None

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._warn(text)

    def _opens(self, path: Path) -> str | None:
        """Why a generation can not be used, None if it opens and knows its schema. Raises NewerStoreError."""
        import duckdb

        if not _seal_path(path).exists():
            return self._damage(path)
        if (known := self._damaged.get(_stamp(path))) is not None:
            return known
        try:
            with self._connected(path, read_only=True) as connection:
                version = _schema_version(connection)
        except (duckdb.Error, UnicodeDecodeError) as error:
            if (damage := self._damage(path)) is not None:
                return damage
            raise NewerStoreError(
                f"{path}: this DuckDB can not open it ({error}). Use the version that wrote it."
            ) from error
        if version > self.schema.version:
            raise NewerStoreError(
                f"{path}: store schema {version} is newer than {self.schema.version}, which this Daybook knows. "
                "Nothing was written; use the newer Daybook."
            )
        return None

    def _damage(self, path: Path) -> str | None:
        """How a generation's bytes differ from those that were sealed; None if they do not. Damage is remembered."""
        seal = _seal_path(path)
        stamp = _stamp(path)
        found = hash_file(path)
        try:
            promised = seal.read_text(encoding="ascii").split()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            self._damaged[stamp] = f"{path.name}: its seal {seal.name} can not be read ({error})."
            return self._damaged[stamp]
        if found == promised:
            return None
        self._damaged[stamp] = f"{path.name}: its bytes are not those that were sealed (SHA-256 {found[:12]}...)."
        return self._damaged[stamp]

    @contextmanager
    def _connected(self, path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that sees this file only: no other file, no network, no extension."""
        import duckdb

        connection = duckdb.connect(path, read_only=read_only, config=dict(self._config))
        try:
            connection.execute("SET enable_external_access = false")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _locked(self, timeout_s: float) -> Iterator[None]:
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # A soft lock file would outlive a killed writer; flock is freed by the kernel.
            lock = FileLock(self.folder / ".lock", timeout=timeout_s, fallback_to_soft=False)
            lock.acquire()
        except Timeout:
            raise LockedError(
                f"{self.folder}: another process is publishing and did not finish within {timeout_s:g} s. Wait for it."
            ) from None
        except OSError as error:
            raise StorageError(f"{self.folder}: can not be locked for writing ({error.strerror or error}).") from error
        try:
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what a killed writer left; only the holder of the lock calls this."""
        for left in self.folder.glob(".daybook-*"):
            left.unlink(missing_ok=True)

    def _prune(self) -> None:
        for _, path in self._files()[KEPT_GENERATIONS:]:
            path.unlink(missing_ok=True)
            _seal_path(path).unlink(missing_ok=True)


def _schema_version(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) FROM store_schema").fetchone()
    return int(row[0]) if row else 0


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)


def _seal(temporary: Path, target: Path) -> None:
    """Sync the finished file, write its seal, then rename it in: only now it is the newest generation."""
    digest = hashlib.sha256()
    with temporary.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
        os.fsync(stream.fileno())
    write_text(_seal_path(target), f"{digest.hexdigest()}  {target.name}\n")
    temporary.rename(target)
    sync_folder(target.parent)


def _seal_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
