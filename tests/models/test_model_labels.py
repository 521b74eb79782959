"""Targets against tapes worked by hand, and against the rule that no label knows more than its time says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_markets import START_MS, STEP_MS, bars_of_returns, tape

from daybook.core.seeds import generator
from daybook.models import LabelSettings
from daybook.models.errors import ModelSettingError
from daybook.models.labels import LABELLERS, UNKNOWN_TIME, momentum_labels, uniqueness

OPENS = [100.0, 101.0, 102.0, 104.0, 103.0, 100.0]
CLOSES = [101.0, 102.0, 104.0, 103.0, 100.0, 99.0]
HIGHS = [101.5, 102.5, 104.5, 104.5, 103.5, 100.5]
LOWS = [99.5, 100.5, 101.0, 102.5, 99.0, 98.5]

TWO = LabelSettings(horizon=2, volatility_window=2)


def label(target, bars, setting=TWO, cost=None):
    return LABELLERS[target](bars, setting, np.zeros(len(bars)) if cost is None else cost)


def test_price_is_next_open_to_the_open_one_horizon_later():
    found = label("price", tape(OPENS, HIGHS, LOWS, CLOSES))
    assert found.value[0] == pytest.approx(np.log(104.0 / 101.0))
    assert found.value[2] == pytest.approx(np.log(100.0 / 104.0))
    assert found.valid.tolist() == [True, True, True, False, False, False]
    assert found.known_at[0] == START_MS + 3 * STEP_MS
    assert found.known_at[3] == UNKNOWN_TIME


def test_direction_is_the_sign_and_the_dead_zone_is_not_fitted():
    cost = np.full(6, 0.011)
    found = label("direction", tape(OPENS, HIGHS, LOWS, CLOSES), cost=cost)
    assert found.value[:3].tolist() == [1.0, 1.0, -1.0]
    assert np.log(103.0 / 102.0) < 0.011
    assert found.valid[:3].tolist() == [True, True, True]
    assert found.fit[:3].tolist() == [True, False, True]


def test_risk_is_the_lowest_low_of_the_holding_bars_below_the_entry():
    found = label("risk", tape(OPENS, HIGHS, LOWS, CLOSES))
    assert found.value[0] == pytest.approx(100.5 / 101.0 - 1.0)
    assert found.value[2] == pytest.approx(99.0 / 104.0 - 1.0)
    assert found.valid.tolist() == [True, True, True, True, False, False]
    assert found.known_at[3] == START_MS + 6 * STEP_MS


def test_volatility_is_the_log_of_the_sum_of_squares():
    found = label("volatility", tape(OPENS, HIGHS, LOWS, CLOSES))
    assert found.value[0] == pytest.approx(np.log(np.log(102 / 101) ** 2 + np.log(104 / 102) ** 2))
    frozen = tape([100.0] * 6, [100.0] * 6, [100.0] * 6, [100.0] * 6)
    assert not label("volatility", frozen).valid.any()


@pytest.mark.parametrize("target", sorted(LABELLERS))
def test_no_label_reaches_across_a_missing_bar(target):
    rng = generator(3, target)
    bars = bars_of_returns("AAAUSDT", rng.normal(0, 1e-3, 80))
    keep = np.arange(80) != 40
    gapped = tape(bars.open, bars.high, bars.low, bars.close, missing=(40,))
    setting = LabelSettings(horizon=4, volatility_window=10)
    whole, cut = label(target, bars, setting), label(target, gapped, setting)
    touching = np.arange(36, 40)
    if target != "momentum":
        assert not cut.valid[touching].any()
    assert np.all(whole.value[keep][:35][cut.valid[:35]] == cut.value[:35][cut.valid[:35]])
    assert cut.valid[:30].sum() == whole.valid[:30].sum() > 0


def momentum_tape(highs, lows, closes):
    """Ten bars that wiggle upward, then three bars to decide in; the barrier is about one wiggle."""
    start = [100.0, 100.5, 100.2, 100.7, 100.4, 100.9, 100.6, 101.1, 100.8, 101.3]
    opens = [100.0, *start[:-1], 101.3, *closes[:-1], closes[-1]]
    rest = [closes[-1]]
    return tape(opens, [max(o, c) for o, c in zip(opens[:10], start, strict=True)] + highs + rest,
                [min(o, c) for o, c in zip(opens[:10], start, strict=True)] + lows + rest, start + closes + rest)


@pytest.mark.parametrize(("highs", "lows", "value", "known_bars"), [
    ([103.0, 101.4, 101.4], [101.2, 101.2, 101.2], 1.0, 11),
    ([101.4, 101.4, 101.4], [101.2, 99.0, 101.2], 0.0, 12),
    ([101.4, 103.0, 101.4], [101.2, 99.0, 101.2], None, None),
])
def test_momentum_is_decided_by_the_first_barrier(highs, lows, value, known_bars):
    bars = momentum_tape(highs, lows, [101.3, 101.3, 101.35])
    found = momentum_labels(bars, LabelSettings(horizon=3, volatility_window=6), np.zeros(len(bars)))
    if value is None:
        assert np.isnan(found.value[9])
        assert not found.valid[9]
    else:
        assert found.value[9] == value
        assert found.known_at[9] == START_MS + known_bars * STEP_MS


def test_momentum_without_a_touch_takes_the_sign_at_the_horizon():
    flat = ([101.4] * 3, [101.2] * 3)
    bars = momentum_tape(*flat, [101.3, 101.3, 101.35])
    setting = LabelSettings(horizon=3, volatility_window=6)
    free = momentum_labels(bars, setting, np.zeros(len(bars)))
    dear = momentum_labels(bars, setting, np.full(len(bars), 0.01))
    assert free.value[9] == dear.value[9] == 1.0
    assert free.fit[9]
    assert not dear.fit[9]


def test_a_driftless_market_continues_as_often_as_it_reverts():
    bars = bars_of_returns("AAAUSDT", generator(5, "fair").normal(0, 1e-3, 20_000), wick=0.0)
    found = momentum_labels(bars, LabelSettings(), np.zeros(len(bars)))
    share = found.value[found.fit].mean()
    assert abs(share - 0.5) < 3 * 0.5 / np.sqrt(found.weight[found.fit].sum())


@pytest.mark.parametrize("target", sorted(LABELLERS))
@settings(max_examples=8, deadline=None)
@given(cut=st.integers(30, 118), seed=st.integers(0, 99))
def test_a_known_label_never_changes_and_is_not_known_early(target, cut, seed):
    """What a prefix knows, the whole agrees with; what the whole calls known by then, the prefix knows."""
    bars = bars_of_returns("AAAUSDT", generator(seed, "labels").normal(0, 2e-3, 120))
    setting = LabelSettings(horizon=5, volatility_window=12)
    whole, prefix = label(target, bars, setting), label(target, bars.rows(0, cut), setting)
    known = prefix.valid
    assert np.array_equal(prefix.value[known], whole.value[:cut][known])
    assert np.array_equal(prefix.known_at[known], whole.known_at[:cut][known])
    assert np.array_equal(prefix.weight[known], whole.weight[:cut][known])
    now = bars.close_time[cut - 1]
    assert (prefix.known_at[known] <= now).all()
    settled = whole.valid[:cut] & (whole.known_at[:cut] < bars.open_time[cut - 1])
    assert known[settled].all()


def test_uniqueness_of_equal_spans_is_one_over_their_overlap():
    ends = np.minimum(np.arange(50) + 5, 49)
    weight = uniqueness(ends)
    assert weight[10:40] == pytest.approx(np.full(30, 0.2))
    assert weight[0] > 0.2
    assert uniqueness(np.array([2, 2, 3, 3])).tolist()[0] == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize("wrong", [{"horizon": 0}, {"volatility_window": 1}, {"barrier": 0.0}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ModelSettingError, match=next(iter(wrong))):
        LabelSettings(**wrong)
