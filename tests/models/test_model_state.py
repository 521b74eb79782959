"""Trailing measures, baselines and the pooled table: small arrays worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from model_markets import bars_of_returns, market, tape

from daybook.core.seeds import generator
from daybook.execution import Costs
from daybook.models import LabelSettings, build_dataset
from daybook.models.baselines import class_prior, har_variance, market_quantile, zero_return
from daybook.models.state import log_returns, market_state, trailing_mean, trailing_return

SETTINGS = LabelSettings(horizon=6, volatility_window=48)
DEAR = Costs(fee_bps=10.0, spread_bps=5.0)


@pytest.fixture(scope="module")
def data():
    return build_dataset([market(symbol, 1500, 2) for symbol in ("BBBUSDT", "AAAUSDT")], DEAR, SETTINGS)


def test_a_mean_is_known_from_nine_tenths_of_its_window_on():
    values = np.arange(20.0)
    values[12] = np.nan
    found = trailing_mean(values, 10)
    assert np.isnan(found[:9]).all()
    assert found[9] == 4.5
    assert found[12] == pytest.approx(np.arange(3.0, 12.0).mean())
    values[13] = np.nan
    assert np.isnan(trailing_mean(values, 10)[13:19]).all()
    assert np.isnan(trailing_mean(values[:5], 10)).all()


def test_returns_stop_at_a_gap():
    prices = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]
    bars = tape(prices, prices, prices, prices, missing=(2,))
    assert np.isnan(log_returns(bars)[[0, 2]]).all()
    assert log_returns(bars)[3] == pytest.approx(np.log(104 / 103))
    assert np.isnan(trailing_return(bars, 2)[:4]).all()
    assert trailing_return(bars, 2)[4] == pytest.approx(np.log(105 / 103))


def test_volatility_is_that_of_the_trailing_window():
    bars = bars_of_returns("AAAUSDT", generator(1, "vol").normal(0, 1e-3, 1000))
    state = market_state(bars, 12, 288)
    own = log_returns(bars)[701 - 288 : 701]
    assert state.bar_volatility[700] == pytest.approx(np.sqrt(np.mean(own**2)))
    assert state.horizon_volatility[700] == pytest.approx(state.bar_volatility[700] * np.sqrt(12))
    assert state.recent_volatility[700] == pytest.approx(np.exp(state.har[700].mean() / 2))
    frozen = tape(*[[100.0] * 400] * 4)
    assert np.isnan(market_state(frozen, 12, 288).bar_volatility).all()


def test_the_table_is_ordered_by_time_and_symbol_and_read_only(data):
    assert data.symbols == ("AAAUSDT", "BBBUSDT")
    assert data.market[:4].tolist() == [0, 1, 0, 1]
    assert (np.diff(data.time) >= 0).all()
    assert np.array_equal(data.X[:, -1], data.market)
    for code, own in enumerate(data.markets):
        assert np.array_equal(data.X[data.market == code, :-1], own.features.values, equal_nan=True)
    with pytest.raises(ValueError, match="read-only"):
        data.X[0, 0] = 1.0


def test_moves_inside_the_dead_zone_teach_no_direction(data):
    labels = data.labels["direction"]
    size = np.abs(data.labels["price"].value)
    inside = labels.valid & (size <= data.round_trip)
    assert data.round_trip[0] == pytest.approx(0.0025)
    assert inside.sum() > 100
    assert not data.usable("direction")[inside].any()
    assert data.usable("price")[inside].any()
    assert not data.usable("price")[np.isnan(data.state.horizon_volatility)].any()


def test_har_is_right_on_average_for_each_market_and_knows_only_the_training_rows(data):
    known = np.isfinite(data.state.har).all(axis=1) & data.usable("volatility")
    train = np.flatnonzero(known & (data.time < data.time[2000]))
    values = data.labels["volatility"].value
    fitted = har_variance(data, train, train)
    for code in (0, 1):
        own = data.market[train] == code
        assert np.mean(np.exp(values[train][own] - fitted[own])) == pytest.approx(1.0)
    assert np.isnan(har_variance(data, train[:20], train)).all()


def test_simple_baselines_are_shares_zeros_and_quantiles(data):
    train, test = np.flatnonzero(data.usable("direction"))[:400], np.arange(1500, 1520)
    labels = data.labels["direction"]
    share = np.average(labels.value[train] > 0, weights=labels.weight[train])
    assert class_prior("direction")(data, train, test).tolist() == pytest.approx([share] * 20)
    assert not zero_return(data, train, test).any()
    found = market_quantile(data, train, test)
    for code in (0, 1):
        expected = np.quantile(data.labels["risk"].value[train[data.market[train] == code]], 0.05)
        assert found[data.market[test] == code].tolist() == pytest.approx([expected] * 10)
