"""Every simulation of a model's rule is kept, and a card's figures follow from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from model_markets import market, request

from daybook.backtest.robustness import STRESSES
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.models import build_dataset, out_of_fold_predictions
from daybook.models.registry import MODELS
from daybook.models.trading import AS_TRADED, NEVER_FILTERED, RULES, Desk, ModelBacktest, backtest_rule

COSTS = Costs(fee_bps=1.0, spread_bps=1.0)
SYMBOLS = ("AAAUSDT", "BBBUSDT")


@pytest.fixture(scope="module")
def backtest() -> ModelBacktest:
    asked = request([market(symbol, 2000, 3) for symbol in SYMBOLS])
    asked = replace(asked, labels=replace(asked.labels, volatility_window=96))
    data = build_dataset(asked.markets, COSTS, asked.labels)
    rows = out_of_fold_predictions(data, asked.plan, MODELS["risk"], trees=asked.trees)
    desk = Desk(data, rows, COSTS, Window(int(rows.time[0]), data.history.end_ms))
    return backtest_rule(RULES["risk"], np.full(rows.time.size, -1e-9), desk)


def test_each_market_is_kept_as_traded_unfiltered_and_under_each_change_that_set_costs_know(backtest):
    kept = [(one.change, one.symbol) for one in backtest.evaluations]
    changes = [AS_TRADED, NEVER_FILTERED, "one bar later"]
    assert kept == [(change, symbol) for change in changes for symbol in SYMBOLS]
    assert set(changes) - {AS_TRADED, NEVER_FILTERED} <= set(STRESSES)


def test_figures_of_the_card_follow_from_what_is_kept(backtest):
    def total(change: str) -> float:
        return float(np.mean([one.metrics.total_return for one in backtest.evaluations if one.change == change]))

    assert backtest.card.figures["total_return"] == pytest.approx(total(AS_TRADED))
    assert backtest.card.baseline == total(NEVER_FILTERED)
    for one in backtest.evaluations:
        assert one.block_returns.sum() == pytest.approx(one.metrics.total_return)
    later = np.mean([one.block_returns for one in backtest.evaluations if one.change == "one bar later"], axis=0)
    sharpe = later.mean() / later.std(ddof=1) * np.sqrt(365 * 24)
    assert backtest.card.figures["sharpe_bar_later"] == pytest.approx(sharpe)


def test_block_returns_are_those_of_the_rule_as_it_is_traded(backtest):
    own = [one.block_returns for one in backtest.evaluations if one.change == AS_TRADED]
    assert np.array_equal(backtest.block_returns, np.stack(own))
