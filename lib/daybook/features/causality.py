"""The check for a look into the future: a causal series never changes when later bars are taken away or spoilt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from daybook.core.time import timeframe_ms, utc_text
from daybook.market.bars import FIELDS, Bars

Values = NDArray[Any]
Way = Literal["absent", "spoilt", "moved"]
_HALT = 37
"""Bars by which later ones are moved."""


@dataclass(frozen=True)
class Leak:
    """Where a series knew of later bars: its value at `position` changed when the bars from `cut` on did.

    way: "absent" when later bars were taken away, "spoilt" when they were replaced by nonsense, "moved" when they
    opened later than they do, as after a halt.
    """

    cut: int
    position: int
    time_ms: int
    way: Way

    @property
    def text(self) -> str:
        """What a person reads."""
        return (f"the value of {utc_text(self.time_ms)} changes with bars that open later "
                f"({self.cut - self.position} or more bars ahead)")


def first_leak(values: Callable[[Bars], Values], bars: Bars, cuts: Iterable[int]) -> Leak | None:
    """The first value that changes, not in its last bit alone, when bars from a cut on are absent, spoilt or moved.

    values: bars -> (T,) any dtype, one value a bar as known at its close. cuts: positions in [1, T).
    Returns None where no cut finds anything: a causal series passes always, a leaking one fails if it reaches beyond
    one of the cuts.
    """
    whole = values(bars)
    for cut in cuts:
        tries: tuple[tuple[Way, Bars], ...] = (
            ("absent", bars.rows(0, cut)), ("spoilt", corrupted(bars, int(bars.open_time[cut]))),
            ("moved", _moved(bars, cut)))
        for way, changed in tries:
            apart = _differ(values(changed)[:cut], whole[:cut])
            if apart.any():
                position = int(apart.argmax())
                return Leak(cut, position, int(bars.open_time[position]), way)
    return None


def corrupted(bars: Bars, after: int) -> Bars:
    """The bars with nonsense in every one that opens at this time (ms UTC) or later, no volume of 0 among it."""
    noise = np.exp(np.random.default_rng(1).normal(0.0, 0.5, len(bars)))
    later = bars.open_time >= after
    noise[~later] = 1.0
    spoilt = {field: getattr(bars, field) * noise for field in FIELDS}
    spoilt["volume"][later & (bars.volume == 0.0)] = 1.0
    return replace(bars, **spoilt)


def _moved(bars: Bars, cut: int) -> Bars:
    """The bars with a halt before the one at `cut`."""
    times = bars.open_time.copy()
    times[cut:] += _HALT * timeframe_ms(bars.timeframe)
    return replace(bars, open_time=times)


def _differ(found: Values, expected: Values) -> NDArray[np.bool_]:
    """Where two series differ; undefined equals undefined."""
    unequal: NDArray[np.bool_] = found != expected
    if found.dtype.kind == "f":
        unequal &= ~(np.isnan(found) & np.isnan(expected))
    return unequal
