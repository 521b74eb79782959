"""How many contestants that know nothing reach the top of a ranking, and how many would if nobody knew anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field


class Contestant(BaseModel):
    """One entrant: its score (None is undefined and ranks last), and whether it is a null that knows nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    identity: str
    name: str
    score: float | None
    null: bool


class Contest(BaseModel):
    """The outcome for the first `places` of a ranking.

    nulls, others: entrants. reached: nulls with a score among the first `places`. expected: how many would be there if
    the others knew nothing either, places x share of nulls. chance, chance_above: probability of at most and of at
    least `reached` of them in that case, where every order is equally likely. best_null_rank: 1 is first, None where no
    null has a score. expected, chance and chance_above are None, with the reason, where one side is empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    places: int = Field(ge=0)
    nulls: int = Field(ge=0)
    others: int = Field(ge=0)
    reached: int = Field(ge=0)
    expected: float | None
    chance: float | None
    chance_above: float | None
    best_null_rank: int | None
    reason: str | None = None


def ranked(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Best first, by the order of the pools: higher score, then identity; an undefined score ranks last."""
    return sorted(contestants, key=lambda one: (one.score is None, -(one.score or 0.0), one.identity))


def contest(contestants: Sequence[Contestant], places: int) -> Contest:
    """Rank nulls and others together and count the nulls in the first `places`, or in all of fewer entrants."""
    order = ranked(contestants)
    places = min(places, sum(not one.null for one in order))
    nulls = sum(one.null for one in order)
    reached = sum(one.null and one.score is not None for one in order[:places])
    ranks = [rank for rank, one in enumerate(order, start=1) if one.null and one.score is not None]
    others = len(order) - nulls
    reason = None
    if not nulls or not others:
        reason = "nobody competes" if not order else "there is no null contestant" if others else "only nulls compete"
    return Contest(
        places=places, nulls=nulls, others=others, reached=reached, best_null_rank=min(ranks, default=None),
        expected=None if reason else places * nulls / len(order),
        chance=None if reason else at_most(reached, places, nulls, len(order)),
        chance_above=None if reason else at_least(reached, places, nulls, len(order)), reason=reason,
    )


def at_most(found: int, drawn: int, marked: int, total: int) -> float:
    """Probability of at most `found` marked among `drawn` of `total`, drawn without replacement (hypergeometric)."""
    return _share(range(found + 1), drawn, marked, total)


def at_least(found: int, drawn: int, marked: int, total: int) -> float:
    """Probability of at least `found` marked among `drawn` of `total`, drawn without replacement (hypergeometric)."""
    return _share(range(found, drawn + 1), drawn, marked, total)


def _share(numbers: Iterable[int], drawn: int, marked: int, total: int) -> float:
    """Share of all draws that hold one of these numbers of marked."""
    ways = sum(math.comb(marked, k) * math.comb(total - marked, drawn - k) for k in numbers if k <= drawn)
    return ways / math.comb(total, drawn)
