"""Sweeps of any number of parameter sets in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.plan import ParamSet, SpecLike, strategies_of
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.sweep import SWEEP_COLUMNS, sweep
from daybook.core.errors import UsageError
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars

if TYPE_CHECKING:
    import pandas as pd

CHUNK_SETS = 4096
"""Parameter sets whose rows are held at once."""


@dataclass(frozen=True)
class SweepInputs:
    """What all simulations of a streamed sweep share; see `sweep` for each."""

    bars: tuple[Bars, ...]
    costs: Costs | None = None
    window: Window | None = None
    sizing: Sizing = NOTIONAL
    conditions: Conditions = PLAIN


@dataclass(frozen=True)
class Best:
    """The best rows of a streamed sweep, columns SWEEP_COLUMNS, and how many simulations they were chosen from."""

    table: pd.DataFrame
    simulations: int


def sweep_chunks(
    specs: SpecLike | Iterable[SpecLike],
    inputs: SweepInputs,
    params: Iterable[ParamSet],
    jobs: int = 1,
    sets: int = CHUNK_SETS,
) -> Iterator[pd.DataFrame]:
    """The tables that `sweep` gives for the first `sets` parameter sets, for the next ones, and so on.

    params: parameter sets that every spec runs, taken as they are needed: a generator is never held as a whole.
    Each table is ordered by spec, bars, parameter set, and a simulation's row is the one it has in a single sweep.
    Raises UsageError at the first table when there is no parameter set (a generator gives its sets to one sweep alone)
    or for sets below 1, and as `sweep` does.
    """
    if sets < 1:
        raise UsageError(f"sweep_chunks: sets is {sets}, allowed is 1 or more.")
    strategies, remaining = strategies_of(specs), iter(params)
    chunk = list(islice(remaining, sets))
    if not chunk:
        raise UsageError("params: there is no parameter set. Give at least one; {} stands for the defaults. A "
                         "generator that another sweep went through is spent: make a new one for each.")
    while chunk:
        yield sweep(strategies, inputs.bars, chunk, inputs.costs, inputs.window, jobs, sizing=inputs.sizing,
                    conditions=inputs.conditions)
        chunk = list(islice(remaining, sets))


def sweep_best(
    specs: SpecLike | Iterable[SpecLike],
    inputs: SweepInputs,
    params: Iterable[ParamSet],
    jobs: int = 1,
    by: str = "sharpe",
    keep: int = 100,
) -> Best:
    """The `keep` simulations with the highest figure, best first; of equal ones those that were simulated earlier.

    A simulation whose figure is undefined is counted and never kept. Raises UsageError for a figure that is no number
    of a sweep's table or for keep below 1, and as `sweep_chunks` does.
    """
    import pandas as pd

    figures = SWEEP_COLUMNS[SWEEP_COLUMNS.index("n_bars"):]
    if by not in figures or keep < 1:
        raise UsageError(f"sweep_best: by is {by!r} and keep is {keep}; allowed are {', '.join(figures)} and 1 or "
                         "more.")
    best: list[pd.DataFrame] = []
    simulations = 0
    for table in sweep_chunks(specs, inputs, params, jobs):
        simulations += len(table)
        rivals = pd.concat([*best, table], ignore_index=True)
        best = [rivals.dropna(subset=[by]).sort_values(by, ascending=False, kind="stable").head(keep)]
    return Best(best[0].reset_index(drop=True), simulations)
