"""Feature values against TA-Lib, pandas, simulation and hand-worked bars."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import talib
from feature_bars import START_MS, bars_of, random_bars
from numpy.lib.stride_tricks import sliding_window_view

from daybook.features import catalog, compute
from daybook.features.series import Series
from daybook.features.volatility import garman_klass, parkinson, rogers_satchell, yang_zhang
from daybook.market.bars import Bars

BARS = random_bars(1200, seed=11)
OPEN, H, L, C, V = BARS.open, BARS.high, BARS.low, BARS.close, BARS.volume
TABLE = compute(BARS)
R = pd.Series(np.log(C)).diff()

BANDS = talib.BBANDS(C, 20, 2.0, 2.0)
SLOW_K, SLOW_D = talib.STOCH(H, L, C, 14, 3, 0, 3, 0)
TRUE_RANGE = talib.TRANGE(H, L, C)
PLUS, MINUS = talib.PLUS_DI(H, L, C, 14), talib.MINUS_DI(H, L, C, 14)


@pytest.mark.parametrize(("name", "expected"), [
    ("rsi_14", talib.RSI(C, 14)),
    ("rsi_28", talib.RSI(C, 28)),
    ("stoch_k_14", SLOW_K),
    ("stoch_gap_14", SLOW_K - SLOW_D),
    ("williams_r_28", talib.WILLR(H, L, C, 28)),
    ("cci_20", talib.CCI(H, L, C, 20)),
    ("ultimate_oscillator", talib.ULTOSC(H, L, C)),
    ("macd_12_26", talib.MACD(C, 12, 26, 9)[0] / C),
    ("macd_histogram_12_26_9", talib.MACD(C, 12, 26, 9)[2] / C),
    ("trix_15", talib.TRIX(C, 15) / 100),
    ("ema_gap_20", C / talib.EMA(C, 20) - 1),
    ("adx_14", talib.ADX(H, L, C, 14)),
    ("di_balance_14", (PLUS - MINUS) / (PLUS + MINUS)),
    ("aroon_25", talib.AROONOSC(H, L, 25)),
    ("slope_60", talib.LINEARREG_SLOPE(np.log(C), 60)),
    ("trend_fit_60", talib.CORREL(np.arange(1200.0), np.log(C), 60)),
    ("bollinger_position_20", (C - BANDS[2]) / (BANDS[0] - BANDS[2])),
    ("bollinger_width_20", (BANDS[0] - BANDS[2]) / BANDS[1]),
    ("mfi_14", talib.MFI(H, L, C, V, 14)),
    ("atr_14", talib.NATR(H, L, C, 14) / 100),
    ("body_share", talib.BOP(OPEN, H, L, C)),
    ("ema_cross_10_50", talib.EMA(C, 10) / talib.EMA(C, 50) - 1),
    ("regression_gap_20", C / talib.LINEARREG(C, 20) - 1),
    ("keltner_gap_20", (C - talib.EMA(C, 20)) / talib.ATR(H, L, C, 20)),
    ("squeeze_20", 2 * talib.STDDEV(C, 20) / (1.5 * talib.ATR(H, L, C, 20))),
    ("choppiness_14", 100 * np.log10(14 * talib.SMA(TRUE_RANGE, 14) / (talib.MAX(H, 14) - talib.MIN(L, 14)))
     / np.log10(14)),
    ("smoothed_volatility_33", np.sqrt(pd.Series(np.log(C)).diff().pow(2).ewm(span=33).mean().to_numpy())),
])
def test_an_indicator_equals_talib(name, expected):
    settled = np.isfinite(expected) & (np.arange(1200) >= catalog()[name].warmup)
    assert settled.sum() > 800
    typical = np.nanstd(expected)
    np.testing.assert_allclose(TABLE.column(name)[settled], expected[settled], rtol=2e-4, atol=2e-4 * typical)


def rolling(window, function, series=R):
    return series.rolling(window).apply(function, raw=True).to_numpy()


@pytest.mark.parametrize(("name", "expected"), [
    ("return_60", R.rolling(60).sum()),
    ("return_z_60", R / R.rolling(60).std(ddof=0)),
    ("return_t_60", R.rolling(60).mean() / R.rolling(60).std(ddof=0) * np.sqrt(60)),
    ("rising_share_60", (R > 0).where(R.notna()).rolling(60).mean()),
    ("drawdown_240", np.log(pd.Series(C) / pd.Series(C).rolling(240).max())),
    ("autocorrelation_60", R.rolling(60).corr(R.shift())),
    ("close_z_240", (pd.Series(C) - pd.Series(C).rolling(240).mean()) / pd.Series(C).rolling(240).std(ddof=0)),
    ("donchian_position_60", (C - pd.Series(L).rolling(60).min())
     / (pd.Series(H).rolling(60).max() - pd.Series(L).rolling(60).min())),
    ("vwap_gap_60", C / (pd.Series((H + L + C) / 3 * V).rolling(60).sum() / pd.Series(V).rolling(60).sum()) - 1),
    ("volume_z_60", (pd.Series(V) - pd.Series(V).rolling(60).mean()) / pd.Series(V).rolling(60).std(ddof=0)),
    ("volume_trend_15_240", pd.Series(V).rolling(15).mean() / pd.Series(V).rolling(240).mean()),
    ("obv_share_20", (np.sign(R) * V).rolling(20).sum() / pd.Series(V).rolling(20).sum()),
    ("amihud_60", (R.abs() / (C * V)).rolling(60).mean() * 1e6),
    ("realised_288", np.sqrt((R**2).rolling(288).mean())),
    ("bipower_60", np.sqrt(np.pi / 2 * (R.abs() * R.abs().shift()).rolling(60).mean())),
    ("downside_60", np.sqrt((R.clip(upper=0) ** 2).rolling(60).mean())),
    ("largest_move_60", R.abs().rolling(60).max() / np.sqrt((R**2).rolling(60).mean())),
    ("skewness_240", rolling(240, lambda x: ((x - x.mean()) ** 3).mean() / x.std() ** 3)),
    ("tail_weight_240", rolling(240, lambda x: (x**4).mean() / (x**2).mean() ** 2)),
    ("efficiency_60", R.rolling(60).sum().abs() / R.abs().rolling(60).sum()),
    ("variance_ratio_5_60", R.rolling(5).sum().rolling(60).var(ddof=0) / (5 * R.rolling(60).var(ddof=0))),
    ("return_15_scaled_240", R.rolling(15).sum() / np.sqrt(15 * (R**2).rolling(240).mean())),
    ("gap_1", np.log(pd.Series(OPEN) / pd.Series(C).shift())),
    ("rise_240", np.log(pd.Series(C) / pd.Series(C).rolling(240).min())),
    ("sma_gap_240", pd.Series(C) / pd.Series(C).rolling(240).mean() - 1),
    ("breakout_above_20", np.log(C / pd.Series(H).rolling(20).max().shift())),
    ("breakout_below_20", np.log(C / pd.Series(L).rolling(20).min().shift())),
    ("vortex_14", ((pd.Series(H) - pd.Series(L).shift()).abs() - (pd.Series(L) - pd.Series(H).shift()).abs())
     .rolling(14).sum() / pd.Series(TRUE_RANGE).rolling(14).sum()),
    ("volume_ratio_20", pd.Series(V) / pd.Series(V).rolling(20).mean()),
    ("chaikin_flow_20", pd.Series((2 * C - H - L) / (H - L) * V).rolling(20).sum() / pd.Series(V).rolling(20).sum()),
    ("amihud_ratio_15_240", (R.abs() / (C * V)).rolling(15).mean() / (R.abs() / (C * V)).rolling(240).mean()),
    ("realised_ratio_12_288", np.sqrt((R**2).rolling(12).mean() / (R**2).rolling(288).mean())),
    ("semivariance_balance_60", (np.sign(R) * R**2).rolling(60).sum() / (R**2).rolling(60).sum()),
    ("parkinson_12", np.sqrt(pd.Series(np.log(H / L) ** 2).rolling(12).mean() / (4 * np.log(2)))),
    ("range_ratio_20", np.log(H / L) / pd.Series(np.log(H / L)).rolling(20).mean()),
    ("mean_body_10", pd.Series(C - OPEN).rolling(10).sum() / pd.Series(H - L).rolling(10).sum()),
    ("volatility_rank_480", np.sqrt((R**2).rolling(60).mean()).rolling(480).rank(pct=True) - 0.5 / 480),
])
def test_a_rolling_feature_equals_pandas(name, expected):
    values, expected = TABLE.column(name), np.asarray(expected)
    assert np.isfinite(values).sum() == np.isfinite(expected).sum() > 600
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4 * np.nanstd(expected))


def test_yang_zhang_equals_its_formula_on_one_window():
    part = slice(1200 - 60, 1200)
    gap = np.log(OPEN[1:] / C[:-1])[-60:]
    body, up, down = (np.log(x[part] / OPEN[part]) for x in (C, H, L))
    satchell = np.mean(up * (up - body) + down * (down - body))
    k = 0.34 / (1.34 + 61 / 59)
    expected = np.sqrt(gap.var(ddof=1) + k * body.var(ddof=1) + (1 - k) * satchell)
    assert TABLE.column("yang_zhang_60")[-1] == pytest.approx(expected, rel=1e-5)


def simulated(count: int, steps: int, seed: int, *, spread: float = 0.0, sigma: float = 0.02) -> Bars:
    """Bars of a driftless walk; with a spread, each step trades at bid or ask at random."""
    random = np.random.default_rng(seed)
    path = np.cumsum(random.normal(0.0, sigma / np.sqrt(steps), count * steps)).reshape(count, steps)
    start = np.concatenate([[0.0], path[:-1, -1]])
    traded = np.exp(np.column_stack([start, path]) + random.choice([-spread / 2, spread / 2], (count, steps + 1)))
    return Bars("test", "X", "1m", START_MS + 60_000 * np.arange(count), traded[:, 0], traded.max(axis=1),
                traded.min(axis=1), traded[:, -1], np.ones(count))


def test_range_estimators_have_their_published_efficiency_and_bias():
    """Variance of close-to-close variance over that of the estimator, days of 1440 steps."""
    bars = simulated(4000, 1440, seed=5)
    series = Series(bars)
    variance = 0.02**2
    naive = np.square(np.log(bars.close / bars.open))
    for estimator, efficiency in ((parkinson, 5.0), (garman_klass, 7.8), (rogers_satchell, 6.2)):
        estimate = np.square(estimator(series, 1))
        assert naive.var() / estimate.var() == pytest.approx(efficiency, rel=0.15), estimator.__name__
        assert -0.07 < estimate.mean() / variance - 1.0 < -0.02, estimator.__name__
    weekly = np.square(yang_zhang(series, 7))[7:]
    classical = sliding_window_view(np.diff(np.log(bars.close)), 7).var(axis=1, ddof=1)
    assert classical.var() / weekly.var() == pytest.approx(7.9, rel=0.15)
    assert -0.07 < weekly.mean() / variance - 1.0 < -0.02


def test_spread_estimators_find_a_known_spread():
    spread = 0.004
    table = compute(simulated(6000, 30, seed=6, spread=spread, sigma=0.003))
    assert np.nanmean(table.column("roll_spread_60")) == pytest.approx(spread, rel=0.1)
    assert np.nanmean(table.column("abdi_ranaldo_60")) == pytest.approx(spread, rel=0.1)
    assert np.nanmean(table.column("corwin_schultz_60")) == pytest.approx(spread, rel=0.25)
    calm = compute(simulated(6000, 390, seed=6, sigma=0.003), ["corwin_schultz_60", "roll_spread_60"])
    assert np.nanmean(calm.column("corwin_schultz_60")) < spread / 3


def test_money_flow_does_not_depend_on_the_unit_of_volume():
    small = compute(replace(BARS, volume=V * 2.0**-40), ["mfi_14"]).column("mfi_14")
    np.testing.assert_array_equal(small, TABLE.column("mfi_14"))


def test_a_coin_of_tiny_price_has_the_features_of_a_dear_one():
    """TA-Lib takes sums below 1e-14 for zero."""
    tiny = replace(BARS, **{field: getattr(BARS, field) * 2.0**-50 for field in ("open", "high", "low", "close")})
    small = compute(tiny)
    for name in small.names:
        if catalog()[name].unit != "per million quote":
            np.testing.assert_array_equal(small.column(name), TABLE.column(name), err_msg=name)


def test_streak_counts_closes_in_one_direction_up_to_its_cap():
    closes = [100.0] * 9 + [100.0, 101, 102, 103, 103, 102, 101] + [101.0 + i for i in range(1, 13)]
    streak = compute(bars_of(closes), ["streak"]).column("streak")[10:]
    assert streak.tolist() == [1, 2, 3, 0, -1, -2, *range(1, 11), 10, 10]


def test_jump_share_sees_one_jump_and_no_calm():
    steps = np.where(np.arange(130) % 2 == 0, 1e-3, -1e-3)
    calm = compute(bars_of(list(100 * np.exp(np.cumsum(steps)))), ["jump_share_60"]).column("jump_share_60")
    steps[100] = 0.05
    jump = compute(bars_of(list(100 * np.exp(np.cumsum(steps)))), ["jump_share_60"]).column("jump_share_60")
    assert calm[99] == 0.0
    assert jump[105] > 0.9


def test_bulk_classification_gives_the_normal_share():
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, 200)))
    volume = np.zeros(200)
    volume[150] = 5.0
    z = np.log(close[150] / close[149]) / np.diff(np.log(close))[90:150].std()
    share = compute(bars_of(list(close), list(volume)), ["bulk_imbalance_15"]).column("bulk_imbalance_15")
    assert share[155] == pytest.approx(2 * NormalDist().cdf(z) - 1, rel=1e-5)
    assert np.isnan(share[149])


def test_regime_codes_follow_adx_direction_and_volatility():
    steps = np.concatenate([np.random.default_rng(2).normal(0, 1e-4, 700), np.full(100, 2e-3)])
    table = compute(bars_of(list(100 * np.exp(np.cumsum(steps)))),
                    ["trend_strength_14", "trend_state_14", "volatility_tercile_480", "market_state"])
    assert [table.column(name)[-1] for name in table.names] == [2, 1, 2, 8]


def test_regime_thresholds_are_wilders():
    strength, direction = TABLE.column("adx_14"), np.sign(TABLE.column("di_balance_14"))
    settled = slice(catalog()["trend_state_14"].warmup, None)
    assert {0.0, 1.0, 2.0} == set(TABLE.column("trend_strength_14")[settled])
    np.testing.assert_array_equal(TABLE.column("trend_strength_14")[settled],
                                  (1.0 * (strength >= 20) + (strength >= 25))[settled])
    np.testing.assert_array_equal(TABLE.column("trend_state_14")[settled],
                                  np.where(strength >= 25, direction, 0.0)[settled])


def test_bar_shapes_of_hand_drawn_bars():
    drawn = [(10, 14, 8, 12), (11, 13, 9, 10), (9, 15, 7, 15), (15, 15, 15, 15), (16, 20, 16, 18)]
    opened, high, low, close = np.asarray(drawn, dtype=np.float64).T
    bars = Bars("test", "X", "1m", START_MS + 60_000 * np.arange(5), opened, high, low, close, np.ones(5))
    table = compute(bars, ["body_share", "upper_shadow", "lower_shadow", "inside_outside", "overlap_1"])
    expected = {
        "body_share": [2 / 6, -1 / 4, 6 / 8, np.nan, 2 / 4],
        "upper_shadow": [2 / 6, 2 / 4, 0, np.nan, 2 / 4],
        "lower_shadow": [2 / 6, 1 / 4, 2 / 8, np.nan, 0],
        "inside_outside": [np.nan, -1, 1, -1, 0],
        "overlap_1": [np.nan, 4 / 6, 4 / 8, 0, 0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table.column(name), values, rtol=1e-6, err_msg=name)


def test_toxicity_is_the_mean_absolute_bought_share():
    z = (R / R.rolling(60).std(ddof=0)).to_numpy()
    share = np.array([abs(2 * NormalDist().cdf(x) - 1) if np.isfinite(x) else np.nan for x in z])
    expected = pd.Series(share * V).rolling(60).sum() / pd.Series(V).rolling(60).sum()
    np.testing.assert_allclose(TABLE.column("flow_toxicity_60"), expected, rtol=1e-5)


def test_a_frozen_market_is_undefined_not_oversold():
    closes = list(100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 1e-3, 600)))) + [99.0] * 80
    table = compute(bars_of(closes, [1.0] * 600 + [0.0] * 80))
    undefined = {name for name in table.names if np.isnan(table.column(name)[-1])}
    assert {"rsi_14", "adx_14", "stoch_k_14", "cci_20", "williams_r_28", "bollinger_position_20", "return_z_60",
            "mfi_14", "volume_ratio_20", "amihud_60", "efficiency_60", "choppiness_14"} <= undefined
    assert table.column("realised_60")[-1] == 0.0
    assert table.column("zero_volume_share_60")[-1] == 1.0


def test_rsi_equals_the_worked_example_of_chartschool():
    """StockCharts' published table of 33 closes (QQQQ, December 2009 on), RSI(14) from the 15th close on."""
    closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
        46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521,
        45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
    ]
    published = [
        70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46,
        41.87, 45.46, 37.30, 33.08, 37.77,
    ]
    unmasked = catalog()["rsi_14"].function(Series(bars_of(closes)))
    np.testing.assert_allclose(unmasked[14:], published, atol=0.006)
