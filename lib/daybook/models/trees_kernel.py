"""Sum of decision trees, compiled: one path for a model just fitted and for one read from disk."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Bools, Floats, Floats32


@njit(cache=True, error_model="numpy", nogil=True)
def sum_of_trees(
    features: Floats32,
    base: float,
    roots: NDArray[np.int32],
    column: NDArray[np.int32],
    threshold: Floats,
    children: NDArray[np.int32],
    missing_left: Bools,
    value: Floats,
) -> Floats:
    """Raw score of each row: base plus one leaf value a tree.

    features: (N, F) float32, NaN where missing. roots: (R,) node of each tree's root. The rest is one row a node:
    column and threshold of its test (value <= threshold goes left), children (M, 2) with -1 at a leaf, missing_left
    where NaN goes left, value of a leaf. Returns (N,) float64.
    """
    scores = np.empty(features.shape[0], dtype=np.float64)
    for row in range(features.shape[0]):
        score = base
        for root in roots:
            node = root
            while children[node, 0] >= 0:
                tested = features[row, column[node]]
                left = missing_left[node] if np.isnan(tested) else tested <= threshold[node]
                node = children[node, 0] if left else children[node, 1]
            score += value[node]
        scores[row] = score
    return scores
