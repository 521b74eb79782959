"""Clusters of trials: how many different ideas a crowd of correlated trials amounts to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import UsageError
from daybook.rank.statistics import lively_rows, unit_rows

SAME_IDEA = 0.5
"""Mean correlation from which two clusters of trials are one: they then share half of their variance or more."""

_GROUP = 4000
"""Rows clustered at once: a quarter of a gigabyte."""
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class TrialClusters:
    """How many trials there were, and how many they amount to.

    trials: rows given. clusters: of rows that vary. effective: between clusters and the rows that vary, see
    `trial_clusters`. constant, missing: rows left out because they never differ or are not finite. labels: (trials,)
    cluster of each row, numbered from 0 in the order of their first rows; -1 for a row left out.
    correlation: from which clusters were joined.
    """

    trials: int
    clusters: int
    effective: float
    constant: int
    missing: int
    labels: Ints
    correlation: float

    def as_dict(self) -> dict[str, float | int]:
        """The figures without the labels."""
        return {
            "trials": self.trials, "clusters": self.clusters, "effective": self.effective, "constant": self.constant,
            "missing": self.missing, "correlation": self.correlation,
        }


def trial_clusters(returns: Floats, correlation: float = SAME_IDEA) -> TrialClusters:
    """Effective number of trials, by clusters of their correlated returns.

    returns: (N, T) float64, one row a trial, all over the same periods. Rows are joined by average linkage for as long
    as the mean correlation between two clusters is at least `correlation`. Clusters count as independent of each other;
    inside one, n trials with mean correlation rho count as rho + (1 - rho) n. Thus copies count once, unrelated trials
    each, and opposite trials, of which one is always the better, both. It is an estimate, since unrelated trials over
    few periods seem related by chance: a gate charges all trials. More than 4,000 rows are clustered in parts whose
    counts are added, which counts more. The order of rows changes nothing.
    Raises UsageError for returns that are not a table and for a correlation outside 0 to 1.
    Source: Lopez de Prado and Lewis (2019), Quantitative Finance 19(9), for counting clusters, with a fixed cut instead
    of their search, which finds clusters among unrelated trials too; Bailey and Lopez de Prado (2014), J. Portfolio
    Management 40(5), A.3 inside one.
    """
    if returns.ndim != 2:
        raise UsageError(f"trial_clusters: found returns of shape {returns.shape}, allowed is (trials, periods).")
    if not 0.0 < correlation <= 1.0:
        raise UsageError(f"correlation: found {correlation}, allowed is above 0 and at most 1.")
    lively = lively_rows(returns)
    unit = np.empty((0, returns.shape[1]))
    if lively.rows.size:
        # Adding 0 turns -0.0 into 0.0, so that equal rows have equal bytes.
        unit = np.round(unit_rows(np.ascontiguousarray(returns[lively.rows], dtype=np.float64)), _DIGITS) + 0.0
    order = _canonical_order(unit)
    labels = np.full(len(returns), -1, dtype=np.int64)
    found = 0
    effective = 0.0
    for first in range(0, len(order), _GROUP):
        part = order[first:first + _GROUP]
        joined = _joined(unit[part], correlation)
        labels[lively.rows[part]] = joined + found
        effective += _independent(unit[part], joined)
        found += int(joined.max()) + 1
    return TrialClusters(
        len(returns), found, effective, lively.constant, lively.missing, _renumbered(labels), correlation
    )


def _canonical_order(unit: Floats) -> Ints:
    """Places of the rows in the order of their bytes, which is the same however they are given."""
    if not unit.size:
        return np.empty(0, dtype=np.int64)
    order: Ints = np.argsort(unit.view(f"V{unit.itemsize * unit.shape[1]}").ravel(), kind="stable")
    return order


def _joined(unit: Floats, correlation: float) -> Ints:
    """(n,) number of the cluster of each row, from 0."""
    if len(unit) == 1:
        return np.zeros(1, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    upper = np.triu_indices(len(unit), 1)
    # Rounded, since the last digits of a matrix product depend on the library's threads.
    distance = np.maximum(np.round(1.0 - unit @ unit.T, _DIGITS)[upper], 0.0)
    numbers = fcluster(linkage(distance, "average"), 1.0 - correlation + 10.0**-_DIGITS, criterion="distance")
    labels: Ints = numbers.astype(np.int64) - 1
    return labels


def _independent(unit: Floats, labels: Ints) -> float:
    """Sum over clusters of rho + (1 - rho) n, rho the mean correlation inside, at least 0."""
    sizes = np.bincount(labels)
    sums = np.zeros((sizes.size, unit.shape[1]))
    np.add.at(sums, labels, unit)
    pairs = np.maximum(sizes * (sizes - 1), 1)
    rho = np.clip(np.round((np.sum(sums**2, axis=1) - sizes) / pairs, _DIGITS), 0.0, 1.0)
    return float(np.sum(np.where(sizes == 1, 1.0, rho + (1.0 - rho) * sizes)))


def _renumbered(labels: Ints) -> Ints:
    """Labels numbered in the order of their first rows; -1 stays."""
    names, first, places = np.unique(labels, return_index=True, return_inverse=True)
    lively = names >= 0
    rank = np.full(names.size, -1, dtype=np.int64)
    rank[np.flatnonzero(lively)[np.argsort(first[lively])]] = np.arange(int(lively.sum()))
    renumbered: Ints = rank[places]
    return renumbered
