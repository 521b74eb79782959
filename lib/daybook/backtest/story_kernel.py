"""The full simulation kernel: every rule of docs/BACKTEST_GUIDE.md, bar after bar.

The plain kernel passes quiet bars eight at a time and knows fixed levels only; a simulation that trails a stop, pays
funding, sizes its trades, is margined or looks inside its bars is told here. Money is in units of the initial capital.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Bytes, Floats, Ints

StoryTape: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats]
"""open, close, side cost, size factor of an entry, funding rate due before the open: each (T,) float64."""
Detail: TypeAlias = tuple[Floats, Floats, Floats, Ints, Ints]
"""(D,) open, high and low of the bars inside the bars, and (T,) where those of each bar start and stop.

Where nothing finer is known, each bar is the only one inside itself.
"""
Record: TypeAlias = tuple[Floats, Floats]
"""(2, T) equity and signed quantity at each close, and the (T, len(LEDGER)) trade ledger; both are written."""
_Range: TypeAlias = tuple[float, float, float]
"""A bar's open and its extremes in favour of the position and against it."""
Sides: TypeAlias = NDArray[np.int8]
"""(3, 16) the side wanted from a short, a flat and a long position under each value of the signal bits."""


class RuleSet(NamedTuple):
    """The figures of one simulation; 0 switches a rule off, and so does an infinite cap."""

    fee: float
    quantity: float
    share: float
    cap: float
    compounding: bool
    delay: int
    stop_loss: float
    take_profit: float
    max_holding: int
    trailing_stop: float
    break_even: float
    margin: float
    maintenance: float


# The tests hold these against REASONS: another file's constants would not renew numba's disk cache of this one.
SIGNAL: Final = 0
REVERSE: Final = 1
TIME: Final = 2
STOP: Final = 3
TARGET: Final = 4
END: Final = 5
RUIN: Final = 6
TRAILING: Final = 7
BREAK_EVEN: Final = 8
LIQUIDATION: Final = 9
_NONE: Final = -1
_NEVER: Final = 1 << 62

# A position lives in a small array, so that a fill can be a function of its own.
(_SIGNED, _ENTRY_PRICE, _ENTRY_BAR, _ENTRY_FEE, _ENTRY_COST, _FUNDING, _REALISED) = range(7)
_POSITION: Final = 7

_compiled = njit(cache=True, error_model="numpy", nogil=True)


@_compiled
def _size(rules: RuleSet, factor: float, capital: float, fill: float) -> float:
    """Base coins of an entry, NaN where its factor is undefined."""
    room = rules.cap * capital / fill
    size = rules.quantity if rules.quantity > 0.0 else rules.share * factor * capital / fill
    return room if size > room else size


@_compiled
def _enter(held: Floats, rules: RuleSet, t: int, side: int, price: float, side_cost: float, size: float) -> None:
    """Open a position at bar t."""
    fill = price * (1.0 + side * side_cost)
    held[_SIGNED], held[_ENTRY_PRICE], held[_ENTRY_BAR] = side * size, fill, t
    held[_ENTRY_FEE] = rules.fee * size * fill
    held[_ENTRY_COST] = held[_ENTRY_FEE] + size * price * side_cost
    held[_FUNDING] = 0.0


@_compiled
def _leave(held: Floats, rules: RuleSet, row: Floats, t: int, price: float, side_cost: float, reason: int) -> None:
    """Close the position at bar t and write its ledger row."""
    side = 1.0 if held[_SIGNED] > 0.0 else -1.0
    size = abs(held[_SIGNED])
    fill = price * (1.0 - side * side_cost)
    fee = rules.fee * size * fill
    pnl = held[_SIGNED] * (fill - held[_ENTRY_PRICE]) - fee - held[_ENTRY_FEE] - held[_FUNDING]
    row[0], row[1], row[2] = held[_ENTRY_BAR], t, side
    row[3], row[4], row[5] = held[_ENTRY_PRICE], fill, size
    row[6], row[7], row[8] = pnl, held[_ENTRY_COST] + fee + size * price * side_cost, reason
    row[9] = held[_FUNDING]
    held[_SIGNED] = 0.0
    held[_REALISED] += pnl


@_compiled
def _stop(fill: float, best: float, side: int, rules: RuleSet) -> tuple[float, int]:
    """The nearest stop of a position and the rule that put it there; infinitely far where there is none."""
    level, reason = -side * np.inf, STOP
    if rules.stop_loss > 0.0:
        level = fill * (1.0 - side * rules.stop_loss)
    if rules.break_even > 0.0 and side * (best - fill * (1.0 + side * rules.break_even)) >= 0.0 \
            and side * (fill - level) > 0.0:
        level, reason = fill, BREAK_EVEN
    trailed = best * (1.0 - side * rules.trailing_stop)
    if rules.trailing_stop > 0.0 and side * (trailed - level) > 0.0:
        level, reason = trailed, TRAILING
    return level, reason


@_compiled
def _touch(fill: float, side: int, rules: RuleSet, stop: tuple[float, int], bar: _Range) -> tuple[float, int]:
    """(price, reason) at which a bar closes the position; reason _NONE where it does not.

    What lies against the position comes before what lies in favour, and of two levels against it the nearer.
    """
    first, favourable, adverse = bar
    level, reason = stop
    if rules.margin > 0.0:
        liquidation = fill * (1.0 - side * (rules.margin - rules.maintenance))
        if side * (first - liquidation) <= 0.0 or (
                side * (adverse - liquidation) <= 0.0 and side * (liquidation - level) >= 0.0):
            bankrupt = fill * (1.0 - side * rules.margin)
            return first if side * (first - bankrupt) < 0.0 else bankrupt, LIQUIDATION
    if side * (adverse - level) <= 0.0:
        return first if side * (first - level) < 0.0 else level, reason
    target = fill * (1.0 + side * rules.take_profit)
    if rules.take_profit > 0.0 and side * (favourable - target) >= 0.0:
        return first if side * (first - target) > 0.0 else target, TARGET
    return 0.0, _NONE


@_compiled
def run_story(bits: Bytes, sides: Sides, tape: StoryTape, detail: Detail, rules: RuleSet,
              record: Record) -> tuple[int, int, bool]:
    """Simulate one strategy over one tape of T >= 1 bars and write the record.

    bits: (at least T,) uint8, decided at each close and already moved by the delay.
    Returns (trades, bars held, ruined).
    """
    opens, closes, side_costs, factors, funding = tape
    fine_opens, fine_highs, fine_lows, starts, stops = detail
    (equity, position), ledger, last = record[0], record[1], closes.size - 1
    held = np.zeros(_POSITION)
    held[_REALISED], equity[0], position[0] = 1.0, 1.0, 0.0
    side, due, trades, bars_held, ruined = 0, _NEVER, 0, 0, False
    # What the account is worth is base + signed * price; arrays handed to a function at every bar would cost more
    # than all the rest.
    base, signed, fill, best = 1.0, 0.0, 0.0, 0.0
    for t in range(1, last + 1):
        if side != 0 and funding[t] != 0.0:
            held[_FUNDING] += signed * closes[t - 1] * funding[t]
            base -= signed * closes[t - 1] * funding[t]
        wanted = int(sides[side + 1, bits[t - 1]])
        reason = REVERSE if wanted != 0 else SIGNAL
        if wanted == side and t == due:
            wanted, reason = 0, TIME
        if wanted != side:
            if side != 0:
                _leave(held, rules, ledger[trades], t, opens[t], side_costs[t], reason)
                trades += 1
            side, due, base, signed = 0, _NEVER, held[_REALISED], 0.0
            if wanted != 0:
                capital = equity[max(t - 1 - rules.delay, 0)] if rules.compounding else 1.0
                size = _size(rules, factors[t], capital, opens[t] * (1.0 + wanted * side_costs[t]))
                if size > 0.0:
                    _enter(held, rules, t, wanted, opens[t], side_costs[t], size)
                    side, due = wanted, t + rules.max_holding if rules.max_holding > 0 else _NEVER
                    signed, fill, best = held[_SIGNED], held[_ENTRY_PRICE], held[_ENTRY_PRICE]
                    base -= held[_ENTRY_FEE] + signed * fill
        if side != 0:
            bars_held += 1
            # Levels move after each of the bars inside is complete: the order of its high and low never matters.
            for d in range(starts[t], stops[t]):
                low, high = fine_lows[d], fine_highs[d]
                favourable, adverse = (high, low) if side > 0 else (low, high)
                price, reason = _touch(fill, side, rules, _stop(fill, best, side, rules),
                                       (fine_opens[d], favourable, adverse))
                if reason != _NONE:
                    _leave(held, rules, ledger[trades], t, price, side_costs[t], reason)
                    trades, side, due, base, signed = trades + 1, 0, _NEVER, held[_REALISED], 0.0
                    break
                best = favourable if side * (favourable - best) > 0.0 else best
        ruined = base + signed * closes[t] <= 0.0
        if side != 0 and (ruined or t == last):
            _leave(held, rules, ledger[trades], t, closes[t], side_costs[t], RUIN if ruined else END)
            trades, side, base, signed = trades + 1, 0, held[_REALISED], 0.0
        equity[t], position[t] = base + signed * closes[t], signed
        if ruined:
            equity[t:], position[t:] = equity[t], 0.0
            break
    return trades, bars_held, ruined
