"""backtesting.py, another independent engine, agrees where its rules are ours.

Common ground: signals filled at the next open, reversal, a fixed quantity, a fee on both sides, and a stop that its
user moves after each bar. It sets no stop on the entry bar and lets a stop go before an order of the same open, so
stops are compared on tapes where neither happens.
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
from daybook.market.bars import Bars
from daybook.strategy import Stops

COUNT, QUANTITY, CAPITAL, FEE = 240, 50, 100_000.0, 0.0007
TRAIL, EVEN = 0.012, 0.006
COLUMNS = ["entry_price", "exit_price", "quantity", "pnl"]


def random_bits(seed: int, busy: float, values: list[int]) -> Bytes:
    rng = np.random.default_rng(seed)
    bits = np.where(rng.random(COUNT) < busy, rng.choice(values, COUNT), 0).astype(np.uint8)
    bits[0] = 0  # where the other engine does not decide yet
    bits[-3:] = [LX | SX, 0, 0]
    return bits


def peer_trades(bars: Bars, bits: Bytes, stops: Stops) -> pd.DataFrame:
    """What backtesting.py trades on the same signals."""
    import backtesting.backtesting as peer
    from backtesting import Backtest, Strategy

    peer._tqdm = lambda items, **_: items

    class Peer(Strategy):
        def init(self) -> None:
            self.bits = self.I(lambda: bits.astype(float), plot=False)

        def next(self) -> None:
            now, side = int(self.bits[-1]), int(np.sign(self.position.size))
            for trade in self.trades:
                moved = stop_after(trade.size, trade.entry_price, self.data, trade.entry_bar, stops)
                if moved is not None:
                    trade.sl = moved
            entries = now & (LE | SE)
            if entries == LE and side <= 0:
                self.buy(size=QUANTITY)
            elif entries == SE and side >= 0:
                self.sell(size=QUANTITY)
            elif (side > 0 and now & LX and entries != LE) or (side < 0 and now & SX and entries != SE):
                self.position.close()

    index = pd.to_datetime(bars.open_time, unit="ms")
    frame = pd.DataFrame({"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close}, index)
    done = Backtest(frame, Peer, cash=CAPITAL, commission=FEE, margin=0.1, exclusive_orders=True).run()
    table = done["_trades"].sort_values("ExitTime", kind="stable")
    return pd.DataFrame({"entry_price": table["EntryPrice"], "exit_price": table["ExitPrice"],
                         "quantity": table["Size"].abs().astype(float), "pnl": table["PnL"]}).reset_index(drop=True)


def stop_after(size: int, fill: float, data: Any, entry: int, stops: Stops) -> float | None:
    """Where a person would put the stop at the close of the newest bar."""
    side = 1 if size > 0 else -1
    reach = data.High[entry:] if side > 0 else data.Low[entry:]
    best = side * max(side * np.append(reach, fill))
    levels = []
    if stops.trailing_stop:
        levels.append(best * (1 - side * stops.trailing_stop))
    if stops.break_even and side * (best / fill - 1) >= stops.break_even:
        levels.append(fill)
    return side * max(side * level for level in levels) if levels else None


def replayed(bars: Bars, bits: Bytes, stops: Stops) -> Simulation:
    return replay_bits(bits, bars, stops, Costs(FEE * 1e4, 0.0), None, Sizing(CAPITAL, QUANTITY))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_backtesting_py_agrees_without_stops() -> None:
    bars, count = walk_bars(COUNT, seed=4), 0
    busy = [LE, LX, SE, SX, LE | SX, SE | LX, LX | SX, LE | LX, SE | SX, LE | SE]
    for seed in range(15):
        bits = random_bits(seed, 0.04 + 0.02 * seed, busy)
        mine, other = replayed(bars, bits, Stops()).trades, peer_trades(bars, bits, Stops())
        np.testing.assert_allclose(mine[COLUMNS], other[COLUMNS], rtol=1e-9)
        count += len(mine)
    assert count > 150


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stops", [Stops(trailing_stop=TRAIL), Stops(trailing_stop=TRAIL, break_even=EVEN)])
def test_backtesting_py_agrees_on_stops_that_follow_the_price(stops: Stops) -> None:
    reasons: list[str] = []
    for seed in range(40):
        bars, bits = walk_bars(COUNT, seed=seed), random_bits(seed, 0.03, [LE, SE])
        done = replayed(bars, bits, stops)
        if comparable(done, bars, bits, stops):
            np.testing.assert_allclose(done.trades[COLUMNS], peer_trades(bars, bits, stops)[COLUMNS], rtol=1e-9)
            reasons += done.trades["reason"].tolist()
    assert reasons.count("trailing") > 20
    assert not stops.break_even or reasons.count("break_even") > 5


def comparable(done: Simulation, bars: Bars, bits: Bytes, stops: Stops) -> bool:
    """No stop is met on an entry bar, and no bar that meets one has a signal acting at its open."""
    for trade in done.trades.to_dict("records"):
        side = 1 if trade["side"] == "long" else -1
        enter, leave = np.searchsorted(bars.open_time, [trade["entry_time"], trade["exit_time"]])
        inside = trade["reason"] in ("trailing", "break_even")
        leave -= inside
        worst = bars.low if side > 0 else bars.high
        if side * (worst[enter] - trade["entry_price"] * (1 - side * stops.trailing_stop)) <= 0:
            return False
        if inside and bits[leave - 1]:
            return False
        if not inside and leave > enter and leave < len(bars):
            reach = (bars.high if side > 0 else bars.low)[enter:leave]
            best = side * max(side * np.append(reach, trade["entry_price"]))
            levels = [best * (1 - side * stops.trailing_stop)]
            if stops.break_even and side * (best / trade["entry_price"] - 1) >= stops.break_even:
                levels.append(trade["entry_price"])
            if side * (worst[leave] - side * max(side * level for level in levels)) <= 0:
                return False
    return True
