"""How a pool changes in a day: newcomers and incumbents compete by score, and every drop has a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from daybook.rank.pool import Pool, PoolMember, order_key, ranked_pool, require_kind
from daybook.rank.twins import Twins


class PoolRules(BaseModel):
    """margin: score points by which a newcomer must beat the incumbent whose place it takes.

    undefined_days: research days in a row without a score after which an incumbent leaves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    margin: float = Field(default=2.0, ge=0.0)
    undefined_days: int = Field(default=5, ge=1)


class Archived(BaseModel):
    """A member that left the pool, as it was, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    member: PoolMember
    reason: str


class Rejected(BaseModel):
    """A newcomer that did not enter, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    identity: str
    name: str
    score: float | None
    reason: str


class Change(BaseModel):
    """One line of what changed and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    what: Literal["entered", "archived", "rejected", "rose", "fell"]
    identity: str
    name: str
    reason: str


class PoolUpdate(BaseModel):
    """The new snapshot and everything that happened on the way to it; kept and entered are identities, best first."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    pool: Pool
    archived: tuple[Archived, ...]
    kept: tuple[str, ...]
    entered: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    changes: tuple[Change, ...]


class _Contest:
    """The places of one pool while newcomers, best first, compete for them."""

    def __init__(self, capacity: int, rules: PoolRules, twins: Twins) -> None:
        self.capacity = capacity
        self.rules = rules
        self.twins = twins
        self.incumbents: list[PoolMember] = []
        self.entered: list[PoolMember] = []
        self.archived: list[Archived] = []
        self.rejected: list[Rejected] = []
        self.why: dict[str, str] = {}

    def seat(self, incumbents: Sequence[PoolMember]) -> None:
        """Keep the incumbents that may stay, best first."""
        for member in sorted(incumbents, key=order_key):
            if member.score is None and member.undefined_days >= self.rules.undefined_days:
                days = f"{member.undefined_days} days in a row"
                self.archived.append(Archived(member=member, reason=f"no score for {days}: {member.score_reason}"))
            elif len(self.incumbents) >= self.capacity:
                reason = f"the pool now holds {self.capacity}, and it is ranked below them ({_shown(member)})"
                self.archived.append(Archived(member=member, reason=reason))
            else:
                self.incumbents.append(member)

    def challenge(self, newcomer: PoolMember) -> None:
        """Let one newcomer enter, replace an incumbent, or be rejected. Newcomers must come best first."""
        taken = next((one for one in self.entered if self._alike(newcomer, one)), None)
        same = next((one for one in (*self.entered, *self.incumbents) if one.identity == newcomer.identity), None)
        rivals = sorted((one for one in self.incumbents if self._alike(newcomer, one)), key=order_key)
        if same is not None:
            self._reject(newcomer, f"it is already in the pool as {same.name} ({_shown(same)})")
        elif taken is not None:
            self._reject(newcomer, f"{self._alike(newcomer, taken)} ({_shown(taken)})")
        elif rivals and rivals[0].structure_hash == newcomer.structure_hash:
            self._contend(newcomer, rivals, f"the variant of the same structure, {rivals[0].name}")
        elif rivals:
            self._contend(newcomer, rivals, "that member", f"{self._alike(newcomer, rivals[0])}; ")
        elif len(self.incumbents) + len(self.entered) < self.capacity:
            self._enter(newcomer, f"a place was free ({_shown(newcomer)})")
        elif self.incumbents:
            weakest = max(self.incumbents, key=order_key)
            self._contend(newcomer, [weakest], f"the weakest incumbent, {weakest.name}")
        else:
            self._reject(newcomer, f"all {self.capacity} places went to better newcomers ({_shown(newcomer)})")

    def _alike(self, newcomer: PoolMember, member: PoolMember) -> str:
        """Why the two can not both be in the pool; nothing when they can."""
        if member.structure_hash == newcomer.structure_hash:
            return f"it has the same structure as {member.name}"
        correlation = self.twins.get(_pair(newcomer, member))
        return "" if correlation is None else f"it trades as {member.name} does: correlation {correlation:.2f}"

    def _contend(self, newcomer: PoolMember, rivals: Sequence[PoolMember], described: str, why: str = "") -> None:
        """Let a newcomer take the place of its rivals, best first, if it beats the best of them; described is that."""
        best, margin = rivals[0], self.rules.margin
        if newcomer.score is None:
            undefined = f"its score is undefined ({newcomer.score_reason}), and no place is free for it"
            self._reject(newcomer, f"{why}{undefined}")
        elif best.score is not None and newcomer.score < best.score + margin:
            compared = f"{newcomer.score:.1f} against {best.score:.1f}, {margin:g} points ahead are needed"
            self._reject(newcomer, f"{why}it does not beat {described} ({compared})")
        else:
            for rival in rivals:
                self.incumbents.remove(rival)
                alike = ", which trades as it does" if _pair(newcomer, rival) in self.twins else ""
                reason = f"replaced by {newcomer.name}{alike} ({_shown(newcomer)} against {_shown(rival)})"
                self.archived.append(Archived(member=rival, reason=reason))
            self._enter(newcomer, f"{why}it beat {described} ({_shown(newcomer)} against {_shown(best)})")

    def _enter(self, newcomer: PoolMember, reason: str) -> None:
        self.entered.append(newcomer)
        self.why[newcomer.identity] = reason

    def _reject(self, newcomer: PoolMember, reason: str) -> None:
        self.rejected.append(Rejected(
            identity=newcomer.identity, name=newcomer.name, score=newcomer.score, reason=reason
        ))


def update_pool(
    previous: Pool, candidates: Sequence[PoolMember], day: str, *, capacity: int | None = None,
    rules: PoolRules | None = None, twins: Twins | None = None,
) -> PoolUpdate:
    """The pool of `day` from yesterday's pool, already re-scored (Pool.rescored), and today's candidates.

    Free places go to the best candidates. Once the pool is full a candidate must beat the weakest incumbent by
    rules.margin. A candidate that shares an incumbent's structure, or trades as it does (twins, from trading_twins),
    competes with that incumbent only; with several it must beat the best of them, and takes the place of all. Of alike
    candidates only the best enters. Undefined scores rank last, enter only free places, yield to any defined score, and
    leave after rules.undefined_days. Ties are broken by identity, so that the result does not depend on the order of
    candidates. capacity: previous.capacity if None. Raises UsageError when a candidate is of another kind.
    """
    require_kind(previous.kind, candidates)
    places = capacity or previous.capacity
    contest = _Contest(places, rules or PoolRules(), twins or {})
    contest.seat(previous.members)
    for newcomer in sorted(candidates, key=order_key):
        contest.challenge(newcomer)
    entered = [newcomer.model_copy(update={"entered": day}) for newcomer in contest.entered]
    pool = ranked_pool(day, previous.kind, places, [*contest.incumbents, *entered])
    new = {member.identity for member in entered}
    return PoolUpdate(
        pool=pool, archived=tuple(contest.archived), rejected=tuple(contest.rejected),
        kept=tuple(member.identity for member in pool.members if member.identity not in new),
        entered=tuple(member.identity for member in pool.members if member.identity in new),
        changes=_changes(pool, contest),
    )


def _changes(pool: Pool, contest: _Contest) -> tuple[Change, ...]:
    """Entries, departures and refusals with their reasons, then the members whose rank moved."""
    lines: list[Change] = []
    for member in pool.members:
        if member.identity in contest.why:
            reason = f"entered at rank {member.rank}: {contest.why[member.identity]}"
            lines.append(Change(what="entered", identity=member.identity, name=member.name, reason=reason))
    lines.extend(
        Change(what="archived", identity=gone.member.identity, name=gone.member.name, reason=gone.reason)
        for gone in contest.archived
    )
    lines.extend(
        Change(what="rejected", identity=refused.identity, name=refused.name, reason=refused.reason)
        for refused in contest.rejected
    )
    for member in pool.members:
        before = member.rank_previous
        if before is None or before == member.rank or member.identity in contest.why:
            continue
        reason = f"rank {before} to {member.rank}: score {_points(member.score_previous)} to {_points(member.score)}"
        what: Literal["rose", "fell"] = "rose" if member.rank < before else "fell"
        lines.append(Change(what=what, identity=member.identity, name=member.name, reason=reason))
    return tuple(lines)


def _pair(one: PoolMember, other: PoolMember) -> frozenset[str]:
    return frozenset((one.identity, other.identity))


def _points(score: float | None) -> str:
    return "undefined" if score is None else f"{score:.1f}"


def _shown(member: PoolMember) -> str:
    return f"score {_points(member.score)}"
