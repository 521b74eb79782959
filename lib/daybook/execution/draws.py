"""What one order pays: drawn from the measured distributions by its own random numbers.

The numbers come from a counter-based generator keyed by seed, metrics, order and leg, so that an order pays the same
whatever was drawn before it, in whichever process, and pays anew when the metrics change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.seeds import generator
from daybook.execution.distribution import Distribution
from daybook.execution.measured import MeasuredCosts
from daybook.execution.metrics import Figure, MarketMetrics
from daybook.execution.states import ANY, SESSIONS, UNKNOWN, VOLATILITIES, session_codes, volatility_codes

_BPS = 1e-4
_SPREAD, _SLIPPAGE, _LATENCY, _REJECT, _DEPTH = range(5)


@dataclass(frozen=True, slots=True)
class Order:
    """One leg of an order that takes the touch.

    order_id, leg: its name; together they fix what it draws. time_ms: when it is sent, ms UTC. volatility: bps per root
    minute before that, as `bar_volatility` has it, NaN where unknown. decision_ms: how long the strategy thought.
    notional: its size in quote currency, or None for one that any touch can fill. Raises UsageError for a time, a
    thinking time or a size that is no such number.
    """

    order_id: str
    leg: str
    symbol: str
    time_ms: float
    volatility: float = float("nan")
    decision_ms: float = 0.0
    notional: float | None = None

    def __post_init__(self) -> None:
        size = 1.0 if self.notional is None else self.notional
        for name, holds, allowed in (
            ("time_ms", math.isfinite(self.time_ms), "ms UTC"),
            ("decision_ms", self.decision_ms >= 0, "a number of at least 0"),
            ("notional", 0 <= size < math.inf, "a number of at least 0, or None"),
        ):
            if not holds:
                found = getattr(self, name)
                raise UsageError(f"order {self.order_id}, leg {self.leg}: {name} is {found!r}, allowed is {allowed}.")


@dataclass(frozen=True, slots=True)
class Execution:
    """What happened to an order: filled whole, or refused whole with a reason.

    side_cost: fraction of the mid paid beyond it, spread and slippage together; 0 of a refused order. latency_ms: None
    where no latency was measured. state: session/volatility of the cell.
    """

    filled: bool
    side_cost: float
    half_spread_bps: float
    slippage_bps: float
    latency_ms: float | None
    state: str
    reason: str = ""


def order_uniforms(seed: int, metrics_identity: str, order_id: str, leg: str) -> Floats:
    """Five numbers in [0, 1) that belong to one leg of one order: spread, slippage, latency, refusal, depth."""
    drawn: Floats = generator(seed, "execution", metrics_identity, order_id, leg).random(5)
    return drawn


def execute(costs: MeasuredCosts, seed: int, order: Order) -> Execution:
    """Draw the execution of an order from measured costs, by inverse CDF.

    A decision slower than the latency budget pays the p90 of slippage, or its own draw where that is worse. An order is
    refused with the measured rate, or when it is larger than the touch that it draws; never filled in part.
    Raises DataError for a market that was not measured.
    """
    market = costs.market(order.symbol)
    session, volatility = _state(market, order)
    uniforms = order_uniforms(seed, costs.identity, order.order_id, order.leg)
    spread = _drawn(market, "spread_bps", session, volatility, uniforms[_SPREAD]) or 0.0
    slippage = _drawn(market, "slippage_touch_bps", session, volatility, uniforms[_SLIPPAGE]) or 0.0
    if order.decision_ms > costs.latency_budget_ms:
        slippage = max(slippage, _level(market.figure("slippage_touch_bps", session, volatility)[0]))
    latency = _drawn(market, "latency_ms", session, volatility, uniforms[_LATENCY])
    reason = _refusal(market, order, (session, volatility), uniforms)
    half, slip = spread / 2 * costs.factor, slippage * costs.factor
    return Execution(
        filled=not reason, side_cost=0.0 if reason else (half + slip) * _BPS, half_spread_bps=half, slippage_bps=slip,
        latency_ms=latency, state=f"{session}/{volatility}", reason=reason,
    )


def _state(market: MarketMetrics, order: Order) -> tuple[str, str]:
    session = SESSIONS[int(session_codes([order.time_ms])[0])]
    code = int(volatility_codes(np.asarray([order.volatility]), market.volatility_edges)[0])
    return session, ANY if code == UNKNOWN else VOLATILITIES[code]


def _drawn(market: MarketMetrics, name: Figure, session: str, volatility: str, uniform: float) -> float | None:
    measured, _ = market.figure(name, session, volatility)
    return None if measured is None else float(measured.quantile(uniform))


def _level(measured: Distribution | None) -> float:
    return 0.0 if measured is None else measured.p90


def _refusal(market: MarketMetrics, order: Order, state: tuple[str, str], uniforms: Floats) -> str:
    rate = market.reject_rate(*state)
    if rate is not None and uniforms[_REJECT] < rate:
        return "refused, as often as orders of this market were"
    if order.notional is not None:
        depth = _drawn(market, "touch_notional", *state, uniforms[_DEPTH])
        if depth is not None and order.notional > depth:
            return "larger than the touch"
    return ""
