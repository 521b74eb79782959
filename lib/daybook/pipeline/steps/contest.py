"""The tournament with its nulls: candidates, incumbents and copies that know nothing, ranked by one rule."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from daybook.pipeline.day import Day
from daybook.pipeline.null_contestants import NullContestant, null_contestants
from daybook.pipeline.screening import Screened
from daybook.rank import Contest, Contestant, PoolMember, ScoreResult, contest
from daybook.rank.pool import TUNED_ORIGIN
from daybook.report import NullContest
from daybook.strategy import parse_spec

_RARE = 0.05


def todays_nulls(day: Day, members: Sequence[tuple[PoolMember, Screened]]) -> list[NullContestant]:
    """Two nulls of every incumbent and of every candidate, incumbents first."""
    before = [parse_spec(member.spec) for member in day.state.pools["strategy"].members]
    new = [parse_spec(member.spec) for member, _ in members]
    return null_contestants(day, list({one.identity: one for one in (*before, *new)}.values()))


def null_contests(
    day: Day, members: Sequence[tuple[PoolMember, Screened]], nulls: Sequence[NullContestant]
) -> tuple[NullContest, ...]:
    """The whole tournament for the places of the pool, and the new designs of today among nulls of their own.

    Members that were re-tuned compete for places only: they were picked because they scored low on this very window, so
    that among nulls of their own they would start behind.
    """
    places = day.state.pools["strategy"].capacity
    own = {member.identity for member, _ in members}
    candidates = [_entrant(member, found.result) for member, found in members]
    incumbents = _incumbents(day, own)
    copies = [Contestant(identity=one.identity, name=one.name, score=one.result.score, null=True) for one in nulls]
    new = {member.identity for member, _ in members if member.origin != TUNED_ORIGIN}
    theirs = [copy for copy, one in zip(copies, nulls, strict=True) if one.of.identity in new]
    found = [_said("pool and candidates" if incumbents else "candidates; the pool is empty",
                   contest([*incumbents, *candidates, *copies], places), len(own - new))]
    if incumbents and new:
        designs = [one for one in candidates if one.identity in new]
        found.append(_said("today's new designs alone", contest([*designs, *theirs], places)))
    return tuple(found)


def _entrant(member: PoolMember, result: ScoreResult) -> Contestant:
    return Contestant(identity=member.identity, name=member.name, score=result.score, null=False)


def _incumbents(day: Day, own: set[str]) -> list[Contestant]:
    """Yesterday's pool with the scores that 00_score gave it today; what is a candidate again competes once."""
    scores = day.read_json("00_score", "scores")
    return [
        _entrant(member, ScoreResult.model_validate(scores[member.identity]))
        for member in day.state.pools["strategy"].members if member.identity in scores and member.identity not in own
    ]


def _said(who: str, found: Contest, behind: int = 0) -> NullContest:
    """behind: how many of the real ones are there because they scored low on this very window."""
    return NullContest(
        who=who, places=found.places, nulls=found.nulls, others=found.others, reached=found.reached,
        expected=found.expected, chance=found.chance, chance_above=found.chance_above,
        best_null_rank=found.best_null_rank, meaning=_meaning(found, behind),
    )


def _meaning(found: Contest, behind: int) -> str:
    if found.chance is None or found.chance_above is None:
        return f"Nothing to compare: {found.reason}."
    reached = f"{found.reached} of {found.nulls} that know nothing came among the first {found.places}"
    if found.chance <= _RARE:
        return f"{reached}, fewer than chance allows: the ranking tells them apart."
    if found.chance_above <= _RARE and behind:
        return (f"{reached}, more than chance allows; {behind} of the real ones were re-tuned for a low score on this "
                "very window, which alone can do this.")
    if found.chance_above <= _RARE:
        return f"{reached}, more than chance allows: the real ones rank worse than knowing nothing."
    return f"{reached}, as chance would have it: this says nothing for the ranking."


def null_frame(nulls: Sequence[NullContestant]) -> pd.DataFrame:
    """One row a null, best first: what it copies, how, what it came to, and its turnover in that of the original."""
    rows = [{"identity": one.identity, "name": one.name, "way": one.way, "of": one.of.identity,
             "timeframe": one.of.timeframes[0], "score": one.result.score, "sharpe": one.result.sharpe,
             "trades": one.result.trades, "turnover_ratio": one.turnover_ratio, "n_blocks": one.result.n_blocks,
             "reason": one.result.reason or ""}
            for one in nulls]
    columns = ["identity", "name", "way", "of", "timeframe", "score", "sharpe", "trades", "turnover_ratio",
               "n_blocks", "reason"]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("score", "sharpe", "turnover_ratio"), "float64"))
    return frame.sort_values(["score", "identity"], ascending=[False, True], na_position="last", ignore_index=True)
