"""Figures of out-of-fold predictions against labels, each with sample size, standard error and baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Bools, Floats, Ints
from daybook.models.baselines import RISK_QUANTILE
from daybook.models.scorecards import Metric

TIERS = 5
FEWEST_ROWS = 30
_NO_ROWS = f"fewer than {FEWEST_ROWS} scored rows"
_ONE_CLASS = "only one class among the scored rows"


@dataclass(frozen=True)
class Scored:
    """The rows that count: predicted out of fold, label known and outside the dead zone, baseline known.

    prediction, baseline, label: (M,) float64 without NaN. weight: uniqueness, whose sum is the number of independent
    answers. thin: rows at every horizon-th bar, whose labels do not overlap within a market.
    """

    time: Ints
    market: Ints
    prediction: Floats
    baseline: Floats
    label: Floats
    weight: Floats
    thin: Bools
    horizon: int

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.label.size)

    @property
    def n_effective(self) -> float:
        """Independent answers: the sum of uniqueness."""
        return float(self.weight.sum())


def classification_metrics(rows: Scored) -> dict[str, Metric]:
    """Log loss, accuracies, MCC, AUC, Brier score and tier error of a probability of the upper class."""
    from sklearn import metrics as sk

    up = rows.label > 0.0
    reason = _NO_ROWS if rows.n < FEWEST_ROWS else _ONE_CLASS if up.all() or not up.any() else None
    if reason:
        units = {"log_loss": "nats", "accuracy": "fraction", "balanced_accuracy": "fraction", "mcc": "correlation",
                 "auc": "probability", "brier": "squared probability", "tier_error": "fraction"}
        return {name: _undefined(unit, rows, reason) for name, unit in units.items()}
    chance, prior = np.clip(rows.prediction, 1e-9, 1 - 1e-9), np.clip(rows.baseline, 1e-9, 1 - 1e-9)
    guess, prior_guess = chance > 0.5, prior > 0.5
    accuracy = float(np.mean(guess == up))
    return {
        "log_loss": _metric(sk.log_loss(up, chance), "nats", rows, baseline=sk.log_loss(up, prior), better="lower"),
        "accuracy": _metric(accuracy, "fraction", rows, baseline=float(np.mean(prior_guess == up)),
                            error=_share_error(accuracy, rows)),
        "balanced_accuracy": _metric(sk.balanced_accuracy_score(up, guess), "fraction", rows, baseline=0.5,
                                     error=_share_error(0.5, rows)),
        "mcc": _metric(sk.matthews_corrcoef(up, guess), "correlation", rows, baseline=0.0),
        "auc": _metric(sk.roc_auc_score(up, chance), "probability", rows, baseline=0.5, error=_auc_error(up, rows)),
        "brier": _metric(float(np.mean((chance - up) ** 2)), "squared probability", rows,
                         baseline=float(np.mean((prior - up) ** 2)), better="lower"),
        "tier_error": _metric(tier_error(chance, up), "fraction", rows, better="lower"),
    }


def momentum_metrics(rows: Scored) -> dict[str, Metric]:
    """Classification figures, led by accuracy over b / (a + b), what a driftless price gives with equal barriers."""
    figures = classification_metrics(rows)
    accuracy = figures["accuracy"]
    excess = None if accuracy.value is None else accuracy.value - 0.5
    lead = accuracy.model_copy(update={"value": excess, "baseline": 0.0})
    return {"accuracy_excess": lead, **figures}


def quantile_metrics(rows: Scored) -> dict[str, Metric]:
    """Pinball loss, coverage and Kupiec's test of a 5 % quantile forecast."""
    if rows.n < FEWEST_ROWS:
        return {name: _undefined("fraction", rows, _NO_ROWS)
                for name in ("pinball_skill", "pinball", "coverage", "kupiec_p_value")}
    loss, base = (pinball(rows.label, forecast, RISK_QUANTILE) for forecast in (rows.prediction, rows.baseline))
    below = rows.label < rows.prediction
    coverage = float(below.mean())
    thinned = int(rows.thin.sum())
    p_value = kupiec_p_value(int(below[rows.thin].sum()), thinned, RISK_QUANTILE) if thinned else None
    return {
        "pinball_skill": _metric(1.0 - loss / base if base > 0.0 else None, "fraction of the baseline's loss", rows,
                                 baseline=0.0, reason="the baseline has no loss"),
        "pinball": _metric(loss, "fraction of price", rows, baseline=base, better="lower"),
        "coverage": _metric(coverage, "fraction", rows, baseline=RISK_QUANTILE, better="neither",
                            error=_share_error(RISK_QUANTILE, rows)),
        "kupiec_p_value": Metric(value=p_value, unit="probability", n=thinned, better="neither",
                                 reason=None if p_value is not None else "no row without overlap"),
    }


def return_metrics(rows: Scored) -> dict[str, Metric]:
    """R2 versus zero, rank correlation, Diebold-Mariano test and sign accuracy of a return forecast."""
    if rows.n < FEWEST_ROWS:
        return {name: _undefined("fraction", rows, _NO_ROWS)
                for name in ("r2_versus_zero", "rank_ic", "diebold_mariano", "dm_p_value", "sign_accuracy")}
    model_loss, zero_loss = (rows.label - rows.prediction) ** 2, rows.label**2
    total = float(zero_loss.sum())
    statistic, p_value, times = diebold_mariano(zero_loss - model_loss, rows.time, rows.horizon)
    correlation = _rank_ic(rows)
    moved = rows.label != 0.0
    accuracy = float(np.mean((rows.prediction > 0.0)[moved] == (rows.label > 0.0)[moved])) if moved.any() else None
    flat = "no loss differences to compare"
    return {
        "r2_versus_zero": _metric(1.0 - float(model_loss.sum()) / total if total > 0.0 else None, "fraction", rows,
                                  baseline=0.0, reason="every return is zero"),
        "rank_ic": _metric(correlation, "correlation", rows, baseline=0.0, error=1.0 / math.sqrt(rows.n_effective),
                           reason="a constant forecast or label has no rank"),
        "diebold_mariano": Metric(value=statistic, unit="z", n=times, baseline=0.0, reason=flat if statistic is None
                                  else None),
        "dm_p_value": Metric(value=p_value, unit="probability", n=times, better="lower",
                             reason=flat if p_value is None else None),
        "sign_accuracy": _metric(accuracy, "fraction", rows, baseline=0.5, error=_share_error(0.5, rows),
                                 reason="every return is zero"),
    }


def variance_metrics(rows: Scored) -> dict[str, Metric]:
    """QLIKE, its R2 versus HAR, and the R2 of log variance versus HAR."""
    if rows.n < FEWEST_ROWS:
        return {name: _undefined("fraction", rows, _NO_ROWS)
                for name in ("r2_versus_har", "qlike", "log_r2_versus_har", "log_r2")}
    loss, base = (float(np.mean(qlike(rows.label, forecast))) for forecast in (rows.prediction, rows.baseline))
    errors, har_errors = rows.label - rows.prediction, rows.label - rows.baseline
    spread = float(np.var(rows.label))
    return {
        "r2_versus_har": _metric(1.0 - loss / base if base > 0.0 else None, "fraction of HAR's QLIKE", rows,
                                 baseline=0.0, reason="HAR has no loss"),
        "qlike": _metric(loss, "nats", rows, baseline=base, better="lower"),
        "log_r2_versus_har": _metric(_explained(errors, float(np.var(har_errors))), "fraction", rows, baseline=0.0,
                                     reason="HAR makes no error"),
        "log_r2": _metric(_explained(errors, spread), "fraction", rows, baseline=_explained(har_errors, spread),
                          reason="log variance never changes"),
    }


def pinball(label: Floats, forecast: Floats, quantile: float) -> float:
    """Mean pinball loss of a quantile forecast, in the label's unit."""
    gap = label - forecast
    return float(np.mean(np.maximum(quantile * gap, (quantile - 1.0) * gap)))


def qlike(log_variance: Floats, forecast: Floats) -> Floats:
    """(M,) QLIKE of a log variance forecast: v / h - log(v / h) - 1, zero where it is right.

    Source: Patton (2011), J. Econometrics 160, 246-256.
    """
    gap = log_variance - forecast
    loss: Floats = np.exp(gap) - gap - 1.0
    return loss


def kupiec_p_value(failures: int, n: int, rate: float) -> float:
    """Chance of a coverage as far from `rate` or farther, by the likelihood ratio (chi-squared, one degree).

    Source: Kupiec (1995), J. Derivatives 3(2), 73-84.
    """
    def log_likelihood(p: float) -> float:
        hits = failures * math.log(p) if failures else 0.0
        return hits + ((n - failures) * math.log1p(-p) if failures < n else 0.0)

    ratio = max(0.0, 2.0 * (log_likelihood(failures / n) - log_likelihood(rate)))
    return math.erfc(math.sqrt(ratio / 2.0))


def diebold_mariano(gain: Floats, time: Ints, horizon: int) -> tuple[float | None, float | None, int]:
    """(z, two-sided p, times) of the mean loss that a forecast saves; markets are averaged at each time.

    gain: (M,) loss of the benchmark minus loss of the model. The long-run variance is Newey-West's with `horizon` lags,
    since overlapping labels make errors correlated that far. None where it does not vary.
    Source: Diebold and Mariano (1995), J. Business & Economic Statistics 13, 253-263.
    """
    times, position = np.unique(time, return_inverse=True)
    mean = np.bincount(position, weights=gain) / np.bincount(position)
    centred = mean - mean.mean()
    n = times.size
    lags = min(horizon, n - 1)
    variance = float(centred @ centred) / n
    for lag in range(1, lags + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    if not variance > 1e-30:
        return None, None, n
    z = float(mean.mean() / math.sqrt(variance / n))
    return z, math.erfc(abs(z) / math.sqrt(2.0)), n


def tier_error(chance: Floats, up: Bools) -> float:
    """Mean gap between promised and observed share over five tiers of equal size, ordered by probability."""
    tiers = np.array_split(np.argsort(chance, kind="stable"), TIERS)
    return float(np.mean([abs(chance[tier].mean() - up[tier].mean()) for tier in tiers if tier.size]))


def _rank_ic(rows: Scored) -> float | None:
    """Spearman's correlation within each market, averaged by rows."""
    from scipy.stats import rankdata

    found: list[tuple[float, int]] = []
    for code in np.unique(rows.market):
        own = rows.market == code
        forecast, label = rankdata(rows.prediction[own]), rankdata(rows.label[own])
        if forecast.std() > 0.0 and label.std() > 0.0:
            found.append((float(np.corrcoef(forecast, label)[0, 1]), int(own.sum())))
    if not found:
        return None
    return sum(value * n for value, n in found) / sum(n for _, n in found)


def _explained(errors: Floats, benchmark_variance: float) -> float | None:
    """1 minus the variance of errors over a benchmark's: a constant bias, which log and mean disagree on, is free."""
    return 1.0 - float(np.var(errors)) / benchmark_variance if benchmark_variance > 0.0 else None


def _share_error(share: float, rows: Scored) -> float:
    return math.sqrt(max(share * (1.0 - share), 0.0) / max(rows.n_effective, 1.0))


def _auc_error(up: Bools, rows: Scored) -> float:
    """Standard error of AUC under chance, at the effective sample size (Hanley and McNeil 1982 at AUC = 1/2)."""
    positive = rows.n_effective * float(up.mean())
    negative = rows.n_effective - positive
    return math.sqrt((positive + negative + 1.0) / (12.0 * max(positive, 1.0) * max(negative, 1.0)))


def _metric(value: float | None, unit: str, rows: Scored, *, baseline: float | None = None, better: str = "higher",
            error: float | None = None, reason: str | None = None) -> Metric:
    return Metric.model_validate({
        "value": None if value is None else float(value), "unit": unit, "n": rows.n, "n_effective": rows.n_effective,
        "standard_error": error if value is not None else None, "baseline": baseline, "better": better,
        "reason": reason if value is None else None,
    })


def _undefined(unit: str, rows: Scored, reason: str) -> Metric:
    return Metric(value=None, unit=unit, n=rows.n, n_effective=rows.n_effective, reason=reason)
