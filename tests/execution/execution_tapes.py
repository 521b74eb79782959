"""Made-up quotes, bars, fills and metrics of known properties."""

from __future__ import annotations

import numpy as np

from daybook.execution import ExecutionMetrics, Recordings, measure
from daybook.execution.fills import Fills
from daybook.market import Bars, Quotes
from daybook.market.quotes import joined_quotes

MONDAY_MS = 1_704_067_200_000  # 2024-01-01 00:00 UTC
MINUTE = 60_000
DAY_MS = 86_400_000


def quotes_of(spread_bps: np.ndarray, *, every_ms: float = 1000.0, start_ms: float = MONDAY_MS, seed: int = 1,
              venue: str = "binance_usdm", symbol: str = "BTCUSDT", step: float = 1e-5) -> Quotes:
    count = spread_bps.size
    mid = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, step, count)))
    half = mid * spread_bps / 2e4
    size = np.full(count, 2.0)
    times = start_ms + np.arange(count) * every_ms
    return Quotes(venue, symbol, ("made.zip",), times, mid - half, mid + half, size, size)


def bars_of(count: int, *, timeframe_ms: int = MINUTE, timeframe: str = "1m", start_ms: int = MONDAY_MS,
            symbol: str = "BTCUSDT", venue: str = "binance_usdm", seed: int = 2, step: float = 5e-4) -> Bars:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, step, count)))
    opens = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opens, close) * 1.0001, np.minimum(opens, close) * 0.9999
    times = start_ms + np.arange(count, dtype=np.int64) * timeframe_ms
    return Bars(venue, symbol, timeframe, times, opens, high, low, close, np.ones(count))


def fills_of(slippage_bps: np.ndarray, *, rejected: np.ndarray | None = None, start_ms: float = MONDAY_MS,
             latency_ms: float = 40.0, venue: str = "binance_usdm") -> Fills:
    count = slippage_bps.size
    side = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    refused = np.zeros(count, dtype=bool) if rejected is None else rejected
    decided = start_ms + np.arange(count) * 60_000.0
    mid = np.full(count, 100.0)
    touch = mid + side * 0.01
    price = np.where(refused, np.nan, touch + side * slippage_bps * mid / 1e4)
    return Fills(venue, "BTCUSDT", side, decided, decided + 5, decided + 5 + latency_ms, mid, touch, price,
                 refused)


def week_of_metrics(date: str = "2024-01-08", **options: float) -> ExecutionMetrics:
    """A week of a 4 bps market that is 12 bps wide at the weekend, in which half the week is twice as wild."""
    minutes = 7 * 1440
    spread = np.where(np.arange(minutes) // 1440 >= 5, 12.0, 4.0)
    return measure(date, Recordings(quotes=[quotes_of(spread, every_ms=float(MINUTE))]), **options)


def calm_and_wild() -> Quotes:
    """Two days of a quote every 10 seconds: a calm one 2 bps wide, then a wild one 8 bps wide."""
    calm = quotes_of(np.full(8640, 2.0), every_ms=10_000.0, step=1e-6)
    wild = quotes_of(np.full(8640, 8.0), every_ms=10_000.0, step=3e-4, start_ms=MONDAY_MS + DAY_MS)
    return joined_quotes([calm, wild])
