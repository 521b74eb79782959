"""The figures of one simulation, each with its unit, and a reason for each that is undefined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from daybook.backtest.kernel import METRICS
from daybook.core.arrays import Floats

UNITS: Mapping[str, str] = {
    "total_return": "fraction of the initial capital",
    "sharpe": "per year of 365 days",
    "sortino": "per year of 365 days",
    "max_drawdown": "fraction of the peak equity",
    "win_rate": "fraction of trades",
    "profit_factor": "ratio",
    "trades": "count",
    "exposure": "fraction of bars",
    "turnover": "multiple of the initial capital",
    "skew": "ratio",
    "kurtosis": "ratio, 3 for a normal distribution",
    "mean_return": "fraction per bar",
    "std_return": "fraction per bar",
    "costs_paid": "fraction of the initial capital",
    "ruined": "yes or no",
}
"""The unit of every metric, for tables and axes."""

SAMPLES: Mapping[str, Literal["bars", "trades"]] = {
    name: "trades" if name in ("win_rate", "profit_factor", "trades", "turnover", "costs_paid") else "bars"
    for name in METRICS
}
"""What a metric is counted over."""


@dataclass(frozen=True)
class Metrics:
    """One simulation's figures; formulas and units are in docs/BACKTEST_GUIDE.md.

    None is an undefined figure; `undefined` then names the reason under the same name.
    """

    n_bars: int
    total_return: float
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    win_rate: float | None
    profit_factor: float | None
    trades: int
    exposure: float
    turnover: float
    skew: float | None
    kurtosis: float | None
    mean_return: float
    std_return: float | None
    costs_paid: float
    ruined: bool
    undefined: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_row(cls, row: Floats, n_bars: int) -> Metrics:
        """The metrics of a kernel result row, (len(METRICS),) float64 with NaN where undefined."""
        figures: dict[str, Any] = {name: None if math.isnan(value) else value
                                   for name, value in zip(METRICS, row.tolist(), strict=True)}
        figures["trades"] = int(figures["trades"])
        figures["ruined"] = bool(figures["ruined"])
        missing = [name for name, value in figures.items() if value is None]
        reasons = {name: undefined_reason(name, figures["trades"], n_bars) for name in missing}
        return cls(n_bars=n_bars, undefined=reasons, **figures)

    def sample_size(self, name: str) -> int:
        """How many bars or trades stand behind a metric. Raises KeyError for a name that is none."""
        return self.trades if SAMPLES[name] == "trades" else self.n_bars

    def as_dict(self) -> dict[str, Any]:
        """A JSON value: every figure by name, None where undefined."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "undefined"}

    def row(self) -> Floats:
        """The figures in the order of METRICS, NaN where undefined: (len(METRICS),) float64."""
        figures = (getattr(self, name) for name in METRICS)
        return np.array([math.nan if figure is None else float(figure) for figure in figures])


def undefined_reason(name: str, trades: int, n_bars: int) -> str:
    """Why a metric has no value, in words for a table's footnote."""
    if n_bars < 2:
        return "the window holds a single bar"
    if trades == 0:
        return "no trade was made"
    if name == "sortino":
        return "no bar lost money"
    if name == "profit_factor":
        return "no trade lost money"
    return "the equity never changed"
