"""Reality check: whether the best of many trials beats a benchmark by more than choosing the best explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.seeds import generator
from daybook.rank.statistics import lively_rows

if TYPE_CHECKING:
    from arch.bootstrap import SPA

MIN_PERIODS = 20
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RealityCheck:
    """Test of superior predictive ability, or the reason why it could not be made.

    p_value: consistent, between p_lower and p_upper, which differ in how many hopeless rows are counted as rivals; none
    is ever below 1 / (repetitions + 1). superior: rows that beat the benchmark with a family-wise error of `level`
    (StepM), rising. best: the row with the highest mean per unit of deviation. rows: compared. constant, missing: rows
    left out because their excess never differs or is not finite. periods: returns a row. block_length: mean length of
    the resampled blocks, periods.
    """

    p_value: float | None
    p_lower: float | None
    p_upper: float | None
    reason: str | None
    superior: tuple[int, ...]
    best: int | None
    rows: int
    constant: int
    missing: int
    periods: int
    level: float
    repetitions: int
    block_length: int

    def as_dict(self) -> dict[str, float | int | str | list[int] | None]:
        """The figures, for a table or a manifest."""
        return {
            "p_value": self.p_value, "p_lower": self.p_lower, "p_upper": self.p_upper, "reason": self.reason,
            "superior": list(self.superior), "best": self.best, "rows": self.rows, "constant": self.constant,
            "missing": self.missing, "periods": self.periods, "level": self.level, "repetitions": self.repetitions,
            "block_length": self.block_length,
        }


def reality_check(
    returns: Floats, *, seed: int, benchmark: Floats | None = None, level: float = 0.05, repetitions: int = 1000,
    block_length: int | None = None,
) -> RealityCheck:
    """Hansen's SPA test and the StepM set of many trials against one benchmark.

    returns: (N, T) float64 fraction per period, one row a trial, all over the same periods. benchmark: (T,) returns, or
    None for zero, not to trade at all. Each row of excess returns is first scaled to unit variance, because the test
    statistic is the largest mean and would otherwise be that of the wildest row. The stationary bootstrap resamples all
    rows together in blocks of random length; block_length is their mean, None means the cube root of T rounded up:
    6 hours for a week of hourly returns, 9 for four weeks. Longer blocks let a row that bleeds until it is ruined, and
    then stands still, hide a winner. seed: the same seed gives the same result whatever the order of rows.
    Memory is 24 bytes a row and repetition: 72 MB for 3,000 rows.
    Undefined, with the reason: fewer than MIN_PERIODS periods, no row that varies. Raises UsageError for shapes that do
    not fit and for a benchmark, level, repetitions or block_length outside their range.
    Source: White (2000), Econometrica 68(5); Hansen (2005), J. Business & Economic Statistics 23(4); Romano and Wolf
    (2005), Econometrica 73(4); Politis and Romano (1994), J. American Statistical Association 89, for the bootstrap,
    and Politis and White (2004), Econometric Reviews 23(1), for how its blocks grow.
    """
    _require_table(returns, benchmark)
    periods = returns.shape[1]
    length = math.ceil(periods ** (1 / 3) - _ROUNDING) if block_length is None else block_length
    _require_test(level, repetitions, length, periods)
    excess = np.ascontiguousarray(returns if benchmark is None else returns - benchmark, dtype=np.float64)
    lively = lively_rows(excess)
    reason = None
    if periods < MIN_PERIODS:
        reason = f"{periods} periods; at least {MIN_PERIODS} are needed to resample"
    elif not lively.rows.size:
        reason = f"none of {len(returns)} rows varies"
    values: tuple[float | None, float | None, float | None] = (None, None, None)
    superior: tuple[int, ...] = ()
    best = None
    if reason is None:
        scaled = _unit_variance(excess[lively.rows])
        test = _superior_ability(scaled, seed, repetitions, length)
        lower, consistent, upper = ((round(float(p) * repetitions) + 1) / (repetitions + 1) for p in test.pvalues)
        values = (consistent, lower, upper)
        superior = tuple(int(lively.rows[place]) for place in _stepwise(test, len(scaled), level))
        best = int(lively.rows[np.argmax(scaled.mean(axis=1))])
    return RealityCheck(
        *values, reason, superior, best, lively.rows.size, lively.constant, lively.missing, periods, level, repetitions,
        length,
    )


def _superior_ability(scaled: Floats, seed: int, repetitions: int, block_length: int) -> SPA:
    """The computed test on losses, which are the returns with their sign turned."""
    # Importing arch takes half a second beside pandas and scipy, even by its narrowest name.
    from arch.bootstrap import SPA

    losses = np.ascontiguousarray(-scaled.T)
    rng = generator(seed, "reality-check")
    test = SPA(np.zeros(len(losses)), losses, block_length, repetitions, bootstrap="stationary", seed=rng)
    test.compute()
    return test


def _stepwise(test: SPA, rows: int, level: float) -> list[int]:
    """Places of the rows that StepM calls superior: those above the critical value, again and again without them.

    arch's own StepM draws the same resamples once more, and fails where several steps leave no row at all.
    """
    remaining = np.ones(rows, dtype=np.bool_)
    superior: list[int] = []
    while remaining.any():
        test.subset(remaining)
        test.compute()
        better = [int(place) for place in test.better_models(level)]
        if not better:
            break
        superior.extend(better)
        remaining[better] = False
    return sorted(superior)


def _unit_variance(rows: Floats) -> Floats:
    """Each row divided by its deviation; a row is divided by its largest value first, so that no square underflows."""
    scaled = rows / np.max(np.abs(rows), axis=1, keepdims=True)
    unit: Floats = scaled / scaled.std(axis=1, keepdims=True)
    return unit


def _require_table(returns: Floats, benchmark: Floats | None) -> None:
    if returns.ndim != 2:
        raise UsageError(f"reality_check: found returns of shape {returns.shape}, allowed is (rows, periods).")
    if benchmark is None:
        return
    if benchmark.shape != returns.shape[1:]:
        raise UsageError(f"benchmark: found shape {benchmark.shape}, allowed is {returns.shape[1:]}, one a period.")
    if not np.isfinite(benchmark).all():
        missing = int(np.sum(~np.isfinite(benchmark)))
        raise UsageError(f"benchmark: {missing} of {benchmark.size} returns are missing or not finite; leave them out.")


def _require_test(level: float, repetitions: int, length: int, periods: int) -> None:
    if not 0.0 < level < 1.0:
        raise UsageError(f"level: found {level}, allowed is above 0 and below 1.")
    if repetitions < 100:
        raise UsageError(f"repetitions: found {repetitions}, allowed is 100 or more.")
    if periods >= MIN_PERIODS and not 1 <= length <= periods:
        raise UsageError(f"block_length: found {length}, allowed is 1 to the {periods} periods of the returns.")
