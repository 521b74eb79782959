"""Measured costs in the backtest and drawn for orders: one model, causal, independent of order and process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from execution_tapes import MONDAY_MS, bars_of, calm_and_wild, fills_of, quotes_of, week_of_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from daybook.backtest import simulate_bits
from daybook.core.errors import DataError, UsageError
from daybook.execution import Costs, MeasuredCosts, Order, Recordings, execute, measure
from daybook.execution.draws import order_uniforms
from daybook.market.aggregate import aggregate

WEEK = week_of_metrics()
COSTS = MeasuredCosts(fee_bps=5.0, metrics=WEEK, venue="binance_usdm")
NEXT_MONDAY = MONDAY_MS + 7 * 86_400_000


def slipping(**options: object) -> MeasuredCosts:
    """A 4 bps market whose fills slipped 0 to 3 bps, a tenth of the orders refused."""
    refused = np.arange(4000) % 10 == 0
    slipped = np.random.default_rng(9).permutation(np.linspace(0.0, 3.0, 4000))
    fills = fills_of(slipped, rejected=refused)
    quotes = quotes_of(np.full(20_000, 4.0))
    metrics = measure("2024-02-01", Recordings(quotes=[quotes], fills=[fills]))
    return MeasuredCosts(metrics=metrics, venue="binance_usdm", **options)  # type: ignore[arg-type]


SLIPPING = slipping()


def test_a_bar_pays_the_spread_of_its_session() -> None:
    bars = bars_of(7 * 1440, start_ms=NEXT_MONDAY)
    cost = COSTS.side_cost(bars)
    weekend = np.arange(len(bars)) // 1440 >= 5
    np.testing.assert_allclose(cost[weekend], 12.0 / 2 * 1e-4, rtol=1e-6)
    np.testing.assert_allclose(cost[~weekend], 4.0 / 2 * 1e-4, rtol=1e-6)
    assert (COSTS.fee, COSTS.spread_of("BTCUSDT")) == (0.0005, pytest.approx((4 * 5 + 12 * 2) / 7, rel=1e-3))


@pytest.mark.parametrize("timeframe", ["1m", "5m", "60m"])
def test_costs_of_a_bar_never_change_when_later_bars_are_appended(timeframe: str) -> None:
    bars = aggregate(bars_of(3000), timeframe) if timeframe != "1m" else bars_of(3000)
    whole = COSTS.side_cost(bars)
    assert np.isfinite(whole).all() and whole.shape == (len(bars),)
    for stop in (1, len(bars) // 3, len(bars) - 1):
        np.testing.assert_array_equal(COSTS.side_cost(bars.rows(0, stop)), whole[:stop])


def test_a_wild_market_pays_what_wild_moments_cost() -> None:
    metrics = measure("2024-01-08", Recordings(quotes=[calm_and_wild()]))
    costs = MeasuredCosts(metrics=metrics, venue="binance_usdm")
    settled = slice(70, None)
    quiet, loud = (costs.side_cost(bars_of(1440, step=step))[settled] for step in (1e-6, 2e-3))
    assert quiet.mean() == pytest.approx(1e-4, rel=0.2)
    assert loud.mean() == pytest.approx(4e-4, rel=0.2)


def test_slippage_is_added_to_half_the_spread_and_a_late_decision_pays_its_p90() -> None:
    bars = bars_of(300)
    np.testing.assert_allclose(SLIPPING.slippage(bars), 1.5e-4, rtol=0.05)
    np.testing.assert_allclose(SLIPPING.side_cost(bars), 2e-4 + SLIPPING.slippage(bars))
    late = slipping(decision_ms=251.0, latency_budget_ms=250.0)
    np.testing.assert_allclose(late.slippage(bars), 2.7e-4, rtol=0.05)
    in_time = slipping(decision_ms=250.0, latency_budget_ms=250.0)
    np.testing.assert_array_equal(in_time.side_cost(bars), SLIPPING.side_cost(bars))


def test_levels_and_scaling() -> None:
    bars = bars_of(300)
    dear = slipping(level="p90")
    assert dear.slippage(bars)[0] == pytest.approx(2.7e-4, rel=0.05)
    doubled = SLIPPING.scaled(2)
    np.testing.assert_allclose(doubled.side_cost(bars), 2 * SLIPPING.side_cost(bars))
    assert doubled.fee == 2 * SLIPPING.fee
    assert doubled.as_dict() != SLIPPING.as_dict()
    assert SLIPPING.as_dict()["metrics"] == SLIPPING.document.identity


def test_the_backtester_pays_the_measured_costs() -> None:
    bars = bars_of(2880, start_ms=NEXT_MONDAY)
    bits = np.zeros(len(bars), dtype=np.uint8)
    bits[100], bits[200] = 1, 2
    paid = simulate_bits(bits, bars, None, COSTS)
    constant = simulate_bits(bits, bars, None, Costs(5.0, 4.0))  # a Monday and a Tuesday, when the market is 4 bps
    assert (paid.total_return, paid.costs_paid) == pytest.approx((constant.total_return, constant.costs_paid))
    assert paid.costs_paid == pytest.approx(2 * (5e-4 + 2e-4), rel=0.02)


def test_costs_are_those_of_the_bars_given_however_many_were_priced_before() -> None:
    costs = MeasuredCosts(metrics=WEEK, venue="binance_usdm")
    for start in range(40):  # more than are kept, each gone before the next: ids are used again
        bars = bars_of(30, start_ms=NEXT_MONDAY + start * 6 * 3_600_000)
        np.testing.assert_array_equal(costs.side_cost(bars), replace(costs).side_cost(bars))
    assert len(costs._kept) <= 16
    with pytest.raises(ValueError, match="read-only"):
        costs.side_cost(bars)[0] = 0.0


def test_a_mean_of_slippage_below_zero_is_never_a_gift() -> None:
    fills = fills_of(np.full(400, -1.0))
    metrics = measure("2024-02-01", Recordings(quotes=[quotes_of(np.full(20_000, 4.0))], fills=[fills]))
    costs = MeasuredCosts(metrics=metrics, venue="binance_usdm")
    np.testing.assert_array_equal(costs.slippage(bars_of(100)), 0.0)


def test_an_unmeasured_market_pays_its_venues_pool_with_a_notice_and_an_unknown_venue_is_refused() -> None:
    pooled = COSTS.side_cost(bars_of(10, symbol="DOGEUSDT"))
    np.testing.assert_array_equal(pooled, COSTS.side_cost(bars_of(10)))
    assert any("DOGEUSDT: not measured" in notice for notice in COSTS.notices(["BTCUSDT", "DOGEUSDT"]))
    assert any("BTCUSDT: slippage is unmeasured" in notice for notice in COSTS.notices(["BTCUSDT"]))
    assert SLIPPING.notices(["BTCUSDT"]) == ["BTCUSDT: recorded from 2024-01-01 00:00 UTC to 05:34 UTC only"]
    elsewhere = MeasuredCosts(metrics=WEEK, venue="kraken_spot")
    with pytest.raises(DataError, match=r"BTCUSDT on kraken_spot was not measured.*BTCUSDT on binance_usdm"):
        elsewhere.side_cost(bars_of(10))


def test_old_and_short_recordings_are_told_and_markets_share_a_sentence() -> None:
    year_old = WEEK.model_copy(update={"date": "2025-01-08"})
    told = MeasuredCosts(metrics=year_old, venue="binance_usdm").notices(["BTCUSDT", "DOGEUSDT"])
    assert told == [
        "BTCUSDT, DOGEUSDT: recorded from 2024-01-01 00:00 UTC to 2024-01-08 00:00 UTC only, 366 days before the "
        "measurement",
        "BTCUSDT, DOGEUSDT: slippage is unmeasured, only the spread is charged",
        "DOGEUSDT: not measured; charged is what the venue's measured markets pay together",
    ]
    assert not any("recorded from" in notice for notice in COSTS.notices(["BTCUSDT"])), "a week, measured at its end"


@pytest.mark.parametrize("options", [{"level": "p99"}, {"decision_ms": -1.0}, {"latency_budget_ms": float("nan")}])
def test_ill_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="allowed"):
        slipping(**options)
    with pytest.raises(UsageError, match="no metrics"):
        MeasuredCosts()


def order(number: int, **options: object) -> Order:
    return Order(f"order-{number}", "entry", "BTCUSDT", MONDAY_MS + 3_600_000.0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [
    {"decision_ms": float("nan")}, {"decision_ms": -1.0}, {"notional": float("nan")}, {"notional": -1.0},
])
def test_an_order_of_impossible_size_or_time_is_refused_by_name(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"order order-1, leg entry: .* allowed is"):
        order(1, **options)
    with pytest.raises(UsageError, match="time_ms"):
        Order("order-1", "entry", "BTCUSDT", float("nan"))


def test_what_an_order_pays_does_not_depend_on_what_was_drawn_before() -> None:
    forward = [execute(SLIPPING, 7, order(number)) for number in range(50)]
    backward = [execute(SLIPPING, 7, order(number)) for number in reversed(range(50))]
    assert forward == backward[::-1]
    assert len({done.slippage_bps for done in forward}) == 50


def test_seed_metrics_order_and_leg_each_change_the_draw() -> None:
    base = order_uniforms(7, "a", "o", "entry")
    for other in ((8, "a", "o", "entry"), (7, "b", "o", "entry"), (7, "a", "p", "entry"), (7, "a", "o", "exit")):
        assert not np.any(order_uniforms(*other) == base)
    np.testing.assert_array_equal(order_uniforms(7, "a", "o", "entry"), base)


def test_another_process_draws_the_same() -> None:
    code = "from daybook.execution.draws import order_uniforms as u; print(u(7, 'a', 'o', 'entry').tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONHASHSEED": "123"})
    assert done.stdout.strip() == str(order_uniforms(7, "a", "o", "entry").tolist())


def test_draws_follow_the_measured_distribution() -> None:
    uniforms = np.array([order_uniforms(7, "a", f"o{number}", "entry") for number in range(2000)])
    for column in uniforms.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(uniforms.T) - np.eye(5)).max() < 0.08
    done = [execute(SLIPPING, 7, order(number)) for number in range(2000)]
    assert np.mean([one.slippage_bps for one in done]) == pytest.approx(1.5, abs=0.08)
    assert np.mean([not one.filled for one in done]) == pytest.approx(0.1, abs=0.03)
    bought = next(one for one in done if one.filled)
    assert bought.side_cost == pytest.approx((bought.half_spread_bps + bought.slippage_bps) * 1e-4)
    assert (bought.half_spread_bps, bought.latency_ms) == (pytest.approx(2.0), pytest.approx(40.0))


def test_an_order_is_filled_whole_or_refused_whole() -> None:
    small, large = order(1, notional=1.0), order(1, notional=1e9)
    deep = MeasuredCosts(metrics=WEEK, venue="binance_usdm")  # 2 coins at about 100 stand on each side
    assert execute(deep, 7, small).filled
    refused = execute(deep, 7, large)
    assert (refused.filled, refused.side_cost, refused.reason) == (False, 0.0, "larger than the touch")


@given(number=st.integers(0, 10**6), notional=st.floats(0.0, 1e6), decision_ms=st.floats(0.0, 500.0))
@settings(max_examples=200, deadline=None)
def test_no_order_is_ever_filled_in_part(number: int, notional: float, decision_ms: float) -> None:
    done = execute(SLIPPING, 7, order(number, notional=notional, decision_ms=decision_ms))
    depth = order_uniforms(7, SLIPPING.identity, f"order-{number}", "entry")[4]
    touch = SLIPPING.market("BTCUSDT").figure("touch_notional", "tokyo", "any")[0]
    assert touch is not None
    whole = (done.half_spread_bps + done.slippage_bps) * 1e-4
    assert (done.filled, done.side_cost) == ((True, whole) if not done.reason else (False, 0.0))
    if notional > touch.quantile(depth):
        assert not done.filled
    elif not done.filled:
        assert done.reason.startswith("refused")


def test_a_late_order_pays_at_least_the_p90_of_slippage() -> None:
    strict = slipping(latency_budget_ms=100.0)
    late = [execute(strict, 7, order(number, decision_ms=101.0)) for number in range(200)]
    timely = [execute(strict, 7, order(number, decision_ms=100.0)) for number in range(200)]
    assert min(one.slippage_bps for one in late) == pytest.approx(2.7, abs=0.15)
    assert timely == [execute(SLIPPING, 7, order(number)) for number in range(200)]
    assert max(one.slippage_bps for one in late) > 2.85


def test_an_order_draws_from_the_state_of_its_own_moment() -> None:
    saturday = Order("o", "entry", "BTCUSDT", MONDAY_MS + 5 * 86_400_000.0)
    done = execute(COSTS, 7, saturday)
    assert (done.state, done.half_spread_bps) == ("weekend/any", pytest.approx(6.0))
    assert done.latency_ms is None
    assert execute(COSTS, 7, order(1, volatility=1e9)).state == "tokyo/high"
