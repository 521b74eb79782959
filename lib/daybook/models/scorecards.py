"""The published form of a trained model or ensemble: figures with unit, sample size and baseline, or a reason."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Card(BaseModel):
    """Base of the cards: frozen, unknown fields refused, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metric(Card):
    """One figure. n counts rows; n_effective the independent answers among overlapping ones.

    standard_error uses n_effective. baseline is the same figure for what the model has to beat. A figure without a
    value says why.
    """

    value: float | None
    unit: str
    n: int = Field(ge=0)
    n_effective: float | None = None
    standard_error: float | None = None
    baseline: float | None = None
    better: Literal["higher", "lower", "neither"] = "higher"
    reason: str | None = None

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.value is None and not self.reason:
            raise ValueError("an undefined figure needs a reason")
        return self


class FoldCard(Card):
    """One forward fold: what was learned from, and what was predicted."""

    fold: int
    test_start_ms: int
    test_end_ms: int
    n_train: int
    n_test: int


class BacktestCard(Card):
    """Out-of-fold signals through the kernel, after costs.

    figures: of the same capital in each market, None with a reason where undefined; with the Sharpe ratios of the same
    signals at p50 and p90 costs and one bar later (sharpe_p50, sharpe_p90, sharpe_bar_later). per_market: by symbol.
    baseline: total return of the same rule without the model, where there is such a rule.
    """

    rule: str
    start_ms: int
    end_ms: int
    n_bars: int
    figures: dict[str, float | None]
    reasons: dict[str, str] = Field(default_factory=dict)
    per_market: dict[str, dict[str, float | None]]
    baseline: float | None = None
    baseline_name: str | None = None


class ModelScorecard(Card):
    """All that is known about one model or ensemble from bars it did not learn from."""

    name: str
    kind: Literal["model", "ensemble"]
    identity: str
    target: str
    timeframe: str
    horizon_bars: int
    symbols: tuple[str, ...]
    n_train: int
    n_test: int
    n_scored: int
    metrics: dict[str, Metric]
    main_metric: str
    baseline: str
    folds: tuple[FoldCard, ...]
    backtest: BacktestCard | None = None
    window: BacktestCard | None = None
    flags: tuple[str, ...] = ()
    members: dict[str, float] = Field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A JSON value, the same for the same training."""
        return self.model_dump(mode="json")
