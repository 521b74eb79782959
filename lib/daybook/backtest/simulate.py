"""Simulations of given signal bits: the road into the kernel for models and for anything that is no spec."""

from __future__ import annotations

import math

import numpy as np

from daybook.backtest.kernel import LEDGER, METRICS, Levels, Record, run_many, run_one
from daybook.backtest.metrics import Metrics
from daybook.backtest.tape import NOTIONAL, Sizing, WindowTape, window_tape
from daybook.core.arrays import Bytes
from daybook.core.errors import UsageError
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

ALL_BITS = 15


class SignalError(UsageError):
    """Signal bits or stops that do not fit the bars or the rules."""


def kernel_levels(stops: Stops | None) -> Levels:
    """The stops as the kernel reads them. Raises SignalError for a figure that is not finite or negative."""
    if stops is None:
        return 0.0, 0.0, 0
    for name, value in vars(stops).items():
        if not 0.0 <= value < math.inf:
            raise SignalError(f"stops: {name} is {value!r}, allowed is a finite number of at least 0 (0 = off).")
    return float(stops.stop_loss), float(stops.take_profit), int(stops.max_holding)


def window_bits(bits: Bytes, tape: WindowTape) -> Bytes:
    """The window's part of bits that cover all bars. Raises SignalError unless they are (T,) uint8 within 0 to 15."""
    if bits.dtype != np.uint8 or bits.shape != (len(tape.bars),):
        raise SignalError(f"{tape.bars.name}: signal bits have dtype {bits.dtype} and shape {bits.shape}, needed are "
                          f"uint8 and ({len(tape.bars)},), one for each bar.")
    if bits.size and int(bits.max()) > ALL_BITS:
        raise SignalError(f"{tape.bars.name}: signal bits reach {int(bits.max())}, allowed is 0 to {ALL_BITS}.")
    return bits[tape.start:tape.stop].copy()


def simulate_bits(
    bits: Bytes,
    bars: Bars,
    stops: Stops | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    sizing: Sizing = NOTIONAL,
) -> Metrics:
    """Simulate signal bits over a window of the bars.

    bits: (T,) uint8 for the T bars given: 1 long entry, 2 long exit, 4 short entry, 8 short exit, decided at the close.
    Raises SignalError, WindowError or PriceError for bits, windows or prices that can not be simulated.
    """
    tape = window_tape(bars, costs or Costs(), window, sizing)
    out = np.empty(len(METRICS))
    run_one(window_bits(bits, tape), tape.tape, tape.terms, kernel_levels(stops), out, None)
    return Metrics.of_row(out, len(tape))


def new_record(count: int) -> Record:
    """Room for the paths and the ledger of one simulation of `count` bars; the kernel writes what it reads back."""
    return np.zeros((2, count)), np.empty((count, len(LEDGER)))


def warm() -> None:
    """Compile every kernel of this part into numba's disk cache, so that no later process waits for it."""
    price = np.array([100.0, 101.0, 102.0])
    times = np.arange(3, dtype=np.int64) * 60_000
    tape = window_tape(Bars("warm", "WARM", "1m", times, price, price, price, price, price), Costs(), None)
    bits = np.array([[1, *[0] * 7]], dtype=np.uint8)
    out = np.empty((1, len(METRICS)))
    run_many(bits, tape.tape, tape.terms, np.zeros((1, 3)), out)
    for record in (None, new_record(3)):
        run_one(bits[0], tape.tape, tape.terms, (0.0, 0.0, 0), out[0], record)
