"""How far the price went against and for each trade while it was held."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from daybook.backtest.kernel import Tape
from daybook.core.arrays import Floats

_WHOLE_BAR = ("end", "ruin")
_AGAINST = ("target",)
"""Closed in favour inside the bar: what lies against the trade in that bar may have come before, so it counts."""
_AT_OPEN = ("signal", "reverse", "time")


def excursions(ledger: Mapping[str, Floats], reason: NDArray[np.str_], tape: Tape) -> tuple[Floats, Floats]:
    """Maximum adverse and favourable excursion of each trade: two (N,) float64 fractions of its entry price, >= 0.

    Bars that were held to their close count whole. Of the exit bar count its open and the price, before cost, at which
    the trade left; the whole bar where it left at the close; and what lies against the trade where it left at its
    target, since bars do not tell the order.
    """
    opens, highs, lows, _, side_costs, _ = tape
    entry, leave = (ledger[name].astype(np.int64) for name in ("entry_bar", "exit_bar"))
    side, fill = ledger["side"], ledger["entry_price"]
    if not fill.size:
        return np.empty(0), np.empty(0)
    left = ledger["exit_price"] / (1.0 - side * side_costs[leave])
    whole, against = np.isin(reason, _WHOLE_BAR), np.isin(reason, _AGAINST)
    inside = ~np.isin(reason, _AT_OPEN)
    worst, best = _held(entry, leave, np.where(side > 0, 1, -1), highs, lows)
    low, high = np.where(side > 0, lows[leave], highs[leave]), np.where(side > 0, highs[leave], lows[leave])
    for price, counts in ((left, np.ones(fill.size, np.bool_)), (opens[leave], inside), (low, whole | against),
                          (high, whole)):
        further = side * price
        worst = np.where(counts, np.fmin(worst, further), worst)
        best = np.where(counts, np.fmax(best, further), best)
    return np.maximum(side - worst / fill, 0.0), np.maximum(best / fill - side, 0.0)


def _held(entry: NDArray[np.int64], leave: NDArray[np.int64], side: NDArray[np.int64], highs: Floats,
          lows: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest of side * price over the bars [entry, leave) of each trade; NaN where there is none."""
    edges = np.column_stack([entry, leave]).ravel()
    least, most = np.fmin.reduceat(lows, edges)[::2], np.fmax.reduceat(highs, edges)[::2]
    none = entry == leave
    least, most = (np.where(none, np.nan, price) for price in (least, most))
    return np.where(side > 0, least, -most), np.where(side > 0, most, -least)
