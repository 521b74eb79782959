"""The metrics of a portfolio from its equity path and its trades, by the formulas of docs/BACKTEST_GUIDE.md."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from daybook.backtest.kernel import METRICS, ROUNDING
from daybook.backtest.metrics import Metrics
from daybook.core.arrays import Bytes, Floats
from daybook.core.time import bars_per_year


def portfolio_metrics(
    equity: Floats, held: Bytes, ledger: Mapping[str, Floats], ruined: bool, timeframe: str
) -> Metrics:
    """The figures of (C,) equity from 1 at every tick of the clock, and of the trades made.

    held: (C,) whether any leg was held. ledger: columns of the trades, money in units of the capital. timeframe: the
    finest of the legs, whose bars count the ticks of a year.
    """
    before = np.concatenate(([1.0], equity[:-1]))
    returns = np.where(equity == before, 0.0, equity / before - 1.0)
    pnl, sides = ledger["pnl"], ledger["entry_price"] + ledger["exit_price"]
    peaks = np.maximum.accumulate(np.maximum(equity, 1.0))
    losses = -float(pnl[pnl < -ROUNDING].sum())
    figures = {
        **_moments(returns, math.sqrt(bars_per_year(timeframe))),
        "total_return": float(equity[-1]) - 1.0,
        "max_drawdown": max(float(np.max(1.0 - equity / peaks)), 0.0),
        "win_rate": float(np.mean(pnl > ROUNDING)) if pnl.size else math.nan,
        "profit_factor": float(pnl[pnl > ROUNDING].sum()) / losses if losses > 0.0 else math.nan,
        "trades": float(pnl.size),
        "exposure": float(np.mean(held != 0)),
        "turnover": float((ledger["quantity"] * sides).sum()),
        "costs_paid": float(ledger["cost"].sum()),
        "ruined": float(ruined),
    }
    return Metrics.of_row(np.array([figures[name] for name in METRICS]), equity.size)


def _moments(returns: Floats, annual: float) -> dict[str, float]:
    """What is made of the (C,) returns alone, NaN where undefined."""
    count, mean = returns.size, float(returns.mean())
    centred = returns - mean
    second, third, fourth = (float(np.mean(centred**power)) for power in (2, 3, 4))
    std = math.sqrt(second * count / (count - 1)) if count > 1 else math.nan
    losing = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    varies = std > ROUNDING
    return {
        "mean_return": mean, "std_return": std,
        "sharpe": mean / std * annual if varies else math.nan,
        "sortino": mean / losing * annual if losing > ROUNDING else math.nan,
        "skew": third / second**1.5 if varies else math.nan,
        "kurtosis": fourth / second**2 if varies else math.nan,
    }
