"""Confidence sequence: an interval for a mean return that may be looked at every night and still be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError

_SMALLEST_SPREAD = 1e-12
_LARGEST_LOG = 600.0


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """The interval for the mean return after each day; all of them together hold the true mean with the confidence.

    low, high: (n,) fraction a day, NaN while the sample allows no bound. evidence: (n,) e value against a mean of zero,
    which under that null ever exceeds 1 / a with probability a at most; NaN where it is undefined.
    decided: number of the first day, from 1, whose interval lies wholly on one side of zero, None before that; from
    then on the claim stands whatever comes after.
    """

    low: Floats
    high: Floats
    evidence: Floats
    decided: int | None
    confidence: float
    tight_at: int

    @property
    def n(self) -> int:
        """Days seen."""
        return self.low.size

    @property
    def interval(self) -> tuple[float, float] | None:
        """The newest interval, fraction a day, None while there is no bound."""
        if not self.n or not math.isfinite(self.low[-1]):
            return None
        return float(self.low[-1]), float(self.high[-1])

    @property
    def reason(self) -> str | None:
        """Why there is no interval, None where there is one."""
        if self.interval is not None:
            return None
        return f"{self.n} days, too few or too equal to bound the mean at {self.confidence:.0%}"

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The newest figures, for a table or a manifest."""
        low, high = self.interval or (None, None)
        newest = float(self.evidence[-1]) if self.n and math.isfinite(self.evidence[-1]) else None
        return {
            "n": self.n, "low": low, "high": high, "e_value": newest, "decided": self.decided,
            "confidence": self.confidence, "reason": self.reason,
        }


def confidence_sequence(returns: Floats, confidence: float = 0.95, tight_at: int = 28) -> ConfidenceSequence:
    """Intervals for the mean of a growing series of returns, valid at every length at once.

    returns: (n,) float64 fraction a day, oldest first, finite; forward days after birth, each counted once.
    tight_at: length at which the interval is made narrowest; it has to be chosen before the first look. There it is
    about 1.7 times as wide as the interval of one single look.
    After n days with mean m and variance v (divisor n), g the prior variance of the mean in units of the variance,
    A = 1 + n g and K = (A / alpha^2)^(1/n), the interval is m -+ sqrt(v (K - 1) / (1 - K / A)); there is none while
    K >= A. The e value is A^(-1/2) ((v + m^2) / (v + m^2 / A))^(n/2).
    For normal returns of unknown variance this is exact at every n. For others it holds as n grows; the returns of few
    days with rare large losses are the case where it claims too much.
    Raises UsageError for a value that is not finite, and for confidence or tight_at outside their range.
    Source: Lai (1976), Annals of Statistics 4(2), 265-280; Wang and Ramdas, Anytime-valid t-tests and confidence
    sequences for Gaussian means with unknown variance, arXiv 2310.03722; Robbins (1970), Annals of Mathematical
    Statistics 41(5), for g.
    """
    values = _required(returns, confidence, tight_at)
    alpha = 1.0 - confidence
    counts = np.arange(1, values.size + 1, dtype=np.float64)
    # A power of two, so that an interval stays the same to the last bit when days are added.
    scale = math.ldexp(1.0, math.frexp(float(np.max(np.abs(values), initial=0.0)))[1])
    mean, variance = _running(values / scale)
    mixed = 1.0 + counts * _prior_variance(alpha, tight_at)
    spread = np.exp(np.log(mixed / alpha**2) / counts)
    known = np.sqrt(variance) > _SMALLEST_SPREAD * np.maximum.accumulate(np.abs(values / scale))
    bounded = known & (spread < mixed)
    reach = np.full(values.size, np.nan)
    reach[bounded] = np.sqrt((variance * (spread - 1.0) / (1.0 - spread / mixed))[bounded])
    evidence = np.full(values.size, np.nan)
    raised = np.log((variance + mean**2)[known] / (variance + mean**2 / mixed)[known])
    evidence[known] = np.exp(np.minimum(0.5 * (counts[known] * raised - np.log(mixed[known])), _LARGEST_LOG))
    low, high = (mean - reach) * scale, (mean + reach) * scale
    beyond = np.flatnonzero((low > 0.0) | (high < 0.0))
    decided = int(beyond[0]) + 1 if beyond.size else None
    return ConfidenceSequence(low, high, evidence, decided, confidence, tight_at)


def _running(values: Floats) -> tuple[Floats, Floats]:
    """Mean and variance (divisor n) of the first 1, 2, ... values, by Welford's updates, which do not cancel."""
    means, variances = np.empty(values.size), np.empty(values.size)
    mean = squares = 0.0
    for place, value in enumerate(values.tolist()):
        step = value - mean
        mean += step / (place + 1)
        squares += step * (value - mean)
        means[place], variances[place] = mean, squares / (place + 1)
    return means, variances


def _prior_variance(alpha: float, tight_at: int) -> float:
    """Variance of the mixture that makes the interval narrowest after so many days, in units of the returns'."""
    spent = -2.0 * math.log(alpha)
    return (spent + math.log(spent + 1.0)) / tight_at


def _required(returns: Floats, confidence: float, tight_at: int) -> Floats:
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UsageError(
            f"confidence_sequence: found returns of shape {values.shape}, {int(np.sum(~np.isfinite(values)))} of them "
            "not finite; allowed is one row of finite values. Leave days without a return out."
        )
    if not 0.5 < confidence < 1.0:
        raise UsageError(f"confidence: found {confidence}, allowed is above 0.5 and below 1.")
    if tight_at < 1:
        raise UsageError(f"tight_at: found {tight_at} days, allowed is 1 or more.")
    return values
