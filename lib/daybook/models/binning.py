"""Features as small integer codes, cut at the training rows' own quantiles.

scikit-learn 1.9 bins weighted samples by a weighted percentile for each of 254 cuts of each feature: 9 s a fit where an
unweighted one takes 0.6 s. It skips that for columns of at most 255 distinct values, which codes are. Noise as loud as
that of returns leaves nothing for more than 127 bins to tell apart.
"""

from __future__ import annotations

import numpy as np

from daybook.core.arrays import Floats, Floats32

MOST_BINS = 127


def bin_edges(X: Floats32) -> list[Floats32]:
    """Upper edges of each feature's bins but the last: bin k holds edge[k - 1] < value <= edge[k].

    X: (N, F) float32. Edges are values of the column, rising, finite, at most MOST_BINS - 1; none for a constant or an
    empty column.
    """
    return [_column_edges(X[:, column]) for column in range(X.shape[1])]


def binned(X: Floats32, edges: list[Floats32]) -> Floats32:
    """(N, F) float32 codes 0, 1, ...; NaN stays NaN, but a feature without any value is 0: scikit-learn refuses it."""
    codes = np.empty(X.shape, dtype=np.float32, order="F")
    for column, cuts in enumerate(edges):
        values = X[:, column]
        codes[:, column] = np.searchsorted(cuts, values, side="left")
        missing = np.isnan(values)
        if not missing.all():
            codes[missing, column] = np.nan
    return codes


def edge_values(column: Floats, threshold: Floats, edges: list[Floats32]) -> Floats:
    """The feature values at which splits on codes cut: code <= threshold holds just where value <= edge.

    column: (M,) feature of each split. threshold: (M,) in codes, infinite where only NaN is split off.
    """
    cuts = np.full(threshold.size, np.inf)
    for position in np.flatnonzero(np.isfinite(threshold)):
        cuts[position] = edges[int(column[position])][int(np.floor(threshold[position]))]
    return cuts


def _column_edges(column: Floats32) -> Floats32:
    values = np.sort(column[~np.isnan(column)])
    distinct = np.unique(values)
    if distinct.size > MOST_BINS:
        picks = np.arange(1, MOST_BINS) * values.size // MOST_BINS
        distinct = np.append(np.unique(values[picks]), values[-1])
    edges = distinct[:-1]
    edges = edges[np.isfinite(edges)]
    return edges[edges < values[-1]] if values.size else edges
