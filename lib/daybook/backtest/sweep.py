"""Many simulations at once: one row each, ready to be ranked, or their returns by the hour."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.kernel import BLOCK, METRICS, run_many
from daybook.backtest.plan import Params, SpecLike, SweepPlan, sweep_plan
from daybook.backtest.simulate import kernel_levels, new_record, place_bits, simulate_one, simulate_rest
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.tape import WindowTape, window_tape
from daybook.core.arrays import Floats, Ints
from daybook.core.parallel import parallel_map
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import SignalPlan

if TYPE_CHECKING:
    import pandas as pd

SWEEP_COLUMNS = ("strategy", "identity", "symbol", "timeframe", "params", "n_bars", *METRICS)
"""The columns of a sweep's table, in order."""

_BATCH = 64
"""Simulations whose bits are held at once: their arena stays in the cache of the core."""
_BARS_WORTH_THREADS = 5_000_000
"""Bars x simulations that take about 50 ms on one core; below it a second thread costs more than it brings."""

_Piece = tuple[int, list[int]]


def sweep(
    specs: SpecLike | Iterable[SpecLike],
    bars: Bars | Iterable[Bars],
    params: Params | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    jobs: int = 1,
    *,
    sizing: Sizing = NOTIONAL,
    conditions: Conditions = PLAIN,
) -> pd.DataFrame:
    """Simulate every spec with every parameter set on every market: one row a simulation, columns SWEEP_COLUMNS.

    specs: one spec, strategy, JSON text or mapping, or several. bars: one market and timeframe, or several; a spec
    skips timeframes that it does not name. Bars before the window warm signals up, bars after it are not looked at.
    params: None for the defaults, a sequence of name -> value mappings that every spec runs, or identity -> sequence.
    Rows are ordered by spec, bars, parameter set. Metrics are float64, NaN where undefined (docs/BACKTEST_GUIDE.md).
    jobs: threads at most; the result does not depend on it. sizing, conditions: as in a replay of each simulation.
    Raises SweepError, SpecError, WindowError, PriceError, CostError, FundingError or DetailError before the first
    simulation of a market, SizingError at the first that has no stop to size its risk by.
    """
    plan = sweep_plan(specs, bars, params)
    costs = costs or Costs()
    table = np.empty((len(plan.jobs), len(METRICS)))
    counts = np.empty(len(plan.jobs), dtype=np.int64)

    def simulate(piece: _Piece) -> None:
        rows = piece[1]
        tape = window_tape(plan.bars[piece[0]], costs, window, sizing, conditions)
        counts[rows], table[rows] = len(tape), _metric_rows(plan, piece, tape)

    _run_pieces(plan, simulate, jobs)
    return _frame(plan, counts, table)


def block_returns(
    specs: SpecLike | Iterable[SpecLike],
    bars: Bars | Iterable[Bars],
    params: Params | None = None,
    costs: Costs | None = None,
    window: Window | None = None,
    block: str = "60m",
    *,
    sizing: Sizing = NOTIONAL,
    conditions: Conditions = PLAIN,
) -> Floats:
    """Equity change of every simulation in every block of time: (N, B) float64 fraction of the initial capital.

    Rows are those of `sweep` with the same arguments. Blocks start with the window (without one: with the first bar,
    rounded down to a whole block), so that timeframes and markets line up; a bar counts where it opens, and a block in
    which a market has no bar has 0. A row sums to that simulation's total_return. Raises as `sweep` does.
    """
    plan = sweep_plan(specs, bars, params)
    costs = costs or Costs()
    grid = BlockGrid.of(window, block) if window is not None else BlockGrid.over(plan.bars, block)
    returns = np.empty((len(plan.jobs), grid.count))
    for piece in plan.pieces(1):
        market, rows = piece
        tape = window_tape(plan.bars[market], costs, window, sizing, conditions)
        record = new_record(len(tape))
        out, bits = np.empty(len(METRICS)), np.empty(len(tape), dtype=np.uint8)
        with closing(SignalPlan(plan.bars[market].rows(0, tape.stop))) as signals:
            for row in rows:
                job = plan.jobs[row]
                place_bits(signals.bound_bits(job.strategy, job.params), tape, bits)
                simulate_one(bits, tape, job.strategy.bound_stops(job.params), out, record)
                returns[row] = grid.changes(tape.open_time, record[0][0])
    return returns


def _run_pieces(plan: SweepPlan, simulate: Callable[[_Piece], None], jobs: int) -> None:
    """Run the work units, on threads where they are worth it."""
    threads = jobs if plan.bar_count >= _BARS_WORTH_THREADS else 1
    parallel_map(simulate, plan.pieces(threads), threads)


def _metric_rows(plan: SweepPlan, piece: _Piece, tape: WindowTape) -> Floats:
    """(n, len(METRICS)) float64 for the simulations of one work unit."""
    market, rows = piece
    bits = np.empty((min(_BATCH, len(rows)), -(-len(tape) // BLOCK) * BLOCK), dtype=np.uint8)
    history = np.empty(tape.stop, dtype=np.uint8)
    stops = [plan.jobs[row].strategy.bound_stops(plan.jobs[row].params) for row in rows]
    levels = np.array([kernel_levels(one) for one in stops])
    out = np.empty((len(rows), len(METRICS)))
    with closing(SignalPlan(plan.bars[market].rows(0, tape.stop))) as signals:
        for first in range(0, len(rows), _BATCH):
            batch = rows[first:first + _BATCH]
            last = first + len(batch)
            for slot, row in enumerate(batch):
                job = plan.jobs[row]
                signals.bound_bits(job.strategy, job.params, history)
                place_bits(history, tape, bits[slot])
            run_many(bits[:len(batch)], tape.tape, tape.terms, levels[first:last], out[first:last])
            simulate_rest(bits, tape, stops[first:last], out[first:last])
    return out


def _frame(plan: SweepPlan, counts: Ints, table: Floats) -> pd.DataFrame:
    """The table of a sweep, all columns at once."""
    import pandas as pd

    bars = [plan.bars[job.market] for job in plan.jobs]
    columns = {
        "strategy": [job.strategy.name for job in plan.jobs],
        "identity": [job.strategy.identity for job in plan.jobs],
        "symbol": [part.symbol for part in bars],
        "timeframe": [part.timeframe for part in bars],
        "params": [job.params_text for job in plan.jobs],
        "n_bars": counts,
        **dict(zip(METRICS, table.T, strict=True)),
    }
    columns["trades"] = table[:, METRICS.index("trades")].astype(np.int64)
    columns["ruined"] = table[:, METRICS.index("ruined")] != 0.0
    return pd.DataFrame(columns)
