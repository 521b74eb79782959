"""One simulation opened up: every trade with its reason, equity and position at every close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.excursions import excursions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.kernel import LEDGER, METRICS, REASONS
from daybook.backtest.metrics import Metrics
from daybook.backtest.simulate import new_record, simulate_one, window_bits
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.tape import WindowTape, require_one_market, window_tape
from daybook.core.arrays import Bytes, Floats, Ints
from daybook.core.time import Window, timeframe_ms
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops, Strategy, signal_bits

if TYPE_CHECKING:
    import pandas as pd

AT_OPEN = ("signal", "reverse", "time")
"""Reasons of exits at an open; all others come inside a bar or at its close."""
TRADE_COLUMNS = ("entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "pnl", "return",
                 "reason", "cost", "spread", "slippage", "fee", "funding", "mae", "mfe")  # fmt: skip


@dataclass(frozen=True)
class Simulation:
    """What one simulation did; money is in the unit of `sizing.capital`.

    trades: one row a trade in order of exit, columns TRADE_COLUMNS. cost is the sum of spread, slippage and fee;
    funding is what was paid beside it, negative where it was received; pnl is after both. mae, mfe: the furthest price
    against and for the trade while it was held, as fractions of the entry price, never negative.
    open_time: (T,) int64 ms UTC of the window's bars.
    equity: (T,) float64 at each close. position: (T,) float64 signed base coins held after each close.
    """

    trades: pd.DataFrame
    open_time: Ints
    equity: Floats
    position: Floats
    metrics: Metrics
    sizing: Sizing
    window: Window

    def block_returns(self, block: str = "60m") -> Floats:
        """(B,) float64 equity change per block of the window, as a fraction of the capital; sums to total_return."""
        grid = BlockGrid.of(self.window, block)
        return grid.changes(self.open_time, self.equity / self.sizing.capital)


def replay(
    strategy: Strategy,
    bars: Bars,
    params: Mapping[str, float] | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    sizing: Sizing = NOTIONAL,
    conditions: Conditions = PLAIN,
) -> Simulation:
    """Simulate one strategy over a window of the bars and keep everything.

    Metrics are those of `sweep`: trades, returns, costs and drawdown exactly, sums over all bars' returns to 1e-9.
    params: values by name, the strategy's defaults where absent. Raises SpecError for parameters unknown or out of
    range, and what `simulate_bits` raises.
    """
    require_one_market(bars)
    bits = signal_bits(strategy, bars, params)
    return replay_bits(bits, bars, strategy.stops(params), costs, window, sizing, conditions)


def replay_bits(
    bits: Bytes,
    bars: Bars,
    stops: Stops | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    sizing: Sizing = NOTIONAL,
    conditions: Conditions = PLAIN,
) -> Simulation:
    """`simulate_bits` with every trade, the equity and the position kept; same errors."""
    costs = costs or Costs()
    tape = window_tape(bars, costs, window, sizing, conditions)
    out = np.empty(len(METRICS))
    record = new_record(len(tape))
    simulate_one(window_bits(bits, tape), tape, stops or Stops(), out, record)
    metrics = Metrics.of_row(out, len(tape))
    ledger = dict(zip(LEDGER, record[1][:metrics.trades].T, strict=True))
    span = window or Window(int(tape.open_time[0]), int(tape.open_time[-1]) + timeframe_ms(bars.timeframe))
    half_spread = costs.half_spread(bars)[tape.start:tape.stop]
    return Simulation(_trades(ledger, tape, half_spread, sizing.capital), tape.open_time, record[0][0] * sizing.capital,
                      record[0][1] * sizing.capital, metrics, sizing, span)


def _trades(ledger: dict[str, Floats], tape: WindowTape, half_spread: Floats, capital: float) -> pd.DataFrame:
    """The ledger as people read it. A fill at the open carries the bar's open time; one inside it, its close time."""
    import pandas as pd

    entry, leave = (ledger[name].astype(np.int64) for name in ("entry_bar", "exit_bar"))
    reason = np.array(REASONS)[ledger["reason"].astype(np.int64)]
    inside = ~np.isin(reason, AT_OPEN)
    paid = _paid(ledger, tape, half_spread)
    mae, mfe = excursions(ledger, reason, tape.tape)
    columns: dict[str, Any] = {
        "entry_time": tape.open_time[entry],
        "exit_time": tape.open_time[leave] + np.where(inside, timeframe_ms(tape.bars.timeframe), 0),
        **trade_figures(ledger, reason, capital),
        **{name: amount * capital for name, amount in paid.items()},
        "mae": mae,
        "mfe": mfe,
    }
    return pd.DataFrame(columns, columns=list(TRADE_COLUMNS))


def trade_figures(ledger: dict[str, Floats], reason: NDArray[np.str_], capital: float) -> dict[str, Any]:
    """What every table of trades tells of a ledger, in the unit of the capital; `return` is a fraction of the entry.

    ledger: (N,) float64 by name, one value a trade, in units of the initial capital. reason: (N,) names of REASONS.
    """
    return {
        "side": np.where(ledger["side"] > 0, "long", "short"),
        "entry_price": ledger["entry_price"],
        "exit_price": ledger["exit_price"],
        "quantity": ledger["quantity"] * capital,
        "pnl": ledger["pnl"] * capital,
        "return": ledger["pnl"] / (ledger["quantity"] * ledger["entry_price"]),
        "reason": reason,
        "cost": ledger["cost"] * capital,
        "funding": ledger["funding"] * capital,
    }


def _paid(ledger: dict[str, Floats], tape: WindowTape, half_spread: Floats) -> dict[str, Floats]:
    """spread, slippage and fee of each trade over both its fills, in units of the capital; they sum to its cost."""
    side_cost, quantity = tape.tape[4], ledger["quantity"]
    spread = slippage = np.zeros(quantity.size)
    for fill, direction in (("entry", ledger["side"]), ("exit", -ledger["side"])):
        bar = ledger[f"{fill}_bar"].astype(np.int64)
        printed = quantity * ledger[f"{fill}_price"] / (1.0 + direction * side_cost[bar])
        spread = spread + printed * half_spread[bar]
        slippage = slippage + printed * (side_cost[bar] - half_spread[bar])
    fee = tape.terms[0] * quantity * (ledger["entry_price"] + ledger["exit_price"])
    return {"spread": spread, "slippage": slippage, "fee": fee}
