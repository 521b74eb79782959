"""The pools: 20 strategies, 5 models and 3 ensembles, one dated snapshot a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from daybook.core.errors import UsageError
from daybook.core.hashing import canonical_json
from daybook.core.time import parse_day
from daybook.rank.gates import Verdict
from daybook.rank.kinds import Kind
from daybook.rank.score import ScoreResult

NULL_PREFIX = "null-"
"""How the identity of a null contestant begins."""
NULL_ORIGIN = "null"
TUNED_ORIGIN = "tuning"
"""Origin of a candidate that is a member of the pool with other parameters."""
CAPACITY: Mapping[str, int] = {"strategy": 20, "model": 5, "ensemble": 3}


class EvidenceSummary(BaseModel):
    """The forward record in a line: days, trades, annualised Sharpe ratio with 95 % interval, what may be said."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    forward_days: int = 0
    forward_trades: int = 0
    forward_sharpe: float | None = None
    forward_low: float | None = None
    forward_high: float | None = None
    dsr: float | None = None
    status: str = "screened"
    text: str = "Screened only: no bar after its birth has been seen, so nothing is proven."

    @classmethod
    def of(cls, judged: Verdict) -> EvidenceSummary:
        """The summary of a verdict."""
        values = {gate.name: gate.value for gate in judged.gates}
        low, high = judged.forward_interval or (None, None)
        return cls(
            forward_days=judged.forward_days, forward_trades=int(values.get("forward trades") or 0),
            forward_sharpe=judged.forward_sharpe, forward_low=low, forward_high=high,
            dsr=values.get("deflated Sharpe ratio"), status=judged.status, text=judged.text,
        )


class PoolMember(BaseModel):
    """One ranked thing as the pool holds it.

    identity: hash of its canonical form. structure_hash: the same, blind to parameters. spec: the strategy spec or
    model card as JSON. birth_ms: only bars that open from then on are evidence. score: [0, 100] or None with
    score_reason. undefined_days: research days in a row without a score. entered: the day it came into the pool.
    rank: 1 is best, 0 is not ranked yet; rank_previous: yesterday's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Kind
    identity: str = Field(min_length=1)
    structure_hash: str = Field(min_length=1)
    name: str
    spec: dict[str, Any]
    params: dict[str, Any] = Field(default_factory=dict)
    timeframe: str
    birth_day: str
    birth_ms: int
    parents: tuple[str, ...] = ()
    origin: str
    score: float | None = Field(default=None, ge=0.0, le=100.0)
    score_reason: str | None = None
    score_previous: float | None = None
    undefined_days: int = Field(default=0, ge=0)
    entered: str | None = None
    evidence: EvidenceSummary = Field(default_factory=EvidenceSummary)
    rank: int = Field(default=0, ge=0)
    rank_previous: int | None = None

    @field_validator("birth_day")
    @classmethod
    def _calendar_day(cls, day: str) -> str:
        return parse_day(day).isoformat()

    @model_validator(mode="after")
    def _no_null(self) -> PoolMember:
        if self.origin == NULL_ORIGIN or self.identity.startswith(NULL_PREFIX):
            raise ValueError(f"{self.name} is a null contestant; nulls compete, and never enter a pool")
        return self

    @field_validator("spec", "params")
    @classmethod
    def _json_only(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            canonical_json(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"must be JSON without NaN: {error}") from None
        return value

    def rescored(self, result: ScoreResult | None, evidence: EvidenceSummary | None = None) -> PoolMember:
        """This member with today's score; yesterday's score and rank are kept beside. No result counts as undefined."""
        score = None if result is None else result.score
        reason = "it was not scored today" if result is None else result.reason
        return self.model_copy(update={
            "score": score, "score_reason": reason, "score_previous": self.score,
            "rank_previous": self.rank or None,
            "undefined_days": self.undefined_days + 1 if score is None else 0,
            "evidence": evidence or self.evidence,
        })


class Pool(BaseModel):
    """A day's snapshot of one kind: at most `capacity` members, best first, one identity and structure only once."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    day: str
    kind: Kind
    capacity: int = Field(ge=1)
    members: tuple[PoolMember, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Pool:
        where = f"{self.kind} pool of {self.day}"
        if len(self.members) > self.capacity:
            raise ValueError(f"{where}: {len(self.members)} members, allowed are {self.capacity}")
        if any(member.kind != self.kind for member in self.members):
            raise ValueError(f"{where}: a member of another kind")
        for field in ("identity", "structure_hash"):
            values = [getattr(member, field) for member in self.members]
            if len(set(values)) != len(values):
                raise ValueError(f"{where}: {field} appears twice")
        if [member.rank for member in self.members] != list(range(1, len(self.members) + 1)):
            raise ValueError(f"{where}: ranks must be 1, 2, 3, ... in order")
        return self

    def member(self, identity: str) -> PoolMember | None:
        """The member with this identity, if it is in the pool."""
        return next((member for member in self.members if member.identity == identity), None)

    def rescored(
        self, day: str, results: Mapping[str, ScoreResult], evidence: Mapping[str, EvidenceSummary] | None = None
    ) -> Pool:
        """This pool with today's scores by identity, ranked again; a member without a result is undefined today."""
        known = evidence or {}
        members = (member.rescored(results.get(member.identity), known.get(member.identity)) for member in self.members)
        return ranked_pool(day, self.kind, self.capacity, members)


def empty_pool(day: str, kind: Kind, capacity: int | None = None) -> Pool:
    """A pool without members, of the usual capacity of its kind unless told otherwise."""
    return Pool(day=day, kind=kind, capacity=capacity or CAPACITY[kind])


def ranked_pool(day: str, kind: Kind, capacity: int, members: Iterable[PoolMember]) -> Pool:
    """A pool of these members, ranked by order_key."""
    ordered = sorted(members, key=order_key)
    return Pool(day=day, kind=kind, capacity=capacity, members=tuple(
        member.model_copy(update={"rank": rank}) for rank, member in enumerate(ordered, start=1)
    ))


def order_key(member: PoolMember) -> tuple[bool, float, str]:
    """Best first: higher score, then identity; an undefined score ranks last."""
    return member.score is None, -(member.score or 0.0), member.identity


def require_kind(kind: str, members: Sequence[PoolMember]) -> None:
    """Raises UsageError when a member belongs to another pool."""
    wrong = [member.name for member in members if member.kind != kind]
    if wrong:
        raise UsageError(f"{kind} pool: {', '.join(wrong)} belong to another pool; update each pool with its own kind.")
