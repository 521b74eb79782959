"""Figures against published values, worked numbers and independent libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm, spearmanr

from daybook.core.seeds import generator
from daybook.models import metrics as m
from daybook.models.registry import leakage_flags
from daybook.models.scorecards import Metric


def scored(prediction, label, baseline=None, market=None, weight=None, horizon=1):
    n = len(label)
    return m.Scored(
        time=np.arange(n, dtype=np.int64) * 300_000, market=np.zeros(n, np.int64) if market is None else market,
        prediction=np.asarray(prediction, float), baseline=np.zeros(n) if baseline is None else baseline,
        label=np.asarray(label, float), weight=np.ones(n) if weight is None else weight,
        thin=np.arange(n) % horizon == 0, horizon=horizon,
    )


def test_kupiec_passes_from_seven_to_twenty_failures_in_255_days():
    passed = [n for n in range(60) if m.kupiec_p_value(n, 255, 0.05) > 0.05]
    assert passed == list(range(7, 21))
    assert [n for n in range(60) if m.kupiec_p_value(n, 255, 0.01) > 0.05][-1] == 6


def test_kupiec_is_the_chi_squared_tail_of_the_likelihood_ratio():
    x, n, p = 20, 255, 0.05
    ratio = -2 * ((n - x) * np.log(1 - p) + x * np.log(p) - (n - x) * np.log(1 - x / n) - x * np.log(x / n))
    assert m.kupiec_p_value(x, n, p) == pytest.approx(chi2.sf(ratio, 1))


def test_pinball_and_qlike_are_least_at_the_truth():
    label = generator(1, "pinball").standard_normal(20_000)
    losses = [m.pinball(label, np.full(label.size, q), 0.05) for q in (-2.0, -1.645, -1.3)]
    assert losses[1] < min(losses[0], losses[2])
    assert m.qlike(np.array([0.0, 1.0]), np.array([0.0, 1.0])).tolist() == [0.0, 0.0]
    assert m.qlike(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(np.e - 2)


def test_diebold_mariano_of_independent_losses_is_the_t_statistic():
    gain = generator(2, "dm").standard_normal(500) + 0.2
    z, p, n = m.diebold_mariano(gain, np.arange(500), 0)
    assert n == 500
    assert z == pytest.approx(gain.mean() / (gain.std() / np.sqrt(500)))
    assert p == pytest.approx(2 * norm.sf(abs(z)))
    assert m.diebold_mariano(np.zeros(10), np.arange(10), 2)[:2] == (None, None)


def test_diebold_mariano_is_not_fooled_by_overlap():
    """Moving averages of noise: without lags a nominal 5 % test would reject about half the time."""
    rejected = 0
    for seed in range(200):
        noise = generator(seed, "overlap").standard_normal(612)
        gain = np.convolve(noise, np.ones(12), mode="valid")
        rejected += m.diebold_mariano(gain, np.arange(gain.size), 12)[1] < 0.05
    assert rejected < 0.2 * 200


def test_rank_ic_is_spearman_within_markets():
    rng = generator(3, "ic")
    label, market = rng.standard_normal(400), np.repeat([0, 1], 200)
    forecast = label + rng.standard_normal(400) + 100 * market
    found = m.return_metrics(scored(forecast, label, market=market))["rank_ic"].value
    own = [spearmanr(forecast[market == k], label[market == k])[0] for k in (0, 1)]
    assert found == pytest.approx(np.mean(own))


def test_classification_errors_use_the_independent_answers():
    rng = generator(4, "class")
    label = np.where(rng.random(1200) < 0.5, 1.0, -1.0)
    rows = scored(np.full(1200, 0.6), label, baseline=np.full(1200, 0.5), weight=np.full(1200, 1 / 12))
    figures = m.classification_metrics(rows)
    assert figures["balanced_accuracy"].value == pytest.approx(0.5)
    assert figures["balanced_accuracy"].standard_error == pytest.approx(0.05)
    assert figures["log_loss"].baseline == pytest.approx(np.log(2))
    assert figures["balanced_accuracy"].n == 1200
    assert figures["mcc"].value == 0.0


def test_tier_error_is_zero_for_kept_promises():
    rng = generator(5, "tiers")
    chance = rng.random(50_000)
    assert m.tier_error(chance, rng.random(50_000) < chance) < 0.02
    assert m.tier_error(chance, rng.random(50_000) < 0.5) > 0.2


@pytest.mark.parametrize(("figure", "label"), [
    (m.classification_metrics, np.ones(100)), (m.classification_metrics, np.ones(5)), (m.momentum_metrics, np.ones(9)),
    (m.quantile_metrics, np.ones(5)), (m.return_metrics, np.ones(5)), (m.variance_metrics, np.ones(5)),
    (m.return_metrics, np.zeros(100)),
])
def test_what_is_undefined_is_none_with_a_reason(figure, label):
    figures = figure(scored(np.full(label.size, 0.5), label, baseline=np.full(label.size, 0.5)))
    undefined = [each for each in figures.values() if each.value is None]
    assert undefined
    assert all(each.reason for each in undefined)


def test_accuracy_from_58_percent_on_is_suspect():
    def figures(value):
        return {"accuracy": Metric(value=value, unit="fraction", n=100)}

    assert leakage_flags("accuracy", figures(0.579)) == ()
    assert "suspected leakage" in leakage_flags("accuracy", figures(0.58))[0]
    assert leakage_flags(None, figures(0.9)) == ()
