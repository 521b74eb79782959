"""Features: nanoseconds a bar, and the ratio to bare TA-Lib calls for the features that TA-Lib has.

    python bench/features_bench.py [--bars 525600] [--repeats 5]

Both sides run alternately in one process and end in the same (T, F) float32 table. The ratio is the figure to compare
between machines and days; nanoseconds depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import talib

from daybook.features import catalog, compute
from daybook.features.series import Series
from daybook.market.bars import Bars

TALIB_FEATURES = (
    "rsi_14", "rsi_28", "stoch_k_14", "stoch_gap_14", "williams_r_28", "cci_20", "ultimate_oscillator", "macd_12_26",
    "macd_histogram_12_26_9", "trix_15", "ema_gap_10", "ema_gap_20", "ema_gap_50", "ema_cross_10_50",
    "regression_gap_20", "adx_14", "di_balance_14", "aroon_25", "slope_60", "slope_240", "trend_fit_60",
    "trend_fit_240", "bollinger_position_20", "bollinger_width_20", "mfi_14", "atr_14", "body_share",
)


def seeded_bars(count: int) -> Bars:
    random = np.random.default_rng(7)
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


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_ratio(bars: Bars) -> float:
    """Peak of memory allocated while computing the whole catalog, over the size of its result."""
    tracemalloc.start()
    size = compute(bars).values.nbytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=525_600)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    bars = seeded_bars(options.bars)
    compute(bars.rows(0, 2_000))
    bare_talib(bars.rows(0, 2_000))
    rounds = [(seconds(lambda: bare_talib(bars)), seconds(lambda: compute(bars, TALIB_FEATURES)),
               seconds(lambda: compute(bars))) for _ in range(options.repeats)]
    bare, ours, whole = np.median(rounds, axis=0)
    unit = 1e9 / options.bars
    print(f"| {options.bars:,} bars | features | s | ns/bar/feature | x bare TA-Lib |")
    print("| --- | ---: | ---: | ---: | ---: |")
    per_bare = bare / len(TALIB_FEATURES)
    for label, took, count in (("bare TA-Lib", bare, len(TALIB_FEATURES)), ("compute, the same set", ours,
                               len(TALIB_FEATURES)), ("compute, whole catalog", whole, len(catalog()))):
        print(f"| {label} | {count} | {took:.3f} | {took / count * unit:.1f} | {took / count / per_bare:.2f} |")
    print(f"\npeak memory / result, whole catalog: {peak_ratio(bars):.2f}")
    print("\n| feature | ns/bar in the table |\n| --- | ---: |")
    series, out = Series(bars), np.empty(options.bars, dtype=np.float32)
    for name, feature in catalog().items():
        took = seconds(lambda feature=feature: np.copyto(out, feature.values(series), casting="same_kind"))
        print(f"| {name} | {took * unit:.1f} |")


if __name__ == "__main__":
    main()
