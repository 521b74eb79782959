"""The simulation kernel of sweeps: from one event to the next over packed signals, many simulations a call.

It follows the rules of `kernel.py` for what most specs need (entries, exits, stop loss, take profit, maximum holding)
and nothing else. A simulation is carried through the tape piece by piece in a row of sums, so that neither signals nor
returns of all its bars are ever held. Within a stretch of the tape the equity at the closes of the bars held is written
one after the other, over positions and gaps between them, and summed in one loop: positions hold some tens of bars, for
which the start and the rest of a vector loop cost more than the bars.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daybook.backtest.kernel import Tape, Terms
from daybook.core.arrays import Floats
from daybook.core.uncounted import uncounted
from daybook.core.words import WORD, lowest_bit

Words: TypeAlias = NDArray[np.uint64]
_Rules: TypeAlias = tuple[float, float, float, float, int]
"""Fee and quantity of the terms; stop loss, take profit and maximum holding of one simulation, 0 = off."""
Room: TypeAlias = tuple[Floats, Floats]
"""Equity path and closes of one stretch, see `new_room`."""
_Span: TypeAlias = tuple[int, int, float, float]
"""First bar of the planes, end of the stretch, lowest and highest close of the stretch."""
_Track: TypeAlias = tuple[float, float, float]
_Bar: TypeAlias = tuple[float, float, float, float, float]
"""open, high, low, close and side cost of one bar."""

# What a simulation carries from one piece of the tape to the next.
(_REALISED, _BASE, _SIGNED, _LOWER, _UPPER, _DUE, _ENTRY_PRICE, _ENTRY_FEE, _ENTRY_COST, _EQUITY, _PEAK, _TROUGH,
 _DRAWDOWN, _TRADES, _WINS, _GAINS, _LOSSES, _TURNOVER, _COSTS, _HELD, _RUINED, _S1, _S2, _S3, _S4,
 _DOWNSIDE, _LEAST, _MOST) = range(28)  # fmt: skip
STATE: Final = 28
"""Figures a simulation carries."""
ROUNDING: Final = 1e-12
"""Profits, deviations and losses up to this fraction of the capital are rounding and count as none."""
BLOCK: Final = 8
"""Bars whose extremes are one column of the block ranges, the first beginning at bar 1."""
STRETCH: Final = 512
"""Bars whose equity is held at once."""
_EVEN: Final = 32
"""Loops run over a multiple of so many bars, so that their vectors leave no rest."""
_GROUP: Final = 64
"""Bars that are looked at together where a stretch may deepen the drawdown."""
_NEVER: Final = 1 << 62

_ONE, _ALL, _LOW_SIX = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(63)
# One compilation unit, with core/words.py of this fingerprint: numba's disk cache notices a change in this file alone.
WORDS: Final = "f174ae82953a2fce"
_compiled = uncounted()
_summing = uncounted("reassoc", "nsz", "contract")
"""For sums in any order: the same at every run, but the last digits may differ between kinds of processor."""


def new_states(count: int) -> Floats:
    """(count, STATE) rows of simulations that have not begun."""
    states = np.zeros((count, STATE))
    states[:, [_REALISED, _BASE, _EQUITY, _PEAK, _TROUGH]] = 1.0
    states[:, _DUE], states[:, _LOWER], states[:, _UPPER] = _NEVER, -np.inf, np.inf
    return states


def new_room() -> Room:
    """What `advance` works in; for one call at a time. Its values never count, but arithmetic on odd ones is slow."""
    return np.ones(_EVEN + STRETCH + _EVEN), np.ones(STRETCH + _EVEN)


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
    k = start // WORD
    word = _watched(planes, k, side) & (_ALL << (np.uint64(start) & _LOW_SIX))
    while word == 0:
        k += 1
        if k * WORD >= stop:
            return stop
        word = _watched(planes, k, side)
    return min(k * WORD + int(lowest_bit(word)), stop)


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


@_compiled
def _write_equity(path: Floats, closes: Floats, bars: int, base: float, signed: float) -> None:
    """Write the equity of a position at so many closes, and anything behind them up to an even number of bars."""
    even = -(-bars // _EVEN) * _EVEN
    room, prices = path[:even], closes[:even]
    for i in range(even):
        room[i] = base + signed * prices[i]


@_summing
def _add_returns(state: Floats, path: Floats) -> None:
    """Add the first four powers of a path's returns and the squared losses; its extremes are left in the state.

    path: 1 + 2 n positive values, but for the last one that may be ruin. Returns i and n + i share a division. Positive
    numbers have the order of their bits, as whole numbers of which the extremes are found several at a time.
    """
    n = path.size // 2
    one, two = path[:n + 1], path[n:]
    keys, other_keys = one.view(np.int64), two.view(np.int64)
    least = most = keys[1]
    s1 = s2 = s3 = s4 = downside = 0.0
    for i in range(n):
        least, most = min(least, keys[i + 1], other_keys[i + 1]), max(most, keys[i + 1], other_keys[i + 1])
        before, other_before = one[i], two[i]
        inverse = 1.0 / (before * other_before)
        change = (one[i + 1] - before) * (other_before * inverse)
        other = (two[i + 1] - other_before) * (before * inverse)
        square, other_square = change * change, other * other
        s1 += change + other
        s2 += square + other_square
        s3 += square * change + other_square * other
        s4 += square * square + other_square * other_square
        loss, other_loss = min(change, 0.0), min(other, 0.0)
        downside += loss * loss + other_loss * other_loss
    extremes = state[_LEAST:_MOST + 1].view(np.int64)
    extremes[0], extremes[1] = least, most
    state[_S1] += s1
    state[_S2] += s2
    state[_S3] += s3
    state[_S4] += s4
    state[_DOWNSIDE] += downside


@_compiled
def _write_extremes(path: Floats, extremes: Floats) -> None:
    """Lowest and highest value of a path as `_add_returns` takes it."""
    keys = path.view(np.int64)
    least = most = keys[0]
    for i in range(keys.size):
        least, most = min(least, keys[i]), max(most, keys[i])
    found = extremes.view(np.int64)
    found[0], found[1] = least, most


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
def _passes(track: _Track, least: float, most: float) -> bool:
    """Whether values between two extremes deepen the drawdown no further than the extremes in the order most, least."""
    return most <= track[0] or least >= most * (1.0 - track[2])


@_compiled
def _follow(state: Floats, path: Floats) -> None:
    """Follow the drawdown along a path whose extremes are in the state."""
    extremes = state[_LEAST:_MOST + 1]
    track = state[_PEAK], state[_TROUGH], state[_DRAWDOWN]
    if _passes(track, extremes[0], extremes[1]):
        track = _deepen(_deepen(track, extremes[1]), extremes[0])
    else:
        for start in range(0, path.size, _GROUP):
            part = path[start:start + _GROUP]
            _write_extremes(part, extremes)
            if _passes(track, extremes[0], extremes[1]):
                track = _deepen(_deepen(track, extremes[1]), extremes[0])
            else:
                for i in range(part.size):
                    track = _deepen(track, part[i])
    state[_PEAK], state[_TROUGH], state[_DRAWDOWN] = track


@_compiled
def _book(state: Floats, path: Floats, stop: int) -> None:
    """Book path[_EVEN:stop], before which lies the equity of the last bar booked, _EVEN times."""
    if stop == _EVEN:
        return
    bars = -(-(stop - _EVEN) // _EVEN) * _EVEN
    _add_returns(state, path[stop - bars - 1:stop])
    _follow(state, path[_EVEN:stop])
    state[_EQUITY] = path[stop - 1]


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
def _event(state: Floats, rules: _Rules, bar: _Bar, t: int, wanted: int, ends: bool) -> float:
    """Bar t, at which something may happen: leave and enter at the open, touch a level, close at the close.

    Returns the equity at its close.
    """
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
    value: float = state[_BASE] + state[_SIGNED] * close
    if value <= 0.0 or (ends and side != 0):
        state[_RUINED] = 1.0 if value <= 0.0 else 0.0
        if side != 0:
            _leave(state, rules[0], close, side_cost)
        value = state[_BASE]
    return value


@_compiled
def _next_event(state: Floats, tape: Tape, t: int, signal: int, span: _Span) -> int:
    """The first bar from t at which something happens to the position held, or the end of the stretch."""
    _, highs, lows, closes, _, ranges = tape
    _, stop, lowest, highest = span
    event = min(signal, int(state[_DUE]), closes.size - 1, stop)
    if state[_LOWER] > -np.inf or state[_UPPER] < np.inf:
        event = _first_touch(highs, lows, ranges, (t, event), state[_LOWER], state[_UPPER])
    base, signed = state[_BASE], state[_SIGNED]
    if base + signed * (lowest if signed > 0.0 else highest) <= 0.0:
        event = _first_ruin(closes, t, event, base, signed)
    return event


@_compiled
def _advance(state: Floats, planes: Words, tape: Tape, rules: _Rules, room: Room, start: int, span: _Span) -> None:
    """Carry one simulation through one stretch, which begins at bar `start`."""
    opens, highs, lows, closes, side_costs, _ = tape
    path, near = room
    first, stop, _, _ = span
    last = closes.size - 1
    path[:_EVEN] = state[_EQUITY]
    t, done = start, _EVEN
    while t < stop and state[_RUINED] == 0.0:
        side = _side(state[_SIGNED])
        signal = event = first + _next_signal(planes, side, t - first, stop - first)
        if side != 0:
            event = _next_event(state, tape, t, signal, span)
            _write_equity(path[done:], near[t - start:], event - t, state[_BASE], state[_SIGNED])
            state[_HELD] += event - t
            done += event - t
        if event == stop:
            break
        wanted = side
        if event == signal:
            k, j = (event - first) // WORD, np.uint64(event - first) & _LOW_SIX
            entries = ((planes[0, k] >> j) & _ONE, (planes[2, k] >> j) & _ONE)
            wanted = 0 if entries[0] == entries[1] else (1 if entries[0] == _ONE else -1)
        bar = (opens[event], highs[event], lows[event], closes[event], side_costs[event])
        path[done] = _event(state, rules, bar, event, wanted, event == last)
        done += 1
        t = event + 1
    _book(state, path, done)


@_compiled
def advance(
    planes: Words, tape: Tape, terms: Terms, stops: Floats, states: Floats, bars: tuple[int, int], room: Room,
) -> None:
    """Carry N simulations through bars [first, stop) of a tape, 1 <= first.

    planes: (N, 4, W) long entry, long exit, short entry, short exit; bit i of them is filled at bar first + i.
    stops: (N, 3) float64. states: (N, STATE) of `new_states` or as the bars before `first` left them, written.
    A tape may be cut into several calls after any multiple of STRETCH bars: the results are the same to the last bit.
    """
    first, end = bars
    closes, near = tape[3], room[1]
    for start in range(first, end, STRETCH):
        stop = min(start + STRETCH, end)
        lowest = highest = closes[start]
        for t in range(start, stop):
            near[t - start] = closes[t]
            lowest, highest = min(lowest, closes[t]), max(highest, closes[t])
        for k in range(planes.shape[0]):
            rules = (terms[0], terms[1], stops[k, 0], stops[k, 1], int(stops[k, 2]))
            _advance(states[k], planes[k], tape, rules, room, start, (first, stop, lowest, highest))


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
        row[6], row[7], row[8] = trades, state[_HELD] / bars, state[_TURNOVER]
        row[9] = third / second**1.5 if varies else np.nan
        row[10] = fourth / second**2 if varies else np.nan
        row[11], row[12], row[13], row[14] = mean, std, state[_COSTS], state[_RUINED]
