"""The batches of a ledger that is being made: each lies on disk from the moment at which it was counted.

A step may fail, or its process be killed, after thousands of evaluations. What was looked at stays looked at, so it is
written down at once and not at the end.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from daybook.core.arrays import Floats
from daybook.core.files import read_parquet, write_parquet

PARTS = "trials.parts"
"""Folder beside trials.parquet for the batches of a ledger that is not yet written as a whole."""
RETURNS_TYPE = pa.list_(pa.float32())
"""Block returns of a row, in single precision: enough to compare and to cluster, half the size."""
_RETURNS = "returns"


def returns_list(batch: Floats) -> pa.Array:
    """(rows, B) block returns as one list a row."""
    rows, blocks = batch.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(blocks)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(batch.astype(np.float32).ravel()), type=RETURNS_TYPE)


def write_part(parts: Path, number: int, rows: pa.Table, returns: Floats | None) -> None:
    """Write one batch atomically, its returns in the same file, so that a row and what it points at are never apart."""
    kept = pa.nulls(rows.num_rows, RETURNS_TYPE) if returns is None else returns_list(returns)
    write_parquet(parts / f"{number:06d}.parquet", rows.append_column(_RETURNS, kept))


def read_parts(parts: Path) -> tuple[pa.Table | None, pa.ChunkedArray]:
    """All rows in the order of their batches, and the returns that were kept, in the order in which rows point at them.

    None for the rows when no batch was written. Raises DataError when one can not be read.
    """
    tables = [read_parquet(path) for path in sorted(parts.glob("*.parquet"))]
    if not tables:
        return None, pa.chunked_array([], RETURNS_TYPE)
    whole = pa.concat_tables(tables).combine_chunks()
    return whole.drop_columns([_RETURNS]), whole[_RETURNS].drop_null().cast(RETURNS_TYPE)


def drop_parts(parts: Path) -> None:
    """Remove the batches of a ledger that lies there as a whole."""
    shutil.rmtree(parts, ignore_errors=True)
