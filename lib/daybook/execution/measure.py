"""From recorded quotes, fills and candles to one dated document of execution costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import DataError
from daybook.core.hashing import hash_json
from daybook.core.time import HOUR_MS, Window, day_start_ms, parse_day, utc_text
from daybook.execution.distribution import distribution_of
from daybook.execution.fills import Fills
from daybook.execution.metrics import (
    FEWEST,
    POOL,
    UNITS,
    ExecutionMetrics,
    HourSpread,
    MarketMetrics,
)
from daybook.execution.samples import (
    Sample,
    Samples,
    bar_samples,
    cells_of,
    fill_samples,
    pooled,
    quote_samples,
    resolves_latency,
)
from daybook.execution.states import quote_volatility
from daybook.market.bars import Bars
from daybook.market.quotes import Quotes

TAKER_LATENCY_MS = 100.0
"""What is assumed of an order's way to the exchange where no fill has measured it."""


class NothingMeasuredError(DataError):
    """No quote, fill or candle lies in the window that was asked for."""


@dataclass(frozen=True)
class Recordings:
    """What is measured from. Markets with quotes are measured, markets with candles only are estimated."""

    quotes: Sequence[Quotes] = ()
    fills: Sequence[Fills] = ()
    bars: Sequence[Bars] = ()


@dataclass(frozen=True)
class _Measured:
    metrics: MarketMetrics
    samples: Samples = field(repr=False)


def measure(date: str, recordings: Recordings, *, days: int | None = None,
            taker_latency_ms: float = TAKER_LATENCY_MS) -> ExecutionMetrics:
    """Measure every market from what was recorded before the date's 00:00 UTC, never from anything later.

    days: use only the last so many days before the date; None uses all. Each venue with measured markets also gets a
    pool of them. Raises NothingMeasuredError when nothing lies in the window, UsageError for a bad date.
    """
    end = day_start_ms(parse_day(date))
    start = 0 if days is None else end - days * 24 * HOUR_MS
    fills = {(part.venue, part.symbol): part.within(start, end) for part in recordings.fills}
    found: list[_Measured] = []
    crossed: list[str] = []
    for quotes in recordings.quotes:
        inside = quotes.within(start, end)
        if not len(inside) and inside.faults.crossed:
            crossed.append(f"all {inside.faults.crossed:,} quotes of {inside.name} are crossed")
        if len(inside):
            found.append(_from_quotes(inside, fills.get((quotes.venue, quotes.symbol)), taker_latency_ms))
    measured = {(one.metrics.venue, one.metrics.symbol) for one in found}
    for bars in recordings.bars:
        inside_bars = bars.within(Window(start, end))
        if (bars.venue, bars.symbol) not in measured and len(inside_bars):
            found += _from_bars(inside_bars, fills.get((bars.venue, bars.symbol)))
    if not found:
        raise NothingMeasuredError(_nothing(date, days, recordings, crossed))
    known = {(one.metrics.venue, one.metrics.symbol) for one in found}
    unused = sorted(f"{symbol} on {venue}" for (venue, symbol), part in fills.items()
                    if len(part) and (venue, symbol) not in known)
    found.sort(key=lambda one: (one.metrics.venue, one.metrics.symbol))
    found += _pools(found)
    markets = tuple(sorted((one.metrics for one in found), key=lambda market: (market.venue, market.symbol)))
    return ExecutionMetrics(
        date=date, window=(min(market.window[0] for market in markets), max(market.window[1] for market in markets)),
        source=_source(markets, unused, crossed), units=UNITS, taker_latency_ms=taker_latency_ms,
        data_hash=hash_json([[market.name, market.data_hash] for market in markets]), markets=markets,
    )


def _from_quotes(quotes: Quotes, fills: Fills | None, taker_latency_ms: float) -> _Measured:
    samples, edges = quote_samples(quotes, taker_latency_ms)
    notes = []
    slippage, latency = "taker" if "slippage_touch_bps" in samples.figures else None, None
    if "latency_ms" in samples.figures:
        latency = "feed"
        notes.append("latency is the feed's, above the fastest message of its hour; the clocks differ and no order was "
                     "timed")
    if not resolves_latency(quotes):
        notes.append("quotes come more than a second apart: slippage after a latency can not be seen in them")
    if quotes.faults.crossed:
        notes.append(f"{quotes.faults.crossed:,} of {quotes.faults.rows:,} quotes were crossed and are left out")
    if edges is None:
        notes.append("too short a recording for volatility terciles: only sessions are told apart")
    if fills is not None and len(fills):
        taken = fill_samples(fills, quote_volatility(quotes), edges)
        samples = Samples(samples.figures, taken.rejected)
        if int((~fills.rejected).sum()) >= FEWEST:
            samples, slippage, latency = samples.with_figures(**taken.figures), "fills", "fills"
        else:
            notes.append(f"{len(fills)} orders are too few for slippage and latency; at least {FEWEST} fills are used")
    metrics = MarketMetrics.model_validate({
        "venue": quotes.venue, "symbol": quotes.symbol, "method": "quotes", "slippage_source": slippage,
        "latency_source": latency, "sources": quotes.sources, "observations": len(quotes),
        "window": (int(quotes.time_ms[0]), int(quotes.time_ms[-1]) + 1),
        "data_hash": hash_json([quotes.data_hash, fills.data_hash if fills is not None else None]),
        "faults": quotes.faults.as_dict(), "clock_skew_ms": quotes.clock_skew_ms, "volatility_edges": edges,
        "cells": cells_of(samples), "hours": _hours(quotes.time_ms, samples.figures["spread_bps"]),
        "notes": tuple(notes),
    })
    return _Measured(metrics, samples)


def _from_bars(bars: Bars, fills: Fills | None) -> list[_Measured]:
    """The estimate of one market from its candles; nothing where no half hour of them is whole."""
    found = bar_samples(bars)
    samples, spread = found.samples, found.samples.figures["spread_bps"]
    if not spread.values.size:
        return []
    slippage = latency = None
    if fills is not None and int((~fills.rejected).sum()) >= FEWEST:
        taken = fill_samples(fills, None, None)
        samples, slippage, latency = Samples({**samples.figures, **taken.figures}, taken.rejected), "fills", "fills"
    metrics = MarketMetrics.model_validate({
        "venue": bars.venue, "symbol": bars.symbol, "method": "estimated", "slippage_source": slippage,
        "latency_source": latency, "sources": (f"candles {bars.name}",), "observations": len(bars),
        "window": (int(bars.open_time[0]), int(bars.close_time[-1])), "data_hash": bars.data_hash,
        "estimates": found.estimates, "volatility_edges": found.edges, "cells": cells_of(samples),
        "hours": _hours(found.start_ms, spread),
        "notes": ("the spread is estimated from candles (Abdi-Ranaldo 2017), no quote was seen: an upper bound where "
                  "the spread is small beside a minute's volatility",),
    })
    return [_Measured(metrics, samples)]


def _pools(found: Sequence[_Measured]) -> list[_Measured]:
    """One pool for each venue: of its measured markets, or of the estimated ones where none was measured."""
    pools = []
    for venue in sorted({one.metrics.venue for one in found}):
        own = [one for one in found if one.metrics.venue == venue]
        chosen = [one for one in own if one.metrics.method == "quotes"] or own
        markets = [one.metrics for one in chosen]
        samples = pooled([one.samples for one in chosen])
        pools.append(_Measured(MarketMetrics.model_validate({
            "venue": venue, "symbol": POOL, "method": markets[0].method,
            "slippage_source": _agreed([market.slippage_source for market in markets]),
            "latency_source": _agreed([market.latency_source for market in markets]),
            "sources": tuple(market.name for market in markets),
            "window": (min(market.window[0] for market in markets), max(market.window[1] for market in markets)),
            "data_hash": hash_json([market.data_hash for market in markets]),
            "observations": sum(market.observations for market in markets), "cells": cells_of(samples),
            "volatility_edges": None,
            "notes": (f"all {len(markets)} measured markets of the venue, each with the same weight",),
        }), samples))
    return pools


def _agreed(sources: Sequence[str | None]) -> str | None:
    """The one source of a pool: the weaker one where markets differ, None where no market has any."""
    known = {source for source in sources if source is not None}
    return next(iter(known)) if len(known) == 1 else next((s for s in ("taker", "feed") if s in known), None)


def _hours(times: Floats | Ints, spread: Sample) -> tuple[HourSpread, ...]:
    hour = (times // HOUR_MS % 24).astype(np.int64)
    rows = []
    for at in range(24):
        found = distribution_of(spread.values[hour == at], spread.weights[hour == at])
        if found is not None:
            rows.append(HourSpread(hour=at, n=found.n, mean=found.mean, p50=found.p50, p90=found.p90))
    return tuple(rows)


def _source(markets: Sequence[MarketMetrics], unused: Sequence[str], crossed: Sequence[str]) -> str:
    methods = [market.method for market in markets if market.symbol != POOL]
    measured = methods.count("quotes")
    counted = ((measured, "measured from recorded quotes"), (len(methods) - measured, "estimated from candles"))
    told = ", ".join(f"{count} market{'s' * (count > 1)} {text}" for count, text in counted if count)
    left = f"; the fills of {', '.join(unused)} are left out, no quote or candle tells a spread there"
    return told + (left if unused else "") + "".join(f"; {text} and left out" for text in crossed)


def _nothing(date: str, days: int | None, recordings: Recordings, crossed: Sequence[str]) -> str:
    spans = [(q.time_ms[0], q.time_ms[-1]) for q in recordings.quotes if len(q)]
    spans += [(b.open_time[0], b.close_time[-1]) for b in recordings.bars if len(b)]
    there = "nothing was recorded" if not spans else (
        f"recorded is {utc_text(int(min(s[0] for s in spans)))} to {utc_text(int(max(s[1] for s in spans)))}")
    there = "; ".join([there, *crossed])
    asked = "before" if days is None else f"in the {days} days before"
    return (f"execution: nothing to measure {asked} {date} 00:00 UTC; {there}. Choose another --date, a longer --days, "
            "or name quotes or candles that lie there.")
