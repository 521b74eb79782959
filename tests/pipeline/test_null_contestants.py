"""Random entries pay what their original pays: their turnover is matched whatever stops it has."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daybook.backtest import Conditions, Holdings, replay
from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day
from daybook.execution import Costs
from daybook.market import aggregate
from daybook.market.synthetic import synthetic_bars
from daybook.pipeline.null_contestants import RANDOM_ENTRIES, SHUFFLED, null_contestants
from daybook.pipeline.steps.contest import null_frame
from daybook.strategy import Strategy, parse_spec

DAY = "2026-03-08"
END = day_start_ms(parse_day(DAY))
WEEK = Window(END - 7 * DAY_MS, END)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
TIGHT_STOPS = {"timeframes": ["1m"], "long_entry": "volume > 5 * sma(volume, 240)", "stop_loss": 0.002,
               "take_profit": 0.002}
RULES = {
    "spikes with tight stops": TIGHT_STOPS,
    "a level with a take-profit": {"timeframes": ["5m"], "long_entry": "rsi(close, 14) < 35", "take_profit": 0.004,
                                   "stop_loss": 0.02},
    "a level with a stop": {"timeframes": ["5m"], "long_entry": "close > sma(close, 200)", "stop_loss": 0.003},
    "both sides, always in": {"timeframes": ["60m"], "long_entry": "close > sma(close, 24)",
                              "short_entry": "close < sma(close, 24)", "trailing_stop": 0.004},
    "crossings without stops": {"timeframes": ["5m"], "long_entry": "cross_above(sma(close, 20), sma(close, 60))",
                                "long_exit": "cross_below(sma(close, 5), sma(close, 20))"},
}


@cache
def bars() -> dict[str, dict[str, Any]]:
    history = Window(END - 14 * DAY_MS, END)
    minutes = {symbol: synthetic_bars(symbol, history, seed=7, mode="normal") for symbol in SYMBOLS}
    coarser = {name: {symbol: aggregate(one, name) for symbol, one in minutes.items()} for name in ("5m", "60m")}
    return {"1m": minutes, **coarser}


def day(seed: int = 7, **conditions: Any) -> Any:
    """What null contestants need of a day."""
    settings = SimpleNamespace(symbols=SYMBOLS, seed=seed, min_trades=5)
    return SimpleNamespace(bars=bars(), settings=settings, sealed=SimpleNamespace(day=DAY), window=WEEK, costs=Costs(),
                           conditions=Conditions(**conditions))


def rule(name: str) -> Strategy:
    return parse_spec({"name": "rule", **RULES[name]})


def ratios(of: Strategy, way: str, seeds: range, **conditions: Any) -> list[float]:
    return [one.turnover_ratio or 0.0 for seed in seeds for one in null_contestants(day(seed, **conditions), [of])
            if one.way == way]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("latency", [0, 1])
def test_random_entries_turn_over_what_their_original_does(name: str, latency: int) -> None:
    found = ratios(rule(name), RANDOM_ENTRIES, range(5), latency_bars=latency)
    lowest = 0.9 if latency or name == "both sides, always in" else 0.99
    assert lowest < min(found) <= max(found) < 1.01


def test_random_entries_hold_the_same_sides_for_as_long_as_each_trade_of_the_original() -> None:
    of = rule("spikes with tight stops")
    [drawn, _] = null_contestants(day(), [of])
    for symbol, simulation in zip(SYMBOLS, drawn.simulations, strict=True):
        own = Holdings.of(replay(of, bars()["1m"][symbol], window=WEEK))
        held = Holdings.of(simulation)
        assert sorted(held.bars) == sorted(own.bars) and held.long.sum() == own.long.sum()
    (found, other) = (null_contestants(day(seed), [of])[0] for seed in (7, 8))
    assert not np.array_equal(found.blocks, other.blocks)


def test_a_copy_shuffled_in_time_says_how_far_its_turnover_is_from_the_original() -> None:
    """Its stops meet other bars, and a spike's stops are hit at once where it is and late where it is not."""
    found = ratios(rule("spikes with tight stops"), SHUFFLED, range(3))
    assert max(found) < 0.85
    crossings = ratios(rule("crossings without stops"), SHUFFLED, range(3))
    assert crossings == pytest.approx([1.0] * 3, abs=0.05)
    frame = null_frame(null_contestants(day(), [rule("spikes with tight stops")])).set_index("way")
    assert frame["turnover_ratio"][RANDOM_ENTRIES] == pytest.approx(1.0, abs=0.01)
    assert frame["turnover_ratio"][SHUFFLED] < 0.85


def test_a_strategy_that_never_traded_has_copies_that_do_not_and_no_ratio() -> None:
    idle = parse_spec({"name": "idle", "timeframes": ["60m"], "long_entry": "rsi(close, 14) > 101", "max_holding": 5})
    nulls = null_contestants(day(), [idle])
    assert [one.turnover_ratio for one in nulls] == [None, None]
    assert null_frame(nulls)["turnover_ratio"].isna().all()
    assert sum(simulation.metrics.trades for one in nulls for simulation in one.simulations) == 0
