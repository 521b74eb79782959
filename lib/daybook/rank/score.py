"""One number for everything that is ranked: a score in [0, 100], the same for strategies, models and ensembles."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from daybook.core.arrays import Floats
from daybook.core.errors import DataError
from daybook.core.time import DAYS_PER_YEAR
from daybook.rank.statistics import (
    NORMAL,
    Moments,
    expected_maximum_sharpe,
    moments,
    null_variance,
    psr_z,
    sharpe_standard_error,
)

BLOCK_MINUTES = 60
BLOCKS_PER_DAY = 24 * 60 // BLOCK_MINUTES
BLOCKS_PER_YEAR = DAYS_PER_YEAR * BLOCKS_PER_DAY
INTERVAL_CONFIDENCE = 0.95


class ScoreRules(BaseModel):
    """The constants of a score.

    trades_half: with so many trades half of the squared evidence counts. drawdown_half: a drawdown (fraction) that
    halves the worth of a gain.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_trades: int = Field(default=5, ge=1)
    min_blocks: int = Field(default=24, ge=8)
    trades_half: float = Field(default=30.0, gt=0.0)
    drawdown_half: float = Field(default=0.10, gt=0.0)


class ScoreResult(BaseModel):
    """A score with what it was made of, or the reason why there is none.

    score: [0, 100]; 50 means as likely as not to make money after costs. z: adjusted z value behind the score.
    psr: unadjusted probability that the true Sharpe ratio exceeds zero. sharpe, sharpe_error, sharpe_low, sharpe_high:
    annualised, with standard error and 95 % interval. skew, kurtosis (normal = 3): of block returns.
    total_return, max_drawdown: fractions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    score: float | None
    reason: str | None = None
    psr: float | None = None
    z: float | None = None
    sharpe: float | None = None
    sharpe_error: float | None = None
    sharpe_low: float | None = None
    sharpe_high: float | None = None
    skew: float | None = None
    kurtosis: float | None = None
    total_return: float | None = None
    max_drawdown: float | None = None
    n_blocks: int = 0
    trades: int = 0


def score(
    returns: Floats, trades: int, max_drawdown: float | None = None, rules: ScoreRules | None = None
) -> ScoreResult:
    """Score a window of 60-minute block returns of an equal-capital portfolio, after costs.

    returns: (B,) float64 fraction per block, oldest first (168 for seven days). trades: closed trades in the window.
    max_drawdown: fraction >= 0 of peak equity, or None to derive it from the blocks.

    Let z be the z value of the probabilistic Sharpe ratio against zero. It is shrunk by trade count, times
    sqrt(n / (n + trades_half)), and by drawdown d: a gain is divided, a loss multiplied by 1 + d / drawdown_half.
    The score is 100 Phi(z), so that z = 0 is 50, more trades move it away from 50, drawdown lowers it and never
    raises it, and a mean return of zero gives 50 whatever the risk. It is comparable across days because under chance
    the z value has the same distribution on every day. It ranks; it proves nothing.

    Undefined, with the reason: fewer than min_blocks blocks, fewer than min_trades trades, a value that is not finite,
    block returns that never differ. Source: Bailey and Lopez de Prado (2012) for z; the two adjustments are ours.
    """
    rules = rules or ScoreRules()
    block_returns = np.asarray(returns, dtype=np.float64)
    if block_returns.ndim != 1:
        raise DataError(f"score: block returns have shape {block_returns.shape}, allowed is one row of (B,) values.")
    if trades < 0:
        raise DataError(f"score: found {trades} trades, allowed is 0 or more.")
    finite = bool(np.all(np.isfinite(block_returns)))
    drawdown = block_drawdown(block_returns) if max_drawdown is None and finite else max_drawdown
    found = moments(block_returns)
    reason = _undefined(block_returns, trades, drawdown, rules)
    if reason is None and found is None:
        reason = f"the {block_returns.size} block returns never differ, so that risk is undefined"
    counts = {"n_blocks": int(block_returns.size), "trades": int(trades)}
    if reason is not None or found is None or drawdown is None:
        return ScoreResult(score=None, reason=reason, **counts)
    z = adjusted_z(monotone_z(found), trades, drawdown, rules)
    return ScoreResult(
        score=100.0 * NORMAL.cdf(z), z=z, psr=NORMAL.cdf(psr_z(found.sharpe, found.n, found.skew, found.kurtosis)),
        skew=found.skew, kurtosis=found.kurtosis, max_drawdown=float(drawdown),
        total_return=float(block_returns.sum()), **annual_sharpe(found), **counts,
    )


def monotone_z(found: Moments) -> float:
    """The z value of PSR against zero, made monotone in the mean return.

    With skew g the plain z falls again once SR g > 2: a strategy would lose score by earning more in every block.
    Beyond that point the z value at SR = 2 / g is held. |z| is at most 2 sqrt(n - 1) |SR|, so that a nearly two-valued
    series, whose estimated error tends to zero, can not buy certainty.
    """
    sharpe = found.sharpe
    if sharpe * found.skew > 2.0:
        sharpe = 2.0 / found.skew
    bound = 2.0 * math.sqrt(found.n - 1) * abs(found.sharpe)
    return min(max(psr_z(sharpe, found.n, found.skew, found.kurtosis), -bound), bound)


def adjusted_z(z: float, trades: int, drawdown: float, rules: ScoreRules) -> float:
    """z shrunk towards zero by few trades, and lowered by drawdown on either side of zero."""
    shrunk = z * math.sqrt(trades / (trades + rules.trades_half))
    burden = 1.0 + drawdown / rules.drawdown_half
    return shrunk / burden if shrunk > 0.0 else shrunk * burden


def annual_sharpe(found: Moments, periods_per_year: float = BLOCKS_PER_YEAR) -> dict[str, float]:
    """Annualised Sharpe ratio with standard error and 95 % interval, under the field names of ScoreResult."""
    factor = math.sqrt(periods_per_year)
    error = sharpe_standard_error(found.sharpe, found.n, found.skew, found.kurtosis) * factor
    reach = NORMAL.inv_cdf(0.5 + INTERVAL_CONFIDENCE / 2.0) * error
    sharpe = found.sharpe * factor
    return {"sharpe": sharpe, "sharpe_error": error, "sharpe_low": sharpe - reach, "sharpe_high": sharpe + reach}


def noise_best_sharpe(trials: int, n_blocks: int) -> float:
    """Annualised Sharpe ratio that the best of `trials` worthless trials is expected to show on so many blocks."""
    return expected_maximum_sharpe(trials, null_variance(n_blocks)) * math.sqrt(BLOCKS_PER_YEAR)


def block_drawdown(returns: Floats) -> float:
    """Largest fall from a peak of equity, fraction of the peak, seen at block ends.

    returns: (B,) finite fractions of the initial capital, which add up: positions have a fixed notional.
    """
    equity = np.concatenate(([1.0], 1.0 + np.cumsum(returns)))
    return float(np.max(1.0 - equity / np.maximum.accumulate(equity)))


def equal_capital(returns: Iterable[Floats]) -> Floats:
    """Block returns of a portfolio with the same capital in each market in every block.

    returns: one (B,) series per market, equal lengths. NaN in any market is NaN in the portfolio: missing is not zero.
    Raises DataError without markets or with different lengths.
    """
    series = [np.asarray(values, dtype=np.float64) for values in returns]
    shapes = sorted({values.shape for values in series})
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise DataError(f"equal_capital: found series of shapes {shapes}, allowed are (B,) series of one length.")
    mean: Floats = np.mean(np.stack(series), axis=0)
    return mean


def _undefined(returns: Floats, trades: int, drawdown: float | None, rules: ScoreRules) -> str | None:
    if returns.size < rules.min_blocks:
        return f"{returns.size} blocks of {BLOCK_MINUTES} minutes; at least {rules.min_blocks} are needed"
    missing = int(np.sum(~np.isfinite(returns)))
    if missing:
        return f"{missing} of {returns.size} block returns are missing or not finite"
    if drawdown is None or not math.isfinite(drawdown) or drawdown < 0.0:
        return f"the drawdown is {drawdown}, which is not a fraction of 0 or more"
    if trades < rules.min_trades:
        return f"{trades} trades; at least {rules.min_trades} are needed"
    return None
