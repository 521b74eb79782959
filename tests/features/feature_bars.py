"""Small tables of bars for the tests of this folder."""

from __future__ import annotations

import numpy as np

from daybook.core.time import timeframe_ms
from daybook.market.bars import Bars

START_MS = 1_672_531_200_000
"""2023-01-01 00:00 UTC, a Sunday."""


def random_bars(count: int, seed: int = 0, *, timeframe: str = "1m", start_ms: int = START_MS) -> Bars:
    """Bars of a driftless market without a flat or tradeless bar."""
    random = np.random.default_rng(seed)
    steps = random.normal(0.0, 5e-4, (count, 8))
    path = 30_000.0 * np.exp(np.cumsum(steps.ravel()).reshape(count, 8))
    open_time = start_ms + np.arange(count) * timeframe_ms(timeframe)
    return Bars("test", "BTCUSDT", timeframe, open_time, path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1],
                random.lognormal(2.0, 0.8, count))


def bars_of(close: list[float], volume: list[float] | None = None) -> Bars:
    """Bars without range at these closes."""
    prices = np.asarray(close, dtype=np.float64)
    traded = np.ones(prices.size) if volume is None else np.asarray(volume, dtype=np.float64)
    open_time = START_MS + np.arange(prices.size) * 60_000
    return Bars("test", "BTCUSDT", "1m", open_time, prices, prices, prices, prices, traded)


def at(moments: list[int]) -> Bars:
    """Bars that open at these times (ms UTC)."""
    ones = np.ones(len(moments))
    return Bars("test", "BTCUSDT", "1m", np.asarray(moments, dtype=np.int64), ones, ones, ones, ones, ones)
