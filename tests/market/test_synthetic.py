"""The built-in market is endless, whole, and the same for a seed however it is asked for."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms, timeframe_ms
from daybook.market.bars import FIELDS, Bars
from daybook.market.synthetic import (
    END_DAY,
    FIRST_DAY,
    SYNTHETIC_MODES,
    SYNTHETIC_SYMBOLS,
    synthetic_bars,
    synthetic_venue,
)
from daybook.market.synthetic_model import COINS, SEASON_DAYS, SEASON_MINUTES, anchor, season_bars


def week(year: int, month: int, day: int, days: float = 7) -> Window:
    start = day_start_ms(date(year, month, day))
    return Window(start, start + round(days * DAY_MS))


def season_start(after: date) -> int:
    """First open time, in ms, of the season that begins after a day."""
    return (day_start_ms(after) // (SEASON_DAYS * DAY_MS) + 1) * SEASON_DAYS * DAY_MS


BOUNDARY = season_start(date(2026, 5, 1))
RECORDED_CLOSES = [97857.83, 101922.11, 106354.29]
AROUND_BOUNDARY = Window(BOUNDARY - 2 * DAY_MS, BOUNDARY + 2 * DAY_MS)


@pytest.mark.parametrize("mode", SYNTHETIC_MODES)
@pytest.mark.parametrize("symbol", SYNTHETIC_SYMBOLS)
def test_every_minute_of_the_window_is_there_and_possible(symbol, mode):
    window = week(2026, 3, 27)
    bars = synthetic_bars(symbol, window, seed=3, mode=mode)
    np.testing.assert_array_equal(bars.open_time, np.arange(window.start_ms, window.end_ms, MINUTE_MS))
    assert (bars.venue, bars.symbol, bars.timeframe) == (f"synthetic-{mode}-3", symbol, "1m")
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.low > 0)
    assert np.all(bars.volume > 0)
    for field in FIELDS:
        assert getattr(bars, field).dtype == np.float64
        assert np.all(np.isfinite(getattr(bars, field)))


def test_prices_and_volumes_are_whole_ticks_and_lots():
    coin = COINS["ETHUSDT"]
    bars = synthetic_bars("ETHUSDT", week(2025, 1, 1), seed=3)
    for field in ("open", "high", "low", "close"):
        assert np.array_equal(np.round(getattr(bars, field), 2), getattr(bars, field))
    assert np.allclose(np.round(bars.volume / coin.lot) * coin.lot, bars.volume, rtol=1e-12)


def test_a_bar_opens_within_the_spread_of_the_close_before_it():
    bars = synthetic_bars("BTCUSDT", AROUND_BOUNDARY, seed=3)
    gap_bps = np.abs(bars.open[1:] / bars.close[:-1] - 1) * 1e4
    assert gap_bps.max() < 2.01
    assert 0.9 < gap_bps.mean() < 1.1
    quiet = synthetic_bars("BTCUSDT", AROUND_BOUNDARY, seed=3, mode="noise")
    np.testing.assert_array_equal(quiet.open[1:], quiet.close[:-1])


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 4 * 1440 - 1), length=st.integers(1, 2000), milliseconds=st.integers(-59_999, 59_999))
def test_values_do_not_depend_on_the_window(start, length, milliseconds):
    whole = synthetic_bars("BNBUSDT", AROUND_BOUNDARY, seed=11)
    opens = AROUND_BOUNDARY.start_ms + start * MINUTE_MS
    window = Window(opens, min(opens + length * MINUTE_MS + max(milliseconds, 0), AROUND_BOUNDARY.end_ms))
    assert same(synthetic_bars("BNBUSDT", window, seed=11), whole.within(window))


def test_values_do_not_depend_on_the_order_of_the_calls():
    windows = [week(2026, 5, 1), week(2021, 2, 1), AROUND_BOUNDARY]
    first = [synthetic_bars(symbol, w, seed=5).data_hash for w in windows for symbol in SYNTHETIC_SYMBOLS]
    season_bars.cache_clear()
    again = [
        synthetic_bars(symbol, w, seed=5).data_hash for w in reversed(windows) for symbol in reversed(SYNTHETIC_SYMBOLS)
    ]
    assert first == again[::-1]


def test_another_process_makes_the_same_bars():
    window = week(2026, 3, 1, days=2)
    code = (
        "from daybook.core.time import Window; from daybook.market.synthetic import synthetic_bars\n"
        f"window = Window({window.start_ms}, {window.end_ms})\n"
        "print(synthetic_bars('ETHUSDT', window, seed=9, mode='planted', timeframe='5m').data_hash)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == synthetic_bars("ETHUSDT", window, seed=9, mode="planted", timeframe="5m").data_hash


def test_the_market_of_a_seed_stays_what_it_was():
    """Recorded once: a change here gives every stored day and every recorded report another market."""
    bars = synthetic_bars("BTCUSDT", week(2026, 11, 13), seed=7)
    assert bars.close[[0, 1439, -1]] == pytest.approx(RECORDED_CLOSES, rel=1e-9)


def test_seed_and_symbol_and_mode_each_make_another_market():
    window = week(2024, 7, 1, days=1)
    markets = [synthetic_bars("BTCUSDT", window, seed=seed, mode=mode) for seed in (0, 1) for mode in SYNTHETIC_MODES]
    markets.append(synthetic_bars("ETHUSDT", window, seed=0))
    returns = [np.diff(np.log(bars.close)).tobytes() for bars in markets]
    assert len(set(returns)) == len(returns)


def test_noise_keeps_the_volatility_of_the_normal_market():
    window = week(2024, 7, 1, days=28)
    hourly = [
        np.sqrt(np.mean(np.log(bars.high / bars.low).reshape(-1, 60) ** 2, axis=1))
        for bars in (synthetic_bars("BTCUSDT", window, seed=4, mode=mode) for mode in ("normal", "noise"))
    ]
    assert np.corrcoef(*hourly)[0, 1] > 0.97
    assert np.mean(hourly[0]) == pytest.approx(np.mean(hourly[1]), rel=0.02)


@pytest.mark.parametrize("timeframe", ["5m", "60m"])
def test_longer_bars_are_made_of_whole_minutes(timeframe):
    window = Window(BOUNDARY - 5 * DAY_MS + 7 * MINUTE_MS, BOUNDARY + DAY_MS + 61 * MINUTE_MS)
    step = timeframe_ms(timeframe)
    longer = synthetic_bars("BTCUSDT", window, seed=2, timeframe=timeframe)
    first, end = -(-window.start_ms // step) * step, -(-window.end_ms // step) * step
    np.testing.assert_array_equal(longer.open_time, np.arange(first, end, step))
    minutes = synthetic_bars("BTCUSDT", Window(first, end), seed=2)
    per_bar = step // MINUTE_MS
    np.testing.assert_array_equal(longer.open, minutes.open[::per_bar])
    np.testing.assert_array_equal(longer.close, minutes.close[per_bar - 1 :: per_bar])
    np.testing.assert_array_equal(longer.high, minutes.high.reshape(-1, per_bar).max(axis=1))
    np.testing.assert_array_equal(longer.low, minutes.low.reshape(-1, per_bar).min(axis=1))
    np.testing.assert_allclose(longer.volume, minutes.volume.reshape(-1, per_bar).sum(axis=1), rtol=1e-12)


def test_a_window_without_a_bar_start_is_empty():
    start = day_start_ms(date(2026, 1, 1))
    assert len(synthetic_bars("BTCUSDT", Window(start + 1, start + 30_000), seed=1)) == 0


def test_first_and_last_day_can_be_asked():
    first, end = day_start_ms(FIRST_DAY), day_start_ms(END_DAY)
    assert len(synthetic_bars("BTCUSDT", Window(first, first + DAY_MS), seed=1)) == 1440
    assert len(synthetic_bars("BTCUSDT", Window(end - DAY_MS, end), seed=1, timeframe="60m")) == 24


@pytest.mark.parametrize(("start", "end"), [(-MINUTE_MS, DAY_MS), (-DAY_MS, 0)])
def test_a_window_before_the_first_day_names_the_first_day(start, end):
    first = day_start_ms(FIRST_DAY)
    with pytest.raises(UsageError, match="first day of the built-in market is 2020-01-01"):
        synthetic_bars("BTCUSDT", Window(first + start, first + end), seed=1)


def test_a_window_after_the_last_day_names_the_last_day():
    end = day_start_ms(END_DAY)
    with pytest.raises(UsageError, match="2099-12-31"):
        synthetic_bars("BTCUSDT", Window(end - DAY_MS, end + 1), seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": "SOLUSDT"}, "BTCUSDT, ETHUSDT, BNBUSDT"),
        ({"mode": "loud"}, "normal, noise, planted"),
        ({"timeframe": "15m"}, "1m, 5m, 60m"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(change, message):
    asked = {"symbol": "BTCUSDT", "mode": "normal", "timeframe": "1m"} | change
    with pytest.raises(UsageError, match=message):
        synthetic_bars(asked.pop("symbol"), week(2026, 1, 1), seed=1, **asked)
    if "mode" in change:
        with pytest.raises(UsageError, match=message):
            synthetic_venue(1, change["mode"])


def test_prices_stay_plausible_for_eighty_years():
    first, end = (day_start_ms(day) // DAY_MS // SEASON_DAYS for day in (FIRST_DAY, END_DAY))
    for coin in COINS.values():
        levels = np.array([anchor(seed, coin, season) for seed in range(4) for season in range(first, end + 2)])
        levels -= math.log(coin.price)
        assert np.abs(levels).max() < math.log(8)
        assert 0.25 < levels.std() < 0.65


def test_a_season_ends_at_the_anchor_where_the_next_begins():
    season = BOUNDARY // MINUTE_MS // SEASON_MINUTES
    for symbol, coin in COINS.items():
        level = math.exp(anchor(6, coin, season))
        before, after = season_bars(6, "planted", symbol, season - 1), season_bars(6, "planted", symbol, season)
        assert before[3, -1] == pytest.approx(level, rel=1.3e-4)
        assert after[0, 0] == pytest.approx(level, rel=1.3e-4)


def same(a: Bars, b: Bars) -> bool:
    return np.array_equal(a.open_time, b.open_time) and all(
        np.array_equal(getattr(a, field), getattr(b, field)) for field in FIELDS
    )
