"""In which states of the market a result was earned: volatility known beforehand, and trading session."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daybook.backtest.block_figures import block_sharpe
from daybook.backtest.grid import BlockGrid
from daybook.core.arrays import Floats, Ints
from daybook.execution.states import (
    SESSIONS,
    UNKNOWN,
    VOLATILITIES,
    bar_volatility,
    session_codes,
    tercile_edges,
    volatility_codes,
)
from daybook.market.bars import Bars


@dataclass(frozen=True)
class StateFigures:
    """What was earned in one state of the market.

    n_hours: market-hours in it. trades: entered in it. total_return: its part of the candidate's total return, so that
    the states of one kind add up to the whole but for hours of unknown state. sharpe: per year spent in the state.
    """

    n_hours: int
    trades: int
    total_return: float | None
    sharpe: float | None
    reason: str | None = None


@dataclass(frozen=True)
class HourStates:
    """The states of each market in each hour: (M, B) int64 places in SESSIONS and VOLATILITIES, UNKNOWN where none."""

    session: Ints
    volatility: Ints

    @classmethod
    def of(cls, markets: Sequence[Bars], grid: BlockGrid) -> HourStates:
        """The states at the start of each hour, from what was known then.

        Volatility is that of the hour before (12 bars if they are longer), and the terciles are those of the market's
        bars before the window, so that no state looks ahead. Too little history, or an hour without a bar: UNKNOWN.
        """
        starts = grid.start_ms + grid.block_ms * np.arange(grid.count, dtype=np.int64)
        session = np.tile(session_codes(starts), (len(markets), 1))
        return cls(session, np.stack([_volatility(bars, grid, starts) for bars in markets]))


def _volatility(bars: Bars, grid: BlockGrid, starts: Ints) -> Ints:
    codes = np.full(grid.count, UNKNOWN, dtype=np.int64)
    before = int(np.searchsorted(bars.open_time, grid.start_ms))
    volatility = bar_volatility(bars)
    first = np.searchsorted(bars.open_time, starts)
    filled = first < np.searchsorted(bars.open_time, starts + grid.block_ms)
    codes[filled] = volatility_codes(volatility[first[filled]], tercile_edges(volatility[:before]))
    return codes


def by_state(codes: Ints, names: Sequence[str], blocks: Floats, entries: Ints) -> dict[str, StateFigures]:
    """state -> figures. codes, blocks, entries: (M, B) state, return and number of entries of each market-hour."""
    found = {}
    for code, name in enumerate(names):
        inside = codes == code
        hours, trades = int(inside.sum()), int(entries[inside].sum())
        if hours == 0:
            found[name] = StateFigures(0, 0, None, None, "no hour of the window is known to be in this state")
            continue
        sharpe = block_sharpe(blocks[inside])
        reason = None if sharpe is not None else "the returns of these hours never differ"
        found[name] = StateFigures(hours, trades, float(math.fsum(blocks[inside])) / len(blocks), sharpe, reason)
    return found


def by_volatility(states: HourStates, blocks: Floats, entries: Ints) -> dict[str, StateFigures]:
    """low, middle, high -> figures."""
    return by_state(states.volatility, VOLATILITIES, blocks, entries)


def by_session(states: HourStates, blocks: Floats, entries: Ints) -> dict[str, StateFigures]:
    """tokyo, london, new_york, off, weekend -> figures."""
    return by_state(states.session, SESSIONS, blocks, entries)
