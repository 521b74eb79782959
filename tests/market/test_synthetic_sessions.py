"""Trading sessions follow local clocks: their UTC hours move with daylight saving time."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from daybook.market.synthetic_sessions import SESSIONS, day_activity, session_open_minute

TOKYO, LONDON, NEW_YORK = SESSIONS


@pytest.mark.parametrize(
    ("day", "new_york", "london"),
    [
        (date(2026, 1, 14), 14 * 60 + 30, 8 * 60),
        (date(2026, 7, 15), 13 * 60 + 30, 7 * 60),
        (date(2026, 3, 16), 13 * 60 + 30, 8 * 60),
        (date(2026, 10, 28), 13 * 60 + 30, 8 * 60),
    ],
)
def test_sessions_open_by_the_local_clock(day, new_york, london):
    assert session_open_minute(NEW_YORK, day) == new_york
    assert session_open_minute(LONDON, day) == london
    assert session_open_minute(TOKYO, day) == 0


@pytest.mark.parametrize("day", [date(2026, 1, 14), date(2026, 7, 15), date(2026, 3, 16), date(2096, 7, 17)])
def test_activity_jumps_when_new_york_opens(day):
    activity = day_activity(day)
    opened = session_open_minute(NEW_YORK, day)
    assert activity[opened] > 1.4 * activity[opened - 1]


def test_activity_is_busy_at_the_ends_of_a_session_and_calm_in_its_middle():
    activity = day_activity(date(2026, 1, 14))
    assert activity[0] > 1.3 * activity[180] < activity[359]
    assert activity[22 * 60] == activity.min()


def test_weekends_keep_a_third_of_the_sessions():
    weekday, weekend = day_activity(date(2026, 1, 16)), day_activity(date(2026, 1, 17))
    quiet = weekday.min()
    np.testing.assert_allclose((weekend - quiet), 0.35 * (weekday - quiet), atol=1e-12)


def test_a_winter_week_has_mean_square_one():
    week = np.concatenate([day_activity(date(2026, 1, day)) for day in range(12, 19)])
    assert np.mean(week**2) == pytest.approx(1.0, abs=1e-12)
