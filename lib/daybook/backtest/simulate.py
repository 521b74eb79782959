"""Simulations of given signal bits: the road into the kernel for models and for anything that is no spec."""

from __future__ import annotations

import math

import numpy as np

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.event_kernel import advance, new_room, new_states, write_metrics
from daybook.backtest.kernel import LEDGER, METRICS, Levels, Record, run_one, wanted_side, write_story
from daybook.backtest.metrics import Metrics
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.story_kernel import Sides, run_story
from daybook.backtest.tape import WindowTape, holding_bars, window_tape
from daybook.core.arrays import Bytes, Floats
from daybook.core.errors import UsageError
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

ALL_BITS = 15


class SignalError(UsageError):
    """Signal bits or stops that do not fit the bars or the rules."""


def kernel_levels(stops: Stops | None) -> Levels:
    """The stops as the kernel reads them. Raises SignalError for one that is not finite, negative or part of a bar."""
    if stops is None:
        return 0.0, 0.0, 0
    for name, value in vars(stops).items():
        if not 0.0 <= value < math.inf:
            raise SignalError(f"stops: {name} is {value!r}, allowed is a finite number of at least 0 (0 = off).")
    if stops.max_holding != int(stops.max_holding):
        raise SignalError(f"stops: max_holding is {stops.max_holding!r}, allowed is a whole number of bars (0 = off).")
    return float(stops.stop_loss), float(stops.take_profit), holding_bars(stops)


def window_bits(bits: Bytes, tape: WindowTape) -> Bytes:
    """The window's part of bits that cover all bars, moved by the latency.

    Raises SignalError unless they are (T,) uint8 within 0 to 15.
    """
    if bits.dtype != np.uint8 or bits.shape != (len(tape.bars),):
        raise SignalError(f"{tape.bars.name}: signal bits have dtype {bits.dtype} and shape {bits.shape}, needed are "
                          f"uint8 and ({len(tape.bars)},), one for each bar.")
    if bits.size and int(bits.max()) > ALL_BITS:
        raise SignalError(f"{tape.bars.name}: signal bits reach {int(bits.max())}, allowed is 0 to {ALL_BITS}.")
    placed = np.empty(len(tape), dtype=np.uint8)
    place_bits(bits, tape, placed)
    return placed


def place_bits(bits: Bytes, tape: WindowTape, out: Bytes) -> None:
    """Write the window's part of bits that cover the bars to its end, moved by the latency, into out (at least T,).

    A decision that is under way when the window begins is ignored, as one taken before it is.
    """
    late = min(tape.conditions.latency_bars, len(tape))
    out[:late] = 0
    out[late:len(tape)] = bits[tape.start:tape.stop - late]


def simulate_one(bits: Bytes, tape: WindowTape, stops: Stops, out: Floats, record: Record | None) -> None:
    """Simulate placed bits by the kernel that knows the rules in use: out (len(METRICS),) and the record are written.

    Raises SignalError for stops that can not be, SizingError for a risk without a stop.
    """
    levels = kernel_levels(stops)
    if tape.plain(stops):
        run_one(bits, tape.tape, tape.terms, levels, out, record)
        return
    told = new_record(len(tape)) if record is None else record
    trades, bars_held, ruined = run_story(bits, _SIDES, *tape.story, tape.rules(stops), told)
    write_story(out, told, trades, bars_held, ruined, tape.terms[2])


def simulate_bits(
    bits: Bytes,
    bars: Bars,
    stops: Stops | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    sizing: Sizing = NOTIONAL,
    conditions: Conditions = PLAIN,
) -> Metrics:
    """Simulate signal bits over a window of the bars.

    bits: (T,) uint8 for the T bars given: 1 long entry, 2 long exit, 4 short entry, 8 short exit, decided at the close.
    Raises SignalError, WindowError or PriceError for bits, windows or prices that can not be simulated, SizingError,
    FundingError or DetailError for sizes and conditions that can not.
    """
    tape = window_tape(bars, costs or Costs(), window, sizing, conditions)
    out = np.empty(len(METRICS))
    simulate_one(window_bits(bits, tape), tape, stops or Stops(), out, None)
    return Metrics.of_row(out, len(tape))


def new_record(count: int) -> Record:
    """Room for the paths and the ledger of one simulation of `count` bars; the kernel writes what it reads back."""
    return np.zeros((2, count)), np.empty((count, len(LEDGER)))


def _sides() -> Sides:
    """`wanted_side` for each side held and each value of the bits."""
    wanted = [[wanted_side.py_func(bits, side) for bits in range(ALL_BITS + 1)] for side in (-1, 0, 1)]
    return np.array(wanted, dtype=np.int8)


_SIDES = _sides()


def warm() -> None:
    """Compile every kernel of this part into numba's disk cache, so that no later process waits for it."""
    price = np.array([100.0, 101.0, 102.0])
    times = np.arange(3, dtype=np.int64) * 60_000
    tape = window_tape(Bars("warm", "WARM", "1m", times, price, price, price, price, price), Costs(), None)
    bits = np.array([1, 0, 0], dtype=np.uint8)
    out = np.empty((1, len(METRICS)))
    for stops in (Stops(), Stops(trailing_stop=0.5)):
        for record in (None, new_record(3)):
            simulate_one(bits, tape, stops, out[0], record)
    states = new_states(1)
    advance(np.zeros((1, 4, 1), np.uint64), tape.tape, tape.terms, np.zeros((1, 3)), states, (1, 3), new_room())
    write_metrics(states, 3, 1.0, out)
