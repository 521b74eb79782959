"""Drawn costs: every bar's orders pay a quantile of their own, the same wherever and whenever they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from execution_tapes import bars_of
from scipy import stats
from test_execution_measured import SLIPPING, WEEK, slipping

from daybook.backtest import replay, replay_bits, simulate_bits, sweep
from daybook.core.time import Window
from daybook.execution import Costs, DrawnCosts, MeasuredCosts
from daybook.market.bars import Bars
from daybook.strategy import Stops, parse_spec

BARS = bars_of(6000)
DRAWN = DrawnCosts(metrics=SLIPPING.metrics, venue="binance_usdm", seed=11)
SPEC = {"name": "t", "long_entry": "close > sma(close, 20)", "short_entry": "close < sma(close, 20)",
        "timeframes": ["1m"], "trailing_stop": 0.004}


def test_draws_follow_the_measured_distribution() -> None:
    """The fills slipped evenly between 0 and 3 bps."""
    slipped = DRAWN.slippage(BARS) * 1e4
    assert stats.kstest(slipped, stats.uniform(0, 3).cdf).pvalue > 0.01
    assert abs(np.corrcoef(slipped[1:], slipped[:-1])[0, 1]) < 0.05
    np.testing.assert_allclose(DRAWN.half_spread(BARS), 2e-4, rtol=1e-6)
    np.testing.assert_array_equal(DRAWN.side_cost(BARS), DRAWN.half_spread(BARS) + DRAWN.slippage(BARS))
    assert slipped.mean() == pytest.approx(SLIPPING.slippage(BARS).mean() * 1e4, rel=0.05)


def test_a_bar_draws_the_same_in_any_part_of_the_bars() -> None:
    whole = DRAWN.uniforms(BARS)
    for start, stop in ((0, 1), (17, 4000), (5999, 6000)):
        np.testing.assert_array_equal(DRAWN.uniforms(BARS.rows(start, stop)), whole[start:stop])
    holed = np.delete(np.arange(6000), [3, 4, 5, 999])
    part = Bars(BARS.venue, BARS.symbol, "1m", *(getattr(BARS, name)[holed] for name in (
        "open_time", "open", "high", "low", "close", "volume")))
    np.testing.assert_array_equal(DRAWN.uniforms(part), whole[holed])
    assert DRAWN.uniforms(BARS.rows(0, 0)).shape == (0, 2)


def test_costs_of_a_bar_never_change_when_later_bars_are_appended() -> None:
    whole = DRAWN.side_cost(BARS)
    for stop in (1, 800, 5999):
        np.testing.assert_array_equal(DRAWN.side_cost(BARS.rows(0, stop)), whole[:stop])


def test_seed_stream_market_timeframe_and_metrics_draw_anew() -> None:
    others = [replace(DRAWN, seed=12), replace(DRAWN, stream="other"), replace(DRAWN, metrics=WEEK)]
    draws = [DRAWN.uniforms(BARS), *(other.uniforms(BARS) for other in others),
             DRAWN.uniforms(bars_of(6000, symbol="ETHUSDT"))]
    for at, one in enumerate(draws):
        for other in draws[at + 1:]:
            assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.05
    np.testing.assert_array_equal(replace(DRAWN, fee_bps=1.0).uniforms(BARS), draws[0])


def test_the_same_seed_gives_the_same_fills_whatever_was_priced_before() -> None:
    bits = np.random.default_rng(5).choice([0] * 30 + [1, 2, 4, 8], 6000).astype(np.uint8)
    window = Window(int(BARS.open_time[1000]), int(BARS.open_time[5000]))
    stops, fresh = Stops(0.003, 0.004, 50, 0.002), replace(DRAWN)
    for earlier in (BARS.rows(2000, 6000), bars_of(300, symbol="ETHUSDT")):
        simulate_bits(np.zeros(len(earlier), np.uint8), earlier, stops, fresh)
    one, other = (replay_bits(bits, BARS, stops, costs, window).trades for costs in (DRAWN, fresh))
    assert len(one) > 20
    pd.testing.assert_frame_equal(one, other)


def test_another_process_draws_the_same(tmp_path: Path) -> None:
    document = tmp_path / "metrics.json"
    document.write_text(SLIPPING.document.model_dump_json())
    script = (
        "import sys\nfrom execution_tapes import bars_of\nfrom daybook.execution import DrawnCosts, ExecutionMetrics\n"
        "metrics = ExecutionMetrics.model_validate_json(open(sys.argv[1]).read())\n"
        "costs = DrawnCosts(metrics=metrics, venue='binance_usdm', seed=11)\n"
        "print(costs.side_cost(bars_of(6000).rows(70, 500))[70:].tobytes().hex())\n")
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run([sys.executable, "-c", script, str(document)], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": paths})
    assert done.stdout.strip() == DRAWN.side_cost(BARS.rows(70, 500))[70:].tobytes().hex()


def test_a_sweep_and_a_replay_pay_the_same_draws() -> None:
    strategy = parse_spec(SPEC)
    table = sweep(strategy, BARS, None, DRAWN)
    done = replay(strategy, BARS, None, DRAWN)
    assert table["costs_paid"][0] == done.metrics.costs_paid
    trades = done.trades
    at = np.searchsorted(BARS.open_time, trades["entry_time"])
    notional = trades["quantity"] * trades["entry_price"]
    fill = trades["entry_price"] / BARS.open[at] - 1
    np.testing.assert_allclose(np.abs(fill), DRAWN.side_cost(BARS)[at], rtol=1e-6)
    assert (trades["slippage"] / notional).std() > 5e-5, "each order pays its own"
    np.testing.assert_allclose(trades[["spread", "slippage", "fee"]].sum(axis=1), trades["cost"], rtol=1e-9)


def test_stress_levels_bracket_what_is_drawn() -> None:
    """The same trades under p50, drawn and p90 costs: more is paid at each step, and less is earned."""
    slow = {"long_entry": "close > sma(close, 400)", "short_entry": "close < sma(close, 400)", "trailing_stop": None}
    strategy = parse_spec({**SPEC, **slow})
    models: list[Costs] = [slipping(level="p50", fee_bps=5.0), DRAWN, slipping(level="p90", fee_bps=5.0)]
    rows = [sweep(strategy, BARS, None, costs).iloc[0] for costs in models]
    assert len({row["trades"] for row in rows}) == 1
    for cheap, dear in pairwise(rows[:1] + rows[2:]):
        assert cheap["costs_paid"] < dear["costs_paid"]
        assert cheap["total_return"] > dear["total_return"]
    assert rows[1]["costs_paid"] == pytest.approx(rows[0]["costs_paid"], rel=0.05), "median and mean of an even spread"
    assert rows[1]["costs_paid"] < rows[2]["costs_paid"]


def test_a_late_decision_pays_the_worse_of_its_draw_and_the_p90() -> None:
    late = replace(DRAWN, decision_ms=300.0, latency_budget_ms=250.0)
    own, slow = DRAWN.slippage(BARS), late.slippage(BARS)
    assert (slow == own).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_allclose(slow[slow != own], 2.7e-4, rtol=0.05)
    assert (slow >= own).all()


def test_scaled_costs_scale_the_same_draws_and_say_so() -> None:
    np.testing.assert_allclose(DRAWN.scaled(2).side_cost(BARS), 2 * DRAWN.side_cost(BARS))
    assert isinstance(DRAWN.scaled(2), DrawnCosts)
    assert DRAWN.as_dict() == {**replace(DRAWN).as_dict()}
    assert DRAWN.as_dict()["seed"] == 11
    assert DRAWN.as_dict() != MeasuredCosts(metrics=SLIPPING.metrics, venue="binance_usdm").as_dict()


def test_wide_moments_are_drawn_where_they_are() -> None:
    """4 bps in the week, 12 bps at the weekend."""
    week = DrawnCosts(metrics=WEEK, venue="binance_usdm", seed=1)
    bars = bars_of(7 * 1440)
    weekend = np.arange(len(bars)) // 1440 >= 5
    np.testing.assert_allclose(week.half_spread(bars)[weekend], 6e-4, rtol=1e-6)
    np.testing.assert_allclose(week.half_spread(bars)[~weekend], 2e-4, rtol=1e-6)
    assert (week.slippage(bars) == 0).all(), "never measured"
