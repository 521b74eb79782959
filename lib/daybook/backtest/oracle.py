"""The rules of a simulation written for reading: one event after the other, plain floats, nothing clever.

Tests hold the fused kernel against this engine over random tapes. It shares no code with the kernel on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

ROUNDING = 1e-12
"""Up to this fraction of the capital a profit, deviation or loss is rounding and counts as none."""


@dataclass(frozen=True)
class Bar:
    """One bar of the tape, with the fraction that a market order pays beyond its price."""

    open: float
    high: float
    low: float
    close: float
    side_cost: float


@dataclass(frozen=True)
class Rules:
    """What does not change during a simulation; 0 switches a stop off, quantity 0 trades the initial capital."""

    fee: float = 0.0
    stop_loss: float = 0.0
    take_profit: float = 0.0
    max_holding: int = 0
    quantity: float = 0.0
    bars_per_year: float = 365.0 * 24 * 60


@dataclass
class Trade:
    """A position from its first fill to its last; money in units of the initial capital."""

    side: int
    entry_bar: int
    entry_price: float
    quantity: float
    fees: float
    spread_paid: float
    exit_bar: int = -1
    exit_price: float = math.nan
    reason: str = ""

    @property
    def pnl(self) -> float:
        """Profit after the fees and spreads of both sides."""
        return self.side * self.quantity * (self.exit_price - self.entry_price) - self.fees


@dataclass
class Oracle:
    """The engine: feed it with `run`, then read `trades`, `equity` and `positions`."""

    bars: Sequence[Bar]
    bits: Sequence[int]
    rules: Rules
    trades: list[Trade] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    bars_held: int = 0
    ruined: bool = False
    open_trade: Trade | None = None

    def run(self) -> Oracle:
        """Walk over the bars once."""
        for t, bar in enumerate(self.bars):
            if t > 0 and not self.ruined:
                self._act_at_open(t, bar)
                if self.open_trade is not None:
                    self.bars_held += 1
                    self._test_stops(self.open_trade, t, bar)
            self._mark(t, bar)
        return self

    def _act_at_open(self, t: int, bar: Bar) -> None:
        """Do at the open what the bits of the bar before ask for."""
        bits = self.bits[t - 1]
        long_entry, long_exit = bool(bits & 1), bool(bits & 2)
        short_entry, short_exit = bool(bits & 4), bool(bits & 8)
        if long_entry and short_entry:
            long_entry = short_entry = False
        trade = self.open_trade
        if trade is None:
            if long_entry:
                self._buy_or_sell(t, bar, 1)
            elif short_entry:
                self._buy_or_sell(t, bar, -1)
            return
        opposite_entry = short_entry if trade.side > 0 else long_entry
        same_entry = long_entry if trade.side > 0 else short_entry
        own_exit = (long_exit if trade.side > 0 else short_exit) and not same_entry
        held_long_enough = self.rules.max_holding > 0 and t - trade.entry_bar >= self.rules.max_holding
        if opposite_entry:
            self._close(trade, t, bar.open, "reverse")
            self._buy_or_sell(t, bar, -trade.side)
        elif own_exit:
            self._close(trade, t, bar.open, "signal")
        elif held_long_enough:
            self._close(trade, t, bar.open, "time")

    def _buy_or_sell(self, t: int, bar: Bar, side: int) -> None:
        price = bar.open * (1 + side * bar.side_cost)
        quantity = self.rules.quantity or 1.0 / price
        self.open_trade = Trade(side, t, price, quantity, self.rules.fee * quantity * price,
                                quantity * bar.open * bar.side_cost)

    def _close(self, trade: Trade, t: int, price: float, reason: str) -> None:
        bar = self.bars[t]
        trade.exit_bar, trade.reason = t, reason
        trade.exit_price = price * (1 - trade.side * bar.side_cost)
        trade.fees += self.rules.fee * trade.quantity * trade.exit_price
        trade.spread_paid += trade.quantity * price * bar.side_cost
        self.trades.append(trade)
        self.open_trade = None

    def _test_stops(self, trade: Trade, t: int, bar: Bar) -> None:
        """Test the levels inside the bar, the stop first; a bar that opens beyond a level fills at its open."""
        rules = self.rules
        stop = trade.entry_price * (1 - trade.side * rules.stop_loss)
        target = trade.entry_price * (1 + trade.side * rules.take_profit)
        if trade.side > 0:
            if rules.stop_loss > 0 and bar.low <= stop:
                self._close(trade, t, min(bar.open, stop), "stop")
            elif rules.take_profit > 0 and bar.high >= target:
                self._close(trade, t, max(bar.open, target), "target")
        elif rules.stop_loss > 0 and bar.high >= stop:
            self._close(trade, t, max(bar.open, stop), "stop")
        elif rules.take_profit > 0 and bar.low <= target:
            self._close(trade, t, min(bar.open, target), "target")

    def _mark(self, t: int, bar: Bar) -> None:
        """Value the account at the close; at ruin and at the end the position is closed there."""
        if not self.ruined and self._value(bar.close) <= 0:
            self.ruined = True
            if self.open_trade is not None:
                self._close(self.open_trade, t, bar.close, "ruin")
        if t == len(self.bars) - 1 and self.open_trade is not None:
            self._close(self.open_trade, t, bar.close, "end")
        self.equity.append(self._value(bar.close))
        self.positions.append(self.open_trade.side * self.open_trade.quantity if self.open_trade else 0.0)

    def _value(self, price: float) -> float:
        value = 1.0 + math.fsum(trade.pnl for trade in self.trades)
        trade = self.open_trade
        if trade is not None:
            value += trade.side * trade.quantity * (price - trade.entry_price) - trade.fees
        return value


def metrics_of(oracle: Oracle) -> dict[str, float]:
    """Every metric of a finished walk by name, NaN where undefined; written from the definitions."""
    returns = [now / before - 1 if now != before else 0.0
               for before, now in zip([1.0, *oracle.equity], oracle.equity, strict=False)]
    count = len(returns)
    mean = math.fsum(returns) / count
    central = [math.fsum((r - mean) ** power for r in returns) for power in (2, 3, 4)]
    std = math.sqrt(central[0] / (count - 1)) if count > 1 else math.nan
    varies = std > ROUNDING
    losing = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / count)
    peak, drawdown = 1.0, 0.0
    for value in oracle.equity:
        peak = max(peak, value)
        drawdown = max(drawdown, 1 - value / peak)
    pnl = [trade.pnl for trade in oracle.trades]
    losses = math.fsum(-p for p in pnl if p < -ROUNDING)
    year = math.sqrt(oracle.rules.bars_per_year)
    return {
        "total_return": oracle.equity[-1] - 1,
        "sharpe": mean / std * year if varies else math.nan,
        "sortino": mean / losing * year if losing > ROUNDING else math.nan,
        "max_drawdown": drawdown,
        "win_rate": sum(p > ROUNDING for p in pnl) / len(pnl) if pnl else math.nan,
        "profit_factor": math.fsum(p for p in pnl if p > ROUNDING) / losses if losses > 0 else math.nan,
        "trades": float(len(pnl)),
        "exposure": oracle.bars_held / count,
        "turnover": math.fsum(t.quantity * (t.entry_price + t.exit_price) for t in oracle.trades),
        "skew": central[1] / count / (central[0] / count) ** 1.5 if varies else math.nan,
        "kurtosis": central[2] / count / (central[0] / count) ** 2 if varies else math.nan,
        "mean_return": mean,
        "std_return": std,
        "costs_paid": math.fsum(t.fees + t.spread_paid for t in oracle.trades),
        "ruined": float(oracle.ruined),
    }
