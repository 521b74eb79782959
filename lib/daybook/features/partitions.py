"""One UTC day of features as a Parquet file that says what it was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from daybook.core.arrays import Floats32
from daybook.core.errors import DataError
from daybook.core.files import write_atomic
from daybook.features.table import FeatureTable

_KEY = b"daybook.key"


def write_partition(path: Path, table: FeatureTable, key: str) -> Path:
    """Write a day's table; equal tables and keys give equal bytes. Raises StorageError.

    Floats are byte-stream-split before zstd, which is smaller and faster for them; every page carries a checksum.
    """
    arrow = table.to_arrow().replace_schema_metadata({_KEY: key.encode()})
    return write_atomic(path, lambda temporary: pq.write_table(
        arrow, temporary, compression="zstd", compression_level=1, use_dictionary=False, write_page_checksum=True,
        use_byte_stream_split=list(table.names), write_statistics=["open_time"],
    ))


def read_partition(path: Path, key: str, out: Floats32, names: Sequence[str]) -> None:
    """Read these columns of a day into (F, T) rows. Raises DataError for a file that is damaged or of another key."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            found = (file.schema_arrow.metadata or {}).get(_KEY, b"").decode()
            if found != key or file.metadata.num_rows != out.shape[1]:
                raise DataError(f"{path}: holds the key {found!r}, expected {key!r}.")
            columns = file.read(columns=list(names), use_threads=False)
        for row, name in zip(out, names, strict=True):
            row[:] = columns.column(name).to_numpy()
    except (pa.ArrowException, OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable partition ({error}).") from error
