"""Each rule of a simulation on a tape of five bars, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from backtest_tapes import FREE, LE, LX, SE, SX, bar_window, bars_of, bits_of, flat_bars, play, story

from daybook.backtest import Sizing, replay_bits, simulate_bits
from daybook.execution import Costs
from daybook.strategy import Stops

CALM = [[100, 100, 100, 100], [101, 102, 100, 102], [103, 104, 102, 104], [105, 106, 104, 106], [107, 108, 106, 108]]


def test_decision_at_a_close_fills_at_the_next_open_and_ends_flat_at_the_last_close() -> None:
    done = play(CALM, [LE, 0, 0, 0, 0])
    assert story(done) == [(1, 4, "long", 101.0, 108.0, "end")]
    np.testing.assert_allclose(done.equity, [1, 1 + 1 / 101, 1 + 3 / 101, 1 + 5 / 101, 1 + 7 / 101], rtol=1e-14)
    np.testing.assert_allclose(done.position, [0, 1 / 101, 1 / 101, 1 / 101, 0], rtol=1e-14)
    assert done.metrics.total_return == pytest.approx(7 / 101)
    assert done.metrics.exposure == 4 / 5


def test_exit_signal_closes_at_the_next_open() -> None:
    assert story(play(CALM, [LE, 0, LX, 0, 0])) == [(1, 3, "long", 101.0, 105.0, "signal")]
    assert story(play(CALM, [SE, 0, SX, 0, 0])) == [(1, 3, "short", 101.0, 105.0, "signal")]


def test_opposite_entry_reverses_at_the_same_open() -> None:
    assert story(play(CALM, [LE, 0, SE, 0, 0])) == [
        (1, 3, "long", 101.0, 105.0, "reverse"), (3, 4, "short", 105.0, 108.0, "end")]
    assert story(play(CALM, [SE, LE, 0, 0, 0])) == [
        (1, 2, "short", 101.0, 103.0, "reverse"), (2, 4, "long", 103.0, 108.0, "end")]


def test_same_side_entry_while_in_position_changes_nothing() -> None:
    assert story(play(CALM, [LE, LE, LE, LE, LE])) == story(play(CALM, [LE, 0, 0, 0, 0]))


def test_opposite_entries_on_one_bar_cancel_each_other() -> None:
    assert play(CALM, [LE | SE, 0, 0, 0, 0]).metrics.trades == 0
    assert story(play(CALM, [LE, LE | SE, 0, 0, 0])) == [(1, 4, "long", 101.0, 108.0, "end")]


def test_opposite_entries_do_not_hold_back_an_exit() -> None:
    assert story(play(CALM, [LE, LE | SE | LX, 0, 0, 0])) == [(1, 2, "long", 101.0, 103.0, "signal")]


def test_entry_outweighs_the_exit_of_its_own_side() -> None:
    assert story(play(CALM, [LE | LX, 0, 0, 0, 0])) == [(1, 4, "long", 101.0, 108.0, "end")]
    assert story(play(CALM, [SE, SE | SX, 0, 0, 0])) == [(1, 4, "short", 101.0, 108.0, "end")]


def test_entry_with_the_exit_of_the_other_side_reverses() -> None:
    assert story(play(CALM, [SE, LE | SX, 0, 0, 0]))[0] == (1, 2, "short", 101.0, 103.0, "reverse")


def test_exit_of_the_other_side_is_ignored() -> None:
    assert story(play(CALM, [LE, SX, SX, 0, 0])) == [(1, 4, "long", 101.0, 108.0, "end")]


def test_entry_decided_on_the_last_bar_is_not_filled() -> None:
    assert play(CALM, [0, 0, 0, 0, LE]).metrics.trades == 0


def test_exit_decided_on_the_last_bar_still_ends_at_its_close() -> None:
    assert story(play(CALM, [LE, 0, 0, 0, LX])) == [(1, 4, "long", 101.0, 108.0, "end")]


def test_entry_on_the_last_bar_opens_and_ends_there() -> None:
    assert story(play(CALM, [0, 0, 0, SE, 0])) == [(4, 4, "short", 107.0, 108.0, "end")]


def test_both_sides_pay_half_the_spread_and_the_fee() -> None:
    costs = Costs(fee_bps=10, spread_bps=40)  # fee 0.001 a side, side cost 0.002
    done = play([[100] * 4] * 5, [LE, 0, LX, 0, 0], costs=costs)
    buy, sell = 100 * 1.002, 100 * 0.998
    quantity = 1 / buy
    pnl = quantity * (sell - buy) - 0.001 * quantity * (buy + sell)
    assert done.metrics.total_return == pytest.approx(pnl, rel=1e-12)
    assert done.metrics.costs_paid == pytest.approx(-pnl, rel=1e-12), "with constant prices costs are the whole loss"
    assert done.metrics.turnover == pytest.approx(quantity * (buy + sell), rel=1e-12)
    assert done.trades["return"][0] == pytest.approx(pnl, rel=1e-12), "a fixed notional trade risks the whole capital"


def test_short_sells_lower_and_buys_back_higher() -> None:
    done = play([[100] * 4] * 5, [SE, 0, SX, 0, 0], costs=Costs(fee_bps=0, spread_bps=40))
    assert story(done) == [(1, 3, "short", 99.8, 100.2, "signal")]


@pytest.mark.parametrize(("entry", "dip", "level"), [(LE, [100, 101, 94, 99], 95.0), (SE, [100, 106, 99, 101], 105.0)])
def test_stop_fills_at_its_level_inside_the_bar(entry: int, dip: list[float], level: float) -> None:
    rows = [[100] * 4, [100] * 4, dip, [100] * 4, [100] * 4]
    assert [trade[1:] for trade in story(play(rows, [entry, 0, 0, 0, 0], Stops(stop_loss=0.05)))] == [
        (2, "long" if entry == LE else "short", 100.0, level, "stop")]


@pytest.mark.parametrize(("entry", "gap"), [(LE, [90, 91, 89, 90]), (SE, [110, 111, 109, 110])])
def test_stop_fills_at_open_after_gap(entry: int, gap: list[float]) -> None:
    rows = [[100] * 4, [100] * 4, gap, [100] * 4, [100] * 4]
    trade = story(play(rows, [entry, 0, 0, 0, 0], Stops(stop_loss=0.05)))[0]
    assert trade[4:] == (float(gap[0]), "stop")


@pytest.mark.parametrize(("entry", "gap"), [(LE, [110, 111, 109, 110]), (SE, [90, 91, 89, 90])])
def test_target_fills_at_open_after_gap(entry: int, gap: list[float]) -> None:
    rows = [[100] * 4, [100] * 4, gap, [100] * 4, [100] * 4]
    trade = story(play(rows, [entry, 0, 0, 0, 0], Stops(take_profit=0.05)))[0]
    assert trade[4:] == (float(gap[0]), "target")


@pytest.mark.parametrize(("entry", "level"), [(LE, 95.0), (SE, 105.0)])
def test_stop_comes_first_when_both_levels_are_touched(entry: int, level: float) -> None:
    rows = [[100] * 4, [100] * 4, [100, 110, 90, 100], [100] * 4, [100] * 4]
    trade = story(play(rows, [entry, 0, 0, 0, 0], Stops(stop_loss=0.05, take_profit=0.05)))[0]
    assert trade[4:] == (level, "stop")


def test_stop_comes_first_even_when_the_bar_opened_beyond_the_target() -> None:
    rows = [[100] * 4, [100] * 4, [108, 110, 90, 100], [100] * 4, [100] * 4]
    trade = story(play(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=0.05, take_profit=0.05)))[0]
    assert trade[4:] == (95.0, "stop")


def test_stop_is_tested_inside_the_entry_bar() -> None:
    rows = [[100] * 4, [100, 101, 90, 100], [100] * 4, [100] * 4, [100] * 4]
    done = play(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=0.05))
    assert story(done) == [(1, 1, "long", 100.0, 95.0, "stop")]
    assert done.metrics.exposure == 1 / 5


def test_levels_are_fractions_of_the_fill_not_of_the_open() -> None:
    rows = [[100] * 4, [100] * 4, [100, 100, 95.5, 100], [100] * 4, [100] * 4]
    done = play(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=0.05), Costs(fee_bps=0, spread_bps=200))
    assert story(done)[0][3:] == (101.0, round(101 * 0.95 * 0.99, 9), "stop"), "fill 101, stop 95.95, sold at 1 % less"


def test_no_entry_inside_the_bar_of_a_stop_but_at_the_next_open() -> None:
    rows = [[100] * 4, [100, 101, 90, 100], [100] * 4, [100] * 4, [100] * 4]
    assert story(play(rows, [LE, LE, 0, 0, 0], Stops(stop_loss=0.05))) == [
        (1, 1, "long", 100.0, 95.0, "stop"), (2, 4, "long", 100.0, 100.0, "end")]


def test_time_exit_fills_at_the_open_after_so_many_bars() -> None:
    assert story(play(CALM, [LE, 0, 0, 0, 0], Stops(max_holding=2))) == [(1, 3, "long", 101.0, 105.0, "time")]
    assert story(play(CALM, [SE, 0, 0, 0, 0], Stops(max_holding=1))) == [(1, 2, "short", 101.0, 103.0, "time")]


def test_same_side_entry_at_the_time_exit_does_not_hold_on() -> None:
    assert story(play(CALM, [LE, 0, LE, 0, 0], Stops(max_holding=2))) == [(1, 3, "long", 101.0, 105.0, "time")]


def test_reversal_restarts_the_holding_time() -> None:
    assert story(play(CALM, [LE, SE, 0, 0, 0], Stops(max_holding=2))) == [
        (1, 2, "long", 101.0, 103.0, "reverse"), (2, 4, "short", 103.0, 107.0, "time")]


def test_trading_stops_at_ruin_and_equity_keeps_its_value() -> None:
    rows = [[100] * 4, [100] * 4, [150, 210, 150, 205], [100] * 4, [100] * 4]
    done = play(rows, [SE, 0, LE, LE, 0])
    assert story(done) == [(1, 2, "short", 100.0, 205.0, "ruin")]
    np.testing.assert_allclose(done.equity, [1, 1, -0.05, -0.05, -0.05], atol=1e-14)
    assert done.metrics.ruined
    assert done.metrics.max_drawdown == pytest.approx(1.05)
    assert done.metrics.total_return == pytest.approx(-1.05)


def test_gap_at_the_open_of_an_exit_moves_equity_on_that_bar() -> None:
    rows = [[100] * 4, [100] * 4, [90, 200, 50, 120], [120] * 4, [120] * 4]
    done = play(rows, [LE, LX, 0, 0, 0])
    np.testing.assert_allclose(done.equity, [1, 1, 0.9, 0.9, 0.9], rtol=1e-14)
    assert done.metrics.exposure == 1 / 5


def test_quantity_is_the_initial_capital_each_time_and_does_not_compound() -> None:
    done = play([[100] * 4, [100] * 4, [200] * 4, [200] * 4, [400] * 4], [LE, LX, LE, 0, 0], sizing=Sizing(1000.0))
    assert done.trades["quantity"].tolist() == pytest.approx([10.0, 5.0])
    assert done.equity.tolist() == pytest.approx([1000, 1000, 2000, 2000, 3000])


def test_fixed_quantity_trades_the_same_coins_at_every_price() -> None:
    done = play([[100] * 4, [100] * 4, [200] * 4, [200] * 4, [400] * 4], [LE, LX, LE, 0, 0],
                sizing=Sizing(capital=1000.0, quantity=2.0))
    assert done.trades["quantity"].tolist() == pytest.approx([2.0, 2.0])
    assert done.trades["pnl"].tolist() == pytest.approx([200.0, 400.0])
    assert done.metrics.total_return == pytest.approx(0.6)


def test_signals_before_the_window_are_ignored() -> None:
    bars = bars_of(CALM)
    early = replay_bits(bits_of(LE, LE, 0, 0, 0), bars, None, FREE, bar_window(bars, 2, 5))
    assert early.metrics.trades == 0
    first = replay_bits(bits_of(LE, LE, LE, 0, 0), bars, None, FREE, bar_window(bars, 2, 5))
    assert story(first) == [(1, 2, "long", 105.0, 108.0, "end")], "the first fill is at the window's second bar"
    assert first.metrics.n_bars == 3


def test_fill_after_a_missing_bar_is_at_the_next_bar_there_is() -> None:
    whole = bars_of(CALM)
    holed = type(whole)(whole.venue, whole.symbol, whole.timeframe,
                        *(np.delete(getattr(whole, name), 1)
                          for name in ("open_time", "open", "high", "low", "close", "volume")))
    done = replay_bits(bits_of(LE, 0, 0, 0), holed, None, FREE)
    assert done.trades["entry_price"][0] == 103.0
    assert done.trades["entry_time"][0] == holed.open_time[1]


def test_single_bar_window_trades_nothing_and_says_why() -> None:
    metrics = simulate_bits(bits_of(LE), flat_bars([100.0]), None, FREE)
    assert (metrics.total_return, metrics.trades, metrics.n_bars, metrics.std_return) == (0.0, 0, 1, None)
    assert metrics.undefined["sharpe"] == "the window holds a single bar"
