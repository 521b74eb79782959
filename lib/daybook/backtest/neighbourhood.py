"""Does a result survive a small change of its parameters, or does it stand on one lucky value?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from daybook.strategy import ParameterRange

STEP = 0.1
"""A neighbour differs in one parameter by a tenth of its value, in whole numbers by at least 1."""
_STEP_OF_RANGE = 0.05
"""The step of a parameter whose value is 0, as a part of its range."""
PLATEAU, SPIKE = 0.75, 0.5
"""From so many neighbours with half the result on it is a plateau, below so many a spike, between them a slope."""

Verdict = Literal["plateau", "slope", "spike"]


@dataclass(frozen=True)
class Neighbour:
    """One parameter moved to `value`, and what came of it: sharpe per year, None where undefined."""

    parameter: str
    value: float
    sharpe: float | None
    total_return: float


@dataclass(frozen=True)
class Neighbourhood:
    """How the neighbours of a parameter set did.

    n: neighbours. same_sign: share whose total return has the sign of the candidate's own. half: share with at least
    half of its Sharpe ratio. verdict: plateau, slope or spike by `half`. None with a reason where there is nothing to
    keep or nobody to compare with.
    """

    n: int
    same_sign: float | None
    half: float | None
    verdict: Verdict | None
    neighbours: tuple[Neighbour, ...]
    reason: str | None = None


def neighbour_values(parameters: Mapping[str, ParameterRange], values: Mapping[str, float]) -> list[tuple[str, float]]:
    """(parameter, other value) of every neighbour inside the ranges, by name, the smaller value first."""
    found: list[tuple[str, float]] = []
    for name in sorted(parameters):
        allowed, value = parameters[name], values[name]
        step = STEP * abs(value) or _STEP_OF_RANGE * (allowed.high - allowed.low)
        if allowed.integer:
            step = max(1.0, float(round(step)))
        others = (max(value - step, allowed.low), min(value + step, allowed.high))
        found += [(name, float(other)) for other in others if other != value]
    return found


def judged(sharpe: float | None, total_return: float, neighbours: tuple[Neighbour, ...]) -> Neighbourhood:
    """The shares and the verdict for a candidate with this Sharpe ratio and total return."""
    count = len(neighbours)
    if count == 0:
        return Neighbourhood(0, None, None, None, (), "the strategy has no parameter to move")
    if total_return == 0.0 or sharpe is None:
        return Neighbourhood(count, None, None, None, neighbours, "the candidate has no result of its own to keep")
    same = sum(one.total_return * total_return > 0.0 for one in neighbours) / count
    if sharpe <= 0.0:
        return Neighbourhood(count, same, None, None, neighbours, "the candidate itself loses money")
    half = sum(one.sharpe is not None and one.sharpe >= sharpe / 2 for one in neighbours) / count
    verdict: Verdict = "plateau" if half >= PLATEAU else "spike" if half < SPIKE else "slope"
    return Neighbourhood(count, same, half, verdict, neighbours)
