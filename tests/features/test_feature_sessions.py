"""Session features by the clocks of their cities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from feature_bars import at, random_bars

from daybook.features import compute


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(("session", "opens", "closes"), [
    ("new_york", "2026-01-14T14:30", "2026-01-14T21:00"),
    ("new_york", "2026-07-15T13:30", "2026-07-15T20:00"),
    ("london", "2026-01-14T08:00", "2026-01-14T16:30"),
    ("london", "2026-07-15T07:00", "2026-07-15T15:30"),
    ("tokyo", "2026-01-14T00:00", "2026-01-14T06:00"),
    ("tokyo", "2026-07-15T00:00", "2026-07-15T06:00"),
    # Weeks in which only one side of the Atlantic has changed its clocks.
    ("new_york", "2026-03-16T13:30", "2026-03-16T20:00"),
    ("london", "2026-03-16T08:00", "2026-03-16T16:30"),
    ("new_york", "2026-10-28T13:30", "2026-10-28T20:00"),
    ("london", "2026-10-28T08:00", "2026-10-28T16:30"),
])
def test_a_session_opens_and_closes_by_local_time(session, opens, closes):
    start, stop, minute = ms(opens), ms(closes), 60_000
    moments = [start - minute, start, start + minute, stop - minute, stop]
    table = compute(at(moments), [f"{session}_open", f"{session}_minutes"])
    assert table.column(f"{session}_open").tolist() == [0, 1, 1, 1, 0]
    length = (stop - start) // minute
    assert table.column(f"{session}_minutes").tolist()[1:] == [0, 1, length - 1, length]


def test_weekends_have_no_sessions_and_count_on_from_friday():
    saturday, sunday = ms("2026-01-17T15:00"), ms("2026-01-18T15:00")
    table = compute(at([saturday, sunday]), ["new_york_open", "new_york_minutes", "weekend"])
    assert table.column("new_york_open").tolist() == [0, 0]
    assert table.column("new_york_minutes").tolist() == [24 * 60 + 30, 48 * 60 + 30]
    assert table.column("weekend").tolist() == [1, 1]


def test_a_bar_is_in_the_same_session_whichever_bar_the_series_starts_at():
    bars = random_bars(9 * 24, timeframe="60m")
    names = ["tokyo_minutes", "london_open", "new_york_minutes"]
    whole = compute(bars, names).values
    for start in range(0, 9 * 24, 7):
        np.testing.assert_array_equal(compute(bars.rows(start, len(bars)), names).values, whole[start:])


def test_weekday_and_time_of_day_are_phases_of_utc():
    monday = datetime(2026, 1, 12, tzinfo=UTC)
    moments = [int((monday + timedelta(days=d, hours=6)).timestamp()) * 1000 for d in range(7)]
    table = compute(at(moments))
    np.testing.assert_allclose(table.column("weekday_sin"), np.sin(2 * np.pi * np.arange(7) / 7), atol=1e-6)
    np.testing.assert_allclose(table.column("weekday_cos"), np.cos(2 * np.pi * np.arange(7) / 7), atol=1e-6)
    np.testing.assert_allclose(table.column("hour_sin"), 1.0, atol=1e-6)
    assert table.column("weekend").tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_funding_counts_down_to_the_next_stamp():
    table = compute(at([ms("2026-01-12T07:59"), ms("2026-01-12T08:00")]), ["funding_minutes"])
    assert table.column("funding_minutes").tolist() == [1, 480]
