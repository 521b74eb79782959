"""The cost model: units, per-market spreads, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from daybook.core.errors import UsageError
from daybook.execution import Costs
from daybook.market.bars import Bars


def bars_of(symbol: str, count: int = 4) -> Bars:
    price = np.full(count, 100.0)
    return Bars("test", symbol, "1m", np.arange(count, dtype=np.int64) * 60_000, price, price, price, price, price)


def test_fee_and_half_spread_are_fractions_of_the_bps_given() -> None:
    costs = Costs(fee_bps=5, spread_bps=3)
    assert costs.fee == pytest.approx(0.0005, abs=1e-18)
    half = costs.half_spread(bars_of("BTCUSDT"))
    assert half.dtype == np.float64
    np.testing.assert_allclose(half, [0.00015] * 4, rtol=1e-15)
    np.testing.assert_array_equal(costs.side_cost(bars_of("BTCUSDT")), half)


def test_each_market_pays_its_own_spread_and_others_the_default() -> None:
    costs = Costs(spread_bps={"BTCUSDT": 1.0, "default": 8.0})
    assert costs.spread_of("BTCUSDT") == 1.0
    assert costs.side_cost(bars_of("DOGEUSDT"))[0] == pytest.approx(4e-4)


def test_market_without_spread_or_default_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"no figure for DOGEUSDT; the mapping names BTCUSDT.*default"):
        Costs(spread_bps={"BTCUSDT": 1.0}).side_cost(bars_of("DOGEUSDT"))


@pytest.mark.parametrize("figure", [-0.1, math.nan, math.inf, 1000.1, True, "5", None])
def test_ill_figures_are_refused(figure: object) -> None:
    for broken in ({"fee_bps": figure}, {"spread_bps": figure}, {"spread_bps": {"BTCUSDT": figure}}):
        with pytest.raises(UsageError, match=r"allowed is a"):
            Costs(**broken)


def test_empty_spread_mapping_is_refused() -> None:
    with pytest.raises(UsageError, match="mapping is empty"):
        Costs(spread_bps={})


def test_bounds_are_allowed() -> None:
    assert Costs(fee_bps=0, spread_bps=1000).fee == 0.0


def test_given_mapping_is_copied_so_later_changes_do_not_reach_the_costs() -> None:
    given = {"default": 2.0}
    costs = Costs(spread_bps=given)
    given["default"] = 900.0
    assert costs.spread_of("BTCUSDT") == 2.0


def test_scaled_multiplies_fee_and_every_spread() -> None:
    assert Costs(5.0, {"BTCUSDT": 1.0, "default": 2.0}).scaled(2) == Costs(10.0, {"BTCUSDT": 2.0, "default": 4.0})
    assert Costs(5.0, 2.0).scaled(0) == Costs(0.0, 0.0)


def test_as_dict_is_equal_for_equal_models_in_any_order() -> None:
    assert Costs(1.0, {"b": 1.0, "a": 2}).as_dict() == {"fee_bps": 1.0, "spread_bps": {"a": 2.0, "b": 1.0}}
    assert Costs().as_dict() == {"fee_bps": 5.0, "spread_bps": 2.0}
