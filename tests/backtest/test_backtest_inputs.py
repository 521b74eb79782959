"""Refusals, units and undefined figures at the border of the kernel."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backtest_tapes import FREE, LE, LX, RSI_SPEC, SE, SX, bar_window, bars_of, bits_of, flat_bars, play, walk_bars

from daybook.backtest import (
    METRICS,
    UNITS,
    Metrics,
    PriceError,
    SignalError,
    Sizing,
    replay,
    replay_bits,
    simulate_bits,
)
from daybook.backtest.kernel import wanted_side
from daybook.backtest.oracle import Bar, Oracle, Rules
from daybook.core.arrays import Floats
from daybook.core.errors import DataError, UsageError
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops, parse_spec, positions_from_bits

CALM = [[100.0] * 4] * 5


def test_no_trade_leaves_ratios_undefined_with_the_reason() -> None:
    metrics = simulate_bits(bits_of(0, 0, 0, 0, 0), bars_of(CALM))
    assert metrics.total_return == metrics.max_drawdown == metrics.exposure == metrics.costs_paid == 0.0
    assert (metrics.sharpe, metrics.sortino, metrics.win_rate, metrics.profit_factor) == (None,) * 4
    assert set(metrics.undefined) == {"sharpe", "sortino", "win_rate", "profit_factor", "skew", "kurtosis"}
    assert set(metrics.undefined.values()) == {"no trade was made"}


def test_a_window_of_one_bar_says_that_it_is_too_short() -> None:
    undefined = simulate_bits(bits_of(LE), bars_of(CALM[:1])).undefined
    assert set(undefined.values()) == {"the window holds a single bar"}
    assert {"sharpe", "std_return", "win_rate"} <= undefined.keys()


def test_only_winning_trades_leave_profit_factor_undefined() -> None:
    metrics = simulate_bits(bits_of(LE, 0, 0, 0), flat_bars([100.0, 100.0, 101.0, 102.0]), None, FREE)
    assert metrics.win_rate == 1.0
    assert metrics.undefined == {"sortino": "no bar lost money", "profit_factor": "no trade lost money"}


def test_trade_that_ends_where_it_began_is_no_win_and_has_no_ratios() -> None:
    metrics = simulate_bits(bits_of(LE, 0, LX, 0, 0), bars_of(CALM), None, FREE)
    assert metrics.win_rate == 0.0
    assert metrics.undefined["sharpe"] == "the equity never changed"


def test_metrics_of_a_worked_tape() -> None:
    """One long from 100: equity 1, 1, 1.10, 0.99, 1.21; returns 0, 0, 0.1, -0.1, 0.2222."""
    metrics = simulate_bits(bits_of(LE, 0, 0, 0, 0), flat_bars([100, 100, 110, 99, 121]), None, FREE)
    returns = np.array([0, 0, 0.1, 0.99 / 1.1 - 1, 1.21 / 0.99 - 1])
    year = math.sqrt(365 * 24 * 60)
    assert metrics.mean_return == pytest.approx(returns.mean())
    assert metrics.std_return == pytest.approx(returns.std(ddof=1))
    assert metrics.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * year)
    assert metrics.sortino == pytest.approx(returns.mean() / math.sqrt((0.1**2) / 5) * year)
    assert metrics.max_drawdown == pytest.approx(0.1)
    centred = returns - returns.mean()
    assert metrics.skew == pytest.approx((centred**3).mean() / (centred**2).mean() ** 1.5)
    assert metrics.kurtosis == pytest.approx((centred**4).mean() / (centred**2).mean() ** 2)
    assert metrics.turnover == pytest.approx(1 + 1.21)
    assert metrics.exposure == 0.8


def test_annual_figures_scale_with_the_timeframe() -> None:
    rows = [[p] * 4 for p in (100, 100, 110, 99, 121)]
    sharpes = [simulate_bits(bits_of(LE, 0, 0, 0, 0), bars_of(rows, timeframe=tf), None, FREE).sharpe
               for tf in ("1m", "5m", "60m")]
    assert sharpes[0] == pytest.approx(sharpes[1] * math.sqrt(5)) == pytest.approx(sharpes[2] * math.sqrt(60))


def test_moments_agree_with_scipy() -> None:
    from scipy import stats

    bars = walk_bars(500)
    bits = np.random.default_rng(3).choice([0, 0, 0, 1, 2, 4, 8], 500).astype(np.uint8)
    metrics = simulate_bits(bits, bars, Stops(0.004, 0.006, 50))
    equity = replay_bits(bits, bars, Stops(0.004, 0.006, 50)).equity
    returns = np.diff(equity, prepend=1.0) / np.concatenate(([1.0], equity[:-1]))
    assert metrics.skew == pytest.approx(stats.skew(returns), rel=1e-9)
    assert metrics.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-9)


def test_metrics_survive_their_row_and_json() -> None:
    metrics = simulate_bits(bits_of(LE, 0, 0, 0, 0), flat_bars([100, 100, 110, 99, 121]))
    assert Metrics.of_row(metrics.row(), 5) == metrics
    assert json.loads(json.dumps(metrics.as_dict(), allow_nan=False)) == metrics.as_dict()
    assert list(metrics.as_dict()) == ["n_bars", *METRICS]


def test_every_metric_has_a_unit() -> None:
    assert set(UNITS) == set(METRICS)


@pytest.mark.parametrize(("bits", "message"), [
    (np.zeros(4, np.uint8), r"shape \(4,\), needed are uint8 and \(5,\)"),
    (np.zeros(5, np.int64), "dtype int64"),
    (np.array([0, 16, 0, 0, 0], np.uint8), "reach 16, allowed is 0 to 15"),
])
def test_bits_that_do_not_fit_are_refused(bits: np.ndarray, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        simulate_bits(bits, bars_of(CALM))


@pytest.mark.parametrize("stops", [Stops(stop_loss=-0.1), Stops(take_profit=math.nan), Stops(max_holding=-1)])
def test_negative_or_undefined_stops_are_refused(stops: Stops) -> None:
    with pytest.raises(UsageError, match="at least 0"):
        simulate_bits(bits_of(0, 0, 0, 0, 0), bars_of(CALM), stops)


@pytest.mark.parametrize("bars_held", [0.5, 2.5])
def test_a_part_of_a_bar_is_no_maximum_holding(bars_held: float) -> None:
    with pytest.raises(UsageError, match=rf"max_holding is {bars_held}, allowed is a whole number of bars"):
        simulate_bits(bits_of(0, 0, 0, 0, 0), bars_of(CALM), Stops(max_holding=bars_held))  # type: ignore[arg-type]


@pytest.mark.parametrize("bars_held", [sys.maxsize, 2**64, 1e19])
@pytest.mark.parametrize("trailing", [0.0, 0.5])
def test_a_maximum_holding_beyond_any_tape_is_none(bars_held: int, trailing: float) -> None:
    done = replay_bits(bits_of(LE, 0, 0, 0, 0), bars_of(CALM), Stops(max_holding=bars_held, trailing_stop=trailing))
    free = replay_bits(bits_of(LE, 0, 0, 0, 0), bars_of(CALM), Stops(trailing_stop=trailing))
    assert done.metrics == free.metrics
    assert done.trades["reason"].tolist() == ["end"]


@pytest.mark.parametrize("early_ms", [1, 39_201, 59_999])
def test_a_bar_that_opens_before_the_last_is_complete_is_refused(early_ms: int) -> None:
    """As recorded on 4 December 2017, 20.8 s after the one before: its open is no price that a decision could get."""
    bars = bars_of(CALM)
    times = bars.open_time - np.where(np.arange(5) >= 3, early_ms, 0)
    odd = replace(bars, open_time=times)
    with pytest.raises(DataError, match=r"of 2023-11-14 22:16\S* UTC opens before that of .* is complete, 1 of them"):
        simulate_bits(bits_of(LE, 0, 0, 0, 0), odd)
    assert simulate_bits(bits_of(LE, 0, 0, 0, 0), odd, None, FREE, bar_window(odd, 0, 2)).n_bars == 2


@pytest.mark.parametrize("price", [math.nan, math.inf, 0.0, -1.0])
def test_untradable_price_is_refused_by_place(price: float) -> None:
    rows = [list(row) for row in CALM]
    rows[3][2] = price
    with pytest.raises(PriceError, match=r"BTCUSDT 1m: low is .* at 2023-11-14 22:17 UTC"):
        simulate_bits(bits_of(0, 0, 0, 0, 0), bars_of(rows))


def test_untradable_price_outside_the_window_does_not_matter() -> None:
    rows = [list(row) for row in CALM]
    rows[0][2] = math.nan
    bars = bars_of(rows)
    assert simulate_bits(bits_of(0, 0, 0, 0, 0), bars, None, FREE, bar_window(bars, 1, 5)).n_bars == 4


def test_no_bars_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="there are no bars to simulate"):
        simulate_bits(bits_of(), bars_of([]))


def test_several_markets_are_refused_where_one_is_simulated() -> None:
    several: Any = [bars_of(CALM), bars_of(CALM)]
    for simulate in (lambda: simulate_bits(bits_of(LE, 0, 0, 0, 0), several),
                     lambda: replay_bits(bits_of(LE, 0, 0, 0, 0), several),
                     lambda: replay(parse_spec(RSI_SPEC), several)):
        with pytest.raises(UsageError, match=r"bars: found a list, needed is one Bars.*use sweep"):
            simulate()


@pytest.mark.parametrize("sizing", [{"capital": 0.0}, {"capital": math.inf}, {"quantity": -1.0}, {"quantity": 0.0},
                                    {"capital": "10"}, {"notional": True}])
def test_impossible_sizing_is_refused(sizing: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="finite number above 0"):
        Sizing(**sizing)


def test_the_side_asked_for_is_that_of_the_plain_engine_for_all_bits_and_positions() -> None:
    for side, entry in ((-1, SE), (0, 0), (1, LE)):
        for bits in range(16):
            tape = [Bar(100, 100, 100, 100, 0.0)] * 4
            plain = Oracle(tape, [entry, bits, 0, 0], Rules()).run()
            assert math.copysign(plain.positions[2] != 0, plain.positions[2]) == wanted_side(bits, side)


def test_held_side_is_what_the_strategy_part_says_of_the_same_bits() -> None:
    bits = np.random.default_rng(5).integers(0, 16, 400).astype(np.uint8)
    done = play([[100.0] * 4] * 400, bits.tolist())
    wanted = positions_from_bits(bits)
    np.testing.assert_array_equal(np.sign(done.position[1:-1]), wanted[:-2])


def test_costs_default_to_five_bps_fee_and_two_bps_spread() -> None:
    bars, bits = bars_of(CALM), bits_of(SE, 0, SX, 0, 0)
    assert simulate_bits(bits, bars) == simulate_bits(bits, bars, None, Costs(5.0, 2.0))


class RisingCosts(Costs):
    """One basis point more each bar, as measured costs may differ by bar."""

    def side_cost(self, bars: Bars) -> Floats:
        return 1e-4 * np.arange(len(bars))


def test_each_fill_pays_the_cost_of_its_own_bar() -> None:
    done = replay_bits(bits_of(0, 0, LE, LX, 0, 0), bars_of([*CALM, CALM[0]]), None, RisingCosts(0.0),
                       bar_window(bars_of(CALM), 1, 5))
    assert done.trades[["entry_price", "exit_price"]].to_numpy().tolist() == [pytest.approx([100.03, 99.96])]
