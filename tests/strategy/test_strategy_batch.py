"""Signals of many parameter sets in packed words are the signals of each, wherever the bars are cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from daybook.core.arrays import Bytes
from daybook.market.bars import Bars
from daybook.strategy import SignalPlan, SpecError, Strategy, parse_spec
from daybook.strategy.batch import STRETCH, Batch
from daybook.strategy.bits_kernel import write_bits

SPEC = {
    "name": "everything", "timeframes": ["1m"], "max_holding": 9,
    "long_entry": "cross_above(sma(close, fast), sma(close, slow)) or cross_below(volume / delay(volume, 1), level)",
    "long_exit": "not (rsi(close, fast) > 50 or close_position >= 0.5)",
    "short_entry": "cross_below(sma(close, fast), close) and hour != 3",
    "short_exit": "cross_above(zscore(close, slow), level) or close <= lowest(close, fast)",
    "parameters": {"fast": {"low": 2, "high": 60, "default": 5, "integer": True},
                   "slow": {"low": 3, "high": 300, "default": 30, "integer": True},
                   "level": {"low": 0.1, "high": 2.0, "default": 0.5}},
}


def tape(count: int, halts: bool) -> Bars:
    """A walk; with halts, stretches without volume or movement leave ratios and scores undefined."""
    rng = np.random.default_rng(count)
    close = 100 * np.exp(np.cumsum(rng.standard_normal(count) * 0.002))
    volume = rng.integers(1, 6, count).astype(float)
    if halts:
        for start in range(50, count, 170):
            close[start:start + 40], volume[start:start + 40] = close[start], 0.0
    times = 60_000 * np.arange(count, dtype=np.int64)
    return Bars("test", "BTCUSDT", "1m", times, close, close + 0.1, close - 0.1, close, volume)


def columns(count: int) -> dict[str, list[float]]:
    return {"fast": [float(2 + number % 59) for number in range(count)],
            "slow": [float(3 + number * 7 % 290) for number in range(count)],
            "level": [0.1 + number % 13 / 10 for number in range(count)]}


def bits_of(batch: Batch, position: int, start: int, stop: int, step: int) -> Bytes:
    """The signals of one set at bars [start, stop), written `step` bars at a time."""
    bits = np.full(stop - start, 99, np.uint8)
    for first in range(start, stop, step):
        last = min(first + step, stop)
        planes = batch.planes(last - first)
        batch.write(first, last, planes)
        write_bits(planes[position], bits[first - start:last - start])
    return bits


def params_of(strategy: Strategy, sets: dict[str, list[float]], position: int) -> dict[str, float]:
    return {name: sets[name][position] for name in strategy.parameters}


@pytest.mark.parametrize("halts", [False, True])
@pytest.mark.parametrize(("start", "stop", "step"), [(0, 1300, 64), (0, 1300, 1300), (1, 1299, 100), (333, 1200, 77),
                                                     (63, 129, 1), (250, 314, 64)])
def test_pieces_hold_the_signals_of_the_whole(halts: bool, start: int, stop: int, step: int) -> None:
    bars, strategy, sets = tape(1300, halts), parse_spec(SPEC), columns(4)
    plan = SignalPlan(bars)
    wanted = [plan.bits(strategy, params_of(strategy, sets, position)) for position in range(4)]
    assert all(np.unique(bits).size > 3 for bits in wanted)
    [(first, batch)] = list(plan.batches(strategy, sets, 4))
    assert (first, len(batch)) == (0, 4)
    for position in range(4):
        assert bits_of(batch, position, start, stop, step).tolist() == wanted[position][start:stop].tolist()


@pytest.mark.parametrize("halts", [False, True])
def test_signals_are_those_of_a_bar_by_bar_evaluation(halts: bool) -> None:
    """Crossings over packed words against their definition, undefined values included."""
    bars = tape(700, halts)
    ratio = np.full(700, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio[1:] = bars.volume[1:] / bars.volume[:-1]
    ratio[~np.isfinite(ratio)] = np.nan
    above = [t > 1 and ratio[t] > 0.7 and ratio[t - 1] <= 0.7 for t in range(700)]
    spec = {"name": "t", "max_holding": 5, "long_entry": "cross_above(volume / delay(volume, 1), 0.7)"}
    assert SignalPlan(bars).bits(parse_spec(spec)).tolist() == [int(bit) for bit in above]


def test_a_small_arena_makes_more_batches_of_the_same_signals() -> None:
    bars, strategy, sets = tape(600, halts=True), parse_spec(SPEC), columns(290)
    small, large = SignalPlan(bars, memory_bytes=1), SignalPlan(bars)
    seen = []
    for first, batch in small.batches(strategy, sets, 290):
        seen += list(range(first, first + len(batch)))
        for position in (0, len(batch) - 1):
            wanted = large.bits(strategy, params_of(strategy, sets, first + position))
            assert bits_of(batch, position, 0, 600, 600).tolist() == wanted.tolist()
    assert seen == list(range(290))
    assert len(list(large.batches(strategy, sets, 290))) == 1 < len(list(small.batches(strategy, sets, 290)))


def test_pieces_cover_the_bars_in_whole_stretches() -> None:
    plan = SignalPlan(tape(5000, halts=False))
    [(_, batch)] = list(plan.batches(parse_spec(SPEC), columns(250), 250))
    pieces = list(batch.pieces(70, 4999))
    assert (pieces[0][0], pieces[-1][1]) == (70, 4999)
    assert all(before[1] == after[0] for before, after in pairwise(pieces))
    assert {(stop - start) % STRETCH for start, stop in pieces[:-1]} == {0}
    assert len(pieces) > 3


def test_no_room_for_a_single_set_is_refused() -> None:
    long = " + ".join(f"delta(sma(close * {number}, {number}) / close, 2)" for number in range(2, 5))
    strategy = parse_spec({"name": "t", "max_holding": 5, "long_entry": f"{long} > 0"})
    plan = SignalPlan(tape(50, halts=False))
    plan._arena = plan._arena[:20]
    with pytest.raises(SpecError, match="columns are needed at once"):
        list(plan.batches(strategy, {}, 1))
