"""UTC days, windows and timeframes. Every time inside Daybook is an int of milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

from daybook.core.errors import UsageError

Timeframe = Literal["1m", "5m", "60m"]
TIMEFRAMES: tuple[Timeframe, ...] = get_args(Timeframe)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
DAYS_PER_YEAR = 365
"""Crypto markets trade every day of the year."""

_MINUTES: dict[Timeframe, int] = {"1m": 1, "5m": 5, "60m": 60}
_DAY_FORM = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span [start_ms, end_ms) of bar open times, in milliseconds UTC."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if self.end_ms <= self.start_ms:
            raise UsageError(f"window: end {self.end_ms} ms must lie after its start {self.start_ms} ms.")

    @property
    def days(self) -> float:
        """Length in days."""
        return (self.end_ms - self.start_ms) / DAY_MS


def timeframe_ms(timeframe: str) -> int:
    """Length of one bar in milliseconds. Raises UsageError for a timeframe other than 1m, 5m, 60m."""
    for known, minutes in _MINUTES.items():
        if known == timeframe:
            return minutes * MINUTE_MS
    raise UsageError(f"timeframe: found {timeframe!r}, allowed are {', '.join(TIMEFRAMES)}.")


def bars_per_year(timeframe: str) -> float:
    """Bars of this timeframe in a year of a market that never closes."""
    return DAYS_PER_YEAR * DAY_MS / timeframe_ms(timeframe)


def parse_day(text: str) -> date:
    """The day written as YYYY-MM-DD. Raises UsageError for any other form or a day that does not exist."""
    if not _DAY_FORM.fullmatch(text):
        raise UsageError(f"date: found {text!r}, allowed is a calendar day written YYYY-MM-DD.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"date: {text!r} is not a day of the calendar.") from None


def day_start_ms(day: date) -> int:
    """Midnight UTC at which the day starts, in milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def day_of(time_ms: int) -> date:
    """The UTC day in which a time lies."""
    return utc(time_ms).date()


def window_before(day: date, days: int) -> Window:
    """[day - days, day): what a research day sees. Raises UsageError unless days >= 1 and the calendar has them."""
    if days < 1:
        raise UsageError(f"window: found {days} days, allowed is 1 or more.")
    if days >= day.toordinal():
        raise UsageError(f"window: {days} days before {day} the calendar has not begun. Choose a later day.")
    return Window(day_start_ms(day - timedelta(days=days)), day_start_ms(day))


def utc(time_ms: int) -> datetime:
    """The timezone-aware datetime of a time in milliseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(time_ms))


def utc_text(time_ms: int) -> str:
    """`2024-03-02 04:11 UTC`, with seconds and milliseconds only where they are not zero."""
    moment = utc(time_ms)
    text = moment.strftime("%Y-%m-%d %H:%M")
    if time_ms % MINUTE_MS:
        text += moment.strftime(":%S.") + f"{moment.microsecond // 1000:03d}"
    return text + " UTC"
