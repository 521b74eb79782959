"""The result columns of the trial ledger, from what the kernel measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daybook.backtest import Metrics


def trial_figures(metrics: Sequence[Metrics]) -> dict[str, list[Any]]:
    """Outcome, Sharpe ratio (a year) with its moments and sample, return and trades of N simulations: name -> N values.

    A simulation without a Sharpe ratio is undefined; returns are counted by bar, as the ratio is.
    """
    return {
        "n_bars": [one.n_bars for one in metrics],
        "outcome": ["undefined" if one.sharpe is None else "ok" for one in metrics],
        "sharpe": [one.sharpe for one in metrics],
        "skew": [one.skew for one in metrics],
        "kurtosis": [one.kurtosis for one in metrics],
        "total_return": [one.total_return for one in metrics],
        "trades": [one.trades for one in metrics],
        "n_returns": [one.n_bars for one in metrics],
    }
