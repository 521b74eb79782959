"""Each rule that is off by default, on a tape of about five bars worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from backtest_tapes import FREE, LE, SE, START_MS, bar_window, bars_of, bits_of, play, story
from test_backtest_rules import CALM

from daybook.backtest import (
    Conditions,
    DetailError,
    FundingError,
    Margin,
    Simulation,
    Sizing,
    SizingError,
    realised_volatility,
    replay_bits,
)
from daybook.core.errors import UsageError
from daybook.execution import Costs
from daybook.market.aggregate import aggregate
from daybook.market.bars import Bars
from daybook.market.funding import FundingRates
from daybook.strategy import Stops

MINUTE = 60_000
HOUR = 60 * MINUTE
TRAIL = Stops(trailing_stop=0.1)


def run(rows: list[list[float]], bits: list[int], stops: Stops | None = None, costs: Costs = FREE,
        sizing: Sizing | None = None, conditions: Conditions | None = None) -> Simulation:
    return replay_bits(bits_of(*bits), bars_of(rows), stops, costs, None, sizing or Sizing(),
                       conditions or Conditions())


# ---- latency ----

def test_latency_fills_so_many_opens_later() -> None:
    late = [story(run(CALM, [LE, 0, 0, 0, 0], conditions=Conditions(latency_bars=n)))[:1] for n in (0, 1, 2, 4)]
    assert late == [[(1, 4, "long", 101.0, 108.0, "end")], [(2, 4, "long", 103.0, 108.0, "end")],
                    [(3, 4, "long", 105.0, 108.0, "end")], []]


def test_a_late_signal_acts_on_the_position_held_when_it_arrives() -> None:
    rows = [[100] * 4, [100, 100, 90, 100], [100] * 4, [100] * 4, [100] * 4]
    done = run(rows, [LE, LE, 0, 0, 0], Stops(stop_loss=0.05), conditions=Conditions(latency_bars=1))
    assert [trade[:2] for trade in story(done)] == [(2, 4)], "the dip was over when the first entry was filled"
    rows = [[100] * 4, [100] * 4, [100, 100, 90, 100], [100] * 4, [100] * 4]
    done = run(rows, [LE, LE, 0, 0, 0], Stops(stop_loss=0.05), conditions=Conditions(latency_bars=1))
    assert [(*trade[:2], trade[5]) for trade in story(done)] == [(2, 2, "stop"), (3, 4, "end")]


def test_latency_does_not_delay_the_longest_holding() -> None:
    done = run(CALM, [LE, 0, 0, 0, 0], Stops(max_holding=1), conditions=Conditions(latency_bars=1))
    assert story(done) == [(2, 3, "long", 103.0, 105.0, "time")]


# ---- trailing stop and break-even ----

def test_trailing_stop_follows_the_best_price_after_each_bar() -> None:
    rows = [[100] * 4, [100, 100, 100, 100], [100, 120, 109, 118], [118, 119, 107, 110], [110] * 4]
    assert story(run(rows, [LE, 0, 0, 0, 0], TRAIL)) == [(1, 3, "long", 100.0, 108.0, "trailing")]
    mirrored = [[100] * 4, [100] * 4, [100, 91, 80, 82], [82, 89, 81, 85], [85] * 4]
    assert story(run(mirrored, [SE, 0, 0, 0, 0], TRAIL)) == [(1, 3, "short", 100.0, 88.0, "trailing")]


def test_high_and_low_of_one_bar_never_order_themselves_in_our_favour() -> None:
    """The bar reaches 120 and 95; had the high come first, the stop at 108 would have been met."""
    rows = [[100] * 4, [100, 120, 95, 110], [110, 111, 109, 110], [110] * 4, [110] * 4]
    assert story(run(rows, [LE, 0, 0, 0, 0], TRAIL)) == [(1, 4, "long", 100.0, 110.0, "end")]


def test_trailing_stop_stands_below_the_fill_until_the_price_rises() -> None:
    rows = [[100] * 4, [100, 101, 89, 95], [95] * 4, [95] * 4, [95] * 4]
    assert story(run(rows, [LE, 0, 0, 0, 0], TRAIL)) == [(1, 1, "long", 100.0, 90.0, "trailing")]


def test_trailing_stop_fills_at_the_open_after_a_gap() -> None:
    rows = [[100] * 4, [100, 120, 100, 118], [100, 105, 99, 101], [101] * 4, [101] * 4]
    assert story(run(rows, [LE, 0, 0, 0, 0], TRAIL)) == [(1, 2, "long", 100.0, 100.0, "trailing")]


def test_the_nearer_of_two_stops_counts_and_a_tie_is_the_fixed_one() -> None:
    rows = [[100] * 4, [100, 101, 80, 95], [95] * 4, [95] * 4, [95] * 4]
    near, far, tied = (story(run(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=loss, trailing_stop=0.1)))[0]
                       for loss in (0.05, 0.2, 0.1))
    assert (near[4:], far[4:], tied[4:]) == ((95.0, "stop"), (90.0, "trailing"), (90.0, "stop"))


def test_break_even_moves_the_stop_to_the_fill_once_the_move_was_reached() -> None:
    even = Stops(stop_loss=0.2, break_even=0.1)
    rows = [[100] * 4, [100, 111, 95, 108], [108, 109, 99, 100], [100] * 4, [100] * 4]
    assert story(run(rows, [LE, 0, 0, 0, 0], even)) == [(1, 2, "long", 100.0, 100.0, "break_even")]
    short_of_it = [[100] * 4, [100, 109.9, 95, 108], [108, 109, 99, 100], [100] * 4, [100] * 4]
    assert story(run(short_of_it, [LE, 0, 0, 0, 0], even))[0][5] == "end"
    mirrored = [[100] * 4, [100, 105, 89, 92], [92, 101, 91, 100], [100] * 4, [100] * 4]
    assert story(run(mirrored, [SE, 0, 0, 0, 0], even)) == [(1, 2, "short", 100.0, 100.0, "break_even")]


def test_break_even_stop_still_pays_its_costs() -> None:
    rows = [[100] * 4, [100, 112, 100, 111], [111, 111, 99, 100], [100] * 4, [100] * 4]
    trade = run(rows, [LE, 0, 0, 0, 0], Stops(break_even=0.1), Costs(0.0, 200)).trades.iloc[0]
    assert (trade["entry_price"], trade["exit_price"]) == pytest.approx((101.0, 101.0 * 0.99))
    assert trade["pnl"] == pytest.approx(-0.01)


# ---- detail ----

def minutes(*rows: list[float]) -> Bars:
    """1m bars that start with a whole 5m bar."""
    flat = bars_of([[100.0] * 4])
    table, first = np.array(rows, dtype=np.float64), START_MS // (5 * MINUTE) * 5 * MINUTE
    times = first + MINUTE * np.arange(len(rows), dtype=np.int64)
    return Bars(flat.venue, flat.symbol, "1m", times, *(table[:, n].copy() for n in range(4)), np.ones(len(rows)))


def test_detail_decides_what_a_bar_touched_first() -> None:
    """Both bars reach 110 and 90. In the first the rise came first, in the second the fall."""
    quiet = [[100.0] * 4] * 5
    up, down = [100.0, 110, 100, 109], [109.0, 109, 90, 95]
    for inside, told in (([*quiet[:1], up, down, [95.0] * 4, [95.0] * 4], (105.0, "target")),
                         ([*quiet[:1], [100.0, 100, 90, 91], [91.0, 110, 91, 95], [95.0] * 4, [95.0] * 4],
                          (95.0, "stop"))):
        fine = minutes(*quiet, *inside, *[[95.0] * 4] * 5)
        bars, stops = aggregate(fine, "5m"), Stops(stop_loss=0.05, take_profit=0.05)
        exact = replay_bits(bits_of(LE, 0, 0), bars, stops, FREE, conditions=Conditions(detail=fine))
        assert story(exact)[0][4:] == told
        assert story(replay_bits(bits_of(LE, 0, 0), bars, stops, FREE))[0][4:] == (95.0, "stop"), "the worse without it"


def test_a_gap_inside_the_bar_fills_at_the_open_of_its_minute() -> None:
    quiet = [[100.0] * 4] * 5
    fine = minutes(*quiet, [100.0] * 4, [92.0, 93, 91, 92], *[[92.0] * 4] * 3)
    done = replay_bits(bits_of(LE, 0), aggregate(fine, "5m"), Stops(stop_loss=0.05), FREE,
                       conditions=Conditions(detail=fine))
    assert story(done)[0][4:] == (92.0, "stop"), "without detail the stop would have filled at 95"


def test_detail_moves_a_trailing_stop_after_each_of_its_bars() -> None:
    quiet = [[100.0] * 4] * 5
    fine = minutes(*quiet, [100.0, 120, 100, 119], [119.0, 119, 105, 110], *[[110.0] * 4] * 3)
    done = replay_bits(bits_of(LE, 0), aggregate(fine, "5m"), TRAIL, FREE, conditions=Conditions(detail=fine))
    assert story(done)[0][4:] == (108.0, "trailing")


def test_detail_that_does_not_make_up_the_bars_is_refused() -> None:
    fine = minutes(*[[100.0] * 4] * 10)
    bars = aggregate(fine, "5m")
    other = Bars(bars.venue, bars.symbol, "5m", bars.open_time, bars.open, bars.high * 1.001, bars.low, bars.close,
                 bars.volume)
    with pytest.raises(DetailError, match="1m bars inside the bar of"):
        replay_bits(bits_of(0, 0), bars, conditions=Conditions(detail=fine.rows(0, 5)))
    with pytest.raises(DetailError, match="do not make it up"):
        replay_bits(bits_of(0, 0), other, conditions=Conditions(detail=fine))
    with pytest.raises(DetailError, match="shorter bars of the same market"):
        replay_bits(bits_of(0, 0), bars, conditions=Conditions(detail=bars))


# ---- funding ----

def hours_of(*prices: float) -> Bars:
    start = START_MS // (24 * HOUR) * 24 * HOUR + 6 * HOUR
    table = np.array(prices, dtype=np.float64)
    times = start + HOUR * np.arange(table.size, dtype=np.int64)
    return Bars("test", "BTCUSDT", "60m", times, table, table, table, table, np.ones(table.size))


def rates_at(bars: Bars, *settled: tuple[float, float]) -> FundingRates:
    """(bars after the first, rate) settlements, some milliseconds late as a venue stamps them."""
    times = np.array([int(bars.open_time[0] + at * HOUR) + 7 for at, _ in settled], dtype=np.int64)
    return FundingRates(times, np.array([rate for _, rate in settled]))


@pytest.mark.parametrize(("entry", "sign"), [(LE, 1), (SE, -1)])
def test_a_position_carried_into_the_settlement_pays_on_its_last_close(entry: int, sign: int) -> None:
    """Entered at 100 (hour 1), worth 110 at the close of hour 1; the rate of hour 2 is 0.1 % of that."""
    bars = hours_of(100, 110, 120, 120, 120)
    bars = Bars(bars.venue, bars.symbol, "60m", bars.open_time, np.array([100.0, 100, 120, 120, 120]), bars.high,
                np.array([100.0, 100, 120, 120, 120]), bars.close, bars.volume)
    done = replay_bits(bits_of(entry, 0, 0, 0, 0), bars, None, FREE,
                       conditions=Conditions(funding=rates_at(bars, (2, 0.001))))
    assert done.trades["funding"][0] == pytest.approx(sign * 0.001 * 110 / 100)
    assert done.trades["cost"][0] == 0.0, "funding is kept apart from costs, for it may be income"
    np.testing.assert_allclose(done.equity, 1 + sign * np.array([0, 0.1, 0.2 - 0.0011, 0.2 - 0.0011, 0.2 - 0.0011]))


@pytest.mark.parametrize(("bits", "paid"), [
    ([LE, 0, 0, 0, 0], 0.001), ([0, LE, 0, 0, 0], 0.0), ([LE, 2, 0, 0, 0], 0.001), ([0, 0, LE, 0, 0], None)])
def test_entering_at_the_instant_pays_nothing_and_leaving_at_it_pays(bits: list[int], paid: float | None) -> None:
    bars = hours_of(100, 100, 100, 100, 100)
    done = replay_bits(bits_of(*bits), bars, None, FREE, conditions=Conditions(funding=rates_at(bars, (2, 0.001))))
    assert done.trades["funding"][0] == pytest.approx(paid or 0.0)


def test_settlements_inside_a_gap_are_due_after_it() -> None:
    bars = hours_of(*[100.0] * 24)
    holed = Bars(bars.venue, bars.symbol, "60m", *(np.delete(getattr(bars, name), slice(2, 19)) for name in (
        "open_time", "open", "high", "low", "close", "volume")))
    rates = rates_at(bars, (2, 0.001), (10, 0.002), (18, -0.0005))
    done = replay_bits(np.array([LE, *[0] * 6], np.uint8), holed, None, FREE, conditions=Conditions(funding=rates))
    assert done.trades["funding"][0] == pytest.approx(0.0025)
    assert done.equity.tolist() == pytest.approx([1, 1, *[1 - 0.0025] * 5])


def test_missing_funding_is_refused_and_not_zero() -> None:
    bars = hours_of(*[100.0] * 24)
    with pytest.raises(FundingError, match=r"BTCUSDT 60m: no funding settlement between .* 08:00 UTC and .* 06:00 UTC"):
        replay_bits(np.zeros(24, np.uint8), bars, conditions=Conditions(funding=rates_at(bars, (2, 0.001))))
    with pytest.raises(UsageError, match="funding names ETHUSDT, but not BTCUSDT"):
        replay_bits(np.zeros(24, np.uint8), bars, conditions=Conditions(funding={"ETHUSDT": rates_at(bars)}))


# ---- margin ----

def test_touch_of_the_liquidation_price_loses_the_whole_margin() -> None:
    """Five times: margin 20 %, maintenance 1 %, so 81 liquidates and the margin is gone at 80."""
    rows = [[100] * 4, [100, 100, 81, 95], [95] * 4, [95] * 4, [95] * 4]
    five = Conditions(margin=Margin(5, 0.01))
    assert story(run(rows, [LE, 0, 0, 0, 0], conditions=five)) == [(1, 1, "long", 100.0, 80.0, "liquidation")]
    rows[1][2] = 81.01
    assert story(run(rows, [LE, 0, 0, 0, 0], conditions=five))[0][5] == "end"
    up = [[100] * 4, [100, 119, 100, 105], [105] * 4, [105] * 4, [105] * 4]
    assert story(run(up, [SE, 0, 0, 0, 0], conditions=five)) == [(1, 1, "short", 100.0, 120.0, "liquidation")]


def test_liquidation_comes_before_the_stop_only_where_it_lies_nearer() -> None:
    rows = [[100] * 4, [100, 100, 70, 95], [95] * 4, [95] * 4, [95] * 4]
    five = Conditions(margin=Margin(5, 0.01))
    near, far = (story(run(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=loss), conditions=five))[0] for loss in (0.1, 0.3))
    assert (near[4:], far[4:]) == ((90.0, "stop"), (80.0, "liquidation"))


def test_a_bar_that_opens_beyond_liquidation_liquidates_at_the_worse_price() -> None:
    five = Conditions(margin=Margin(5, 0.01))
    for first, price in ((80.5, 80.0), (75.0, 75.0)):
        rows = [[100] * 4, [100] * 4, [first, first, first, first], [95] * 4, [95] * 4]
        done = run(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=0.1), conditions=five)
        assert story(done)[0][4:] == (price, "liquidation")


def test_trading_goes_on_after_a_liquidation() -> None:
    rows = [[100] * 4, [100, 100, 81, 95], [100] * 4, [110] * 4, [110] * 4]
    done = run(rows, [LE, LE, 0, 0, 0], conditions=Conditions(margin=Margin(5, 0.01)))
    assert [trade[5] for trade in story(done)] == ["liquidation", "end"]
    assert done.metrics.total_return == pytest.approx(-0.2 + 0.1)


@pytest.mark.parametrize("figures", [(0.5, 0.005), (math.nan, 0.005), (10, 0.0), (10, 0.1)])
def test_impossible_margin_is_refused(figures: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="margin: "):
        Margin(*figures)


def test_ruin_closes_the_position_at_the_close_and_ends_trading_under_every_rule() -> None:
    rows = [[100] * 4, [100] * 4, [150, 210, 150, 205], [100] * 4, [100] * 4]
    done = run(rows, [SE, 0, LE, LE, 0], Stops(break_even=0.9), Costs(10.0, 0.0), Sizing(1000.0, compounding=True))
    assert story(done) == [(1, 2, "short", 100.0, 205.0, "ruin")]
    fees = 0.001 * (1 + 2.05)
    np.testing.assert_allclose(done.equity, 1000 * np.array([1, 1 - 0.001, *[-0.05 - fees] * 3]), rtol=1e-12)
    assert done.metrics.ruined
    assert done.metrics.trades == 1


# ---- sizing ----

STEPS = [[100] * 4, [100] * 4, [110] * 4, [110] * 4, [121] * 4]


def test_notional_is_a_multiple_of_the_capital() -> None:
    done = run(STEPS, [LE, 0, 0, 0, 0], sizing=Sizing(1000.0, notional=0.5))
    assert done.trades["quantity"][0] == pytest.approx(5.0)
    assert done.metrics.total_return == pytest.approx(0.5 * 0.21)


def test_risk_sizing_loses_the_risk_at_the_stop() -> None:
    rows = [[100] * 4, [100, 100, 90, 95], [95] * 4, [95] * 4, [95] * 4]
    for stops, notional in ((Stops(stop_loss=0.04), 0.25), (Stops(trailing_stop=0.05), 0.2),
                            (Stops(stop_loss=0.08, trailing_stop=0.04), 0.25)):
        done = run(rows, [LE, 0, 0, 0, 0], stops, sizing=Sizing(risk=0.01, leverage_cap=1.0))
        assert done.trades["quantity"][0] * 100 == pytest.approx(notional)
        assert done.metrics.total_return == pytest.approx(-0.01)


def test_leverage_cap_limits_every_rule() -> None:
    near = Stops(stop_loss=0.002)
    for sizing in (Sizing(risk=0.01, leverage_cap=2.0), Sizing(notional=7.0, leverage_cap=2.0),
                   Sizing(quantity=0.5, leverage_cap=2.0)):
        assert run(STEPS, [LE, 0, 0, 0, 0], near, sizing=sizing).trades["quantity"][0] * 100 == pytest.approx(2.0)


def test_volatility_sizing_knows_nothing_after_the_decision() -> None:
    """Two returns of ln 1.1 and ln 1.21 / 1.1 in two minutes are known at the close of bar 2."""
    rows = [[100] * 4, [110] * 4, [121] * 4, [121] * 4, [500] * 4]
    sizing = Sizing(volatility_target=10.0, leverage_cap=5.0, volatility_bars=2)
    done = run(rows, [0, 0, LE, 0, 0], sizing=sizing)
    annual = math.sqrt((math.log(1.1) ** 2 * 2) * 365 * 24 * 60 / 2)
    assert done.trades["quantity"][0] * 121 == pytest.approx(10.0 / annual)
    assert realised_volatility(bars_of(rows), 2)[2] == pytest.approx(annual)
    late = run(rows, [0, 0, LE, 0, 0], sizing=sizing, conditions=Conditions(latency_bars=1))
    assert late.trades["quantity"][0] * 500 == pytest.approx(10.0 / annual), "known at the decision, filled later"


def test_an_entry_whose_size_is_not_known_is_not_filled() -> None:
    sizing = Sizing(volatility_target=10.0, leverage_cap=5.0, volatility_bars=2)
    assert run(STEPS, [0, LE, 0, 0, 0], sizing=sizing).metrics.trades == 0
    assert run(STEPS, [0, LE, LE, 0, 0], sizing=sizing).metrics.trades == 1


@pytest.mark.parametrize("price", [math.nan, 0.0, -1.0])
def test_a_bad_price_before_the_window_hides_the_volatility_of_its_own_returns_alone(price: float) -> None:
    rows = [[100] * 4, [110] * 4, [100, 100, 100, price], [110] * 4, [121] * 4, [110] * 4, [121] * 4]
    volatility = realised_volatility(bars_of(rows), 2)
    assert np.isnan(volatility).tolist() == [True] * 5 + [False] * 2
    assert volatility[6] == pytest.approx(math.log(1.1) * math.sqrt(2 * 525_600 / 2))


def test_volatility_takes_a_whole_number_of_bars() -> None:
    with pytest.raises(SizingError, match=r"volatility_bars is 2\.5, allowed is a whole number of at least 2"):
        Sizing(volatility_target=0.5, leverage_cap=1.0, volatility_bars=2.5)  # type: ignore[arg-type]


def test_volatility_before_the_window_counts() -> None:
    bars = bars_of([[100] * 4, [110] * 4, [121] * 4, [121] * 4, [121] * 4])
    done = replay_bits(bits_of(0, 0, LE, 0, 0), bars, None, FREE, bar_window(bars, 2, 5),
                       Sizing(volatility_target=10.0, leverage_cap=5.0, volatility_bars=2))
    assert done.metrics.trades == 1


def test_a_market_that_did_not_move_is_sized_by_the_cap() -> None:
    sizing = Sizing(volatility_target=10.0, leverage_cap=3.0, volatility_bars=2)
    done = run([[100] * 4] * 5, [0, 0, LE, 0, 0], sizing=sizing)
    assert done.trades["quantity"][0] * 100 == pytest.approx(3.0)


def test_compounding_trades_the_equity_of_the_decisions_close() -> None:
    rows = [[100] * 4, [100] * 4, [150] * 4, [150] * 4, [300] * 4]
    done = run(rows, [LE, LE, SE, 0, 0], sizing=Sizing(1000.0, compounding=True))
    assert done.trades["quantity"].tolist() == pytest.approx([10.0, 10.0])
    assert done.equity.tolist() == pytest.approx([1000, 1000, 1500, 1500, 0], abs=1e-9)
    late = run(rows, [LE, SE, 0, 0, 0], sizing=Sizing(1000.0, compounding=True), conditions=Conditions(latency_bars=1))
    assert late.trades["quantity"].tolist() == pytest.approx([1000 / 150, 1000 / 150]), "worth 1000 when it decided"


@pytest.mark.parametrize(("sizing", "message"), [
    ({"risk": 0.01}, "risk needs a leverage_cap"), ({"volatility_target": 0.2}, "needs a leverage_cap"),
    ({"risk": 0.01, "quantity": 1.0, "leverage_cap": 1.0}, "one rule at a time"),
    ({"quantity": 1.0, "notional": 2.0}, "one rule at a time"), ({"volatility_bars": 1}, "at least 2"),
    ({"notional": math.inf}, "finite number above 0"),
])
def test_rules_of_sizing_that_do_not_fit_are_refused(sizing: dict[str, float], message: str) -> None:
    with pytest.raises(SizingError, match=message):
        Sizing(**sizing)  # type: ignore[arg-type]


def test_risk_without_a_stop_is_refused() -> None:
    with pytest.raises(SizingError, match="risk needs a stop_loss"):
        run(STEPS, [LE, 0, 0, 0, 0], sizing=Sizing(risk=0.01, leverage_cap=1.0))


# ---- outputs ----

def test_excursions_of_a_worked_tape() -> None:
    rows = [[100] * 4, [100, 104, 97, 103], [103, 112, 101, 110], [110, 115, 90, 100], [100] * 4]
    held = run(rows, [LE, 0, 2, 0, 0]).trades.iloc[0]
    assert (held["mae"], held["mfe"]) == pytest.approx((0.03, 0.12)), "left at 110, the open of bar 3"
    stopped = run(rows, [LE, 0, 0, 0, 0], Stops(stop_loss=0.05)).trades.iloc[0]
    assert (stopped["mae"], stopped["mfe"]) == pytest.approx((0.05, 0.12)), "the 115 may have come after the stop"
    won = run(rows, [0, LE, 0, 0, 0], Stops(take_profit=0.1)).trades.iloc[0]
    assert (won["mae"], won["mfe"]) == pytest.approx((13 / 103, 0.1)), "the 90 may have come before the target"
    short = run(rows, [SE, 0, 0, 0, 0]).trades.iloc[0]
    assert (short["mae"], short["mfe"]) == pytest.approx((0.15, 0.1))
    assert not play(CALM, [0] * 5).trades[["mae", "mfe"]].size


def test_conditions_refuse_a_latency_that_is_no_count() -> None:
    for latency in (-1, 1.5, True):
        with pytest.raises(UsageError, match="latency_bars"):
            Conditions(latency_bars=latency)  # type: ignore[arg-type]
