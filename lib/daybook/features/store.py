"""Feature tables on disk, found again by what they were computed from."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from daybook.core.arrays import Floats32
from daybook.core.errors import DataError
from daybook.core.files import read_json, read_parquet, write_json, write_parquet
from daybook.core.hashing import code_hash, hash_file, hash_json
from daybook.core.time import day_of
from daybook.features.table import FeatureTable, catalog, compute, resolve
from daybook.market.bars import Bars

_LOG = logging.getLogger(__name__)
_HASH_SHOWN = 12
_WRITING = threading.Lock()
"""Temporary files are named after the process, so that two threads of one must not write the same table at once."""


@dataclass(frozen=True)
class FeatureStore:
    """Feature tables below one folder, addressed by content: data hash, code hash of this part, names.

    Layout: `v=<code>/symbol=<S>/timeframe=<T>/<first day>_<last day>_<data and names>.parquet`, hive style, so that
    DuckDB reads all of it at once, and beside each file a JSON sidecar with the full hashes. Days are UTC.
    """

    root: Path

    def table(self, bars: Bars, names: Iterable[str] | None = None) -> FeatureTable:
        """The features of these bars, computed at most once for the same bars, code and names.

        A subset is served from the full table when that is stored. A file that is damaged, or does not match its
        sidecar, is reported in the log, computed again and replaced.
        Raises what `compute` raises, and StorageError when the folder can not be written.
        """
        wanted = tuple(feature.name for feature in resolve(names))
        if not len(bars) or not wanted:
            return compute(bars, wanted)
        for stored_names in dict.fromkeys((wanted, tuple(catalog()))):
            stored = self._load(bars, stored_names, wanted)
            if stored is not None:
                return stored
        table = compute(bars, wanted)
        self._save(bars, table)
        return table

    def path(self, bars: Bars, names: Iterable[str] | None = None) -> Path:
        """Where the table of these bars and names lies, whether or not it exists yet. Bars must not be empty."""
        key = _key(bars, tuple(feature.name for feature in resolve(names)))
        first, last = day_of(int(bars.open_time[0])), day_of(int(bars.open_time[-1]))
        folder = (self.root / f"v={code_hash('features')[:_HASH_SHOWN]}" / f"symbol={quote(bars.symbol, safe='')}"
                  / f"timeframe={bars.timeframe}")
        return folder / f"{first}_{last}_{hash_json(key)[:_HASH_SHOWN]}.parquet"

    def discard_before(self, day: date) -> int:
        """Delete the tables of every code version whose last bar lies before this UTC day; how many were deleted."""
        old = [path for path in self.root.glob("v=*/symbol=*/timeframe=*/*.parquet") if _last_day(path) < day]
        for path in old:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink()
        return len(old)

    def _load(self, bars: Bars, stored_names: tuple[str, ...], wanted: tuple[str, ...]) -> FeatureTable | None:
        path = self.path(bars, stored_names)
        if not path.exists():
            return None
        try:
            sidecar = read_json(path.with_suffix(".json"))
            if sidecar != _sidecar(bars, stored_names, path):
                raise DataError(f"{path}: does not match its sidecar.")
            columns = read_parquet(path, ["open_time", *wanted])
        except DataError as error:
            _LOG.warning("feature table is computed again: %s", error)
            return None
        values: Floats32 = np.empty((len(wanted), len(bars)), dtype=np.float32)
        for row, name in zip(values, wanted, strict=True):
            row[:] = columns.column(name).to_numpy()
        return FeatureTable(wanted, bars.open_time, values.T)

    def _save(self, bars: Bars, table: FeatureTable) -> None:
        path = self.path(bars, table.names)
        with _WRITING:
            write_parquet(path, table.to_arrow(), float_encoding=True)
            write_json(path.with_suffix(".json"), _sidecar(bars, table.names, path))


def _last_day(path: Path) -> date:
    return date.fromisoformat(path.name.split("_")[1])


def _key(bars: Bars, names: tuple[str, ...]) -> dict[str, Any]:
    return {"code": code_hash("features"), "data": bars.data_hash, "names": list(names)}


def _sidecar(bars: Bars, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    market = {"venue": bars.venue, "symbol": bars.symbol, "timeframe": bars.timeframe, "bars": len(bars)}
    return _key(bars, names) | market | {"parquet_sha256": hash_file(path)}
