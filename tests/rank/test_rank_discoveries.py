"""Discoveries: published p values and levels, rates on simulated series, a state that can be carried on."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import false_discovery_control, norm

from daybook.core.errors import UsageError
from daybook.rank.discoveries import OnlineTest, OnlineTesting, benjamini_hochberg

PAPER = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
         1.0)
"""Neuhaus et al., in Benjamini and Hochberg (1995), section 3."""
PACKAGE = (2.90e-08, 0.06743, 0.01514, 0.08174, 0.00171, 3.60e-05, 0.79149, 0.27201, 0.28295, 7.59e-08, 0.69274,
           0.30443, 0.00136, 0.72342, 0.54757)
PACKAGE_LEVELS = (0.0002675839, 0.0024664457, 0.0005732818, 0.0004872805, 0.0004059066, 0.0003447286, 0.0029745013,
                  0.0008450114, 0.0007305648, 0.0006243143, 0.0032185913, 0.0010617227, 0.0009256825, 0.0008019657,
                  0.0007059610)
"""Example of LORD in the reference of the R package onlineFDR, with its initial wealth of a tenth of the rate."""
SHUFFLED = (2.90e-08, 0.06743, 0.01514, 0.08174, 0.00171, 0.27201, 3.60e-05, 0.79149, 7.59e-08, 0.28295, 0.69274,
            0.72342, 0.30443, 0.54757, 0.00136)
SHUFFLED_LEVELS = (0.0026758385, 0.0032577488, 0.0010775352, 0.0009078052, 0.0007616238, 0.0006517385, 0.0005682672,
                   0.0058549106, 0.0016151293, 0.0067518870, 0.0023619734, 0.0020342733, 0.0017477495, 0.0015277362,
                   0.0013569121)
"""The second example there, rate 0.1 and wealth 0.05."""


def series(p_values, state=None):
    """(outcomes, state after them)"""
    state = state or OnlineTesting()
    found: list[OnlineTest] = []
    for value in p_values:
        test, state = state.tested(float(value))
        found.append(test)
    return found, state


def test_the_papers_fifteen_tests_hold_four_discoveries_and_three_by_bonferroni():
    found = benjamini_hochberg(PAPER)
    assert found.rejected == (True,) * 4 + (False,) * 11
    assert (found.count, found.bonferroni) == (4, 3)
    assert found.adjusted[3] == pytest.approx(0.0095 * 15 / 4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_adjusted_values_are_those_of_another_library(p_values, rate):
    found = benjamini_hochberg(p_values, rate)
    np.testing.assert_allclose(found.adjusted, false_discovery_control(p_values), rtol=1e-12)
    assert all(value <= rate + 1e-12 for value, hit in zip(found.adjusted, found.rejected, strict=True) if hit)
    assert all(value > rate - 1e-12 for value, hit in zip(found.adjusted, found.rejected, strict=True) if not hit)


def test_a_batch_without_tests_has_no_discovery():
    assert benjamini_hochberg([]).count == 0


@pytest.mark.parametrize("p_values", [[0.1, math.nan], [-0.1], [1.1]])
def test_p_values_outside_their_range_are_refused(p_values):
    with pytest.raises(UsageError, match="enters with 1"):
        benjamini_hochberg(p_values)
    with pytest.raises(UsageError, match="enters with 1"):
        OnlineTesting().tested(p_values[-1])
    with pytest.raises(UsageError, match="rate"):
        benjamini_hochberg([0.5], 1.0)


@pytest.mark.parametrize(("p_values", "levels", "state"), [
    (PACKAGE, PACKAGE_LEVELS, OnlineTesting(rate=0.05, wealth=0.005)),
    (SHUFFLED, SHUFFLED_LEVELS, OnlineTesting(rate=0.1, wealth=0.05)),
])
def test_levels_are_those_that_another_implementation_published(p_values, levels, state):
    found, after = series(p_values, state)
    assert [test.level for test in found] == pytest.approx(list(levels), rel=1e-6)
    assert after.discoveries == tuple(place + 1 for place, value in enumerate(p_values) if value < 1e-4)
    assert after.tests == 15


def test_four_hundred_tests_keep_the_false_share_low_where_plain_tests_do_not():
    """One test in twenty has a true effect of four standard errors."""
    false_share, power, plain_false = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        real = rng.random(400) < 0.05
        p_values = norm.sf(rng.normal(size=400) + 4.0 * real)
        hits = np.array([test.rejected for test in series(p_values)[0]])
        false_share.append(np.sum(hits & ~real) / max(np.sum(hits), 1))
        power.append(np.sum(hits & real) / max(np.sum(real), 1))
        plain_false.append(np.sum((p_values <= 0.05) & ~real))
    assert np.mean(false_share) < 0.02
    assert np.mean(power) == pytest.approx(0.63, abs=0.06)
    assert np.mean(plain_false) == pytest.approx(20, abs=2)


def test_noise_alone_is_rarely_ever_a_discovery():
    hits = [bool(series(np.random.default_rng(seed).random(400))[1].discoveries) for seed in range(200)]
    assert np.mean(hits) <= 0.05


def test_levels_fall_without_discoveries_and_never_spend_more_than_the_wealth():
    levels = [test.level for test in series([1.0] * 3000)[0]]
    assert all(later < earlier for earlier, later in pairwise(levels))
    assert 0.008 < sum(levels) < 0.025


def test_a_discovery_lets_the_next_test_spend_more():
    without, with_one = series([0.5] * 9)[1], series([0.5] * 8 + [0.0])[1]
    assert with_one.level > without.level


def test_a_carried_series_goes_on_as_if_it_had_never_stopped():
    p_values = np.random.default_rng(3).random(60) ** 6
    whole, after = series(p_values)
    assert after.discoveries
    first, state = series(p_values[:25])
    carried = OnlineTesting.model_validate_json(state.model_dump_json())
    rest, ended = series(p_values[25:], carried)
    assert first + rest == whole
    assert ended == after


@pytest.mark.parametrize("given", [
    {"wealth": 0.06}, {"tests": 2, "discoveries": (3,)}, {"tests": 5, "discoveries": (2, 2)}, {"rate": 0.0},
    {"tests": 5, "discoveries": (4, 2)}, {"tests": 5, "discoveries": (0,)}, {"tests": -1}, {"spent": 1.0},
])
def test_a_state_that_contradicts_itself_is_refused(given):
    with pytest.raises(ValidationError):
        OnlineTesting(**given)
