"""The plain engine over the same window, and what must hold between it, the kernels, the replay and any ledger."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daybook.backtest import METRICS, Conditions, Simulation, Sizing, replay_bits, simulate_bits
from daybook.backtest.oracle import Bar, Oracle, Rules, metrics_of
from daybook.core.time import bars_per_year
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

PLAIN = Conditions()
YEAR_MS = 365 * 86_400_000
AT_OPEN = ("signal", "reverse", "time")


def walk(bars: Bars, bits: Any, window: Any, stops: Stops, costs: Costs, sizing: Sizing,
         conditions: Conditions = PLAIN) -> Oracle:
    """The plain engine over the same window."""
    inside = bars if window is None else bars.within(window)
    offset = int(np.searchsorted(bars.open_time, inside.open_time[0]))
    side_cost = costs.side_cost(bars)[offset:]
    prices = ("open", "high", "low", "close")
    tape = [Bar(*(float(getattr(inside, name)[t]) for name in prices), float(side_cost[t]), due(conditions, inside, t),
                factor(sizing, bars, offset + t - 1 - conditions.latency_bars), parts(conditions, inside, t))
            for t in range(len(inside))]
    margin, nearest = conditions.margin, min([x for x in (stops.stop_loss, stops.trailing_stop) if x] or [math.nan])
    rules = Rules(
        costs.fee, stops.stop_loss, stops.take_profit, stops.max_holding, (sizing.quantity or 0.0) / sizing.capital,
        bars_per_year(bars.timeframe), stops.trailing_stop, stops.break_even, conditions.latency_bars,
        margin.leverage if margin else 0.0, margin.maintenance if margin else 0.0,
        sizing.risk / nearest if sizing.risk else sizing.volatility_target or sizing.notional,
        sizing.leverage_cap or math.inf, sizing.compounding)
    return Oracle(tape, bits[offset:offset + len(inside)].tolist(), rules).run()


def due(conditions: Conditions, bars: Bars, t: int) -> float:
    """The rates between the open before and this one, this one's instant included."""
    if conditions.funding is None or t == 0:
        return 0.0
    minutes = conditions.funding.funding_time // 60_000 * 60_000
    return math.fsum(rate for minute, rate in zip(minutes, conditions.funding.funding_rate, strict=True)
                     if bars.open_time[t - 1] < minute <= bars.open_time[t])


def factor(sizing: Sizing, bars: Bars, known: int) -> float:
    """1 / annual volatility of the last returns at the close of bar `known`."""
    count = sizing.volatility_bars
    if sizing.volatility_target is None:
        return 1.0
    if known < count:
        return math.nan
    squares = math.fsum(math.log(bars.close[s] / bars.close[s - 1]) ** 2 for s in range(known - count + 1, known + 1))
    span = int(bars.open_time[known] - bars.open_time[known - count])
    return 1 / math.sqrt(squares * YEAR_MS / span) if squares else math.inf


def parts(conditions: Conditions, bars: Bars, t: int) -> tuple[Bar, ...]:
    """The finer bars inside bar t."""
    if conditions.detail is None:
        return ()
    fine = conditions.detail
    return tuple(Bar(*(float(getattr(fine, name)[d]) for name in ("open", "high", "low", "close")))
                 for d in range(len(fine)) if bars.open_time[t] <= fine.open_time[d] < bars.close_time[t])


def assert_agreement(tape: Any, stops: Stops, costs: Costs, sizing: Sizing, conditions: Conditions = PLAIN) -> Oracle:
    """Kernel, replay and plain engine tell the same, and the ledger adds up."""
    bars, bits, window = tape
    oracle = walk(bars, bits, window, stops, costs, sizing, conditions)
    expected = metrics_of(oracle)
    metrics = simulate_bits(bits, bars, stops, costs, window, sizing, conditions)
    # A ratio to a deviation that is itself near the rounding of equity can not be told to nine digits.
    rounding = 4e-15 / max(expected["std_return"], 1e-12)
    vague = {"sharpe": rounding * bars_per_year("1m") ** 0.5, "sortino": rounding * bars_per_year("1m") ** 0.5 * 5,
             "skew": 10 * rounding, "kurtosis": 100 * rounding}
    for name, value in zip(METRICS, metrics.row(), strict=True):
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-9 + vague.get(name, 0.0), err_msg=name)
    done = replay_bits(bits, bars, stops, costs, window, sizing, conditions)
    assert done.metrics == metrics
    assert_same_story(done, oracle, sizing.capital)
    assert_identities(done, bars, costs, conditions)
    return oracle


def assert_same_story(done: Simulation, oracle: Oracle, capital: float) -> None:
    np.testing.assert_allclose(done.equity, np.array(oracle.equity) * capital, rtol=1e-9, atol=1e-9 * capital)
    np.testing.assert_allclose(done.position, np.array(oracle.positions) * capital, rtol=1e-9)
    told = done.trades.to_dict("records")
    assert [(t["side"], t["reason"]) for t in told] == [
        ("long" if t.side > 0 else "short", t.reason) for t in oracle.trades]
    for mine, plain in zip(told, oracle.trades, strict=True):
        assert mine["entry_time"] == done.open_time[plain.entry_bar]
        for name, value in (("entry_price", plain.entry_price), ("exit_price", plain.exit_price)):
            np.testing.assert_allclose(mine[name], value, rtol=1e-12, err_msg=name)
        for name, value in (("quantity", plain.quantity), ("pnl", plain.pnl), ("funding", plain.funding),
                            ("cost", plain.fees + plain.spread_paid)):
            np.testing.assert_allclose(mine[name], value * capital, rtol=1e-9, atol=1e-9 * capital, err_msg=name)


def excursion(trade: dict[str, Any], bars: Bars, side_cost: float) -> tuple[float, float]:
    """(adverse, favourable) of one trade, price after price, as docs/BACKTEST_GUIDE.md counts them."""
    side, reason = (1 if trade["side"] == "long" else -1), trade["reason"]
    entry, after = np.searchsorted(bars.open_time, [trade["entry_time"], trade["exit_time"]])
    leave = int(after) - (reason not in AT_OPEN)
    prices = [price for t in range(int(entry), leave) for price in (bars.high[t], bars.low[t])]
    prices.append(trade["exit_price"] / (1 - side * side_cost))
    if reason not in AT_OPEN:
        prices.append(bars.open[leave])
    if reason in ("end", "ruin"):
        prices += [bars.high[leave], bars.low[leave]]
    if reason == "target":
        prices.append(bars.low[leave] if side > 0 else bars.high[leave])
    moves = [side * (price - trade["entry_price"]) / trade["entry_price"] for price in prices]
    return max(-min(moves), 0.0), max(*moves, 0.0)


def assert_identities(done: Simulation, bars: Bars, costs: Costs, conditions: Conditions = PLAIN) -> None:
    """What holds in any ledger under one side cost: profits add up, cash plus position is the equity, costs cost."""
    capital, inside, trades = done.sizing.capital, bars.within(done.window), done.trades
    close, side_cost = {"rtol": 1e-9, "atol": 1e-9 * capital}, float(costs.side_cost(bars)[0])
    np.testing.assert_allclose(trades["pnl"].sum(), done.equity[-1] - capital, **close)
    np.testing.assert_allclose(done.block_returns("5m").sum(), done.metrics.total_return, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(trades[["spread", "slippage", "fee"]].sum(axis=1), trades["cost"], **close)
    assert (trades[["spread", "slippage", "fee", "cost"]].to_numpy() >= -1e-12 * capital).all()
    np.testing.assert_allclose(trades[["mae", "mfe"]].to_numpy().reshape(-1, 2),
                               np.array([excursion(trade, inside, side_cost) for trade in trades.to_dict("records")]
                                        ).reshape(-1, 2), rtol=1e-9, atol=1e-12)
    signs = np.where(trades["side"] == "long", 1.0, -1.0)
    printed = [trades[f"{leg}_price"] / (1 + way * signs * side_cost) for leg, way in (("entry", 1), ("exit", -1))]
    gross = trades["quantity"] * signs * (printed[1] - printed[0])
    np.testing.assert_allclose(gross - trades["cost"] - trades["funding"], trades["pnl"], **close)
    cash = np.full(len(inside), capital)
    told = trades.to_dict("records")
    for trade in told:
        signed = trade["quantity"] if trade["side"] == "long" else -trade["quantity"]
        entry = int(np.searchsorted(inside.open_time, trade["entry_time"]))
        leave = int(np.searchsorted(inside.open_time, trade["exit_time"])) - (trade["reason"] not in AT_OPEN)
        for at, coins, price in ((entry, signed, trade["entry_price"]), (leave, -signed, trade["exit_price"])):
            cash[at:] -= coins * price + abs(coins) * price * costs.fee
        for t in range(entry + 1, leave + 1):
            cash[t:] -= signed * inside.close[t - 1] * due(conditions, inside, t)
    np.testing.assert_allclose(cash + done.position * inside.close, done.equity, **close)
