"""The check for a look into the future: a causal series never changes when later bars are taken away or spoilt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from daybook.core.time import utc_text
from daybook.market.bars import FIELDS, Bars

Values = NDArray[Any]


@dataclass(frozen=True)
class Leak:
    """Where a series knew of later bars: its value at `position` changed when the bars from `cut` on did.

    way: "absent" when later bars were taken away, "spoilt" when they were replaced by nonsense.
    """

    cut: int
    position: int
    time_ms: int
    way: Literal["absent", "spoilt"]

    @property
    def text(self) -> str:
        """What a person reads."""
        return (f"the value of {utc_text(self.time_ms)} changes with bars that open later "
                f"({self.cut - self.position} or more bars ahead)")


def first_leak(values: Callable[[Bars], Values], bars: Bars, cuts: Iterable[int]) -> Leak | None:
    """The first value that changes, not in its last bit alone, when the bars from a cut on are absent or spoilt.

    values: bars -> (T,) any dtype, one value a bar as known at its close. cuts: positions in [1, T).
    Returns None where no cut finds anything: a causal series passes always, a leaking one fails if it reaches beyond
    one of the cuts.
    """
    whole = values(bars)
    for cut in cuts:
        tries: tuple[tuple[Literal["absent", "spoilt"], Bars], ...] = (
            ("absent", bars.rows(0, cut)), ("spoilt", corrupted(bars, int(bars.open_time[cut]))))
        for way, changed in tries:
            apart = _differ(values(changed)[:cut], whole[:cut])
            if apart.any():
                position = int(apart.argmax())
                return Leak(cut, position, int(bars.open_time[position]), way)
    return None


def corrupted(bars: Bars, after: int) -> Bars:
    """The bars with nonsense in every one that opens at this time (ms UTC) or later."""
    noise = np.exp(np.random.default_rng(1).normal(0.0, 0.5, len(bars)))
    noise[bars.open_time < after] = 1.0
    return replace(bars, **{field: getattr(bars, field) * noise for field in FIELDS})


def _differ(found: Values, expected: Values) -> NDArray[np.bool_]:
    """Where two series differ; undefined equals undefined."""
    unequal: NDArray[np.bool_] = found != expected
    if found.dtype.kind == "f":
        unequal &= ~(np.isnan(found) & np.isnan(expected))
    return unequal
