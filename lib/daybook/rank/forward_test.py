"""The birth clock: whatever entered a pool is tested once, on its first forward days, at the level the series allows.

Until then its record may be looked at every night, and nothing is decided by the look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daybook.rank.discoveries import OnlineTesting
from daybook.rank.evidence import Evidence
from daybook.rank.kinds import Kind
from daybook.rank.score import annual_sharpe
from daybook.rank.statistics import moments, probabilistic_sharpe_ratio

FORWARD_DAYS = 28
"""Days after birth at which a candidate is tested."""


class ForwardTest(BaseModel):
    """What came of testing one candidate, once, on its first forward days.

    day: the research day on which it was tested. forward_days, n: days and hourly blocks of the record that was tested.
    sharpe: annualised, None where undefined. p_value: probability of such a record if the true Sharpe ratio were zero,
    1 where it is undefined. level: what the series allowed this test to spend. rejected: p_value <= level, a discovery.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    day: str
    kind: Kind
    identity: str
    name: str
    birth_ms: int
    forward_days: int = Field(ge=1)
    n: int = Field(ge=1)
    sharpe: float | None
    p_value: float = Field(ge=0.0, le=1.0)
    level: float = Field(ge=0.0, le=1.0)
    rejected: bool

    @model_validator(mode="after")
    def _consistent(self) -> ForwardTest:
        if self.rejected != (self.p_value <= self.level):
            raise ValueError(f"forward test of {self.name}: p value {self.p_value:g} at level {self.level:g} is "
                             f"{'no' if self.rejected else 'a'} discovery")
        return self

    @property
    def born(self) -> tuple[Kind, str, int]:
        """What was tested, as Evidence.born says it."""
        return self.kind, self.identity, self.birth_ms


def online_testing(tests: Sequence[ForwardTest]) -> OnlineTesting:
    """Where the series stands after all tests ever made, in the order in which they were made."""
    discoveries = tuple(number for number, test in enumerate(tests, start=1) if test.rejected)
    return OnlineTesting(tests=len(tests), discoveries=discoveries)


def due_tests(
    day: str, records: Iterable[Evidence], names: Mapping[str, str], earlier: Sequence[ForwardTest],
    forward_days: int = FORWARD_DAYS,
) -> tuple[ForwardTest, ...]:
    """Test every record that has reached so many forward days and never was tested.

    records: evidence up to `day`, of members and of those that left, since a test of survivors alone would find edges
    in noise; only the first forward_days calendar days after each birth are looked at, whatever came later. A record
    that lacks one of them is never tested: whoever chooses the days chooses the result. names: identity -> name; an
    identity without one goes by its first digits. earlier: every test ever made; what is born again under an identity
    that was tested is not tested again. Records of one day come in the order of kind and identity, which does not look
    at what they earned. The test is one-sided, of the Sharpe ratio of the hourly blocks against zero, by the
    probabilistic Sharpe ratio; the levels are those of LORD++ (rank/discoveries.py).
    """
    done = {(test.kind, test.identity) for test in earlier}
    due = [record for record in records
           if record.unbroken(forward_days) and (record.kind, record.identity) not in done]
    series = online_testing(earlier)
    found: list[ForwardTest] = []
    for record in sorted(due, key=lambda one: (one.kind, one.identity)):
        seen = record.model_copy(update={"days": record.days[:forward_days]})
        sharpe, p_value = _tested(seen)
        outcome, series = series.tested(p_value)
        found.append(ForwardTest(
            day=day, kind=record.kind, identity=record.identity,
            name=names.get(record.identity, record.identity[:12]),
            birth_ms=record.birth_ms, forward_days=forward_days, n=seen.blocks.size, sharpe=sharpe,
            p_value=p_value, level=outcome.level, rejected=outcome.rejected,
        ))
    return tuple(found)


def _tested(record: Evidence) -> tuple[float | None, float]:
    """Annualised Sharpe ratio and p value; a record that never moved was tested all the same, with p value 1."""
    found = moments(record.blocks)
    if found is None:
        return None, 1.0
    likely = probabilistic_sharpe_ratio(found.sharpe, found.n, found.skew, found.kurtosis)
    return annual_sharpe(found)["sharpe"], 1.0 - likely
