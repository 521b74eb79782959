"""Sweeps on worker processes and on a Dask cluster: the same table to the last bit, whatever happens to the workers."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from backtest_tapes import MA_SPEC, RSI_SPEC, bar_window, walk_bars
from fake_s3 import bucket
from hypothesis import given, settings
from hypothesis import strategies as st
from scale_out_killer import Clumsy, Killer

from daybook.backtest import SweepError, WindowError, block_returns, sweep
from daybook.backtest.conditions import Conditions, Margin
from daybook.backtest.plan import sweep_plan
from daybook.backtest.scale_out import Engine, Quarantined, Swept
from daybook.backtest.scale_out_files import BarsFile, load_bars, publish_bars, published_bars
from daybook.backtest.scale_out_tasks import LEAST_SECONDS, Pace, Piece, SweepTask, TaskResult, Work, pieces, run_task
from daybook.backtest.scale_out_workers import DIED, EngineError, _own_cluster
from daybook.backtest.sizing import Sizing
from daybook.core.errors import DataError, DaybookError, StorageError, UsageError
from daybook.core.files import keep_newest
from daybook.core.hashing import canonical_json
from daybook.execution import Costs
from daybook.market import aggregate
from daybook.market.funding import FundingRates
from daybook.strategy import parse_spec

RSI, MA = parse_spec(RSI_SPEC), parse_spec(MA_SPEC)
MARKETS = [walk_bars(900), walk_bars(700, symbol="ETHUSDT"), walk_bars(400, timeframe="5m")]
COSTS = Costs(2.0, {"BTCUSDT": 1.0, "default": 6.0})
WINDOW = bar_window(MARKETS[0], 150, 640)
SETS = {RSI.identity: [{"window": float(window), "sl": 0.004} for window in range(5, 17)], MA.identity: [{"fast": 3.0}]}
RSI_SETS = SETS[RSI.identity]
POISON = {"window": 11.0, "sl": 0.004}
scale_out = importlib.import_module("daybook.backtest.scale_out")


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of about four of these simulations instead of 0.2 seconds' worth."""
    tasks = importlib.import_module("daybook.backtest.scale_out_tasks")
    monkeypatch.setattr(tasks, "LEAST_SECONDS", 4e-5)
    monkeypatch.setattr(tasks, "LOAD_SHARE", 1e9)
    monkeypatch.setattr(Pace, "learn", lambda *_: None)


@pytest.fixture(scope="module", autouse=True)
def _no_workers_are_left() -> Iterator[None]:
    yield
    if _own_cluster.cache_info().currsize:
        _own_cluster(2).close()
        _own_cluster.cache_clear()
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(max_workers=2).shutdown(kill_workers=True)


def engine(kind: str, folder: Path, **changes: object) -> Engine:
    return replace(Engine(kind, workers=2, folder=folder), **changes)  # type: ignore[arg-type]


def swept(where: Engine) -> Swept:
    return where.sweep([MA, RSI, MA], MARKETS, SETS, COSTS, WINDOW, "60m")


def assert_equals_serial(found: Swept, without: dict[str, float] | None = None, symbol: str = "") -> None:
    """The table and the blocks are those of one thread, but for the simulation that was set aside."""
    table = sweep([MA, RSI, MA], MARKETS, SETS, COSTS, WINDOW)
    blocks = block_returns([MA, RSI, MA], MARKETS, SETS, COSTS, WINDOW)
    kept = np.ones(len(table), dtype=bool)
    if without is not None:
        text = canonical_json(RSI.bind(without))
        kept = ~((table["params"] == text) & (table["symbol"] == symbol) & (table["timeframe"] == "1m")).to_numpy()
        assert kept.sum() == len(table) - 1
    pd.testing.assert_frame_equal(found.table, table[kept].reset_index(drop=True), check_exact=True)
    assert found.blocks is not None
    assert found.blocks.tobytes() == blocks[kept].tobytes()


# ---- the same table


@pytest.mark.parametrize("kind", ["local", "processes", "dask"])
def test_every_engine_gives_the_serial_table_and_blocks_to_the_last_bit(
    kind: str, tmp_path: Path, cut_small: None
) -> None:
    found = swept(engine(kind, tmp_path))
    assert_equals_serial(found)
    assert found.quarantined == ()
    assert kind == "local" or len(found.tasks) > 4


def test_a_running_cluster_is_used_by_its_address(tmp_path: Path, cut_small: None) -> None:
    address = _own_cluster(2).scheduler_address
    assert_equals_serial(swept(engine("dask", tmp_path, address=address)))


def test_sizes_and_conditions_reach_the_workers(tmp_path: Path, cut_small: None) -> None:
    minutes = [walk_bars(2_000, symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
    markets = [aggregate(bars, "5m") for bars in minutes]
    settled = FundingRates(markets[0].open_time[::60].copy(), np.full(len(markets[0].open_time[::60]), 4e-4))
    rules: dict[str, Any] = {
        "sizing": Sizing(risk=0.01, leverage_cap=3.0),
        "conditions": Conditions(1, {"BTCUSDT": settled, "ETHUSDT": None}, Margin(5.0),
                                 {bars.symbol: bars for bars in minutes})}
    there = engine("processes", tmp_path)
    found = there.sweep([RSI], markets, RSI_SETS, COSTS, **rules)
    pd.testing.assert_frame_equal(found.table, sweep([RSI], markets, RSI_SETS, COSTS, **rules), check_exact=True)
    assert not found.table.equals(sweep([RSI], markets, RSI_SETS, COSTS))
    alone = replace(rules["conditions"], funding={"BTCUSDT": settled})
    with pytest.raises(UsageError, match="funding names BTCUSDT, but not ETHUSDT"):
        there.sweep([RSI], markets, RSI_SETS, COSTS, sizing=rules["sizing"], conditions=alone)


def test_files_of_bars_are_opened_by_uri_and_only_where_they_are_swept(tmp_path: Path, cut_small: None) -> None:
    folder = f"file://{tmp_path}/bars"
    (tmp_path / "bars").mkdir()
    published = [publish_bars(bars, folder) for bars in MARKETS]
    assert set(published_bars(folder)) == set(published)
    for kind in ("local", "processes"):
        found = engine(kind, Path("/nowhere")).sweep([MA, RSI, MA], published, SETS, COSTS, WINDOW, "60m")
        assert_equals_serial(found)


def test_bars_in_an_object_store_are_written_once_listed_verified_and_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    bars = walk_bars(3_000, seed=12)
    with bucket() as store:
        options = f"endpoint_override=127.0.0.1:{store.server_port}&scheme=http&region=us-east-1"
        folder = f"s3://bucket/daybook/bars?{options}"
        file = publish_bars(bars, folder)
        assert list(store.objects) == [f"bucket/daybook/bars/{bars.data_hash}.parquet"]
        assert publish_bars(bars, folder) == file
        assert published_bars(folder) == (file,)
        found = Engine().sweep(RSI, file, RSI_SETS, COSTS)
        other = replace(file, data_hash="0" * 64)
        with pytest.raises(DataError, match="promised was 000000000000"):
            load_bars(other)
    pd.testing.assert_frame_equal(found.table, sweep(RSI, bars, RSI_SETS, COSTS), check_exact=True)


# ---- rows 28 and 29 of the fault matrix


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_row_28_a_worker_killed_in_the_middle_changes_nothing(
    kind: str, tmp_path: Path, cut_small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_out, "run_task", Killer(tmp_path))
    found = swept(engine(kind, tmp_path))
    assert (tmp_path / "6").exists(), "tasks ran after the kill"
    assert_equals_serial(found)
    assert found.quarantined == ()


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_row_29_a_poison_task_is_quarantined_by_name_and_the_rest_is_done(
    kind: str, tmp_path: Path, cut_small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = canonical_json(RSI.bind(POISON))
    monkeypatch.setattr(scale_out, "run_task", Killer(tmp_path, poison))
    found = swept(engine(kind, tmp_path))
    assert_equals_serial(found, without=POISON, symbol="ETHUSDT")
    assert found.quarantined == (
        Quarantined("rsi-stops", RSI.identity, RSI.structure_hash, "ETHUSDT", "1m", poison),)
    assert f"rsi-stops on ETHUSDT 1m with {poison}" in found.quarantined[0].text


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_an_error_that_can_not_be_sent_is_told_and_condemns_nobody(
    kind: str, tmp_path: Path, cut_small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_out, "run_task", Clumsy())
    with pytest.raises(DaybookError, match="Unsendable: 3 of 4"):
        swept(engine(kind, tmp_path))


class Mortal:
    """Workers in this process: each task that a poison position is in dies with whatever else is at hand."""

    def __init__(self, poison: set[int], accidents: set[int], work: Work) -> None:
        self.count = 2
        self._poison = {canonical_json(work.plan.jobs[position].params) for position in poison}
        self._accidents = accidents
        self._ran = 0

    def alone(self) -> Mortal:
        return self

    def run(self, function: Callable[[Any], Any], tasks: Iterable[tuple[Any, SweepTask]]) -> Iterator[tuple[Any, Any]]:
        left = iter(tasks)
        while together := list(islice(left, self.count)):
            self._ran += 1
            died = self._ran in self._accidents or any(
                text in self._poison for _, task in together for part in task.parts
                for _, texts in part.specs for text in texts)
            for name, task in together:
                yield name, DIED if died else function(task)


@settings(max_examples=25, deadline=None)
@given(poison=st.sets(st.integers(0, 19), max_size=3), accidents=st.sets(st.integers(1, 12), max_size=3),
       size=st.integers(1, 20))
def test_row_29_whatever_dies_only_what_kills_when_alone_is_quarantined(
    poison: set[int], accidents: set[int], size: int
) -> None:
    bars = MARKETS[0]
    sets = [{"window": float(window)} for window in range(5, 25)]
    plan = sweep_plan(RSI, bars, sets)
    with TemporaryDirectory() as folder:
        work = Work(replace(plan, bars=(publish_bars(bars, folder),)), COSTS, None, None)  # type: ignore[arg-type]
        pace = Pace(typical=LEAST_SECONDS / size / len(bars), load=0.0)
        found = scale_out.scaled_out(work, Mortal(poison, accidents, work), LEAST_SECONDS, pace)
    told = {one.params for one in found.quarantined}
    assert told >= {canonical_json(plan.jobs[position].params) for position in poison}
    assert len(told) <= len(poison) + len(accidents) // 2, "one accident alone condemns nobody"
    serial = sweep(RSI, bars, sets, COSTS)
    pd.testing.assert_frame_equal(found.table, serial[~serial["params"].isin(told)].reset_index(drop=True))


def test_row_29_a_sweep_of_poison_alone_gives_an_empty_table_and_names_it(tmp_path: Path) -> None:
    plan = sweep_plan(RSI, MARKETS[0], None)
    files = (publish_bars(MARKETS[0], tmp_path),)
    work = Work(replace(plan, bars=files), COSTS, WINDOW, "60m")  # type: ignore[arg-type]
    found = scale_out.scaled_out(work, Mortal({0}, set(), work), 1.0, Pace())
    assert found.table.empty
    assert found.blocks is not None
    assert found.blocks.shape == (0, len(block_returns(RSI, MARKETS[0], None, COSTS, WINDOW)[0]))
    assert list(found.table.columns) == list(sweep(MA, MARKETS[0]).columns)
    assert [one.symbol for one in found.quarantined] == ["BTCUSDT"]


# ---- what a task carries


def work_of(count: int, sets: int, folder: Path) -> Work:
    bars = walk_bars(count)
    plan = sweep_plan([RSI], [bars], [{"window": float(5 + number % 30)} for number in range(sets)])
    files = (publish_bars(bars, folder),)
    return Work(replace(plan, bars=files), COSTS, None, None)  # type: ignore[arg-type]


def test_a_task_carries_hashes_and_no_bars(tmp_path: Path) -> None:
    work = work_of(20_000, 10, tmp_path)
    sent = pickle.dumps(work.task(Piece(tuple(range(10)), 1.0)))
    assert len(sent) < 5_000
    assert work.files[0].data_hash.encode() in sent
    assert b"numpy" not in sent


def test_bars_are_written_once_under_the_hash_of_their_values(tmp_path: Path) -> None:
    first = publish_bars(MARKETS[0], tmp_path)
    written = Path(first.uri).stat().st_ino
    assert publish_bars(MARKETS[0], tmp_path) == first
    assert Path(first.uri).stat().st_ino == written
    assert Path(first.uri).stem == MARKETS[0].data_hash
    assert load_bars(first).data_hash == MARKETS[0].data_hash


def test_the_bars_used_last_are_kept(tmp_path: Path) -> None:
    for bars in (*MARKETS, MARKETS[0]):
        publish_bars(bars, tmp_path)
    assert keep_newest(tmp_path, "*.parquet", 2) == 1
    assert {file.data_hash for file in published_bars(tmp_path)} == {MARKETS[2].data_hash, MARKETS[0].data_hash}
    assert keep_newest(tmp_path / "absent", "*.parquet", 2) == 0


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_task_refuses_bars_that_are_not_those_that_were_published(kind: str, tmp_path: Path) -> None:
    bars = walk_bars(300, seed=5 if kind == "dask" else 6)
    file = publish_bars(bars, tmp_path)
    table = pq.read_table(file.uri)
    closes = table.column("close").to_numpy().copy()
    closes[17] *= 1.0001
    pq.write_table(table.set_column(4, "close", [closes]), file.uri)
    with pytest.raises(DataError, match=r"BTCUSDT 1m have hash .*, promised was"):
        engine(kind, tmp_path).sweep(MA, file)


def test_a_worker_without_the_file_says_what_to_do(tmp_path: Path) -> None:
    gone = BarsFile(str(tmp_path / "gone.parquet"), "test", "BTCUSDT", "1m", 10, "0" * 64)
    with pytest.raises(DataError, match=r"not there for this worker.*engine_folder"):
        engine("processes", tmp_path).sweep(MA, gone)


def test_a_torn_file_is_refused_and_a_foreign_one_is_named(tmp_path: Path) -> None:
    file = publish_bars(walk_bars(300, seed=9), tmp_path)
    whole = Path(file.uri).read_bytes()
    Path(file.uri).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"can not be read .*Remove the file"):
        load_bars(file)
    with pytest.raises(DataError, match="not a file of published bars"):
        published_bars(tmp_path)
    assert published_bars(tmp_path / "absent") == ()


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can not be written"):
        publish_bars(MARKETS[0], tmp_path / "file")
    with pytest.raises(UsageError, match="no file system opens this"):
        publish_bars(MARKETS[0], "warehouse://here")


# ---- how simulations are cut into tasks


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 8), st.floats(1e-9, 1e-3), st.floats(0.2, 3.0))
def test_every_simulation_is_in_one_task_and_none_but_an_only_one_is_short(
    sets: int, workers: int, pace: float, most: float
) -> None:
    plan = sweep_plan([RSI, MA], MARKETS, [{}] * sets if sets > 1 else None)
    files = [BarsFile("x", "test", bars.symbol, bars.timeframe, len(bars), "") for bars in MARKETS]
    work = Work(replace(plan, bars=tuple(files)), COSTS, None, None)  # type: ignore[arg-type]
    cut = list(pieces(work, range(len(plan.jobs)), Pace(typical=pace), workers, most))
    told = [position for piece in cut for position in piece.positions]
    assert sorted(told) == list(range(len(plan.jobs)))
    assert told == sorted(told, key=lambda position: (plan.jobs[position].market, position))
    assert len(cut) == 1 or min(piece.estimated for piece in cut) >= LEAST_SECONDS


def test_later_tasks_are_cut_by_what_earlier_ones_took(tmp_path: Path) -> None:
    work = work_of(1_000, 400, tmp_path)
    pace = Pace()
    [piece] = pieces(work, range(400), pace, workers=1, most_seconds=1.0)
    took = 0.02  # seconds a simulation, two thousand times what was guessed
    pace.learn(work, piece, TaskResult(pd.DataFrame(), None, 0.0, took * 400, 0.0, 0))
    lengths = [len(piece.positions) for piece in pieces(work, range(400), pace, workers=1, most_seconds=1.0)]
    assert sum(lengths) == 400
    assert all(40 <= length <= 60 for length in lengths), "a second's worth each"
    cutting = pieces(work, range(400), pace, workers=1, most_seconds=1.0)
    for piece in islice(cutting, 3):
        pace.learn(work, piece, TaskResult(pd.DataFrame(), None, 0.0, 4 * took * len(piece.positions), 0.0, 0))
    assert len(next(cutting).positions) < 25, "cut while the sweep runs"


def test_a_task_simulates_longer_than_it_loads(tmp_path: Path) -> None:
    work = work_of(20_000, 400, tmp_path)
    pace = Pace(typical=1e-8, load=1e-4)  # two seconds to load, 0.2 ms to simulate
    assert len(list(pieces(work, range(400), pace, workers=8, most_seconds=0.2))) == 1


def test_another_version_of_the_code_on_a_worker_is_found(tmp_path: Path) -> None:
    work = work_of(300, 2, tmp_path)
    piece = Piece((0, 1), 1.0)
    result = run_task(work.task(Piece((1, 0), 1.0)))
    with pytest.raises(DataError, match="another version of Daybook"):
        work.checked(piece, result)


# ---- errors


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_what_a_sweep_refuses_is_refused_with_the_same_words(kind: str, tmp_path: Path) -> None:
    late = replace(WINDOW, start_ms=WINDOW.start_ms + 10**12, end_ms=WINDOW.end_ms + 10**12)
    with pytest.raises(WindowError, match="no bar opens in"):
        engine(kind, tmp_path).sweep(MA, MARKETS[0], None, COSTS, late)
    with pytest.raises(SweepError, match="0 specs and 1 markets"):
        engine(kind, tmp_path).sweep([], MARKETS[0])
    with pytest.raises(SweepError, match="need a window"):
        engine(kind, tmp_path).sweep(MA, MARKETS[0], block="60m")


def test_without_dask_the_error_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install daybook-workbench\[dask\]"):
        engine("dask", tmp_path).sweep(MA, MARKETS[0])


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = importlib.import_module("daybook.backtest.scale_out_workers")
    monkeypatch.setattr(workers, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(EngineError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        engine("dask", tmp_path, address="tcp://127.0.0.1:9").sweep(MA, MARKETS[0])


@pytest.mark.parametrize(("changes", "message"), [
    ({"kind": "ray"}, "allowed are local, processes, dask"), ({"workers": 0}, "at least 1"),
    ({"task_seconds": 0.1}, "task_seconds is 0.1"), ({"kind": "dask", "folder": None}, "needs a folder"),
])
def test_an_engine_that_can_not_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(Engine(folder="bars"), **changes)  # type: ignore[arg-type]
