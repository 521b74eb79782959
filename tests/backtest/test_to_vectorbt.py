"""A simulation as a vectorbt portfolio: the analyst's figures are those of the simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backtest_tapes import LE, LX, RSI_SPEC, SE, bar_window, bits_of, play, walk_bars

from daybook.backtest import Simulation, Sizing, replay, replay_bits, to_vectorbt
from daybook.core.errors import UsageError
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops, parse_spec

COSTS = Costs(fee_bps=7.0, spread_bps=6.0)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def busy(seed: int, stops: Stops, sizing: Sizing) -> tuple[Simulation, Bars]:
    """A simulation with reversals, stops inside entry bars and a position at the end."""
    bars = walk_bars(900, seed=seed, timeframe="5m")
    bits = np.random.default_rng(seed).choice([0] * 9 + [LE, LX, SE, 8, 9, 6], 900).astype(np.uint8)
    return replay_bits(bits, bars, stops, COSTS, bar_window(bars, 20, 880), sizing), bars


def assert_same(done: Simulation, other: Any) -> None:
    trades = other.trades.records_readable
    assert len(trades) == done.metrics.trades
    np.testing.assert_allclose(trades["PnL"], done.trades["pnl"], **CLOSE)
    np.testing.assert_allclose(trades["Avg Entry Price"], done.trades["entry_price"], rtol=1e-12)
    np.testing.assert_allclose(trades["Avg Exit Price"], done.trades["exit_price"], rtol=1e-12)
    np.testing.assert_allclose(trades["Size"], done.trades["quantity"], rtol=1e-12)
    np.testing.assert_allclose(trades["Entry Fees"] + trades["Exit Fees"], done.trades["fee"], **CLOSE)
    assert trades["Direction"].str.lower().tolist() == done.trades["side"].tolist()
    entries = trades["Entry Timestamp"].astype("int64") // {"ns": 10**6, "us": 10**3, "ms": 1}[
        trades["Entry Timestamp"].dt.unit]
    assert entries.tolist() == done.trades["entry_time"].tolist()
    np.testing.assert_allclose(other.value().to_numpy(), done.equity, rtol=1e-9)
    before = np.concatenate(([done.sizing.capital], done.equity[:-1]))
    np.testing.assert_allclose(other.returns().to_numpy(), done.equity / before - 1.0, atol=1e-9)
    np.testing.assert_allclose(other.assets().to_numpy(), done.position, atol=1e-9)
    assert other.final_value() == pytest.approx(done.equity[-1], rel=1e-9)
    assert other.total_return() == pytest.approx(done.metrics.total_return, rel=1e-9)
    assert other.sharpe_ratio() == pytest.approx(done.metrics.sharpe, rel=1e-9)
    assert -other.max_drawdown() == pytest.approx(done.metrics.max_drawdown, rel=1e-9)
    assert other.trades.win_rate() == pytest.approx(done.metrics.win_rate)


@pytest.mark.slow
@pytest.mark.parametrize(("stops", "sizing"), [
    (Stops(), Sizing()), (Stops(0.001, 0.002, 20), Sizing(1000.0)), (Stops(0.004), Sizing(1000.0, quantity=3.0)),
])
def test_trades_returns_and_final_value_are_those_of_the_simulation(stops: Stops, sizing: Sizing) -> None:
    done, bars = busy(4, stops, sizing)
    reasons = set(done.trades["reason"])
    assert "reverse" in reasons
    if stops.take_profit:
        held = done.trades["exit_time"] - done.trades["entry_time"]
        assert (held == 300_000).sum() > 10  # entered and stopped inside one bar
    assert_same(done, to_vectorbt(done, bars))


@pytest.mark.slow
def test_a_strategy_of_the_day_converts_and_draws_plain_figures() -> None:
    bars = walk_bars(2000, seed=2)
    done = replay(parse_spec(RSI_SPEC), bars, None, COSTS)
    portfolio = to_vectorbt(done, bars)
    assert_same(done, portfolio)
    import plotly.graph_objects as go

    figure = portfolio.trades.plot()
    assert isinstance(figure, go.Figure)  # a FigureWidget is none


@pytest.mark.slow
def test_a_whole_number_of_capital_converts_as_any_other() -> None:
    bars = walk_bars(300)
    done = replay(parse_spec(RSI_SPEC), bars, None, COSTS, None, Sizing(capital=10_000, notional=2))
    portfolio = to_vectorbt(done, bars)
    assert portfolio.final_value() == pytest.approx(done.equity[-1], rel=1e-9)
    assert portfolio.total_return() == pytest.approx(done.metrics.total_return, rel=1e-9)


@pytest.mark.slow
def test_a_simulation_without_a_trade_converts() -> None:
    done = play([[100.0] * 4] * 5, [0] * 5)
    bars = walk_bars(5)
    portfolio = to_vectorbt(done, bars)
    assert portfolio.trades.count() == 0
    assert portfolio.final_value() == 1.0


def test_bars_of_another_window_are_refused() -> None:
    bars = walk_bars(50)
    done = replay_bits(bits_of(*[LE] * 50), bars)
    with pytest.raises(UsageError, match="the simulation has 50 bars, BTCUSDT 1m has 40 in its window"):
        to_vectorbt(done, bars.rows(0, 40))
