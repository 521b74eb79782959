"""`daybook candles download` and the refresh of `--source binance`, against a local server that replays archives."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "market"))

from fake_exchange import FakeClock, FakeExchange, Reply, fake_exchange, json_reply

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.core.time import DAY_MS, HOUR_MS, Window
from daybook.market import Bars, CandleStore, candle_store, download_sources, funding_store, http_pace
from daybook.market.download_sources import open_sources, venue_of_source
from daybook.market.http_errors import AddressRefusedError
from daybook.pipeline.cli import app
from daybook.pipeline.refresh import refresh_from_exchange
from daybook.pipeline.seal import refresh_candles

MARCH = 1_679_270_400_000
"""2023-03-20 00:00 UTC."""


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeExchange]:
    with fake_exchange() as running:
        for name in ("ARCHIVE", "SPOT", "USDM"):
            monkeypatch.setenv(f"DAYBOOK_BINANCE_{name}_URL", running.url)
        monkeypatch.setenv("DAYBOOK_BLOFIN_URL", running.url)
        monkeypatch.setattr(download_sources, "ExchangeClient", _without_sleep)
        yield running


def _without_sleep(servers: list[str], *, clock: http_pace.Clock | None, weights: dict[str, int]) -> Any:
    from daybook.market.http import ExchangeClient

    assert clock is None
    return ExchangeClient(servers, clock=FakeClock().clock, weights=weights)


def serve_march(exchange: FakeExchange, shared_data: Path, *symbols: str) -> None:
    for symbol in symbols:
        for file in (shared_data / "raw_binance_archive/spot_daily_zip/1m").glob(f"{symbol}-1m-2023-03-*.zip"):
            exchange.serve_archive(file)


def command(tmp_path: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["candles", "download", "--data", str(tmp_path / "data"), *more])


@pytest.mark.shared
def test_two_markets_of_recorded_days_come_with_one_command(exchange: FakeExchange, shared_data: Path,
                                                            tmp_path: Path) -> None:
    serve_march(exchange, shared_data, "BTCUSDT", "ETHUSDT")
    span = ("--symbols", "BTCUSDT,ETHUSDT", "--from", "2023-03-20", "--to", "2023-03-28")
    done = command(tmp_path, "--venue", "binance_spot", *span, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["fetched"], report["new"]) == (18, 2 * (9 * 1440 - 80))
    assert [one["name"] for one in report["short"]] == ["BTCUSDT-1m-2023-03-24.zip", "ETHUSDT-1m-2023-03-24.zip"]
    store = candle_store(tmp_path / "data")
    assert store.symbols("binance_spot") == ("BTCUSDT", "ETHUSDT")
    again = command(tmp_path, "--venue", "binance_spot", *span)
    assert again.exit_code == 0
    assert "2 files here already, 2 short" in again.stdout


def test_what_could_not_be_had_ends_with_exit_code_three(exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes["/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2023-03-20.zip.CHECKSUM"] = Reply(b"", 503)
    exchange.routes["/api/v3/time"] = Reply(b"", 503)
    done = command(tmp_path, "--symbols", "BTCUSDT", "--from", "2023-03-20", "--to", "2023-03-20")
    assert done.exit_code == 3
    assert "STALE" in done.stdout
    assert "failed: BTCUSDT-1m-2023-03-20.zip: 127.0.0.1" in done.stdout


def test_funding_comes_where_it_is_asked_for(exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes |= {"/fapi/v1/time": json_reply({"serverTime": MARCH + 7 * DAY_MS}),
                        "/fapi/v1/klines": json_reply([])}
    exchange.routes["/fapi/v1/fundingRate"] = json_reply(
        [{"symbol": "BTCUSDT", "fundingTime": MARCH + 13, "fundingRate": "0.00010000", "markPrice": "1.0"}])
    done = command(tmp_path, "--venue", "binance_usdm", "--symbols", "BTCUSDT", "--from", "2023-03-20", "--to",
                   "2023-03-20", "--funding", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["funding"] == {"BTCUSDT": "1 new, 0 known, 0 conflicts"}
    assert (tmp_path / "data/funding/venue=binance_usdm/symbol=BTCUSDT/rates.parquet").is_file()


def test_funding_that_can_not_be_had_is_reported_beside_the_candles(exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes["/fapi/v1/fundingRate"] = Reply(b"", 503)
    done = command(tmp_path, "--venue", "binance_usdm", "--symbols", "BTCUSDT", "--from", "2023-03-20", "--to",
                   "2023-03-20", "--funding")
    assert done.exit_code == 3
    assert "1 not in the archive" in done.stdout
    assert "failed: BTCUSDT funding: 127.0.0.1" in done.stdout


@pytest.mark.parametrize(("more", "words"), [
    (("--venue", "binance_spot", "--funding"), "binance_usdm or blofin_swap"),
    (("--venue", "kraken_spot"), "binance_spot, binance_usdm, blofin_swap"),
    (("--from", "2023-03-21", "--to", "2023-03-20"), "is after"),
    (("--from", "20 March"), "YYYY-MM-DD"),
    (("--from", "0001-01-01"), "allowed are days from 2010-01-01 to today"),
    (("--from", "9999-12-31", "--to", "9999-12-31"), "allowed are days from 2010-01-01 to today"),
    (("--symbols", "btc"), "symbols"),
])
def test_a_wrong_question_is_refused_before_anything_is_asked(exchange: FakeExchange, tmp_path: Path,
                                                              more: tuple[str, ...], words: str) -> None:
    done = command(tmp_path, *more)
    assert isinstance(done.exception, UsageError)
    assert words in str(done.exception)
    assert exchange.asked == []


def test_an_end_in_the_future_is_the_running_day(exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes["/api/v3/time"] = json_reply({"serverTime": MARCH})
    today = datetime.now(UTC).date()
    done = command(tmp_path, "--symbols", "BTCUSDT", "--from", str(today), "--to", "9999-12-31", "--json")
    assert json.loads(done.stdout)["end_ms"] <= (time.time() + 86_400) * 1000


def test_row_55_a_server_in_the_settings_must_be_an_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYBOOK_BINANCE_SPOT_URL", "http://169.254.169.254/latest")
    with pytest.raises(AddressRefusedError, match=r"169\.254\.169\.254"), \
            open_sources(load_settings(), "binance_spot"):
        raise AssertionError("a client for the metadata address was made")


@pytest.mark.shared
def test_a_day_with_source_binance_refreshes_by_itself_and_only_once(
        exchange: FakeExchange, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve_march(exchange, shared_data, "BTCUSDT")
    settings = load_settings({"source": "binance", "symbols": "BTCUSDT", "data": tmp_path / "data"})
    window = Window(MARCH, MARCH + 4 * DAY_MS)
    assert refresh_candles(settings, window, tmp_path / "inputs") == "binance_spot"
    assert len(CandleStore(tmp_path / "data/candles").read("binance_spot", "BTCUSDT")) == 4 * 1440
    assert json.loads((tmp_path / "inputs/download.json").read_text())["new"] == 4 * 1440
    assert "4 files fetched" in capsys.readouterr().err
    asked = len(exchange.asked)
    refresh_candles(settings, window)
    assert len(exchange.asked) == asked


def test_a_day_on_perpetuals_fetches_their_funding_once_and_goes_on_without(
        exchange: FakeExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    window = Window(MARCH, MARCH + DAY_MS)
    settings = load_settings({"source": "binance", "binance_market": "usdm", "symbols": "BTCUSDT",
                              "data": tmp_path / "data"})
    candle_store(settings.data).write_bars(_minutes(window))
    exchange.routes["/fapi/v1/fundingRate"] = Reply(b"", 503)
    assert refresh_candles(settings, window) == "binance_usdm"
    assert "funding: BTCUSDT: 127.0.0.1" in capsys.readouterr().err
    assert len(funding_store(settings.data).read("binance_usdm", "BTCUSDT")) == 0
    exchange.routes["/fapi/v1/fundingRate"] = json_reply([
        {"symbol": "BTCUSDT", "fundingTime": MARCH + hour * HOUR_MS + 13, "fundingRate": "0.00010000", "markPrice": "1"}
        for hour in (0, 8, 16)])
    refresh_candles(settings, window)
    assert len(funding_store(settings.data).read("binance_usdm", "BTCUSDT")) == 3
    asked = len(exchange.asked)
    refresh_candles(settings, window)
    assert len(exchange.asked) == asked


def _minutes(window: Window) -> Bars:
    times = np.arange(window.start_ms, window.end_ms, 60_000, dtype=np.int64)
    price = np.full(times.size, 100.0)
    return Bars("binance_usdm", "BTCUSDT", "1m", times, price, price, price, price, price)


def test_row_35_a_day_whose_exchange_is_down_says_so(exchange: FakeExchange, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2023-03-20.zip.CHECKSUM", "api/v3/time"):
        exchange.routes[f"/{path}"] = Reply(b"", 503)
    settings = load_settings({"source": "binance", "symbols": "BTCUSDT", "data": tmp_path / "data"})
    with pytest.raises(DataError, match="not one bar of the window could be had"):
        refresh_from_exchange(settings, Window(MARCH, MARCH + DAY_MS))
    assert "STALE" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "venue"), [
    ({"source": "binance"}, "binance_spot"), ({"source": "binance", "binance_market": "usdm"}, "binance_usdm"),
    ({"source": "blofin"}, "blofin_swap"), ({"source": "blofin", "venue": "blofin_swap"}, "blofin_swap"),
])
def test_a_source_has_one_venue(given: dict[str, str], venue: str) -> None:
    assert venue_of_source(load_settings(given)) == venue


def test_a_venue_that_the_source_does_not_download_is_refused() -> None:
    settings: Settings = load_settings({"source": "binance", "venue": "binance_usdm"})
    with pytest.raises(UsageError, match="downloads binance_spot"):
        venue_of_source(settings)
