"""One setting decides where a sweep runs: threads of this process, processes of this machine, or a Dask cluster.

The table is the same everywhere, to the last bit; what differs is what a dead worker costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import pandas as pd

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.plan import Params, SpecLike, SweepError, SweepPlan, sweep_plan
from daybook.backtest.scale_out_files import BarsFile, load_bars, publish_bars
from daybook.backtest.scale_out_tasks import (
    LEAST_SECONDS,
    Pace,
    Piece,
    TaskResult,
    Work,
    pieces,
    run_task,
    split,
)
from daybook.backtest.scale_out_workers import DIED, ProcessWorkers, Workers, dask_workers
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.sweep import SWEEP_COLUMNS, block_returns, sweep
from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars

EngineKind = Literal["local", "processes", "dask"]
Markets: TypeAlias = Bars | BarsFile | Iterable[Bars | BarsFile]
DEATHS_ALONE = 2
"""So often a simulation must kill the worker that runs nothing else before it is set aside."""
_PARTS = 8


@dataclass(frozen=True)
class Quarantined:
    """A simulation that killed its worker each time, even alone: it has no row, and must be shown."""

    strategy: str
    identity: str
    structure_hash: str
    symbol: str
    timeframe: str
    params: str

    @property
    def text(self) -> str:
        """What a person reads."""
        return (f"{self.strategy} on {self.symbol} {self.timeframe} with {self.params}: its worker died each time, so "
                "it has no result")


@dataclass(frozen=True)
class TaskCost:
    """What one task took on its worker: to open and verify bars and to simulate by the wall clock, processor in all."""

    simulations: int
    load_seconds: float
    simulate_seconds: float
    processor_seconds: float


@dataclass(frozen=True)
class Swept:
    """A sweep's table (without quarantined simulations), their block returns if wanted, and what was set aside.

    table: as `sweep` returns it. blocks: (rows, B) float64 as `block_returns` does. tasks: those that were finished;
    none of the local engine.
    """

    table: pd.DataFrame
    blocks: Floats | None = None
    quarantined: tuple[Quarantined, ...] = ()
    tasks: tuple[TaskCost, ...] = ()


@dataclass(frozen=True)
class Engine:
    """Where sweeps run.

    kind: "local" (threads of this process), "processes" (worker processes of this machine) or "dask". workers: how
    many at most, where this machine provides them. address: scheduler of a running cluster; None starts worker
    processes of this machine. folder: where bars are published for workers, a path or URI that each of them can open.
    task_seconds: what a task should take where there is enough to do, at least 0.2. pace: what simulations cost, as
    earlier sweeps of this engine learned. Raises UsageError for anything else.
    """

    kind: EngineKind = "local"
    workers: int = 1
    address: str | None = None
    folder: str | Path | None = None
    task_seconds: float = 1.0
    pace: Pace = field(default_factory=Pace, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(EngineKind):
            raise UsageError(f"engine: found {self.kind!r}, allowed are {', '.join(get_args(EngineKind))}.")
        if self.workers < 1:
            raise UsageError(f"engine: found {self.workers} workers, at least 1 is needed.")
        if not self.task_seconds >= LEAST_SECONDS:
            raise UsageError(f"engine: task_seconds is {self.task_seconds!r}, allowed is {LEAST_SECONDS} or more.")
        if self.kind != "local" and self.folder is None:
            raise UsageError(f"engine: {self.kind} needs a folder in which workers find the bars. Name one.")

    def sweep(
        self, specs: SpecLike | Iterable[SpecLike], bars: Markets, params: Params | None = None,
        costs: Costs | None = None, window: Window | None = None, block: str | None = None, *,
        sizing: Sizing = NOTIONAL, conditions: Conditions = PLAIN,
    ) -> Swept:
        """`daybook.backtest.sweep` on this engine, and `block_returns` of the same simulations where block is given.

        bars: bars, or files of bars that publish_bars wrote, which only workers open. sizing, conditions: as in a
        replay of each simulation. A simulation that kills every worker is quarantined and named; all others are done.
        Raises what `sweep` raises, UsageError when Dask is not installed, EngineError when the cluster can not be
        reached, DataError when a file is not what was published.
        """
        markets = [bars] if isinstance(bars, Bars | BarsFile) else list(bars)
        if block is not None and window is None:
            raise SweepError("sweep: block returns of several workers need a window, so that their blocks line up.")
        if self.kind == "local":
            loaded = [load_bars(part) if isinstance(part, BarsFile) else part for part in markets]
            rules: Any = {"sizing": sizing, "conditions": conditions}
            table = sweep(specs, loaded, params, costs, window, self.workers, **rules)
            blocks = None if block is None else block_returns(specs, loaded, params, costs, window, block, **rules)
            return Swept(table, blocks)
        files = [self._published(part) for part in markets]
        # A plan asks bars for their name, timeframe and length, which a file tells too.
        plan = sweep_plan(specs, cast("list[Bars]", files), params)
        with self._workers() as workers:
            work = Work(plan, costs or Costs(), window, block, sizing, replace(conditions, detail=None),
                        self._detail(conditions))
            return scaled_out(work, workers, self.task_seconds, self.pace)

    def _published(self, bars: Bars | BarsFile) -> BarsFile:
        return bars if isinstance(bars, BarsFile) else publish_bars(bars, cast("str | Path", self.folder))

    def _detail(self, conditions: Conditions) -> BarsFile | dict[str, BarsFile | None] | None:
        """The finer bars of the conditions as files."""
        if isinstance(conditions.detail, Mapping):
            return {symbol: None if bars is None else self._published(bars)
                    for symbol, bars in conditions.detail.items()}
        return None if conditions.detail is None else self._published(conditions.detail)

    def _workers(self) -> AbstractContextManager[Workers]:
        if self.kind == "dask":
            return dask_workers(self.address, self.workers)
        return nullcontext(ProcessWorkers(self.workers))


def scaled_out(work: Work, workers: Workers, task_seconds: float, pace: Pace) -> Swept:
    """Run every distinct simulation of the work once and put the rows into the order of its plan."""
    first = _first_of_each(work.plan)
    results: dict[Piece, TaskResult] = {}
    suspects: list[Piece] = []
    todo = pieces(work, sorted(set(first)), pace, workers.count, task_seconds)
    # The function is looked up at each call: what workers run is this module's run_task.
    for piece, answer in workers.run(run_task, ((piece, work.task(piece)) for piece in todo)):
        if answer is DIED:
            suspects.append(piece)
        else:
            results[piece] = work.checked(piece, answer)
            pace.learn(work, piece, answer)
    lost: set[int] = set()
    for piece in suspects:
        lost |= _alone(work, workers.alone(), piece, results)
    return _joined(work, first, results, lost)


def _first_of_each(plan: SweepPlan) -> list[int]:
    """For each row the first row that is the same simulation: a spec may be given twice."""
    seen: dict[tuple[int, str, str], int] = {}
    return [seen.setdefault((job.market, job.strategy.identity, job.params_text), position)
            for position, job in enumerate(plan.jobs)]


def _alone(work: Work, workers: Workers, piece: Piece, results: dict[Piece, TaskResult]) -> set[int]:
    """Run what was at hand when a worker died again, part by part with nothing beside it; the positions that kill.

    Most of it is innocent: its worker was killed from outside, or for what another task did.
    """
    lost: set[int] = set()
    for part in split(piece, _PARTS):
        answer: Any = DIED
        for _ in range(DEATHS_ALONE if len(part.positions) == 1 else 1):
            answer = next(iter(workers.run(run_task, [(part, work.task(part))])))[1]
            if answer is not DIED:
                results[part] = work.checked(part, answer)
                break
        if answer is DIED:
            lost |= set(part.positions) if len(part.positions) == 1 else _alone(work, workers, part, results)
    return lost


def _joined(work: Work, first: Sequence[int], results: dict[Piece, TaskResult], lost: set[int]) -> Swept:
    """Rows in the order of the plan, those that are the same simulation repeated."""
    plan = work.plan
    done = list(results.values())
    ran = [position for piece in results for position in piece.positions]
    place = {position: row for row, position in enumerate(ran)}
    kept = [position for position in range(len(plan.jobs)) if first[position] not in lost]
    rows = [place[first[position]] for position in kept]
    tables = [result.table for result in done] or [pd.DataFrame(columns=list(SWEEP_COLUMNS))]
    table = pd.concat(tables, ignore_index=True).iloc[rows].reset_index(drop=True)
    table["strategy"] = [plan.jobs[position].strategy.name for position in kept]
    return Swept(
        table, _blocks(work, done, rows),
        tuple(_quarantined(plan, position) for position in sorted(lost)),
        tuple(TaskCost(len(piece.positions), result.load_seconds, result.simulate_seconds, result.processor_seconds)
              for piece, result in results.items()),
    )


def _blocks(work: Work, done: Sequence[TaskResult], rows: Sequence[int]) -> Floats | None:
    if work.block is None or work.window is None:
        return None
    parts = [result.blocks for result in done if result.blocks is not None]
    return np.concatenate([np.empty((0, BlockGrid.of(work.window, work.block).count)), *parts])[rows]


def _quarantined(plan: SweepPlan, position: int) -> Quarantined:
    job = plan.jobs[position]
    part = plan.bars[job.market]
    return Quarantined(job.strategy.name, job.strategy.identity, job.strategy.structure_hash, part.symbol,
                       part.timeframe, job.params_text)
