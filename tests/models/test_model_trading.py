"""Rules: from views to bits, and what foresight, its opposite and a silent model earn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from model_markets import STEP_MS, market, request

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.core.time import HOUR_MS, Window
from daybook.execution import Costs
from daybook.market import FundingRates
from daybook.models import build_dataset, out_of_fold_predictions
from daybook.models.registry import MODELS
from daybook.models.trading import RULES, Desk, backtest_rule, market_bits, model_view, state_rows, view_bits

COSTS = Costs(fee_bps=1.0, spread_bps=1.0)


@pytest.fixture(scope="module")
def desk():
    asked = request([market(symbol, 2000, 3) for symbol in ("AAAUSDT", "BBBUSDT")])
    asked = replace(asked, labels=replace(asked.labels, volatility_window=96))
    data = build_dataset(asked.markets, COSTS, asked.labels)
    rows = out_of_fold_predictions(data, asked.plan, MODELS["direction"], trees=asked.trees)
    return Desk(data, rows, COSTS, Window(int(rows.time[0]), data.history.end_ms))


def test_bits_enter_beyond_the_threshold_and_leave_on_the_other_side():
    view = np.array([0.02, 0.005, 0.0, -0.005, -0.02, np.nan])
    assert view_bits(view, np.full(6, 0.01)).tolist() == [1 | 8, 8, 2 | 8, 2, 4 | 2, 2 | 8]


def test_bars_that_were_not_predicted_stay_silent(desk):
    rows = desk.rows
    view = np.full(rows.time.size, 1.0)
    for code, bits in enumerate(market_bits(view, True, desk.data, rows)):
        own = rows.row[rows.market == code]
        assert (bits[own] == 9).all()
        assert not np.delete(bits, own).any()


def test_foresight_earns_and_its_opposite_loses(desk):
    """A probability of 1 where the label is +1: after costs that must pay; the reverse must not.

    A hundred hours of 0.4 % mean absolute return hold about 0.4 for one who holds the right side of every hour.
    """
    chance = np.where(np.isnan(desk.rows.label), 0.5, (desk.rows.label + 1.0) / 2.0)
    seeing = backtest_rule(RULES["direction"], chance, desk)
    blind = backtest_rule(RULES["direction"], 1.0 - chance, desk)
    assert seeing.card.figures["total_return"] == pytest.approx(0.4, abs=0.15)
    assert blind.card.figures["total_return"] < -0.3
    assert seeing.card.figures["sharpe"] > 20
    hours = -(-(desk.window.end_ms - desk.window.start_ms) // 3_600_000)
    assert seeing.block_returns.shape == (2, hours)
    assert seeing.portfolio.sum() == pytest.approx(seeing.card.figures["total_return"])


def test_models_pay_funding_and_come_late_as_strategies_do(desk):
    """Settlements every four hours at 1 %: one who holds the same side throughout pays each of them while long."""
    chance = np.where(np.isnan(desk.rows.label), 0.5, (desk.rows.label + 1.0) / 2.0)
    times = np.arange(desk.data.history.start_ms, desk.data.history.end_ms, 4 * HOUR_MS)
    dear = FundingRates(times, np.full(times.size, 0.01))
    total = {}
    for name, conditions in (("free", PLAIN), ("late", Conditions(latency_bars=6)), ("dear", Conditions(funding=dear))):
        asked = replace(desk, conditions=conditions)
        total[name, "seeing"] = backtest_rule(RULES["direction"], chance, asked).card.figures["total_return"]
        held = np.ones(desk.rows.time.size)
        total[name, "holding"] = backtest_rule(RULES["direction"], held, asked).card.figures["total_return"]
    settled = np.sum((times > desk.window.start_ms + STEP_MS) & (times < desk.window.end_ms))
    assert total["free", "holding"] - total["dear", "holding"] == pytest.approx(0.01 * settled, rel=0.1)
    assert all(total["late", way] != total["free", way] for way in ("seeing", "holding"))


def test_a_model_without_an_edge_over_costs_does_not_trade(desk):
    found = backtest_rule(RULES["direction"], np.full(desk.rows.time.size, 0.501), desk).card
    assert found.figures["trades"] == 0
    assert found.figures["total_return"] == 0.0
    assert found.figures["sharpe"] is None
    assert found.reasons["sharpe"] == "no trade was made"


def test_momentum_follows_or_fades_the_last_move(desk):
    state = state_rows(desk.data, desk.rows)
    high, low = (model_view(RULES["momentum"].view, np.full(desk.rows.time.size, p), desk.data, desk.rows)
                 for p in (0.9, 0.1))
    assert np.array_equal(np.sign(high), np.sign(state.past_return))
    assert np.array_equal(high, -low)


@pytest.mark.parametrize(("name", "calm", "wild"), [("risk", -1e-9, -1.0), ("volatility", -40.0, 5.0)])
def test_filters_hold_the_trend_only_while_the_model_is_calm(name, calm, wild, desk):
    rule, size = RULES[name], desk.rows.time.size
    trend = np.sign(state_rows(desk.data, desk.rows).slow_return)
    assert np.array_equal(np.sign(model_view(rule.view, np.full(size, calm), desk.data, desk.rows)), trend)
    assert not model_view(rule.view, np.full(size, wild), desk.data, desk.rows).any()
    always, never = (backtest_rule(rule, np.full(size, level), desk).card for level in (calm, wild))
    assert always.baseline == always.figures["total_return"] == never.baseline
    assert never.figures["trades"] == 0


def test_pooled_figures_add_trades_and_average_returns(desk):
    card = backtest_rule(RULES["risk"], np.full(desk.rows.time.size, -1e-9), desk).card
    each = card.per_market.values()
    assert card.figures["trades"] == sum(own["trades"] for own in each)
    assert card.figures["total_return"] == pytest.approx(np.mean([own["total_return"] for own in each]))
    wins = sum(own["win_rate"] * own["trades"] for own in each)
    assert card.figures["win_rate"] == pytest.approx(wins / card.figures["trades"])


def test_a_card_tells_the_sharpe_ratio_one_bar_later_and_why_set_costs_have_no_percentiles(desk):
    chance = np.where(np.isnan(desk.rows.label), 0.5, (desk.rows.label + 1.0) / 2.0)
    card = backtest_rule(RULES["direction"], chance, desk).card
    later = backtest_rule(RULES["direction"], chance, replace(desk, conditions=Conditions(latency_bars=1))).card
    assert card.figures["sharpe_bar_later"] == later.figures["sharpe"] != card.figures["sharpe"]
    assert card.figures["sharpe_p50"] is card.figures["sharpe_p90"] is None
    assert "costs are set, not measured" in card.reasons["sharpe_p50"] == card.reasons["sharpe_p90"]
    silent = backtest_rule(RULES["direction"], np.full(desk.rows.time.size, 0.501), desk).card
    assert silent.reasons["sharpe_bar_later"] == "no trade was made"


def test_a_later_window_keeps_the_signals_of_its_bars(desk):
    late = Window(desk.window.end_ms - 200 * STEP_MS, desk.window.end_ms)
    found = backtest_rule(RULES["risk"], np.full(desk.rows.time.size, -1e-9), replace(desk, window=late)).card
    assert found.n_bars == 400
