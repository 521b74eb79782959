"""Spread estimators on a market whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest

from daybook.execution.estimators import abdi_ranaldo_squares, corwin_schultz, root_of_mean


def bounced(spread: float, bars: int = 4000, trades: int = 120, volatility: float = 1e-3) -> tuple[np.ndarray, ...]:
    """High, low, close of bars whose trades hit bid and ask alike around a random walk; spread as a fraction."""
    draw = np.random.default_rng(11)
    mid = np.cumsum(draw.normal(0, volatility / np.sqrt(trades), bars * trades))
    traded = (mid + draw.choice([-0.5, 0.5], mid.size) * spread).reshape(bars, trades)
    return np.exp(traded.max(axis=1)), np.exp(traded.min(axis=1)), np.exp(traded[:, -1])


@pytest.mark.parametrize("spread", [1e-3, 3e-3])
def test_estimators_find_a_spread_that_is_not_small_beside_the_volatility(spread: float) -> None:
    high, low, close = bounced(spread)
    assert root_of_mean(abdi_ranaldo_squares(high, low, close)) == pytest.approx(spread, rel=0.1)
    assert float(np.mean(corwin_schultz(high, low))) == pytest.approx(spread, rel=0.15)


def test_without_a_spread_the_pooled_estimate_lies_well_below_a_bars_volatility() -> None:
    high, low, close = bounced(0.0)
    assert root_of_mean(abdi_ranaldo_squares(high, low, close)) < 2e-4
    assert abs(float(np.mean(corwin_schultz(high, low)))) < 2e-4


def test_corwin_schultz_by_hand() -> None:
    high, low = np.array([102.0, 103.0]), np.array([100.0, 101.0])
    beta = np.log(1.02) ** 2 + np.log(103 / 101) ** 2
    gamma = np.log(1.03) ** 2
    k = 3 - 2 * np.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    assert corwin_schultz(high, low)[0] == pytest.approx(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)))


def test_abdi_ranaldo_by_hand() -> None:
    high, low, close = np.array([102.0, 104.0]), np.array([100.0, 101.0]), np.array([102.0, 101.0])
    eta = (np.log(high) + np.log(low)) / 2
    expected = 4 * (np.log(102) - eta[0]) * (np.log(102) - eta[1])
    assert abdi_ranaldo_squares(high, low, close) == pytest.approx([expected])
    assert root_of_mean(np.array([-1.0])) == 0.0
    assert np.isnan(root_of_mean(np.zeros(0)))
