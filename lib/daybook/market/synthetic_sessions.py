"""How busy the built-in market is at each minute: trading sessions of three cities, in their own local time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from daybook.core.arrays import Floats

DAY_MINUTES = 1440
WEEKEND_WEIGHT = 0.35
BASE_ACTIVITY = 0.47


@dataclass(frozen=True)
class Session:
    """Local opening hours of one exchange and how much activity it adds at the middle of its day and at its ends."""

    zone: str
    opens: int
    closes: int
    middle: float
    ends: float


SESSIONS = (
    Session("Asia/Tokyo", 9 * 60, 15 * 60, 0.16, 0.36),
    Session("Europe/London", 8 * 60, 16 * 60 + 30, 0.28, 0.52),
    Session("America/New_York", 9 * 60 + 30, 16 * 60, 0.42, 0.88),
)


def session_open_minute(session: Session, day: date) -> int:
    """Minute of the UTC day at which the session opens, daylight saving time included (offset as of noon UTC)."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    offset = noon.astimezone(ZoneInfo(session.zone)).utcoffset() or timedelta()
    return session.opens - int(offset.total_seconds()) // 60


def day_activity(day: date) -> Floats:
    """(1440,) volatility multiplier of each UTC minute of a day; the mean square over a winter week is 1."""
    opens = tuple(session_open_minute(session, day) for session in SESSIONS)
    return _curve(opens, WEEKEND_WEIGHT if day.weekday() >= 5 else 1.0) / _level()


@cache
def _level() -> float:
    opens = tuple(session_open_minute(session, date(2024, 1, 10)) for session in SESSIONS)
    squares = 5 * np.mean(_curve(opens, 1.0) ** 2) + 2 * np.mean(_curve(opens, WEEKEND_WEIGHT) ** 2)
    return float(np.sqrt(squares / 7))


@cache
def _curve(opens: tuple[int, ...], weight: float) -> Floats:
    """Base activity plus each session's U: busy at the open, calmer at noon, busy at the close."""
    minutes = np.arange(DAY_MINUTES, dtype=np.float64)
    activity = np.full(DAY_MINUTES, BASE_ACTIVITY)
    for session, opened in zip(SESSIONS, opens, strict=True):
        length = session.closes - session.opens
        progress = (minutes - opened) / length
        inside = (progress >= 0.0) & (progress < 1.0)
        shape = session.middle + (session.ends - session.middle) * (2.0 * progress - 1.0) ** 2
        activity += weight * np.where(inside, shape, 0.0)
    activity.flags.writeable = False
    return activity
