"""The result rows of a work unit: parameter sets in batches, each carried through the tape piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np

from daybook.backtest.event_kernel import advance, new_room, new_states, write_metrics
from daybook.backtest.kernel import METRICS
from daybook.backtest.plan import Span
from daybook.backtest.simulate import place_bits, simulate_one
from daybook.backtest.tape import WindowTape
from daybook.core.arrays import Floats
from daybook.strategy import SignalPlan

_MOST_SETS = 1024
"""Parameter sets that are carried through the tape at once; their states and signals bound the memory of a sweep."""
_LEVELS = ("stop_loss", "take_profit", "max_holding")


def write_rows(spans: Sequence[Span], tape: WindowTape, table: Floats) -> None:
    """Simulate spans of one market over its tape and write their rows of the sweep's (N, len(METRICS)) table.

    Raises SignalError or SizingError as `simulate_one` does, SpecError when a strategy needs too many columns at once.
    """
    with closing(SignalPlan(tape.bars.rows(0, tape.stop))) as signals:
        for span in spans:
            strategy, sets, out = span.group.strategy, span.group.sets, table[span.rows]
            # A parameter of a stop lies above 0, so that all sets of a strategy use the same rules.
            if not tape.plain(strategy.bound_stops(sets.params(span.start))):
                _write_one_by_one(signals, span, tape, out)
                continue
            for start in range(span.start, span.stop, _MOST_SETS):
                stop = min(start + _MOST_SETS, span.stop)
                _write_batches(signals, Span(span.group, start, stop), tape, out[start - span.start:stop - span.start])


def _write_batches(signals: SignalPlan, span: Span, tape: WindowTape, out: Floats) -> None:
    columns = span.group.sets.rows(span.start, span.stop)
    levels = np.zeros((len(out), len(_LEVELS)))
    for position, name in enumerate(_LEVELS):
        source = getattr(span.group.strategy.spec, name)
        levels[:, position] = columns[source] if isinstance(source, str) else source or 0.0
    bars, annual, delay = len(tape), tape.terms[2], 1 + tape.conditions.latency_bars
    for first, batch in signals.batches(span.group.strategy, columns, len(out)):
        part = slice(first, first + len(batch))
        states, room, planes = new_states(len(batch)), new_room(), None
        # Signals are filled `delay` bars after they are decided, so those of the last bars are not asked for.
        for start, stop in batch.pieces(tape.start, tape.stop - delay):
            planes = batch.planes(stop - start) if planes is None else planes
            batch.write(start, stop, planes)
            filled = (start + delay - tape.start, stop + delay - tape.start)
            advance(planes, tape.tape, tape.terms, levels[part], states, filled, room)
        rows = np.empty((len(batch), len(METRICS)))
        write_metrics(states, bars, annual, rows)
        out[part] = rows


def _write_one_by_one(signals: SignalPlan, span: Span, tape: WindowTape, out: Floats) -> None:
    """The rows of simulations under rules that only the full kernel knows."""
    strategy, history = span.group.strategy, np.empty(tape.stop, dtype=np.uint8)
    bits, row = np.empty(len(tape), dtype=np.uint8), np.empty(len(METRICS))
    for position in range(span.start, span.stop):
        params = span.group.sets.params(position)
        place_bits(signals.bound_bits(strategy, params, history), tape, bits)
        simulate_one(bits, tape, strategy.bound_stops(params), row, None)
        out[position - span.start] = row
