"""Bars as files that every worker of a sweep opens: written once under the hash of their values, verified on load."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from daybook.core.errors import DataError, StorageError, UsageError
from daybook.core.files import write_atomic
from daybook.market.bars import FIELDS, Bars

_METADATA = b"daybook.bars"
_COLUMNS = ("open_time", *FIELDS)
_OPTIONS: dict[str, Any] = {"compression": "lz4", "use_dictionary": False}
"""A worker opens a file far more often than it is written: lz4 reads four times as fast as zstd with dictionaries."""
_MOST_KEPT_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class BarsFile:
    """One market and timeframe in a Parquet file: where it lies, what it holds, the hash that its values must have.

    uri: a path, `file:///...`, `s3://bucket/...` or another form that pyarrow's file systems open. count: bars.
    """

    uri: str
    venue: str
    symbol: str
    timeframe: str
    count: int
    data_hash: str

    def __len__(self) -> int:
        return self.count

    @property
    def name(self) -> str:
        """`BTCUSDT 5m`, as errors and tables name it."""
        return f"{self.symbol} {self.timeframe}"


def publish_bars(bars: Bars, folder: str | Path) -> BarsFile:
    """Write the bars into the folder under the hash of their values, unless they lie there already.

    folder: a path or a URI that every worker can open. Raises StorageError when it can not be written, UsageError for a
    URI of an unknown kind.
    """
    where = _inside(folder, f"{bars.data_hash}.parquet")
    file = BarsFile(where, bars.venue, bars.symbol, bars.timeframe, len(bars), bars.data_hash)
    files, path = file_system(where)
    try:
        if files.get_file_info(path).type == fs.FileType.NotFound:
            _write(_table(bars, file), files, path)
        elif isinstance(files, fs.LocalFileSystem):
            os.utime(path)  # so that what is in use is not what is discarded
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{where}: can not be written ({error}). Name a folder that this machine may write and "
                           "every worker may read.") from error
    return file


def published_bars(folder: str | Path) -> tuple[BarsFile, ...]:
    """Every market that was published into a folder, by symbol and timeframe; only the ends of the files are read.

    Raises DataError for a Parquet file that publish_bars did not write.
    """
    files, root = file_system(_place(folder))
    try:
        entries = files.get_file_info(fs.FileSelector(root, allow_not_found=True))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{folder}: can not be listed ({error}). Check the place and the rights to read it.") from error
    names = sorted(entry.base_name for entry in entries if entry.extension == "parquet" and entry.base_name[0] != ".")
    found = [_described(_inside(folder, name)) for name in names]
    return tuple(sorted(found, key=lambda file: (file.symbol, file.timeframe, file.venue, file.data_hash)))


def load_bars(file: BarsFile) -> Bars:
    """The bars of a file, verified; those loaded last stay in this process, so that its next task finds them.

    Raises DataError when the file is missing, unreadable, or its values have another hash than was promised.
    """
    kept = _KEPT.get(file.data_hash)
    if kept is not None:
        return kept
    bars = _read(file)
    _KEPT.put(bars)
    return bars


def is_kept(file: BarsFile) -> bool:
    """Whether this process holds the verified bars of a file."""
    return _KEPT.get(file.data_hash) is not None


def _place(folder: str | Path) -> str:
    """The folder as every process names it: a URI as it is, a path made absolute."""
    text = str(folder)
    return text.rstrip("/") if "://" in text else str(Path(text).absolute())


def _inside(folder: str | Path, name: str) -> str:
    """A file of the folder; options that a URI ends in (`?endpoint_override=...`) stay at its end."""
    place, mark, options = _place(folder).partition("?") if "://" in str(folder) else (_place(folder), "", "")
    return f"{place.rstrip('/')}/{name}{mark}{options}"


def file_system(uri: str) -> tuple[fs.FileSystem, str]:
    """pyarrow's file system of a place, and the path inside it. Raises UsageError for a URI of an unknown kind."""
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    try:
        found, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{uri}: no file system opens this ({error}). Allowed are a path, file:///..., "
                         "s3://bucket/... and gs://bucket/....") from None
    return found, path


def _table(bars: Bars, file: BarsFile) -> pa.Table:
    facts = {"venue": file.venue, "symbol": file.symbol, "timeframe": file.timeframe, "count": file.count,
             "data_hash": file.data_hash}
    columns = {name: np.ascontiguousarray(getattr(bars, name)) for name in _COLUMNS}
    return pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(facts, sort_keys=True)})


def _write(table: pa.Table, files: fs.FileSystem, path: str) -> None:
    """Whole or not at all: a local file by rename, an object because a store shows it only once it is complete."""
    if isinstance(files, fs.LocalFileSystem):
        write_atomic(Path(path), lambda temporary: pq.write_table(table, temporary, **_OPTIONS))
    else:
        pq.write_table(table, path, filesystem=files, **_OPTIONS)


def _described(uri: str) -> BarsFile:
    files, path = file_system(uri)
    try:
        facts = json.loads((pq.read_schema(path, filesystem=files).metadata or {})[_METADATA])
        return BarsFile(uri=uri, **facts)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{uri}: not a file of published bars ({error!r}). Keep only files that publish_bars wrote in "
                        "this folder.") from error


def _read(file: BarsFile) -> Bars:
    files, path = file_system(file.uri)
    try:
        with files.open_input_file(path) as source:
            # One thread: the workers of a machine share its cores.
            table = pq.ParquetFile(source).read(columns=list(_COLUMNS), use_threads=False)
    except FileNotFoundError:
        raise DataError(f"{file.uri}: the bars of {file.name} are not there for this worker. Give a folder that every "
                        "worker opens under the same name (engine_folder).") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{file.uri}: the bars of {file.name} can not be read ({error}). Remove the file; the next "
                        "sweep writes it again.") from error
    columns = [np.ascontiguousarray(table.column(name).to_numpy()) for name in _COLUMNS]
    bars = Bars(file.venue, file.symbol, file.timeframe, *columns)
    if bars.data_hash != file.data_hash:
        raise DataError(f"{file.uri}: the bars of {file.name} have hash {bars.data_hash[:12]}, promised was "
                        f"{file.data_hash[:12]}. Remove the file; the next sweep writes it again.")
    return bars


class _Kept:
    """Verified bars of this process, those used last, up to a number of bytes. Their arrays are read-only."""

    def __init__(self, most_bytes: int) -> None:
        self._lock = threading.Lock()
        self._most_bytes = most_bytes
        self._bars: OrderedDict[str, Bars] = OrderedDict()

    def get(self, data_hash: str) -> Bars | None:
        with self._lock:
            bars = self._bars.get(data_hash)
            if bars is not None:
                self._bars.move_to_end(data_hash)
            return bars

    def put(self, bars: Bars) -> None:
        with self._lock:
            self._bars[bars.data_hash] = bars
            while len(self._bars) > 1 and sum(map(_bytes_of, self._bars.values())) > self._most_bytes:
                self._bars.popitem(last=False)


def _bytes_of(bars: Bars) -> int:
    return 8 * len(_COLUMNS) * len(bars)


_KEPT = _Kept(_MOST_KEPT_BYTES)
