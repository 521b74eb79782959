"""One simulation opened up: every trade with its reason, equity and position at every close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daybook.backtest.grid import BlockGrid
from daybook.backtest.kernel import LEDGER, METRICS, REASONS, run_one
from daybook.backtest.metrics import Metrics
from daybook.backtest.simulate import kernel_levels, new_record, window_bits
from daybook.backtest.tape import NOTIONAL, Sizing, WindowTape, window_tape
from daybook.core.arrays import Bytes, Floats, Ints
from daybook.core.time import Window, timeframe_ms
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops, Strategy, signal_bits

if TYPE_CHECKING:
    import pandas as pd

_IN_BAR = tuple(REASONS.index(reason) for reason in ("stop", "target", "end", "ruin"))
TRADE_COLUMNS = ("entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "pnl", "return",
                 "reason", "cost")  # fmt: skip


@dataclass(frozen=True)
class Simulation:
    """What one simulation did; money is in the unit of `sizing.capital`.

    trades: one row a trade in order of exit, columns TRADE_COLUMNS. open_time: (T,) int64 ms UTC of the window's bars.
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
) -> Simulation:
    """Simulate one strategy over a window of the bars and keep everything; metrics equal those of `sweep`.

    params: values by name, the strategy's defaults where absent. Raises SpecError for parameters unknown or out of
    range, WindowError or PriceError for windows or prices that can not be simulated.
    """
    return replay_bits(signal_bits(strategy, bars, params), bars, strategy.stops(params), costs, window, sizing)


def replay_bits(
    bits: Bytes,
    bars: Bars,
    stops: Stops | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    sizing: Sizing = NOTIONAL,
) -> Simulation:
    """`simulate_bits` with every trade, the equity and the position kept; same errors."""
    tape = window_tape(bars, costs or Costs(), window, sizing)
    out = np.empty(len(METRICS))
    record = new_record(len(tape))
    run_one(window_bits(bits, tape), tape.tape, tape.terms, kernel_levels(stops), out, record)
    metrics = Metrics.of_row(out, len(tape))
    ledger = dict(zip(LEDGER, record[1][:metrics.trades].T, strict=True))
    span = window or Window(int(tape.open_time[0]), int(tape.open_time[-1]) + timeframe_ms(bars.timeframe))
    return Simulation(_trades(ledger, tape, sizing.capital), tape.open_time, record[0][0] * sizing.capital,
                      record[0][1] * sizing.capital, metrics, sizing, span)


def _trades(ledger: dict[str, Floats], tape: WindowTape, capital: float) -> pd.DataFrame:
    """The ledger as people read it. A fill at the open carries the bar's open time; one inside it, its close time."""
    import pandas as pd

    entry, leave = (ledger[name].astype(np.int64) for name in ("entry_bar", "exit_bar"))
    reason = ledger["reason"].astype(np.int64)
    inside = np.isin(reason, _IN_BAR)
    bar_ms = timeframe_ms(tape.bars.timeframe)
    columns: dict[str, Any] = {
        "entry_time": tape.open_time[entry],
        "exit_time": tape.open_time[leave] + np.where(inside, bar_ms, 0),
        "side": np.where(ledger["side"] > 0, "long", "short"),
        "entry_price": ledger["entry_price"],
        "exit_price": ledger["exit_price"],
        "quantity": ledger["quantity"] * capital,
        "pnl": ledger["pnl"] * capital,
        "return": ledger["pnl"] / (ledger["quantity"] * ledger["entry_price"]),
        "reason": np.array(REASONS)[reason],
        "cost": ledger["cost"] * capital,
    }
    return pd.DataFrame(columns, columns=list(TRADE_COLUMNS))
