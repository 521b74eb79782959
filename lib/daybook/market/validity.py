"""Which rows are usable bars, and what is wrong with the others. Nothing is repaired."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daybook.core.arrays import Bools
from daybook.market.rows import CandleRows

OK = 0
OFF_GRID = 1
BAD_CLOSE_TIME = 7
CONFLICT = 8

REASONS: tuple[str, ...] = (
    "",
    "open time is off the grid of full bars",
    "a price is missing, infinite, zero or negative",
    "high is below low",
    "high is below open or close",
    "low is above open or close",
    "volume is missing, infinite or negative",
    "close time is outside the bar",
    "another bar with this open time and other values is stored",
)
"""Text of each code; a row bears the code of its first defect in this order."""

Codes = NDArray[np.uint8]


def defects(rows: CandleRows, length_ms: int) -> Codes:
    """(T,) uint8 code of each row's first defect, 0 for a usable bar of this length; see REASONS."""
    with np.errstate(invalid="ignore"):
        body_high, body_low = np.maximum(rows.open, rows.close), np.minimum(rows.open, rows.close)
        checks = (
            rows.open_time % length_ms != 0,
            ~(priced(rows.open) & priced(rows.high) & priced(rows.low) & priced(rows.close)),
            rows.high < rows.low,
            rows.high < body_high,
            rows.low > body_low,
            ~((rows.volume >= 0) & np.isfinite(rows.volume)),
            (rows.close_time <= rows.open_time) | (rows.close_time > rows.open_time + length_ms),
        )
    codes = np.zeros(len(rows), dtype=np.uint8)
    for code in range(len(checks), 0, -1):
        codes[checks[code - 1]] = code
    return codes


def impossible(codes: Codes) -> Bools:
    """(T,) bool: rows whose values no market can have printed, whatever their time."""
    return (codes > OFF_GRID) & (codes < CONFLICT)


def priced(values: NDArray[np.float64]) -> Bools:
    """(T,) bool: finite and above zero; NaN is not."""
    known: Bools = (values > 0) & (values < np.inf)
    return known
