"""Tiny markets whose answer is known: bars from given returns, and feature tables from given columns."""

from __future__ import annotations

import numpy as np

from daybook.core.seeds import generator
from daybook.core.time import Window
from daybook.features import FeatureTable
from daybook.market import Bars
from daybook.models import Market, SplitPlan, TrainRequest, TreeSettings, plan_folds

STEP_MS = 300_000
START_MS = 1_700_006_400_000
TINY_TREES = TreeSettings(iterations=25, learning_rate=0.1, min_leaf=60, column_share=1.0, l2=1.0)


def tape(opens, highs, lows, closes, *, missing=()):
    """5-minute bars from lists, without the rows in `missing`."""
    keep = np.array([row not in missing for row in range(len(opens))])
    times = START_MS + STEP_MS * np.arange(len(opens), dtype=np.int64)
    columns = [np.array(values, dtype=np.float64)[keep] for values in (opens, highs, lows, closes)]
    return Bars("made", "AAAUSDT", "5m", times[keep], *columns, np.ones(int(keep.sum())))


def bars_of_returns(symbol, returns, wick=2e-4):
    """Bars that open at the last close and reach a wick beyond open and close."""
    closes = 100.0 * np.exp(np.cumsum(returns))
    opens = np.concatenate([[100.0], closes[:-1]])
    highs, lows = np.maximum(opens, closes) * (1 + wick), np.minimum(opens, closes) * (1 - wick)
    times = START_MS + STEP_MS * np.arange(closes.size, dtype=np.int64)
    return Bars("made", symbol, "5m", times, opens, highs, lows, closes, np.ones(closes.size))


def table(bars, **columns):
    """A feature table of these columns."""
    values = np.column_stack([np.asarray(column, dtype=np.float32) for column in columns.values()])
    return FeatureTable(tuple(columns), bars.open_time, values)


def market(symbol, size, seed, *, signal=0.0, log_volatility=0.0):
    """Random bars; `signal` ties the next return to column x, `log_volatility` lets column s rule its size."""
    draw = generator(seed, "market", symbol)
    noise = draw.standard_normal((4, size))
    x, s = np.zeros(size), np.zeros(size)
    for t in range(1, size):
        x[t] = 0.97 * x[t - 1] + np.sqrt(1 - 0.97**2) * noise[0, t]
        s[t] = 0.98 * s[t - 1] + np.sqrt(1 - 0.98**2) * noise[1, t]
    returns = 1.5e-3 * np.exp(log_volatility * np.roll(s, 1)) * (noise[2] + signal * np.roll(x, 1))
    returns[0] = 0.0
    bars = bars_of_returns(symbol, returns)
    smooth = np.convolve(np.log(returns**2 + 1e-9), np.ones(12) / 12)[:size]
    return Market(bars, table(bars, x=x, s=s, recent=smooth, noise=noise[3]))


def request(markets, *, folds=3, seed=1, jobs=1, embargo_ms=12 * STEP_MS, days=2):
    """A request over these markets with tiny trees and a short embargo."""
    end = max(int(each.bars.close_time[-1]) for each in markets)
    start = min(int(each.bars.open_time[0]) for each in markets)
    plan: SplitPlan = plan_folds(Window(start, end), folds=folds, embargo_ms=embargo_ms)
    window = Window(end - days * 86_400_000, end)
    return TrainRequest(markets, window, seed=seed, jobs=jobs, trees=TINY_TREES, plan=plan)
