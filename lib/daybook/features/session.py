"""Session and calendar features: where the clock stands when the bar opens.

Sessions are kept in local time and turned into UTC by the IANA zone data, so that they follow daylight saving: in the
weeks when only one side of the Atlantic has changed its clocks, London and New York are an hour closer. Weekdays only;
exchange holidays and Tokyo's lunch break are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from daybook.core.arrays import Floats, Ints
from daybook.core.time import DAY_MS, HOUR_MS, MINUTE_MS, day_of
from daybook.features.feature import Feature
from daybook.features.series import Series

_DAYS_SEARCHED = 5
"""The latest opening before any moment lies less than so many days back, weekends and zones included."""

_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""

_FUNDING_MS = 8 * HOUR_MS


@dataclass(frozen=True)
class Session:
    """Trading hours of one exchange in its local time, Monday to Friday."""

    name: str
    zone: str
    opens: time
    closes: time

    def times(self, open_time: Ints) -> tuple[Ints, Ints]:
        """(N,) opening and (N,) closing times, int64 ms UTC, of every session that matters to these bars."""
        first = day_of(int(open_time[0])) - timedelta(days=_DAYS_SEARCHED)
        return self._between(first, day_of(int(open_time[-1])) + timedelta(days=1))

    @lru_cache(maxsize=64)  # noqa: B019 - the sessions are module constants
    def _between(self, day: date, last: date) -> tuple[Ints, Ints]:
        zone = ZoneInfo(self.zone)
        pairs: list[tuple[int, int]] = []
        while day <= last:
            if day.weekday() < 5:
                moments = (datetime.combine(day, at, tzinfo=zone) for at in (self.opens, self.closes))
                opened, closed = (int(moment.timestamp()) * 1000 for moment in moments)
                pairs.append((opened, closed))
            day += timedelta(days=1)
        table = np.asarray(pairs, dtype=np.int64)
        return table[:, 0], table[:, 1]


TOKYO = Session("tokyo", "Asia/Tokyo", time(9, 0), time(15, 0))
LONDON = Session("london", "Europe/London", time(8, 0), time(16, 30))
NEW_YORK = Session("new_york", "America/New_York", time(9, 30), time(16, 0))
SESSIONS = (TOKYO, LONDON, NEW_YORK)


def since_opening(series: Series, session: Session) -> Floats:
    """Minutes from the session's latest opening to the bar's open, whether or not it has closed since."""
    opened, _, bars = _latest(series, session)
    return (series.open_time - np.repeat(opened, bars)) / MINUTE_MS


def is_open(series: Series, session: Session) -> Floats:
    """1 where the bar opens inside the session, else 0."""
    _, closed, bars = _latest(series, session)
    return (series.open_time < np.repeat(closed, bars)).astype(np.float64)


def _latest(series: Series, session: Session) -> tuple[Ints, Ints, Ints]:
    opened, closed = session.times(series.open_time)
    first_bar = np.append(np.searchsorted(series.open_time, opened), series.length)
    return opened, closed, np.diff(first_bar)


def phase(series: Series, period_ms: int, *, cosine: bool) -> Floats:
    """Sine or cosine of the place of the bar's open in a period that starts at 1970-01-01 00:00 UTC."""
    minute, whole = _minutes(series)
    if not whole:
        return _wave((series.open_time % period_ms) * (2.0 * np.pi / period_ms), cosine)
    table = _wave(np.arange(0, period_ms, MINUTE_MS) * (2.0 * np.pi / period_ms), cosine)
    return np.asarray(table[minute.astype(np.int32) % np.int32(period_ms // MINUTE_MS)])


def _minutes(series: Series) -> tuple[Floats, bool]:
    """Minutes since 1970 of each open time, and whether all are whole ones."""
    minute = series.shared("minute", lambda: np.floor(series.open_time / MINUTE_MS))
    return minute, bool(np.all(minute * MINUTE_MS == series.open_time))


def weekday_phase(series: Series, *, cosine: bool) -> Floats:
    """Sine or cosine of the UTC weekday, Monday at 0."""
    return _wave(np.arange(7) * (2.0 * np.pi / 7.0), cosine)[weekday(series)]


def _wave(angle: NDArray[np.floating[Any]], cosine: bool) -> Floats:
    return np.asarray(np.cos(angle) if cosine else np.sin(angle), dtype=np.float64)


def weekday(series: Series) -> Ints:
    """UTC weekday of the bar's open, Monday 0 to Sunday 6."""
    days: Ints = (series.open_time // DAY_MS + _EPOCH_WEEKDAY) % 7
    return days


def weekend(series: Series) -> Floats:
    """1 where the bar opens on a Saturday or Sunday (UTC), else 0."""
    return (weekday(series) >= 5).astype(np.float64)


def until_funding(series: Series) -> Floats:
    """Minutes from the bar's open to the next funding stamp of perpetual contracts (00, 08, 16 UTC)."""
    return (_FUNDING_MS - series.open_time % _FUNDING_MS) / MINUTE_MS


_CLOCK = ("open_time",)
_CYCLE = (-1.0, 1.0)
_CALENDAR = "calendar, UTC"

FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"{name}_{'cos' if cosine else 'sin'}", "session", _CLOCK, 0, "cycle",
                f"{'Cosine' if cosine else 'Sine'} of the UTC {text}.", _CALENDAR,
                partial(phase, period_ms=period_ms, cosine=cosine), bounds=_CYCLE)
        for name, text, period_ms in (("hour", "time of day", DAY_MS), ("minute", "minute of the hour", HOUR_MS))
        for cosine in (False, True)
    ),
    *(
        Feature(f"weekday_{'cos' if cosine else 'sin'}", "session", _CLOCK, 0, "cycle",
                f"{'Cosine' if cosine else 'Sine'} of the UTC weekday, Monday at 0.", _CALENDAR,
                partial(weekday_phase, cosine=cosine), bounds=_CYCLE)
        for cosine in (False, True)
    ),
    Feature("weekend", "session", _CLOCK, 0, "flag", "Saturday or Sunday, UTC.", _CALENDAR, weekend, bounds=(0.0, 1.0)),
    *(
        Feature(f"{session.name}_open", "session", _CLOCK, 0, "flag",
                f"The bar opens inside the {session.name.replace('_', ' ').title()} session "
                f"({session.opens:%H:%M}-{session.closes:%H:%M} local, weekdays).", f"IANA zone {session.zone}",
                partial(is_open, session=session), bounds=(0.0, 1.0))
        for session in SESSIONS
    ),
    *(
        Feature(f"{session.name}_minutes", "session", _CLOCK, 0, "minutes",
                f"Minutes since {session.name.replace('_', ' ').title()} last opened, also after it closed.",
                f"IANA zone {session.zone}", partial(since_opening, session=session), bounds=(0.0, 4.0 * 1440.0))
        for session in SESSIONS
    ),
    Feature("funding_minutes", "session", _CLOCK, 0, "minutes",
            "Minutes to the next funding stamp of perpetual contracts (00, 08, 16 UTC).",
            "Binance USD-M contract rules",
            until_funding, bounds=(0.0, 480.0)),
)
