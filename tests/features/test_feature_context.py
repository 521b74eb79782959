"""What a shorter timeframe may know of a longer one."""

from __future__ import annotations

import numpy as np
from feature_bars import START_MS, random_bars

from daybook.features import as_of, compute

HOUR_MS = 3_600_000
HOURS = compute(random_bars(5, timeframe="60m"), ["range_1", "return_1"])


def test_an_hour_is_known_from_the_minute_in_which_it_closes():
    minute_closes = START_MS + np.array([1, 59, 60, 61, 119, 120, 300]) * 60_000
    known = as_of(HOURS, "60m", minute_closes)
    rows = HOURS.column("range_1")
    np.testing.assert_array_equal(known.column("range_1"),
                                  np.array([np.nan, np.nan, rows[0], rows[0], rows[0], rows[1], rows[4]], np.float32))
    assert known.names == HOURS.names
    assert known.open_time.tolist() == minute_closes.tolist()


def test_a_missing_hour_leaves_the_last_one_until_it_is_too_old():
    gapped = HOURS.rows(slice(0, 5))
    keep = np.array([0, 1, 4])
    gapped = type(HOURS)(HOURS.names, HOURS.open_time[keep], HOURS.values[keep])
    moments = START_MS + np.array([120, 180, 181, 240, 300]) * 60_000
    rows = HOURS.column("range_1")
    np.testing.assert_array_equal(as_of(gapped, "60m", moments).column("range_1"), rows[[1, 1, 1, 1, 4]])
    fresh = as_of(gapped, "60m", moments, max_age_ms=HOUR_MS).column("range_1")
    np.testing.assert_array_equal(fresh, np.array([rows[1], rows[1], np.nan, np.nan, rows[4]], np.float32))


def test_no_bars_are_nothing_known():
    known = as_of(HOURS.rows(slice(0, 0)), "60m", np.array([START_MS]), max_age_ms=1)
    assert known.values.shape == (1, 2)
    assert np.isnan(known.values).all()
    assert as_of(HOURS, "60m", np.array([], dtype=np.int64)).values.shape == (0, 2)
