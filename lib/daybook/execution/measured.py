"""The cost model of measured metrics: what a fill pays depends on its market, session and volatility."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, MINUTE_MS, day_of, day_start_ms, parse_day, utc_text
from daybook.execution.costs import Costs
from daybook.execution.distribution import Distribution
from daybook.execution.metrics import FEWEST, POOL, ExecutionMetrics, Figure, MarketMetrics
from daybook.execution.states import ANY, SESSIONS, VOLATILITIES, bar_volatility, session_codes, volatility_codes
from daybook.market.bars import Bars

_BPS = 1e-4
Level = Literal["mean", "p50", "p90"]
_MOST_KEPT = 16
LEVELS: tuple[Level, ...] = ("mean", "p50", "p90")
_OLD_DAYS = 31
"""Recordings that ended so many days before they were measured are told to be old."""


@dataclass(frozen=True)
class MeasuredCosts(Costs):
    """Fee as given, spread and slippage as measured, per bar by session and by volatility known before the bar.

    spread_bps is not used. venue: where the bars are from. level: mean (what many fills pay on average, the default),
    p50 or p90. decision_ms: how long the strategy thinks; a decision slower than latency_budget_ms pays the p90 of
    slippage. factor: multiplies every cost. Raises UsageError for a bad level or time.
    """

    metrics: ExecutionMetrics | None = field(default=None, repr=False)
    venue: str = ""
    level: Level = "mean"
    decision_ms: float = 0.0
    latency_budget_ms: float = math.inf
    factor: float = 1.0
    _kept: dict[int, tuple[Bars, tuple[Floats, Floats, Floats]]] = field(
        default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metrics is None:
            raise UsageError("measured costs: no metrics are given. Read them with metrics_for(data, day).")
        if self.level not in LEVELS:
            raise UsageError(f"measured costs: level is {self.level!r}, allowed are {', '.join(LEVELS)}.")
        for name in ("decision_ms", "latency_budget_ms", "factor"):
            value = getattr(self, name)
            if not value >= 0:
                raise UsageError(f"measured costs: {name} is {value!r}, allowed is a number of at least 0.")

    @property
    def document(self) -> ExecutionMetrics:
        """The metrics that the costs are taken from."""
        if self.metrics is None:
            raise UsageError("measured costs: no metrics are given. Read them with metrics_for(data, day).")
        return self.metrics

    @cached_property
    def identity(self) -> str:
        """The identity of the metrics, by which draws are keyed."""
        return self.document.identity

    @property
    def late(self) -> bool:
        """Whether decisions are slower than the latency budget."""
        return self.decision_ms > self.latency_budget_ms

    def market(self, symbol: str) -> MarketMetrics:
        """The metrics of a market on the bars' venue, or of the venue's pool. Raises DataError for neither."""
        return self.document.market(self.venue, symbol)

    def spread_of(self, symbol: str) -> float:
        """The full spread of a market in bps over all sessions. Raises DataError when it was not measured."""
        spread, _ = self.market(symbol).figure("spread_bps", ANY, ANY)
        return self._level(spread, self.level)

    def half_spread(self, bars: Bars) -> Floats:
        """Half the measured spread at each bar: (T,) float64 fraction of the mid price, no NaN."""
        return self._priced(bars)[0]

    def slippage(self, bars: Bars) -> Floats:
        """Slippage beyond the touch at each bar: (T,) float64 fraction, 0 where it was never measured.

        A mean below 0 counts as 0: that prices improved on a taker who decided at random promises a strategy nothing.
        """
        return self._priced(bars)[1]

    def side_cost(self, bars: Bars) -> Floats:
        """Half the spread and the slippage of each bar: (T,) float64 fraction, no NaN, read-only."""
        return self._priced(bars)[2]

    def scaled(self, factor: float) -> MeasuredCosts:
        """The same model with every cost multiplied."""
        return replace(self, fee_bps=self.fee_bps * factor, factor=self.factor * factor)

    def at(self, level: Level) -> MeasuredCosts:
        """The same metrics read at one level, where these costs are drawn, too."""
        return MeasuredCosts(self.fee_bps, self.spread_bps, self.metrics, self.venue, level, self.decision_ms,
                             self.latency_budget_ms, self.factor)

    def as_dict(self) -> dict[str, Any]:
        """A JSON value for the manifest: which metrics, and how they are read."""
        budget = None if math.isinf(self.latency_budget_ms) else self.latency_budget_ms
        return {"fee_bps": self.fee_bps, "metrics": self.identity, "date": self.document.date,
                "venue": self.venue, "level": self.level, "decision_ms": self.decision_ms,
                "latency_budget_ms": budget, "factor": self.factor}

    def notices(self, symbols: Iterable[str]) -> list[str]:
        """What a reader must know of these markets' costs, one sentence each: pooled, estimated, thin, old, unmeasured.

        Markets of which the same is to be said share a sentence.
        """
        said: dict[str, list[str]] = {}
        for symbol in symbols:
            for sentence in self._doubts(self.market(symbol)):
                said.setdefault(sentence, []).append(symbol)
        return [f"{', '.join(named)}: {sentence}" for sentence, named in said.items()]

    def _doubts(self, market: MarketMetrics) -> Iterator[str]:
        spread, _ = market.figure("spread_bps", ANY, ANY)
        if market.symbol == POOL:
            yield "not measured; charged is what the venue's measured markets pay together"
        if market.method == "estimated":
            yield "the spread is estimated from candles, no quote was recorded"
        if spread is not None and spread.n < FEWEST:
            yield f"the spread rests on {spread.n} observations only"
        first, last = market.window
        age = (day_start_ms(parse_day(self.document.date)) - last) // DAY_MS
        if last - first < DAY_MS or age > _OLD_DAYS:
            old = f", {age:,} days before the measurement" if age > _OLD_DAYS else ""
            yield f"recorded from {utc_text(first // MINUTE_MS * MINUTE_MS)} to {_clock(first, last)} only{old}"
        if market.cell(ANY, ANY).slippage_touch_bps is None:
            yield "slippage is unmeasured, only the spread is charged"

    def _priced(self, bars: Bars) -> tuple[Floats, Floats, Floats]:
        """Half spread, slippage and their sum; kept for the bars asked for last, since a day asks for them often."""
        kept = self._kept.get(id(bars))
        if kept is not None and kept[0] is bars:  # an id may be used again once its bars are gone
            return kept[1]
        half, slippage = self._fractions(bars)
        priced = (half, slippage, half + slippage)
        for column in priced:
            column.flags.writeable = False
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()  # one step, so that threads may share the model
        self._kept[id(bars)] = (bars, priced)
        return priced

    def _fractions(self, bars: Bars) -> tuple[Floats, Floats]:
        """Half spread and slippage at each bar, by its session and the volatility before it."""
        market = self.market(bars.symbol)
        session = session_codes(bars.open_time)
        volatility = volatility_codes(bar_volatility(bars), market.volatility_edges)
        half = self._table(market, "spread_bps", self.level)[session, volatility] / 2 * _BPS
        slippage = self._table(market, "slippage_touch_bps", "p90" if self.late else self.level)[session, volatility]
        return half, slippage * _BPS

    def _table(self, market: MarketMetrics, name: Figure, level: Level) -> Floats:
        """(sessions, volatilities + 1) bps, never negative; UNKNOWN is -1 and so finds the last column, any."""
        return np.asarray([[max(self._level(market.figure(name, session, volatility)[0], level), 0.0)
                            for volatility in (*VOLATILITIES, ANY)] for session in SESSIONS])

    def _level(self, measured: Distribution | None, level: Level) -> float:
        return 0.0 if measured is None else float(getattr(measured, level)) * self.factor


def _clock(first: int, last: int) -> str:
    """The end of a recording to the minute, without its date where it is that of the start."""
    text = utc_text(-(-last // MINUTE_MS) * MINUTE_MS)
    return text.split(" ", 1)[1] if day_of(first) == day_of(last) else text
