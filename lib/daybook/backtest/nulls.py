"""Null contestants: signals that look like a strategy's and know nothing of the market.

They keep how often, how long and on which side a strategy trades, and move the times at random. What they earn is
what luck and costs leave of such a way of trading, so a tournament that lets them win proves nothing by its winner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daybook.backtest.kernel import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from daybook.backtest.replay import Simulation
from daybook.core.arrays import Bools, Bytes, Ints
from daybook.core.errors import UsageError

NULL_KINDS = ("shift", "blocks", "spells")
"""shift: all signals later by one random time, those of the end at the start. blocks: stretches of time in random
order. spells: the same spells of signal and of silence, each kind in random order: a random entry."""

_BLOCKS = 24
_FREE_OF_EDGE = 8
"""A shift is at least this part of the span in either direction."""


def null_bits(kind: str, bits: Bytes, rng: np.random.Generator, part: slice = slice(None)) -> Bytes:
    """Signal bits without knowledge: (T,) uint8 like `bits`, with those of `part` rearranged in time.

    kind: one of NULL_KINDS. part: what the window covers, so that nothing from before it moves in. Every bit value
    occurs as often as before, and so does turnover, to about a twentieth, where signals alone end the trades. Stops
    make another number of trades of other bars: from 0.6 to 1.9 of it. random_entry_bits matches turnover always.
    Raises UsageError for another kind.
    """
    if kind not in NULL_KINDS:
        raise UsageError(f"null contestant: kind is {kind!r}, allowed are {', '.join(NULL_KINDS)}.")
    done = bits.copy()
    inside = bits[part]
    if inside.size > 1:
        done[part] = {"shift": _shifted, "blocks": _blocks, "spells": _spells}[kind](inside, rng)
    return done


def _shifted(bits: Bytes, rng: np.random.Generator) -> Bytes:
    margin = max(1, bits.size // _FREE_OF_EDGE)
    return np.asarray(np.roll(bits, int(rng.integers(margin, bits.size - margin + 1))))


def _blocks(bits: Bytes, rng: np.random.Generator) -> Bytes:
    """Blocks of a 24th of the span (a week: seven hours) in random order, cut at a random place."""
    turned = np.roll(bits, int(rng.integers(bits.size)))
    edges = np.arange(1, _BLOCKS) * bits.size // _BLOCKS
    pieces = [piece for piece in np.split(turned, edges) if piece.size]
    return np.concatenate([pieces[place] for place in rng.permutation(len(pieces))])


def _spells(bits: Bytes, rng: np.random.Generator) -> Bytes:
    """Stretches of one value trade lengths among those of the same value; then all move by a random time."""
    starts = np.flatnonzero(np.diff(bits, prepend=bits[0] ^ 1))
    values, lengths = bits[starts], np.diff(starts, append=bits.size)
    for value in np.unique(values):
        same = np.flatnonzero(values == value)
        lengths[same] = lengths[rng.permutation(same)]
    return np.asarray(np.roll(np.repeat(values, lengths), int(rng.integers(bits.size))))


@dataclass(frozen=True)
class Holdings:
    """The trades of a simulation without their times: the side and length of each, over a window of n_bars bars.

    long: (N,) bool. bars: (N,) int64 bars held, at least 1. Both in order of entry.
    """

    long: Bools
    bars: Ints
    n_bars: int

    @classmethod
    def of(cls, simulation: Simulation) -> Holdings:
        """What a simulation held. A trade that a stop closed inside a bar counts that bar."""
        trades = simulation.trades
        enter, leave = (np.searchsorted(simulation.open_time, trades[name].to_numpy(dtype=np.int64))
                        for name in ("entry_time", "exit_time"))
        long = np.asarray(trades["side"].to_numpy() == "long")
        count = len(simulation.open_time)
        return cls(*_room_between(long, np.maximum(leave - enter, 1).astype(np.int64), count), count)


def _room_between(long: Bools, bars: Ints, n_bars: int) -> tuple[Bools, Ints]:
    """Sides and lengths that fit the window with a bar between two trades of one side.

    A strategy may enter its side again at the open after a stop, with no bar between. Where that leaves too little
    room the longest trades are shortened, and where all last one bar, trades that repeat a side are left out.
    """
    bars = bars.copy()
    while bars.size and int(bars.sum()) + _neighbours(long) > n_bars - 1:
        longest = int(np.argmax(bars))
        if bars[longest] > 1:
            bars[longest] -= 1
        else:
            repeated = 1 + int(np.argmax(long[1:] == long[:-1]))
            long, bars = np.delete(long, repeated), np.delete(bars, repeated)
    return long, bars


def _neighbours(long: Bools) -> int:
    return int(np.sum(long[1:] == long[:-1]))


def random_entry_bits(held: Holdings, rng: np.random.Generator) -> Bytes:
    """Signal bits for the window, (n_bars,) uint8, that hold the same sides for the same times, entered at random.

    Number of trades, holding times and sides are matched exactly; the order is random, and so is how the flat bars are
    spread between them. Where too few bars are flat to let trades of one side follow each other, the order of the sides
    stays. Simulate them without stops: how long a stop let a trade live is in its length.
    """
    bits = np.zeros(held.n_bars, dtype=np.uint8)
    count = held.bars.size
    if count == 0:
        return bits
    free = held.n_bars - 1 - int(held.bars.sum())
    order = rng.permutation(count)
    if _neighbours(held.long[order]) > free:
        order = _order_within_sides(held.long, rng)
    long, bars = held.long[order], held.bars[order]
    apart = np.concatenate(([0], long[1:] == long[:-1])).astype(np.int64)
    before = apart + _parts(max(free - int(apart.sum()), 0), count, rng)
    enter = 1 + np.cumsum(before) + np.cumsum(bars) - bars
    bits[enter - 1] = np.where(long, LONG_ENTRY, SHORT_ENTRY)
    leave = enter + bars - 1
    ends = leave < held.n_bars - 1
    bits[leave[ends]] |= np.where(long[ends], LONG_EXIT, SHORT_EXIT).astype(np.uint8)
    return bits


def _order_within_sides(long: Bools, rng: np.random.Generator) -> NDArray[np.int64]:
    order = np.arange(long.size)
    for side in (True, False):
        same = np.flatnonzero(long == side)
        order[same] = rng.permutation(same)
    return order


def _parts(total: int, count: int, rng: np.random.Generator) -> Ints:
    """(count,) int64 at least 0 that add up to at most `total`; each way to spread the bars is equally likely."""
    bars = np.sort(rng.choice(total + count, size=count, replace=False, shuffle=False))
    parts: Ints = np.diff(bars, prepend=-1) - 1
    return parts
