"""What the kernel reads: the bars of one window as contiguous arrays, with their costs and terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybook.backtest.kernel import Tape, Terms, block_ranges
from daybook.core.arrays import Floats, Ints
from daybook.core.errors import DataError, UsageError
from daybook.core.time import Window, bars_per_year, utc_text
from daybook.execution import Costs
from daybook.market.bars import Bars


class WindowError(DataError):
    """A window in which the bars have no row."""


class PriceError(DataError):
    """A bar whose prices can not be traded: not finite, or not positive."""


@dataclass(frozen=True)
class Sizing:
    """How much a trade buys or sells, and in which money results are told.

    capital: initial capital in quote currency; with the default 1, amounts are fractions of the capital.
    quantity: base coins per trade, or None for the initial capital's worth at each entry (no compounding).
    Raises UsageError unless both are finite and positive.
    """

    capital: float = 1.0
    quantity: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("capital", self.capital), ("quantity", self.quantity)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise UsageError(f"sizing: {name} is {value!r}, allowed is a finite number above 0.")

    @property
    def unit_quantity(self) -> float:
        """Base coins per trade and unit of capital; 0 stands for a fixed notional."""
        return 0.0 if self.quantity is None else self.quantity / self.capital


NOTIONAL = Sizing()


@dataclass(frozen=True)
class WindowTape:
    """Bars [start, stop) of a market, ready for the kernel."""

    bars: Bars
    start: int
    stop: int
    tape: Tape
    terms: Terms

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def open_time(self) -> Ints:
        """(T,) int64 ms UTC of the window's bars."""
        times: Ints = self.bars.open_time[self.start:self.stop]
        return times


def window_tape(bars: Bars, costs: Costs, window: Window | None, sizing: Sizing = NOTIONAL) -> WindowTape:
    """Cut the window out of the bars (None = all of them) and price its fills.

    Raises WindowError when the window holds no bar, PriceError when a price in it is not finite and positive.
    """
    start, stop = 0, len(bars)
    if window is not None:
        start, stop = (int(at) for at in np.searchsorted(bars.open_time, [window.start_ms, window.end_ms]))
    if start == stop:
        raise WindowError(_no_bars(bars, window))
    prices = [np.ascontiguousarray(side[start:stop]) for side in (bars.open, bars.high, bars.low, bars.close)]
    _check_prices(bars, start, prices)
    side_cost = np.ascontiguousarray(costs.side_cost(bars)[start:stop])
    tape = (prices[0], prices[1], prices[2], prices[3], side_cost, block_ranges(*prices[1:]))
    return WindowTape(bars, start, stop, tape, (costs.fee, sizing.unit_quantity, bars_per_year(bars.timeframe)))


def _no_bars(bars: Bars, window: Window | None) -> str:
    if window is None or len(bars) == 0:
        return f"{bars.name}: there are no bars to simulate. Import candles of this market first."
    return (f"{bars.name}: no bar opens in [{utc_text(window.start_ms)}, {utc_text(window.end_ms)}); the bars given "
            f"run from {utc_text(bars.open_time[0])} to {utc_text(bars.open_time[-1])}. Choose a window inside them.")


def _check_prices(bars: Bars, start: int, prices: list[Floats]) -> None:
    for name, side in zip(("open", "high", "low", "close"), prices, strict=True):
        # A NaN fails both comparisons, so two reductions find every untradable price.
        if not (side.min() > 0.0 and side.max() < np.inf):
            at = int(np.flatnonzero(~((side > 0.0) & (side < np.inf)))[0])
            raise PriceError(f"{bars.name}: {name} is {side[at]!r} at {utc_text(bars.open_time[start + at])}; a price "
                             "must be finite and above 0. Quarantine the bar before simulating.")
