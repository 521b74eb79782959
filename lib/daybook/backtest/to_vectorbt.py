"""One simulation as a `vectorbt.Portfolio`, for the charts and tables that an analyst knows from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daybook.backtest.replay import AT_OPEN, Simulation
from daybook.core.errors import UsageError
from daybook.core.quick_imports import skip_iri_grammar
from daybook.core.time import timeframe_ms
from daybook.market.bars import Bars

if TYPE_CHECKING:
    from vectorbt import Portfolio


def to_vectorbt(simulation: Simulation, bars: Bars) -> Portfolio:
    """The simulation's own fills as vectorbt's order records: nothing is simulated again.

    bars: those that were simulated; the window is cut out of them. Trades, prices, fees, equity, returns and final
    value are the simulation's. A bar may hold several orders (an entry and its stop), which `Portfolio.from_orders` can
    not take. Funding, which vectorbt does not know, is charged with the fee of the exit, so that equity in between is
    without it. Charts are plain figures from then on (`use_widgets` off): widgets do not live in saved pages.
    Raises UsageError for bars that are not those of the simulation.
    """
    inside = bars.within(simulation.window)
    if not np.array_equal(inside.open_time, simulation.open_time):
        raise UsageError(f"to_vectorbt: the simulation has {len(simulation.open_time)} bars, {bars.name} has "
                         f"{len(inside)} in its window, or others. Give the bars that were simulated.")
    skip_iri_grammar()
    import pandas as pd
    import vectorbt

    vectorbt.settings.plotting["use_widgets"] = False
    index = pd.to_datetime(inside.open_time, unit="ms", utc=True).rename("open time")
    wrapper = vectorbt.ArrayWrapper(index, [bars.symbol], 1, freq=pd.Timedelta(timeframe_ms(bars.timeframe), "ms"))
    log_records = np.empty(0, dtype=vectorbt.portfolio.enums.log_dt)
    return vectorbt.Portfolio(
        wrapper, pd.Series(inside.close, index, name=bars.symbol), _orders(simulation, timeframe_ms(bars.timeframe)),
        log_records, np.array([simulation.sizing.capital]), False)


def _orders(simulation: Simulation, bar_ms: int) -> np.ndarray[Any, Any]:
    """Two order records a trade, its entry and its exit, in the order in which they were filled."""
    from vectorbt.portfolio.enums import OrderSide, order_dt

    trades, times = simulation.trades, simulation.open_time
    columns = {name: trades[name].to_numpy() for name in ("entry_price", "exit_price", "quantity", "fee", "funding")}
    long = trades["side"].to_numpy() == "long"
    enter = np.searchsorted(times, trades["entry_time"].to_numpy(dtype=np.int64))
    inside = ~trades["reason"].isin(AT_OPEN).to_numpy()  # told at the bar's close, which a next bar may precede
    leave = np.searchsorted(times, trades["exit_time"].to_numpy(dtype=np.int64) - bar_ms * inside)
    traded = columns["quantity"] * (columns["entry_price"] + columns["exit_price"])
    rate = columns["fee"] / traded
    records = np.zeros(2 * len(trades), dtype=order_dt)
    for place, bar, price, buys in ((0, enter, "entry_price", long), (1, leave, "exit_price", ~long)):
        part = records[place::2]
        part["idx"], part["price"], part["size"] = bar, columns[price], columns["quantity"]
        part["fees"] = rate * columns["quantity"] * columns[price]
        part["side"] = np.where(buys, OrderSide.Buy, OrderSide.Sell)
    records["fees"][1::2] += columns["funding"]
    records["id"] = np.arange(len(records))
    return records
