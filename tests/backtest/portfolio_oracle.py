"""A portfolio told one event after the other, for reading; it shares no code with the kernel on purpose."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from daybook.backtest.portfolio import Leg
from daybook.core.time import Window, timeframe_ms

ROUNDING = 1e-12


@dataclass
class Held:
    """A position of one leg."""

    side: int
    entry_bar: int
    entry_price: float
    quantity: float
    fees: float
    best: float
    funding: float = 0.0


@dataclass
class PlainLeg:
    """A leg with the bars of its window; times in ms."""

    leg: Leg
    first: int
    stop: int
    held: Held | None = None
    mark: float = math.nan
    profit: float = 0.0

    def price(self, name: str, bar: int) -> float:
        return float(getattr(self.leg.bars, name)[self.first + bar])

    def side_cost(self, bar: int) -> float:
        return float(self.leg.costs.side_cost(self.leg.bars)[self.first + bar])

    def opens(self, bar: int) -> int:
        return int(self.leg.bars.open_time[self.first + bar])

    def ends(self, bar: int) -> int:
        """When the bar is complete: after its length, or when the next one opens before that."""
        end = self.opens(bar) + timeframe_ms(self.leg.bars.timeframe)
        return min(end, self.opens(bar + 1)) if bar + 1 < self.count else end

    def funding_due(self, bar: int) -> float:
        """The sum of the rates whose minute lies after the open before this bar and not after its own."""
        rates = self.leg.conditions.funding
        if rates is None:
            return 0.0
        minutes = rates.funding_time // 60_000 * 60_000
        return float(sum(rate for minute, rate in zip(minutes, rates.funding_rate, strict=True)
                         if self.opens(bar - 1) < minute <= self.opens(bar)))

    def worth(self) -> float:
        """What the leg has earned so far, its open position at the mark."""
        held = self.held
        if held is None:
            return self.profit
        return self.profit + held.side * held.quantity * (self.mark - held.entry_price) - held.fees - held.funding

    @property
    def count(self) -> int:
        return self.stop - self.first

    def bits(self, bar: int) -> int:
        """What acts at the open of a bar: decided at the close before it, and so many bars earlier."""
        decided = bar - 1 - self.leg.conditions.latency_bars
        return int(self.leg.bits[self.first + decided]) if decided >= 0 else 0


@dataclass
class PlainPortfolio:
    """Feed it with `run`, then read what it did; money in units of the capital."""

    legs: list[PlainLeg]
    leverage: float
    capital: float
    clock: list[int] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    gross: list[float] = field(default_factory=list)
    net: list[float] = field(default_factory=list)
    profit: list[list[float]] = field(default_factory=list)
    signed: list[list[float]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    ruined: bool = False

    def run(self) -> PlainPortfolio:
        complete: dict[int, list[tuple[PlainLeg, int]]] = defaultdict(list)
        opening: dict[int, list[tuple[PlainLeg, int]]] = defaultdict(list)
        for leg in self.legs:
            for bar in range(leg.count):
                complete[leg.ends(bar)].append((leg, bar))
                opening[leg.opens(bar)].append((leg, bar))
        for now in sorted({*complete, *opening}):
            if now in complete:
                self.complete(now, complete[now])
            if not self.ruined:
                entries = [(leg, bar, side) for leg, bar in opening[now] if (side := self.leave_at_open(leg, bar, now))]
                for leg, bar, side in entries:
                    self.enter(leg, bar, side, now)
        return self

    def worth(self) -> float:
        return 1.0 + math.fsum(leg.worth() for leg in self.legs)

    def exposures(self) -> list[float]:
        return [leg.held.side * leg.held.quantity * leg.mark if leg.held else 0.0 for leg in self.legs]

    def complete(self, now: int, bars: Sequence[tuple[PlainLeg, int]]) -> None:
        if not self.ruined:
            for leg, bar in bars:
                if leg.held:
                    self.stop_inside(leg, leg.held, bar, now)
                leg.mark = leg.price("close", bar)
            self.ruined = self.worth() <= 0
            if self.ruined:
                for leg in self.legs:
                    if leg.held:
                        latest = max(bar for bar in range(leg.count) if leg.opens(bar) < now)
                        self.leave(leg, leg.held, latest, leg.mark, "ruin", now)
            for leg, bar in bars:
                if leg.held and bar == leg.count - 1:
                    self.leave(leg, leg.held, bar, leg.mark, "end", now)
        self.clock.append(now)
        self.equity.append(self.worth())
        self.gross.append(math.fsum(map(abs, self.exposures())))
        self.net.append(math.fsum(self.exposures()))
        self.signed.append([leg.held.side * leg.held.quantity if leg.held else 0.0 for leg in self.legs])
        self.profit.append([leg.worth() for leg in self.legs])

    def stop_inside(self, leg: PlainLeg, held: Held, bar: int, now: int) -> None:
        """The nearest stop first, then the target; the best price moves when the bar is complete."""
        stops, side = leg.leg.stops, held.side
        first, high, low = (leg.price(name, bar) for name in ("open", "high", "low"))
        against, favour = (low, high) if side > 0 else (high, low)

        def reached(price: float, level: float) -> bool:
            return price <= level if side > 0 else price >= level

        levels: list[tuple[float, str]] = []
        if stops.stop_loss:
            levels.append((held.entry_price * (1 - side * stops.stop_loss), "stop"))
        if stops.break_even:
            safe = held.entry_price * (1 + side * stops.break_even)
            if held.best == safe or not reached(held.best, safe):
                levels.append((held.entry_price, "break_even"))
        if stops.trailing_stop:
            levels.append((held.best * (1 - side * stops.trailing_stop), "trailing"))
        if levels:
            nearest = max(level * side for level, _ in levels)
            level, reason = next(one for one in levels if one[0] * side == nearest)
            if reached(against, level):
                self.leave(leg, held, bar, (min if side > 0 else max)(first, level), reason, now)
                return
        if stops.take_profit:
            target = held.entry_price * (1 + side * stops.take_profit)
            if (favour >= target) if side > 0 else (favour <= target):
                self.leave(leg, held, bar, (max if side > 0 else min)(first, target), "target", now)
                return
        held.best = max(held.best, favour) if side > 0 else min(held.best, favour)

    def leave_at_open(self, leg: PlainLeg, bar: int, now: int) -> int:
        """Close what the bits or the longest holding end; returns the side to enter, 0 for none."""
        if bar == 0:
            return 0
        bits = leg.bits(bar)
        long_entry, short_entry = bool(bits & 1), bool(bits & 4)
        if long_entry and short_entry:
            long_entry = short_entry = False
        held = leg.held
        if held is not None:
            held.funding += held.side * held.quantity * leg.price("close", bar - 1) * leg.funding_due(bar)
        if held is None:
            return 1 if long_entry else -1 if short_entry else 0
        if short_entry if held.side > 0 else long_entry:
            self.leave(leg, held, bar, leg.price("open", bar), "reverse", now)
            return -held.side
        same = long_entry if held.side > 0 else short_entry
        if bits & (2 if held.side > 0 else 8) and not same:
            self.leave(leg, held, bar, leg.price("open", bar), "signal", now)
        elif leg.leg.stops.max_holding and bar - held.entry_bar >= leg.leg.stops.max_holding:
            self.leave(leg, held, bar, leg.price("open", bar), "time", now)
        return 0

    def enter(self, leg: PlainLeg, bar: int, side: int, now: int) -> None:
        sizing = leg.leg.sizing
        price = leg.price("open", bar) * (1 + side * leg.side_cost(bar))
        base = 1.0
        if sizing.compounding:
            decided = max(bar - 1 - leg.leg.conditions.latency_bars, 0)
            base = self.equity[self.clock.index(leg.ends(decided))]
        notional = sizing.share(leg.leg.stops) * base
        if sizing.quantity:
            notional = sizing.quantity / self.capital * price
        notional = min(notional, sizing.cap * base)
        if not notional > 0:
            return
        gross = math.fsum(map(abs, self.exposures()))
        if self.leverage < math.inf and gross + notional > self.leverage * self.worth() * (1 + ROUNDING):
            self.refused.append({"leg": leg.leg.name, "time": now, "side": "long" if side > 0 else "short",
                                 "notional": notional, "gross": gross, "equity": self.worth()})
            return
        leg.held = Held(side, bar, price, notional / price, leg.leg.costs.fee * notional, price)
        leg.mark = leg.price("open", bar)

    def leave(self, leg: PlainLeg, held: Held, bar: int, price: float, reason: str, now: int) -> None:
        fill = price * (1 - held.side * leg.side_cost(bar))
        fees = held.fees + leg.leg.costs.fee * held.quantity * fill
        pnl = held.side * held.quantity * (fill - held.entry_price) - fees - held.funding
        self.trades.append({"leg": leg.leg.name, "entry_time": leg.opens(held.entry_bar), "time": now, "reason": reason,
                            "side": "long" if held.side > 0 else "short", "entry_price": held.entry_price,
                            "exit_price": fill, "quantity": held.quantity, "pnl": pnl, "funding": held.funding})
        leg.profit += pnl
        leg.held = None


def plain_portfolio(
    legs: Sequence[Leg], window: Window | None, capital: float, leverage: float | None
) -> PlainPortfolio:
    """Walk over the legs' bars in the window."""
    plain = []
    for leg in legs:
        inside = leg.bars if window is None else leg.bars.within(window)
        first = int(leg.bars.open_time.searchsorted(inside.open_time[0]))
        plain.append(PlainLeg(leg, first, first + len(inside)))
    return PlainPortfolio(plain, math.inf if leverage is None else leverage, capital).run()
