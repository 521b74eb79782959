"""The tasks of a scaled-out sweep: what one carries, how it is run, and how many simulations make a good one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.plan import Job, SweepPlan
from daybook.backtest.scale_out_files import BarsFile, is_kept, load_bars
from daybook.backtest.simulate import warm
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.sweep import block_returns, sweep
from daybook.core.arrays import Floats
from daybook.core.errors import DataError, DaybookError
from daybook.core.hashing import canonical_json
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.funding import FundingRates
from daybook.strategy import Strategy, parse_spec

_T = TypeVar("_T")


class TaskError(DaybookError):
    """An error of a task that could not be sent as it was."""


LEAST_SECONDS = 0.2
"""A shorter task spends a noticeable share of its life on the way to a worker and back."""
LOAD_SHARE = 0.2
"""A task simulates so long that opening its bars and making them ready takes about this share of that at most."""
_TASKS_A_WORKER = 4
_GUESSED_SIMULATE = 1e-8
_GUESSED_LOAD = 1.2e-7
_READY = 2e-7
"""Seconds a bar that each task spends on a market before its first simulation: prices checked, shared columns made."""


@dataclass(frozen=True)
class Part:
    """The simulations of a task on one market: each spec (canonical JSON) with its parameter sets (canonical JSON).

    funding, detail: those of this market, as `Conditions` takes them, finer bars as their file.
    """

    file: BarsFile
    specs: tuple[tuple[str, tuple[str, ...]], ...]
    funding: FundingRates | Mapping[str, FundingRates | None] | None = None
    detail: BarsFile | Mapping[str, BarsFile | None] | None = None

    def conditions(self, shared: Conditions) -> Conditions:
        """The conditions of this market; finer bars are opened and verified."""
        detail = load_bars(self.detail) if isinstance(self.detail, BarsFile) else None
        named = dict.fromkeys(self.detail) if isinstance(self.detail, Mapping) else detail
        return replace(shared, funding=self.funding, detail=named)


@dataclass(frozen=True)
class SweepTask:
    """Everything a worker needs, without a single bar: it opens the bars itself and verifies their hash.

    block: the length of blocks whose returns are wanted too, None for the table alone. conditions: without those that
    belong to a market.
    """

    parts: tuple[Part, ...]
    costs: Costs
    window: Window | None
    block: str | None
    sizing: Sizing
    conditions: Conditions


@dataclass(frozen=True)
class TaskResult:
    """The rows of a task in its own order, and what they took.

    blocks: (n, B) float64, None where none were wanted. load_seconds, simulate_seconds: by the wall clock.
    processor_seconds: of the worker, for both. loaded_bars: bars that had to be read and verified.
    """

    table: pd.DataFrame
    blocks: Floats | None
    load_seconds: float
    simulate_seconds: float
    processor_seconds: float
    loaded_bars: int


def run_task(task: SweepTask) -> TaskResult:
    """Run a task where it has arrived; rows by part, spec, parameter set. Raises what `sweep` raises, and DataError.

    An error that can not be sent is raised as a TaskError of its name and words, or the worker would seem to have died.
    """
    try:
        return _run(task)
    except Exception as error:
        if not _arrives(error):
            raise TaskError(f"{type(error).__name__}: {error}") from None
        raise


def _arrives(error: Exception) -> bool:
    """Whether an error is the same behind the pipe to a worker."""
    try:
        ForkingPickler.dumps(error)
        make, values = cast(tuple[Any, tuple[Any, ...]], error.__reduce__()[:2])
        again = make(*values)
    except Exception:
        return False
    return type(again) is type(error) and str(again) == str(error)


def _run(task: SweepTask) -> TaskResult:
    _ready()
    tables, blocks = [], []
    load = simulate = 0.0
    loaded_bars = 0
    began = time.process_time()
    for part in task.parts:
        loaded_bars += 0 if is_kept(part.file) else len(part.file)
        started = time.perf_counter()
        bars = load_bars(part.file)
        loaded = time.perf_counter()
        strategies = [_strategy(spec) for spec, _ in part.specs]
        sets = {strategy.identity: [json.loads(text) for text in texts]
                for strategy, (_, texts) in zip(strategies, part.specs, strict=True)}
        rules: Any = {"sizing": task.sizing, "conditions": part.conditions(task.conditions)}
        tables.append(sweep(strategies, bars, sets, task.costs, task.window, **rules))
        if task.block is not None:
            blocks.append(block_returns(strategies, bars, sets, task.costs, task.window, task.block, **rules))
        load += loaded - started
        simulate += time.perf_counter() - loaded
    table = pd.concat(tables, ignore_index=True)
    spent = time.process_time() - began
    return TaskResult(table, np.concatenate(blocks) if blocks else None, load, simulate, spent, loaded_bars)


@cache
def _ready() -> None:
    """Load the kernels of this process before anything is timed."""
    warm()


@lru_cache(maxsize=4096)
def _strategy(spec: str) -> Strategy:
    """The strategy of a spec; a worker meets the same ones task after task."""
    return parse_spec(spec)


@dataclass(frozen=True)
class Piece:
    """The row positions that one task simulates, by market, then in the order of the plan; estimated: seconds."""

    positions: tuple[int, ...]
    estimated: float


@dataclass(frozen=True)
class Work:
    """A plan over files of bars, with what all of its tasks share.

    conditions: without detail, which lies in files: one, or symbol -> file.
    """

    plan: SweepPlan
    costs: Costs
    window: Window | None
    block: str | None
    sizing: Sizing = NOTIONAL
    conditions: Conditions = PLAIN
    detail: BarsFile | Mapping[str, BarsFile | None] | None = None

    @property
    def files(self) -> tuple[BarsFile, ...]:
        """The markets of the plan."""
        return cast("tuple[BarsFile, ...]", self.plan.bars)

    def task(self, piece: Piece) -> SweepTask:
        """The task of a piece."""
        shared = replace(self.conditions, funding=None)
        parts = tuple(self._parts(piece.positions))
        return SweepTask(parts, replace(self.costs), self.window, self.block, self.sizing, shared)

    def _parts(self, positions: Sequence[int]) -> Iterator[Part]:
        markets: dict[int, dict[str, tuple[Strategy, list[str]]]] = {}
        for position in positions:
            job = self.plan.jobs[position]
            specs = markets.setdefault(job.market, {})
            specs.setdefault(job.strategy.identity, (job.strategy, []))[1].append(job.params_text)
        for market, specs in markets.items():
            file = self.files[market]
            told = tuple((canonical_json(strategy.canonical), tuple(texts)) for strategy, texts in specs.values())
            yield Part(file, told, _own(self.conditions.funding, file.symbol), _own(self.detail, file.symbol))

    def checked(self, piece: Piece, result: TaskResult) -> TaskResult:
        """The result, if it is that of the piece. Raises DataError where a worker ran something else."""
        wanted = [self.plan.jobs[position] for position in piece.positions]
        told = [(job.strategy.identity, self.files[job.market].symbol, job.params_text) for job in wanted]
        table = result.table
        if told != list(zip(table["identity"], table["symbol"], table["params"], strict=True)):
            raise DataError("a worker returned other simulations than it was sent: it runs another version of Daybook. "
                            "Give every worker the same code and packages.")
        return result


def _own(given: _T | Mapping[str, _T | None] | None, symbol: str) -> _T | Mapping[str, _T | None] | None:
    """What belongs to a market; where it is not named, the names alone, so that the worker refuses it by them."""
    if not isinstance(given, Mapping):
        return given
    return given[symbol] if symbol in given else dict.fromkeys(given)


@dataclass
class Pace:
    """What simulations and loading cost, learned from the tasks that came back.

    simulate: seconds a bar and simulation, by identity of the strategy. load: seconds a bar.
    """

    simulate: dict[str, float] = field(default_factory=dict)
    load: float = _GUESSED_LOAD
    typical: float = _GUESSED_SIMULATE

    def seconds(self, job: Job, bars: int) -> float:
        """Estimated seconds of one simulation."""
        return bars * self.simulate.get(job.strategy.identity, self.typical)

    def learn(self, work: Work, piece: Piece, result: TaskResult) -> None:
        """Correct the estimates of a piece's strategies by what it took: wholly at first, then half-way."""
        jobs = [work.plan.jobs[position] for position in piece.positions]
        estimated = sum(self.seconds(job, len(work.files[job.market])) for job in jobs)
        ready = _READY * sum(len(work.files[market]) for market in {job.market for job in jobs})
        simulated = max(result.simulate_seconds - ready, 0.1 * result.simulate_seconds)
        factor = simulated / estimated if estimated > 0.0 else 1.0
        for identity in {job.strategy.identity for job in jobs}:
            known = self.simulate.get(identity)
            self.simulate[identity] = self.typical * factor if known is None else known * math.sqrt(factor)
        self.typical = float(np.mean(list(self.simulate.values())))
        if result.loaded_bars:
            self.load = 0.5 * (self.load + result.load_seconds / result.loaded_bars)


def pieces(work: Work, positions: Sequence[int], pace: Pace, workers: int, most_seconds: float) -> Iterator[Piece]:
    """Cut the rows into pieces one after the other, each by what was learned of their cost until it is cut.

    A piece is estimated at LEAST_SECONDS at least (unless that is more than there is), at most_seconds where there is
    that much for every worker, and longer where loading its bars would otherwise be more than LOAD_SHARE of it.
    """
    ordered = sorted(positions, key=lambda position: (work.plan.jobs[position].market, position))
    whole = sum(pace.seconds(work.plan.jobs[p], len(work.files[work.plan.jobs[p].market])) for p in ordered)
    target = max(LEAST_SECONDS, min(most_seconds, whole / (_TASKS_A_WORKER * workers)))
    held: Piece | None = None
    for piece in _cut(work, ordered, pace, target):
        if held is not None and piece.estimated < LEAST_SECONDS:  # what is left at the end goes with the one before
            piece = Piece(held.positions + piece.positions, held.estimated + piece.estimated)
        elif held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def _cut(work: Work, ordered: Sequence[int], pace: Pace, target: float) -> Iterator[Piece]:
    chosen: list[int] = []
    simulate = load = 0.0
    market = -1
    for position in ordered:
        job = work.plan.jobs[position]
        if chosen and simulate >= max(target, load / LOAD_SHARE):
            yield Piece(tuple(chosen), simulate + load)
            chosen, simulate, load, market = [], 0.0, 0.0, -1
        bars = len(work.files[job.market])
        load += (pace.load + _READY) * bars if job.market != market else 0.0
        market = job.market
        simulate += pace.seconds(job, bars)
        chosen.append(position)
    if chosen:
        yield Piece(tuple(chosen), simulate + load)


def split(piece: Piece, parts: int) -> list[Piece]:
    """The piece in at most so many parts of nearly equal length."""
    edges = np.linspace(0, len(piece.positions), min(parts, len(piece.positions)) + 1).astype(int)
    return [Piece(piece.positions[start:stop], piece.estimated * (stop - start) / len(piece.positions))
            for start, stop in pairwise(edges)]

