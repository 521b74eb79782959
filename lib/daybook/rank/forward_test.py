"""The one test of a forward record, as it is remembered for ever."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from daybook.rank.kinds import Kind


class ForwardTest(BaseModel):
    """What came of testing one candidate, once, on its first forward days.

    day: the research day on which it was tested. forward_days, n: days and hourly blocks of the record that was tested.
    sharpe: annualised, None where undefined. p_value: probability of such a record if the true Sharpe ratio were zero.
    level: what the online procedure allowed this test to spend. rejected: p_value <= level, a discovery.
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
