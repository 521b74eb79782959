"""The leak check on the day's own candidates: none is tuned whose signals change when later bars do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from daybook.core.time import TIMEFRAMES
from daybook.features.causality import first_leak
from daybook.market import Bars
from daybook.pipeline.day import Day
from daybook.strategy import Strategy, signal_bits

_PROBE_BARS = 480
"""Bars beyond the warm-up on which signals are looked at."""
_CUTS = (200, 331, 470)
"""Where later bars are taken away or spoilt, as bars after the warm-up; odd ones fall inside every longer bar."""


def leaking(day: Day, strategies: Sequence[Strategy]) -> dict[str, str]:
    """Identity -> what was seen, of each strategy whose signals know of later bars.

    Looked at on the first market of the day, on the first timeframe that the strategy names, with the last bars before
    the scoring window. It chooses nothing and simulates nothing, so it is no trial.
    """
    found = {}
    for strategy in strategies:
        bars = _probe(day, strategy)
        if bars is None:
            continue
        first = max(len(bars) - _PROBE_BARS, 0)
        cuts = [first + cut for cut in _CUTS if first + cut < len(bars)]
        leak = first_leak(partial(signal_bits, strategy), bars, cuts)
        if leak is not None:
            found[strategy.identity] = f"its signals know of later bars: {leak.text}"
    return found


def _probe(day: Day, strategy: Strategy) -> Bars | None:
    """The bars to look at; None where the day has none of a timeframe that the strategy names."""
    timeframe = next((name for name in TIMEFRAMES if name in strategy.timeframes and name in day.bars), None)
    if timeframe is None:
        return None
    bars = day.bars[timeframe][day.settings.symbols[0]]
    stop = int(bars.open_time.searchsorted(day.window.start_ms))
    return bars.rows(max(0, stop - strategy.warmup() - _PROBE_BARS), stop)
