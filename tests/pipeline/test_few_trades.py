"""The pages' figures of one day: one buy and hold, and no Sharpe ratio of too few trades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from daybook.backtest.block_figures import BlockFigures
from daybook.backtest.robustness import STRESSES
from daybook.pipeline.day import Day, open_day
from daybook.pipeline.screening import Screened, screen
from daybook.pipeline.steps.backtest import candidate_frame
from daybook.pipeline.steps.curves import buy_and_hold
from daybook.pipeline.steps.stress import _worst_without, stressed_candidates
from daybook.pipeline.steps.train import _backtests
from daybook.rank import PoolMember, ScoreResult
from daybook.strategy import parse_spec


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A scratch run on the built-in market: the first day, which has no incumbents."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        day = open_day(None, "20_backtest")
        replace(day, step="00_score").write(
            "blocks", pd.DataFrame({"identity": [], "time_ms": [], "block_return": []}))
        yield day


def member(day: Day, timeframe: str) -> tuple[PoolMember, Screened]:
    fader = parse_spec({"name": f"fader-{timeframe}", "timeframes": [timeframe],
                        "long_entry": "zscore(close, 24) < -1", "short_entry": "zscore(close, 24) > 1"})
    (found,) = screen(day, [fader], day.window)
    return PoolMember(
        kind="strategy", identity=fader.identity, structure_hash=fader.structure_hash, name=fader.name,
        spec=fader.canonical, params={}, timeframe=timeframe, birth_day=day.sealed.day, birth_ms=day.start_ms,
        parents=(), origin="test", score=found.result.score, score_reason=found.result.reason,
        entered=day.sealed.day), found


def test_a_day_has_one_buy_and_hold(day: Day) -> None:
    rows, _ = stressed_candidates(day, [member(day, timeframe) for timeframe in ("60m", "5m")])
    drawn = buy_and_hold(day).equity[-1] - 1.0
    assert [row.hold_return for row in rows] == pytest.approx([drawn, drawn], abs=1e-8)


def test_a_candidate_with_too_few_trades_has_no_sharpe_ratio_in_any_column(day: Day) -> None:
    strict = replace(day, settings=day.settings.model_copy(update={"min_trades": 1000}))
    entry = member(strict, "60m")
    (row,), everything = stressed_candidates(strict, [entry])
    why = entry[1].result.reason
    assert why is not None and "at least 1000 are needed" in why
    for name in ("sharpe", "sharpe_double_costs", "sharpe_bar_later", "random_percentile"):
        assert (getattr(row, name), row.reasons[name]) == (None, why)
    assert row.sharpe_without is None and row.without in day.settings.symbols
    assert row.neighbourhood == ""
    assert row.total_return == pytest.approx(entry[1].blocks.sum())
    assert {one["sharpe"] for one in everything[entry[0].identity]["session"].values()} == {None}
    frame = candidate_frame([entry], (row,))
    assert frame[["sharpe", *STRESSES.values()]].isna().all(axis=None)
    assert f"one bar later: {why}" in frame["stress_reason"].item()


def without(**sharpes: float | None) -> Any:
    return SimpleNamespace(without={
        name: BlockFigures(168, 9, 0.1, sharpe, 0.1, None if sharpe is not None else f"{name} is too little")
        for name, sharpe in sharpes.items()})


def test_what_is_left_without_a_market_may_be_too_little_to_know_the_worst() -> None:
    assert _worst_without(without(BTC=3.0, ETH=-0.5)) == ("ETH", (-0.5, None))
    assert _worst_without(without(BTC=3.0, ETH=None)) == ("ETH", (None, "ETH is too little"))
    assert _worst_without(without(BTC=-0.5, ETH=None)) == ("BTC", (-0.5, None)), "a known failure is never hidden"
    assert _worst_without(without(BTC=None)) == ("", (None, "BTC is too little"))


def test_a_model_with_too_few_trades_has_no_sharpe_ratio() -> None:
    figures = dict.fromkeys(("total_return", "sharpe", *STRESSES.values(), "max_drawdown", "win_rate", "trades",
                             "turnover", "costs_paid"), 2.0)
    cards: Any = [SimpleNamespace(name=name, kind="model", identity=name,
                                  window=SimpleNamespace(figures=figures, baseline=None, rule="as told"))
                  for name in ("few", "many")]
    results = {"few": ScoreResult(score=None, reason="2 trades; at least 5 are needed"),
               "many": ScoreResult(score=60.0, sharpe=2.0)}
    table = _backtests(SimpleNamespace(scorecards=cards), results).set_index("name")  # type: ignore[arg-type]
    assert table.loc["few", ["sharpe", *STRESSES.values()]].isna().all()
    assert table.loc["few", "total_return"] == 2.0
    assert (table.loc["many", ["sharpe", *STRESSES.values()]] == 2.0).all()
