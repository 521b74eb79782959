"""Cross-coin features against plain formulas, hand-worked bars and missing minutes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from feature_bars import START_MS, bars_of, random_bars

from daybook.core.errors import DataError, UsageError
from daybook.features import catalog, compute, compute_panel
from daybook.features.errors import FeatureInputError, PeersNeededError

COINS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
PANEL = {symbol: replace(random_bars(900, seed), symbol=symbol) for seed, symbol in enumerate(COINS)}
TABLES = compute_panel(PANEL)
CLOSE = pd.DataFrame({symbol: bars.close for symbol, bars in PANEL.items()})
VOLUME = pd.DataFrame({symbol: bars.volume for symbol, bars in PANEL.items()})
R = np.log(CLOSE).diff()
SUM60, SUM240 = R.rolling(60).sum(), R.rolling(240).sum()
OWN = "ETHUSDT"
OTHERS = [symbol for symbol in COINS if symbol != OWN]
MARKET = R[OTHERS].mean(axis=1)
BETA = R[OWN].rolling(240).cov(MARKET, ddof=0) / MARKET.rolling(240).var(ddof=0)
SURGE = VOLUME / VOLUME.rolling(60).mean()
SIGMA = np.sqrt((R**2).rolling(60).mean())
TURNOVER = (CLOSE * VOLUME).rolling(240).sum()


@pytest.mark.parametrize(("name", "expected"), [
    ("leader_return_1", R["BTCUSDT"]),
    ("leader_return_15", R["BTCUSDT"].rolling(15).sum()),
    ("leader_gap_15", (R[OWN] - R["BTCUSDT"]).rolling(15).sum()),
    ("relative_strength_60", SUM60[OWN] - SUM60[OTHERS].mean(axis=1)),
    ("relative_strength_240", SUM240[OWN] - SUM240[OTHERS].mean(axis=1)),
    ("market_correlation_240", R[OWN].rolling(240).corr(MARKET)),
    ("market_beta_240", BETA),
    ("residual_return_60", SUM60[OWN] - BETA * SUM60[OTHERS].mean(axis=1)),
    ("return_rank_60", SUM60.rank(axis=1)[OWN].sub(0.5) / 4),
    ("breadth_60", (SUM60 > 0).mean(axis=1).where(SUM60[OWN].notna())),
    ("dispersion_60", SUM60.std(axis=1, ddof=0)),
    ("lead_lag_240", R[OWN].rolling(240).corr(R["BTCUSDT"].shift()) - R["BTCUSDT"].rolling(240).corr(R[OWN].shift())),
    ("relative_volume_60", SURGE[OWN] / SURGE[OTHERS].mean(axis=1)),
    ("relative_volatility_60", SIGMA[OWN] / SIGMA[OTHERS].mean(axis=1)),
    ("turnover_share_240", TURNOVER[OWN] / TURNOVER.sum(axis=1, min_count=4)),
])
def test_a_cross_coin_feature_equals_pandas(name, expected):
    values, expected = TABLES[OWN].column(name), expected.to_numpy()
    assert np.isfinite(values).sum() == np.isfinite(expected).sum() > 600
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5 * np.nanstd(expected))


def test_the_leader_leads_itself_by_nothing():
    table = TABLES["BTCUSDT"]
    np.testing.assert_array_equal(table.column("leader_return_5"), table.column("return_5"))
    assert np.all(table.column("leader_gap_15")[15:] == 0.0)
    assert np.all(table.column("lead_lag_240")[241:] == 0.0)


def test_a_coin_that_follows_the_leader_is_seen_to_follow():
    leader = random_bars(700, seed=5)
    follower = replace(random_bars(700, seed=6), symbol="ETHUSDT", close=np.append(leader.close[0], leader.close[:-1]))
    tables = compute_panel({"BTCUSDT": leader, "ETHUSDT": follower}, ["lead_lag_240"])
    assert tables["ETHUSDT"].column("lead_lag_240")[-1] > 0.8


def test_single_market_features_are_those_of_the_market_alone():
    for symbol, table in TABLES.items():
        alone = compute(PANEL[symbol])
        np.testing.assert_array_equal(table.select(alone.names).values, alone.values)
        assert table.names == tuple(catalog())


def test_a_missing_minute_of_another_coin_is_unknown_and_not_filled():
    leader = replace(bars_of([100.0, 101, 102, 103, 104, 105]), symbol="BTCUSDT")
    keep = np.arange(6) != 2
    gapped = replace(leader, **{field: getattr(leader, field)[keep]
                                for field in ("open_time", "open", "high", "low", "close", "volume")})
    own = replace(leader, symbol="ETHUSDT")
    table = compute_panel({"BTCUSDT": gapped, "ETHUSDT": own}, ["leader_return_1"])["ETHUSDT"]
    values = table.column("leader_return_1")
    assert np.isnan(values).tolist() == [True, False, True, True, False, False]
    assert values[4] == pytest.approx(np.log(104 / 103))


def test_a_minute_that_only_the_other_coin_has_is_not_read():
    leader = replace(bars_of([100.0, 150, 110, 121]), symbol="BTCUSDT")
    own = replace(leader, symbol="ETHUSDT", **{field: getattr(leader, field)[[0, 2, 3]]
                                               for field in ("open_time", "open", "high", "low", "close", "volume")})
    table = compute_panel({"BTCUSDT": leader, "ETHUSDT": own}, ["leader_return_1"])["ETHUSDT"]
    assert table.open_time.tolist() == [START_MS, START_MS + 120_000, START_MS + 180_000]
    np.testing.assert_allclose(table.column("leader_return_1")[1:], np.log(1.1), rtol=1e-6)


def test_a_basket_is_the_mean_of_the_coins_that_have_a_bar():
    rows = np.arange(900) < 500
    short = replace(PANEL["XRPUSDT"], **{field: getattr(PANEL["XRPUSDT"], field)[rows]
                                         for field in ("open_time", "open", "high", "low", "close", "volume")})
    values = compute_panel(PANEL | {"XRPUSDT": short}, ["relative_strength_60", "turnover_share_240"])[OWN]
    expected = SUM60[OWN] - SUM60[["BTCUSDT", "SOLUSDT"]].mean(axis=1)
    np.testing.assert_allclose(values.column("relative_strength_60")[600:], expected[600:], rtol=1e-3, atol=1e-6)
    assert np.isnan(values.column("turnover_share_240")[500:]).all()


def test_a_market_alone_or_without_a_leader_has_no_cross_coin_values():
    cross = [name for name, feature in catalog().items() if feature.reads_peers]
    alone = compute_panel({OWN: PANEL[OWN]}, cross)[OWN]
    assert np.isnan(alone.values).all()
    leaderless = compute_panel({symbol: PANEL[symbol] for symbol in (OWN, "SOLUSDT")}, cross)[OWN]
    undefined = {name for name in cross if np.isnan(leaderless.column(name)).all()}
    assert undefined == {"leader_return_1", "leader_return_5", "leader_return_15", "leader_gap_15", "lead_lag_240"}


def test_one_market_can_not_be_asked_for_a_cross_coin_feature():
    with pytest.raises(PeersNeededError, match=r"breadth_60.*ETHUSDT.*compute_panel") as caught:
        compute(PANEL[OWN], ["return_1", "breadth_60"])
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize("panel", [
    {"BTCUSDT": PANEL["BTCUSDT"], "ETH": PANEL["ETHUSDT"]},
    {"BTCUSDT": PANEL["BTCUSDT"], "ETHUSDT": replace(PANEL["ETHUSDT"], timeframe="5m")},
])
def test_markets_that_do_not_belong_together_are_refused(panel):
    with pytest.raises(FeatureInputError, match="panel") as caught:
        compute_panel(panel)
    assert isinstance(caught.value, DataError)


def test_an_impossible_price_of_another_coin_is_refused_by_its_name():
    broken = replace(PANEL["SOLUSDT"], close=np.where(np.arange(900) == 17, np.nan, PANEL["SOLUSDT"].close))
    with pytest.raises(FeatureInputError, match="SOLUSDT 1m: close of bar 17"):
        compute_panel({OWN: PANEL[OWN], "SOLUSDT": broken}, ["breadth_60"])
