"""The planted edge can be seen in the bars, pays after costs, and is nowhere else."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, Window, day_start_ms
from daybook.market.bars import Bars
from daybook.market.synthetic import SYNTHETIC_SYMBOLS, synthetic_bars
from daybook.market.synthetic_planted import HOLDING_BARS, VOLUME_WINDOW, planted_signal

ROUND_TRIP_BPS = 12.0
DAYS = 28
WINDOW = Window(day_start_ms(date(2026, 1, 5)), day_start_ms(date(2026, 1, 5)) + DAYS * DAY_MS)


def gross_bps(bars: Bars, signal: np.ndarray) -> np.ndarray:
    """Gain of each signal, entered at the next open and held 15 bars."""
    at = np.flatnonzero(signal)
    at = at[at + 1 + HOLDING_BARS < len(bars)]
    return signal[at] * np.log(bars.open[at + 1 + HOLDING_BARS] / bars.open[at + 1]) * 1e4


def t_statistic(values: np.ndarray) -> float:
    return float(values.mean() / values.std(ddof=1) * np.sqrt(len(values)))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("symbol", SYNTHETIC_SYMBOLS)
def test_planted_edge_pays_after_twelve_basis_points(symbol, seed):
    bars = synthetic_bars(symbol, WINDOW, seed=seed, mode="planted")
    net = gross_bps(bars, planted_signal(bars)) - ROUND_TRIP_BPS
    assert 7 < len(net) / DAYS < 13
    assert net.mean() > 5
    assert t_statistic(net) > 3


@pytest.mark.parametrize("mode", ["normal", "noise"])
def test_the_same_rule_earns_nothing_elsewhere(mode):
    gains, trades = [], 0
    for seed in (1, 2):
        for symbol in SYNTHETIC_SYMBOLS:
            bars = synthetic_bars(symbol, WINDOW, seed=seed, mode=mode)
            gains.append(gross_bps(bars, planted_signal(bars)))
            trades += len(gains[-1])
    assert trades / (6 * DAYS) < 2.5
    assert abs(t_statistic(np.concatenate(gains))) < 3
    assert np.concatenate(gains).mean() < ROUND_TRIP_BPS


def test_the_weaker_edge_is_real_but_smaller():
    gross = {}
    for mode in ("planted", "planted-0.5"):
        tables = [synthetic_bars(symbol, WINDOW, seed=1, mode=mode) for symbol in SYNTHETIC_SYMBOLS]
        gross[mode] = np.concatenate([gross_bps(bars, planted_signal(bars)) for bars in tables])
    assert t_statistic(gross["planted-0.5"]) > 4
    assert 0.45 < gross["planted-0.5"].mean() / gross["planted"].mean() < 0.8


def test_signals_come_before_quarter_hours_in_about_a_tenth_of_them():
    bars = synthetic_bars("ETHUSDT", WINDOW, seed=1, mode="planted")
    minute = bars.close_time[planted_signal(bars) != 0] // 60_000 % 15
    assert np.mean(minute == 0) > 0.9
    assert 0.07 < np.sum(minute == 0) / (DAYS * 96) < 0.13


def test_signal_is_the_documented_rule():
    """A slow plain oracle of the docstring's two lines."""
    bars = synthetic_bars("BTCUSDT", Window(WINDOW.start_ms, WINDOW.start_ms + DAY_MS), seed=2, mode="planted")
    signal = planted_signal(bars)
    assert not signal[: VOLUME_WINDOW - 1].any()
    assert {-1, 1} <= set(signal.tolist())
    for t in range(VOLUME_WINDOW - 1, len(bars)):
        reach = 0.85 * (bars.high[t] - bars.low[t])
        surge = bars.volume[t] > 7 * bars.volume[t - 239 : t + 1].mean()
        up, down = surge and bars.close[t] - bars.low[t] > reach, surge and bars.high[t] - bars.close[t] > reach
        assert signal[t] == (1 if up else -1 if down else 0)


def test_signal_never_changes_when_later_bars_come():
    bars = synthetic_bars("BTCUSDT", Window(WINDOW.start_ms, WINDOW.start_ms + 2 * DAY_MS), seed=2, mode="planted")
    whole = planted_signal(bars)
    just_after_signals = np.flatnonzero(whole) + 1
    for stop in (1, VOLUME_WINDOW - 1, VOLUME_WINDOW, *just_after_signals, *(just_after_signals - 1)):
        np.testing.assert_array_equal(planted_signal(bars.rows(0, stop)), whole[:stop])


def test_signal_is_one_of_minute_bars():
    with pytest.raises(UsageError, match="1m"):
        planted_signal(synthetic_bars("BTCUSDT", WINDOW, seed=2, mode="planted", timeframe="5m"))
