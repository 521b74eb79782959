"""How long a recursive filter remembers where its series began."""

from __future__ import annotations

import math

TOLERANCE = 1e-4
"""Two starts of a recursive feature agree to this share of its typical size once it has settled."""

_START_ERROR = 10.0
"""A filter may start this many typical sizes away from its settled value."""


def settling(lookback: int, weight: float, stages: int = 1) -> int:
    """Bars after which a filter has forgotten its start to TOLERANCE.

    lookback: bars before TA-Lib's first value; weight: of the newest bar in its slowest smoothing, in (0, 1);
    stages: smoothings of that weight in a row. A cascade of k forgets as n ** (k - 1) * (1 - weight) ** n.
    """
    decay = -math.log1p(-weight)
    bars = math.log(_START_ERROR / TOLERANCE) / decay
    for _ in range(8):
        bars = (math.log(_START_ERROR / TOLERANCE) + (stages - 1) * math.log1p(weight * bars)) / decay
    return lookback + math.ceil(bars)
