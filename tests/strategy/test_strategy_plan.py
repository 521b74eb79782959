"""Signals on hand-worked bars, shared columns, packed bits."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pytest

from daybook.core.arrays import Floats
from daybook.market.bars import Bars
from daybook.strategy import SignalPlan, SpecError, parse_expression, parse_spec, positions_from_bits, signal_bits
from daybook.strategy.bits_kernel import write_bits
from daybook.strategy.fields import session_mask
from daybook.strategy.nodes import Call

DAY = 1_704_672_000_000
"""Monday 8 January 2024, 00:00 UTC: no daylight saving in force."""


def tape(close: list[float], volume: list[float] | None = None, spread: float = 1.0) -> Bars:
    prices = np.array(close, dtype=np.float64)
    times = DAY + 60_000 * np.arange(prices.size, dtype=np.int64)
    return Bars("test", "BTCUSDT", "1m", times, prices, prices + spread, prices - spread, prices,
                np.array(volume or [1.0] * prices.size))


def random_tape(bars: int = 5000, seed: int = 4) -> Bars:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.standard_normal(bars) * 0.002))
    return tape(close.tolist(), random.lognormal(2, 1, bars).tolist(), 0.1)


def bits(bars: Bars, **spec: object) -> list[int]:
    return signal_bits(parse_spec({"name": "t", "max_holding": 5, **spec}), bars).tolist()


def test_bits_are_packed_and_zero_during_warmup() -> None:
    bars = tape([10, 11, 12, 9, 8, 12, 7])
    found = bits(bars, long_entry="close > delay(close, 2)", long_exit="close < sma(close, 2)",
                 short_entry="close < lowest(close, 3) * 1.0001", short_exit="close_position > 0.4")
    assert found == [0, 0, 9, 14, 14, 9, 14]


def test_crossing_needs_the_bar_before() -> None:
    bars = tape([1, 3, 3, 1, 3, 2, 2, 3])
    assert bits(bars, long_entry="cross_above(rsi(close, 2), 50)") == [0] * len(bars)
    crossing = bits(bars, long_entry="cross_above(close, sma(close, 2))",
                    short_entry="cross_below(close, sma(close, 2))")
    assert crossing == [0, 0, 0, 4, 1, 4, 0, 1]


def test_undefined_comparisons_are_false_under_not_too() -> None:
    bars = tape([5, 5, 5, 5, 6, 7], volume=[0, 0, 0, 0, 2, 4])
    assert bits(bars, long_entry="volume / delay(volume, 1) > 1") == [0, 0, 0, 0, 0, 1]
    assert bits(bars, long_entry="not (volume / delay(volume, 1) > 1)") == [0, 0, 0, 0, 0, 0]


def test_derived_columns() -> None:
    bars = Bars("t", "X", "60m", DAY + 3_600_000 * np.arange(3, dtype=np.int64), np.array([1.0, 2, 3]),
                np.array([2.0, 4, 3]), np.array([1.0, 2, 3]), np.array([1.5, 4, 3]), np.array([1.0, 1, 1]))
    plan = SignalPlan(bars)

    def column(text: str) -> list[float]:
        return plan.column(parse_expression(text, boolean=False)).tolist()

    assert column("close_position") == [0.5, 1.0, 0.5]
    assert column("range") == [1.0, 2.0, 0.0]
    assert column("typical") == [1.5, 10 / 3, 3.0]
    assert column("return_1")[1:] == pytest.approx([4 / 1.5 - 1, -0.25])
    assert column("hour") == [0, 1, 2]
    assert column("weekday") == [0, 0, 0]
    assert column("weekend") == [0, 0, 0]


def minutes_open(day_ms: int, session: str) -> list[str]:
    times = day_ms + 60_000 * np.arange(1440, dtype=np.int64)
    inside = np.flatnonzero(session_mask(times, session))
    assert (np.diff(inside) == 1).all()
    return [f"{m // 60:02d}:{m % 60:02d}" for m in (inside[0], inside[-1] + 1)] if inside.size else []


def test_sessions_follow_local_clocks() -> None:
    july = DAY + 182 * 86_400_000
    assert minutes_open(DAY, "newyork") == ["14:30", "21:00"]
    assert minutes_open(july, "newyork") == ["13:30", "20:00"]
    assert minutes_open(DAY, "london") == ["08:00", "16:30"]
    assert minutes_open(july, "london") == ["07:00", "15:30"]
    assert minutes_open(DAY, "tokyo") == minutes_open(july, "tokyo") == ["00:00", "06:00"]
    assert minutes_open(DAY - 2 * 86_400_000, "london") == []


def test_sessions_on_days_when_the_zones_disagree() -> None:
    march, october = 1_773_619_200_000, 1_793_145_600_000
    assert minutes_open(march, "newyork")[0] == minutes_open(october, "newyork")[0] == "13:30"
    assert minutes_open(march, "london")[0] == minutes_open(october, "london")[0] == "08:00"


SPECS = [
    {"name": "a", "long_entry": "rsi(close, n) < k", "short_entry": "rsi(close, n) > 70",
     "parameters": {"n": {"low": 2, "high": 50, "default": 14, "integer": True},
                    "k": {"low": 5, "high": 50, "default": 30}}},
    {"name": "b", "long_entry": "close > sma(close, m) + f * atr(m) and not london", "max_holding": 9,
     "parameters": {"m": {"low": 2, "high": 50, "default": 20, "integer": True},
                    "f": {"low": 0, "high": 3, "default": 1}}},
    {"name": "c", "long_entry": "count(close > ema(close, 9), 5) > 3 or where(london, high, close) > highest(high, 20)",
     "long_exit": "roc(close, 3) < 0", "short_entry": "quantile(close, 30, q) > close",
     "parameters": {"q": {"low": 0.05, "high": 0.3, "default": 0.1}}},
]


def draws(count: int) -> list[tuple[int, dict[str, float]]]:
    random = np.random.default_rng(9)
    chosen = []
    for _ in range(count):
        which = int(random.integers(len(SPECS)))
        ranges = SPECS[which]["parameters"]
        assert isinstance(ranges, dict)
        chosen.append((which, {name: int(random.integers(r["low"], r["high"])) if r.get("integer")
                               else round(float(random.uniform(r["low"], r["high"])), 2)
                               for name, r in ranges.items()}))
    return chosen


@pytest.mark.parametrize("memory", [1 << 28, 1])
def test_sharing_and_eviction_never_change_a_signal(memory: int) -> None:
    bars = random_tape(900)
    strategies = [parse_spec(spec) for spec in SPECS]
    plan = SignalPlan(bars, memory_bytes=memory)
    for which, params in draws(300):
        alone = signal_bits(strategies[which], bars, params)
        np.testing.assert_array_equal(plan.bits(strategies[which], params), alone)


def test_many_specs_compute_each_distinct_column_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Hashable] = []
    compute = SignalPlan._compute

    def counted(plan: SignalPlan, node: Call, values: dict[str, float], out: Floats) -> None:
        computed.append(plan._key(node, values))
        compute(plan, node, values, out)

    monkeypatch.setattr(SignalPlan, "_compute", counted)
    plan, strategies = SignalPlan(random_tape(300)), [parse_spec(spec) for spec in SPECS]
    for which, params in draws(120):
        plan.bits(strategies[which], params)
    assert len(computed) == len(set(computed)) > len(SPECS)


def test_equal_columns_are_computed_once_whatever_parameters_are_called() -> None:
    plan = SignalPlan(random_tape(200))
    plan.bits(parse_spec(SPECS[0]), {"n": 20})
    known = len(plan._row_of)
    plan.bits(parse_spec({"name": "x", "long_entry": "rsi(close, 20) < 25", "max_holding": 3}))
    assert len(plan._row_of) == known


def test_a_row_in_use_is_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daybook.strategy.plan._FEWEST_ROWS", 3)
    plan = SignalPlan(random_tape(100), memory_bytes=1)
    assert plan.bits(parse_spec({"name": "t", "long_entry": "close > sma(close, 5)", "max_holding": 3})).any()
    with pytest.raises(SpecError, match="more than 3 columns are needed at once"):
        plan.bits(parse_spec({"name": "t", "long_entry": "wma(high, 6) > wma(open, 6)", "max_holding": 3}))


def test_a_full_arena_costs_batches_and_no_column() -> None:
    """Nested columns that were begun when no row was left are neither read nor in the way of the next batch."""
    window = {"low": 2, "high": 60, "default": 5, "integer": True}
    spec = parse_spec({"name": "nested", "long_entry": "ema(delta(sma(close, a), b), c) > 0", "max_holding": 3,
                       "short_entry": "ema(delta(sma(high, d), e), f) < 0",
                       "parameters": dict.fromkeys("abcdef", window)})
    rng, bars = np.random.default_rng(4), random_tape(400)
    columns = {name: rng.integers(2, 61, 300).astype(float).tolist() for name in "abcdef"}
    plan, seen = SignalPlan(bars, memory_bytes=1), 0
    for first, batch in plan.batches(spec, columns, 300):
        planes = batch.planes(len(bars))
        batch.write(0, len(bars), planes)
        for place in range(0, len(batch), 7):
            bits = np.empty(len(bars), np.uint8)
            write_bits(planes[place], bits)
            params = {name: column[first + place] for name, column in columns.items()}
            np.testing.assert_array_equal(bits, signal_bits(spec, bars, params))
        seen += len(batch)
    assert seen == 300


def test_a_request_that_failed_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daybook.strategy.plan._FEWEST_ROWS", 3)
    bars = random_tape(100)
    plan = SignalPlan(bars, memory_bytes=1)
    wide = parse_spec({"name": "t", "long_entry": "wma(wma(ema(high, 3), 4), 6) > open", "max_holding": 3})
    narrow = parse_spec({"name": "t", "long_entry": "high > ema(high, 3)", "max_holding": 3})
    with pytest.raises(SpecError, match="columns are needed at once"):
        plan.bits(wide)
    np.testing.assert_array_equal(plan.bits(narrow), signal_bits(narrow, bars))


def test_output_row_is_reused_when_given() -> None:
    bars = random_tape(300)
    row = np.full(300, 255, np.uint8)
    strategy = parse_spec(SPECS[0])
    assert SignalPlan(bars).bits(strategy, out=row) is row
    np.testing.assert_array_equal(row, signal_bits(strategy, bars))


def test_no_bars_and_fewer_bars_than_warmup_give_no_signal() -> None:
    strategy = parse_spec(SPECS[0])
    assert signal_bits(strategy, random_tape(200).rows(0, 0)).size == 0
    assert not signal_bits(strategy, random_tape(200).rows(0, 50)).any()


def test_signals_agree_with_numpy_on_random_bars() -> None:
    bars = random_tape()
    found = np.array(bits(bars, long_entry="close > delay(close, 3) and volume > 2 * sma(volume, 20)",
                          long_exit="low < lowest(low, 10) * 1.001"))
    mean = np.convolve(bars.volume, np.ones(20) / 20, "valid")
    lows = np.lib.stride_tricks.sliding_window_view(bars.low, 10).min(axis=1)
    entry = (bars.close[19:] > bars.close[16:-3]) & (bars.volume[19:] > 2 * mean)
    np.testing.assert_array_equal(found[19:], entry + 2 * (bars.low[19:] < lows[10:] * 1.001))


def test_positions_follow_entries_exits_and_reversals() -> None:
    signals = np.array([0, 1, 0, 2, 1, 4, 0, 8, 5, 4, 5, 1, 2, 8, 6, 9, 15], dtype=np.uint8)
    assert positions_from_bits(signals).tolist() == [0, 1, 1, 0, 1, -1, -1, 0, 0, -1, -1, 1, 0, 0, -1, 1, 0]
