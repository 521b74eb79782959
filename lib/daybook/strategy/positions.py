"""The position path that signal bits imply, before any stop: what the designer compares behaviour by."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Bytes


@njit(cache=True, error_model="numpy", nogil=True)
def _walk(bits: Bytes, out: NDArray[np.int8]) -> None:
    position = 0
    for t in range(bits.size):
        long_entry, short_entry = (bits[t] & 1) != 0, (bits[t] & 4) != 0
        if long_entry and not short_entry:
            position = 1
        elif short_entry and not long_entry:
            position = -1
        elif (position == 1 and (bits[t] & 2) != 0) or (position == -1 and (bits[t] & 8) != 0):
            position = 0
        out[t] = position


def positions_from_bits(bits: Bytes) -> NDArray[np.int8]:
    """Position wanted after each close: 1 long, -1 short, 0 flat.

    bits: (T,) uint8 as signal_bits gives. An entry opens or reverses; both entries at once change nothing; an exit
    closes its own side unless an entry of that side stands on the same bar. Returns (T,) int8.
    """
    path = np.empty(bits.size, np.int8)
    _walk(bits, path)
    return path
