"""Observations before they become distributions: each with its session and volatility, spreads with their weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from daybook.core.arrays import Bools, Floats, Ints
from daybook.core.time import HOUR_MS, MINUTE_MS
from daybook.execution.distribution import distribution_of
from daybook.execution.estimators import abdi_ranaldo_squares, corwin_schultz, root_of_mean
from daybook.execution.fills import Fills
from daybook.execution.metrics import FIGURES, Cell, all_cells, lineage
from daybook.execution.states import (
    ANY,
    SESSIONS,
    STANDING_MS,
    VOLATILITIES,
    bar_volatility,
    quote_volatility,
    session_codes,
    tercile_edges,
    volatility_codes,
)
from daybook.market.bars import Bars
from daybook.market.quotes import Quotes

TAKER_EVERY_MS = 500
_RESOLVED_MS = 1000.0
_BLOCK_BARS, _FEWEST_PAIRS = 30, 20
_MOST_TAKERS = 400_000
_BPS = 1e4
Edges = tuple[float, float] | None


@dataclass(frozen=True)
class Sample:
    """Observations of one figure: (N,) values, weights, session codes and volatility codes."""

    values: Floats
    weights: Floats
    session: Ints
    volatility: Ints

    def of(self, session: str, volatility: str) -> Bools:
        """Which observations belong to a cell."""
        chosen: Bools = np.ones(self.values.size, dtype=np.bool_)
        if session != ANY:
            chosen &= self.session == SESSIONS.index(session)
        if volatility != ANY:
            chosen &= self.volatility == VOLATILITIES.index(volatility)
        return chosen


@dataclass(frozen=True)
class Samples:
    """All that was observed of one market; rejected holds 1 for a refused order, 0 for a filled one."""

    figures: Mapping[str, Sample] = field(default_factory=dict)
    rejected: Sample | None = None

    def with_figures(self, **figures: Sample) -> Samples:
        """The same observations with these figures added or replaced."""
        return replace(self, figures={**self.figures, **figures})


def cells_of(samples: Samples) -> tuple[Cell, ...]:
    """The cells of a market, coarsest first; cells in which nothing was observed are left out."""
    cells = []
    for session, volatility in all_cells():
        measured = {}
        for name in FIGURES:
            if (sample := samples.figures.get(name)) is not None:
                chosen = sample.of(session, volatility)
                measured[name] = distribution_of(sample.values[chosen], sample.weights[chosen])
        orders = rejects = None
        if samples.rejected is not None:
            outcome = samples.rejected.values[samples.rejected.of(session, volatility)]
            orders, rejects = int(outcome.size), int(outcome.sum())
        if any(measured.values()) or orders:
            parents = lineage(session, volatility)[1:]
            cells.append(Cell(session=session, volatility=volatility, orders=orders, rejects=rejects,
                              parent="/".join(parents[0]) if parents else None, **measured))
    return tuple(cells)


def pooled(markets: Sequence[Samples]) -> Samples:
    """The observations of several markets together, each market with the same total weight in every figure."""
    figures = {}
    for name in FIGURES:
        parts = [market.figures[name] for market in markets if name in market.figures]
        if parts:
            figures[name] = _concatenated([replace(part, weights=part.weights / part.weights.sum()) for part in parts])
    outcomes = [market.rejected for market in markets if market.rejected is not None]
    return Samples(figures, _concatenated(outcomes) if outcomes else None)


def _concatenated(parts: Sequence[Sample]) -> Sample:
    columns = ("values", "weights", "session", "volatility")
    return Sample(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def quote_samples(quotes: Quotes, taker_latency_ms: float) -> tuple[Samples, Edges]:
    """Spread, touch size, feed latency and a taker's slippage from a recording, and its volatility edges.

    A quote weighs the time it stood. The taker decides every half second, buys and sells, and is filled at the touch
    that stands taker_latency_ms later; its slippage is left out where quotes come more than a second apart.
    """
    minutes, volatility = quote_volatility(quotes)
    edges = tercile_edges(volatility)
    codes = volatility_codes(volatility, edges)
    session = session_codes(quotes.time_ms)
    state = codes[(quotes.time_ms // MINUTE_MS).astype(np.int64) - minutes[0]]
    stood = np.minimum(np.diff(quotes.time_ms, append=quotes.time_ms[-1]), STANDING_MS)
    if not stood.any():
        stood = np.ones_like(stood)
    figures = {"spread_bps": Sample(quotes.spread_bps, stood, session, state)}
    notional = np.minimum(quotes.bid_size * quotes.bid, quotes.ask_size * quotes.ask)
    if np.isfinite(notional).all():
        figures["touch_notional"] = Sample(notional, stood, session, state)
    if quotes.feed_delay_ms is not None:
        above = above_fastest(quotes.time_ms, quotes.feed_delay_ms)
        figures["latency_ms"] = Sample(above, np.ones_like(above), session, state)
    if resolves_latency(quotes):
        figures |= _taker(quotes, taker_latency_ms, minutes, codes)
    return Samples(figures), edges


def above_fastest(times: Floats, delay_ms: Floats) -> Floats:
    """(N,) ms by which each message came later than the fastest one of its hour.

    times: (N,) float64 ms UTC, never falling. delay_ms: (N,) receive time minus event time. The clocks' difference
    drifts, and is another one in the next recording: an hour is short enough to take it for one figure.
    """
    hour = np.floor(times / HOUR_MS)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(hour)) + 1))
    fastest = np.repeat(np.minimum.reduceat(delay_ms, starts), np.diff(np.append(starts, times.size)))
    return np.asarray(delay_ms - fastest)


def resolves_latency(quotes: Quotes) -> bool:
    """Whether quotes come often enough (median a second apart or less) to see the touch move within a latency."""
    return len(quotes) > 1 and float(np.median(np.diff(quotes.time_ms))) <= _RESOLVED_MS


def _taker(quotes: Quotes, latency_ms: float, minutes: Ints, codes: Ints) -> dict[str, Sample]:
    start, end = quotes.time_ms[0], quotes.time_ms[-1] - latency_ms
    every = max(float(TAKER_EVERY_MS), (end - start) / _MOST_TAKERS)
    decided = np.arange(start, end, every) if end > start else np.zeros(0)
    seen, met = (np.searchsorted(quotes.time_ms, decided + wait, side="right") - 1 for wait in (0.0, latency_ms))
    fresh = decided - quotes.time_ms[seen] <= STANDING_MS
    decided, seen, met = decided[fresh], seen[fresh], met[fresh]
    mid = quotes.mid[seen]
    bought, sold = quotes.ask[met], quotes.bid[met]
    touch = np.concatenate([bought - quotes.ask[seen], quotes.bid[seen] - sold]) / np.tile(mid, 2) * _BPS
    middle = np.concatenate([bought - mid, mid - sold]) / np.tile(mid, 2) * _BPS
    session = np.tile(session_codes(decided), 2)
    state = np.tile(codes[(decided // MINUTE_MS).astype(np.int64) - minutes[0]], 2)
    return {name: Sample(values, np.ones_like(values), session, state)
            for name, values in (("slippage_touch_bps", touch), ("slippage_mid_bps", middle))}


def fill_samples(fills: Fills, volatility: tuple[Ints, Floats] | None, edges: Edges) -> Samples:
    """Slippage, latency and refusals from orders; the volatility of their minute is that of the recorded quotes."""
    session = session_codes(fills.decision_ms)
    state = volatility_codes(_looked_up(fills.decision_ms, volatility), edges)
    ones = np.ones(len(fills))
    done = ~fills.rejected
    figures = {
        name: Sample(values[kept], ones[kept], session[kept], state[kept])
        for name, values, kept in (
            ("slippage_touch_bps", fills.slippage_touch_bps, done), ("slippage_mid_bps", fills.slippage_mid_bps, done),
            ("latency_ms", fills.latency_ms, np.ones(len(fills), dtype=np.bool_)),
        ) if kept.any()
    }
    return Samples(figures, Sample(fills.rejected.astype(np.float64), ones, session, state))


def _looked_up(times: Floats, volatility: tuple[Ints, Floats] | None) -> Floats:
    if volatility is None:
        return np.full(times.size, np.nan)
    minutes, values = volatility
    at = (times // MINUTE_MS).astype(np.int64) - minutes[0]
    inside = (at >= 0) & (at < minutes.size)
    return np.where(inside, values[np.clip(at, 0, minutes.size - 1)], np.nan)


@dataclass(frozen=True)
class Estimated:
    """What candles alone tell: a spread for each half hour, (N,) its start in ms UTC, and each estimator's own word.

    estimates: bps over all the candles, the root of the mean for Abdi-Ranaldo, the mean with negative pairs at 0 for
    Corwin-Schultz.
    """

    samples: Samples
    start_ms: Ints
    edges: Edges
    estimates: Mapping[str, float]


def bar_samples(bars: Bars) -> Estimated:
    """Spreads estimated from 1-minute candles: one Abdi-Ranaldo estimate for each half hour that is whole enough.

    Only neighbouring bars are compared. A half hour with fewer than 20 such pairs tells nothing.
    """
    adjacent = np.diff(bars.open_time) == MINUTE_MS
    squares = abdi_ranaldo_squares(bars.high, bars.low, bars.close)
    estimates = {
        "abdi_ranaldo": root_of_mean(squares[adjacent]) * _BPS,
        "corwin_schultz": float(np.mean(np.maximum(corwin_schultz(bars.high, bars.low)[adjacent], 0.0))) * _BPS,
    } if adjacent.any() else {}
    block = bars.open_time[:-1] // (_BLOCK_BARS * MINUTE_MS)
    names, first, place = np.unique(block[adjacent], return_index=True, return_inverse=True)
    totals, counts = (np.bincount(place, weights, minlength=names.size) for weights in (squares[adjacent], None))
    whole = counts >= _FEWEST_PAIRS
    estimate = np.sqrt(np.maximum(totals[whole] / counts[whole], 0.0)) * _BPS
    at = np.flatnonzero(adjacent)[first[whole]]
    volatility = bar_volatility(bars)
    edges = tercile_edges(volatility)
    sample = Sample(estimate, np.ones(estimate.size), session_codes(bars.open_time[at]),
                    volatility_codes(volatility[at], edges))
    return Estimated(Samples({"spread_bps": sample}), bars.open_time[at], edges, estimates)
