"""What the tournament of a day found, as sections of its report: luck, nulls, robustness, forward records, refusals."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from daybook.report.sections import Count, Interval, Metric, Number, Row, Section

PoolName = Literal["strategies", "models", "ensembles"]


class Reading(Section):
    """A figure, and one sentence that says how to read it."""

    metric: Metric
    meaning: str


class NullContest(Section):
    """How many contestants that know nothing reached the first places, beside what chance would allow.

    others: those that compete with the nulls. expected: nulls among the first places if nobody knew anything. chance,
    chance_above: probability of at most and of at least `reached` of them in that case.
    """

    who: str
    places: int
    nulls: int
    others: int
    reached: int
    expected: Number = None
    chance: Number = None
    chance_above: Number = None
    best_null_rank: Count = None
    meaning: str


class StateReturn(Section):
    """What was earned in one state of the market: fraction of capital, over so many market-hours."""

    state: str
    total_return: Number = None
    n_hours: int
    trades: int


class RobustnessRow(Row):
    """A candidate under every change, on the scoring window, with equal capital in each market.

    Sharpe ratios are annualised. sharpe_without: the worst with one market left out, `without` names it. half: share of
    the neighbours in parameter space that keep at least half of the Sharpe ratio. random_percentile: share of random
    rules with the same trades below it. capacity: capital in quote currency.
    """

    figures: ClassVar[tuple[str, ...]] = (
        "sharpe", "total_return", "sharpe_double_costs", "sharpe_p50", "sharpe_p90", "sharpe_bar_later",
        "sharpe_without", "half", "hold_return", "random_percentile", "correlation", "capacity")

    name: str
    identity: str
    timeframe: str
    trades: int
    n_blocks: int
    sharpe: Number = None
    total_return: Number = None
    sharpe_double_costs: Number = None
    sharpe_p50: Number = None
    sharpe_p90: Number = None
    sharpe_bar_later: Number = None
    sharpe_without: Number = None
    without: str = ""
    neighbours: int = 0
    half: Number = None
    neighbourhood: str = ""
    volatility: tuple[StateReturn, ...] = ()
    session: tuple[StateReturn, ...] = ()
    hold_return: Number = None
    random_rules: int = 0
    random_percentile: Number = None
    correlation: Number = None
    correlated_with: str = ""
    capacity: Number = None


class ForwardRow(Row):
    """The forward record of one member: bars after its birth alone.

    needed_days: forward days at which it is tested, once. track_record_days: forward days after which this Sharpe ratio
    would exceed zero at 95 %. nightly: interval of the mean daily return that may be looked at every night (fraction).
    tested: the day of its test. level: what the test was allowed to spend.
    """

    figures: ClassVar[tuple[str, ...]] = ("sharpe", "track_record_days", "p_value")

    pool: PoolName
    rank: int = Field(ge=1)
    name: str
    identity: str
    birth: str
    forward_days: int
    needed_days: int
    trades: int
    n_blocks: int
    sharpe: Number = None
    interval: Interval | None = None
    nightly: Interval | None = None
    track_record_days: Count = None
    tested: str | None = None
    p_value: Number = None
    level: Number = None
    proven: bool = False
    verdict: str


class RejectedRow(Section):
    """A candidate that did not enter a pool, and why; it may be a member that re-tuning left as it was."""

    pool: PoolName
    identity: str
    name: str
    score: Number = None
    reason: str
