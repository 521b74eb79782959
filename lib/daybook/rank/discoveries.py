"""Discoveries among many tests: a day's batch by Benjamini-Hochberg, the endless series of forward tests by LORD++."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from daybook.core.errors import UsageError

_JAVANMARD_MONTANARI = 0.07720838
"""Makes the shares of `_share` add up to at most 1: all of them together are 0.9763."""


@dataclass(frozen=True, slots=True)
class Discoveries:
    """A batch of tests, in the order in which they were given.

    rejected: whether each is a discovery. adjusted: smallest rate at which it would be one. bonferroni: how many the
    family-wise Bonferroni correction would have let through, for comparison.
    """

    rejected: tuple[bool, ...]
    adjusted: tuple[float, ...]
    rate: float
    bonferroni: int

    @property
    def count(self) -> int:
        """How many tests are discoveries."""
        return sum(self.rejected)


def benjamini_hochberg(p_values: Sequence[float], rate: float = 0.05) -> Discoveries:
    """The discoveries of a batch whose expected share of false ones is at most `rate`.

    p_values: each in [0, 1], independent or positively dependent; a test whose p value is undefined was made all the
    same and enters with 1. Raises UsageError for values outside their range.
    Source: Benjamini and Hochberg (1995), J. Royal Statistical Society B 57(1), 289-300.
    """
    if not 0.0 < rate < 1.0:
        raise UsageError(f"rate: found {rate}, allowed is above 0 and below 1.")
    wrong = [f"{value} at place {place}" for place, value in enumerate(p_values) if not 0.0 <= value <= 1.0]
    if wrong:
        raise UsageError(f"p_values: found {wrong[0]}, allowed is 0 to 1; an undefined test enters with 1.")
    if not len(p_values):
        return Discoveries((), (), rate, 0)
    # Importing statsmodels takes 0.7 s, so only where there is something to test.
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p_values, dtype=np.float64)
    rejected, adjusted, *_ = multipletests(values, alpha=rate, method="fdr_bh")
    return Discoveries(
        tuple(bool(value) for value in rejected), tuple(float(value) for value in adjusted), rate,
        int(np.sum(values <= rate / values.size)),
    )


class OnlineTest(BaseModel):
    """One test of the series: its number from 1, p value, the level it was allowed, whether it is a discovery."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    number: int = Field(ge=1)
    p_value: float = Field(ge=0.0, le=1.0)
    level: float = Field(ge=0.0, le=1.0)
    rejected: bool


class OnlineTesting(BaseModel):
    """LORD++: how much error the next of an endless series of tests may spend, given the discoveries so far.

    rate: expected share of false discoveries, at any time. wealth: of it, what may be spent before the first discovery.
    tests: made so far. discoveries: their numbers, from 1, rising. Everything that the next test needs is here, so that
    a published day can carry the series on. Tests of one day are put in an order that does not look at their p values,
    by identity say. The rate is proven for p values that are independent under the null; the forward records of similar
    strategies depend on each other.
    Source: Ramdas, Yang, Wainwright and Jordan (2017), Advances in Neural Information Processing Systems 30, section 3;
    shares of the levels from Javanmard and Montanari (2018), Annals of Statistics 46(2), eq. 31.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rate: float = Field(default=0.05, gt=0.0, lt=1.0)
    wealth: float = Field(default=0.025, gt=0.0)
    tests: int = Field(default=0, ge=0)
    discoveries: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> OnlineTesting:
        if self.wealth > self.rate:
            raise ValueError(f"wealth {self.wealth} is more than the rate {self.rate}")
        if list(self.discoveries) != sorted(set(self.discoveries)):
            raise ValueError(f"discoveries must rise and appear once, found {self.discoveries}")
        if self.discoveries and not 1 <= self.discoveries[0] <= self.discoveries[-1] <= self.tests:
            raise ValueError(f"discoveries must lie in 1 to {self.tests}, found {self.discoveries}")
        return self

    @property
    def level(self) -> float:
        """What the next test may spend: it is a discovery if its p value is at most this."""
        number = self.tests + 1
        spent = self.wealth * _share(number)
        for place, discovery in enumerate(self.discoveries):
            earned = self.rate - self.wealth if place == 0 else self.rate
            spent += earned * _share(number - discovery)
        return spent

    def tested(self, p_value: float) -> tuple[OnlineTest, OnlineTesting]:
        """The outcome of the next test, and the series after it.

        p_value: in [0, 1]; a test whose p value is undefined was made all the same and enters with 1.
        Raises UsageError outside that range.
        """
        if not 0.0 <= p_value <= 1.0:
            raise UsageError(f"p_value: found {p_value}, allowed is 0 to 1; an undefined test enters with 1.")
        number, level = self.tests + 1, self.level
        rejected = p_value <= level
        found = OnlineTest(number=number, p_value=p_value, level=level, rejected=rejected)
        discoveries = (*self.discoveries, number) if rejected else self.discoveries
        return found, self.model_copy(update={"tests": number, "discoveries": discoveries})


def _share(age: int) -> float:
    """Share of an earning that is spent so many tests after it: falls a little faster than 1 / age."""
    return _JAVANMARD_MONTANARI * math.log(max(age, 2)) / (age * math.exp(math.sqrt(math.log(age))))
