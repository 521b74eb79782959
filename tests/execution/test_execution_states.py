"""Sessions by local clocks, volatility known beforehand, distributions that can be drawn from."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from execution_tapes import MINUTE, MONDAY_MS, bars_of, quotes_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daybook.execution import Distribution, distribution_of
from daybook.execution.distribution import KNOTS
from daybook.execution.states import (
    SESSIONS,
    UNKNOWN,
    bar_volatility,
    quote_volatility,
    session_codes,
    tercile_edges,
    volatility_codes,
)
from daybook.market.aggregate import aggregate


def session_at(text: str) -> str:
    return SESSIONS[int(session_codes([datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000])[0])]


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-01-15T00:00", "tokyo"), ("2026-01-15T05:59", "tokyo"), ("2026-01-15T06:00", "off"),
        ("2026-01-15T07:59", "off"), ("2026-01-15T08:00", "london"), ("2026-07-15T07:00", "london"),
        ("2026-01-15T14:29", "london"), ("2026-01-15T14:30", "new_york"), ("2026-07-15T13:30", "new_york"),
        ("2026-01-15T20:59", "new_york"), ("2026-01-15T21:00", "off"), ("2026-07-15T20:00", "off"),
        ("2026-03-16T13:30", "new_york"), ("2026-03-16T08:00", "london"), ("2026-03-16T07:59", "off"),
        ("2026-10-28T08:00", "london"), ("2026-10-28T13:30", "new_york"),
        ("2026-01-17T00:00", "weekend"), ("2026-01-18T23:59", "weekend"), ("2026-01-19T00:00", "tokyo"),
    ],
)  # fmt: skip
def test_a_session_is_told_by_the_exchanges_local_clock(moment: str, session: str) -> None:
    assert session_at(moment) == session


def test_session_codes_do_not_depend_on_the_order_or_the_company_of_moments() -> None:
    times = MONDAY_MS + np.arange(0, 14 * 1440, 7) * float(MINUTE)
    shuffled = np.random.default_rng(0).permutation(times.size)
    together = session_codes(times)
    np.testing.assert_array_equal(session_codes(times[shuffled]), together[shuffled])
    np.testing.assert_array_equal([session_codes([time])[0] for time in times[::97]], together[::97])
    assert session_codes([]).size == 0


def test_volatility_of_a_bar_is_known_before_it_opens() -> None:
    bars = bars_of(400)
    known = bar_volatility(bars)
    assert np.isnan(known[:61]).all() and np.isfinite(known[61:]).all()
    for at in (61, 100, 399):
        np.testing.assert_allclose(bar_volatility(bars.rows(0, at + 1))[at], known[at], rtol=1e-9)
    expected = np.sqrt(np.mean(np.diff(np.log(bars.close[99 - 60:100])) ** 2)) * 1e4
    assert known[100] == pytest.approx(expected)


@pytest.mark.parametrize("timeframe", ["5m", "60m"])
def test_volatility_has_one_scale_for_every_timeframe(timeframe: str) -> None:
    minutes = bars_of(60 * 24 * 20)
    coarse = bar_volatility(aggregate(minutes, timeframe))
    assert np.nanmedian(coarse) == pytest.approx(np.nanmedian(bar_volatility(minutes)), rel=0.08)


def test_volatility_of_quotes_and_of_bars_agree_on_the_same_minutes() -> None:
    quotes = quotes_of(np.zeros(6 * 3600), step=1e-4)
    minutes, known = quote_volatility(quotes)
    assert minutes[0] == MONDAY_MS // MINUTE
    assert np.isnan(known[:20]).all() and np.isfinite(known[20:]).all()
    assert np.nanmedian(known) == pytest.approx(1e-4 * np.sqrt(60) * 1e4, rel=0.1)


def test_a_pause_of_the_feed_leaves_volatility_unknown_rather_than_calm() -> None:
    early, late = quotes_of(np.zeros(7200)), quotes_of(np.zeros(7200), start_ms=MONDAY_MS + 6 * 3_600_000)
    from daybook.market.quotes import joined_quotes

    minutes, known = quote_volatility(joined_quotes([early, late]))
    paused = (minutes > MONDAY_MS // MINUTE + 120 + 60) & (minutes < MONDAY_MS // MINUTE + 360)
    assert np.isnan(known[paused]).all()


def test_terciles_hold_a_third_each_and_are_unknown_without_edges() -> None:
    values = np.random.default_rng(3).lognormal(size=900)
    codes = volatility_codes(values, tercile_edges(values))
    np.testing.assert_array_equal(np.bincount(codes), [300, 300, 300])
    assert (volatility_codes(np.array([np.nan, 1.0]), (1.0, 2.0)) == [UNKNOWN, 0]).all()
    assert tercile_edges(values[:89]) is None
    assert (volatility_codes(values, None) == UNKNOWN).all()


def test_a_weighted_quantile_is_the_value_at_which_the_weight_is_reached() -> None:
    found = distribution_of(np.array([3.0, 1.0, 2.0]), np.array([1.0, 8.0, 1.0]))
    assert found is not None
    assert (found.n, found.p50, found.p90, found.mean) == (3, 1.0, 2.0, 1.3)
    assert dict(found.knots)[0.0] == 1.0 and dict(found.knots)[1.0] == 3.0
    assert dict(found.knots)[0.8] == 1.0 and dict(found.knots)[0.95] == 3.0
    assert found.sd == pytest.approx(np.sqrt(0.8 * 0.09 + 0.1 * 0.49 + 0.1 * 1.7**2))


def test_nothing_with_weight_is_no_distribution() -> None:
    assert distribution_of(np.zeros(0)) is None
    assert distribution_of(np.ones(3), np.zeros(3)) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_the_inverse_cdf_never_falls_and_stays_in_the_sample(values: list[float]) -> None:
    found = distribution_of(np.asarray(values))
    assert found is not None
    drawn = found.quantile(np.linspace(0, 1, 500))
    assert (np.diff(drawn) >= 0).all()
    assert drawn[0] == min(values) and drawn[-1] == max(values)


def test_draws_repeat_the_moments_and_the_tail_of_the_sample() -> None:
    sample = np.random.default_rng(5).lognormal(0, 1, 200_000)
    found = distribution_of(sample)
    assert found is not None
    assert {0.99, 0.999, 0.9999} <= set(KNOTS)
    drawn = found.quantile(np.random.default_rng(6).random(200_000))
    assert np.mean(drawn) == pytest.approx(np.mean(sample), rel=0.04)
    for probability in (0.5, 0.9, 0.99, 0.999):
        assert np.quantile(drawn, probability) == pytest.approx(np.quantile(sample, probability), rel=0.03)


@pytest.mark.parametrize("knots", [(), ((0.0, 1.0),), ((0.0, 2.0), (1.0, 1.0)), ((0.0, 1.0), (0.0, 1.0), (1.0, 2.0))])
def test_knots_that_fall_or_do_not_span_are_refused(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValidationError, match="knots must rise"):
        Distribution(n=1, mean=1, sd=0, p50=1, p90=1, knots=knots)
