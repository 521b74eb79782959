"""What is left of a candidate under every change: figures equal to those of plain simulations, undefined ones named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from backtest_tapes import FREE, LE, LX, MA_SPEC, RSI_SPEC, bits_of, flat_bars, walk_bars

from daybook.backtest import BlockFigures, Conditions, Simulation, block_returns, replay, replay_bits
from daybook.backtest.conditions import PLAIN
from daybook.backtest.grid import BlockGrid
from daybook.backtest.market_states import HourStates
from daybook.backtest.neighbourhood import Neighbour, judged, neighbour_values
from daybook.backtest.robustness import (
    Candidate,
    Robustness,
    capacity,
    correlation,
    robustness,
    stressed_costs,
)
from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, HOUR_MS, Window, day_start_ms, parse_day
from daybook.execution import Cell, Costs, DrawnCosts, ExecutionMetrics, MarketMetrics, MeasuredCosts, distribution_of
from daybook.execution.states import SESSIONS, UNKNOWN, VOLATILITIES, session_codes
from daybook.market import synthetic_bars
from daybook.market.bars import Bars
from daybook.market.funding import FundingRates
from daybook.strategy import ParameterRange, parse_spec

START_MS = day_start_ms(parse_day("2026-03-09"))
WINDOW = Window(START_MS, START_MS + 7 * DAY_MS)
COSTS = Costs(fee_bps=2.0, spread_bps=2.0)
PLANTED_SPEC = {
    "name": "planted", "rationale": "Follows the imbalance.", "timeframes": ["1m"],
    "long_entry": "volume > surge * sma(volume, 240) and close_position > place",
    "short_entry": "volume > surge * sma(volume, 240) and close_position < 0.15",
    "parameters": {"surge": {"low": 3.0, "high": 12.0, "default": 7.0},
                   "place": {"low": 0.7, "high": 0.95, "default": 0.85}},
    "max_holding": 15,
}


def markets(mode: str, *symbols: str) -> tuple[Bars, ...]:
    span = Window(START_MS - 3 * DAY_MS, WINDOW.end_ms)
    return tuple(synthetic_bars(symbol, span, seed=5, mode=mode) for symbol in symbols)


@pytest.fixture(scope="module")
def planted() -> Candidate:
    return Candidate(parse_spec(PLANTED_SPEC), markets("planted", "BTCUSDT", "ETHUSDT"), WINDOW, None, COSTS)


@pytest.fixture(scope="module")
def found(planted: Candidate) -> Robustness:
    return robustness(planted)


def figures_of(simulations: list[Simulation]) -> BlockFigures:
    return BlockFigures.of(np.mean([one.block_returns() for one in simulations], axis=0),
                           sum(one.metrics.trades for one in simulations))


def replays(candidate: Candidate, costs: Costs = COSTS, conditions: Conditions = PLAIN) -> list[Simulation]:
    return [replay(candidate.strategy, bars, candidate.params, costs, WINDOW, conditions=conditions)
            for bars in candidate.bars]


def test_the_base_is_the_plain_simulation_and_dearer_costs_are_simulated_anew(
    planted: Candidate, found: Robustness
) -> None:
    assert found.base == figures_of(replays(planted))
    assert found.stressed["costs x 2"] == figures_of(replays(planted, Costs(4.0, 4.0)))
    assert found.stressed["costs at p50"].reason == found.stressed["costs at p90"].reason == (
        "costs are set, not measured, so that they have no percentiles")
    assert list(found.stressed) == ["costs x 2", "costs at p50", "costs at p90", "one bar later"]


def test_an_edge_stands_every_change_and_says_so(found: Robustness) -> None:
    assert found.base.sharpe is not None
    assert found.base.sharpe > 8.0
    assert found.neighbourhood.verdict == "plateau"
    assert found.neighbourhood.n == 4
    assert found.random_rule.sharpe_percentile == 1.0
    assert all(one.total_return is not None and one.total_return > 0.0 for one in found.without.values())


def test_states_add_up_to_the_whole(found: Robustness) -> None:
    hours = 2 * 7 * 24
    for states in (found.session, found.volatility):
        assert sum(one.n_hours for one in states.values()) == hours
        assert sum(one.trades for one in states.values()) == found.base.trades
        assert sum(one.total_return or 0.0 for one in states.values()) == pytest.approx(found.base.total_return)
    assert list(found.session) == list(SESSIONS)
    assert list(found.volatility) == list(VOLATILITIES)


def test_the_delayed_row_fills_one_bar_later_than_the_candidate_does(planted: Candidate, found: Robustness) -> None:
    assert found.stressed["one bar later"] == figures_of(replays(planted, conditions=Conditions(latency_bars=1)))
    slow = robustness(replace(planted, conditions=Conditions(latency_bars=1)), draws=3)
    assert slow.base == found.stressed["one bar later"]
    assert slow.stressed["one bar later"] == figures_of(replays(planted, conditions=Conditions(latency_bars=2)))


def test_funding_is_paid_in_every_row(planted: Candidate) -> None:
    times = np.arange(START_MS - 3 * DAY_MS, WINDOW.end_ms, 8 * HOUR_MS)
    paid = Conditions(funding=FundingRates(times, np.full(times.size, 0.001)))
    one = replace(planted, bars=planted.bars[:1])
    free, dear = (robustness(replace(one, conditions=conditions), draws=3) for conditions in (PLAIN, paid))
    due = 0.001 * (times > WINDOW.start_ms).sum()
    for name, hold in free.buy_and_hold.items():
        assert dear.buy_and_hold[name].total_return == pytest.approx((hold.total_return or 0.0) - due, abs=due / 5)
    assert dear.base == figures_of(replays(one, conditions=paid))
    assert dear.random_rule != free.random_rule


def test_neighbours_are_simulated_as_any_parameter_set_is(planted: Candidate, found: Robustness) -> None:
    moved = [(one.parameter, round(one.value, 9)) for one in found.neighbourhood.neighbours]
    assert moved == [("place", 0.765), ("place", 0.935), ("surge", 6.3), ("surge", 7.7)]
    for one in found.neighbourhood.neighbours:
        plain = figures_of(replays(replace(planted, params={one.parameter: one.value})))
        assert one.sharpe == pytest.approx(plain.sharpe)
        assert one.total_return == pytest.approx(plain.total_return)


def test_a_parameter_moves_by_a_tenth_or_by_one_and_stays_in_its_range() -> None:
    ranges = {"window": ParameterRange(low=2, high=40, default=3, integer=True),
              "edge": ParameterRange(low=0, high=1, default=1), "zero": ParameterRange(low=-2, high=2, default=0),
              "long": ParameterRange(low=5, high=400, default=200, integer=True)}
    values = {name: one.default for name, one in ranges.items()}
    moved = [(name, round(value, 9)) for name, value in neighbour_values(ranges, values)]
    assert moved == [("edge", 0.9), ("long", 180.0), ("long", 220.0), ("window", 2.0), ("window", 4.0),
                     ("zero", -0.2), ("zero", 0.2)]


@pytest.mark.parametrize(("sharpes", "half", "verdict"), [
    ([9.0, 6.0, 5.0, 4.9], 0.75, "plateau"), ([9.0, 5.0, 4.0, -3.0], 0.5, "slope"),
    ([5.0, 4.0, -1.0, None], 0.25, "spike"),
])
def test_verdict_follows_the_share_that_keeps_half(
    sharpes: list[float | None], half: float, verdict: str
) -> None:
    neighbours = tuple(Neighbour("x", 1.0, sharpe, sharpe or 0.0) for sharpe in sharpes)
    judgement = judged(10.0, 0.1, neighbours)
    assert (judgement.half, judgement.verdict, judgement.reason) == (half, verdict, None)
    assert judgement.same_sign == sum((sharpe or 0.0) > 0 for sharpe in sharpes) / 4


def test_a_losing_candidate_has_no_plateau_and_one_without_parameters_no_neighbour() -> None:
    losing = judged(-2.0, -0.1, (Neighbour("x", 1.0, -3.0, -0.2), Neighbour("x", 2.0, 1.0, 0.1)))
    assert (losing.same_sign, losing.verdict, losing.reason) == (0.5, None, "the candidate itself loses money")
    assert judged(2.0, 0.1, ()).reason == "the strategy has no parameter to move"


def test_volatility_states_know_nothing_of_their_own_hour_nor_of_later_ones() -> None:
    bars = markets("normal", "BNBUSDT")[0]
    grid = BlockGrid.of(WINDOW, "60m")
    codes = HourStates.of([bars], grid).volatility[0]
    assert set(codes.tolist()) == {0, 1, 2}
    hour = 60
    shaken = replace(bars, **{
        name: np.where(bars.open_time >= WINDOW.start_ms + hour * HOUR_MS, values * 3.0 ** (1 + np.sin(bars.open_time)),
                       values) for name, values in (("close", bars.close), ("open", bars.open))})
    after = HourStates.of([shaken], grid).volatility[0]
    np.testing.assert_array_equal(after[:hour + 1], codes[:hour + 1])
    assert not np.array_equal(after, codes)


def test_states_without_history_or_bars_are_unknown_with_the_reason() -> None:
    bars = markets("normal", "BNBUSDT")[0]
    grid = BlockGrid.of(WINDOW, "60m")
    assert set(HourStates.of([bars.within(WINDOW)], grid).volatility.ravel()) == {UNKNOWN}
    gap = np.flatnonzero((bars.open_time < START_MS + 5 * HOUR_MS) | (bars.open_time >= START_MS + 7 * HOUR_MS))
    holed = Bars(bars.venue, bars.symbol, "1m", *(getattr(bars, name)[gap] for name in
                                                  ("open_time", "open", "high", "low", "close", "volume")))
    assert np.flatnonzero(HourStates.of([holed], grid).volatility[0] == UNKNOWN).tolist() == [5, 6]
    fresh = robustness(Candidate(parse_spec(MA_SPEC), (bars.within(WINDOW),), WINDOW), draws=3)
    assert {one.reason for one in fresh.volatility.values()} == {
        "no hour of the window is known to be in this state"}


def test_sessions_are_those_at_the_start_of_the_hour() -> None:
    bars = markets("normal", "BNBUSDT")[0]
    states = HourStates.of([bars], BlockGrid.of(WINDOW, "60m"))
    starts = START_MS + HOUR_MS * np.arange(168)
    np.testing.assert_array_equal(states.session[0], session_codes(starts))
    monday = [SESSIONS[code] for code in states.session[0, :24]]
    assert monday[:3] == ["tokyo"] * 3
    assert monday[13:15] == ["london", "new_york"]  # New York opens at 13:30 UTC in its summer time


def test_leaving_a_market_out_leaves_the_mean_of_the_others(planted: Candidate, found: Robustness) -> None:
    done = replays(planted)
    assert found.without == {"BTCUSDT": figures_of(done[1:]), "ETHUSDT": figures_of(done[:1])}
    alone = robustness(replace(planted, bars=planted.bars[:1]), draws=3)
    assert alone.without["BTCUSDT"].reason == "it is the only market"
    assert list(alone.buy_and_hold) == ["BTCUSDT 1m"]


def test_correlation_names_the_most_alike_incumbent_with_its_sign() -> None:
    rng = np.random.default_rng(3)
    own, noise = rng.normal(size=(2, 168))
    alike = correlation(own, {"noise": noise, "mirror": -own + 0.1 * noise, "idle": np.zeros(168)})
    assert (alike.name, alike.n_incumbents, alike.n_blocks) == ("mirror", 3, 168)
    assert alike.highest == pytest.approx(np.corrcoef(own, -own + 0.1 * noise)[0, 1])
    assert alike.by_name["idle"] is None
    assert correlation(own, {}).reason == "there is no incumbent"
    assert correlation(np.zeros(168), {"noise": noise}).reason == "the hourly returns never differ"
    with pytest.raises(UsageError, match=r"old has hourly returns of shape \(24,\), needed is \(168,\)"):
        correlation(own, {"old": np.zeros(24)})


def test_capacity_is_a_hundredth_of_what_the_median_entry_bar_traded() -> None:
    first, second = flat_bars([100.0, 100.0, 110.0, 120.0, 130.0, 140.0]), flat_bars([10.0] * 6)
    first = replace(first, volume=np.array([9.0, 5.0, 7.0, 30.0, 1.0, 1.0]))
    second = replace(second, symbol="SOLUSDT", volume=np.full(6, 1000.0))
    bits = bits_of(LE, LX, LE, LX, 0, 0)  # entries at bars 1 (500 traded) and 3 (3,600 traded)
    done = [replay_bits(bits, bars, None, FREE) for bars in (first, second)]
    room = capacity(done, (first, second))
    assert room.by_market == {"BTCUSDT": pytest.approx(20.5), "SOLUSDT": pytest.approx(100.0)}
    assert room.capital == pytest.approx(41.0)
    assert room.n == 4
    idle = [done[0], replay_bits(np.zeros(6, np.uint8), second, None, FREE)]
    assert capacity(idle, (first, second)).reason == "SOLUSDT was never entered"


def measured_costs(bars: Bars) -> MeasuredCosts:
    """A market whose spread is 1 bps in half of all quotes and 9 bps in a fifth of them."""
    spread = distribution_of(np.repeat([1.0, 3.0, 9.0], [500, 300, 200]))
    market = MarketMetrics(venue=bars.venue, symbol="*", method="quotes", sources=("test",), window=(0, 1),
                           data_hash="0" * 64, observations=1000,
                           cells=(Cell(session="any", volatility="any", spread_bps=spread),))
    metrics = ExecutionMetrics(date="2026-03-01", window=(0, 1), source="test", units={}, taker_latency_ms=100.0,
                               data_hash="0" * 64, markets=(market,))
    return MeasuredCosts(fee_bps=2.0, metrics=metrics, venue=bars.venue)


def test_measured_costs_are_stressed_at_their_percentiles(planted: Candidate) -> None:
    costs = measured_costs(planted.bars[0])
    found = robustness(replace(planted, costs=costs), draws=3)
    for level, spread in (("p50", 1.0), ("p90", 9.0)):
        plain = figures_of(replays(planted, Costs(2.0, spread)))
        assert found.stressed[f"costs at {level}"].total_return == pytest.approx(plain.total_return)
    assert found.base.total_return == pytest.approx(figures_of(replays(planted, Costs(2.0, 3.2))).total_return)


def test_drawn_costs_are_stressed_at_the_percentiles_that_they_are_drawn_from(planted: Candidate) -> None:
    bars = planted.bars[0]
    measured = measured_costs(bars)
    drawn = stressed_costs(DrawnCosts(fee_bps=2.0, metrics=measured.metrics, venue=bars.venue, seed=3))
    for level in ("p50", "p90"):
        costs = drawn[f"costs at {level}"]
        assert isinstance(costs, MeasuredCosts)
        np.testing.assert_array_equal(costs.side_cost(bars), replace(measured, level=level).side_cost(bars))
    twice = drawn["costs x 2"]
    assert isinstance(twice, DrawnCosts)


def test_costs_that_can_not_be_doubled_say_so() -> None:
    assert "allowed is a finite number in [0, 1000]" in str(stressed_costs(Costs(600.0, 2.0))["costs x 2"])


def test_a_candidate_that_never_trades_is_undefined_with_reasons_throughout() -> None:
    idle = {**PLANTED_SPEC, "long_entry": "volume > surge * sma(volume, 240) and close_position > place and close < 0",
            "short_entry": None}
    candidate = Candidate(parse_spec(idle), markets("normal", "BTCUSDT", "BNBUSDT"), WINDOW, None, COSTS)
    told = robustness(candidate, {"old": np.random.default_rng(0).normal(size=168)})
    assert told.base.reason == "no trade was made"
    assert told.neighbourhood.reason == "no trade was made"
    assert told.random_rule.reason is not None
    assert told.capacity.reason == "BTCUSDT, BNBUSDT was never entered"
    assert told.correlation.reason == "the hourly returns never differ"
    assert {one.reason for one in told.session.values()} == {"the returns of these hours never differ"}


def test_too_few_trades_leave_every_sharpe_ratio_undefined_for_one_reason(
    planted: Candidate, found: Robustness
) -> None:
    made = found.base.trades or 0
    few = robustness(replace(planted, min_trades=made + 1), draws=5)
    why = f"{made} trades; at least {made + 1} are needed"
    assert (few.base.sharpe, few.base.reason) == (None, why)
    assert few.base.total_return == found.base.total_return, "what happened to the account is known"
    assert {few.stressed[name].reason for name in ("costs x 2", "one bar later")} == {why}
    assert few.stressed["costs at p50"].reason == "costs are set, not measured, so that they have no percentiles"
    assert (few.neighbourhood.half, few.neighbourhood.verdict, few.neighbourhood.reason) == (None, None, why)
    assert (few.random_rule.sharpe_percentile, few.random_rule.reason) == (None, why)
    assert {(one.sharpe, one.reason) for one in (*few.volatility.values(), *few.session.values())} == {(None, why)}
    assert all(one.sharpe is None for one in few.without.values())
    assert robustness(replace(planted, min_trades=1), draws=5).base == found.base


def test_a_change_that_leaves_too_few_trades_is_undefined_by_itself(planted: Candidate, found: Robustness) -> None:
    trades = {one.trades or 0 for one in found.without.values()}
    fewest = found.base.trades or 0
    told = robustness(replace(planted, min_trades=fewest), draws=3)
    assert told.base.sharpe == found.base.sharpe
    assert {one.reason for one in told.without.values()} == {
        f"{made} trades; at least {fewest} are needed" for made in trades}
    assert {one.reason for one in told.session.values() if one.trades < fewest} == {
        f"{one.trades} trades; at least {fewest} are needed" for one in told.session.values()}
    made = [sum(run.metrics.trades for run in replays(replace(planted, params={one.parameter: one.value})))
            for one in told.neighbourhood.neighbours]
    assert [one.sharpe is not None for one in told.neighbourhood.neighbours] == [one >= fewest for one in made]
    assert min(made) < fewest <= max(made)


def test_what_holding_made_may_be_given(planted: Candidate) -> None:
    held = {"basket": BlockFigures.missing("as told")}
    assert robustness(planted, holding=held, draws=3).buy_and_hold == held


def test_the_whole_is_json_and_the_same_every_time(planted: Candidate, found: Robustness) -> None:
    text = json.dumps(found.as_dict(), allow_nan=False)
    assert json.dumps(robustness(planted).as_dict(), allow_nan=False) == text
    assert json.dumps(robustness(planted, seed=1).as_dict(), allow_nan=False) != text


def test_bars_after_the_window_change_nothing(planted: Candidate) -> None:
    cut = replace(planted, window=Window(WINDOW.start_ms, WINDOW.start_ms + 2 * DAY_MS))
    shorter = replace(cut, bars=tuple(bars.within(Window(0, cut.window.end_ms)) for bars in cut.bars))
    assert robustness(cut, draws=5) == robustness(shorter, draws=5)


def test_bars_of_several_timeframes_are_refused(planted: Candidate) -> None:
    mixed = (walk_bars(10), walk_bars(10, timeframe="5m"))
    with pytest.raises(UsageError, match="bars of 1m, 5m are given"):
        replace(planted, bars=mixed)


def test_other_timeframes_rest_on_the_same_hours() -> None:
    span = Window(START_MS - 8 * DAY_MS, WINDOW.end_ms)
    for timeframe in ("5m", "60m"):
        bars = synthetic_bars("BTCUSDT", span, seed=5, timeframe=timeframe)
        spec = {**RSI_SPEC, "timeframes": [timeframe]}
        found = robustness(Candidate(parse_spec(spec), (bars,), WINDOW), draws=3)
        rows = block_returns(parse_spec(spec), bars, None, Costs(), WINDOW)
        assert found.base.total_return == pytest.approx(rows.sum())
        assert sum(one.n_hours for one in found.volatility.values()) == 168
