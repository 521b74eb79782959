"""The stress columns of a scorecard: figures by name, and one reason for those that have none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from daybook.backtest import Conditions, replay
from daybook.backtest.block_figures import block_sharpe
from daybook.execution import Costs
from daybook.pipeline.day import Day, open_day
from daybook.pipeline.screening import screen
from daybook.pipeline.stressed import STRESS_COLUMNS, count_changes, stress_columns, stressed_scorecards
from daybook.rank import TrialLedger
from daybook.strategy import Strategy, parse_spec

DIP = parse_spec({
    "name": "dip", "timeframes": ["60m"], "long_entry": "rsi(close, window) < 46",
    "long_exit": "close > sma(close, 20)",
    "parameters": {"window": {"low": 5, "high": 40, "default": 14, "integer": True}},
})


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A scratch run on the built-in market, before its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        yield open_day(None, "00_score")


def by_hand(day: Day, strategy: Strategy, costs: Costs, conditions: Conditions) -> float | None:
    """The Sharpe ratio out of one replay a market."""
    found = [replay(strategy, day.bars["60m"][symbol], costs=costs, window=day.window, conditions=conditions)
             for symbol in day.settings.symbols]
    return block_sharpe(np.mean([one.block_returns("60m") for one in found], axis=0))


def test_a_scorecard_is_told_a_bar_later_and_each_look_is_a_trial(day: Day) -> None:
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step)
    told = stressed_scorecards(day, ledger, screen(day, [DIP], day.window), {DIP.identity: 17})[DIP.identity]
    later = by_hand(day, DIP, day.costs, Conditions(latency_bars=1))
    assert told["sharpe_bar_later"] == pytest.approx(later)
    assert later != by_hand(day, DIP, day.costs, Conditions())
    rows = ledger.table().to_pylist()
    assert [row["symbol"] for row in rows] == list(day.settings.symbols)
    assert {(row["kind"], row["birth"], json.loads(row["params"])["change"]) for row in rows} == {
        ("stress", 17, "one bar later")}
    assert all(row["returns_at"] for row in rows)


def test_every_change_of_a_candidate_is_a_trial(day: Day) -> None:
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step)
    count_changes(day, ledger, [DIP])
    told = [json.loads(row["params"]) for row in ledger.table().to_pylist()]
    markets = len(day.settings.symbols)
    assert [(one["change"], one["window"]) for one in told[::markets]] == [
        ("costs x 2", 14.0), ("one bar later", 14.0), ("a parameter moved", 13.0), ("a parameter moved", 15.0)]
    count_changes(day, ledger, [])
    assert len(ledger) == 4 * markets


def test_a_strategy_with_too_few_trades_has_no_figure_and_the_reason_of_its_score(day: Day) -> None:
    strict = replace(day, settings=day.settings.model_copy(update={"min_trades": 1000}))
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step)
    (scored,) = screen(strict, [DIP], day.window)
    told = stressed_scorecards(strict, ledger, [scored], {})[DIP.identity]
    assert scored.result.reason is not None and "at least 1000 are needed" in scored.result.reason
    assert told["sharpe_bar_later"] is None
    assert f"one bar later: {scored.result.reason}" in told["stress_reason"]
    assert len(ledger) == len(day.settings.symbols), "a look is a trial, whatever it shows"


def test_figures_without_a_value_share_their_reason() -> None:
    values = {"sharpe_p50": None, "sharpe_p90": None, "sharpe_bar_later": 1.5}
    row = stress_columns(values, {"sharpe_p50": "costs are set", "sharpe_p90": "costs are set"})
    assert tuple(row) == STRESS_COLUMNS
    assert row == {**values, "stress_reason": "costs at p50, costs at p90: costs are set"}


def test_every_reason_is_told_beside_what_it_belongs_to() -> None:
    values = {"sharpe_p50": 2.0, "sharpe_p90": None, "sharpe_bar_later": None}
    row = stress_columns(values, {"sharpe_p90": "no cost", "sharpe_bar_later": "no trade was made"})
    assert row["stress_reason"] == "costs at p90: no cost; one bar later: no trade was made"


def test_whole_figures_need_no_reason() -> None:
    assert stress_columns(dict.fromkeys(STRESS_COLUMNS[:-1], 1.0), {})["stress_reason"] == ""
