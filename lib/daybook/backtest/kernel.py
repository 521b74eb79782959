"""The fused simulation kernel: signal bits to fills, equity and metrics in one pass over the bars.

Money is measured in units of the initial capital, so equity starts at 1. The rules are written out in
docs/BACKTEST_GUIDE.md, and once more, slowly and plainly, in `oracle.py`. What only an opened run needs (the paths
and the trade ledger) is written into an optional record; handed None, numba compiles that code away.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numba import njit

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

REASONS: Final = ("signal", "reverse", "time", "stop", "target", "end", "ruin")
"""Why a trade was closed; the ledger holds positions in this tuple."""
_SIGNAL, _REVERSE, _TIME, _STOP, _TARGET, _END, _RUIN = range(len(REASONS))

LEDGER: Final = ("entry_bar", "exit_bar", "side", "entry_price", "exit_price", "quantity", "pnl", "cost", "reason")
"""The columns of a trade ledger row, in order."""

Tape: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats]
"""open, high, low, close in quote price and the side cost as a fraction, each (T,) float64."""
Terms: TypeAlias = tuple[float, float, float]
"""Fee fraction per side; quantity per unit of capital, 0 = the initial capital at each entry; bars per year."""
Levels: TypeAlias = tuple[float, float, int]
"""Stop loss and take profit as fractions of the entry fill, maximum holding in bars; 0 = off."""
Record: TypeAlias = tuple[Floats, Floats]
"""(2, T) equity and signed quantity at each close, and the (T, len(LEDGER)) trade ledger; both are written."""
_Extremes: TypeAlias = tuple[float, float, float]
_Sums: TypeAlias = tuple[float, float, float, float, float]

ROUNDING: Final = 1e-12
"""Profits, deviations and losses up to this fraction of the capital are rounding and count as none."""

# One simulation's account lives in a small array, so that a fill can be a function of its own.
(_FEE, _FIXED_QUANTITY, _REALISED, _SIGNED, _ENTRY_PRICE, _ENTRY_BAR, _ENTRY_FEE, _ENTRY_COST, _TRADES, _WINS, _GAINS,
 _LOSSES, _TURNOVER, _COSTS, _HELD, _DRAWDOWN, _RUINED) = range(17)  # fmt: skip
_ACCOUNT: Final = 17

# Bits that may change a short, a flat and a long position, at [side + 1].
_WATCH: Final = np.array([SHORT_EXIT | LONG_ENTRY, LONG_ENTRY | SHORT_ENTRY, LONG_EXIT | SHORT_ENTRY], dtype=np.uint8)
_BLOCK: Final = 16
"""Bars that are looked at together where hardly any of them matters."""

# The functions of this file are one compilation unit: numba's disk cache of a caller does not notice a change in
# another file's callee, so they must stay together.
_compiled = njit(cache=True, error_model="numpy", nogil=True)
# Sums over many bars may be taken in another order, so that the processor adds several bars at once: always the same
# on one machine, equal to fifteen digits between two.
_summing = njit(cache=True, error_model="numpy", nogil=True, fastmath={"reassoc"})


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
        row[6], row[7], row[8] = pnl, account[_ENTRY_COST] + exit_cost, reason
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
def _next_flag(bits: Bytes, t: int, stop: int, watch: int) -> int:
    """The first bar in [t, stop) with a bit to act on, or stop."""
    while t + _BLOCK <= stop:
        seen = 0
        for i in range(t, t + _BLOCK):
            seen |= bits[i]
        if seen & watch:
            break
        t += _BLOCK
    while t < stop and (bits[t] & watch) == 0:
        t += 1
    return t


@_compiled
def _next_touch(lows: Floats, highs: Floats, t: int, stop: int, lower: float, upper: float) -> int:
    """The first bar in [t, stop) that touches a level, or stop."""
    while t < stop and lows[t] > lower and highs[t] < upper:
        t += 1
    return t


@_compiled
def _follow(
    closes: Floats, start: int, stop: int, base: float, signed: float, extremes: _Extremes
) -> tuple[int, _Extremes]:
    """Follow (peak, trough, drawdown) over bars [start, stop) of one position; ends early before a ruinous close.

    The trough is the equity below which the drawdown grows, so few blocks need to be looked at bar by bar, and few
    bars a division. An equity of 0 or less always lies below it.
    """
    peak, trough, drawdown = extremes
    t = start
    while t < stop:
        end = min(t + _BLOCK, stop)
        leaves = False
        for i in range(t, end):
            value = base + signed * closes[i]
            leaves |= (value > peak) | (value < trough)
        if leaves:
            for i in range(t, end):
                value = base + signed * closes[i]
                if value <= 0.0:
                    return i, (peak, trough, drawdown)
                if value > peak:
                    peak, trough = value, value * (1.0 - drawdown)
                elif value < trough:
                    drawdown, trough = 1.0 - value / peak, value
        t = end
    return stop, (peak, trough, drawdown)


@_compiled
def _deepened(extremes: _Extremes, value: float) -> _Extremes:
    """(peak, trough, drawdown) after one more equity."""
    peak, trough, drawdown = extremes
    if value > peak:
        return value, value * (1.0 - drawdown), drawdown
    if value < trough:
        return peak, value, 1.0 - value / peak
    return extremes


@_summing
def _span_sums(closes: Floats, start: int, stop: int, base: float, signed: float) -> _Sums:
    """Sums of the powers of the returns of bars [start, stop), and of their squared losses, in one position."""
    s1 = s2 = s3 = s4 = downside = 0.0
    for t in range(start, stop):
        change = (base + signed * closes[t]) / (base + signed * closes[t - 1]) - 1.0
        square = change * change
        s1 += change
        s2 += square
        s3 += square * change
        s4 += square * square
        downside += square if change < 0.0 else 0.0
    return s1, s2, s3, s4, downside


@_compiled
def _added(a: _Sums, b: _Sums) -> _Sums:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4]


@_compiled
def _powers(change: float) -> _Sums:
    """What one bar's return adds to the sums."""
    square = change * change
    return change, square, square * change, square * square, square if change < 0.0 else 0.0


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

    bits: (T,) uint8, decided at each close. out: (len(METRICS),) float64, written. record: written unless None.
    The loop goes from event to event; the quiet bars between two are taken as a span.
    """
    opens, highs, lows, closes, side_costs = tape
    last = closes.size - 1
    account = np.zeros(_ACCOUNT)
    account[_FEE], account[_FIXED_QUANTITY], account[_REALISED] = terms[0], terms[1], 1.0
    side, due, lower, upper = 0, last + 1, -np.inf, np.inf
    base, signed, equity, extremes = 1.0, 0.0, 1.0, (1.0, 1.0, 0.0)
    sums = (0.0, 0.0, 0.0, 0.0, 0.0)
    if record is not None:
        record[0][0], record[0][1] = 1.0, 0.0
    t = _next_flag(bits, 0, last, _WATCH[1]) + 1
    while t <= last:
        wanted = wanted_side(bits[t - 1], side)
        reason = _REVERSE if wanted != 0 else _SIGNAL
        if wanted == side and t == due:
            wanted, reason = 0, _TIME
        if wanted != side:
            if side != 0:
                _leave(account, record, t, opens[t], side_costs[t], reason)
            side, signed, base = wanted, 0.0, account[_REALISED]
            if side != 0:
                _enter(account, t, side, opens[t], side_costs[t])
                lower, upper = _levels(side, account[_ENTRY_PRICE], stops[0], stops[1])
                due = t + stops[2] if stops[2] > 0 else last + 1
                signed = account[_SIGNED]
                base -= account[_ENTRY_FEE] + signed * account[_ENTRY_PRICE]
        # Bars [t, event) are quiet; bar `event` may touch a level, ruin or end, or is followed by an action.
        event = t
        if side != 0:
            event = _next_flag(bits, t, min(last, due - 1), _WATCH[side + 1])
            if stops[0] > 0.0 or stops[1] > 0.0:
                event = _next_touch(lows, highs, t, event, lower, upper)
            event, extremes = _follow(closes, t, event, base, signed, extremes)
            if event > t:
                sums = _added(sums, _powers((base + signed * closes[t]) / equity - 1.0))
                sums = _added(sums, _span_sums(closes, t + 1, event, base, signed))
                equity = base + signed * closes[event - 1]
                if record is not None:
                    record[0][0, t:event], record[0][1, t:event] = base + signed * closes[t:event], signed
            account[_HELD] += event - t + 1
            if lows[event] <= lower or highs[event] >= upper:
                price, reason = _touched(side, opens[event], lows[event], highs[event], lower, upper)
                _leave(account, record, event, price, side_costs[event], reason)
                side, signed, base = 0, 0.0, account[_REALISED]
        value = base + signed * closes[event]
        ruined = value <= 0.0
        if side != 0 and (ruined or event == last):
            _leave(account, record, event, closes[event], side_costs[event], _RUIN if ruined else _END)
            side, signed, value = 0, 0.0, account[_REALISED]
        sums = _added(sums, _powers(value / equity - 1.0))
        extremes = _deepened(extremes, value)
        equity = value
        t = event + 1
        if side == 0:
            lower, upper, due = -np.inf, np.inf, last + 1
            t = _next_flag(bits, event, last, _WATCH[1]) + 1
        if record is not None:
            record[0][0, event:], record[0][1, event] = value, signed
        if ruined:
            account[_RUINED] = 1.0
            break
    account[_DRAWDOWN] = extremes[2]
    _write_metrics(out, account, sums, last + 1, terms[2])


@_compiled
def run_many(bits: Bytes, tape: Tape, terms: Terms, stops: Floats, out: Floats) -> None:
    """Simulate N strategies over one tape: bits (N, T) uint8, stops (N, 3) float64, out (N, len(METRICS)) written."""
    for k in range(bits.shape[0]):
        run_one(bits[k], tape, terms, (stops[k, 0], stops[k, 1], int(stops[k, 2])), out[k], None)
