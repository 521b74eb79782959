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
    """One bar of the tape, with the fraction that a market order pays beyond its price.

    funding_rate: what is due on a position carried into the bar. factor: what its entry's size is multiplied by.
    inside: the finer bars that make it up, oldest first; none where they are not known.
    """

    open: float
    high: float
    low: float
    close: float
    side_cost: float = 0.0
    funding_rate: float = 0.0
    factor: float = 1.0
    inside: tuple[Bar, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What does not change during a simulation; 0 switches a stop off, quantity 0 trades a share of the capital.

    leverage: notional per margin, 0 for none. cap: largest notional of an entry per capital.
    """

    fee: float = 0.0
    stop_loss: float = 0.0
    take_profit: float = 0.0
    max_holding: int = 0
    quantity: float = 0.0
    bars_per_year: float = 365.0 * 24 * 60
    trailing_stop: float = 0.0
    break_even: float = 0.0
    latency_bars: int = 0
    leverage: float = 0.0
    maintenance: float = 0.0
    share: float = 1.0
    cap: float = math.inf
    compounding: bool = False


@dataclass
class Trade:
    """A position from its first fill to its last; money in units of the initial capital. best: price since entry."""

    side: int
    entry_bar: int
    entry_price: float
    quantity: float
    fees: float
    spread_paid: float
    best: float
    funding: float = 0.0
    exit_bar: int = -1
    exit_price: float = math.nan
    reason: str = ""

    @property
    def pnl(self) -> float:
        """Profit after the fees and spreads of both sides and after funding."""
        return self.side * self.quantity * (self.exit_price - self.entry_price) - self.fees - self.funding


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
                self._pay_funding(t, bar)
                self._act_at_open(t, bar)
                if self.open_trade is not None:
                    self.bars_held += 1
                    self._go_through(self.open_trade, t, bar)
            self._mark(t, bar)
        return self

    def _pay_funding(self, t: int, bar: Bar) -> None:
        """A long position pays a positive rate on what it was worth at the last close; a short one receives it."""
        trade = self.open_trade
        if trade is not None:
            trade.funding += trade.side * trade.quantity * self.bars[t - 1].close * bar.funding_rate

    def _act_at_open(self, t: int, bar: Bar) -> None:
        """Do at the open what the bits ask for that were decided at the bar before, or earlier by the latency."""
        decided = t - 1 - self.rules.latency_bars
        bits = self.bits[decided] if decided >= 0 else 0
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
        """Open a position of the size that was known at the decision; none where the size is not known."""
        rules = self.rules
        price = bar.open * (1 + side * bar.side_cost)
        decided = max(t - 1 - rules.latency_bars, 0)
        capital = self.equity[decided] if rules.compounding else 1.0
        quantity = rules.quantity or rules.share * bar.factor * capital / price
        quantity = min(rules.cap * capital / price, quantity) if not math.isnan(quantity) else 0.0
        if quantity > 0:
            self.open_trade = Trade(side, t, price, quantity, rules.fee * quantity * price,
                                    quantity * bar.open * bar.side_cost, best=price)

    def _close(self, trade: Trade, t: int, price: float, reason: str) -> None:
        bar = self.bars[t]
        trade.exit_bar, trade.reason = t, reason
        trade.exit_price = price * (1 - trade.side * bar.side_cost)
        trade.fees += self.rules.fee * trade.quantity * trade.exit_price
        trade.spread_paid += trade.quantity * price * bar.side_cost
        self.trades.append(trade)
        self.open_trade = None

    def _go_through(self, trade: Trade, t: int, bar: Bar) -> None:
        """Pass the bars inside a bar, or the bar itself, until one of them closes the position."""
        for part in bar.inside or (bar,):
            if self._touches(trade, t, part):
                return
            trade.best = max(trade.best, part.high) if trade.side > 0 else min(trade.best, part.low)

    def _touches(self, trade: Trade, t: int, bar: Bar) -> bool:
        """Close at what the price meets first; a bar that opens beyond a level fills at its open.

        Levels against the position are met before the target, and of two of them the nearer one first.
        """
        worst, furthest = (bar.low, bar.high) if trade.side > 0 else (bar.high, bar.low)
        stop, reason = self._stop(trade)
        if self.rules.leverage > 0:
            margin = 1 / self.rules.leverage
            liquidation = self._level(trade, -(margin - self.rules.maintenance))
            opened_there = not self._beyond(trade, bar.open, liquidation)
            reached = not self._beyond(trade, worst, liquidation)
            nearer = stop is None or not self._beyond(trade, stop, liquidation)
            if opened_there or (reached and nearer):
                self._close(trade, t, self._worse(trade, bar.open, self._level(trade, -margin)), "liquidation")
                return True
        if stop is not None and not self._beyond(trade, worst, stop):
            self._close(trade, t, self._worse(trade, bar.open, stop), reason)
            return True
        target = self._level(trade, self.rules.take_profit)
        if self.rules.take_profit > 0 and not self._beyond(trade, target, furthest):
            self._close(trade, t, max(bar.open, target) if trade.side > 0 else min(bar.open, target), "target")
            return True
        return False

    def _stop(self, trade: Trade) -> tuple[float | None, str]:
        """The stop nearest to the price and its name, from what was known before the bar."""
        rules = self.rules
        found: list[tuple[float, str]] = []
        if rules.stop_loss > 0:
            found.append((self._level(trade, -rules.stop_loss), "stop"))
        if rules.break_even > 0 and not self._beyond(trade, self._level(trade, rules.break_even), trade.best):
            found.append((trade.entry_price, "break_even"))
        if rules.trailing_stop > 0:
            found.append((trade.best * (1 - trade.side * rules.trailing_stop), "trailing"))
        nearest: tuple[float | None, str] = (None, "")
        for level, name in found:
            if nearest[0] is None or self._beyond(trade, level, nearest[0]):
                nearest = (level, name)
        return nearest

    @staticmethod
    def _level(trade: Trade, move: float) -> float:
        """The price at which the position has gained a fraction of its entry price."""
        return trade.entry_price * (1 + trade.side * move)

    @staticmethod
    def _beyond(trade: Trade, price: float, other: float) -> bool:
        """Whether a price is better for the position than another one."""
        return price > other if trade.side > 0 else price < other

    @staticmethod
    def _worse(trade: Trade, price: float, other: float) -> float:
        return min(price, other) if trade.side > 0 else max(price, other)

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
            value += trade.side * trade.quantity * (price - trade.entry_price) - trade.fees - trade.funding
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
