"""The portfolio kernel: many legs on one clock, one cash account, entries refused whole where they would break the cap.

Money is in units of the initial capital. The rules of a leg are those of docs/BACKTEST_GUIDE.md; what legs share is
under "Portfolios" there. The functions stay together in this file: numba's disk cache of a caller does not notice a
change in another file's callee.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from daybook.core.arrays import Bytes, Floats, Ints


class Tapes(NamedTuple):
    """The bars of all legs, one leg after the other: leg i has the bars [first[i], first[i + 1]).

    open, high, low, close, side_cost, factor (of an entry's size), funding (rate due on a position carried into the
    bar): (N,) float64. bits: (N,) uint8, moved by the latency. open_time: (N,) int64; until: (N,) int64 when a bar is
    complete. first: (L + 1,) int64.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    side_cost: Floats
    factor: Floats
    funding: Floats
    bits: Bytes
    open_time: Ints
    until: Ints
    first: Ints


class Paths(NamedTuple):
    """What a run writes: equity, gross and net exposure (C,), profit and signed quantity of each leg (L, C).

    trades: (N, len(TRADE)), refused: (N, len(REFUSED)), of which the first rows count. held: (C,) whether any leg was.
    """

    equity: Floats
    gross: Floats
    net: Floats
    profit: Floats
    signed: Floats
    held: Bytes
    trades: Floats
    refused: Floats


class Run(NamedTuple):
    """Where a run stands. account: (1,) what closed trades left, from 1. positions: (L, _POSITION).

    at: (L,) the bar each leg is in, or its next one; inside: (L,) which of the two. next_time: (L,) when that bar is
    complete, or opens. wanted: (L,) side to enter now.
    due: (L,) bar at which the longest holding ends. ticks: (N,) place on the clock at which a bar was complete.
    counts: (3,) trades, refused entries, ticks.
    """

    account: Floats
    positions: Floats
    at: Ints
    inside: Bytes
    next_time: Ints
    wanted: Ints
    due: Ints
    ticks: Ints
    counts: Ints


TRADE: Final = ("leg", "entry_bar", "exit_bar", "side", "entry_price", "exit_price", "quantity", "pnl", "cost",
                "reason", "time", "funding")  # fmt: skip
"""Bars count from the leg's first one; time is that of the exit in ms UTC."""
REFUSED: Final = ("leg", "time", "side", "notional", "gross", "equity")

# Rules of a leg, one row of (L, len) each; 0 switches a rule off.
(FEE, QUANTITY, SHARE, CAP, COMPOUNDING, DELAY, STOP_LOSS, TAKE_PROFIT, MAX_HOLDING, TRAILING_STOP,
 BREAK_EVEN) = range(11)  # fmt: skip
RULES: Final = 11

# The tests hold these against REASONS of the plain kernel.
SIGNAL: Final = 0
REVERSE: Final = 1
TIME: Final = 2
STOP: Final = 3
TARGET: Final = 4
END: Final = 5
RUIN: Final = 6
TRAILING: Final = 7
BREAK_EVEN_STOP: Final = 8
_NONE: Final = -1

# A leg's position.
_SIGNED, _ENTRY_PRICE, _ENTRY_BAR, _ENTRY_FEE, _ENTRY_COST, _BEST, _MARK, _PROFIT, _FUNDING = range(9)
_POSITION: Final = 9
_NEVER: Final = 1 << 62
_ROUNDING: Final = 1e-12
_TRADES, _REFUSALS, _TICKS = range(3)

_compiled = njit(cache=True, error_model="numpy", nogil=True)


@_compiled
def clock_of(until: Ints, first: Ints) -> Ints:
    """(C,) int64 rising: every time at which a bar of any leg is complete."""
    at = first[:-1].copy()
    clock = np.empty(until.size, dtype=np.int64)
    count = 0
    while True:
        now = _NEVER
        for leg in range(at.size):
            if at[leg] < first[leg + 1] and until[at[leg]] < now:
                now = until[at[leg]]
        if now == _NEVER:
            return clock[:count]
        clock[count], count = now, count + 1
        for leg in range(at.size):
            if at[leg] < first[leg + 1] and until[at[leg]] == now:
                at[leg] += 1


@_compiled
def _wanted_side(bits: int, side: int) -> int:
    """1 long, 0 flat, -1 short: what the bits ask for from the side held."""
    entries = bits & 5
    if entries == 1:
        return 1
    if entries == 4:
        return -1
    if (side > 0 and (bits & 2) != 0) or (side < 0 and (bits & 8) != 0):
        return 0
    return side


@_compiled
def _side(signed: float) -> int:
    return 0 if signed == 0.0 else (1 if signed > 0.0 else -1)


@_compiled
def _worth(account: Floats, positions: Floats) -> float:
    """Cash and positions at their marks."""
    worth: float = account[0]
    for leg in range(positions.shape[0]):
        if positions[leg, _SIGNED] != 0.0:
            worth -= positions[leg, _ENTRY_FEE] + positions[leg, _SIGNED] * positions[leg, _ENTRY_PRICE]
            worth -= positions[leg, _FUNDING]
    for leg in range(positions.shape[0]):
        if positions[leg, _SIGNED] != 0.0:
            worth += positions[leg, _SIGNED] * positions[leg, _MARK]
    return worth


@_compiled
def _gross(positions: Floats) -> float:
    total = 0.0
    for leg in range(positions.shape[0]):
        total += abs(positions[leg, _SIGNED]) * positions[leg, _MARK]
    return total


@_compiled
def _leave(account: Floats, held: Floats, fee: float, row: Floats, price: float, side_cost: float) -> None:
    """Close a position and write what its ledger row says of money."""
    side = 1.0 if held[_SIGNED] > 0.0 else -1.0
    size = abs(held[_SIGNED])
    fill = price * (1.0 - side * side_cost)
    paid = fee * size * fill
    pnl = held[_SIGNED] * (fill - held[_ENTRY_PRICE]) - paid - held[_ENTRY_FEE] - held[_FUNDING]
    row[1], row[3], row[4], row[5], row[6] = held[_ENTRY_BAR], side, held[_ENTRY_PRICE], fill, size
    row[7], row[8] = pnl, held[_ENTRY_COST] + (paid + size * price * side_cost)
    row[11] = held[_FUNDING]
    held[_SIGNED] = 0.0
    held[_PROFIT] += pnl
    account[0] += pnl


@_compiled
def _close(tapes: Tapes, rules: Floats, paths: Paths, run: Run, leg: int, bar: int,
           leaving: tuple[float, int, int]) -> None:
    """Close a leg's position in a bar: leaving is (price, reason, time)."""
    row = paths.trades[run.counts[_TRADES]]
    _leave(run.account, run.positions[leg], rules[leg, FEE], row, leaving[0], tapes.side_cost[bar])
    row[0], row[2], row[9], row[10] = leg, bar - tapes.first[leg], leaving[1], leaving[2]
    run.due[leg] = _NEVER
    run.counts[_TRADES] += 1


@_compiled
def _stop(held: Floats, rules: Floats, side: int) -> tuple[float, int]:
    """The nearest stop and the rule that put it there; infinitely far where there is none."""
    fill, best = held[_ENTRY_PRICE], held[_BEST]
    level, reason = -side * np.inf, STOP
    if rules[STOP_LOSS] > 0.0:
        level = fill * (1.0 - side * rules[STOP_LOSS])
    if rules[BREAK_EVEN] > 0.0 and side * (best - fill * (1.0 + side * rules[BREAK_EVEN])) >= 0.0 \
            and side * (fill - level) > 0.0:
        level, reason = fill, BREAK_EVEN_STOP
    trailed = best * (1.0 - side * rules[TRAILING_STOP])
    if rules[TRAILING_STOP] > 0.0 and side * (trailed - level) > 0.0:
        level, reason = trailed, TRAILING
    return level, reason


@_compiled
def _touch(held: Floats, rules: Floats, first: float, high: float, low: float) -> tuple[float, int]:
    """(price, reason) at which a bar closes the position; reason _NONE where it does not, and the best price moves."""
    side = _side(held[_SIGNED])
    favourable, adverse = (high, low) if side > 0 else (low, high)
    target: float = held[_ENTRY_PRICE] * (1.0 + side * rules[TAKE_PROFIT])
    stop, reason = _stop(held, rules, side)
    if side * (adverse - stop) <= 0.0:
        return first if side * (first - stop) < 0.0 else stop, reason
    if rules[TAKE_PROFIT] > 0.0 and side * (favourable - target) >= 0.0:
        return first if side * (first - target) > 0.0 else target, TARGET
    if side * (favourable - held[_BEST]) > 0.0:
        held[_BEST] = favourable
    return 0.0, _NONE


@_compiled
def _enter(held: Floats, fee: float, bar: int, side: int, price: float, side_cost: float, size: float) -> None:
    fill = price * (1.0 + side * side_cost)
    held[_SIGNED], held[_ENTRY_PRICE], held[_ENTRY_BAR] = side * size, fill, bar
    held[_ENTRY_FEE] = fee * size * fill
    held[_ENTRY_COST] = held[_ENTRY_FEE] + size * price * side_cost
    held[_BEST], held[_MARK], held[_FUNDING] = fill, price, 0.0


@_compiled
def _size(rules: Floats, factor: float, capital: float, fill: float) -> float:
    """Base coins of an entry; NaN where its factor is undefined, which enters nothing."""
    room: float = rules[CAP] * capital / fill
    size: float = rules[QUANTITY] if rules[QUANTITY] > 0.0 else rules[SHARE] * factor * capital / fill
    return room if size > room else size


@_compiled
def _record(paths: Paths, positions: Floats, k: int, worth: float) -> None:
    """Write what the account is worth and holds at tick k."""
    signs, profits = paths.signed, paths.profit
    gross = net = 0.0
    for leg in range(positions.shape[0]):
        signed, profit = positions[leg, _SIGNED], positions[leg, _PROFIT]
        if signed != 0.0:
            value = signed * positions[leg, _MARK]
            gross += abs(value)
            net += value
            profit += value - signed * positions[leg, _ENTRY_PRICE]
            profit -= positions[leg, _ENTRY_FEE] + positions[leg, _FUNDING]
        signs[leg, k], profits[leg, k] = signed, profit
    paths.equity[k], paths.gross[k], paths.net[k] = worth, gross, net


@_compiled
def _complete(tapes: Tapes, rules: Floats, paths: Paths, run: Run, now: int) -> bool:
    """Bars that are complete now: stops inside them, marks, ruin, the ends of legs. Returns whether it is ruin."""
    at, inside, due, positions, k = run.at, run.inside, run.next_time, run.positions, run.counts[_TICKS]
    closing = held = False
    for leg in range(at.size):
        closing |= inside[leg] != 0 and due[leg] == now
        held |= positions[leg, _SIGNED] != 0.0
    if not closing:
        return False
    paths.held[k] = held
    ending = False
    for leg in range(at.size):
        if inside[leg] != 0 and due[leg] == now:
            bar = at[leg]
            run.ticks[bar] = k
            if positions[leg, _SIGNED] != 0.0:
                price, reason = _touch(positions[leg], rules[leg], tapes.open[bar], tapes.high[bar], tapes.low[bar])
                if reason != _NONE:
                    _close(tapes, rules, paths, run, leg, bar, (price, reason, now))
            positions[leg, _MARK] = tapes.close[bar]
            ending |= bar + 1 == tapes.first[leg + 1]
    worth = _worth(run.account, positions)
    ruined = worth <= 0.0
    if ruined or ending:
        _end(tapes, rules, paths, run, now, ruined)
        worth = _worth(run.account, positions)
    _record(paths, positions, k, worth)
    run.counts[_TICKS] = k + 1
    for leg in range(at.size):
        if inside[leg] != 0 and due[leg] == now:
            at[leg], inside[leg] = at[leg] + 1, 0
            due[leg] = tapes.open_time[at[leg]] if at[leg] < tapes.first[leg + 1] else _NEVER
    return ruined


@_compiled
def _end(tapes: Tapes, rules: Floats, paths: Paths, run: Run, now: int, ruined: bool) -> None:
    """Close what is held at its mark: every leg at ruin, else those whose last bar is complete."""
    for leg in range(run.at.size):
        if run.positions[leg, _SIGNED] == 0.0:
            continue
        bar = run.at[leg] if run.inside[leg] else run.at[leg] - 1
        last = bar + 1 == tapes.first[leg + 1] and run.inside[leg] != 0 and run.next_time[leg] == now
        if ruined or last:
            _close(tapes, rules, paths, run, leg, bar, (run.positions[leg, _MARK], RUIN if ruined else END, now))


@_compiled
def _open(tapes: Tapes, rules: Floats, paths: Paths, run: Run, now: int) -> bool:
    """Bars that open now: funding due, then exits of all legs, so that what they free is there for the entries.

    Writes `wanted`. Returns whether any leg wants to enter.
    """
    entering = False
    for leg in range(run.at.size):
        run.wanted[leg] = 0
        if run.inside[leg] != 0 or run.next_time[leg] != now:
            continue
        bar = run.at[leg]
        run.inside[leg], run.next_time[leg] = 1, tapes.until[bar]
        if bar == tapes.first[leg]:
            continue
        held = run.positions[leg]
        side = _side(held[_SIGNED])
        if side != 0:
            held[_FUNDING] += held[_SIGNED] * held[_MARK] * tapes.funding[bar]
        want = _wanted_side(tapes.bits[bar - 1], side)
        reason = REVERSE if want != 0 else SIGNAL
        if want == side and side != 0 and bar == run.due[leg]:
            want, reason = 0, TIME
        if want != side:
            if side != 0:
                _close(tapes, rules, paths, run, leg, bar, (tapes.open[bar], reason, now))
            run.wanted[leg] = want
            entering |= want != 0
    return entering


@_compiled
def _enter_wanted(tapes: Tapes, rules: Floats, leverage: float, paths: Paths, run: Run, now: int) -> None:
    """Entries, in the order of the legs: each sees what those before it took."""
    for leg in range(run.at.size):
        side = run.wanted[leg]
        if side == 0:
            continue
        bar, rule = run.at[leg], rules[leg]
        decided = max(bar - 1 - int(rule[DELAY]), tapes.first[leg])
        capital = paths.equity[run.ticks[decided]] if rule[COMPOUNDING] > 0.0 else 1.0
        fill = tapes.open[bar] * (1.0 + side * tapes.side_cost[bar])
        size = _size(rule, tapes.factor[bar], capital, fill)
        if not size > 0.0:
            continue
        if leverage < np.inf:
            worth, gross = _worth(run.account, run.positions), _gross(run.positions)
            if gross + size * fill > leverage * worth * (1.0 + _ROUNDING):
                row = paths.refused[run.counts[_REFUSALS]]
                row[0], row[1], row[2], row[3], row[4], row[5] = leg, now, side, size * fill, gross, worth
                run.counts[_REFUSALS] += 1
                continue
        _enter(run.positions[leg], rule[FEE], bar - tapes.first[leg], side, tapes.open[bar], tapes.side_cost[bar], size)
        run.due[leg] = bar + int(rule[MAX_HOLDING]) if rule[MAX_HOLDING] > 0.0 else _NEVER


@_compiled
def run_portfolio(tapes: Tapes, rules: Floats, leverage: float, paths: Paths) -> tuple[int, int, bool]:
    """Simulate all legs and write the paths. Returns (trades, refused entries, ruined).

    rules: (L, RULES). leverage: gross exposure at most, as a multiple of the equity; infinite for no cap.
    """
    legs, ruined = rules.shape[0], False
    first = tapes.first[:-1].copy()
    run = Run(np.ones(1), np.zeros((legs, _POSITION)), first, np.zeros(legs, dtype=np.uint8), tapes.open_time[first],
              np.zeros(legs, dtype=np.int64), np.full(legs, _NEVER), np.zeros(tapes.open.size, dtype=np.int64),
              np.zeros(3, dtype=np.int64))
    now = run.next_time.min()
    while now != _NEVER and not ruined:
        ruined = _complete(tapes, rules, paths, run, now)
        if not ruined:
            if _open(tapes, rules, paths, run, now):
                _enter_wanted(tapes, rules, leverage, paths, run, now)
            now = run.next_time.min()
    for k in range(run.counts[_TICKS], paths.equity.size):
        _record(paths, run.positions, k, paths.equity[k - 1])
    return run.counts[_TRADES], run.counts[_REFUSALS], ruined
