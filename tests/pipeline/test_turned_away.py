"""What leaks or is lost is turned away by name before any pool sees it, and the rest of the day goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daybook.backtest.scale_out import Engine
from daybook.backtest.scale_out_workers import DIED
from daybook.core.arrays import Bytes
from daybook.market import Bars
from daybook.pipeline.day import Day, open_day
from daybook.pipeline.screening import LOST
from daybook.pipeline.steps import leaks
from daybook.pipeline.steps.backtest import backtest_candidates
from daybook.pipeline.steps.leaks import leaking
from daybook.pipeline.steps.records import refused_rows
from daybook.rank import TrialLedger
from daybook.strategy import Strategy, parse_spec, signal_bits


def rule(name: str, timeframe: str = "60m", window: int = 14) -> Strategy:
    return parse_spec({
        "name": name, "timeframes": [timeframe], "long_entry": f"rsi(close, window) < {45 + window / 10:g}",
        "long_exit": "close > sma(close, 20)",
        "parameters": {"window": {"low": 5, "high": 40, "default": window, "integer": True}},
    })


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A scratch run on the built-in market, before its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        yield open_day(None, "00_score")


def seeing(strategy: Strategy, bars: Bars) -> Bytes:
    """Signals of a strategy; those of the one that is called seer come three bars early."""
    bits = signal_bits(strategy, bars)
    return np.append(bits[3:], np.zeros(3, dtype=np.uint8)) if strategy.name == "seer" else bits


def test_a_candidate_that_knows_later_bars_is_found_on_every_timeframe(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = [rule("dip", timeframe) for timeframe in ("1m", "5m", "60m")]
    assert leaking(day, sound) == {}
    monkeypatch.setattr(leaks, "signal_bits", seeing)
    early = [rule("seer", timeframe, window=21) for timeframe in ("1m", "5m", "60m")]
    found = leaking(day, [*sound, *early])
    assert set(found) == {one.identity for one in early}
    assert all(why.startswith("its signals know of later bars: the value of") for why in found.values())


@dataclass
class Doomed:
    """Workers in this process that die of every task on one timeframe of one market."""

    symbol: str
    timeframe: str
    count: int = 1

    def alone(self) -> Doomed:
        return self

    def run(self, function: Any, tasks: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        for name, task in tasks:
            touched = {(part.file.symbol, part.file.timeframe) for part in task.parts}
            yield name, DIED if (self.symbol, self.timeframe) in touched else function(task)


def test_what_leaks_or_is_lost_is_turned_away_by_name_and_the_rest_is_judged(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    designed = [rule("doomed", "5m"), rule("seer", window=21), rule("dip")]
    listed = [{"identity": one.identity, "spec": one.canonical, "parents": [], "origin": "evolution"}
              for one in designed]
    for step, artefacts in (("00_score", {"scores": {}}), ("10_design", {"candidates": listed})):
        before = replace(day, step=step)
        TrialLedger(day.sealed.day, day.sealed.run_id, step).write(before.artefacts)
        for name, value in artefacts.items():
            before.write(name, value)
    replace(day, step="00_score").write("blocks", pd.DataFrame({"identity": [], "time_ms": [], "block_return": []}))
    monkeypatch.setattr(leaks, "signal_bits", seeing)
    monkeypatch.setattr(Engine, "_workers", lambda self: nullcontext(Doomed("ETHUSDT", "5m")))
    work = replace(day, step="20_backtest", settings=day.settings.model_copy(
        update={"engine": "processes", "tuning_draws": 1}))
    found = backtest_candidates(work)
    assert len(found.candidates) == 1 and found.candidates["name"][0].startswith("dip-")
    assert np.isfinite(found.candidates["sharpe_bar_later"][0])
    why = {row.name.rsplit("-")[0]: row.reason for row in refused_rows(work)}
    assert why["doomed"] == f"on ETHUSDT {LOST}"
    assert why["seer"].startswith("its signals know of later bars")
    assert {row.pool for row in refused_rows(work)} == {"strategies"} and len(why) == 2
