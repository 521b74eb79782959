"""Many simulations at once: one row each, ready to be ranked, or their returns by the hour."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.kernel import METRICS
from daybook.backtest.plan import Params, Span, SpecLike, SweepPlan, sweep_plan
from daybook.backtest.rows import write_rows
from daybook.backtest.simulate import new_record, place_bits, simulate_one
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.tape import window_tape
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

_BARS_WORTH_THREADS = 5_000_000
"""Bars x simulations that take about 50 ms on one core; below it a second thread costs more than it brings."""

_Piece = tuple[int, list[Span]]


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
    table = np.empty((len(METRICS), len(plan))).T  # each figure lies as the column that it becomes
    counts = np.empty(len(plan), dtype=np.int64)

    def simulate(piece: _Piece) -> None:
        market, spans = piece
        tape = window_tape(plan.bars[market], costs, window, sizing, conditions)
        write_rows(spans, tape, table)
        for span in spans:
            counts[span.rows] = len(tape)

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
    returns = np.empty((len(plan), grid.count))
    for market, spans in plan.pieces(1):
        tape = window_tape(plan.bars[market], costs, window, sizing, conditions)
        record = new_record(len(tape))
        out, bits = np.empty(len(METRICS)), np.empty(len(tape), dtype=np.uint8)
        with closing(SignalPlan(plan.bars[market].rows(0, tape.stop))) as signals:
            for row in (row for span in spans for row in range(span.rows.start, span.rows.stop)):
                job = plan.jobs[row]
                place_bits(signals.bound_bits(job.strategy, job.params), tape, bits)
                simulate_one(bits, tape, job.strategy.bound_stops(job.params), out, record)
                returns[row] = grid.changes(tape.open_time, record[0][0])
    return returns


def _run_pieces(plan: SweepPlan, simulate: Callable[[_Piece], None], jobs: int) -> None:
    """Run the work units, on threads where they are worth it."""
    threads = jobs if plan.bar_count >= _BARS_WORTH_THREADS else 1
    parallel_map(simulate, plan.pieces(threads), threads)


def _frame(plan: SweepPlan, counts: Ints, table: Floats) -> pd.DataFrame:
    """The table of a sweep, all columns at once."""
    import pandas as pd

    sizes = [len(group.sets) for group in plan.groups]
    columns: dict[str, Any] = {
        "strategy": _repeated([group.strategy.name for group in plan.groups], sizes),
        "identity": _repeated([group.strategy.identity for group in plan.groups], sizes),
        "symbol": _repeated([plan.bars[group.market].symbol for group in plan.groups], sizes),
        "timeframe": _repeated([plan.bars[group.market].timeframe for group in plan.groups], sizes),
        "params": [text for group in plan.groups for text in group.sets.texts],
        "n_bars": counts,
        **dict(zip(METRICS, table.T, strict=True)),
    }
    columns["trades"] = table[:, METRICS.index("trades")].astype(np.int64)
    columns["ruined"] = table[:, METRICS.index("ruined")] != 0.0
    return pd.DataFrame(columns, copy=False)


def _repeated(texts: list[str], sizes: list[int]) -> list[str]:
    """Each text as often as its group has rows."""
    return [text for text, size in zip(texts, sizes, strict=True) for _ in range(size)]
