"""One setting decides where the sweeps of a day run: the same results, and what was lost is counted and named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from daybook.backtest.scale_out import Engine
from daybook.backtest.scale_out_tasks import SweepTask
from daybook.backtest.scale_out_workers import DIED
from daybook.core.errors import UsageError
from daybook.core.settings import load_settings
from daybook.pipeline.day import Day, open_day
from daybook.pipeline.kernels import kernel_environment
from daybook.pipeline.lost import lost_notices
from daybook.pipeline.manifest import settings_hash
from daybook.pipeline.screening import LOST, Screened, best_by_strategy, count_trials, screen
from daybook.rank import TrialLedger
from daybook.strategy import parse_spec

DIP = parse_spec({"name": "dip", "long_entry": "rsi(close, window) < 30", "long_exit": "close > sma(close, 20)",
                  "parameters": {"window": {"low": 5, "high": 40, "default": 14, "integer": True}}})
SETS = {DIP.identity: [{"window": 9.0}, {"window": 14.0}]}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A scratch run on the built-in market, before its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        yield open_day(None, "00_score")


@dataclass
class Doomed:
    """Workers in this process that die of every task with a simulation on one market."""

    symbol: str
    timeframe: str
    count: int = 1

    def alone(self) -> Doomed:
        return self

    def run(self, function: Callable[[Any], Any], tasks: Iterable[tuple[Any, SweepTask]]) -> Iterator[tuple[Any, Any]]:
        for name, task in tasks:
            touched = {(part.file.symbol, part.file.timeframe) for part in task.parts}
            yield name, DIED if (self.symbol, self.timeframe) in touched else function(task)


def on(day: Day, engine: str) -> Day:
    """The day with another engine."""
    return replace(day, settings=day.settings.model_copy(update={"engine": engine}))


def screened(day: Day) -> list[Screened]:
    return screen(day, [DIP], day.window, params=SETS, timeframes=["5m", "60m"])


def test_a_day_screens_the_same_on_worker_processes(day: Day) -> None:
    here, there = screened(on(day, "local")), screened(on(day, "processes"))
    assert list((day.settings.data / "cache" / "bars").glob("*.parquet"))
    assert len(here) == len(there) == 4
    for one, other in zip(here, there, strict=True):
        assert (one.params, one.timeframe, one.result, one.lost) == (other.params, other.timeframe, other.result, ())
        assert one.blocks.tobytes() == other.blocks.tobytes()
        pd.testing.assert_frame_equal(one.rows, other.rows, check_exact=True)


def test_row_29_a_lost_simulation_has_no_score_is_counted_as_failed_and_named(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "_workers", lambda self: nullcontext(Doomed("ETHUSDT", "60m")))
    work = on(day, "processes")
    found = screened(work)
    hours = [one for one in found if one.timeframe == "60m"]
    assert {one.result.reason for one in hours} == {f"on ETHUSDT {LOST}"}
    assert all(one.result.score is None for one in hours)
    assert all(one.result == same.result for one, same in zip(found, screened(on(day, "local")), strict=True)
               if one.timeframe == "5m")
    assert best_by_strategy(found)[DIP.identity].timeframe == "5m"

    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step)
    count_trials(ledger, work, "score", "pool", found, day.window)
    rows = ledger.table().to_pylist()
    assert len(rows) == 8
    assert [row["params"] for row in rows if row["outcome"] == "failed"] == ['{"window":9.0}', '{"window":14.0}']
    assert {(row["symbol"], row["timeframe"]) for row in rows if row["outcome"] == "failed"} == {("ETHUSDT", "60m")}
    ledger.write(day.artefacts)
    said = lost_notices(day)
    assert [notice.severity for notice in said] == ["error", "error"]
    assert f'ETHUSDT 60m with {{"window":9.0}}: {LOST}' in said[0].message


def test_the_engine_changes_no_hash_and_reaches_the_kernels(tmp_path: Path) -> None:
    plain = load_settings({"data": tmp_path}, environment={})
    there = load_settings({"data": tmp_path, "engine": "dask", "dask_address": "tcp://10.0.0.5:8786",
                           "engine_folder": "s3://bucket/bars"}, environment={})
    assert settings_hash(plain) == settings_hash(there)
    with kernel_environment(there):
        told = {name: value for name, value in os.environ.items() if "ENGINE" in name or "DASK" in name}
    assert told == {"DAYBOOK_ENGINE": "dask", "DAYBOOK_DASK_ADDRESS": "tcp://10.0.0.5:8786",
                    "DAYBOOK_ENGINE_FOLDER": "s3://bucket/bars"}
    with kernel_environment(plain):
        assert os.environ["DAYBOOK_ENGINE"] == "local"


@pytest.mark.parametrize(("given", "message"), [
    ({"dask_address": "tcp://10.0.0.5:8786"}, "dask_address is read with engine = dask only"),
    ({"engine": "dask", "dask_address": "10.0.0.5"}, "dask_address"),
    ({"engine": "ray"}, "'local', 'processes' or 'dask'"),
    ({"engine_folder": "/shared"}, "engine_folder is read with engine = processes or dask only"),
])
def test_engine_settings_that_do_not_fit_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_settings(given, environment={})
