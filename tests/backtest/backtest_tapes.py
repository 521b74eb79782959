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
        inside = trade["reason"] not in ("signal", "reverse", "time")
        told.append(((trade["entry_time"] - start) // step, (trade["exit_time"] - start) // step - inside,
                     trade["side"], round(trade["entry_price"], 9), round(trade["exit_price"], 9), trade["reason"]))
    return told


RSI_SPEC = {
    "name": "rsi-stops", "rationale": "Buys weakness and sells strength, with stops.", "timeframes": ["1m", "5m"],
    "long_entry": "cross_below(rsi(close, window), low_level)",
    "short_entry": "cross_above(rsi(close, window), high_level)",
    "parameters": {
        "window": {"low": 5, "high": 40, "default": 14, "integer": True},
        "low_level": {"low": 10, "high": 50, "default": 30}, "high_level": {"low": 50, "high": 90, "default": 70},
        "sl": {"low": 0.001, "high": 0.1, "default": 0.01}, "tp": {"low": 0.001, "high": 0.1, "default": 0.01}},
    "stop_loss": "sl", "take_profit": "tp",
}
MA_SPEC = {
    "name": "ma-cross", "rationale": "Follows the faster average.", "timeframes": ["1m"],
    "long_entry": "cross_above(sma(close, fast), sma(close, slow))",
    "short_entry": "cross_below(sma(close, fast), sma(close, slow))",
    "parameters": {"fast": {"low": 2, "high": 100, "default": 5, "integer": True},
                   "slow": {"low": 2, "high": 400, "default": 20, "integer": True}},
}


def walk_bars(count: int, seed: int = 1, symbol: str = "BTCUSDT", timeframe: str = "1m") -> Bars:
    """A seeded random walk whose bars gap at the open and have wicks on both sides."""
    rng = np.random.default_rng([seed, *symbol.encode()])
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, count)))
    first = np.concatenate(([100.0], close[:-1])) * (1 + rng.normal(0.0, 0.0003, count))
    up, down = np.abs(rng.normal(0.0, 0.001, (2, count)))
    rows = np.column_stack([first, np.maximum(first, close) * (1 + up), np.minimum(first, close) * (1 - down), close])
    return bars_of(rows, symbol, timeframe)
