"""BloFin candles and funding, replayed from documented answers: confirm flag, text numbers, contracts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_exchange import FakeExchange, Query, Reply, documented, exchange_client, fake_exchange, json_reply

from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, MINUTE_MS, Window
from daybook.market.blofin import BloFin, instrument_id
from daybook.market.http_errors import AnswerError

START = 1_703_462_400_000
"""2023-12-25 00:00 UTC."""
ENDPOINTS = "api_responses/blofin_jkorf/Endpoints/Futures/ExchangeData"
CANDLES, INSTRUMENTS = "/api/v1/market/candles", "/api/v1/market/instruments"
FUNDING = "/api/v1/market/funding-rate-history"


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with fake_exchange() as running:
        running.routes[INSTRUMENTS] = ok([instrument("0.001")])
        yield running


def ok(data: Any) -> Reply:
    return json_reply({"code": "0", "msg": "success", "data": data})


def instrument(value: str, name: str = "BTC-USDT") -> dict[str, str]:
    return {"instId": name, "contractValue": value, "contractType": "linear", "instType": "SWAP", "state": "live"}


def candle(time_ms: int, contracts: str = "835", base: str = "0.835", confirm: str = "1") -> list[str]:
    return [str(time_ms), "2283.45", "2283.5", "2282.8", "2283", contracts, base, "19063.9805", confirm]


def serve_candles(exchange: FakeExchange, candles: list[list[str]]) -> None:
    """Answer as the exchange does: those before `after`, newest first, at most `limit`."""
    def answer(query: Query) -> Reply:
        found = sorted((row for row in candles if int(row[0]) < int(query["after"])), reverse=True)
        return ok(found[: int(query["limit"])])

    exchange.routes[CANDLES] = answer


def test_candles_come_in_time_order_over_several_pages(exchange: FakeExchange) -> None:
    candles = [candle(START + minute * MINUTE_MS) for minute in range(-5, 3000)]
    serve_candles(exchange, candles)
    with exchange_client(exchange) as client:
        rows = BloFin(client, exchange.url).candles("BTCUSDT", Window(START, START + 3 * DAY_MS))
    assert rows.open_time.tolist() == [START + minute * MINUTE_MS for minute in range(3000)]
    assert (rows.close_time == rows.open_time + MINUTE_MS).all()
    assert exchange.paths().count(CANDLES) == 3


def test_row_43_an_unconfirmed_candle_is_dropped(exchange: FakeExchange) -> None:
    serve_candles(exchange, [candle(START), candle(START + MINUTE_MS, confirm="0")])
    with exchange_client(exchange) as client:
        rows = BloFin(client, exchange.url).candles("BTCUSDT", Window(START, START + DAY_MS))
    assert rows.open_time.tolist() == [START]


def test_contracts_become_coins_by_the_contract_value(exchange: FakeExchange) -> None:
    serve_candles(exchange, [candle(START, contracts="835", base="0.835")])
    with exchange_client(exchange) as client:
        rows = BloFin(client, exchange.url).candles("BTCUSDT", Window(START, START + DAY_MS))
    assert rows.volume.tolist() == [0.835]
    exchange.routes[INSTRUMENTS] = ok([instrument("0.01")])
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match=r"835 contracts of 0\.01.*0\.835 coins"):
        BloFin(client, exchange.url).candles("BTCUSDT", Window(START, START + DAY_MS))


@pytest.mark.shared
def test_the_documented_candle_and_instrument_are_read(exchange: FakeExchange, shared_data: Path) -> None:
    exchange.routes[CANDLES] = lambda query: json_reply(
        documented(shared_data / ENDPOINTS / "GetKlines.txt") if int(query["after"]) > 1_703_484_240_000
        else {"code": "0", "msg": "success", "data": []})
    # The documented instrument is BTC's (0.001) and the documented candle ETH's, whose contract is 0.01.
    one = documented(shared_data / ENDPOINTS / "GetSymbols.txt")
    one["data"][0] |= {"instId": "ETH-USDT", "contractValue": "0.01"}
    exchange.routes[INSTRUMENTS] = json_reply(one)
    with exchange_client(exchange) as client:
        rows = BloFin(client, exchange.url).candles("ETHUSDT", Window(1_703_484_000_000, 1_703_484_600_000))
    assert rows.open_time.tolist() == [1_703_484_240_000]
    assert (rows.open[0], rows.low[0], rows.volume[0]) == (2283.45, 2282.8, 8.35)


@pytest.mark.parametrize("answer", [
    {"code": "152001", "msg": "no such parameter", "data": []}, {"code": "0", "msg": "", "data": [["1"]]},
    {"code": "0", "msg": "", "data": [candle(START, confirm="2")]},
    {"code": "0", "msg": "", "data": [[START, *candle(START)[1:]]]},
    {"code": "0", "msg": "", "data": [candle(START, contracts="NaN")]}, [],
])
def test_row_44_an_answer_of_another_form_is_refused(exchange: FakeExchange, answer: Any) -> None:
    exchange.routes[CANDLES] = json_reply(answer)
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="not as documented"):
        BloFin(client, exchange.url).candles("BTCUSDT", Window(START, START + DAY_MS))


@pytest.mark.parametrize("times", [[START, START + MINUTE_MS], [START + DAY_MS], [START, START]])
def test_an_answer_to_another_question_is_refused(exchange: FakeExchange, times: list[int]) -> None:
    exchange.routes[CANDLES] = ok([candle(time) for time in times])
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="falling"):
        BloFin(client, exchange.url).candles("BTCUSDT", Window(START, START + DAY_MS))


def test_an_unknown_market_is_named(exchange: FakeExchange) -> None:
    exchange.routes[INSTRUMENTS] = ok([])
    with exchange_client(exchange) as client, pytest.raises(UsageError, match="XYZ-USDT"):
        BloFin(client, exchange.url).candles("XYZUSDT", Window(START, START + DAY_MS))


def test_symbols_become_instruments() -> None:
    assert [instrument_id(symbol) for symbol in ("BTCUSDT", "ETHUSDC", "BTCUSD")] == ["BTC-USDT", "ETH-USDC", "BTC-USD"]
    with pytest.raises(UsageError, match="USDT"):
        instrument_id("BTCEUR")


@pytest.mark.shared
def test_documented_funding_is_read(exchange: FakeExchange, shared_data: Path) -> None:
    pages = [documented(shared_data / ENDPOINTS / "GetFundingRateHistory.txt"),
             {"code": "0", "msg": "success", "data": []}]
    exchange.routes[FUNDING] = lambda _: json_reply(pages.pop(0))
    with exchange_client(exchange) as client:
        rates = BloFin(client, exchange.url).funding("BTCUSDT", Window(START, START + DAY_MS))
    assert rates.funding_time.tolist() == [1_703_462_400_000]
    assert rates.funding_rate.tolist() == [0.000330372404346635]


def test_funding_is_read_backwards_and_cut_to_the_window(exchange: FakeExchange) -> None:
    times = [START + number * 8 * 3_600_000 for number in range(-20, 250)]

    def answer(query: Query) -> Reply:
        found = sorted((time for time in times if time < int(query["after"])), reverse=True)[: int(query["limit"])]
        return ok([{"instId": "BTC-USDT", "fundingRate": "0.0001", "fundingTime": str(time)} for time in found])

    exchange.routes[FUNDING] = answer
    with exchange_client(exchange) as client:
        rates = BloFin(client, exchange.url).funding("BTCUSDT", Window(START, times[-1] + 1))
    assert rates.funding_time.tolist() == times[20:]
