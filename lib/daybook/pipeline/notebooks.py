"""Which research parameters each page takes: the tagged `parameters` cell of the notebook names them."""

from __future__ import annotations

from typing import Any

from daybook.core.settings import Settings

STEP_PARAMETERS: dict[str, tuple[str, ...]] = {
    "00_score": ("fee_bps", "spread_bps", "latency_bars", "history_days", "window_days", "min_trades"),
    "10_design": (
        "fee_bps", "spread_bps", "latency_bars", "timeframes", "designs", "population", "generations", "min_trades",
    ),
    "20_backtest": (
        "fee_bps", "spread_bps", "latency_bars", "timeframes", "window_days", "tuning_draws", "min_trades",
    ),
    "30_train": (
        "fee_bps", "spread_bps", "latency_bars", "history_days", "model_timeframe", "horizon_bars", "folds",
    ),
    "40_rank_report": ("replace_margin", "min_trades"),
}
"""A test holds each notebook's cell, with the defaults of the settings, against this table."""


def step_parameters(step: str, settings: Settings) -> dict[str, Any]:
    """The values papermill injects into a page."""
    values = settings.masked()
    return {name: values[name] for name in STEP_PARAMETERS[step]}
