"""The simulation kernel of sweeps: from one event to the next over packed signals, many simulations a call.

It follows the rules of `kernel.py` for what most specs need (entries, exits, stop loss, take profit, maximum holding)
and nothing else. A simulation is carried through the tape piece by piece in a row of sums, so that neither signals nor
returns of all its bars are ever held; between two events the bars of a position are one loop over contiguous closes.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daybook.core.arrays import Floats
from daybook.core.uncounted import uncounted

Words: TypeAlias = NDArray[np.uint64]
Tape: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
"""open, high, low, close, side cost, block ranges, as `kernel.Tape` has them."""
Terms: TypeAlias = tuple[float, float, float]
"""Fee fraction per side; quantity per unit of capital, 0 = the initial capital at each entry; bars per year."""
_Rules: TypeAlias = tuple[float, float, float, float, int]
"""Fee and quantity of the terms; stop loss, take profit and maximum holding of one simulation, 0 = off."""
_Held: TypeAlias = tuple[float, float, float, float]
"""What a position is worth, base + signed quantity * price, and the prices (lower, upper) whose touch closes it."""
_Sums: TypeAlias = tuple[float, float, float, float, float]
_Track: TypeAlias = tuple[float, float, float]
_Bar: TypeAlias = tuple[float, float, float, float, float]
"""open, high, low, close and side cost of one bar."""

# What a simulation carries from one piece of the tape to the next.
(_REALISED, _BASE, _SIGNED, _LOWER, _UPPER, _DUE, _ENTRY_PRICE, _ENTRY_FEE, _ENTRY_COST, _EQUITY, _PEAK, _TROUGH,
 _DRAWDOWN, _TRADES, _WINS, _GAINS, _LOSSES, _TURNOVER, _COSTS, _HELD, _RUINED, _S1, _S2, _S3, _S4,
 _DOWNSIDE, _LEAST, _MOST, _UNBOOKED) = range(29)  # fmt: skip
STATE: Final = 29
"""Figures a simulation carries."""
ROUNDING: Final = 1e-12
"""Profits, deviations and losses up to this fraction of the capital are rounding and count as none."""
BLOCK: Final = 8
"""Bars whose extremes are one column of the block ranges, the first block beginning at bar 1."""
_NEVER: Final = 1 << 62
_WORD: Final = 64

_ONE, _ALL, _LOW_SIX = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(63)
_DE_BRUIJN, _HIGH_SIX = np.uint64(0x03F79D71B4CB0A89), np.uint64(58)


def _bit_positions() -> NDArray[np.int64]:
    """Position of a single bit, found at the six highest bits of its product with a de Bruijn sequence."""
    positions = np.empty(64, np.int64)
    for position in range(64):
        positions[(int(_DE_BRUIJN) << position & 0xFFFFFFFFFFFFFFFF) >> int(_HIGH_SIX)] = position
    return positions


_POSITION: Final = _bit_positions()

# One compilation unit: numba's disk cache of a caller does not notice a change in another file's callee.
_compiled = uncounted()
_summing = uncounted("reassoc", "nsz", "contract")
"""For sums whose order the compiler may choose, so that it adds several bars at a time: the same at every run, but the
last digits may differ between kinds of processor."""


def new_states(count: int) -> Floats:
    """(count, STATE) rows of simulations that have not begun."""
    states = np.zeros((count, STATE))
    states[:, [_REALISED, _BASE, _EQUITY, _PEAK, _TROUGH]] = 1.0
    states[:, _DUE], states[:, _LOWER], states[:, _UPPER] = _NEVER, -np.inf, np.inf
    return states


@_compiled
def _side(signed: float) -> int:
    return 0 if signed == 0.0 else (1 if signed > 0.0 else -1)


@_compiled
def _watched(planes: Words, k: int, side: int) -> np.uint64:
    """The bars of word k on which the signals ask for another position than the one held."""
    enter_long, enter_short = planes[0, k], planes[2, k]
    if side > 0:
        watched: np.uint64 = (enter_short & ~enter_long) | (planes[1, k] & ~(enter_long & ~enter_short))
    elif side < 0:
        watched = (enter_long & ~enter_short) | (planes[3, k] & ~(enter_short & ~enter_long))
    else:
        watched = enter_long ^ enter_short
    return watched


@_compiled
def _next_signal(planes: Words, side: int, start: int, stop: int) -> int:
    """The first bar in [start, stop) whose signals ask for another position, or stop."""
    if start >= stop:
        return stop
    k = start // _WORD
    word = _watched(planes, k, side) & (_ALL << (np.uint64(start) & _LOW_SIX))
    while word == 0:
        k += 1
        if k * _WORD >= stop:
            return stop
        word = _watched(planes, k, side)
    lowest = word & (~word + _ONE)
    return min(k * _WORD + int(_POSITION[(lowest * _DE_BRUIJN) >> _HIGH_SIX]), stop)


@_compiled
def _first_touch(
    highs: Floats, lows: Floats, ranges: Floats, bars: tuple[int, int], lower: float, upper: float
) -> int:
    """The first of bars [start, stop) that touches a level, or stop."""
    t, stop = bars
    while t < stop:
        if (t - 1) % BLOCK == 0:
            k, last = (t - 1) // BLOCK, (stop - 1) // BLOCK
            while k < last and ranges[0, k] > lower and ranges[1, k] < upper:
                k += 1
            t = 1 + k * BLOCK
        end = min(t + BLOCK - (t - 1) % BLOCK, stop)
        while t < end:
            if lows[t] <= lower or highs[t] >= upper:
                return t
            t += 1
    return stop


@_compiled
def _first_ruin(closes: Floats, start: int, stop: int, base: float, signed: float) -> int:
    """The first of bars [start, stop) at whose close nothing is left, or stop."""
    for t in range(start, stop):
        if base + signed * closes[t] <= 0.0:
            return t
    return stop


@_summing
def _hold(state: Floats, closes: Floats, start: int, stop: int) -> _Sums:
    """Of bars [start, stop) of the position held: sums of the first four powers of the returns, and of the squared
    losses. The lowest and the highest close are left in the state.

    Positive prices have the order of their bits, as whole numbers of which the extremes are found several at a time.
    """
    base, signed = state[_BASE], state[_SIGNED]
    part = closes[start - 1:stop]
    keys = part.view(np.int64)
    least = most = keys[1]
    s1 = s2 = s3 = s4 = downside = 0.0
    for i in range(part.size - 1):
        least, most = min(least, keys[i + 1]), max(most, keys[i + 1])
        change = signed * (part[i + 1] - part[i]) / (base + signed * part[i])
        square = change * change
        s1 += change
        s2 += square
        s3 += square * change
        s4 += square * square
        loss = min(change, 0.0)
        downside += loss * loss
    extremes = state[_LEAST:_MOST + 1].view(np.int64)
    extremes[0], extremes[1] = least, most
    return s1, s2, s3, s4, downside


@_compiled
def _deepen(track: _Track, value: float) -> _Track:
    """Follow (peak, trough, drawdown): below the trough the drawdown grows, so that few bars need a division."""
    peak, trough, drawdown = track
    if value > peak:
        return value, value * (1.0 - drawdown), drawdown
    if value < trough:
        return peak, value, 1.0 - value / peak
    return peak, trough, drawdown


@_compiled
def _follow(state: Floats, closes: Floats, start: int, stop: int) -> None:
    """Follow the drawdown over bars [start, stop) of the position held, whose extremes are in the state."""
    base, signed = state[_BASE], state[_SIGNED]
    at_lowest, at_highest = base + signed * state[_LEAST], base + signed * state[_MOST]
    least, most = min(at_lowest, at_highest), max(at_lowest, at_highest)
    peak, trough, drawdown = state[_PEAK], state[_TROUGH], state[_DRAWDOWN]
    if most <= peak or least >= most * (1.0 - drawdown):
        peak, trough, drawdown = _deepen(_deepen((peak, trough, drawdown), most), least)
    else:
        for t in range(start, stop):
            peak, trough, drawdown = _deepen((peak, trough, drawdown), base + signed * closes[t])
    state[_PEAK], state[_TROUGH], state[_DRAWDOWN] = peak, trough, drawdown


@_compiled
def _pass_bars(state: Floats, closes: Floats, start: int, stop: int) -> int:
    """Book bars [start, stop), at least one, of the position held, up to ruin; returns the first bar not booked."""
    base, signed = state[_BASE], state[_SIGNED]
    s1, s2, s3, s4, downside = _hold(state, closes, start, stop)
    if base + signed * (state[_LEAST] if signed > 0.0 else state[_MOST]) <= 0.0:
        stop = _first_ruin(closes, start, stop, base, signed)
        if stop == start:
            return start
        s1, s2, s3, s4, downside = _hold(state, closes, start, stop)
    _follow(state, closes, start, stop)
    state[_EQUITY] = base + signed * closes[stop - 1]
    state[_HELD] += stop - start
    state[_S1] += s1
    state[_S2] += s2
    state[_S3] += s3
    state[_S4] += s4
    state[_DOWNSIDE] += downside
    return stop


@_compiled
def _enter(state: Floats, rules: _Rules, t: int, side: int, price: float, side_cost: float) -> None:
    """Open a position at bar t."""
    fee_rate, quantity, stop_loss, take_profit, max_holding = rules
    fill = price * (1.0 + side * side_cost)
    size = quantity if quantity > 0.0 else 1.0 / fill
    fee = fee_rate * size * fill
    state[_SIGNED], state[_ENTRY_PRICE], state[_ENTRY_FEE] = side * size, fill, fee
    state[_ENTRY_COST] = fee + size * price * side_cost
    state[_TURNOVER] += size * fill
    state[_COSTS] += state[_ENTRY_COST]
    state[_BASE] = state[_REALISED] - (fee + side * size * fill)
    stop = fill * (1.0 - side * stop_loss) if stop_loss > 0.0 else -side * np.inf
    target = fill * (1.0 + side * take_profit) if take_profit > 0.0 else side * np.inf
    state[_LOWER], state[_UPPER] = (stop, target) if side > 0 else (target, stop)
    state[_DUE] = t + max_holding if max_holding > 0 else _NEVER


@_compiled
def _leave(state: Floats, fee: float, price: float, side_cost: float) -> None:
    """Close the position at a price and book the trade."""
    signed = state[_SIGNED]
    side, size = 1.0 if signed > 0.0 else -1.0, abs(signed)
    fill = price * (1.0 - side * side_cost)
    exit_fee = fee * size * fill
    pnl = signed * (fill - state[_ENTRY_PRICE]) - exit_fee - state[_ENTRY_FEE]
    state[_REALISED] += pnl
    state[_TRADES] += 1.0
    # Without branches: whether a trade wins is what no processor can predict.
    state[_WINS] += 1.0 if pnl > ROUNDING else 0.0
    state[_GAINS] += pnl if pnl > ROUNDING else 0.0
    state[_LOSSES] -= pnl if pnl < -ROUNDING else 0.0
    state[_TURNOVER] += size * fill
    state[_COSTS] += exit_fee + size * price * side_cost
    state[_SIGNED], state[_BASE], state[_DUE] = 0.0, state[_REALISED], _NEVER


@_compiled
def _mark(state: Floats, value: float) -> None:
    """Mark the equity at the close of a bar of its own."""
    change = value / state[_EQUITY] - 1.0
    square = change * change
    loss = min(change, 0.0)
    state[_S1] += change
    state[_S2] += square
    state[_S3] += square * change
    state[_S4] += square * square
    state[_DOWNSIDE] += loss * loss
    state[_PEAK], state[_TROUGH], state[_DRAWDOWN] = _deepen((state[_PEAK], state[_TROUGH], state[_DRAWDOWN]), value)
    state[_EQUITY] = value


@_compiled
def _event(state: Floats, rules: _Rules, bar: _Bar, t: int, wanted: int, ends: bool) -> None:
    """Bar t, at which something may happen: leave and enter at the open, touch a level, mark or close at the close."""
    first, high, low, close, side_cost = bar
    side = _side(state[_SIGNED])
    if wanted == side and t == state[_DUE]:
        wanted = 0
    if wanted != side:
        if side != 0:
            _leave(state, rules[0], first, side_cost)
        if wanted != 0:
            _enter(state, rules, t, wanted, first, side_cost)
        side = wanted
    if side != 0:
        state[_HELD] += 1.0
        lower, upper = state[_LOWER], state[_UPPER]
        if low <= lower or high >= upper:
            stopped = low <= lower if side > 0 else high >= upper
            price = min(first, lower) if stopped == (side > 0) else max(first, upper)
            _leave(state, rules[0], price, side_cost)
            side = 0
    value = state[_BASE] + state[_SIGNED] * close
    if value <= 0.0 or (ends and side != 0):
        state[_RUINED] = 1.0 if value <= 0.0 else 0.0
        if side != 0:
            _leave(state, rules[0], close, side_cost)
        value = state[_BASE]
    _mark(state, value)


@_compiled
def _advance(state: Floats, planes: Words, tape: Tape, rules: _Rules, bars: tuple[int, int]) -> None:
    """Carry one simulation through bars [first, stop); bit i of the planes is filled at bar first + i.

    The bars of a position are booked when it meets an event, in one go wherever its tape was cut, so that the last
    digits of their sums do not depend on the pieces.
    """
    opens, highs, lows, closes, side_costs, ranges = tape
    first, stop = bars
    last = closes.size - 1
    t = first
    while t < stop and state[_RUINED] == 0.0:
        side = _side(state[_SIGNED])
        signal = first + _next_signal(planes, side, t - first, stop - first)
        event = signal
        if side != 0:
            event = min(signal, int(state[_DUE]), last)
            if state[_LOWER] > -np.inf or state[_UPPER] < np.inf:
                event = _first_touch(highs, lows, ranges, (t, event), state[_LOWER], state[_UPPER])
        if event >= stop:
            return
        wanted = side
        if event == signal:
            k, j = (event - first) // _WORD, np.uint64(event - first) & _LOW_SIX
            entries = ((planes[0, k] >> j) & _ONE, (planes[2, k] >> j) & _ONE)
            wanted = 0 if entries[0] == entries[1] else (1 if entries[0] == _ONE else -1)
        if side != 0 and state[_UNBOOKED] < event:
            ruin = _pass_bars(state, closes, int(state[_UNBOOKED]), event)
            event, wanted = (ruin, side) if ruin < event else (event, wanted)
        bar = (opens[event], highs[event], lows[event], closes[event], side_costs[event])
        _event(state, rules, bar, event, wanted, event == last)
        state[_UNBOOKED] = t = event + 1


@_compiled
def advance(planes: Words, tape: Tape, terms: Terms, stops: Floats, states: Floats, bars: tuple[int, int]) -> None:
    """Carry N simulations through bars [first, stop) of a tape, 1 <= first.

    planes: (N, 4, W) long entry, long exit, short entry, short exit; bit i of them is filled at bar first + i.
    stops: (N, 3) float64. states: (N, STATE) of `new_states` or as the bars before `first` left them, written.
    """
    for k in range(planes.shape[0]):
        rules = (terms[0], terms[1], stops[k, 0], stops[k, 1], int(stops[k, 2]))
        _advance(states[k], planes[k], tape, rules, bars)


@_compiled
def write_metrics(states: Floats, bars: int, annual: float, out: Floats) -> None:
    """Turn the sums of N simulations of so many bars into (N, len(METRICS)) result rows; what is undefined is NaN.

    Raw power sums lose no digits here: the first bar's return is always 0, so the variance is at least 1/T of the
    mean square.
    """
    for k in range(states.shape[0]):
        state, row = states[k], out[k]
        s1, s2, s3, s4, trades = state[_S1], state[_S2], state[_S3], state[_S4], state[_TRADES]
        mean = s1 / bars
        spread = s2 - s1 * mean
        second = spread / bars
        third = s3 / bars - 3.0 * mean * s2 / bars + 2.0 * mean**3
        fourth = s4 / bars - 4.0 * mean * s3 / bars + 6.0 * mean**2 * s2 / bars - 3.0 * mean**4
        std = np.sqrt(max(spread, 0.0) / (bars - 1)) if bars > 1 else np.nan
        varies = std > ROUNDING
        losing = np.sqrt(state[_DOWNSIDE] / bars)
        row[0] = state[_REALISED] - 1.0
        row[1] = mean / std * np.sqrt(annual) if varies else np.nan
        row[2] = mean / losing * np.sqrt(annual) if losing > ROUNDING else np.nan
        row[3] = state[_DRAWDOWN]
        row[4] = state[_WINS] / trades if trades > 0.0 else np.nan
        row[5] = state[_GAINS] / state[_LOSSES] if state[_LOSSES] > 0.0 else np.nan
        row[6] = trades
        row[7] = state[_HELD] / bars
        row[8] = state[_TURNOVER]
        row[9] = third / second**1.5 if varies else np.nan
        row[10] = fourth / second**2 if varies else np.nan
        row[11], row[12] = mean, std
        row[13], row[14] = state[_COSTS], state[_RUINED]
