"""The sections of a day's report: frozen models in which an undefined figure is null and says why."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Tone = Literal["neutral", "good", "warn", "bad"]
Standing = Literal["beats", "ahead", "unsure", "behind", "none"]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


def _plain(value: Any) -> Any:
    """A numpy scalar as its Python value; NaN, which JSON can not say, as None."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


Number = Annotated[float | None, BeforeValidator(_plain)]
Count = Annotated[int | None, BeforeValidator(_plain)]
Interval = tuple[Number, Number]


class Section(BaseModel):
    """Base of every section: unknown fields are refused, infinities too."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metric(Section):
    """One figure with its unit, sample size and baseline; without a value it carries the reason.

    n_effective: how many of the n are independent, where they overlap; the interval rests on them.
    """

    name: str
    value: Number = None
    unit: str = ""
    n: Count = None
    n_unit: str = ""
    n_effective: Number = None
    baseline: Number = None
    baseline_name: str = ""
    interval: Interval | None = None
    better: Literal["higher", "lower", "neither"] = "higher"
    reason: str | None = None

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.value is None and not self.reason:
            raise ValueError(f"{self.name}: an undefined figure needs a reason")
        return self

    @property
    def standing(self) -> Standing:
        """Where it stands against its baseline.

        beats: with its whole interval. unsure: its value is better, its interval reaches the baseline. ahead: its value
        is better and no interval is known. behind: its value is not better. none: there is nothing to compare.
        """
        if self.value is None or self.baseline is None or self.better == "neither":
            return "none"
        sign = -1.0 if self.better == "lower" else 1.0
        if sign * (self.value - self.baseline) <= 0.0:
            return "behind"
        worst = None if self.interval is None else self.interval[1 if self.better == "lower" else 0]
        if worst is None:
            return "ahead"
        return "beats" if sign * (worst - self.baseline) > 0.0 else "unsure"


class Row(Section):
    """Base of rows with many figures: `reasons` explains, by field name, each figure that is undefined."""

    figures: ClassVar[tuple[str, ...]] = ()

    reasons: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _explained(self) -> Self:
        silent = [name for name in self.figures if getattr(self, name) is None and not self.reasons.get(name)]
        if silent:
            raise ValueError(f"undefined without a reason: {', '.join(silent)}; add each to `reasons`")
        return self


class Parameter(Section):
    """One parameter of the run: its value, its default and whether somebody changed it."""

    name: str
    value: bool | int | float | str | None
    default: bool | int | float | str | None
    unit: str = ""
    changed: bool = False


class RunInfo(Section):
    """Which execution of which day this is, from what data, with what settings and code."""

    run_id: str
    day: Day
    number: int = Field(ge=1)
    official: bool
    parent: str | None = None
    source: str
    venue: str = ""
    synthetic: bool
    label: str = ""
    symbols: tuple[str, ...]
    window_start_ms: int
    window_end_ms: int
    seed: int
    parameters: tuple[Parameter, ...] = ()
    settings_hash: str
    code_hash: str
    data_hash: str

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if self.synthetic and not self.label:
            raise ValueError("a synthetic run needs a label that says which market was built")
        return self


class Headline(Section):
    """The verdict in one sentence, and the few figures that carry it."""

    verdict: str
    tone: Tone = "neutral"
    figures: tuple[Metric, ...] = ()


class PoolChange(Section):
    """A member that entered, left or moved, with the reason."""

    pool: Literal["strategies", "models", "ensembles"] = "strategies"
    identity: str
    name: str
    rank: Count = None
    previous_rank: Count = None
    score: Number = None
    previous_score: Number = None
    reason: str


class Changes(Section):
    """What changed in the pools since the day before."""

    since: str | None = None
    entered: tuple[PoolChange, ...] = ()
    left: tuple[PoolChange, ...] = ()
    moved: tuple[PoolChange, ...] = ()


class Gate(Row):
    """A promotion threshold with the value, sample size and interval that met it or did not.

    interval_of: what the interval spans when it is not the value itself.
    """

    figures: ClassVar[tuple[str, ...]] = ("value",)

    name: str
    value: Number = None
    threshold: float
    unit: str = ""
    n: Count = None
    n_unit: str = ""
    interval: Interval | None = None
    interval_of: str = ""
    passed: bool = False
    reason: str


class StrategyRow(Row):
    """One strategy of the pool with its screening figures and its promotion gate."""

    figures: ClassVar[tuple[str, ...]] = (
        "score", "previous_score", "psr", "sharpe", "max_drawdown", "total_return", "win_rate", "turnover")

    rank: int = Field(ge=1)
    previous_rank: Count = None
    name: str
    identity: str
    timeframe: str
    symbols: tuple[str, ...] = ()
    params: dict[str, float] = Field(default_factory=dict)
    score: Number = None
    previous_score: Number = None
    psr: Number = None
    sharpe: Number = None
    n_blocks: Count = None
    trades: int = 0
    max_drawdown: Number = None
    total_return: Number = None
    win_rate: Number = None
    turnover: Number = None
    birth: str
    forward_days: float = 0.0
    gate: Gate | None = None
    rationale: str = ""
    expressions: dict[str, str] = Field(default_factory=dict)


class ModelRow(Row):
    """One model or ensemble with its out-of-fold figures; the first metric is its main one."""

    figures: ClassVar[tuple[str, ...]] = ("score",)

    rank: int = Field(ge=1)
    name: str
    identity: str
    target: str = ""
    kind: str = ""
    score: Number = None
    previous_score: Number = None
    metrics: tuple[Metric, ...] = ()
    birth: str = ""
    gate: Gate | None = None
    members: dict[str, float] = Field(default_factory=dict)


class Trials(Section):
    """How often anything was tried, and what the best of so many would show by luck alone.

    effective: today's trials, with related ones counted once.
    """

    today: int
    ever: int
    effective: Number = None
    by_kind: dict[str, int] = Field(default_factory=dict)
    expected_noise_maximum: Metric
    best: Metric


class QualityRow(Section):
    """The candles of one market in the run's window: counts of bars.

    spikes: bars whose prices stand alone. revised: bars that the exchange corrected. stale: the exchange could not be
    reached, so there may be more or other bars than these.
    """

    symbol: str
    timeframe: str = "1m"
    bars: int
    expected: int
    missing: int = 0
    longest_gap_minutes: float = 0.0
    duplicates: int = 0
    off_minute: int = 0
    zero_volume: int = 0
    impossible: int = 0
    quarantined: int = 0
    spikes: int = 0
    revised: int = 0
    stale: bool = False
    first_gap: str | None = None


class Notice(Section):
    """Something a reader must know before trusting the page."""

    where: str
    message: str
    severity: Literal["info", "warning", "error"] = "warning"


class ArchiveRow(Section):
    """A member that was put aside, and why."""

    identity: str
    name: str
    reason: str
    pool: Literal["strategies", "models", "ensembles"] = "strategies"


class Focus(Section):
    """A question for tomorrow and what raised it."""

    question: str
    area: str = ""
    evidence: str = ""


class Curve(Section):
    """Equity of one thing on a regular clock, net of costs, 1.0 = start; null where undefined."""

    name: str
    role: Literal["strategy", "model", "ensemble", "benchmark"]
    identity: str = ""
    symbol: str = ""
    start_ms: int
    step_ms: int = Field(gt=0)
    equity: tuple[Number, ...]
    artefact: str | None = None


class StepTiming(Section):
    """Wall time of one step."""

    step: str
    seconds: Number = None
    state: str = "ok"
    reused_from: str | None = None
