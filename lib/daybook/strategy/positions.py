"""The position path that signal bits imply, before any stop: what the designer compares behaviour by."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Bytes


@njit(cache=True, error_model="numpy", nogil=True)
def _walk(bits: Bytes, max_holding: int, out: NDArray[np.int8]) -> None:
    position = held = 0
    for t in range(bits.size):
        before = position
        entries = bits[t] & 5
        if entries == 1:
            position = 1
        elif entries == 4:
            position = -1
        elif (position == 1 and (bits[t] & 2) != 0) or (position == -1 and (bits[t] & 8) != 0):
            position = 0
        held = held + 1 if position == before else 1
        if max_holding > 0 and position == before and held > max_holding:
            position = 0
        out[t] = position


def positions_from_bits(bits: Bytes, max_holding: int = 0) -> NDArray[np.int8]:
    """Position wanted after each close: 1 long, -1 short, 0 flat.

    bits: (T,) uint8 as signal_bits gives. An entry opens or reverses; both entries at once change nothing; an exit
    closes its own side unless an entry of that side stands on the same bar. max_holding: bars after which a position
    is closed, 0 for never. Returns (T,) int8.
    """
    path = np.empty(bits.size, np.int8)
    _walk(bits, max_holding, path)
    return path
