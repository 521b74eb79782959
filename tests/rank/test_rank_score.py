"""The score keeps its promises: bounded, monotone, 50 at zero, undefined with a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import DataError
from daybook.rank.score import ScoreRules, block_drawdown, equal_capital, noise_best_sharpe, score
from daybook.rank.statistics import moments

RULES = ScoreRules()
FAST = settings(max_examples=60, deadline=None)


@st.composite
def block_returns(draw, symmetric=False):
    """A week's block returns: plain noise, fat tails, mostly idle, or nearly two-valued."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(24, 168))
    shape = draw(st.sampled_from(["normal", "tails", "idle", "two"]))
    if shape == "normal":
        values = rng.normal(size=size)
    elif shape == "tails":
        values = rng.standard_t(2.1, size=size)
    elif shape == "idle":
        values = rng.normal(size=size) * (rng.random(size) < 0.1)
        values[0] = 1.0
    else:
        values = np.where(rng.random(size) < draw(st.floats(0.01, 0.5)), 1.0, -draw(st.floats(0.0, 1.0)))
        values[:2] = [1.0, -1.0]
    scaled = values * 10 ** draw(st.floats(-5, -2)) + draw(st.floats(-0.005, 0.005))
    return np.concatenate([values, -values]) * 0.001 if symmetric else scaled


@FAST
@given(block_returns(), st.integers(0, 2000), st.floats(0, 1))
def test_score_is_bounded_or_absent_with_a_reason(returns, trades, drawdown):
    result = score(returns, trades, drawdown)
    if result.score is None:
        assert result.reason
    else:
        assert 0.0 <= result.score <= 100.0
        assert result.reason is None
        assert (result.score - 50.0) * result.z >= 0.0


@FAST
@given(block_returns(), st.floats(0, 0.01), st.integers(5, 500), st.floats(0, 0.5))
def test_earning_more_in_every_block_never_lowers_the_score(returns, more, trades, drawdown):
    low = score(returns, trades, drawdown)
    high = score(returns + more, trades, drawdown)
    if low.score is not None and high.score is not None:
        assert high.score >= low.score - 1e-6


@FAST
@given(block_returns(), st.integers(5, 500), st.floats(0, 1), st.floats(0, 1))
def test_drawdown_never_raises_the_score(returns, trades, first, second):
    small, large = sorted((first, second))
    assert score(returns, trades, large).score <= score(returns, trades, small).score + 1e-9


@FAST
@given(block_returns(), st.integers(5, 500), st.integers(5, 500), st.floats(0, 0.5))
def test_more_trades_move_the_score_away_from_50(returns, first, second, drawdown):
    few, many = sorted((first, second))
    away = [abs(score(returns, trades, drawdown).score - 50.0) for trades in (few, many)]
    assert away[1] >= away[0] - 1e-9


@FAST
@given(block_returns(symmetric=True), st.integers(5, 500), st.floats(0, 1))
def test_zero_mean_scores_50_whatever_the_risk(returns, trades, drawdown):
    assert score(returns, trades, drawdown).score == pytest.approx(50.0, abs=1e-9)


@FAST
@given(block_returns(symmetric=True), st.floats(1e-7, 1e-4), st.integers(5, 500))
def test_without_drawdown_and_skew_gain_and_loss_mirror_each_other(returns, drift, trades):
    gain, loss = score(returns + drift, trades, 0.0), score(-(returns + drift), trades, 0.0)
    assert gain.score + loss.score == pytest.approx(100.0, abs=1e-6)
    assert gain.score > 50.0


@FAST
@given(block_returns(), st.integers(5, 300), st.floats(0.01, 50))
def test_score_does_not_depend_on_leverage_when_drawdown_is_given(returns, trades, leverage):
    first, second = score(returns, trades, 0.1).score, score(returns * leverage, trades, 0.1).score
    assert first == pytest.approx(second, abs=1e-6)


def test_score_of_a_worked_week():
    returns = np.tile([0.004, -0.002], 84)
    found = moments(returns)
    result = score(returns, 30, 0.10)
    z = found.sharpe / math.sqrt((1 + (found.kurtosis - 1) / 4 * found.sharpe**2) / 167)
    assert result.z == pytest.approx(z * math.sqrt(30 / 60) / 2)
    assert result.score == pytest.approx(50 * (1 + math.erf(result.z / math.sqrt(2))))
    assert result.sharpe == pytest.approx(found.sharpe * math.sqrt(8760))
    assert result.sharpe_low < result.sharpe < result.sharpe_high
    assert (result.n_blocks, result.trades) == (168, 30)


def test_a_week_of_noise_has_the_known_standard_error():
    result = score(np.random.default_rng(0).normal(size=168) * 1e-3, 50, 0.0)
    assert result.sharpe_error == pytest.approx(math.sqrt(365 / 7), rel=0.02)


@pytest.mark.parametrize(("trials", "best"), [(20, 13.7), (200, 20.0), (1000, 23.5)])
def test_expected_best_of_a_week_of_noise(trials, best):
    assert noise_best_sharpe(trials, 168) == pytest.approx(best, rel=0.01)


def test_scores_of_noise_are_spread_evenly_when_trades_abound():
    rng = np.random.default_rng(5)
    found = np.array([score(rng.normal(size=168), 10**9, 0.0).score for _ in range(600)])
    assert np.mean(found < 50) == pytest.approx(0.5, abs=0.06)
    assert np.mean(found > 95) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(("returns", "trades", "drawdown", "said"), [
    (np.tile([0.01, -0.01], 84), 4, 0.1, "4 trades; at least 5"),
    (np.tile([0.01, -0.01], 11), 50, 0.1, "22 blocks of 60 minutes; at least 24"),
    (np.zeros(168), 50, 0.1, "never differ"),
    (np.full(168, 0.001), 50, 0.1, "never differ"),
    (np.append(np.tile([0.01, -0.01], 84), np.nan), 50, 0.1, "1 of 169 block returns are missing"),
    (np.append(np.tile([0.01, -0.01], 84), np.inf), 50, None, "1 of 169 block returns are missing"),
    (np.tile([0.01, -0.01], 84), 50, math.nan, "drawdown is nan"),
    (np.tile([0.01, -0.01], 84), 50, -0.1, "drawdown is -0.1"),
])
def test_undefined_scores_say_why(returns, trades, drawdown, said):
    result = score(returns, trades, drawdown)
    assert result.score is None
    assert said in result.reason


def test_drawdown_is_derived_from_blocks_when_it_is_not_given():
    returns = np.tile([0.01, -0.02, 0.015], 56)
    assert score(returns, 50).max_drawdown == pytest.approx(block_drawdown(returns))
    assert block_drawdown(np.array([0.1, -0.5, 0.2])) == pytest.approx(0.5 / 1.1), "blocks add up: fixed notional"
    assert block_drawdown(np.array([-0.25, 0.1])) == pytest.approx(0.25)


def test_equal_capital_is_the_mean_and_missing_stays_missing():
    mean = equal_capital([np.array([0.02, np.nan, 0.0]), np.array([0.0, 0.01, 0.02])])
    assert mean[0] == pytest.approx(0.01)
    assert np.isnan(mean[1])
    with pytest.raises(DataError, match="one length"):
        equal_capital([np.zeros(3), np.zeros(4)])
    with pytest.raises(DataError, match="one length"):
        equal_capital([])


def test_ill_formed_input_is_refused():
    with pytest.raises(DataError, match="shape"):
        score(np.zeros((2, 24)), 10, 0.0)
    with pytest.raises(DataError, match="0 or more"):
        score(np.zeros(24), -1, 0.0)
