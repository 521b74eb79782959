"""The market's random numbers: right laws, no dependence between neighbours or between keys."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from daybook.core.seeds import derived_seed
from daybook.market.synthetic_kernel import block_side, normal, student_5, uniform

COUNT = 20_000
MINUTES = range(26_000_000, 26_000_000 + COUNT)


def key(name: str) -> np.uint64:
    return np.uint64(derived_seed(1, "test", name))


@pytest.fixture(scope="module")
def uniforms() -> np.ndarray:
    return np.array([uniform(key("a"), minute) for minute in MINUTES])


def test_uniforms_are_uniform_and_inside_the_open_interval(uniforms):
    assert stats.kstest(uniforms, "uniform").pvalue > 0.001
    assert uniforms.min() > 0
    assert uniforms.max() < 1


def test_neighbouring_minutes_and_keys_are_independent(uniforms):
    bound = 4 / np.sqrt(COUNT)
    for lag in (1, 2, 15, 60, 1440):
        assert abs(np.corrcoef(uniforms[lag:], uniforms[:-lag])[0, 1]) < bound
    for other_key in (key("b"), key("a") + np.uint64(1)):
        other = np.array([uniform(other_key, minute) for minute in MINUTES])
        assert abs(np.corrcoef(uniforms, other)[0, 1]) < bound


def test_minutes_before_1970_have_numbers_too():
    assert len({uniform(key("a"), minute) for minute in range(-500, 500)}) == 1000


def test_normals_are_normal():
    sample = [normal(key("a"), key("b"), minute) for minute in MINUTES]
    assert stats.kstest(sample, "norm").pvalue > 0.001


def test_shocks_are_student_with_unit_variance():
    sample = np.array([student_5(key("a"), key("b"), minute) for minute in MINUTES])
    assert stats.kstest(sample * np.sqrt(5 / 3), stats.t(5).cdf).pvalue > 0.001


def test_a_tenth_of_the_blocks_is_extreme_on_either_side_alike():
    sides = np.array([block_side(key("a"), block) for block in range(COUNT)])
    for side in (-1, 1):
        assert np.mean(sides == side) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / COUNT))
