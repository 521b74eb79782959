"""Stylised facts of crypto markets, each in its band over 60 winter days of a seed, and their absence in noise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest

from daybook.core.time import DAY_MS, HOUR_MS, Window, bars_per_year, day_start_ms
from daybook.market.bars import Bars
from daybook.market.synthetic import SYNTHETIC_SYMBOLS, synthetic_bars

DAYS = 60
SEEDS = (1, 2, 3)
ALTS = ("ETHUSDT", "BNBUSDT")


@dataclass(frozen=True)
class Market:
    bars: dict[str, Bars]
    returns: dict[str, np.ndarray]

    @property
    def btc(self) -> np.ndarray:
        return self.returns["BTCUSDT"]


def market(seed: int, mode: str, start: date = date(2026, 1, 5)) -> Market:
    window = Window(day_start_ms(start), day_start_ms(start) + DAYS * DAY_MS)
    bars = {symbol: synthetic_bars(symbol, window, seed=seed, mode=mode) for symbol in SYNTHETIC_SYMBOLS}
    return Market(bars, {symbol: np.diff(np.log(table.close)) for symbol, table in bars.items()})


@pytest.fixture(scope="module", params=SEEDS)
def normal(request) -> Market:
    return market(request.param, "normal")


@pytest.fixture(scope="module", params=SEEDS)
def noise(request) -> Market:
    return market(request.param, "noise")


def lagged_correlation(x: np.ndarray, y: np.ndarray, lag: int) -> float:
    """Correlation of x with y `lag` bars later."""
    return float(np.corrcoef(x[: len(x) - lag], y[lag:])[0, 1])


def hourly_mean(table: Bars, values: np.ndarray) -> np.ndarray:
    hours = table.open_time[1:] // HOUR_MS % 24
    return np.array([values[hours == hour].mean() for hour in range(24)])


def test_yearly_volatility_is_that_of_bitcoin(normal):
    assert 0.45 < normal.btc.std() * np.sqrt(bars_per_year("1m")) < 0.65


def test_tails_are_heavy_with_an_index_near_three(normal):
    moves = np.sort(np.abs(normal.btc))
    count = len(moves) // 200
    assert 2.7 < 1 / np.mean(np.log(moves[-count:] / moves[-count - 1])) < 4.5


@pytest.mark.parametrize(("lag", "low", "high"), [(1, 0.20, 0.32), (60, 0.11, 0.22), (1440, 0.05, 0.12)])
def test_absolute_returns_remember_for_a_day(normal, lag, low, high):
    moves = np.abs(normal.btc)
    assert low < lagged_correlation(moves, moves, lag) < high


def test_returns_remember_only_the_bounce_between_bid_and_ask(normal):
    assert -0.04 < lagged_correlation(normal.btc, normal.btc, 1) < 0
    for lag in (2, 5, 15, 60):
        assert abs(lagged_correlation(normal.btc, normal.btc, lag)) < 0.03


@pytest.mark.parametrize("alt", ALTS)
def test_alts_move_with_bitcoin_more_so_over_five_minutes(normal, alt):
    minute = np.corrcoef(normal.btc, normal.returns[alt])[0, 1]
    five = [values[: len(values) // 5 * 5].reshape(-1, 5).sum(axis=1) for values in (normal.btc, normal.returns[alt])]
    assert 0.52 < minute < 0.68
    assert np.corrcoef(*five)[0, 1] > minute + 0.03


@pytest.mark.parametrize("alt", ALTS)
def test_bitcoin_leads_alts_by_a_minute_and_is_not_led(normal, alt):
    assert 0.07 < lagged_correlation(normal.btc, normal.returns[alt], 1) < 0.12
    assert abs(lagged_correlation(normal.returns[alt], normal.btc, 1)) < 0.02


def test_the_busiest_winter_hour_is_fifteen_utc(normal):
    hours = hourly_mean(normal.bars["BTCUSDT"], np.abs(normal.btc))
    assert hours.argmax() == 15
    assert 2.4 < hours.max() / hours.min() < 3.5


def test_the_busiest_hour_comes_an_hour_earlier_in_summer():
    summer = market(1, "normal", date(2026, 6, 1))
    assert hourly_mean(summer.bars["BTCUSDT"], np.abs(summer.btc)).argmax() == 14


def test_weekends_are_calmer(normal):
    weekday = (normal.bars["BTCUSDT"].open_time[1:] // DAY_MS + 3) % 7
    moves = np.abs(normal.btc)
    assert 0.6 < moves[weekday >= 5].mean() / moves[weekday < 5].mean() < 0.9


@pytest.mark.parametrize("symbol", SYNTHETIC_SYMBOLS)
def test_volume_rises_with_volatility(normal, symbol):
    bars = normal.bars[symbol]
    moved = bars.high > bars.low
    assert np.corrcoef(np.log(bars.volume[moved]), np.log(np.log(bars.high / bars.low)[moved]))[0, 1] > 0.5


def test_ranges_agree_with_returns(normal):
    bars = normal.bars["BTCUSDT"]
    parkinson = np.mean(np.log(bars.high / bars.low) ** 2) / (4 * np.log(2))
    assert parkinson == pytest.approx(np.mean(normal.btc**2), rel=0.1)


def test_noise_has_no_memory_of_direction(noise):
    """Signs, not returns: under changing volatility their correlation's error is exactly 1 / sqrt(n)."""
    bound = 4 / np.sqrt(DAYS * 1440)
    signs = {symbol: np.sign(values) for symbol, values in noise.returns.items()}
    for leader in SYNTHETIC_SYMBOLS:
        for follower in SYNTHETIC_SYMBOLS:
            for lag in (1, 2, 5, 15, 60):
                assert abs(lagged_correlation(signs[leader], signs[follower], lag)) < bound


def test_noise_pays_no_simple_rule(noise):
    """Follow or fade each of three visible things for 15 minutes: no mean is four standard errors from zero."""
    for bars in noise.bars.values():
        position = (bars.close - bars.low) / np.maximum(bars.high - bars.low, 1e-12) - 0.5
        surge = np.log(bars.volume / np.median(bars.volume)) * np.sign(bars.close - bars.open)
        drift = np.log(bars.close / np.roll(bars.close, 60))
        later = np.log(bars.open[76::15] / bars.open[61:-15:15])
        for visible in (position, surge, drift):
            gains = np.sign(visible[60:-16:15]) * later[: len(visible[60:-16:15])]
            assert abs(gains.mean()) < 4 * gains.std() / np.sqrt(len(gains))


def test_noise_alts_move_with_bitcoin_in_the_same_minute_only(noise):
    five = [values[: len(values) // 5 * 5].reshape(-1, 5).sum(axis=1) for values in noise.returns.values()]
    minute = np.corrcoef(noise.btc, noise.returns["ETHUSDT"])[0, 1]
    assert minute > 0.5
    assert np.corrcoef(five[0], five[1])[0, 1] == pytest.approx(minute, abs=0.04)
