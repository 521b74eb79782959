"""The columns an expression may name: prices, volume, derived columns, the clock and the trading sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.time import DAY_MS, HOUR_MS, day_of
from daybook.market.bars import Bars
from daybook.strategy.kinds import Kind

_SATURDAY = 5
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


@dataclass(frozen=True)
class FieldRule:
    """One column: its kind, how many bars it needs first, how it is computed and what it means."""

    name: str
    kind: Kind
    lag: int
    compute: Callable[[Bars], Floats]
    description: str


@dataclass(frozen=True)
class _Session:
    """Local trading hours of a market, Monday to Friday."""

    zone: str
    opens: time
    closes: time


_SESSIONS = {
    "tokyo": _Session("Asia/Tokyo", time(9), time(15)),
    "london": _Session("Europe/London", time(8), time(16, 30)),
    "newyork": _Session("America/New_York", time(9, 30), time(16)),
}


def session_mask(open_time: Ints, session: str) -> Floats:
    """(T,) float64: 1 for bars that open inside the session's local hours (daylight saving included), else 0."""
    mask = np.zeros(open_time.size)
    if not open_time.size:
        return mask
    rule = _SESSIONS[session]
    zone = ZoneInfo(rule.zone)
    first, last = day_of(int(open_time[0])) - timedelta(days=1), day_of(int(open_time[-1])) + timedelta(days=1)
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    trading = [day for day in days if day.weekday() < _SATURDAY]
    opens = np.array([_ms(day, rule.opens, zone) for day in trading], dtype=np.int64)
    closes = np.array([_ms(day, rule.closes, zone) for day in trading], dtype=np.int64)
    latest = np.searchsorted(opens, open_time, side="right") - 1
    mask[(latest >= 0) & (open_time < closes[np.maximum(latest, 0)])] = 1.0
    return mask


def _ms(day: date, at: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, at, tzinfo=zone).astimezone(UTC).timestamp()) * 1000


def _session(name: str) -> Callable[[Bars], Floats]:
    def compute(bars: Bars) -> Floats:
        return session_mask(bars.open_time, name)

    return compute


def _column(name: str) -> Callable[[Bars], Floats]:
    def compute(bars: Bars) -> Floats:
        return np.array(getattr(bars, name), dtype=np.float64, order="C")

    return compute


def _typical(bars: Bars) -> Floats:
    return (bars.high + bars.low + bars.close) / 3.0


def _range(bars: Bars) -> Floats:
    return bars.high - bars.low


def _close_position(bars: Bars) -> Floats:
    place = np.full(len(bars), 0.5)
    np.divide(bars.close - bars.low, bars.high - bars.low, out=place, where=bars.high > bars.low)
    return place


def _return_1(bars: Bars) -> Floats:
    change = np.full(len(bars), np.nan)
    np.divide(bars.close[1:], bars.close[:-1], out=change[1:], where=bars.close[:-1] != 0.0)
    return change - 1.0


def _hour(bars: Bars) -> Floats:
    return (bars.open_time // HOUR_MS % 24).astype(np.float64)


def _weekday_numbers(bars: Bars) -> Ints:
    days: Ints = (bars.open_time // DAY_MS + _EPOCH_WEEKDAY) % 7
    return days


def _weekday(bars: Bars) -> Floats:
    return _weekday_numbers(bars).astype(np.float64)


def _weekend(bars: Bars) -> Floats:
    return (_weekday_numbers(bars) >= _SATURDAY).astype(np.float64)


_RULES = (
    FieldRule("open", Kind.PRICE, 0, _column("open"), "first price of the bar"),
    FieldRule("high", Kind.PRICE, 0, _column("high"), "highest price"),
    FieldRule("low", Kind.PRICE, 0, _column("low"), "lowest price"),
    FieldRule("close", Kind.PRICE, 0, _column("close"), "last price"),
    FieldRule("typical", Kind.PRICE, 0, _typical, "(high + low + close) / 3"),
    FieldRule("range", Kind.PRICE, 0, _range, "high - low"),
    FieldRule("volume", Kind.VOLUME, 0, _column("volume"), "base coin traded"),
    FieldRule("close_position", Kind.RATIO, 0, _close_position, "(close - low) / (high - low); 0.5 on a flat bar"),
    FieldRule("return_1", Kind.RETURN, 1, _return_1, "close over the previous close, minus 1"),
    FieldRule("hour", Kind.CLOCK, 0, _hour, "UTC hour in which the bar opens, 0 to 23"),
    FieldRule("weekday", Kind.CLOCK, 0, _weekday, "UTC weekday, Monday 0 to Sunday 6"),
    FieldRule("weekend", Kind.BOOLEAN, 0, _weekend, "Saturday or Sunday, UTC"),
    FieldRule("tokyo", Kind.BOOLEAN, 0, _session("tokyo"), "09:00-15:00 in Tokyo, weekdays"),
    FieldRule("london", Kind.BOOLEAN, 0, _session("london"), "08:00-16:30 in London, weekdays"),
    FieldRule("newyork", Kind.BOOLEAN, 0, _session("newyork"), "09:30-16:00 in New York, weekdays"),
)

FIELDS = MappingProxyType({rule.name: rule for rule in _RULES})


def fields() -> tuple[FieldRule, ...]:
    """Every column of the language, in the order of the documentation."""
    return _RULES
