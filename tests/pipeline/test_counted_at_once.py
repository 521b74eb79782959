"""What a step has looked at is on disk before it goes on: a step that fails takes none of it with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from daybook.pipeline.day import Day, open_day
from daybook.pipeline.steps import backtest, design
from daybook.rank import TrialLedger, read_trials
from daybook.rank.ledger import read_returns, settled
from daybook.strategy import parse_spec

RULE = parse_spec({
    "name": "dip", "timeframes": ["60m"], "long_entry": "rsi(close, window) < 45",
    "long_exit": "close > sma(close, 20)",
    "parameters": {"window": {"low": 5, "high": 40, "default": 14, "integer": True}},
})


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A scratch run on the built-in market, before its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        yield open_day(None, "00_score")


def failing_after(calls: int, made: list[int], screen: Any) -> Any:
    """screen, which fails from that call on; made: how many simulations came of each call."""
    def counted(*arguments: Any, **more: Any) -> Any:
        if len(made) == calls:
            raise RuntimeError("the disk is full")
        found = screen(*arguments, **more)
        made.append(sum(len(one.rows) for one in found))
        return found

    return counted


def test_a_search_that_fails_leaves_every_generation_it_scored_with_its_parents(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, made = replace(day, step="10_design"), []
    monkeypatch.setattr(design, "screen", failing_after(2, made, design.screen))
    with pytest.raises(RuntimeError, match="disk is full"):
        design.design_strategies(work)
    path = settled(work.artefacts)
    assert path is not None
    rows = read_trials(path).to_pylist()
    assert len(rows) == sum(made) and len(made) == 2
    assert {row["parents"] for row in rows[:made[0]]} == {"[]"}, "the first brood comes from nowhere"
    assert {row["parents"] for row in rows[made[0]:]} - {"[]"}
    at = rows[-1]["returns_at"]
    hours = (rows[-1]["window_end"] - rows[-1]["window_start"]) // 3_600_000
    assert read_returns(work.artefacts.parent, at).size == hours


def test_a_backtest_whose_nulls_fail_leaves_its_tunings_and_validations(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replace(day, step="10_design")
    TrialLedger(day.sealed.day, day.sealed.run_id, before.step).write(before.artefacts)
    entry = {"identity": RULE.identity, "spec": RULE.canonical, "parents": [], "origin": "evolution"}
    before.write("candidates", [entry])
    made: list[int] = []
    monkeypatch.setattr(backtest, "screen", failing_after(9, made, backtest.screen))

    def broken(*_: Any) -> Any:
        raise RuntimeError("a null fails")

    monkeypatch.setattr(backtest, "todays_nulls", broken)
    work = replace(day, step="20_backtest")
    with pytest.raises(RuntimeError, match="a null fails"):
        backtest.backtest_candidates(work)
    path = settled(work.artefacts)
    assert path is not None
    table = read_trials(path)
    assert table.num_rows == sum(made) > 0
    assert set(table["kind"].to_pylist()) == {"tuning", "validation"}
    last = read_returns(work.artefacts.parent, table["returns_at"].to_pylist()[-1])
    assert last.sum() == pytest.approx(table["total_return"].to_pylist()[-1], abs=1e-5)
