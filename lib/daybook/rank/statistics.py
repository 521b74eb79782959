"""What a Sharpe ratio is worth: its distribution, the best of many noise trials, and how long proof takes.

Everywhere here a Sharpe ratio is per period (never annualised), kurtosis is non-excess (normal = 3) and a period is one
return of the series at hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import UsageError

NORMAL = NormalDist()
EULER_GAMMA = 0.5772156649015329
_SMALLEST_SPREAD = 1e-12


@dataclass(frozen=True, slots=True)
class Moments:
    """Sample moments of a return series: n, mean and standard deviation per period, Sharpe, skew, kurtosis."""

    n: int
    mean: float
    deviation: float
    sharpe: float
    skew: float
    kurtosis: float


def moments(returns: Floats) -> Moments | None:
    """Moments of a series, or None when they are undefined.

    returns: (T,) float64 fraction per period. Undefined: fewer than two values, a value that is not finite, or a
    deviation that is only rounding noise beside the largest value.
    """
    n = int(returns.size)
    if n < 2 or not bool(np.all(np.isfinite(returns))):
        return None
    scale = float(np.max(np.abs(returns)))
    if scale == 0.0:
        return None
    scaled = returns / scale
    mean = float(np.mean(scaled))
    centred = scaled - mean
    variance = float(np.mean(centred**2))
    if math.sqrt(variance) <= _SMALLEST_SPREAD:
        return None
    deviation = math.sqrt(variance * n / (n - 1))
    skew = float(np.mean(centred**3)) / variance**1.5
    kurtosis = float(np.mean(centred**4)) / variance**2
    return Moments(n, mean * scale, deviation * scale, mean / deviation, skew, kurtosis)


def sharpe_variance_factor(sharpe: float, skew: float, kurtosis: float) -> float:
    """1 - skew SR + (kurtosis - 1)/4 SR^2: how much wider than 1/(n - 1) the variance of a Sharpe estimate is.

    Never below zero, since kurtosis >= 1 + skew^2. Source: Mertens (2002); Bailey and Lopez de Prado (2012).
    """
    return max(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2, 0.0)


def sharpe_standard_error(sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Standard error of a per-period Sharpe ratio estimated from n returns. Raises UsageError if n < 2."""
    _require_sample(n)
    return math.sqrt(sharpe_variance_factor(sharpe, skew, kurtosis) / (n - 1))


def psr_z(sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0) -> float:
    """How many standard errors a Sharpe ratio lies above a benchmark; infinite where the error is zero.

    Raises UsageError if n < 2. Source: Bailey and Lopez de Prado (2012), J. Risk 15(2), eq. 11.
    """
    error = sharpe_standard_error(sharpe, n, skew, kurtosis)
    excess = sharpe - benchmark
    if error == 0.0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / error


def probabilistic_sharpe_ratio(
    sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Probability that the true Sharpe ratio exceeds the benchmark. Source: as psr_z."""
    return NORMAL.cdf(psr_z(sharpe, n, skew, kurtosis, benchmark))


def expected_maximum(trials: float) -> float:
    """Expected best of N independent standard normal draws; 0 for one draw. Raises UsageError if trials < 1.

    An effective number of trials need not be whole; below two the approximation is held at 0.
    Source: Bailey, Borwein, Lopez de Prado and Zhu (2014), Notices of the AMS 61(5), eq. 6.
    """
    if not 1 <= trials < math.inf:
        raise UsageError(f"trials: found {trials}, allowed is 1 or more.")
    if trials == 1:
        return 0.0
    share = 1.0 - EULER_GAMMA
    best = share * NORMAL.inv_cdf(1.0 - 1.0 / trials) + EULER_GAMMA * NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return max(best, 0.0)


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Expected best Sharpe ratio among N worthless trials whose Sharpe ratios have this variance.

    Raises UsageError for fewer than one trial and for a variance that is no finite number of 0 or more.
    """
    if not 0.0 <= variance < math.inf:
        raise UsageError(f"variance: found {variance}, allowed is a finite number of 0 or more.")
    return math.sqrt(variance) * expected_maximum(trials)


@dataclass(frozen=True, slots=True)
class LivelyRows:
    """Rows of a table whose Sharpe ratio is defined: their places, and how many others never differ or lack a value."""

    rows: Ints
    constant: int
    missing: int


def lively_rows(returns: Floats) -> LivelyRows:
    """Which rows of a (N, T) float64 table can be compared: all values finite, and a deviation beyond rounding noise.

    The rule is that of `moments`. A row with a value that is not finite counts as missing, not as constant.
    """
    finite = np.isfinite(returns).all(axis=1)
    if returns.shape[1] == 0:
        return LivelyRows(np.empty(0, dtype=np.int64), len(returns), 0)
    values = returns[finite]
    largest = np.max(np.abs(values), axis=1, initial=0.0)
    scaled = values / np.where(largest > 0.0, largest, 1.0)[:, None]
    varies = scaled.std(axis=1) > _SMALLEST_SPREAD
    return LivelyRows(np.flatnonzero(finite)[varies], int(np.sum(~varies)), int(np.sum(~finite)))


def unit_rows(returns: Floats) -> Floats:
    """Each row less its mean, at length 1, so that the product of two rows is their correlation.

    returns: (N, T) float64 rows that `lively_rows` names. A row is divided by its largest value first, so that no
    square underflows.
    """
    scaled = returns / np.max(np.abs(returns), axis=1, keepdims=True, initial=0.0)
    centred = scaled - scaled.mean(axis=1, keepdims=True)
    unit: Floats = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit


def effective_trials(returns: Floats) -> float:
    """How many independent trials a set of correlated ones amounts to: rho + (1 - rho) N, rho the mean correlation.

    returns: (N, B) float64, one row a trial. Rows that never differ are no evidence of independence and are left out,
    as are rows that are not finite; 0 without any other row. Negative mean correlation counts as none.
    Source: Bailey and Lopez de Prado (2014), A.3.
    """
    values = returns[lively_rows(returns).rows]
    count = len(values)
    if count < 2:
        return float(count)
    unit = unit_rows(values)
    mean_correlation = (float(np.sum(unit.sum(axis=0) ** 2)) - count) / (count * (count - 1))
    rho = min(max(mean_correlation, 0.0), 1.0)
    return rho + (1.0 - rho) * count


def null_variance(n: int) -> float:
    """Variance of the Sharpe ratio of n worthless normal returns: 1/(n - 1). Raises UsageError if n < 2."""
    _require_sample(n)
    return 1.0 / (n - 1)


def noise_units(sharpe: float, n: int) -> float:
    """A Sharpe ratio of n returns in units of its own noise: worthless results of any length then spread by 1.

    Without it a Sharpe ratio of two weeks looks duller than one of a week, and the two can not share a variance or a
    best. Raises UsageError if n < 2.
    """
    return sharpe / math.sqrt(null_variance(n))


def deflated_sharpe_ratio(
    sharpe: float, n: int, trials: float, skew: float = 0.0, kurtosis: float = 3.0, variance: float | None = None
) -> float:
    """Probability that the true Sharpe ratio exceeds the best that `trials` worthless ones would show.

    variance: of the Sharpe ratio across trials; None means the null variance 1/(n - 1), which losers that bleed costs
    can not inflate. Source: Bailey and Lopez de Prado (2014), J. Portfolio Management 40(5).
    """
    spread = null_variance(n) if variance is None else variance
    return probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, expected_maximum_sharpe(trials, spread))


def minimum_track_record(
    sharpe: float, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Returns (number of periods) needed before PSR against the benchmark reaches the confidence.

    Infinite when the Sharpe ratio does not exceed the benchmark. Source: Bailey and Lopez de Prado (2012), eq. 13.
    """
    if sharpe <= benchmark:
        return math.inf
    errors = NORMAL.inv_cdf(confidence) / (sharpe - benchmark)
    return 1.0 + sharpe_variance_factor(sharpe, skew, kurtosis) * errors**2


def minimum_backtest_years(trials: float, sharpe_annual: float = 1.0) -> float:
    """Years of backtest below which the best of N worthless trials is expected to show this annual Sharpe ratio.

    Source: Bailey, Borwein, Lopez de Prado and Zhu (2014), eq. 7.
    """
    if sharpe_annual <= 0.0:
        raise UsageError(f"sharpe_annual: found {sharpe_annual}, allowed is above 0.")
    return (expected_maximum(trials) / sharpe_annual) ** 2


def _require_sample(n: int) -> None:
    if n < 2:
        raise UsageError(f"n: found {n} returns, at least 2 are needed for a standard error.")
