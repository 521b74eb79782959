"""Quote readers on real recordings: the figures their documentation names, and every fault counted."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daybook.market import QuoteFaults, QuoteFileError, Quotes, quote_files, read_markets, read_quotes
from daybook.market.quotes import RawQuotes, clean_quotes, joined_quotes

BASE = 1_704_067_200_000  # 2024-01-01 00:00 UTC
LEAN = "quotes/lean/"
HFT = "quotes/hftbacktest/"
MEDIANS = [  # file, market, quotes, median spread in bps, tolerance
    (LEAN + "crypto/coinbase/minute/btcusd/20180404_quote.zip", "BTCUSD on coinbase_spot", 1437, 0.014, 5e-4),
    (LEAN + "crypto/coinbase/minute/ethusd/20180404_quote.zip", "ETHUSD on coinbase_spot", 1438, 0.26, 5e-3),
    (LEAN + "crypto/bybit/minute/btcusdt/20221213_quote.zip", "BTCUSDT on bybit_spot", 721, 1.10, 5e-3),
    (LEAN + "cryptofuture/bybit/minute/btcusdt/20221213_quote.zip", "BTCUSDT on bybit_usdm", 460, 0.29, 5e-3),
    (LEAN + "cryptofuture/binance/minute/btcusd/20221213_quote.zip", "BTCUSD on binance_coinm", 1104, 0.057, 5e-4),
    (LEAN + "cryptofuture/binance/minute/adausdt/20221213_quote.zip", "ADAUSDT on binance_usdm", 1100, 3.25, 5e-3),
    (HFT + "usdm/btcusdt_20240808.gz", "BTCUSDT on binance_usdm", 66_089, 0.016, 5e-4),
    (HFT + "usdm/ethusdt_20240808.gz", "ETHUSDT on binance_usdm", 53_992, 0.037, 5e-4),
    (HFT + "spot/btcusdt_20240808.gz", "BTCUSDT on binance_spot", 28_040, 0.0016, 5e-5),
    (HFT + "hyperliquid/btcusd_20250126.gz", "BTCUSD on hyperliquid", 46, 0.095, 5e-4),
    ("quotes/dukascopy/expected-outputs/btcusd-tick-2023-02-20T12-2023-02-20T13.json", "BTCUSD on dukascopy", 8523,
     29.2, 0.1),
    ("quotes/nautilus/binance/btcusdt-quotes.parquet", "BTCUSDT on binance", 451, 0.0025, 1e-4),
]


@pytest.mark.shared
@pytest.mark.parametrize(("file", "market", "count", "median", "tolerance"), MEDIANS)
def test_a_recording_has_the_spread_that_its_documentation_names(
    shared_data: Path, file: str, market: str, count: int, median: float, tolerance: float
) -> None:
    quotes = read_quotes(shared_data / file)
    assert (quotes.name, len(quotes)) == (market, count)
    assert np.median(quotes.spread_bps) == pytest.approx(median, abs=tolerance)
    assert np.all(np.diff(quotes.time_ms) >= 0)


@pytest.mark.shared
def test_crossed_quotes_of_the_fxcm_day_are_counted_and_left_out(shared_data: Path) -> None:
    quotes = read_quotes(shared_data / LEAN / "forex/fxcm/tick/eurusd/20140502_quote.zip")
    assert quotes.faults == QuoteFaults(rows=96_406, crossed=12_061, locked=13_004)
    assert len(quotes) == 96_406 - 12_061
    assert quotes.spread_bps.min() == 0.0


@pytest.mark.shared
def test_an_fxcm_day_begins_at_five_utc_and_any_other_at_midnight(shared_data: Path) -> None:
    fxcm = read_quotes(shared_data / LEAN / "forex/fxcm/tick/eurusd/20140502_quote.zip")
    assert fxcm.time_ms[0] == 1_398_988_800_000 + 5 * 3_600_000 + 611
    oanda = read_quotes(shared_data / LEAN / "cfd/oanda/tick/xauusd/20140502_quote.zip")
    assert oanda.time_ms[0] == pytest.approx(1_398_988_800_046.2042, abs=1e-3)
    # the same currency pair at two brokers moves together only when both clocks are right
    other = read_quotes(shared_data / LEAN / "forex/oanda/tick/eurusd/20140502_quote.zip")
    grid = np.arange(max(fxcm.time_ms[0], other.time_ms[0]), min(fxcm.time_ms[-1], other.time_ms[-1]), 60_000.0)
    mids = [quotes.mid[np.searchsorted(quotes.time_ms, grid, side="right") - 1] for quotes in (fxcm, other)]
    assert np.corrcoef(*(np.diff(np.log(mid)) for mid in mids))[0, 1] > 0.9


@pytest.mark.shared
def test_the_hours_of_a_gold_day_show_the_payroll_hour(shared_data: Path) -> None:
    quotes = read_quotes(shared_data / LEAN / "cfd/oanda/tick/xauusd/20140502_quote.zip")
    hour = (quotes.time_ms // 3_600_000 % 24).astype(int)
    medians = {at: float(np.median(quotes.spread_bps[hour == at])) for at in range(21)}
    assert max(medians, key=medians.__getitem__) == 12  # payrolls came out at 12:30
    assert medians[12] == pytest.approx(3.6, abs=0.1)
    assert medians[20] == pytest.approx(3.4, abs=0.1)
    assert all(2.05 < medians[at] < 2.75 for at in range(12))


@pytest.mark.shared
def test_the_recorders_clock_is_reported_where_two_clocks_were_recorded(shared_data: Path) -> None:
    future = read_quotes(shared_data / HFT / "usdm/btcusdt_20240808.gz")
    assert future.clock_skew_ms == pytest.approx(-1270, abs=2)
    assert read_quotes(shared_data / HFT / "spot/btcusdt_20240808.gz").clock_skew_ms is None


@pytest.mark.shared
def test_a_minute_quote_is_stamped_at_the_end_of_its_minute(shared_data: Path) -> None:
    quotes = read_quotes(shared_data / LEAN / "crypto/coinbase/minute/btcusd/20180404_quote.zip")
    assert quotes.time_ms[0] == 1_522_800_000_000 + 60_000
    assert (quotes.bid[0], quotes.ask[0], quotes.bid_size[0]) == (7424.9, 7424.91, 1.88483821)


@pytest.mark.shared
def test_every_recorded_file_is_known_and_days_of_one_market_are_one_table(shared_data: Path) -> None:
    files = quote_files(shared_data / "quotes" / "lean")
    assert len(files) == 39  # every *_quote.zip there
    gold = shared_data / LEAN / "cfd/oanda"
    (market,) = read_markets([gold])
    assert len(market.sources) == 8  # the minutes of days whose ticks are there would count the same quotes twice
    assert len(market) == sum(len(read_quotes(file)) for file in quote_files(gold / "tick"))
    assert np.all(np.diff(market.time_ms) >= 0)
    (again,) = read_markets([gold / "minute", gold / "tick", gold])
    assert (len(again), sorted(again.sources)) == (len(market), sorted(market.sources))


def columns(*rows: tuple[float, float, float]) -> RawQuotes:
    """Times are counted from BASE."""
    time, bid, ask = np.asarray(rows, dtype=np.float64).T
    return RawQuotes(BASE + time, bid, ask)


def cleaned(*rows: tuple[float, float, float]) -> Quotes:
    return clean_quotes("v", "S", Path("s.zip"), columns(*rows))


def test_what_is_left_out_is_counted_and_the_rest_is_in_order() -> None:
    quotes = cleaned((3, 10, 11), (1, 10, 10), (2, 12, 11), (4, 0, 5), (5, np.nan, 5), (6, 10, np.inf), (-BASE, 1, 2),
                     (BASE * 999, 1, 2))
    assert quotes.faults == QuoteFaults(rows=8, crossed=1, invalid=5, backward=1, locked=1)
    np.testing.assert_array_equal(quotes.time_ms - BASE, [1, 3])
    np.testing.assert_array_equal(quotes.ask, [10, 11])
    with pytest.raises(ValueError, match="read-only"):
        quotes.bid[0] = 1.0


def test_a_file_of_crossed_quotes_only_holds_none_and_hides_no_other(tmp_path: Path) -> None:
    crossed = cleaned((1, 2, 1))
    assert (len(crossed), crossed.faults) == (0, QuoteFaults(rows=1, crossed=1))
    joined = joined_quotes([crossed, cleaned((5, 1, 2))])
    assert (len(joined), joined.faults) == (1, QuoteFaults(rows=2, crossed=1))
    with pytest.raises(QuoteFileError, match="none of 2 quotes is usable"):
        cleaned((1, 0, 1), (2, np.nan, 1))


def test_a_part_of_a_recording_has_the_faults_and_files_of_its_own_days() -> None:
    day = 86_400_000
    one = clean_quotes("v", "S", Path("one"), columns((1, 2, 1), (5, 1, 2), (day + 1, 1, 1), (np.nan, 1, 2)))
    other = clean_quotes("v", "S", Path("other"), columns((2 * day, 3, 1), (2 * day + 1, 1, 2), (2 * day, 1, 2)))
    joined = joined_quotes([one, other])
    assert joined.faults == QuoteFaults(rows=7, crossed=2, invalid=1, backward=1, locked=1)
    assert joined.within(BASE, BASE + 3 * day).faults == joined.faults
    first, second = joined.within(BASE, BASE + day), joined.within(BASE + day, BASE + 2 * day)
    assert (first.sources, first.faults) == (("one",), QuoteFaults(rows=2, crossed=1))
    assert (second.sources, second.faults) == (("one",), QuoteFaults(rows=2, invalid=1, locked=1))


def test_recordings_of_two_markets_are_not_joined() -> None:
    one = cleaned((1, 1, 2))
    other = clean_quotes("w", "S", Path("s.zip"), columns((1, 1, 2)))
    with pytest.raises(Exception, match="S on v, S on w"):
        joined_quotes([one, other])


def test_joined_recordings_add_their_faults_and_keep_the_order_of_time() -> None:
    joined = joined_quotes([cleaned((5, 1, 2), (6, 3, 2)), cleaned((1, 1, 2), (9, 1, 2))])
    np.testing.assert_array_equal(joined.time_ms - BASE, [1, 5, 9])
    assert joined.faults == QuoteFaults(rows=4, crossed=1)
    assert len(joined.within(BASE + 1, BASE + 9)) == 2


def lean_file(folder: Path, text: str, name: str = "20240101_quote.zip", resolution: str = "tick") -> Path:
    path = folder / "crypto" / "kraken" / resolution / "btcusd" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("quotes.csv", text)
    return path


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("1,2\n", "20240101_quote.zip", "found 2 columns"),
        ("", "20240101_quote.zip", "file is empty"),
        ("1,x,3\n", "20240101_quote.zip", "not a table of numbers"),
        ("1,2,3\n", "20241399_quote.zip", "no calendar day"),
    ],
)
def test_a_broken_lean_file_is_refused_with_its_cause(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(QuoteFileError, match=words):
        read_quotes(lean_file(tmp_path, text, name))


def test_five_tick_columns_hold_sizes(tmp_path: Path) -> None:
    quotes = read_quotes(lean_file(tmp_path, "1.5,10,3,11,4\n"))
    assert (quotes.bid[0], quotes.bid_size[0], quotes.ask[0], quotes.ask_size[0]) == (10, 3, 11, 4)
    assert quotes.time_ms[0] == 1_704_067_200_001.5


def test_a_zip_that_is_none_and_a_torn_gzip_are_refused(tmp_path: Path) -> None:
    path = lean_file(tmp_path, "1,2,3\n")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(QuoteFileError, match="corrupt or unreadable"):
        read_quotes(path)
    torn = tmp_path / "usdm" / "btcusdt_20240101.gz"
    torn.parent.mkdir()
    line = b'1 {"stream":"btcusdt@bookTicker","data":{"b":"1","B":"1","a":"2","A":"1","E":1}}\n'
    torn.write_bytes(gzip.compress(line * 1000)[:-20])
    with pytest.raises(QuoteFileError, match="corrupt or unreadable"):
        read_quotes(torn)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'1 {"stream":"btcusdt@bookTicker","data":{"b":"1"}}', "line 1 is no quote message"),
        (b'x {"stream":"btcusdt@bookTicker","data":{}}', "line 1 is no quote message"),
        (b'1 {"stream":"btcusdt@trade","data":{}}', "no bookTicker or l2Book"),
    ],
)
def test_a_recording_that_holds_no_quote_is_refused(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "spot" / "btcusdt_20240101.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(text))
    with pytest.raises(QuoteFileError, match=words):
        read_quotes(path)


def test_parquet_quotes_take_any_time_column_and_refuse_two_markets(tmp_path: Path) -> None:
    folder = tmp_path / "binance_spot"
    folder.mkdir()
    path = folder / "btcusdt-quotes.parquet"
    times = [1_700_000_000_000, 1_700_000_000_001]
    pq.write_table(pa.table({"time_ms": times, "bid": [1.0, 1.0], "ask": [2.0, 2.0]}), path)
    quotes = read_quotes(path)
    assert (quotes.name, len(quotes)) == ("BTCUSDT on binance_spot", 2)
    assert np.isnan(quotes.bid_size).all()
    stamps = pa.array([BASE * 1000, BASE * 1000 + 1500], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"timestamp": stamps, "bid": [1.0, 1.0], "ask": [2.0, 2.0]}), path)
    np.testing.assert_array_equal(read_quotes(path).time_ms - BASE, [0, 1.5])
    pq.write_table(pa.table({"time_ms": [1, 2], "bid": [1.0, 1.0], "ask": [2.0, 2.0], "symbol": ["A", "B"]}), path)
    with pytest.raises(QuoteFileError, match="2 symbols"):
        read_quotes(path)
    pq.write_table(pa.table({"price": [1.0]}), path)
    with pytest.raises(QuoteFileError, match="found the columns price"):
        read_quotes(path)


@pytest.mark.parametrize(("time_ms", "said"), [
    ([1.7e9, 1.7e9], "row 0 holds the time 1700000000, allowed are milliseconds"),
    ([1.7e12, 1.7e15], "row 1 holds the time 1700000000000000, allowed are milliseconds"),
    (["noon", "night"], "a column does not hold what its name says"),
])
def test_parquet_times_in_another_unit_are_refused(tmp_path: Path, time_ms: list[object], said: str) -> None:
    path = tmp_path / "BTCUSDT-quotes.parquet"
    pq.write_table(pa.table({"time_ms": time_ms, "bid": [1.0, 1.0], "ask": [2.0, 2.0]}), path)
    with pytest.raises(QuoteFileError, match=said):
        read_quotes(path)


def test_a_recording_that_unpacks_to_one_endless_line_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "usdm" / "btcusdt_20240808.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(bytes(2**26), 1))  # 64 MB of zeros in 0.3 MB, without an end of line
    tracemalloc.start()
    with pytest.raises(QuoteFileError, match="a line longer than"):
        read_quotes(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def test_dukascopy_ticks_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "btcusd-tick-x.json"
    for text, said in ((json.dumps([{"timestamp": 1}]), "not a list of ticks"), ("[" * 100_000, "not a list of ticks"),
                       (json.dumps([{"timestamp": BASE // 1000, "bidPrice": 1, "askPrice": 2}]), "in ms UTC from 2000"),
                       (json.dumps([{"timestamp": 1e300, "bidPrice": 1, "askPrice": 2}]), "in ms UTC from 2000")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(QuoteFileError, match=said):
            read_quotes(path)


def test_an_unknown_file_names_the_formats_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "quotes.txt"
    path.write_text("", encoding="utf-8")
    with pytest.raises(QuoteFileError, match="Lean quote zips, hftbacktest"):
        read_markets([path])
