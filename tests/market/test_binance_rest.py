"""Binance klines and funding, replayed from documented answers and from days of the recorded archive."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_exchange import FakeExchange, Query, Reply, documented, exchange_client, fake_exchange, json_reply

from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, MINUTE_MS, Window
from daybook.market import CandleStore
from daybook.market.binance_rest import BinanceRest
from daybook.market.http_errors import AnswerError
from daybook.market.store import SourceRows

START = 1_679_270_400_000
"""2023-03-20 00:00 UTC."""
ENDPOINTS = "api_responses/binance_jkorf/Endpoints"


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with fake_exchange() as running:
        yield running


def kline(time_ms: int, price: str = "100.5") -> list[Any]:
    return [time_ms, price, "101.0", "99.0", "100.0", "2.50000000", time_ms + MINUTE_MS - 1, "250.0", 7, "1.0", "100.0",
            "0"]


def serve_klines(exchange: FakeExchange, klines: list[list[Any]], prefix: str = "/api/v3",
                 now_ms: int = START + 40 * DAY_MS) -> None:
    """Answer as the exchange does: from startTime to endTime, oldest first, at most `limit`."""
    def answer(query: Query) -> Reply:
        found = [row for row in klines if int(query["startTime"]) <= row[0] <= int(query["endTime"])]
        return json_reply(found[: int(query["limit"])])

    exchange.routes[f"{prefix}/klines"] = answer
    exchange.routes[f"{prefix}/time"] = json_reply({"serverTime": now_ms})


@pytest.mark.parametrize(("venue", "prefix", "limit"), [
    ("binance_spot", "/api/v3", 1000), ("binance_usdm", "/fapi/v1", 1500),
])
def test_a_long_window_is_read_page_by_page(exchange: FakeExchange, venue: str, prefix: str, limit: int) -> None:
    klines = [kline(START + minute * MINUTE_MS) for minute in range(2 * limit + 7)]
    serve_klines(exchange, klines, prefix)
    with exchange_client(exchange) as client:
        rows = BinanceRest(client, exchange.url, venue).candles("BTCUSDT", Window(START, START + 5 * DAY_MS))
    assert rows.open_time.tolist() == [row[0] for row in klines]
    assert len(exchange.asked) == 1 + 3
    assert {query["interval"] for path, query, _ in exchange.asked if path.endswith("klines")} == {"1m"}


def test_a_page_that_is_exactly_full_is_the_end_when_the_next_is_empty(exchange: FakeExchange) -> None:
    serve_klines(exchange, [kline(START + minute * MINUTE_MS) for minute in range(1000)])
    with exchange_client(exchange) as client:
        rows = BinanceRest(client, exchange.url, "binance_spot").candles("BTCUSDT", Window(START, START + DAY_MS))
    assert len(rows) == 1000


def test_row_43_the_open_candle_is_dropped_by_the_exchanges_own_clock(exchange: FakeExchange) -> None:
    klines = [kline(START + minute * MINUTE_MS) for minute in range(10)]
    serve_klines(exchange, klines, now_ms=START + 9 * MINUTE_MS + 59_999)
    with exchange_client(exchange) as client:
        rows = BinanceRest(client, exchange.url, "binance_spot").candles("BTCUSDT", Window(START, START + DAY_MS))
    assert rows.open_time.tolist() == [row[0] for row in klines[:9]]
    serve_klines(exchange, klines, now_ms=START + 10 * MINUTE_MS)
    with exchange_client(exchange) as client:
        rows = BinanceRest(client, exchange.url, "binance_spot").candles("BTCUSDT", Window(START, START + DAY_MS))
    assert len(rows) == 10


@pytest.mark.shared
def test_a_recorded_day_over_rest_equals_the_archive_file(exchange: FakeExchange, shared_data: Path,
                                                          tmp_path: Path) -> None:
    file = shared_data / "raw_binance_archive/spot_daily_zip/1m/BTCUSDT-1m-2023-03-24.zip"
    with zipfile.ZipFile(file) as archive:
        lines = list(csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0]))))
    serve_klines(exchange, [[int(row[0]), *row[1:6], int(row[6]), row[7], int(row[8]), *row[9:]] for row in lines])
    day = START + 4 * DAY_MS
    with exchange_client(exchange) as client:
        rows = BinanceRest(client, exchange.url, "binance_spot").candles("BTCUSDT", Window(day, day + DAY_MS))
    assert len(rows) == 1360
    store = CandleStore(tmp_path / "rest")
    store.write("binance_spot", "BTCUSDT", [SourceRows("rest", rows)])
    from daybook.market import import_candles

    other = CandleStore(tmp_path / "archive")
    import_candles(file, other)
    assert store.read("binance_spot", "BTCUSDT").data_hash == other.read("binance_spot", "BTCUSDT").data_hash
    assert np.array_equal(store.rows("binance_spot", "BTCUSDT").close_time,
                          other.rows("binance_spot", "BTCUSDT").close_time)


@pytest.mark.shared
@pytest.mark.parametrize(("venue", "prefix", "group"), [
    ("binance_spot", "/api/v3", "Spot"), ("binance_usdm", "/fapi/v1", "UsdFutures"),
])
def test_the_documented_answers_are_read(exchange: FakeExchange, shared_data: Path, venue: str, prefix: str,
                                         group: str) -> None:
    folder = shared_data / ENDPOINTS / group / "ExchangeData"
    exchange.routes[f"{prefix}/klines"] = json_reply(documented(folder / "GetKlines.txt"))
    exchange.routes[f"{prefix}/time"] = json_reply({"serverTime": 1_600_000_000_000})
    with exchange_client(exchange) as client:
        rows = BinanceRest(client, exchange.url, venue).candles(
            "ETHBTC", Window(1_499_040_000_000, 1_499_040_000_000 + DAY_MS))
    assert rows.open_time.tolist() == [1_499_040_000_000]
    assert (rows.open[0], rows.high[0], rows.low[0], rows.close[0]) == (0.01634790, 0.8, 0.01575800, 0.01577100)
    assert rows.volume[0] == 148976.11427815
    assert rows.close_time[0] == 1_499_644_800_000


@pytest.mark.parametrize("answer", [
    {"code": 0}, [[1]], [kline(START)[:11]], [[*kline(START), "extra"]], [kline(START, "NaN")], [kline(START, "1e5")],
    [kline(START, "")], [[str(START), *kline(START)[1:]]], [[START, 100.5, *kline(START)[2:]]],
])
def test_row_44_an_answer_of_another_form_is_refused_whole(exchange: FakeExchange, answer: Any) -> None:
    exchange.routes["/api/v3/klines"] = json_reply(answer)
    exchange.routes["/api/v3/time"] = json_reply({"serverTime": START + DAY_MS})
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="not as documented"):
        BinanceRest(client, exchange.url, "binance_spot").candles("BTCUSDT", Window(START, START + DAY_MS))


@pytest.mark.parametrize("times", [
    [START + MINUTE_MS, START], [START, START], [START - MINUTE_MS, START], [START, START + 2 * DAY_MS],
])
def test_an_answer_to_another_question_is_refused(exchange: FakeExchange, times: list[int]) -> None:
    exchange.routes["/api/v3/klines"] = json_reply([kline(time) for time in times])
    exchange.routes["/api/v3/time"] = json_reply({"serverTime": START + 9 * DAY_MS})
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="rising"):
        BinanceRest(client, exchange.url, "binance_spot").candles("BTCUSDT", Window(START, START + DAY_MS))


@pytest.mark.shared
def test_documented_funding_is_read(exchange: FakeExchange, shared_data: Path) -> None:
    answer = documented(shared_data / ENDPOINTS / "UsdFutures/ExchangeData/GetFundingRates.txt")
    exchange.routes["/fapi/v1/fundingRate"] = json_reply(answer)
    with exchange_client(exchange) as client:
        rates = BinanceRest(client, exchange.url, "binance_usdm").funding(
            "BTCUSDT", Window(1_698_768_000_000, 1_698_796_800_001))
    assert rates.funding_time.tolist() == [1_698_768_000_000, 1_698_796_800_000]
    assert rates.funding_rate.tolist() == [0.0001, 0.0001]


def test_funding_is_read_page_by_page_with_its_late_stamps(exchange: FakeExchange) -> None:
    times = [START + hour * 8 * 3_600_000 + hour % 48 for hour in range(2300)]

    def answer(query: Query) -> Reply:
        found = [time for time in times if int(query["startTime"]) <= time <= int(query["endTime"])]
        page = [{"symbol": "BTCUSDT", "fundingTime": time, "fundingRate": "-0.00010000"} for time in found[:1000]]
        return json_reply(page)

    exchange.routes["/fapi/v1/fundingRate"] = answer
    with exchange_client(exchange) as client:
        rates = BinanceRest(client, exchange.url, "binance_usdm").funding("BTCUSDT", Window(START, times[-1] + 1))
    assert rates.funding_time.tolist() == times
    assert len(exchange.asked) == 3


def test_funding_of_another_market_is_refused(exchange: FakeExchange) -> None:
    exchange.routes["/fapi/v1/fundingRate"] = json_reply(
        [{"symbol": "ETHUSDT", "fundingTime": START, "fundingRate": "0.1"}])
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="another market"):
        BinanceRest(client, exchange.url, "binance_usdm").funding("BTCUSDT", Window(START, START + DAY_MS))


def test_spot_has_no_funding(exchange: FakeExchange) -> None:
    with exchange_client(exchange) as client, pytest.raises(UsageError, match="binance_usdm"):
        BinanceRest(client, exchange.url, "binance_spot").funding("BTCUSDT", Window(START, START + DAY_MS))
