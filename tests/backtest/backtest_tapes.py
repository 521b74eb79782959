"""Small tapes and their two simulations, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daybook.backtest import Simulation, Sizing, replay_bits
from daybook.core.arrays import Bytes
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

LE, LX, SE, SX = 1, 2, 4, 8
FREE = Costs(fee_bps=0.0, spread_bps=0.0)
MINUTE_MS = 60_000
START_MS = 1_700_000_040_000
"""A whole minute that is no whole hour."""


def bars_of(rows: Sequence[Sequence[float]], symbol: str = "BTCUSDT", timeframe: str = "1m") -> Bars:
    """Bars from rows of open, high, low, close."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    step = {"1m": 1, "5m": 5, "60m": 60}[timeframe] * MINUTE_MS
    times = START_MS // step * step + step * np.arange(len(table), dtype=np.int64)
    return Bars("test", symbol, timeframe, times, *(np.ascontiguousarray(column) for column in table.T),
                np.ones(len(table)))


def flat_bars(closes: Sequence[float]) -> Bars:
    """Bars whose four prices are equal."""
    return bars_of([[price] * 4 for price in closes])


def bits_of(*bits: int) -> Bytes:
    return np.array(bits, dtype=np.uint8)


def bar_window(bars: Bars, start: int, stop: int) -> Window:
    """The window of the bars [start, stop)."""
    step = int(bars.close_time[0] - bars.open_time[0])
    return Window(int(bars.open_time[start]), int(bars.open_time[stop - 1]) + step)


def play(rows: Sequence[Sequence[float]], bits: Sequence[int], stops: Stops | None = None,
         costs: Costs = FREE, sizing: Sizing | None = None) -> Simulation:
    """Replay a hand-written tape."""
    return replay_bits(bits_of(*bits), bars_of(rows), stops or Stops(), costs, None, sizing or Sizing())


def story(simulation: Simulation) -> list[tuple[int, int, str, float, float, str]]:
    """(entry bar, exit bar, side, entry price, exit price, reason) of each trade."""
    start = int(simulation.open_time[0])
    step = int(simulation.open_time[1]) - start
    told = []
    for trade in simulation.trades.to_dict("records"):
        inside = trade["reason"] in ("stop", "target", "end", "ruin")
        told.append(((trade["entry_time"] - start) // step, (trade["exit_time"] - start) // step - inside,
                     trade["side"], round(trade["entry_price"], 9), round(trade["exit_price"], 9), trade["reason"]))
    return told
