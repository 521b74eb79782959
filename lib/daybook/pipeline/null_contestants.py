"""Null contestants of the day: entries at random and copies shuffled in time, scored like everything else.

They answer what the ranking is worth: whoever knows nothing should not be among the best more often than chance allows.
They are trials like any other; they are no pool members, and the pool refuses what says it is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daybook.backtest import Holdings, Simulation, null_bits, random_entry_bits, replay_bits
from daybook.core.arrays import Bytes, Floats
from daybook.core.hashing import hash_json
from daybook.core.seeds import generator
from daybook.market import Bars
from daybook.pipeline.day import Day
from daybook.pipeline.trial_figures import trial_figures
from daybook.rank import ScoreResult, ScoreRules, TrialLedger, equal_capital, score
from daybook.rank.pool import NULL_PREFIX
from daybook.strategy import Stops, Strategy, signal_bits

RANDOM_ENTRIES, SHUFFLED = "random entries", "shuffled in time"
WAYS = (RANDOM_ENTRIES, SHUFFLED)
"""random entries: the strategy's own trades, as long and on the same side, at random times. No stop ends them again:
how long the stops let each live is in its length. shuffled in time: its signals, all later by one random time, under
its own stops, which then meet other bars; so its turnover is its own."""
AUTHOR = "null contestants"


@dataclass(frozen=True)
class NullContestant:
    """A copy of a strategy that trades as it does, at times that mean nothing.

    of: the strategy copied. simulations: one a market; blocks: (M, B) float64 their hourly returns. turnover_ratio: its
    turnover over all markets as a multiple of the strategy's; None where the strategy never traded.
    """

    identity: str
    name: str
    way: str
    of: Strategy
    simulations: tuple[Simulation, ...]
    blocks: Floats
    result: ScoreResult
    turnover_ratio: float | None = None


def null_contestants(day: Day, strategies: Sequence[Strategy]) -> list[NullContestant]:
    """Two nulls of each frozen strategy, one a way, on its own timeframe over the scoring window, on every market.

    The random streams are named by day, strategy and market, so that they depend on neither order nor process.
    """
    found = []
    for strategy in strategies:
        timeframe = strategy.timeframes[0]
        markets = [day.bars[timeframe][symbol] for symbol in day.settings.symbols]
        stops = [int(np.searchsorted(bars.open_time, day.window.end_ms)) for bars in markets]
        seen = [bars.rows(0, stop) for bars, stop in zip(markets, stops, strict=True)]
        signals = [signal_bits(strategy, bars) for bars in seen]
        own = [_replayed(day, bits, bars, strategy.stops()) for bits, bars in zip(signals, seen, strict=True)]
        for way in WAYS:
            simulations = tuple(
                _null(day, strategy, way, bars, bits, one) for bars, bits, one in zip(seen, signals, own, strict=True)
            )
            found.append(_scored(day, strategy, way, simulations, sum(one.metrics.turnover for one in own)))
    return found


def _null(day: Day, strategy: Strategy, way: str, bars: Bars, bits: Bytes, own: Simulation) -> Simulation:
    """One null on one market. bits, own: the strategy's signals there and what it did with them."""
    rng = generator(day.settings.seed, "null", day.sealed.day, way, strategy.identity, bars.symbol)
    first = int(np.searchsorted(bars.open_time, day.window.start_ms))
    if way == SHUFFLED:
        return _replayed(day, null_bits("shift", bits, rng, slice(first, len(bits))), bars, strategy.stops())
    drawn = np.zeros_like(bits)
    held = Holdings.of(own)
    drawn[first:first + held.n_bars] = random_entry_bits(held, rng)
    return _replayed(day, drawn, bars, Stops())


def _replayed(day: Day, bits: Bytes, bars: Bars, stops: Stops) -> Simulation:
    return replay_bits(bits, bars, stops, day.costs, day.window, conditions=day.conditions)


def _scored(
    day: Day, strategy: Strategy, way: str, simulations: tuple[Simulation, ...], turnover: float
) -> NullContestant:
    blocks = np.stack([one.block_returns() for one in simulations])
    trades = sum(one.metrics.trades for one in simulations)
    result = score(equal_capital(list(blocks)), trades, rules=ScoreRules(min_trades=day.settings.min_trades))
    identity = NULL_PREFIX + hash_json([way, strategy.identity, day.sealed.day, day.settings.seed])
    ratio = sum(one.metrics.turnover for one in simulations) / turnover if turnover else None
    return NullContestant(identity, f"{strategy.name}, {way}", way, strategy, simulations, blocks, result, ratio)


def count_nulls(ledger: TrialLedger, day: Day, nulls: Sequence[NullContestant]) -> None:
    """Enter every simulation of a null into the ledger, one row a market, with the strategy it copies as parent."""
    rows = [(null, symbol, one) for null in nulls
            for symbol, one in zip(day.settings.symbols, null.simulations, strict=True)]
    if not rows:
        return
    ledger.extend({
        "kind": "null",
        "identity": [null.identity for null, _, _ in rows],
        "structure_hash": [null.of.structure_hash for null, _, _ in rows],
        "params": [{"way": null.way, **null.of.defaults} for null, _, _ in rows],
        "symbol": [symbol for _, symbol, _ in rows],
        "timeframe": [null.of.timeframes[0] for null, _, _ in rows],
        "window_start": day.window.start_ms,
        "window_end": day.window.end_ms,
        "birth": day.start_ms,
        "author": AUTHOR,
        "data_hash": [day.bars[null.of.timeframes[0]][symbol].data_hash for null, symbol, _ in rows],
        **trial_figures([one.metrics for _, _, one in rows]),
        "parents": [[null.of.identity] for null, _, _ in rows],
    }, returns=np.concatenate([null.blocks for null in nulls]))
