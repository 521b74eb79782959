"""vectorbt, an independent engine, agrees where its rules are ours.

Common ground: signals moved to the next bar and filled at its open, slippage and fees per side, reversal, fixed
quantity. vectorbt leaves the last position open, so each tape ends with an exit; it tests no stop on the entry bar and
lets a stop override a signal at the same bar's open, so stops are compared on tapes where neither happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_tapes import LE, LX, SE, SX, walk_bars

from daybook.backtest import Simulation, Sizing, replay_bits
from daybook.core.arrays import Bytes
from daybook.execution import Costs
from daybook.strategy import Stops

CASES, COUNT = 40, 240
COSTS = Costs(fee_bps=7.0, spread_bps=6.0)
SIZING = Sizing(capital=100_000.0, quantity=100.0)
BARS = walk_bars(COUNT, seed=4)


def random_bits(seed: int, busy: float, values: list[int]) -> Bytes:
    rng = np.random.default_rng(seed)
    bits = np.where(rng.random(COUNT) < busy, rng.choice(values, COUNT), 0).astype(np.uint8)
    bits[-3:] = [LX | SX, 0, 0]
    return bits


def portfolio(bits: list[Bytes], **options: Any) -> Any:
    """vectorbt's simulation of every column of bits."""
    import vectorbt

    acted = np.zeros((COUNT, len(bits)), dtype=np.uint8)
    acted[1:] = np.column_stack(bits)[:-1]
    index = pd.to_datetime(BARS.open_time, unit="ms")
    prices = {name: getattr(BARS, name)[:, None] for name in ("open", "high", "low")}
    return vectorbt.Portfolio.from_signals(
        pd.Series(BARS.close, index), pd.DataFrame((acted & LE) != 0, index), (acted & LX) != 0, (acted & SE) != 0,
        (acted & SX) != 0, size=SIZING.quantity, price=prices["open"], slippage=float(COSTS.half_spread(BARS)[0]),
        fees=COSTS.fee, init_cash=SIZING.capital, upon_long_conflict="entry", upon_short_conflict="entry",
        upon_dir_conflict="ignore", upon_opposite_entry="reverse", freq="1min", **prices, **options)


def assert_agree(done: list[Simulation], other: Any) -> None:
    trades = other.trades.closed
    value = np.asarray(other.value()).reshape(COUNT, -1)
    theirs = {
        "total_return": other.total_return(), "sharpe": other.sharpe_ratio(), "sortino": other.sortino_ratio(),
        "max_drawdown": -other.max_drawdown(), "win_rate": trades.win_rate(), "profit_factor": trades.profit_factor(),
        "trades": trades.count()}
    for name, values in theirs.items():
        mine = [getattr(one.metrics, name) for one in done]
        given = np.array(values, dtype=float).reshape(-1)
        given[np.isinf(given)] = np.nan  # vectorbt calls a ratio without losses infinite, Daybook undefined
        np.testing.assert_allclose(np.array(mine, dtype=float), given, rtol=1e-9, atol=1e-12, err_msg=name)
    for column, one in enumerate(done):
        np.testing.assert_allclose(one.equity, value[:, column], rtol=1e-12)
        records = trades.records[trades.records["col"] == column]
        np.testing.assert_allclose(one.trades["pnl"], records["pnl"], rtol=1e-8, atol=1e-9 * SIZING.capital)
        np.testing.assert_allclose(one.trades["exit_price"], records["exit_price"], rtol=1e-12)


@pytest.mark.slow
def test_vectorbt_agrees_without_stops() -> None:
    busy = [LE, LX, SE, SX, LE | SX, SE | LX, LX | SX, LE | LX, SE | SX, LE | SE]
    bits = [random_bits(seed, 0.02 + 0.02 * seed, busy) for seed in range(CASES)]
    done = [replay_bits(one, BARS, None, COSTS, None, SIZING) for one in bits]
    assert sum(one.metrics.trades for one in done) > 1000
    assert_agree(done, portfolio(bits))


@pytest.mark.slow
def test_vectorbt_agrees_on_stops_after_the_entry_bar() -> None:
    stops = Stops(0.006, 0.008)
    bits, done = [], []
    for seed in range(1000, 1400):
        one = random_bits(seed, 0.025, [LE, SE])
        mine = replay_bits(one, BARS, stops, COSTS, None, SIZING)
        if mine.metrics.trades > 2 and stops_are_comparable(mine, one, stops):
            bits.append(one)
            done.append(mine)
    reasons = pd.concat([one.trades["reason"] for one in done]).value_counts()
    assert len(bits) > 20
    assert reasons["stop"] > 20
    assert reasons["target"] > 20
    assert_agree(done, portfolio(bits, sl_stop=stops.stop_loss, tp_stop=stops.take_profit,
                                 stop_entry_price="fillprice", stop_exit_price="stopmarket"))


def stops_are_comparable(done: Simulation, bits: Bytes, stops: Stops) -> bool:
    """No level is touched on an entry bar, and no bar that touches one has a signal acting at its open."""
    for trade in done.trades.to_dict("records"):
        side = 1 if trade["side"] == "long" else -1
        enter, leave = np.searchsorted(BARS.open_time, [trade["entry_time"], trade["exit_time"]])
        if trade["reason"] in ("stop", "target"):
            leave -= 1
            if leave == enter or bits[leave - 1]:
                return False
            continue
        levels = trade["entry_price"] * np.array([1 - side * stops.stop_loss, 1 + side * stops.take_profit])
        if BARS.low[leave] <= levels.min() or BARS.high[leave] >= levels.max():
            return False
    return True
