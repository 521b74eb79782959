"""What a fill costs: fees, and spreads and slippage as set or as measured; one model for backtest and runtime."""

from daybook.execution.costs import DEFAULT_MARKET, MAX_COST_BPS, CostError, Costs
from daybook.execution.distribution import Distribution, distribution_of
from daybook.execution.drawn import DrawnCosts
from daybook.execution.draws import Execution, Order, execute
from daybook.execution.fills import Fills, read_fills
from daybook.execution.measure import TAKER_LATENCY_MS, Recordings, measure
from daybook.execution.measured import MeasuredCosts
from daybook.execution.metrics import Cell, ExecutionMetrics, MarketMetrics
from daybook.execution.metrics_store import (
    latest_metrics,
    load_metrics,
    metrics_dates,
    metrics_for,
    rollback,
    write_metrics,
)

__all__ = [
    "DEFAULT_MARKET",
    "MAX_COST_BPS",
    "TAKER_LATENCY_MS",
    "Cell",
    "CostError",
    "Costs",
    "Distribution",
    "DrawnCosts",
    "Execution",
    "ExecutionMetrics",
    "Fills",
    "MarketMetrics",
    "MeasuredCosts",
    "Order",
    "Recordings",
    "distribution_of",
    "execute",
    "latest_metrics",
    "load_metrics",
    "measure",
    "metrics_dates",
    "metrics_for",
    "read_fills",
    "rollback",
    "write_metrics",
]
