"""Features: time beside bare TA-Lib, pandas and polars, memory beside the result, and the price of one more day.

    python bench/features_bench.py [--bars 525600] [--coins 3] [--repeats 4] [--each]

All sides of a comparison run alternately in one process, on one thread, and end in the same (T, F) float32 table per
coin; values are compared before anything is timed. Seconds are processor time, the least of the repeats: what the work
costs when nothing disturbs it. A ratio is the figure to keep. Prints Markdown.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import talib

from daybook.core.time import DAY_MS, Window
from daybook.features import FeatureStore, catalog, compute, compute_panel, market_names
from daybook.features.series import Series
from daybook.market.bars import Bars

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")

TALIB_FEATURES = (
    "rsi_14", "rsi_28", "stoch_k_14", "stoch_gap_14", "williams_r_28", "cci_20", "ultimate_oscillator", "macd_12_26",
    "macd_histogram_12_26_9", "trix_15", "ema_gap_10", "ema_gap_20", "ema_gap_50", "ema_cross_10_50",
    "regression_gap_20", "adx_14", "di_balance_14", "aroon_25", "slope_60", "slope_240", "trend_fit_60",
    "trend_fit_240", "bollinger_position_20", "bollinger_width_20", "mfi_14", "atr_14", "body_share",
)


WINDOW_FEATURES = (
    "return_60", "return_z_60", "return_t_60", "drawdown_240", "rise_240", "sma_gap_240", "close_z_240",
    "bollinger_position_20", "bollinger_width_20", "donchian_position_60", "donchian_position_240",
    "breakout_above_20", "vwap_gap_60", "volume_ratio_20", "volume_z_60", "volume_trend_15_240", "obv_share_20",
    "realised_12", "realised_60", "realised_288", "realised_ratio_12_288", "parkinson_60", "range_ratio_20",
    "efficiency_60",
)


def seeded_bars(count: int, seed: int = 7) -> Bars:
    random = np.random.default_rng(seed)
    path = 30_000.0 * np.exp(np.cumsum(random.normal(0.0, 3e-4, count * 4)).reshape(count, 4))
    return Bars("bench", "BTCUSDT", "1m", 1_672_531_200_000 + 60_000 * np.arange(count), path[:, 0].copy(),
                path.max(axis=1), path.min(axis=1), path[:, -1].copy(), random.lognormal(2.0, 0.8, count))


def bare_talib(bars: Bars) -> np.ndarray:
    """The same 27 columns from the fewest TA-Lib calls, in the same order, nothing guarded."""
    o, h, l, c, v = bars.open, bars.high, bars.low, bars.close, bars.volume  # noqa: E741
    out = np.empty((len(TALIB_FEATURES), len(bars)), dtype=np.float32)
    log_close, bar = np.log(c), np.arange(len(bars), dtype=np.float64)
    out[0], out[1] = talib.RSI(c, 14), talib.RSI(c, 28)
    slow_k, slow_d = talib.STOCH(h, l, c, 14, 3, 0, 3, 0)
    out[2], out[3] = slow_k, slow_k - slow_d
    out[4], out[5], out[6] = talib.WILLR(h, l, c, 28), talib.CCI(h, l, c, 20), talib.ULTOSC(h, l, c)
    line, _, histogram = talib.MACD(c, 12, 26, 9)
    out[7], out[8], out[9] = line / c, histogram / c, talib.TRIX(c, 15) / 100.0
    fast, middle, slow = talib.EMA(c, 10), talib.EMA(c, 20), talib.EMA(c, 50)
    out[10], out[11], out[12], out[13] = c / fast - 1.0, c / middle - 1.0, c / slow - 1.0, fast / slow - 1.0
    out[14], out[15] = c / talib.LINEARREG(c, 20) - 1.0, talib.ADX(h, l, c, 14)
    plus, minus = talib.PLUS_DI(h, l, c, 14), talib.MINUS_DI(h, l, c, 14)
    out[16], out[17] = (plus - minus) / (plus + minus), talib.AROONOSC(h, l, 25)
    out[18], out[19] = talib.LINEARREG_SLOPE(log_close, 60), talib.LINEARREG_SLOPE(log_close, 240)
    out[20], out[21] = talib.CORREL(bar, log_close, 60), talib.CORREL(bar, log_close, 240)
    upper, mean, lower = talib.BBANDS(c, 20, 2.0, 2.0)
    out[22], out[23] = (c - lower) / (upper - lower), (upper - lower) / mean
    out[24], out[25], out[26] = talib.MFI(h, l, c, v, 14), talib.NATR(h, l, c, 14) / 100.0, talib.BOP(o, h, l, c)
    return out.T


def by_pandas(bars: Bars) -> np.ndarray:
    """The same 24 columns by pandas, each intermediate made once."""
    high, low, close, volume = (pd.Series(getattr(bars, field)) for field in ("high", "low", "close", "volume"))
    r = np.log(close).diff()
    squared, log_range = r * r, np.log(high / low)
    spread = r.rolling(60).std(ddof=0)
    c20, c240 = close.rolling(20), close.rolling(240)
    m20, s20, m240, v60 = c20.mean(), c20.std(ddof=0), c240.mean(), volume.rolling(60)
    low60, low240 = low.rolling(60).min(), low.rolling(240).min()
    r12, r60, r288 = (np.sqrt(squared.rolling(n).mean()) for n in (12, 60, 288))
    typical = (high + low + close) / 3.0
    columns = (
        r.rolling(60).sum(), r / spread, r.rolling(60).mean() / spread * np.sqrt(60.0), np.log(close / c240.max()),
        np.log(close / c240.min()), close / m240 - 1.0, (close - m240) / c240.std(ddof=0),
        0.5 + 0.25 * (close - m20) / s20, 4.0 * s20 / m20, (close - low60) / (high.rolling(60).max() - low60),
        (close - low240) / (high.rolling(240).max() - low240), np.log(close / high.rolling(20).max().shift()),
        close / ((typical * volume).rolling(60).sum() / v60.sum()) - 1.0, volume / volume.rolling(20).mean(),
        (volume - v60.mean()) / v60.std(ddof=0), volume.rolling(15).mean() / volume.rolling(240).mean(),
        (np.sign(r) * volume).rolling(20).sum() / volume.rolling(20).sum(), r12, r60, r288, r12 / r288,
        np.sqrt((log_range * log_range).rolling(60).mean() / (4.0 * np.log(2.0))),
        log_range / log_range.rolling(20).mean(), r.rolling(60).sum().abs() / r.abs().rolling(60).sum(),
    )
    return filled(columns, len(bars))


def by_polars(bars: Bars) -> np.ndarray:
    """The same 24 columns by polars, as one lazy query, which makes each intermediate once by itself."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is first imported
    import polars as pl

    frame = pl.DataFrame({field: getattr(bars, field) for field in ("high", "low", "close", "volume")})
    high, low, close, volume = (pl.col(field) for field in ("high", "low", "close", "volume"))
    r, log_range = close.log().diff(), (high / low).log()
    spread = r.rolling_std(60, ddof=0)
    m20, s20, m240 = close.rolling_mean(20), close.rolling_std(20, ddof=0), close.rolling_mean(240)
    low60, low240 = low.rolling_min(60), low.rolling_min(240)
    r12, r60, r288 = ((r * r).rolling_mean(n).sqrt() for n in (12, 60, 288))
    typical = (high + low + close) / 3.0
    columns = (
        r.rolling_sum(60), r / spread, r.rolling_mean(60) / spread * np.sqrt(60.0),
        (close / close.rolling_max(240)).log(), (close / close.rolling_min(240)).log(), close / m240 - 1.0,
        (close - m240) / close.rolling_std(240, ddof=0), 0.5 + 0.25 * (close - m20) / s20, 4.0 * s20 / m20,
        (close - low60) / (high.rolling_max(60) - low60), (close - low240) / (high.rolling_max(240) - low240),
        (close / high.rolling_max(20).shift()).log(),
        close / ((typical * volume).rolling_sum(60) / volume.rolling_sum(60)) - 1.0, volume / volume.rolling_mean(20),
        (volume - volume.rolling_mean(60)) / volume.rolling_std(60, ddof=0),
        volume.rolling_mean(15) / volume.rolling_mean(240),
        (r.sign() * volume).rolling_sum(20) / volume.rolling_sum(20), r12, r60, r288, r12 / r288,
        ((log_range * log_range).rolling_mean(60) / (4.0 * np.log(2.0))).sqrt(),
        log_range / log_range.rolling_mean(20), r.rolling_sum(60).abs() / r.abs().rolling_sum(60),
    )
    named = [column.cast(pl.Float32).alias(name) for name, column in zip(WINDOW_FEATURES, columns, strict=True)]
    found = frame.lazy().select(named).collect()
    return filled([found[name].to_numpy() for name in WINDOW_FEATURES], len(bars))


def filled(columns: object, count: int) -> np.ndarray:
    out = np.empty((len(WINDOW_FEATURES), count), dtype=np.float32)
    for row, column in zip(out, columns, strict=True):
        row[:] = column
    return out.T


def require_equal(bars: Bars) -> None:
    """Stop unless every side gives the same values: nothing is timed that does other work."""
    for names, sides in ((TALIB_FEATURES, (bare_talib,)), (WINDOW_FEATURES, (by_pandas, by_polars))):
        table = compute(bars, names)
        for side in sides:
            other = side(bars)
            for place, name in enumerate(names):
                own, theirs = table.column(name)[1_000:], other[1_000:, place]
                np.testing.assert_allclose(own, theirs, rtol=1e-3, atol=1e-3 * np.std(own), err_msg=name)


def seconds(function: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    gc.collect()
    start = clock()
    function()
    return clock() - start


def least(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Least seconds of each side, all of them run in turn."""
    rounds = [[seconds(side) for side in sides.values()] for _ in range(repeats)]
    return dict(zip(sides, np.min(rounds, axis=0).tolist(), strict=True))


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def peak_ratio(work: Callable[[], object], result_bytes: int) -> float:
    """Growth of the process at its peak, whoever allocated, over the size of the result (Linux)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    kept = work()
    peak = resident("VmHWM") - before
    del kept
    return peak / result_bytes


def one_more_day(panel: dict[str, Bars]) -> tuple[float, float]:
    """Seconds to bring a store of 1m features up to a new day, and to do it again when nothing is new."""
    end = int(next(iter(panel.values())).open_time[-1]) + 60_000
    history = {symbol: bars.within(Window(end - 35 * DAY_MS, end)) for symbol, bars in panel.items()}
    window = Window(end - 8 * DAY_MS, end)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        before = {symbol: bars.within(Window(end - 35 * DAY_MS, end - DAY_MS)) for symbol, bars in history.items()}
        store.panel(before, window=Window(end - 9 * DAY_MS, end - DAY_MS))
        return (seconds(lambda: store.panel(history, window=Window(end - DAY_MS, end)), time.perf_counter),
                seconds(lambda: store.panel(history, window=window), time.perf_counter))


def rows(title: str, took: dict[str, float], counts: dict[str, int], values: float, base: str) -> None:
    """A Markdown table: time and the ratio to the base, a feature."""
    print(f"\n| {title} | features | s | ns a value | x {base} |\n| --- | ---: | ---: | ---: | ---: |")
    per = took[base] / counts[base]
    for name, spent in took.items():
        count = counts[name]
        print(f"| {name} | {count} | {spent:.2f} | {spent / count / values * 1e9:.1f} | {spent / count / per:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=525_600)
    parser.add_argument("--coins", type=int, default=3, choices=range(1, len(SYMBOLS) + 1))
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--each", action="store_true", help="nanoseconds of every feature too")
    options = parser.parse_args()
    panel = {symbol: replace(seeded_bars(options.bars, seed), symbol=symbol)
             for seed, symbol in enumerate(SYMBOLS[: options.coins])}
    coins = list(panel.values())
    require_equal(coins[0].rows(0, 20_000))
    compute_panel({symbol: bars.rows(0, 3_000) for symbol, bars in panel.items()})

    def every(work: Callable[[Bars], object]) -> Callable[[], object]:
        return lambda: [work(bars) for bars in coins]

    values = float(options.bars * options.coins)
    whole, hundred = market_names(), market_names()[:100]
    title = f"{options.coins} coins x {options.bars:,} bars"
    took = least({
        "bare TA-Lib": every(bare_talib),
        "compute, the same set": every(lambda bars: compute(bars, TALIB_FEATURES)),
        "compute, 100 features": every(lambda bars: compute(bars, hundred)),
        "compute, all of one market": every(compute),
        "compute_panel, whole catalog": lambda: compute_panel(panel),
    }, options.repeats)
    rows(title, took, dict(zip(took, (27, 27, 100, len(whole), len(catalog())), strict=True)), values, "bare TA-Lib")
    took = least({
        "compute": every(lambda bars: compute(bars, WINDOW_FEATURES)), "polars": every(by_polars),
        "pandas": every(by_pandas),
    }, options.repeats)
    rows(f"{title}, rolling windows", took, dict.fromkeys(took, len(WINDOW_FEATURES)), values, "compute")
    size = 4 * options.bars * (options.coins * len(catalog()))
    print(f"\npeak memory / result, whole catalog of {options.coins} coins: "
          f"{peak_ratio(lambda: compute_panel(panel), size):.2f}")
    fresh, again = one_more_day(panel)
    print(f"one more day of 1m features, {options.coins} coins, computed and stored: {fresh:.2f} s; "
          f"8 days read again: {again:.2f} s")
    if options.each:
        each(coins[0].rows(0, 10_752))


def each(bars: Bars) -> None:
    print("\n| feature | ns a bar, shared intermediates included once |\n| --- | ---: |")
    series, out = Series(bars, (replace(bars, symbol="ETHUSDT"),)), np.empty(len(bars), dtype=np.float32)
    for name, feature in catalog().items():
        took = seconds(lambda feature=feature: np.copyto(out, feature.values(series), casting="same_kind"))
        print(f"| {name} | {took / len(bars) * 1e9:.1f} |")


if __name__ == "__main__":
    main()
