"""Who trades as another does: found by returns, never where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from daybook.rank.twins import ALIKE, trading_twins


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1e-3, 168)


def test_equal_and_scaled_returns_are_twins_and_others_are_not():
    first = noise(1)
    found = trading_twins({"b": first, "a": 3.0 * first, "c": noise(2), "d": -first})
    assert found == {frozenset("ab"): pytest.approx(1.0)}
    assert max(found.values()) <= 1.0


def test_the_threshold_is_the_correlation():
    """x and y of unit variance: rho x + sqrt(1 - rho^2) y correlates with x by rho."""
    plain = np.linalg.qr(np.stack([np.ones(168), noise(1), noise(2)], axis=1))[0]
    x, y = plain[:, 1], plain[:, 2]
    for rho, twin in ((ALIKE + 1e-6, True), (ALIKE - 1e-6, False)):
        found = trading_twins({"x": x, "z": rho * x + np.sqrt(1.0 - rho**2) * y})
        assert found == ({frozenset("xz"): pytest.approx(rho)} if twin else {})


def test_what_did_not_trade_or_has_no_returns_is_nobodys_twin():
    gap = noise(1)
    gap[5] = np.nan
    still = {"a": np.zeros(168), "b": np.zeros(168), "c": np.full(168, np.nan), "d": gap, "e": np.full(168, 1e-3)}
    assert trading_twins(still) == {}
    assert trading_twins(still | {"f": noise(1)}) == trading_twins({}) == {}


def test_pairs_do_not_depend_on_the_order_of_entry():
    blocks = {name: noise(seed) for name, seed in (("a", 1), ("b", 2), ("c", 1), ("d", 2), ("e", 1))}
    found = trading_twins(blocks)
    assert set(found) == {frozenset(pair) for pair in ("ac", "ae", "ce", "bd")}
    assert list(trading_twins(dict(reversed(blocks.items()))).items()) == list(found.items())


def test_returns_over_other_hours_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        trading_twins({"a": noise(1), "b": noise(2)[:24]})
