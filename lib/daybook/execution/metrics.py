"""Measured execution costs as they are stored: one dated document, every figure with its sample size.

A figure is looked up from the finest cell to the coarser ones: market x session x volatility, market x session, market.
A cell with fewer than 200 observations of a figure hands over to its parent. A market that was not measured has its
venue's pool for a parent; one that was, however thinly, answers for itself, and a notice says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daybook.core.errors import DataError
from daybook.core.hashing import hash_json
from daybook.core.time import day_start_ms, parse_day
from daybook.execution.distribution import Distribution
from daybook.execution.states import ANY, SESSIONS, VOLATILITIES

SCHEMA_VERSION = 1
FEWEST = 200
"""With fewer observations a figure comes from the parent cell."""
POOL = "*"
"""The symbol under which a venue keeps all its markets together, each with the same weight."""
UNITS = {
    "spread_bps": "bps of mid, full spread, weighted by the time a quote stood",
    "slippage_touch_bps": "bps of mid, against the touch the sender saw; negative is better than the touch",
    "slippage_mid_bps": "bps of mid, against the mid at the decision",
    "latency_ms": "ms from sending an order to its fill; of a feed, above the fastest message of its hour",
    "touch_notional": "quote currency on the thinner side of the touch",
    "volatility_edges": "bps per square root of a minute",
}
FIGURES = ("spread_bps", "slippage_touch_bps", "slippage_mid_bps", "latency_ms", "touch_notional")
Figure = Literal["spread_bps", "slippage_touch_bps", "slippage_mid_bps", "latency_ms", "touch_notional"]
Session = Literal["tokyo", "london", "new_york", "off", "weekend", "any"]
Volatility = Literal["low", "middle", "high", "any"]
Name = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,39})$")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Record):
    """What orders paid in one session and volatility; a figure that was not measured is None, never 0.

    orders, rejects: how many were sent and refused, None where only quotes are known. parent: the cell that answers
    for a figure with fewer than FEWEST observations.
    """

    session: Session
    volatility: Volatility
    spread_bps: Distribution | None = None
    slippage_touch_bps: Distribution | None = None
    slippage_mid_bps: Distribution | None = None
    latency_ms: Distribution | None = None
    touch_notional: Distribution | None = None
    orders: int | None = Field(None, ge=0)
    rejects: int | None = Field(None, ge=0)
    parent: str | None = None

    @property
    def key(self) -> str:
        """`london/high`."""
        return f"{self.session}/{self.volatility}"


class HourSpread(_Record):
    """The time-weighted spread of one hour of the UTC day, in bps of mid."""

    hour: int = Field(ge=0, le=23)
    n: int
    mean: float
    p50: float
    p90: float


class MarketMetrics(_Record):
    """One market's cells with where they come from.

    method: quotes (recorded bid and ask) or estimated (from candles). slippage_source: fills, taker (a taker of the
    recorded touch after latency_ms) or None. estimates: what the estimators read from the candles, bps. window: ms UTC.
    """

    venue: Name
    symbol: Name
    method: Literal["quotes", "estimated"]
    slippage_source: Literal["fills", "taker"] | None = None
    latency_source: Literal["fills", "feed"] | None = None
    sources: tuple[str, ...]
    window: tuple[int, int]
    data_hash: str
    observations: int
    faults: dict[str, int] = Field(default_factory=dict)
    clock_skew_ms: float | None = None
    estimates: dict[str, float] = Field(default_factory=dict)
    volatility_edges: tuple[float, float] | None = None
    cells: tuple[Cell, ...]
    hours: tuple[HourSpread, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _cells_are_whole(self) -> MarketMetrics:
        keys = [cell.key for cell in self.cells]
        if len(set(keys)) != len(keys) or f"{ANY}/{ANY}" not in keys:
            raise ValueError("cells must be distinct and hold any/any")
        if self.cell(ANY, ANY).spread_bps is None:
            raise ValueError("the cell any/any must hold a spread")
        return self

    @property
    def name(self) -> str:
        """`BTCUSDT on binance_usdm`."""
        return f"{self.symbol} on {self.venue}"

    def cell(self, session: str, volatility: str) -> Cell:
        """A cell by its session and volatility, the nearest parent where there is none."""
        return next(self._chain(session, volatility))

    def figure(self, name: Figure, session: str, volatility: str) -> tuple[Distribution | None, str]:
        """The distribution that answers for a cell, and the key of the cell it comes from.

        The first of the lineage with FEWEST observations; where none has so many, the market's own, however thin.
        """
        for cell in self._chain(session, volatility):
            measured: Distribution | None = getattr(cell, name)
            if measured is not None and measured.n >= FEWEST:
                break
        return measured, cell.key

    def reject_rate(self, session: str, volatility: str) -> float | None:
        """The share of orders refused, from the first of the lineage with FEWEST orders; None where unknown."""
        for cell in self._chain(session, volatility):
            if cell.rejects is not None and cell.orders is not None and cell.orders >= FEWEST:
                return cell.rejects / cell.orders
        return None

    def _chain(self, session: str, volatility: str) -> Iterator[Cell]:
        """The cell and its parents, as far as they were observed; the last is always any/any."""
        for level in lineage(session, volatility):
            yield from (cell for cell in self.cells if (cell.session, cell.volatility) == level)


class ExecutionMetrics(_Record):
    """Everything measured for one date, from quotes and fills before that date's 00:00 UTC.

    taker_latency_ms: after how long the taker of the recorded touch was filled. data_hash: over all the inputs.
    """

    schema_version: Literal[1] = 1
    date: Day
    window: tuple[int, int]
    source: str
    units: dict[str, str]
    taker_latency_ms: float = Field(ge=0, allow_inf_nan=False)
    data_hash: str
    markets: tuple[MarketMetrics, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _markets_once(self) -> ExecutionMetrics:
        names = [market.name for market in self.markets]
        if len(set(names)) != len(names):
            raise ValueError("every market may stand only once")
        return self

    @model_validator(mode="after")
    def _nothing_later(self) -> ExecutionMetrics:
        end = day_start_ms(parse_day(self.date))
        late = [market.name for market in self.markets if market.window[1] > end]
        if self.window[1] > end or late:
            raise ValueError(f"nothing after {self.date} 00:00 UTC may be in it, found {', '.join(late) or 'more'}")
        return self

    @property
    def identity(self) -> str:
        """SHA-256 of the whole document: draws are keyed by it."""
        return hash_json(self.model_dump(mode="json"))

    def market(self, venue: str, symbol: str) -> MarketMetrics:
        """The market's metrics, its venue's pool where it was not measured.

        Raises DataError naming what was measured when the venue has neither.
        """
        found = {(market.venue, market.symbol): market for market in self.markets}
        chosen = found.get((venue, symbol)) or found.get((venue, POOL))
        if chosen is None:
            measured = ", ".join(market.name for market in self.markets if market.symbol != POOL)
            raise DataError(
                f"execution metrics of {self.date}: {symbol} on {venue} was not measured, nor any market there. "
                f"Measured are {measured}. Run `daybook execution measure` with quotes or candles of {venue}, or set "
                "costs = \"settings\"."
            )
        return chosen


def lineage(session: str, volatility: str) -> tuple[tuple[str, str], ...]:
    """(session, volatility) from a cell to its coarsest parent: london/high, london/any, any/any."""
    return tuple(dict.fromkeys(((session, volatility), (session, ANY), (ANY, ANY))))


def all_cells() -> list[tuple[str, str]]:
    """Every (session, volatility), coarsest first."""
    return [(ANY, ANY), *((session, ANY) for session in SESSIONS),
            *((session, volatility) for session in SESSIONS for volatility in VOLATILITIES)]
