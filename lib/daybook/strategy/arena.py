"""Memory for columns that outlives the plan that used it: touching fresh pages costs more than filling known ones."""

from __future__ import annotations

import threading

import numpy as np

from daybook.core.arrays import Floats

_KEPT_BYTES = 32 * 1024 * 1024
"""What a thread keeps at most between two plans; an arena of which more was touched is freed."""


class _Kept(threading.local):
    cells: Floats | None = None


_kept = _Kept()


def borrow(rows: int, width: int) -> Floats:
    """(rows, width) float64 with arbitrary content: this thread's kept memory if that is large enough."""
    cells, _kept.cells = _kept.cells, None
    if cells is None or cells.size < rows * width:
        cells = np.empty(rows * width)
    return cells[:rows * width].reshape(rows, width)


def give_back(arena: Floats, used_rows: int) -> None:
    """Keep the memory of a borrowed arena, of which the first rows were used, for the next plan of this thread."""
    cells = arena.base
    if isinstance(cells, np.ndarray) and used_rows * arena.shape[1] * arena.itemsize <= _KEPT_BYTES:
        _kept.cells = cells
