"""Measurement: time weights, the taker, fills, cells and their parents, and what real recordings say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from execution_tapes import DAY_MS, MINUTE, MONDAY_MS, bars_of, calm_and_wild, fills_of, quotes_of, week_of_metrics

from daybook.core.errors import UsageError
from daybook.execution import ExecutionMetrics, MarketMetrics, Recordings, load_metrics, measure, write_metrics
from daybook.execution.fills import FillsError, read_fills
from daybook.execution.measure import NothingMeasuredError
from daybook.market import Quotes, read_markets
from daybook.market.quotes import RawQuotes, clean_quotes, joined_quotes

QUIET = "2024-01-02"


def market_of(metrics: ExecutionMetrics, symbol: str = "BTCUSDT") -> MarketMetrics:
    return next(market for market in metrics.markets if market.symbol == symbol)


def measured(quotes: Quotes, date: str = QUIET, **options: object) -> MarketMetrics:
    return market_of(measure(date, Recordings(quotes=[quotes], **options)))  # type: ignore[arg-type]


def test_a_quote_weighs_the_time_it_stood_and_at_most_five_minutes() -> None:
    times = MONDAY_MS + np.array([0.0, 1_000.0, 10_000.0, 10_000.0 + 3_600_000.0])
    raw = RawQuotes(times, np.full(4, 100.0), 100.0 * (1 + np.array([1.0, 2.0, 4.0, 8.0]) * 1e-4))
    quotes = clean_quotes("v", "BTCUSDT", Path("a.zip"), raw)
    spread = measured(quotes).cell("any", "any").spread_bps
    assert spread is not None
    stood = np.array([1.0, 9.0, 300.0])
    assert spread.mean == pytest.approx(np.average(quotes.spread_bps[:3], weights=stood))
    assert spread.n == 3


def test_the_spread_is_in_bps_of_the_mid() -> None:
    spread = measured(quotes_of(np.full(1000, 4.0))).cell("any", "any").spread_bps
    assert spread is not None
    assert (spread.mean, spread.p50, spread.p90) == pytest.approx((4.0, 4.0, 4.0))


def test_a_taker_pays_what_the_touch_moved_during_the_latency() -> None:
    times = MONDAY_MS + np.arange(2000) * 250.0
    bid = 100.0 + 0.01 * np.arange(2000)  # rises a bps every quote
    quotes = Quotes("v", "BTCUSDT", ("a",), times, bid, bid + 0.02, np.ones(2000), np.ones(2000))
    metrics = market_of(measure(QUIET, Recordings(quotes=[quotes]), taker_latency_ms=500.0))
    cell = metrics.cell("any", "any")
    assert metrics.slippage_source == "taker"
    assert cell.slippage_touch_bps is not None and cell.slippage_mid_bps is not None
    # two quotes later the buyer pays 0.02 more and the seller gets 0.02 more
    assert cell.slippage_touch_bps.mean == pytest.approx(0.0, abs=1e-9)
    assert cell.slippage_touch_bps.knots[0][1] == pytest.approx(-2.0, rel=0.01)
    assert cell.slippage_touch_bps.knots[-1][1] == pytest.approx(2.0, rel=0.01)
    assert cell.slippage_mid_bps.mean == pytest.approx(np.mean(0.01 / quotes.mid) * 1e4, rel=0.01)
    still = market_of(measure(QUIET, Recordings(quotes=[quotes]), taker_latency_ms=0.0)).cell("any", "any")
    assert still.slippage_touch_bps is not None and still.slippage_touch_bps.knots[-1][1] == 0.0


def test_minute_quotes_say_nothing_about_slippage() -> None:
    metrics = measured(quotes_of(np.full(600, 4.0), every_ms=float(MINUTE)))
    assert metrics.slippage_source is None
    assert metrics.cell("any", "any").slippage_touch_bps is None
    assert any("more than a second apart" in note for note in metrics.notes)


def test_fills_outweigh_the_taker_once_there_are_enough_and_refusals_are_counted() -> None:
    quotes = quotes_of(np.full(30_000, 4.0))
    refused = np.arange(400) % 10 == 0
    fills = fills_of(np.full(400, 1.5), rejected=refused)
    metrics = measured(quotes, fills=[fills])
    cell = metrics.cell("any", "any")
    assert (metrics.slippage_source, metrics.latency_source) == ("fills", "fills")
    assert cell.slippage_touch_bps is not None and cell.latency_ms is not None and cell.slippage_mid_bps is not None
    assert cell.slippage_touch_bps.mean == pytest.approx(1.5)
    assert cell.slippage_mid_bps.mean == pytest.approx(2.5)  # the touch lay 1 bp from the mid
    assert cell.latency_ms.p50 == pytest.approx(40.0)
    assert (cell.orders, cell.rejects) == (400, 40)
    assert metrics.reject_rate("tokyo", "low") == pytest.approx(0.1)
    few = measured(quotes, fills=[fills_of(np.full(150, 1.5))])
    assert few.slippage_source == "taker"
    assert few.reject_rate("any", "any") is None  # 150 orders are too few for a rate
    assert any("too few" in note for note in few.notes)


def test_without_orders_the_number_of_refusals_is_unknown_not_zero() -> None:
    cell = measured(quotes_of(np.full(1000, 4.0))).cell("any", "any")
    assert (cell.orders, cell.rejects) == (None, None)


def test_each_session_has_its_own_cell_and_a_thin_one_hands_over_to_its_parent() -> None:
    metrics = market_of(week_of_metrics())
    weekend, source = metrics.figure("spread_bps", "weekend", "any")
    assert weekend is not None and (weekend.p50, source) == (pytest.approx(12.0), "weekend/any")
    tokyo, _ = metrics.figure("spread_bps", "tokyo", "any")
    assert tokyo is not None and tokyo.p50 == pytest.approx(4.0)
    short = measured(quotes_of(np.concatenate([np.full(6 * 360, 4.0), np.full(150, 9.0)]), every_ms=10_000.0))
    thin = short.cell("off", "any")
    assert thin.spread_bps is not None and thin.spread_bps.n < 200 and thin.parent == "any/any"
    answered, source = short.figure("spread_bps", "off", "any")
    assert answered is not None and (answered.p50, source) == (pytest.approx(4.0), "any/any")
    never, source = short.figure("spread_bps", "weekend", "high")
    assert never is answered and source == "any/any"


def test_volatility_terciles_part_the_spread_that_goes_with_them() -> None:
    metrics = measured(calm_and_wild(), "2024-01-08")
    assert metrics.volatility_edges is not None
    table = {cell.key: cell.spread_bps for cell in metrics.cells}
    for session in ("tokyo", "london", "new_york", "off"):
        low, high = table[f"{session}/low"], table[f"{session}/high"]
        assert low is not None and high is not None
        assert (low.p50, high.p50) == pytest.approx((2.0, 8.0))


def test_nothing_from_the_day_itself_or_later_is_measured() -> None:
    early, late = np.full(86_400, 4.0), np.full(3600, 90.0)
    quotes = quotes_of(np.concatenate([early, late]))
    assert quotes.time_ms[-1] > MONDAY_MS + DAY_MS
    metrics = measure(QUIET, Recordings(quotes=[quotes]))
    assert metrics.window[1] <= MONDAY_MS + DAY_MS
    spread = market_of(metrics).cell("any", "any").spread_bps
    assert spread is not None and spread.knots[-1][1] == pytest.approx(4.0)
    fills = [fills_of(np.full(300, 1.0), start_ms=MONDAY_MS + DAY_MS)]
    assert market_of(measure(QUIET, Recordings(quotes=[quotes], fills=fills))).slippage_source == "taker"
    with pytest.raises(NothingMeasuredError, match=r"before 2024-01-01 .*recorded is 2024-01-01 00:00"):
        measure("2024-01-01", Recordings(quotes=[quotes]))
    with pytest.raises(NothingMeasuredError, match="in the 2 days before"):
        measure("2024-02-01", Recordings(quotes=[quotes]), days=2)
    with pytest.raises(UsageError, match="calendar day"):
        measure("yesterday", Recordings(quotes=[quotes]))


def test_recordings_that_come_later_change_nothing_in_a_document() -> None:
    def recorded(day: int, bid: float) -> Quotes:
        times = MONDAY_MS + day * DAY_MS + np.arange(1000.0) * 500
        return clean_quotes("v", "S", Path(f"{day}.gz"), RawQuotes(times, np.full(1000, bid), np.full(1000, 100.0)))

    early, late, crossed = recorded(0, 99.0), recorded(1, 100.0), recorded(1, 101.0)
    before = measure("2024-01-02", Recordings(quotes=[early]))
    for later in (late, crossed):
        assert measure("2024-01-02", Recordings(quotes=[joined_quotes([early, later])])) == before
    both = measure("2024-01-03", Recordings(quotes=[joined_quotes([early, crossed])]))
    assert both.markets[-1].faults["crossed"] == 1000
    other = replace(crossed, symbol="T")
    assert measure("2024-01-03", Recordings(quotes=[early, other])).source.endswith(
        "all 1,000 quotes of T on v are crossed and left out")
    with pytest.raises(NothingMeasuredError, match="all 1,000 quotes of T on v are crossed"):
        measure("2024-01-03", Recordings(quotes=[other]))


def test_the_difference_of_two_clocks_is_no_latency_even_where_it_changes() -> None:
    def recorded(day: int, clock_ms: float) -> Quotes:
        quotes = quotes_of(np.full(3600, 4.0), start_ms=MONDAY_MS + day * DAY_MS)
        delay = clock_ms + 5.0 + np.arange(3600) % 10
        return replace(quotes, feed_delay_ms=delay)

    drifting = recorded(2, 0.0)
    drift = drifting.feed_delay_ms + np.floor((drifting.time_ms - MONDAY_MS) / 3_600_000) * 50
    quotes = joined_quotes([recorded(0, -1270.0), recorded(1, 300.0), replace(drifting, feed_delay_ms=drift)])
    latency = market_of(measure("2024-01-08", Recordings(quotes=[quotes]))).cell("any", "any").latency_ms
    assert latency is not None and (latency.knots[0][1], latency.knots[-1][1]) == (0.0, 9.0)
    assert latency.mean == pytest.approx(4.5)


def test_the_order_of_markets_changes_nothing_in_a_document() -> None:
    markets = [quotes_of(np.full(5000, 4.0)), quotes_of(np.full(5000, 8.0), symbol="ETHUSDT", seed=4)]
    assert measure(QUIET, Recordings(quotes=markets)) == measure(QUIET, Recordings(quotes=markets[::-1]))


def test_the_last_days_alone_leave_older_fills_out_as_they_do_older_quotes() -> None:
    quotes = [quotes_of(np.full(172_800, 4.0))]  # two days
    old, new = fills_of(np.full(300, 1.0)), fills_of(np.full(300, 2.0), start_ms=MONDAY_MS + DAY_MS)
    for fills, source, slippage in ((old, "taker", None), (new, "fills", 2.0)):
        market = market_of(measure("2024-01-03", Recordings(quotes=quotes, fills=[fills]), days=1))
        assert market.slippage_source == source
        cell = market.cell("any", "any").slippage_touch_bps
        assert slippage is None or (cell is not None and cell.mean == pytest.approx(slippage))


def test_fills_of_a_market_without_quotes_or_candles_are_named_as_left_out() -> None:
    quotes = quotes_of(np.full(600, 4.0), symbol="ETHUSDT")
    told = measure(QUIET, Recordings(quotes=[quotes], fills=[fills_of(np.full(300, 1.0))])).source
    assert told == ("1 market measured from recorded quotes; the fills of BTCUSDT on binance_usdm are left out, no "
                    "quote or candle tells a spread there")


def test_a_quote_in_the_last_instant_before_the_date_is_measured(tmp_path: Path) -> None:
    last = quotes_of(np.full(3, 4.0), every_ms=0.25, start_ms=MONDAY_MS + DAY_MS - 0.75)
    metrics = measure(QUIET, Recordings(quotes=[last]))
    assert metrics.window[1] == MONDAY_MS + DAY_MS
    assert load_metrics(write_metrics(tmp_path, metrics)) == metrics


def test_equal_inputs_give_equal_documents_and_other_inputs_another_identity() -> None:
    assert week_of_metrics().model_dump_json() == week_of_metrics().model_dump_json()
    assert week_of_metrics().identity != week_of_metrics(taker_latency_ms=50.0).identity


def test_candles_alone_give_an_estimate_that_says_so() -> None:
    metrics = measure("2024-01-15", Recordings(bars=[bars_of(14 * 1440)]))
    market = market_of(metrics)
    assert market.method == "estimated"
    assert set(market.estimates) == {"abdi_ranaldo", "corwin_schultz"}
    assert any("estimated from candles" in note for note in market.notes)
    assert metrics.source == "1 market estimated from candles"
    both = measure("2024-01-15", Recordings(quotes=[quotes_of(np.full(600, 4.0))], bars=[bars_of(14 * 1440)]))
    assert market_of(both).method == "quotes"  # quotes outweigh candles of the same market


def test_candles_with_gaps_estimate_from_neighbouring_bars_only() -> None:
    bars = bars_of(14 * 1440)
    kept = np.flatnonzero(np.arange(len(bars)) % 3 != 2)  # never 20 neighbouring pairs in a half hour
    from daybook.market import Bars
    from daybook.market.bars import FIELDS

    holed = Bars(bars.venue, bars.symbol, "1m", bars.open_time[kept], *(getattr(bars, f)[kept] for f in FIELDS))
    with pytest.raises(NothingMeasuredError):
        measure("2024-01-15", Recordings(bars=[holed]))


def test_a_venue_has_a_pool_in_which_markets_weigh_alike() -> None:
    dear = quotes_of(np.full(20_000, 9.0), symbol="ETHUSDT")
    cheap = quotes_of(np.full(2_000, 1.0))
    pool = market_of(measure(QUIET, Recordings(quotes=[dear, cheap])), "*")
    spread = pool.cell("any", "any").spread_bps
    assert spread is not None and spread.mean == pytest.approx(5.0)
    assert pool.sources == ("BTCUSDT on binance_usdm", "ETHUSDT on binance_usdm")


def test_fills_are_read_by_market_and_impossible_ones_refused(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({
        "venue": "v", "symbol": ["B", "A"], "side": [1, -1], "decision_ms": [MONDAY_MS + 2, MONDAY_MS + 1],
        "sent_ms": MONDAY_MS + 3, "done_ms": MONDAY_MS + 4, "decision_mid": 10.0,
        "arrival_touch": [10.1, 9.9], "price": [10.2, 9.8], "quantity": 1.0, "rejected": False,
    })
    path = tmp_path / "fills.parquet"
    frame.to_parquet(path)
    first, second = read_fills(path)
    assert (first.symbol, second.symbol) == ("A", "B")
    np.testing.assert_allclose(first.slippage_touch_bps, [100.0])
    np.testing.assert_allclose(second.slippage_mid_bps, [200.0])
    for column, value, words in (("side", 0, "side is not 1"), ("sent_ms", 0, "backward"), ("price", -1.0, "price"),
                                 ("arrival_touch", np.nan, "arrival_touch"), ("side", "buy", "are numbers"),
                                 ("symbol", None, "2 of 2 orders name no venue or symbol"),
                                 ("rejected", "no", "rejected holds"), ("rejected", [None, True], "rejected holds"),
                                 ("decision_ms", MONDAY_MS // 1000, "decision_ms is no ms")):
        frame.assign(**{column: value}).to_parquet(path)
        with pytest.raises(FillsError, match=words):
            read_fills(path)
    frame.drop(columns="price").to_parquet(path)
    with pytest.raises(FillsError, match="missing column price"):
        read_fills(path)


REAL = [  # venue, symbol, time-weighted median and mean spread in bps, as measured from the recordings
    ("binance_usdm", "BTCUSDT", 0.0162, 0.0185), ("binance_usdm", "ETHUSDT", 0.0373, 0.0388),
    ("binance_spot", "BTCUSDT", 0.0016, 0.0044), ("bybit_usdm", "BTCUSDT", 0.2915, 0.2912),
    ("dukascopy", "BTCUSD", 29.19, 28.85),
]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> ExecutionMetrics:
    folders = ["hftbacktest", "dukascopy/expected-outputs", "lean/cryptofuture/bybit/minute/btcusdt", "lean/forex/fxcm"]
    return measure("2026-01-01", Recordings(quotes=read_markets([shared_data / "quotes" / f for f in folders])))


@pytest.mark.shared
@pytest.mark.parametrize(("venue", "symbol", "median", "mean"), REAL)
def test_real_markets_have_the_measured_spreads(
    real: ExecutionMetrics, venue: str, symbol: str, median: float, mean: float
) -> None:
    spread, _ = real.market(venue, symbol).figure("spread_bps", "any", "any")
    assert spread is not None
    assert (spread.p50, spread.mean) == pytest.approx((median, mean), rel=0.02)
    assert spread.p50 <= spread.p90 <= spread.quantile(0.999)


@pytest.mark.shared
def test_faults_of_real_recordings_reach_the_document(real: ExecutionMetrics) -> None:
    fxcm = real.market("fxcm", "EURUSD")
    assert fxcm.faults["crossed"] == 12_061 + 3_991
    assert any("16,052 of 147,459 quotes were crossed" in note for note in fxcm.notes)
    perpetual = real.market("binance_usdm", "BTCUSDT")
    assert perpetual.clock_skew_ms == pytest.approx(-1270, abs=2)
    latency, _ = perpetual.figure("latency_ms", "any", "any")
    assert latency is not None and 0 <= latency.p50 < latency.p90 < 50  # never negative, whatever the clocks say
    assert real.market("binance_spot", "BTCUSDT").clock_skew_ms is None
    assert real.market("binance_usdm", "BTCUSDT").slippage_source == "taker"
    assert real.market("bybit_usdm", "BTCUSDT").slippage_source is None


@pytest.mark.shared
def test_estimators_overstate_the_spread_of_a_market_that_is_tighter_than_its_minutes(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    from daybook.market import Bars
    from daybook.market.bars import FIELDS

    table = pq.read_table(shared_data / "candles/binance_usdm/1m/BTCUSDT_2025-05-04_2025-06-24.parquet")
    columns = [table.column(name).to_numpy() for name in ("open_time", *FIELDS)]
    market = market_of(measure("2025-06-25", Recordings(bars=[Bars("binance_usdm", "BTCUSDT", "1m", *columns)])))
    spread, _ = market.figure("spread_bps", "any", "any")
    assert spread is not None
    assert 0.5 < spread.mean < 10 and market.estimates["abdi_ranaldo"] < 5  # quotes of that market say 0.016
