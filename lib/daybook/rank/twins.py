"""Who trades as another does, whatever its rules say: strategies whose hourly returns can not be told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daybook.core.arrays import Floats
from daybook.rank.statistics import moments

ALIKE = 0.99
"""Correlation of hourly returns from which on two strategies are one."""
Twins = Mapping[frozenset[str], float]
"""Pairs of identities that trade alike -> correlation of their hourly returns."""


def trading_twins(returns: Mapping[str, Floats], alike: float = ALIKE) -> dict[frozenset[str], float]:
    """Every pair whose returns correlate by at least `alike`.

    returns: identity -> (B,) returns per hour (fraction), all over the same hours. Returns that never differ, as where
    nothing was traded, or that hold NaN, as where another window was traded, are nobody's twin. Pairs come in the order
    of identity. Raises ValueError when lengths differ.
    """
    known = sorted(identity for identity, blocks in returns.items() if moments(blocks) is not None)
    if len(known) < 2:
        return {}
    found: Floats = np.asarray(np.corrcoef(np.stack([returns[identity] for identity in known])))
    return {frozenset((known[i], known[j])): min(1.0, float(found[i, j]))
            for i, j in zip(*np.nonzero(np.triu(found >= alike, k=1)), strict=True)}
