"""Prices that stand alone: bars far from their own neighbours, and whether other markets moved in the same minutes.

A bar is extreme when its high or low lies further than a limit beyond the median close of the 15 bars before *and* of
the 15 after it: a crash that stays is none, a wick or a slipped decimal point is. It is excused when another market
moved the same way by at least a quarter as much around it. Nobody excuses a price that doubles or halves and comes
back, or a level that does so and stays: those look like another unit.
The limit of 10 % for 1-minute bars was set on the recorded years (docs/MARKET_DATA.md); longer bars are allowed the
square root of their length more, up to a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.time import MINUTE_MS
from daybook.market.rows import CandleRows

NEIGHBOURS = 15
LIMIT = 0.10
"""Log distance from the neighbours at which a 1-minute bar is extreme."""
LARGEST_LIMIT = log(2.0)
"""Log distance that no other market excuses, and at which a lasting change of level is reported."""
SHARE_OF_OTHERS = 0.25
"""BTC moves less than the smaller coins do in the same fall."""
MINUTES_AROUND = 2

_BARS_OF_A_LEVEL = 3
"""One wrong bar at either end of the data is a spike, not a new level."""
_BLOCK = 64


class Spike(BaseModel):
    """One extreme bar: opening time in ms UTC, which way it went, and how many times its neighbours' price it printed.

    kind: spike comes back, jump stays. others: the furthest that another market moved the same way around it, as a
    fraction of its price; None where no other market has bars there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    open_time_ms: int
    kind: Literal["spike", "jump"]
    side: Literal["up", "down"]
    times: float
    others: float | None = None


@dataclass(frozen=True)
class Spikes:
    """The bars that stand alone, in time order, and how many extreme ones other markets confirmed."""

    alone: tuple[Spike, ...] = ()
    confirmed: int = 0


def find_spikes(rows: CandleRows, length_ms: int, peers: Sequence[CandleRows] = ()) -> Spikes:
    """Extreme bars of one market, judged by its own neighbours and by other markets of the same bar length.

    rows, peers: usable bars, open times rising strictly.
    """
    limit = min(LIMIT * sqrt(length_ms / MINUTE_MS), LARGEST_LIMIT)
    places = _busy(rows, limit)
    if not places.size:
        return Spikes()
    before, after = _medians(rows.close, places)
    alone, confirmed = _jumps(rows, places, before, after), 0
    up = np.log(rows.high[places] / np.fmax(before, after))
    down = np.log(np.fmin(before, after) / rows.low[places])
    for at in np.flatnonzero(np.fmax(up, down) > limit):
        size, rising = float(max(up[at], down[at])), bool(up[at] >= down[at])
        time = int(rows.open_time[places[at]])
        others = _furthest([_move(peer, time, length_ms, rising) for peer in peers])
        if size < LARGEST_LIMIT and others is not None and others >= SHARE_OF_OTHERS * size:
            confirmed += 1
        else:
            alone.append(_spike(time, "spike", size if rising else -size, others))
    return Spikes(tuple(sorted(alone, key=lambda one: one.open_time_ms)), confirmed)


def _spike(time: int, kind: Literal["spike", "jump"], size: float, others: float | None = None) -> Spike:
    return Spike(open_time_ms=time, kind=kind, side="up" if size > 0 else "down", times=round(exp(size), 4),
                 others=None if others is None else round(exp(others) - 1, 6))


def _busy(rows: CandleRows, limit: float) -> Ints:
    """Positions of the bars near which the range of prices exceeds the limit; the others can not be extreme."""
    count = len(rows)
    if count < 3:
        return np.empty(0, np.int64)
    starts = np.arange(0, count, _BLOCK)
    high, low = np.maximum.reduceat(rows.high, starts), np.minimum.reduceat(rows.low, starts)
    around = np.log(_widened(high, np.maximum) / _widened(low, np.minimum)) > limit
    return np.flatnonzero(np.repeat(around, _BLOCK)[:count])


def _widened(values: Floats, pick: np.ufunc) -> Floats:
    wide = values.copy()
    wide[1:] = pick(wide[1:], values[:-1])
    wide[:-1] = pick(wide[:-1], values[1:])
    return wide


def _medians(close: Floats, places: Ints) -> tuple[Floats, Floats]:
    """(P,) median close of up to NEIGHBOURS bars before and after each place; NaN where there are none."""
    edge = np.full(NEIGHBOURS, np.nan)
    padded = np.concatenate([edge, close, edge])
    spans = np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS)
    return _median_rows(spans[places]), _median_rows(spans[places + NEIGHBOURS + 1])


def _median_rows(table: Floats) -> Floats:
    """np.nanmedian along the rows, NaN for a row without a value; that one warns and is ten times slower."""
    ordered = np.sort(table, axis=1)  # NaN last
    known = np.count_nonzero(~np.isnan(table), axis=1)
    row = np.arange(len(table))
    low, high = ordered[row, np.maximum(known - 1, 0) // 2], ordered[row, np.minimum(known // 2, table.shape[1] - 1)]
    found: Floats = (low + high) / 2
    return found


def _jumps(rows: CandleRows, places: Ints, before: Floats, after: Floats) -> list[Spike]:
    """Changes of level beyond LARGEST_LIMIT that stay, each at the bar where the price left the old one."""
    change = np.log(after / before)
    change[(places < _BARS_OF_A_LEVEL) | (places >= len(rows) - _BARS_OF_A_LEVEL)] = 0.0
    found: list[Spike] = []
    far: Bools = np.abs(change) > LARGEST_LIMIT
    breaks = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    runs = np.cumsum(np.isin(np.arange(places.size), breaks) | (np.diff(far, prepend=False)))
    for run in np.unique(runs[far]):
        members = np.flatnonzero((runs == run) & far)
        times = places[members]
        steps = np.abs(np.log(rows.close[times] / rows.close[np.maximum(times - 1, 0)]))
        chosen = members[int(np.argmax(steps))]
        found.append(_spike(int(rows.open_time[places[chosen]]), "jump", float(change[chosen])))
    return found


def _move(peer: CandleRows, time: int, length_ms: int, rising: bool) -> float | None:
    """How far (log) another market went the same way around a time, from its median close before; None without bars."""
    around = MINUTES_AROUND * length_ms
    first, end = np.searchsorted(peer.open_time, [time - around, time + around + 1])
    earliest = np.searchsorted(peer.open_time, time - around - NEIGHBOURS * length_ms)
    if first == end or earliest == first:
        return None
    base = float(np.median(peer.close[earliest:first]))
    return log(peer.high[first:end].max() / base) if rising else log(base / peer.low[first:end].min())


def _furthest(moves: Sequence[float | None]) -> float | None:
    return max((move for move in moves if move is not None), default=None)
