"""Several legs with one account: one leg is its replay, several are the plain engine's, and the books balance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backtest_tapes import FREE, LE, LX, RSI_SPEC, SE, SX, bar_window, bits_of, flat_bars, walk_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from portfolio_oracle import PlainPortfolio, plain_portfolio

from daybook.backtest import Conditions, Margin, Sizing, WindowError, replay, replay_bits
from daybook.backtest.kernel import METRICS, REASONS
from daybook.backtest.portfolio import LEG_TRADE_COLUMNS, Leg, Portfolio, PortfolioError, simulate_portfolio
from daybook.backtest.portfolio_kernel import (
    BREAK_EVEN_STOP,
    END,
    REVERSE,
    RUIN,
    SIGNAL,
    STOP,
    TARGET,
    TIME,
    TRAILING,
    _wanted_side,
)
from daybook.backtest.portfolio_metrics import portfolio_metrics
from daybook.core.time import MINUTE_MS, Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.market.funding import FundingRates
from daybook.strategy import Stops, parse_spec, positions_from_bits

START_MS = 1_700_000_040_000 // (60 * MINUTE_MS) * (60 * MINUTE_MS)
STEPS = st.sampled_from([0.0, 0.0, 0.001, -0.001, 0.01, -0.01, 0.02, -0.05, 0.05, 0.4, -0.4])
WICKS = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05])
STOPS = st.builds(Stops, st.sampled_from([0.0, 0.001, 0.01, 0.05]), st.sampled_from([0.0, 0.001, 0.01, 0.05]),
                  st.sampled_from([0, 0, 1, 3]), st.sampled_from([0.0, 0.0, 0.002, 0.02]),
                  st.sampled_from([0.0, 0.0, 0.001, 0.01]))
COSTS = st.builds(Costs, st.sampled_from([0.0, 5.0, 100.0]), st.sampled_from([0.0, 2.0, 50.0]))
FUNDING = FundingRates(START_MS + 2 * MINUTE_MS * np.arange(60) + 17, np.where(np.arange(60) % 3, 0.002, -0.003))
SIZES = st.sampled_from([
    Sizing(), Sizing(notional=0.5), Sizing(notional=0.3, compounding=True), Sizing(notional=3.0),
    Sizing(notional=2.0, leverage_cap=0.7), Sizing(notional=2.0, leverage_cap=1.0, compounding=True),
    Sizing(quantity=4.0), Sizing(quantity=40.0)])


@st.composite
def legs_of(draw: st.DrawFn, name: str) -> Leg:
    """A leg of 1 to 16 bars with gaps, starting anywhere in the first minutes."""
    waits = st.sampled_from([1, 1, 1, 1, 2, 5])
    moves = draw(st.lists(st.tuples(STEPS, STEPS, WICKS, WICKS, st.integers(0, 15), waits), min_size=1, max_size=16))
    timeframe = draw(st.sampled_from(["1m", "1m", "5m"]))
    step = MINUTE_MS * int(timeframe[:-1])
    price, rows, times, now = 100.0, [], [], START_MS + step * draw(st.integers(0, 3))
    for gap, body, up, down, _, wait in moves:
        first = price * (1 + gap)
        price = first * (1 + body)
        rows.append([first, max(first, price) * (1 + up), min(first, price) * (1 - down), price])
        times.append(now)
        now += step * wait
    bars = Bars("test", f"{name}USDT", timeframe, np.array(times), *np.array(rows).T.copy(), np.ones(len(rows)))
    bits = np.array([move[4] for move in moves], dtype=np.uint8)
    conditions = Conditions(draw(st.sampled_from([0, 0, 1, 3])), draw(st.sampled_from([None, None, FUNDING])))
    return Leg(name, bars, bits, draw(STOPS), draw(COSTS), draw(SIZES), conditions)


@st.composite
def portfolios(draw: st.DrawFn) -> list[Leg]:
    return [draw(legs_of(f"leg{place}")) for place in range(draw(st.integers(1, 4)))]


@settings(max_examples=150, deadline=None)
@given(legs=portfolios(), capital=st.sampled_from([1.0, 1000.0]), leverage=st.sampled_from([None, 0.7, 1.0, 2.5]))
def test_the_kernel_tells_what_the_plain_engine_tells(
    legs: list[Leg], capital: float, leverage: float | None
) -> None:
    done = simulate_portfolio(legs, capital=capital, leverage=leverage)
    plain = plain_portfolio(legs, None, capital, leverage)
    assert_same(done, plain, capital)
    assert_books_balance(done, legs)


def assert_same(done: Portfolio, plain: PlainPortfolio, capital: float) -> None:
    close = {"rtol": 1e-9, "atol": 1e-9 * capital}
    assert done.clock.tolist() == plain.clock
    for mine, theirs in ((done.equity, plain.equity), (done.gross, plain.gross), (done.net, plain.net)):
        np.testing.assert_allclose(mine, np.array(theirs) * capital, **close)
    np.testing.assert_allclose(done.leg_pnl, np.array(plain.profit).T * capital, **close)
    np.testing.assert_allclose(done.position, np.array(plain.signed).T * capital, **close)
    assert done.metrics.ruined == plain.ruined
    told = done.trades.to_dict("records")
    assert [(t["leg"], t["entry_time"], t["side"], t["reason"]) for t in told] == [
        (t["leg"], t["entry_time"], t["side"], t["reason"]) for t in plain.trades]
    for mine, theirs in zip(told, plain.trades, strict=True):
        for name, unit in (("entry_price", 1.0), ("exit_price", 1.0), ("quantity", capital), ("pnl", capital),
                           ("funding", capital)):
            np.testing.assert_allclose(mine[name], theirs[name] * unit, **close)
    kept_out = done.refused.to_dict("records")
    assert [(r["leg"], r["time"], r["side"]) for r in kept_out] == [
        (r["leg"], r["time"], r["side"]) for r in plain.refused]
    for mine, theirs in zip(kept_out, plain.refused, strict=True):
        for name in ("notional", "gross", "equity"):
            np.testing.assert_allclose(mine[name], theirs[name] * capital, **close)


def assert_books_balance(done: Portfolio, legs: list[Leg]) -> None:
    """Cash plus positions is the equity at every tick; the legs' profits add up to what it changed by."""
    close = {"rtol": 1e-9, "atol": 1e-9 * done.capital}
    np.testing.assert_allclose(done.leg_pnl.sum(axis=0), done.equity - done.capital, **close)
    np.testing.assert_allclose(done.legs["pnl"], done.leg_pnl[:, -1], **close)
    np.testing.assert_allclose(done.legs["pnl"].sum(), done.equity[-1] - done.capital, **close)
    np.testing.assert_allclose(done.trades["pnl"].sum(), done.equity[-1] - done.capital, **close)
    assert (done.trades["cost"] >= 0.0).all()
    assert done.position[:, -1].tolist() == [0.0] * len(legs)
    cash = np.full(done.clock.size, done.capital)
    fees = {leg.name: leg.costs.fee for leg in legs}
    at_open = ("signal", "reverse", "time")
    for trade in done.trades.to_dict("records"):
        coins = trade["quantity"] if trade["side"] == "long" else -trade["quantity"]
        enter = np.searchsorted(done.clock, trade["entry_time"], side="right")
        leave = np.searchsorted(done.clock, trade["exit_time"], side="right" if trade["reason"] in at_open else "left")
        for tick, signed, price in ((enter, coins, trade["entry_price"]), (leave, -coins, trade["exit_price"])):
            cash[tick:] -= signed * price + abs(signed) * price * fees[trade["leg"]]
        cash[leave:] -= trade["funding"]
    if all(leg.conditions.funding is None for leg in legs):  # else what an open position has paid is not in `trades`
        np.testing.assert_allclose(cash + done.net, done.equity, **close)
    np.testing.assert_allclose(cash[-1], done.equity[-1], **close)
    np.testing.assert_allclose(done.block_returns("5m").sum(), done.metrics.total_return, rtol=1e-9, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(leg=legs_of("only"), capital=st.sampled_from([1.0, 1000.0]))
def test_one_leg_without_a_cap_is_its_replay_to_the_last_digit(leg: Leg, capital: float) -> None:
    done = simulate_portfolio([leg], capital=capital)
    alone = replay_bits(leg.bits, leg.bars, leg.stops, leg.costs, None, replace(leg.sizing, capital=capital),
                        leg.conditions)
    if leg.conditions.funding is None:
        assert done.equity.tolist() == alone.equity.tolist()
    np.testing.assert_allclose(done.equity, alone.equity, rtol=1e-12, atol=1e-13 * capital)
    assert done.position[0].tolist() == alone.position.tolist()
    for name in LEG_TRADE_COLUMNS[1:]:
        if name == "cost":
            np.testing.assert_allclose(done.trades[name], alone.trades[name], rtol=1e-12)
        else:
            assert done.trades[name].tolist() == alone.trades[name].tolist(), name
    for name, mine, theirs in zip(METRICS, done.metrics.row(), alone.metrics.row(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("sizing", [
    Sizing(volatility_target=0.4, leverage_cap=2.0, volatility_bars=30), Sizing(risk=0.002, leverage_cap=3.0),
    Sizing(risk=0.002, leverage_cap=0.5, compounding=True),
])
def test_sizes_by_volatility_and_risk_are_those_of_the_replay(sizing: Sizing) -> None:
    bars, window = walk_bars(1500, seed=12), bar_window(walk_bars(1500, seed=12), 20, 1400)
    bits = np.random.default_rng(2).choice([0] * 20 + [LE, LX, SE, SX], 1500).astype(np.uint8)
    stops = Stops(0.004, 0.0, 0, 0.006)
    done = simulate_portfolio([Leg("one", bars, bits, stops, Costs(), sizing, Conditions(1))], window)
    alone = replay_bits(bits, bars, stops, Costs(), window, sizing, Conditions(latency_bars=1))
    assert alone.trades["quantity"].nunique() > 20
    assert done.equity.tolist() == alone.equity.tolist()


def test_a_strategy_on_a_window_is_its_replay_to_the_last_digit() -> None:
    strategy, bars = parse_spec(RSI_SPEC), walk_bars(3000, seed=3)
    window = bar_window(bars, 400, 2900)
    done = simulate_portfolio([Leg.of(strategy, bars, {"window": 9})], window)
    alone = replay(strategy, bars, {"window": 9}, None, window)
    assert alone.metrics.trades > 20
    assert done.equity.tolist() == alone.equity.tolist()
    np.testing.assert_allclose(done.metrics.row(), alone.metrics.row(), rtol=1e-9)
    np.testing.assert_allclose(done.block_returns(), alone.block_returns(), atol=1e-15)
    assert done.legs["leg"].tolist() == ["rsi-stops on BTCUSDT 1m"]


def test_the_first_leg_takes_the_room_and_the_next_is_refused_whole() -> None:
    """Equity 1,000, each leg wants 600: the second waits until the first has left, and is told by name until then."""
    bars = flat_bars([100.0] * 6)
    legs = [Leg(name, replace(bars, symbol=f"{name}USDT"), bits, Stops(), FREE, Sizing(notional=0.6))
            for name, bits in (("first", bits_of(LE, 0, LX, 0, 0, 0)), ("second", bits_of(SE, SE, SE, SE, 0, 0)))]
    done = simulate_portfolio(legs, capital=1000.0, leverage=1.0)
    minutes = (done.refused["time"] - bars.open_time[0]) // MINUTE_MS
    assert minutes.tolist() == [1, 2]
    assert done.refused[["leg", "side", "notional", "gross", "equity"]].to_numpy().tolist() == [
        ["second", "short", 600.0, 600.0, 1000.0]] * 2
    assert done.legs["refused"].tolist() == [0, 2]
    assert done.gross.tolist() == [0.0, 600.0, 600.0, 600.0, 600.0, 0.0]
    assert done.net.tolist() == [0.0, 600.0, 600.0, -600.0, -600.0, 0.0]


def test_what_an_exit_frees_is_there_for_an_entry_at_the_same_time_whatever_the_order() -> None:
    bars = flat_bars([100.0] * 5)
    enters = Leg("enters", bars, bits_of(0, LE, 0, 0, 0), Stops(), FREE)
    leaves = Leg("leaves", bars, bits_of(LE, LX, 0, 0, 0), Stops(), FREE)
    for legs in ([enters, leaves], [leaves, enters]):
        done = simulate_portfolio(legs, leverage=1.0)
        assert done.refused.empty
        assert done.gross.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_a_share_of_the_equity_grows_with_what_other_legs_earned() -> None:
    earner = Leg("earner", flat_bars([100.0, 100.0, 150.0, 150.0, 150.0]), bits_of(LE, LX, 0, 0, 0), Stops(), FREE)
    sizes = {"initial": Sizing(notional=0.5), "current": Sizing(notional=0.5, compounding=True)}
    bought = {}
    for name, sizing in sizes.items():
        follower = Leg("follower", flat_bars([10.0] * 5), bits_of(0, 0, LE, 0, 0), Stops(), FREE, sizing)
        done = simulate_portfolio([earner, follower], capital=1000.0)
        bought[name] = done.trades.set_index("leg").loc["follower", "quantity"]
    assert bought == {"initial": 50.0, "current": 75.0}


def test_a_leg_without_a_bar_does_not_fill_and_keeps_its_last_mark() -> None:
    """The 60m leg lacks its third hour: its exit waits for the fourth, and its last close is its mark until then."""
    hourly = flat_bars([100.0, 110.0, 120.0, 130.0])
    times = START_MS + 60 * MINUTE_MS * np.array([0, 1, 3, 4])
    slow = Leg("slow", Bars("test", "SLOWUSDT", "60m", times, hourly.open, hourly.high, hourly.low, hourly.close,
                            hourly.volume), bits_of(LE, LX, 0, 0), Stops(), FREE)
    count = 300
    quiet = Bars("test", "FASTUSDT", "1m", START_MS + MINUTE_MS * np.arange(count), *np.full((4, count), 50.0),
                 np.ones(count))
    fast = Leg("fast", quiet, np.zeros(count, np.uint8), Stops(), FREE)
    done = simulate_portfolio([slow, fast])
    hour = (done.clock - START_MS) / (60 * MINUTE_MS)
    trade = done.trades.iloc[0]
    assert (trade["entry_price"], trade["exit_price"]) == (110.0, 120.0)
    assert (trade["exit_time"] - START_MS) // MINUTE_MS == 180
    np.testing.assert_allclose(done.gross[(hour > 1.0) & (hour <= 2.0)], 1.0)  # marked at the open, then the close
    np.testing.assert_allclose(done.gross[(hour > 2.0) & (hour <= 3.0)], 1.0)
    assert done.equity[-1] == pytest.approx(120.0 / 110.0)
    assert len(done.clock) == count
    assert done.metrics.n_bars == count


def test_ruin_closes_every_leg_at_one_time_and_ends_the_account() -> None:
    falls = flat_bars([100.0, 100.0, 100.0, 40.0, 40.0, 200.0])
    calm = replace(flat_bars([100.0] * 6), symbol="CALMUSDT")
    legs = [Leg("falls", falls, bits_of(LE, 0, 0, LX, SE, 0), Stops(), FREE, Sizing(notional=2.0)),
            Leg("calm", calm, bits_of(LE, 0, 0, 0, LE, 0), Stops(), FREE)]
    done = simulate_portfolio(legs)
    assert done.metrics.ruined
    assert done.equity.tolist() == pytest.approx([1.0, 1.0, 1.0, -0.2, -0.2, -0.2])
    assert done.trades["reason"].tolist() == ["ruin", "ruin"]
    assert done.trades["exit_time"].nunique() == 1
    assert done.gross[3:].tolist() == [0.0] * 3


def test_results_are_the_same_bits_every_time_and_do_not_change_the_bars() -> None:
    rng = np.random.default_rng(5)
    legs = [Leg(f"leg{place}", walk_bars(700, seed=place, timeframe=timeframe),
                rng.choice([0, 0, 0, 1, 2, 4, 8], 700).astype(np.uint8), Stops(0.01, 0.02, 30), Costs(),
                Sizing(notional=0.4, compounding=True)) for place, timeframe in enumerate(["1m", "5m", "1m"])]
    runs = [simulate_portfolio(legs, leverage=1.0) for _ in range(2)]
    assert runs[0].equity.tobytes() == runs[1].equity.tobytes()
    assert len(runs[0].refused) > 10
    assert_same(runs[0], plain_portfolio(legs, None, 1.0, 1.0), 1.0)


def test_later_bars_change_nothing_before_them() -> None:
    rng = np.random.default_rng(6)
    bits = rng.choice([0, 0, 0, 1, 2, 4, 8], 400).astype(np.uint8)
    whole = [Leg(name, walk_bars(400, seed=seed), bits, Stops(0.01), sizing=Sizing(notional=0.6, compounding=True))
             for seed, name in enumerate(("a", "b"))]
    cut = [replace(leg, bars=leg.bars.rows(0, 250), bits=leg.bits[:250]) for leg in whole]
    long, short = (simulate_portfolio(legs, leverage=1.0) for legs in (whole, cut))
    assert long.equity[:249].tobytes() == short.equity[:249].tobytes()


@pytest.mark.shared
def test_recorded_markets_with_the_halt_of_march_2023_agree_with_the_plain_engine(shared_data: Any) -> None:
    import pyarrow.parquet as pq

    folder = shared_data / "candles" / "binance_spot" / "1m"
    legs = []
    span = Window(1_679_652_000_000, 1_679_673_600_000)  # 2023-03-24 10:00 to 16:00, halted 12:40 to 14:00
    for place, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        path = next(path for path in sorted(folder.glob(f"{symbol}_*.parquet"))
                    if path.stem.split("_")[1] <= "2023-03-24" <= path.stem.split("_")[2])
        table = pq.read_table(path, filters=[("open_time", ">=", span.start_ms), ("open_time", "<", span.end_ms)])
        columns = [table[name].to_numpy() for name in ("open_time", "open", "high", "low", "close", "volume")]
        bars = Bars("binance_spot", symbol, "1m", *columns)
        bits = np.random.default_rng(place).choice([0] * 12 + [1, 2, 4, 8], len(bars)).astype(np.uint8)
        legs.append(Leg(symbol, bars, bits, Stops(0.002, 0.003), Costs(), Sizing(notional=0.7)))
    done = simulate_portfolio(legs, span, leverage=1.0)
    assert len(done.clock) == 280
    assert len(done.refused) > 0
    assert_same(done, plain_portfolio(legs, span, 1.0, 1.0), 1.0)


def test_numbers_of_reasons_and_sides_are_those_of_the_plain_kernel() -> None:
    codes = (SIGNAL, REVERSE, TIME, STOP, TARGET, END, RUIN, TRAILING, BREAK_EVEN_STOP)
    assert [REASONS[code] for code in codes] == ["signal", "reverse", "time", "stop", "target", "end", "ruin",
                                                  "trailing", "break_even"]
    bits = np.random.default_rng(1).integers(0, 16, 300).astype(np.uint8)
    side, walked = 0, []
    for one in bits.tolist():
        side = _wanted_side(one, side)
        walked.append(side)
    assert walked == positions_from_bits(bits).tolist()


def test_metrics_without_a_trade_are_undefined_with_the_reason() -> None:
    bars = flat_bars([100.0] * 4)
    done = simulate_portfolio([Leg("idle", bars, bits_of(0, 0, 0, 0))])
    assert set(done.metrics.undefined.values()) == {"no trade was made"}
    assert done.metrics.exposure == done.metrics.costs_paid == 0.0
    assert done.trades.empty
    assert list(done.trades.columns) == list(LEG_TRADE_COLUMNS)
    single = portfolio_metrics(np.array([1.0]), np.zeros(1, np.uint8), {name: np.empty(0) for name in (
        "entry_price", "exit_price", "pnl", "quantity", "cost")}, False, "1m")
    assert single.n_bars == 1


def test_margin_and_detail_are_refused_by_name() -> None:
    bars = flat_bars([100.0] * 3)
    for conditions in (Conditions(margin=Margin(5.0)), Conditions(detail=bars)):
        with pytest.raises(PortfolioError, match=r"a has (margin|detail), which a portfolio does not model"):
            Leg("a", bars, bits_of(0, 0, 0), conditions=conditions)


@pytest.mark.parametrize(("given", "message"), [
    ({"legs": []}, "no leg is given"),
    ({"names": ["a", "a"]}, "'a' stands 2 times"),
    ({"names": ["", "b"]}, "names have 1 to 80 characters"),
    ({"capital": 0.0}, "capital is 0.0, allowed is a finite number above 0"),
    ({"leverage": float("nan")}, "leverage is nan"),
])
def test_what_can_not_be_a_portfolio_is_refused(given: dict[str, Any], message: str) -> None:
    bars = flat_bars([100.0] * 3)
    legs = [Leg(name, bars, bits_of(0, 0, 0)) for name in given.pop("names", ["a", "b"])]
    with pytest.raises(PortfolioError, match=message):
        simulate_portfolio(given.pop("legs", legs), **given)


def test_a_leg_without_any_bar_in_the_window_is_refused_by_name() -> None:
    bars = flat_bars([100.0] * 3)
    away = Window(int(bars.open_time[-1]) + 10 * MINUTE_MS, int(bars.open_time[-1]) + 20 * MINUTE_MS)
    with pytest.raises(WindowError, match="BTCUSDT 1m: no bar opens in"):
        simulate_portfolio([Leg("a", bars, bits_of(LE, SX, 0))], away)
