"""Measured costs as tables for pages and the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from daybook.execution.metrics import FEWEST, POOL, ExecutionMetrics, MarketMetrics
from daybook.execution.states import ANY, SESSIONS, VOLATILITIES

_TAIL = 0.999


def market_table(metrics: ExecutionMetrics, *, pools: bool = False) -> pd.DataFrame:
    """One row a market, over all its sessions; figures that were not measured are None."""
    rows = []
    for market in _markets(metrics, pools):
        cell = market.cell(ANY, ANY)
        spread, slippage, latency = cell.spread_bps, cell.slippage_touch_bps, cell.latency_ms
        rows.append({
            "market": market.name, "method": market.method, "observations": market.observations,
            "spread_mean": spread and spread.mean, "spread_p50": spread and spread.p50,
            "spread_p90": spread and spread.p90, "spread_p999": spread and float(spread.quantile(_TAIL)),
            "slippage_mean": slippage and slippage.mean, "slippage_p90": slippage and slippage.p90,
            "slippage_from": market.slippage_source, "latency_p50": latency and latency.p50,
            "latency_p90": latency and latency.p90, "latency_from": market.latency_source, "orders": cell.orders,
            "rejects": cell.rejects, "crossed": market.faults.get("crossed"), "clock_skew_ms": market.clock_skew_ms,
        })
    return pd.DataFrame(rows)


def session_table(metrics: ExecutionMetrics) -> pd.DataFrame:
    """One row a market, session and volatility that was observed, with the cell that answers for its spread."""
    rows = []
    for market in _markets(metrics, pools=False):
        for session in SESSIONS:
            for volatility in (ANY, *VOLATILITIES):
                own = next((c for c in market.cells if (c.session, c.volatility) == (session, volatility)), None)
                if own is None or own.spread_bps is None:
                    continue
                _, answered = market.figure("spread_bps", session, volatility)
                spread = own.spread_bps
                rows.append({
                    "market": market.name, "session": session, "volatility": volatility, "n": spread.n,
                    "mean": spread.mean, "sd": spread.sd, "p50": spread.p50, "p90": spread.p90,
                    "p999": float(spread.quantile(_TAIL)),
                    "answered_by": answered if spread.n < FEWEST else "itself",
                })
    return pd.DataFrame(rows, columns=["market", "session", "volatility", "n", "mean", "sd", "p50", "p90", "p999",
                                       "answered_by"])


def hour_table(metrics: ExecutionMetrics) -> pd.DataFrame:
    """One row a market and hour of the UTC day that was recorded."""
    rows: list[dict[str, Any]] = [
        {"market": market.name, "hour": hour.hour, "n": hour.n, "mean": hour.mean, "p50": hour.p50, "p90": hour.p90}
        for market in _markets(metrics, pools=False) for hour in market.hours
    ]
    return pd.DataFrame(rows, columns=["market", "hour", "n", "mean", "p50", "p90"])


def note_table(metrics: ExecutionMetrics) -> pd.DataFrame:
    """One row for each thing to know of a market before its figures are believed."""
    rows = [{"market": market.name, "note": note} for market in _markets(metrics, pools=False) for note in market.notes]
    return pd.DataFrame(rows, columns=["market", "note"])


def _markets(metrics: ExecutionMetrics, pools: bool) -> Iterable[MarketMetrics]:
    return (market for market in metrics.markets if pools or market.symbol != POOL)
