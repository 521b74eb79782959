"""Every figure of a simulation against pandas, numpy and scipy, from what the replay tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_tapes import walk_bars
from scipy import stats

from daybook.backtest import METRICS, UNITS, Conditions, Margin, Simulation, Sizing, replay_bits
from daybook.backtest.metrics import SAMPLES
from daybook.core.time import TIMEFRAMES, bars_per_year
from daybook.execution import Costs
from daybook.strategy import Stops

RULES: list[dict[str, Any]] = [
    {"stops": Stops(0.004, 0.006, 50)},
    {"stops": Stops(0.01, 0.0, 0, 0.005, 0.002), "conditions": Conditions(1, margin=Margin(20.0)),
     "sizing": Sizing(5000.0, risk=0.02, leverage_cap=3.0)},
    {"stops": Stops(), "sizing": Sizing(100.0, 0.8)},
    {"stops": Stops(trailing_stop=0.01), "sizing": Sizing(compounding=True, notional=2.0)},
]
YEAR_MINUTES = 365 * 24 * 60


def simulated(rules: dict[str, Any], timeframe: str, seed: int) -> Simulation:
    bars = walk_bars(900, seed, timeframe=timeframe)
    bits = np.random.default_rng(seed).choice([0] * 20 + [1, 2, 4, 8], 900).astype(np.uint8)
    return replay_bits(bits, bars, costs=Costs(1.0, 0.5), **rules)


def by_pandas(done: Simulation, minutes: int) -> dict[str, float]:
    """The figures of docs/BACKTEST_GUIDE.md, from paths and trades as a person would compute them."""
    equity = pd.Series(done.equity)
    returns = pd.concat([pd.Series([done.sizing.capital]), equity]).pct_change().iloc[1:]
    trades, capital, bar_ms = done.trades, done.sizing.capital, minutes * 60_000
    year = np.sqrt(YEAR_MINUTES / minutes)
    held = (trades["exit_time"] - trades["entry_time"]) / bar_ms
    gains, losses = trades["pnl"].clip(lower=0).sum(), -trades["pnl"].clip(upper=0).sum()
    return {
        "total_return": equity.iloc[-1] / capital - 1,
        "sharpe": returns.mean() / returns.std() * year,
        "sortino": returns.mean() / np.sqrt((returns.clip(upper=0) ** 2).mean()) * year,
        "max_drawdown": (1 - equity / equity.cummax().clip(lower=capital)).max(),
        "win_rate": (trades["pnl"] > 0).mean(),
        "profit_factor": gains / losses,
        "trades": len(trades),
        "exposure": held.sum() / len(equity),
        "turnover": (trades["quantity"] * (trades["entry_price"] + trades["exit_price"])).sum() / capital,
        "skew": stats.skew(returns),
        "kurtosis": stats.kurtosis(returns, fisher=False),
        "mean_return": returns.mean(),
        "std_return": returns.std(ddof=1),
        "costs_paid": trades["cost"].sum() / capital,
        "ruined": float((equity <= 0).any()),
    }


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_is_what_pandas_and_scipy_make_of_the_paths(rules: dict[str, Any], timeframe: str,
                                                                seed: int) -> None:
    done = simulated(rules, timeframe, seed)
    expected = by_pandas(done, int(timeframe[:-1]))
    assert set(expected) == set(METRICS)
    assert done.metrics.trades > 10
    for name, value in expected.items():
        assert getattr(done.metrics, name) == pytest.approx(value, rel=1e-8, abs=1e-12), name


def test_an_exposed_account_that_is_ruined_is_said_to_be() -> None:
    done = simulated({"stops": Stops(), "sizing": Sizing(notional=40.0)}, "1m", 3)
    assert done.metrics.ruined
    assert by_pandas(done, 1)["ruined"] == 1.0
    assert done.metrics.max_drawdown == pytest.approx(by_pandas(done, 1)["max_drawdown"])


def test_every_metric_says_its_unit_and_what_it_is_counted_over() -> None:
    metrics = simulated(RULES[0], "5m", 1).metrics
    assert set(UNITS) == set(SAMPLES) == set(METRICS)
    assert metrics.sample_size("sharpe") == metrics.n_bars == 900
    assert metrics.sample_size("win_rate") == metrics.trades
    with pytest.raises(KeyError):
        metrics.sample_size("alpha")


def test_the_year_of_every_timeframe_has_365_days() -> None:
    assert [bars_per_year(timeframe) for timeframe in TIMEFRAMES] == [525_600, 105_120, 8_760]
