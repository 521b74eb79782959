"""What a page says of the contestants that know nothing: both tails of chance, and who is compared with whom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daybook.pipeline.null_contestants import NullContestant
from daybook.pipeline.screening import Screened
from daybook.pipeline.steps.contest import null_contests
from daybook.rank import PoolMember, PriorState, ScoreResult
from daybook.rank.pool import TUNED_ORIGIN, ranked_pool
from daybook.strategy import parse_spec

DAY = "2026-01-15"
RULE = parse_spec({"name": "dip", "timeframes": ["60m"], "long_entry": "rsi(close, 14) < 30",
                   "max_holding": 10})


def today(*held: PoolMember) -> Any:
    """What the contest sees of a day: yesterday's pool, and its scores of today."""
    state = PriorState.empty(DAY)
    pool = ranked_pool(DAY, "strategy", 20, held)
    scores = {one.identity: ScoreResult(score=one.score).model_dump(mode="json") for one in held}
    return SimpleNamespace(state=state.model_copy(update={"pools": state.pools | {"strategy": pool}}),
                           read_json=lambda *_: scores)


def scored(name: str, value: float, origin: str = "evolution") -> tuple[PoolMember, Screened]:
    """A candidate of that score."""
    member = PoolMember(kind="strategy", identity=name, structure_hash=f"s-{name}", name=name, spec={}, timeframe="60m",
                        birth_day=DAY, birth_ms=0, origin=origin, score=value)
    blocks = np.zeros(168)
    return member, Screened(RULE, {}, "60m", ScoreResult(score=value), blocks, pd.DataFrame(), blocks[None])


def copies(name: str, *scores: float) -> list[NullContestant]:
    """Null contestants of the strategy of that name."""
    of: Any = SimpleNamespace(identity=name)
    return [NullContestant(f"null-{name}-{n}", "null", "random entries", of, (), np.zeros((1, 168)),
                           ScoreResult(score=value)) for n, value in enumerate(scores)]


@pytest.mark.parametrize(("real", "nulls", "said"), [
    (range(80, 94), [10.0] * 28, "fewer than chance allows: the ranking tells them apart"),
    (range(10, 24), [90.0] * 9 + [1.0] * 19, "as chance would have it: this says nothing for the ranking"),
    (range(10, 24), [90.0] * 13 + [1.0] * 15, "more than chance allows: the real ones rank worse than knowing nothing"),
])
def test_a_contest_is_read_at_both_tails(real: range, nulls: list[float], said: str) -> None:
    (row,) = null_contests(today(), [scored(f"s{value}", float(value)) for value in real], copies("s10", *nulls))
    assert said in row.meaning
    assert row.chance is not None and row.chance_above is not None
    assert row.chance + row.chance_above >= 1.0


def test_members_that_were_re_tuned_are_not_among_the_new_designs() -> None:
    """They were picked for a low score on this window: on a real day nulls took 11 of their 11 first places."""
    day = today(scored("held", 40.0)[0])
    members = [scored("new", 55.0), scored("tuned", 3.0, origin=TUNED_ORIGIN)]
    nulls = [*copies("new", 50.0, 20.0), *copies("tuned", 60.0, 30.0), *copies("held", 10.0, 5.0)]
    everyone, alone = null_contests(day, members, nulls)
    assert (everyone.who, everyone.others, everyone.nulls) == ("pool and candidates", 3, 6)
    assert (alone.who, alone.others, alone.nulls, alone.reached) == ("today's new designs alone", 1, 2, 0)
    assert [row.who for row in null_contests(day, members[1:], nulls[2:])] == ["pool and candidates"]


def test_a_contest_lost_with_re_tuned_members_in_it_says_that_they_alone_can_do_this() -> None:
    members = [scored(f"s{value}", float(value), origin=TUNED_ORIGIN if value < 17 else "evolution")
               for value in range(10, 24)]
    everyone = null_contests(today(), members, copies("s10", *[90.0] * 13, *[1.0] * 15))[0]
    assert everyone.chance_above is not None and everyone.chance_above < 0.05
    assert "7 of the real ones were re-tuned for a low score on this very window" in everyone.meaning
    assert "worse than knowing nothing" not in everyone.meaning
