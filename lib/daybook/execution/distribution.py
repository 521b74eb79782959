"""A measured distribution: moments, and quantile knots dense enough in the tail to draw from."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from daybook.core.arrays import Floats

KNOTS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999,
         0.9995, 0.9999, 1.0)  # fmt: skip
"""Probabilities at which every distribution is kept: what orders pay in bad moments lies between 0.99 and 1."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Distribution(BaseModel):
    """Moments and quantiles of a sample.

    n: observations. mean, sd, p50, p90: in the unit of the field that holds it; sd is the population's. knots: pairs
    (probability, value), probabilities rising from 0 to 1, values never falling.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=1)
    mean: Finite
    sd: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    p50: Finite
    p90: Finite
    knots: tuple[tuple[Finite, Finite], ...]

    @model_validator(mode="after")
    def _rising(self) -> Distribution:
        places, values = zip(*self.knots, strict=True) if self.knots else ((), ())
        if places[:1] != (0.0,) or places[-1:] != (1.0,) or np.any(np.diff(places) <= 0) or np.any(np.diff(values) < 0):
            raise ValueError("knots must rise from probability 0 to 1 with values that never fall")
        return self

    def quantile(self, probability: ArrayLike) -> Floats:
        """The inverse CDF: values at probabilities in [0, 1], linear between the knots."""
        places, values = np.asarray(self.knots).T
        found: Floats = np.interp(np.asarray(probability, dtype=np.float64), places, values)
        return found


def distribution_of(values: Floats, weights: Floats | None = None) -> Distribution | None:
    """The distribution of a sample, None when no observation has weight.

    values: (N,) float64, finite. weights: (N,) float64, >= 0, such as the time a quote stood; None weighs all alike.
    A quantile is the smallest value whose share of the weight reaches the probability.
    """
    mass = np.ones(values.size) if weights is None else weights
    kept = mass > 0
    values, mass = values[kept], mass[kept]
    if not values.size:
        return None
    order = np.argsort(values, kind="stable")
    values, mass = values[order], mass[order]
    share = np.cumsum(mass)
    at = np.searchsorted(share, np.asarray(KNOTS) * share[-1], side="left")
    found = values[np.minimum(at, values.size - 1)]
    mean = float(np.average(values, weights=mass))
    return Distribution(
        n=int(values.size), mean=mean, sd=float(np.sqrt(np.average((values - mean) ** 2, weights=mass))),
        p50=float(found[KNOTS.index(0.5)]), p90=float(found[KNOTS.index(0.9)]),
        knots=tuple(zip(KNOTS, found.tolist(), strict=True)),
    )
