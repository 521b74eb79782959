"""What the kernel reads: the bars of one window as contiguous arrays, with their costs and terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.kernel import Tape, Terms, block_ranges
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.story_kernel import Detail, RuleSet, StoryTape
from daybook.core.arrays import Floats, Ints
from daybook.core.errors import DataError, UsageError
from daybook.core.time import Window, bars_per_year, timeframe_ms, utc_text
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

__all__ = ["NOTIONAL", "PriceError", "Sizing", "WindowError", "WindowTape", "require_one_market", "window_tape"]


_LONGEST_TAPE = 1 << 40


class WindowError(DataError):
    """A window in which the bars have no row."""


class PriceError(DataError):
    """A bar whose prices can not be traded: not finite, or not positive."""


def holding_bars(stops: Stops) -> int:
    """The maximum holding as kernels read it: more bars than any tape has are that many, for bars are added to it."""
    return int(min(stops.max_holding, _LONGEST_TAPE))


@dataclass(frozen=True)
class WindowTape:
    """Bars [start, stop) of a market, ready for the kernel."""

    bars: Bars
    start: int
    stop: int
    tape: Tape
    terms: Terms
    sizing: Sizing = NOTIONAL
    conditions: Conditions = PLAIN

    def __len__(self) -> int:
        return self.stop - self.start

    def plain(self, stops: Stops) -> bool:
        """Whether the plain kernel knows every rule of a simulation with these stops."""
        return (stops.trailing_stop == stops.break_even == 0.0 and self.sizing.plain and self.conditions.plain)

    def rules(self, stops: Stops) -> RuleSet:
        """The figures of one simulation for the full kernel. Raises SizingError as `Sizing.share` does."""
        margin = self.conditions.margin
        return RuleSet(
            self.terms[0], self.terms[1], float(self.sizing.share(stops)), float(self.sizing.cap),
            self.sizing.compounding, self.conditions.latency_bars, float(stops.stop_loss), float(stops.take_profit),
            holding_bars(stops), float(stops.trailing_stop), float(stops.break_even),
            0.0 if margin is None else 1.0 / margin.leverage, 0.0 if margin is None else float(margin.maintenance))

    @cached_property
    def story(self) -> tuple[StoryTape, Detail]:
        """What the full kernel reads beside the rules. Raises FundingError or DetailError as `Conditions` does."""
        inside = self.bars.rows(self.start, self.stop)
        opens, _, _, closes, side_costs, _ = self.tape
        factors = self.sizing.factors(self.bars.rows(0, self.stop), self.conditions.latency_bars)[self.start:].copy()
        return ((opens, closes, side_costs, factors, self.conditions.funding_due(inside)),
                self.conditions.inside(inside))

    @property
    def open_time(self) -> Ints:
        """(T,) int64 ms UTC of the window's bars."""
        times: Ints = self.bars.open_time[self.start:self.stop]
        return times


def window_tape(
    bars: Bars,
    costs: Costs,
    window: Window | None,
    sizing: Sizing = NOTIONAL,
    conditions: Conditions = PLAIN,
) -> WindowTape:
    """Cut the window out of the bars (None = all of them) and price its fills.

    Raises UsageError for anything but one market's bars, WindowError when it holds no bar or overlapping ones,
    PriceError when a price in it is not finite and positive, FundingError or DetailError when the conditions do not
    cover it.
    """
    require_one_market(bars)
    start, stop = 0, len(bars)
    if window is not None:
        start, stop = (int(at) for at in np.searchsorted(bars.open_time, [window.start_ms, window.end_ms]))
    if start == stop:
        raise WindowError(_no_bars(bars, window))
    prices = [np.ascontiguousarray(side[start:stop]) for side in (bars.open, bars.high, bars.low, bars.close)]
    _check_times(bars, start, stop)
    _check_prices(bars, start, prices)
    side_cost = np.ascontiguousarray(costs.side_cost(bars)[start:stop])
    tape = (prices[0], prices[1], prices[2], prices[3], side_cost, block_ranges(*prices[1:]))
    terms = (costs.fee, sizing.unit_quantity, bars_per_year(bars.timeframe))
    cut = WindowTape(bars, start, stop, tape, terms, sizing, conditions)
    if not conditions.plain:
        _ = cut.story  # refuses what does not cover the window before anything is simulated
    return cut


def require_one_market(bars: Bars) -> None:
    """Raises UsageError for anything but the bars of one market, which is what a single simulation reads."""
    if not isinstance(bars, Bars):
        raise UsageError(f"bars: found a {type(bars).__name__}, needed is one Bars: a single simulation reads one "
                         "market and one timeframe. Call it once for each, or use sweep, which takes several.")


def _no_bars(bars: Bars, window: Window | None) -> str:
    if window is None or len(bars) == 0:
        return f"{bars.name}: there are no bars to simulate. Import candles of this market first."
    return (f"{bars.name}: no bar opens in [{utc_text(window.start_ms)}, {utc_text(window.end_ms)}); the bars given "
            f"run from {utc_text(bars.open_time[0])} to {utc_text(bars.open_time[-1])}. Choose a window inside them.")


def _check_times(bars: Bars, start: int, stop: int) -> None:
    """A bar that opens before the one before it is complete would fill orders before they are decided."""
    early = np.flatnonzero(np.diff(bars.open_time[start:stop]) < timeframe_ms(bars.timeframe))
    if early.size:
        before, after = (utc_text(bars.open_time[start + int(early[0]) + step]) for step in (0, 1))
        raise WindowError(f"{bars.name}: the bar of {after} opens before that of {before} is complete, {early.size} of "
                          f"them are early; allowed is one bar in each {bars.timeframe}. Leave out the odd ones, or "
                          "give the timeframe that the bars have.")


def _check_prices(bars: Bars, start: int, prices: list[Floats]) -> None:
    for name, side in zip(("open", "high", "low", "close"), prices, strict=True):
        # A NaN fails both comparisons, so two reductions find every untradable price.
        if not (side.min() > 0.0 and side.max() < np.inf):
            at = int(np.flatnonzero(~((side > 0.0) & (side < np.inf)))[0])
            raise PriceError(f"{bars.name}: {name} is {side[at]!r} at {utc_text(bars.open_time[start + at])}; a price "
                             "must be finite and above 0. Quarantine the bar before simulating.")
