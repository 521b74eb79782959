"""The fused simulation kernel: signal bits to fills, equity and metrics in one pass over the bars.

Money is measured in units of the initial capital, so equity starts at 1. The rules are written out in
docs/BACKTEST_GUIDE.md, and once more, slowly and plainly, in `oracle.py`. What only an opened run needs (the paths
and the trade ledger) is written into an optional record; handed None, numba compiles that code away.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Bytes, Floats

LONG_ENTRY: Final = 1
LONG_EXIT: Final = 2
SHORT_ENTRY: Final = 4
SHORT_EXIT: Final = 8

METRICS: Final = (
    "total_return", "sharpe", "sortino", "max_drawdown", "win_rate", "profit_factor", "trades", "exposure",
    "turnover", "skew", "kurtosis", "mean_return", "std_return", "costs_paid", "ruined",
)  # fmt: skip
"""The columns of a result row, in order."""

REASONS: Final = ("signal", "reverse", "time", "stop", "target", "end", "ruin", "trailing", "break_even", "liquidation")
"""Why a trade was closed; the ledger holds positions in this tuple. The last three come from `story_kernel`."""
_SIGNAL, _REVERSE, _TIME, _STOP, _TARGET, _END, _RUIN = range(7)

LEDGER: Final = ("entry_bar", "exit_bar", "side", "entry_price", "exit_price", "quantity", "pnl", "cost", "reason",
                 "funding")  # fmt: skip
"""The columns of a trade ledger row, in order. pnl is after cost (spread, slippage, fees) and funding paid."""

Tape: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
"""open, high, low, close in quote price and the side cost as a fraction, each (T,) float64; then `block_ranges`."""
Terms: TypeAlias = tuple[float, float, float]
"""Fee fraction per side; quantity per unit of capital, 0 = the initial capital at each entry; bars per year."""
Levels: TypeAlias = tuple[float, float, int]
"""Stop loss and take profit as fractions of the entry fill, maximum holding in bars; 0 = off."""
Record: TypeAlias = tuple[Floats, Floats]
"""(2, T) equity and signed quantity at each close, and the (T, len(LEDGER)) trade ledger; both are written."""
_Sums: TypeAlias = tuple[float, float, float, float, float]
_Track: TypeAlias = tuple[float, float, float]
_Held: TypeAlias = tuple[float, float, float, float]
"""What a position is worth, base + signed quantity * price, and the prices (lower, upper) whose touch closes it."""
_Words: TypeAlias = NDArray[np.uint64]
"""Signal bits, those of a block in one word."""
_Event: TypeAlias = tuple[int, float, float]
_Worth: TypeAlias = tuple[float, float]

ROUNDING: Final = 1e-12
"""Profits, deviations and losses up to this fraction of the capital are rounding and count as none."""

# One simulation's account lives in a small array, so that a fill can be a function of its own.
(_FEE, _FIXED_QUANTITY, _REALISED, _SIGNED, _ENTRY_PRICE, _ENTRY_BAR, _ENTRY_FEE, _ENTRY_COST, _TRADES, _WINS, _GAINS,
 _LOSSES, _TURNOVER, _COSTS, _HELD, _DRAWDOWN, _RUINED) = range(17)  # fmt: skip
_ACCOUNT: Final = 17

# Bits that may change a short, a flat and a long position, at [side + 1].
_WATCH: Final = np.array([SHORT_EXIT | LONG_ENTRY, LONG_ENTRY | SHORT_ENTRY, LONG_EXIT | SHORT_ENTRY], dtype=np.uint8)
_WATCH_WORD: Final = _WATCH * np.uint64(0x0101010101010101)
_NEVER: Final = 1 << 62

BLOCK: Final = 8
"""Bars that are passed together where nothing can happen: as many as a word holds bytes of bits."""

# The functions of this file are one compilation unit: numba's disk cache of a caller does not notice a change in
# another file's callee, so they must stay together.
_compiled = njit(cache=True, error_model="numpy", nogil=True)
_summing = njit(cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "nsz"})
"""For sums whose order the compiler may choose, so that it adds several bars at a time: the same at every run, but the
last digits may differ between kinds of processor."""


@_compiled
def wanted_side(bits: int, side: int) -> int:
    """The position (1 long, 0 flat, -1 short) that signal bits ask for from the one held.

    Opposite entries on one bar cancel each other; an entry outweighs the exit of its own side.
    """
    entries = bits & (LONG_ENTRY | SHORT_ENTRY)
    if entries == LONG_ENTRY:
        return 1
    if entries == SHORT_ENTRY:
        return -1
    if (side > 0 and (bits & LONG_EXIT) != 0) or (side < 0 and (bits & SHORT_EXIT) != 0):
        return 0
    return side


@_compiled
def _enter(account: Floats, t: int, side: int, price: float, side_cost: float) -> None:
    """Open a position at bar t."""
    fill = price * (1.0 + side * side_cost)
    size = account[_FIXED_QUANTITY] if account[_FIXED_QUANTITY] > 0.0 else 1.0 / fill
    account[_SIGNED] = side * size
    account[_ENTRY_PRICE] = fill
    account[_ENTRY_BAR] = t
    account[_ENTRY_FEE] = account[_FEE] * size * fill
    account[_ENTRY_COST] = account[_ENTRY_FEE] + size * price * side_cost
    account[_TURNOVER] += size * fill
    account[_COSTS] += account[_ENTRY_COST]


@_compiled
def _leave(account: Floats, record: Record | None, t: int, price: float, side_cost: float, reason: int) -> None:
    """Close the position at bar t and book the trade."""
    side = 1.0 if account[_SIGNED] > 0.0 else -1.0
    size = abs(account[_SIGNED])
    fill = price * (1.0 - side * side_cost)
    exit_fee = account[_FEE] * size * fill
    exit_cost = exit_fee + size * price * side_cost
    pnl = account[_SIGNED] * (fill - account[_ENTRY_PRICE]) - exit_fee - account[_ENTRY_FEE]
    if record is not None:
        row = record[1][int(account[_TRADES])]
        row[0], row[1], row[2] = account[_ENTRY_BAR], t, side
        row[3], row[4], row[5] = account[_ENTRY_PRICE], fill, size
        row[6], row[7], row[8], row[9] = pnl, account[_ENTRY_COST] + exit_cost, reason, 0.0
    account[_SIGNED] = 0.0
    account[_REALISED] += pnl
    account[_TRADES] += 1.0
    if pnl > ROUNDING:
        account[_WINS] += 1.0
        account[_GAINS] += pnl
    elif pnl < -ROUNDING:
        account[_LOSSES] -= pnl
    account[_TURNOVER] += size * fill
    account[_COSTS] += exit_cost


@_compiled
def _levels(side: int, fill: float, stop_loss: float, take_profit: float) -> tuple[float, float]:
    """Prices (lower, upper) whose touch closes a position; an absent one lies at infinity."""
    stop = fill * (1.0 - side * stop_loss) if stop_loss > 0.0 else -side * np.inf
    target = fill * (1.0 + side * take_profit) if take_profit > 0.0 else side * np.inf
    return (stop, target) if side > 0 else (target, stop)


@_compiled
def _touched(side: int, first: float, low: float, high: float, lower: float, upper: float) -> tuple[float, int]:
    """(price, reason) of a bar that touches a level: the stop before the target, at the open beyond a level."""
    stopped = low <= lower if side > 0 else high >= upper
    price = min(first, lower) if stopped == (side > 0) else max(first, upper)
    return price, _STOP if stopped else _TARGET


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
def block_ranges(highs: Floats, lows: Floats, closes: Floats) -> Floats:
    """(4, B): lowest low, highest high, lowest and highest close of each whole block; the first begins at bar 1."""
    ranges = np.empty((4, max(closes.size - 1, 0) // BLOCK))
    for k in range(ranges.shape[1]):
        t = 1 + k * BLOCK
        low, high, least, most = lows[t], highs[t], closes[t], closes[t]
        for i in range(t + 1, t + BLOCK):
            low, high = min(low, lows[i]), max(high, highs[i])
            least, most = min(least, closes[i]), max(most, closes[i])
        ranges[0, k], ranges[1, k], ranges[2, k], ranges[3, k] = low, high, least, most
    return ranges


@_compiled
def _next_event(bits: Bytes, words: _Words, tape: Tape, bars: tuple[int, int], held: _Held) -> _Event:
    """The first of bars [t, end) at which a bit, a level or ruin may change what is held, or `end`.

    With it the lowest and the highest close of the bars before it, inf and -inf where there is none.
    """
    t, end = bars
    base, signed, lower, upper = held
    lows, highs, closes, ranges = tape[2], tape[1], tape[3], tape[5]
    side = 0 if signed == 0.0 else (1 if signed > 0.0 else -1)
    watch, watch_word, worst = _WATCH[side + 1], _WATCH_WORD[side + 1], ranges[2 if side > 0 else 3]
    least, most = np.inf, -np.inf
    while t < end:
        k = t // BLOCK
        if (t % BLOCK == 1 and t + BLOCK <= end and (words[k] & watch_word) == 0 and (side == 0 or (
                ranges[0, k] > lower and ranges[1, k] < upper and base + signed * worst[k] > 0.0))):
            least = ranges[2, k] if ranges[2, k] < least else least
            most = ranges[3, k] if ranges[3, k] > most else most
            t += BLOCK
            continue
        if (bits[t - 1] & watch) != 0 or (side != 0 and (
                lows[t] <= lower or highs[t] >= upper or base + signed * closes[t] <= 0.0)):
            return t, least, most
        least = closes[t] if closes[t] < least else least
        most = closes[t] if closes[t] > most else most
        t += 1
    return end, least, most


@_compiled
def _write_changes(changes: Floats, closes: Floats, bars: tuple[int, int], held: _Held) -> None:
    """The returns of bars [start, stop) in which one position is held that was marked the bar before, too."""
    base, signed = held[0], held[1]
    before, now = closes[bars[0] - 1:bars[1] - 1], closes[bars[0]:bars[1]]
    for i in range(now.size):
        worth = base + signed * before[i]
        changes[i] = ((base + signed * now[i]) - worth) / worth


@_summing
def _power_sums(changes: Floats) -> _Sums:
    """Sums of the first four powers of the returns and of the squared losses."""
    s1 = s2 = s3 = s4 = downside = 0.0
    for i in range(changes.size):
        change = changes[i]
        square = change * change
        s1 += change
        s2 += square
        s3 += square * change
        s4 += square * square
        loss = min(change, 0.0)
        downside += loss * loss
    return s1, s2, s3, s4, downside


@_compiled
def _deepen_held(track: _Track, closes: Floats, bars: tuple[int, int], held: _Held, worth: _Worth) -> _Track:
    """Follow the drawdown over bars [start, stop) of one position, worth so much at the least and at the most.

    The extremes tell it where there is no new peak, or where the lowest lies above the trough of the new peak.
    """
    least, most = worth
    if most <= track[0] or least >= most * (1.0 - track[2]):
        return _deepen(_deepen(track, most), least)
    for t in range(bars[0], bars[1]):
        track = _deepen(track, held[0] + held[1] * closes[t])
    return track


@_compiled
def _record_marks(record: Record | None, closes: Floats, bars: tuple[int, int], held: _Held) -> None:
    """Write equity and position at the closes of bars [start, stop)."""
    if record is not None:
        for t in range(bars[0], bars[1]):
            record[0][0, t], record[0][1, t] = held[0] + held[1] * closes[t], held[1]


@_compiled
def _write_metrics(out: Floats, account: Floats, sums: _Sums, bars: int, annual: float) -> None:
    """Turn the sums of one pass into a result row; what is undefined becomes NaN.

    Raw power sums lose no digits here: the first bar's return is always 0, so the variance is at least 1/T of the
    mean square.
    """
    s1, s2, s3, s4, downside = sums
    mean = s1 / bars
    spread = s2 - s1 * mean
    second = spread / bars
    third = s3 / bars - 3.0 * mean * s2 / bars + 2.0 * mean**3
    fourth = s4 / bars - 4.0 * mean * s3 / bars + 6.0 * mean**2 * s2 / bars - 3.0 * mean**4
    std = np.sqrt(max(spread, 0.0) / (bars - 1)) if bars > 1 else np.nan
    varies = std > ROUNDING
    losing = np.sqrt(downside / bars)
    trades = account[_TRADES]
    out[0] = account[_REALISED] - 1.0
    out[1] = mean / std * np.sqrt(annual) if varies else np.nan
    out[2] = mean / losing * np.sqrt(annual) if losing > ROUNDING else np.nan
    out[3] = account[_DRAWDOWN]
    out[4] = account[_WINS] / trades if trades > 0.0 else np.nan
    out[5] = account[_GAINS] / account[_LOSSES] if account[_LOSSES] > 0.0 else np.nan
    out[6] = trades
    out[7] = account[_HELD] / bars
    out[8] = account[_TURNOVER]
    out[9] = third / second**1.5 if varies else np.nan
    out[10] = fourth / second**2 if varies else np.nan
    out[11], out[12] = mean, std
    out[13], out[14] = account[_COSTS], account[_RUINED]


@_compiled
def run_one(bits: Bytes, tape: Tape, terms: Terms, stops: Levels, out: Floats, record: Record | None) -> None:
    """Simulate one strategy over one tape of T >= 1 bars.

    bits: (at least T,) uint8 from an address that 8 divides, decided at each close. out: (len(METRICS),) float64,
    written. record: written unless None.
    """
    opens, highs, lows, closes, side_costs, _ = tape
    last, words = closes.size - 1, bits[:bits.size // BLOCK * BLOCK].view(np.uint64)
    account = np.zeros(_ACCOUNT)
    account[_FEE], account[_FIXED_QUANTITY], account[_REALISED] = terms[0], terms[1], 1.0
    side, due, bars_held, equity, track = 0, _NEVER, 0, 1.0, (1.0, 1.0, 0.0)
    base, signed, lower, upper = 1.0, 0.0, -np.inf, np.inf
    changes, moved = np.empty(closes.size), 0
    _record_marks(record, closes, (0, 1), (1.0, 0.0, lower, upper))
    t = 1
    while t <= last:
        start, held = t, (base, signed, lower, upper)
        t, least, most = _next_event(bits, words, tape, (start, min(last, due)), held)
        _record_marks(record, closes, (start, t), held)
        if side != 0 and t > start:
            _write_changes(changes[moved:], closes, (start, t), held)
            worth = base + signed * (least if side > 0 else most), base + signed * (most if side > 0 else least)
            track = _deepen_held(track, closes, (start, t), held, worth)
            equity, bars_held, moved = base + signed * closes[t - 1], bars_held + t - start, moved + t - start
        wanted = wanted_side(bits[t - 1], side)
        reason = _REVERSE if wanted != 0 else _SIGNAL
        if wanted == side and t == due:
            wanted, reason = 0, _TIME
        if wanted != side:
            if side != 0:
                _leave(account, record, t, opens[t], side_costs[t], reason)
            side, due, signed, base = wanted, _NEVER, 0.0, account[_REALISED]
            if side != 0:
                _enter(account, t, side, opens[t], side_costs[t])
                lower, upper = _levels(side, account[_ENTRY_PRICE], stops[0], stops[1])
                due = t + stops[2] if stops[2] > 0 else _NEVER
                signed = account[_SIGNED]
                base -= account[_ENTRY_FEE] + signed * account[_ENTRY_PRICE]
        if side != 0:
            bars_held += 1
            if lows[t] <= lower or highs[t] >= upper:
                price, reason = _touched(side, opens[t], lows[t], highs[t], lower, upper)
                _leave(account, record, t, price, side_costs[t], reason)
                side, due, signed, base = 0, _NEVER, 0.0, account[_REALISED]
        value = base + signed * closes[t]
        if value <= 0.0 or (t == last and side != 0):
            account[_RUINED] = 1.0 if value <= 0.0 else 0.0
            if side != 0:
                _leave(account, record, t, closes[t], side_costs[t], _RUIN if value <= 0.0 else _END)
            side, signed, base = 0, 0.0, account[_REALISED]
            value = base
        changes[moved], moved = (value - equity) / equity, moved + 1
        track, equity = _deepen(track, value), value
        ruined = account[_RUINED] != 0.0
        _record_marks(record, closes, (t, last + 1 if ruined else t + 1), (base, signed, lower, upper))
        t = last + 1 if ruined else t + 1
    account[_HELD], account[_DRAWDOWN] = bars_held, track[2]
    _write_metrics(out, account, _power_sums(changes[:moved]), last + 1, terms[2])


@_compiled
def write_story(out: Floats, record: Record, trades: int, bars_held: int, ruined: bool, annual: float) -> None:
    """The result row of a simulation that another kernel has told bar by bar.

    record: equity of T bars from 1 and position, and the ledger, of which the first `trades` rows count.
    """
    equity, account, track = record[0][0], np.zeros(_ACCOUNT), (1.0, 1.0, 0.0)
    changes = np.zeros(equity.size)
    for t in range(1, equity.size):
        if equity[t] != equity[t - 1]:
            changes[t] = (equity[t] - equity[t - 1]) / equity[t - 1]
        track = _deepen(track, equity[t])
    for row in record[1][:trades]:
        if row[6] > ROUNDING:
            account[_WINS] += 1.0
            account[_GAINS] += row[6]
        elif row[6] < -ROUNDING:
            account[_LOSSES] -= row[6]
        account[_TURNOVER] += row[5] * (row[3] + row[4])
        account[_COSTS] += row[7]
    account[_REALISED], account[_TRADES], account[_HELD] = equity[-1], trades, bars_held
    account[_DRAWDOWN], account[_RUINED] = track[2], 1.0 if ruined else 0.0
    _write_metrics(out, account, _power_sums(changes), equity.size, annual)
