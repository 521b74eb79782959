"""What a market asks of a simulation beside its costs: latency, funding, margin, and how finely its bars are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from daybook.backtest.story_kernel import Detail
from daybook.core.arrays import Floats
from daybook.core.errors import DataError, UsageError
from daybook.core.time import Window, timeframe_ms, utc_text
from daybook.market.bars import Bars
from daybook.market.funding import LONGEST_INTERVAL_MS, FundingRates

_T = TypeVar("_T")


class FundingError(DataError):
    """Funding rates that do not cover the bars they are to be charged on."""


class DetailError(DataError):
    """Finer bars that do not make up the bars that they are to be the inside of."""


@dataclass(frozen=True)
class Margin:
    """An isolated margin. leverage: notional per margin at the entry. maintenance: fraction of the entry notional.

    Raises UsageError unless leverage is at least 1 and maintenance lies above 0 and below 1 / leverage.
    """

    leverage: float
    maintenance: float = 0.005

    def __post_init__(self) -> None:
        if not 1.0 <= self.leverage < np.inf:
            raise UsageError(f"margin: leverage is {self.leverage!r}, allowed is a finite number of at least 1.")
        if not 0.0 < self.maintenance < 1.0 / self.leverage:
            raise UsageError(f"margin: maintenance is {self.maintenance!r}, allowed at a leverage of {self.leverage:g} "
                             f"is a fraction above 0 and below {1.0 / self.leverage:g}.")


@dataclass(frozen=True)
class Conditions:
    """The rules of docs/BACKTEST_GUIDE.md that are off by default.

    latency_bars: bars between the open after a decision and the open that fills it; 1 is the one-bar delay.
    funding: settlements of a perpetual, or symbol -> settlements, None where a market has none.
    margin: None leaves positions unmargined.
    detail: finer bars of the same market, or symbol -> bars; they decide what happens inside a bar, and in which order.
    Raises UsageError for a latency that is negative or no whole number.
    """

    latency_bars: int = 0
    funding: FundingRates | Mapping[str, FundingRates | None] | None = None
    margin: Margin | None = None
    detail: Bars | Mapping[str, Bars | None] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.latency_bars, bool) or not isinstance(self.latency_bars, int) or self.latency_bars < 0:
            raise UsageError(f"conditions: latency_bars is {self.latency_bars!r}, allowed is a whole number of at "
                             "least 0.")

    @property
    def plain(self) -> bool:
        """Whether no rule is on that the plain kernel does not know; it knows latency, which moves the signals."""
        return self.funding is None and self.margin is None and self.detail is None

    def funding_due(self, bars: Bars) -> Floats:
        """(T,) float64 sum of the rates that a position carried into each bar pays before its open.

        A stamp counts at its full minute, since venues stamp some milliseconds late, and is charged at the first bar
        that opens then or later. Raises FundingError where the bars last longer than the settlements given.
        """
        due = np.zeros(len(bars))
        rates = _of_symbol(self.funding, bars, "funding")
        if rates is None or len(bars) == 0:
            return due
        span = Window(int(bars.open_time[0]), int(bars.close_time[-1]))
        gap = rates.longest_gap(span)
        if gap.end_ms - gap.start_ms > LONGEST_INTERVAL_MS:
            raise FundingError(f"{bars.name}: no funding settlement between {utc_text(gap.start_ms)} and "
                               f"{utc_text(gap.end_ms)}; one in eight hours is needed. Download the funding rates "
                               "of these days or simulate without funding.")
        minutes = rates.minutes
        inside = (minutes >= span.start_ms) & (minutes < span.end_ms)
        places = np.searchsorted(bars.open_time, minutes[inside])
        known = places < len(bars)
        np.add.at(due, places[known], rates.funding_rate[inside][known])
        return due

    def inside(self, bars: Bars) -> Detail:
        """The bars inside each bar; without detail, each bar itself.

        Raises DetailError unless the finer bars aggregate to open, high, low and close of every bar.
        """
        fine = _of_symbol(self.detail, bars, "detail")
        if fine is None:
            each = np.arange(len(bars), dtype=np.int64)
            return _contiguous(bars), *_extremes(bars), each, each + 1
        if (fine.venue, fine.symbol) != (bars.venue, bars.symbol) or (
                timeframe_ms(fine.timeframe) >= timeframe_ms(bars.timeframe)):
            raise DetailError(f"{bars.name}: the detail is {fine.name} of {fine.venue}, needed are shorter bars of the "
                              f"same market on {bars.venue}.")
        starts = np.searchsorted(fine.open_time, bars.open_time)
        stops = np.searchsorted(fine.open_time, bars.close_time)
        wrong = starts >= stops
        if not wrong.any():
            rows = np.column_stack([starts, stops]).ravel()
            padded = {name: np.append(getattr(fine, name), np.nan) for name in ("high", "low")}
            highs = np.fmax.reduceat(padded["high"], rows)[::2]
            lows = np.fmin.reduceat(padded["low"], rows)[::2]
            wrong = ((fine.open[starts] != bars.open) | (highs != bars.high) | (lows != bars.low)
                     | (fine.close[stops - 1] != bars.close))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DetailError(f"{bars.name}: the {fine.timeframe} bars inside the bar of "
                              f"{utc_text(bars.open_time[at])} do not make it up. Aggregate the bars from "
                              "their detail.")
        return _contiguous(fine), *_extremes(fine), starts, stops


PLAIN = Conditions()


def _of_symbol(given: _T | Mapping[str, _T | None] | None, bars: Bars, what: str) -> _T | None:
    """What belongs to the bars' market. Raises UsageError when a mapping does not name it."""
    if not isinstance(given, Mapping):
        return given
    if bars.symbol not in given:
        raise UsageError(f"conditions: {what} names {', '.join(sorted(given)) or 'no market'}, but not {bars.symbol}. "
                         "Add it, or simulate this market by itself.")
    return given[bars.symbol]


def _contiguous(bars: Bars) -> Floats:
    return np.ascontiguousarray(bars.open)


def _extremes(bars: Bars) -> tuple[Floats, Floats]:
    return np.ascontiguousarray(bars.high), np.ascontiguousarray(bars.low)
