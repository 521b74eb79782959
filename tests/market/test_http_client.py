"""The one HTTP client: who may be asked, and what each network fault leads to (fault rows 30, 33-35, 55, 56)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_exchange import HTML, FakeClock, FakeExchange, Reply, exchange_client, fake_exchange, json_reply

from daybook.market.http import ExchangeClient, HttpLimits, require_server
from daybook.market.http_errors import (
    AddressRefusedError,
    AnswerError,
    HostStoppedError,
    NotFoundError,
    StatusError,
    UnreachableError,
)


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with fake_exchange() as running:
        yield running


def test_an_answer_comes_with_its_query(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply({"ok": 1})
    with exchange_client(exchange) as client:
        assert client.json(f"{exchange.url}/a", {"symbol": "BTCUSDT", "limit": 5}) == {"ok": 1}
    assert exchange.asked == [("/a", {"symbol": "BTCUSDT", "limit": "5"}, None)]


@pytest.mark.parametrize("url", [
    "http://169.254.169.254/latest/meta-data", "https://169.254.169.254", "http://data.binance.vision",
    "https://data.binance.vision.evil.example", "https://evil.example", "https://data.binance.vision:8443",
    "https://user:secret@api.binance.com", "https://api.binance.com?key=secret", "file:///etc/passwd",
    "http://127.0.0.1", "http://127.0.0.1.nip.io:80", "http://[::1", "gopher://127.0.0.1:70", "",
])
def test_row_55_only_exchanges_over_https_and_local_servers_are_asked(url: str) -> None:
    with pytest.raises(AddressRefusedError) as refused:
        require_server(url)
    assert "secret" not in str(refused.value)


def test_row_55_a_server_that_is_not_this_clients_is_refused_before_anything_is_sent(exchange: FakeExchange) -> None:
    with exchange_client(exchange) as client, pytest.raises(AddressRefusedError, match="Nothing was sent"):
        client.json(exchange.url.replace("127.0.0.1", "localhost") + "/a")
    assert exchange.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_55_a_redirect_to_the_metadata_address_is_not_followed(exchange: FakeExchange, status: int) -> None:
    exchange.routes["/a"] = Reply(b"", status, {"Location": "http://169.254.169.254/latest/meta-data/"})
    clock = FakeClock()
    with exchange_client(exchange, clock) as client, pytest.raises(AddressRefusedError, match="redirect"):
        client.json(f"{exchange.url}/a")
    assert exchange.paths() == ["/a"]
    assert clock.waits == []


def test_row_33_a_429_is_waited_out_as_long_as_it_says(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply([])
    exchange.faults["/a"] = [Reply(b"", 429, {"Retry-After": "17"})]
    clock = FakeClock()
    with exchange_client(exchange, clock) as client:
        assert client.json(f"{exchange.url}/a") == []
    assert len(exchange.asked) == 2
    assert clock.moment == pytest.approx(17)


def test_row_33_a_retry_after_may_be_a_date(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply([])
    later = {"Date": "Mon, 02 Mar 2026 00:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 00:00:42 GMT"}
    exchange.faults["/a"] = [Reply(b"", 429, later)]
    clock = FakeClock()
    with exchange_client(exchange, clock) as client:
        client.json(f"{exchange.url}/a")
    assert clock.moment == pytest.approx(42)


def test_row_33_a_wait_beyond_the_bound_ends_at_once(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = Reply(b"", 429, {"Retry-After": "86400"})
    clock = FakeClock()
    with exchange_client(exchange, clock) as client:
        with pytest.raises(UnreachableError, match=r"86[34]\d\d s of silence"):
            client.json(f"{exchange.url}/a")
        with pytest.raises(UnreachableError, match="silence"):
            client.json(f"{exchange.url}/b")
    assert exchange.paths() == ["/a"]
    assert clock.moment < 120


def test_row_33_endless_429_ends_after_the_attempts(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = Reply(b"", 429, {"Retry-After": "1"})
    with exchange_client(exchange) as client, pytest.raises(UnreachableError, match="5 attempts"):
        client.json(f"{exchange.url}/a")
    assert len(exchange.asked) == 5


def test_row_34_a_418_stops_the_host_for_the_run(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = Reply(b"", 418, {"Retry-After": "300"})
    exchange.routes["/b"] = json_reply(1)
    clock = FakeClock()
    with exchange_client(exchange, clock) as client:
        for path in ("/a", "/b", "/b"):
            with pytest.raises(HostStoppedError, match="banned"):
                client.json(exchange.url + path)
    assert exchange.paths() == ["/a"]
    assert clock.waits == []


@pytest.mark.parametrize("fault", [Reply(b"", 503), Reply(b"", 500), HTML, Reply(b"  <html>", 200)])
def test_row_35_a_passing_fault_is_asked_again_with_jitter(exchange: FakeExchange, fault: Reply) -> None:
    exchange.routes["/a"] = json_reply(7)
    exchange.faults["/a"] = [fault, fault]
    clock = FakeClock()
    with exchange_client(exchange, clock) as client:
        assert client.json(f"{exchange.url}/a") == 7
    assert clock.waits == [0.75, 1.5]  # of 1 s and 2 s, at a random() of 0.5


def test_row_35_a_lasting_fault_ends_in_a_named_error(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = HTML
    clock = FakeClock()
    with exchange_client(exchange, clock) as client, pytest.raises(UnreachableError, match="web page instead of data"):
        client.json(f"{exchange.url}/a", {"token": "s3cret"})
    assert len(exchange.asked) == 5
    assert len(clock.waits) == 4


def test_row_35_a_name_that_does_not_resolve_is_retried_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    clock = FakeClock()
    with ExchangeClient(["https://data.binance.vision"], clock=clock.clock) as client, \
            pytest.raises(UnreachableError, match=r"data\.binance\.vision/a.*5 attempts"):
        client.json("https://data.binance.vision/a", {"token": "s3cret"})
    assert len(clock.waits) == 4


def test_row_35_a_closed_port_is_retried_then_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    clock = FakeClock()
    with ExchangeClient([url], clock=clock.clock) as client, pytest.raises(UnreachableError) as failed:
        client.json(f"{url}/a", {"token": "s3cret"})
    assert "s3cret" not in str(failed.value)


def test_row_35_a_host_that_says_what_it_does_not_have_is_not_down(exchange: FakeExchange) -> None:
    exchange.routes |= {"/broken": Reply(b"", 503), "/a": Reply(b"1")}
    with exchange_client(exchange, attempts=1) as client:
        for path, error in (("broken", UnreachableError), ("gone", NotFoundError), ("broken", UnreachableError)):
            with pytest.raises(error):
                client.text(f"{exchange.url}/{path}")
        assert client.text(f"{exchange.url}/a") == b"1"


def test_row_35_a_host_that_is_down_is_not_asked_by_everybody(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = Reply(b"", 503)
    exchange.routes["/b"] = json_reply(1)
    with exchange_client(exchange) as client:
        for path in ("/a", "/b", "/a"):
            if path == "/b":
                assert client.json(exchange.url + path) == 1
                continue
            with pytest.raises(UnreachableError, match="503"):
                client.json(exchange.url + path)
        with pytest.raises(UnreachableError, match="503"):
            client.json(f"{exchange.url}/a")
        with pytest.raises(UnreachableError, match="not asked again"):
            client.json(f"{exchange.url}/b")
    assert len(exchange.asked) == 16


def test_a_400_is_not_asked_again_and_bears_the_exchanges_words(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply({"code": -1121, "msg": "Invalid symbol."}, 400)
    with exchange_client(exchange) as client, pytest.raises(StatusError, match=r"400.*Invalid symbol"):
        client.json(f"{exchange.url}/a")
    assert len(exchange.asked) == 1


def test_a_404_is_its_own_error(exchange: FakeExchange) -> None:
    with exchange_client(exchange) as client, pytest.raises(NotFoundError):
        client.text(f"{exchange.url}/absent")
    assert len(exchange.asked) == 1


@pytest.mark.parametrize("reply", [
    Reply(b"x" * 2000), Reply(b"x" * 2000, headers={"Content-Length": "900"}, cut=900),
    Reply(b"{}", headers={"Content-Encoding": "gzip"}),
])
def test_row_56_a_body_beyond_its_cap_or_compressed_is_refused(exchange: FakeExchange, reply: Reply) -> None:
    exchange.routes["/a"] = reply
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="allowed"):
        client.text(f"{exchange.url}/a", max_bytes=800)


def test_row_56_a_declared_size_beyond_the_cap_is_refused_before_a_byte_is_kept(
        exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes["/a"] = Reply(b"PK", headers={"Content-Length": str(10**12)}, cut=2)
    part = tmp_path / "a.part"
    with exchange_client(exchange) as client, pytest.raises(AnswerError, match="1,000,000,000,000 bytes"):
        client.download(f"{exchange.url}/a", part, max_bytes=1000)
    assert part.stat().st_size == 0


def test_a_slow_answer_is_given_up(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply(1)
    slow = FakeClock()
    with exchange_client(exchange, slow, answer_s=-1.0) as client, pytest.raises(UnreachableError, match="longer than"):
        client.json(f"{exchange.url}/a")


def test_row_30_a_broken_download_goes_on_where_it_ended(exchange: FakeExchange, tmp_path: Path) -> None:
    body = b"PK" + bytes(range(256)) * 40
    exchange.routes["/a"] = Reply(body)
    exchange.faults["/a"] = [Reply(body, cut=1000)]
    part = tmp_path / "a.part"
    with exchange_client(exchange) as client:
        client.download(f"{exchange.url}/a", part, max_bytes=20_000)
    assert part.read_bytes() == body
    spans = [span for _, _, span in exchange.asked]
    assert spans[0] is None
    assert spans[1] is not None and spans[1].startswith("bytes=")


def test_row_30_a_server_without_ranges_sends_the_whole_again(exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes["/a"] = Reply(b"PK-whole", ranges=False)
    part = tmp_path / "a.part"
    part.write_bytes(b"PK-w")
    with exchange_client(exchange) as client:
        client.download(f"{exchange.url}/a", part, max_bytes=100)
    assert part.read_bytes() == b"PK-whole"


def test_row_30_a_part_longer_than_the_file_is_thrown_away(exchange: FakeExchange, tmp_path: Path) -> None:
    exchange.routes["/a"] = Reply(b"PK-whole")
    part = tmp_path / "a.part"
    part.write_bytes(b"x" * 50)
    with exchange_client(exchange) as client:
        client.download(f"{exchange.url}/a", part, max_bytes=100)
    assert part.read_bytes() == b"PK-whole"


def test_the_budget_spreads_requests_over_minutes(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply(1)
    clock = FakeClock()
    with ExchangeClient([exchange.url], clock=clock.clock, limits=HttpLimits(weight_per_minute=10)) as client:
        for _ in range(6):
            client.json(f"{exchange.url}/a", weight=5)
    assert clock.waits == [60.0, 60.0]


def test_the_budget_counts_what_others_spent(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = json_reply(1, **{"X-MBX-USED-WEIGHT-1M": "9"})
    clock = FakeClock()
    with ExchangeClient([exchange.url], clock=clock.clock, limits=HttpLimits(weight_per_minute=10)) as client:
        client.json(f"{exchange.url}/a", weight=1)
        client.json(f"{exchange.url}/a", weight=2)
    assert clock.waits == [60.0]


def test_no_address_with_its_query_is_logged(exchange: FakeExchange, caplog: pytest.LogCaptureFixture) -> None:
    exchange.routes["/a"] = json_reply(1)
    caplog.set_level(logging.INFO)
    with exchange_client(exchange) as client:
        client.json(f"{exchange.url}/a", {"token": "s3cret"})
    assert "s3cret" not in caplog.text


def test_credentials_of_the_environment_are_not_sent(exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange.routes["/a"] = json_reply(1)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with exchange_client(exchange) as client:
        assert client.json(f"{exchange.url}/a") == 1


def test_no_cookie_is_kept(exchange: FakeExchange) -> None:
    exchange.routes["/a"] = Reply(b"1", headers={"Set-Cookie": "visitor=1; Path=/"})
    with exchange_client(exchange) as client:
        client.json(f"{exchange.url}/a")
        client.json(f"{exchange.url}/a")
        assert len(client._client.cookies) == 0
