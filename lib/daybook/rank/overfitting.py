"""Probability of backtest overfitting: how often the best of many in one half of the time disappoints in the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.rank.statistics import lively_rows

MAX_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What cross-validation of a choice found, or the reason why it could not be made.

    pbo: share of splits in which the row that is best in sample ranks below the median of all rows out of sample; a
    rank on the median itself counts half. About 0.5 is chance, above it the choice does harm. logits: (splits,)
    log odds of that rank, below 0 under the median. in_sample, out_of_sample: (splits,) Sharpe ratios per period of the
    chosen row. slope: of out_of_sample on in_sample by least squares, None where in_sample never differs. loss: share
    of splits in which the chosen row has a Sharpe ratio below 0 out of sample.
    rows: compared. constant, missing: rows left out because they never differ or are not finite. periods: returns a
    row. groups: into which the periods were cut.
    """

    pbo: float | None
    slope: float | None
    loss: float | None
    reason: str | None
    rows: int
    constant: int
    missing: int
    periods: int
    groups: int
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats

    @property
    def splits(self) -> int:
        """How many splits were judged."""
        return self.logits.size

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The figures without the series of splits, for a table or a manifest."""
        return {
            "pbo": self.pbo, "slope": self.slope, "loss": self.loss, "reason": self.reason, "rows": self.rows,
            "constant": self.constant, "missing": self.missing, "periods": self.periods, "groups": self.groups,
            "splits": self.splits,
        }


def overfitting(returns: Floats, groups: int = 16) -> Overfitting:
    """Probability of backtest overfitting of choosing the best Sharpe ratio among rows, by CSCV.

    returns: (N, T) float64 fraction per period, one row a trial, all over the same periods, oldest first. The periods
    are cut into `groups` adjacent parts, whose lengths differ by one at most; each half of them is once in sample and
    once out of sample: 12,870 splits for 16 groups. Memory is that of the input and of 3 values a split.
    Undefined, with the reason: fewer than two rows that vary, fewer than two periods a group.
    Raises UsageError for returns that are not a table, and for groups that are odd or outside 2 to MAX_GROUPS.
    Source: Bailey, Borwein, Lopez de Prado and Zhu (2017), J. Computational Finance 20(4), 39-69.
    """
    if returns.ndim != 2:
        raise UsageError(f"overfitting: found returns of shape {returns.shape}, allowed is (rows, periods).")
    if groups % 2 or not 2 <= groups <= MAX_GROUPS:
        raise UsageError(f"groups: found {groups}, allowed are even numbers from 2 to {MAX_GROUPS}.")
    values = np.ascontiguousarray(returns, dtype=np.float64)
    lively = lively_rows(values)
    rows, periods = lively.rows.size, returns.shape[1]
    reason = None
    if periods < 2 * groups:
        reason = f"{periods} periods; {groups} groups need at least {2 * groups}"
    elif rows < 2:
        reason = f"{rows} of {len(returns)} rows vary; a choice needs at least 2"
    splits = np.empty((0, 3)) if reason else _splits(values[lively.rows], groups)
    rank, in_sample, out_of_sample = splits.T
    return Overfitting(
        pbo=None if reason else float(np.mean(rank < 0.5) + 0.5 * np.mean(rank == 0.5)),
        slope=_slope(in_sample, out_of_sample), loss=None if reason else float(np.mean(out_of_sample < 0.0)),
        reason=reason, rows=rows, constant=lively.constant, missing=lively.missing, periods=periods, groups=groups,
        logits=np.log(rank / (1.0 - rank)), in_sample=in_sample, out_of_sample=out_of_sample,
    )


def _splits(returns: Floats, groups: int) -> Floats:
    """(splits, 3) of `symmetric_splits`, in the lexicographic order of the groups that are out of sample."""
    from daybook.rank.overfitting_kernel import symmetric_splits

    scaled = returns / np.max(np.abs(returns), axis=1, keepdims=True)
    means = scaled.mean(axis=1)
    sizes = [part.size for part in np.array_split(np.arange(returns.shape[1]), groups)]
    edges = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    members = np.array(list(combinations(range(groups), groups // 2)), dtype=np.int64)
    return symmetric_splits(scaled - means[:, None], means, edges, members[:len(members) // 2])


def _slope(in_sample: Floats, out_of_sample: Floats) -> float | None:
    if in_sample.size == 0:
        return None
    centred = in_sample - in_sample.mean()
    square = float(np.sum(centred**2))
    return float(np.sum(centred * (out_of_sample - out_of_sample.mean()))) / square if square > 0.0 else None
