"""The archive's files, fetched from a local server that replays recorded ones (fault rows 30-32 and 56)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from fake_exchange import HTML, FakeExchange, Reply, exchange_client, fake_exchange

from daybook.core.time import Window
from daybook.market.binance_archive import ArchiveFile, BadChecksumError, BinanceArchive, day_file, month_file
from daybook.market.candle_files import read_candle_file
from daybook.market.errors import CandleFileError
from daybook.market.http import ExchangeClient
from daybook.market.http_errors import AnswerError, NotFoundError, UnreachableError

DAY = date(2023, 3, 24)
FILE = day_file("binance_spot", "BTCUSDT", DAY)


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with fake_exchange() as running:
        yield running


@pytest.fixture
def client(exchange: FakeExchange) -> Iterator[ExchangeClient]:
    with exchange_client(exchange) as running:
        yield running


@pytest.fixture
def archive(exchange: FakeExchange, client: ExchangeClient, tmp_path: Path) -> BinanceArchive:
    return BinanceArchive(client, exchange.url, tmp_path / "archive")


def zipped(text: bytes, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, text)
    return buffer.getvalue()


def serve(exchange: FakeExchange, body: bytes, file: ArchiveFile = FILE) -> str:
    exchange.routes[f"/{file.path}"] = Reply(body)
    exchange.routes[f"/{file.path}.CHECKSUM"] = Reply(f"{hashlib.sha256(body).hexdigest()}  {file.name}\n".encode())
    return f"/{file.path}"


def kept(archive: BinanceArchive) -> list[str]:
    """Everything below the folder, temporary files included."""
    return sorted(path.relative_to(archive.folder).as_posix() for path in archive.folder.rglob("*") if path.is_file())


def test_addresses_are_the_archives_own() -> None:
    assert FILE.path == "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2023-03-24.zip"
    month = month_file("binance_usdm", "FILUSDT", date(2025, 2, 14))
    assert month.path == "data/futures/um/monthly/klines/FILUSDT/1m/FILUSDT-1m-2025-02.zip"
    assert month.minutes == 28 * 1440
    assert month_file("binance_spot", "BTCUSDT", date(2023, 12, 31)).window == Window(1_701_388_800_000,
                                                                                      1_704_067_200_000)


@pytest.mark.shared
def test_a_recorded_day_is_fetched_verified_and_kept(exchange: FakeExchange, archive: BinanceArchive,
                                                     shared_data: Path) -> None:
    recorded = shared_data / "raw_binance_archive/spot_daily_zip/1m" / FILE.name
    exchange.serve_archive(recorded)
    assert archive.fetch(FILE) == "fetched"
    assert archive.local(FILE).read_bytes() == recorded.read_bytes()
    assert len(read_candle_file(archive.local(FILE)).rows) == 1360
    assert kept(archive) == [FILE.path]
    before = len(exchange.asked)
    assert archive.fetch(FILE) == "present"
    assert exchange.paths()[before:] == [f"/{FILE.path}.CHECKSUM"]


@pytest.mark.shared
@pytest.mark.parametrize("cut", [0, 1, 5000])
def test_row_30_a_download_that_ends_early_is_completed_never_promoted_in_part(
        exchange: FakeExchange, archive: BinanceArchive, shared_data: Path, cut: int) -> None:
    recorded = shared_data / "raw_binance_archive/spot_daily_zip/1m" / FILE.name
    path = exchange.serve_archive(recorded)
    exchange.faults[path] = [Reply(recorded.read_bytes(), cut=cut)] * 2
    assert archive.fetch(FILE) == "fetched"
    assert archive.local(FILE).read_bytes() == recorded.read_bytes()


@pytest.mark.shared
def test_row_30_an_interrupted_download_leaves_no_file_and_another_process_goes_on(
        exchange: FakeExchange, archive: BinanceArchive, shared_data: Path) -> None:
    recorded = shared_data / "raw_binance_archive/spot_daily_zip/1m" / FILE.name
    body = recorded.read_bytes()
    path = exchange.serve_archive(recorded)
    exchange.faults[path] = [Reply(body, cut=40_000), *[Reply(body, cut=0, ranges=True)] * 4]
    with pytest.raises(UnreachableError, match="5 attempts"):
        archive.fetch(FILE)
    assert not archive.local(FILE).exists()
    with exchange_client(exchange) as later:
        assert BinanceArchive(later, exchange.url, archive.folder).fetch(FILE) == "fetched"
    assert archive.local(FILE).read_bytes() == body


@pytest.mark.shared
def test_row_31_an_altered_byte_is_quarantined_and_the_file_fetched_again(
        exchange: FakeExchange, archive: BinanceArchive, shared_data: Path) -> None:
    recorded = shared_data / "raw_binance_archive/spot_daily_zip/1m" / FILE.name
    body = bytearray(recorded.read_bytes())
    body[len(body) // 2] ^= 1
    path = exchange.serve_archive(recorded)
    exchange.faults[path] = [Reply(bytes(body))]
    assert archive.fetch(FILE) == "fetched"
    assert archive.local(FILE).read_bytes() == recorded.read_bytes()
    (bad,) = (archive.folder / "_quarantine").iterdir()
    assert bad.read_bytes() == bytes(body)


def test_row_31_a_checksum_that_never_fits_ends_after_three_downloads(exchange: FakeExchange,
                                                                      archive: BinanceArchive) -> None:
    path = serve(exchange, b"PK right")
    exchange.routes[path] = Reply(b"PK wrong")
    with pytest.raises(BadChecksumError, match="3 downloads"):
        archive.fetch(FILE)
    assert exchange.paths().count(path) == 3
    assert all(name.startswith("_quarantine/") for name in kept(archive))


def test_row_31_a_file_from_before_stays_when_its_successor_is_bad(exchange: FakeExchange,
                                                                   archive: BinanceArchive) -> None:
    good = zipped(b"1\n", "BTCUSDT-1m-2023-03-24.csv")
    serve(exchange, good)
    archive.fetch(FILE)
    path = serve(exchange, b"PK newer")
    exchange.routes[path] = Reply(b"PK torn")
    with pytest.raises(BadChecksumError):
        archive.fetch(FILE)
    assert archive.local(FILE).read_bytes() == good


def test_a_file_published_anew_replaces_the_one_here(exchange: FakeExchange, archive: BinanceArchive) -> None:
    for text in (b"1\n", b"2\n"):
        serve(exchange, zipped(text, "BTCUSDT-1m-2023-03-24.csv"))
        assert archive.fetch(FILE) == "fetched"
    assert zipfile.ZipFile(archive.local(FILE)).read("BTCUSDT-1m-2023-03-24.csv") == b"2\n"


@pytest.mark.parametrize("missing", ["", ".CHECKSUM"])
def test_row_32_a_404_is_not_there_and_nothing_is_written(exchange: FakeExchange, archive: BinanceArchive,
                                                          missing: str) -> None:
    path = serve(exchange, b"PK")
    del exchange.routes[path + missing]
    with pytest.raises(NotFoundError):
        archive.fetch(FILE)
    assert kept(archive) == []


@pytest.mark.parametrize("text", [
    b"", b"not a checksum", b"0" * 64, b"0" * 63 + b"  BTCUSDT-1m-2023-03-24.zip",
    b"0" * 64 + b"  BTCUSDT-1m-2023-03-25.zip", b"0" * 64 + b"  ../../BTCUSDT-1m-2023-03-24.zip",
])
def test_a_checksum_file_of_another_form_is_refused(exchange: FakeExchange, archive: BinanceArchive,
                                                    text: bytes) -> None:
    exchange.routes[f"/{serve(exchange, b'PK')[1:]}.CHECKSUM"] = Reply(text)
    with pytest.raises(AnswerError, match="CHECKSUM"):
        archive.fetch(FILE)


@pytest.mark.parametrize("suffix", ["", ".CHECKSUM"])
def test_row_35_a_web_page_in_place_of_a_file_is_no_file(exchange: FakeExchange, archive: BinanceArchive,
                                                         suffix: str) -> None:
    path = serve(exchange, b"PK")
    exchange.routes[path + suffix] = HTML
    with pytest.raises(UnreachableError, match="web page"):
        archive.fetch(FILE)
    assert not archive.local(FILE).exists()


def test_row_56_a_zip_that_declares_a_thousandfold_is_never_unpacked(exchange: FakeExchange,
                                                                     archive: BinanceArchive) -> None:
    bomb = zipped(b"0" * (64 * 2**20), "BTCUSDT-1m-2023-03-24.csv")
    assert len(bomb) < 80_000
    serve(exchange, bomb)
    with pytest.raises(AnswerError, match="67,108,864 bytes, allowed are 4,194,304"):
        archive.fetch(FILE)
    assert kept(archive) == ["_quarantine/BTCUSDT-1m-2023-03-24.zip.oversize"]


def test_row_56_a_zip_that_lies_about_its_size_is_refused_when_read(exchange: FakeExchange,
                                                                    archive: BinanceArchive) -> None:
    size = 8 * 2**20
    bomb = zipped(b"0" * size, "BTCUSDT-1m-2023-03-24.csv").replace(size.to_bytes(4, "little"),
                                                                    (1000).to_bytes(4, "little"))
    serve(exchange, bomb)
    assert archive.fetch(FILE) == "fetched"
    with pytest.raises(CandleFileError):
        read_candle_file(archive.local(FILE))


def test_row_56_a_download_beyond_the_cap_is_stopped(exchange: FakeExchange, archive: BinanceArchive) -> None:
    path = serve(exchange, b"PK")
    exchange.routes[path] = Reply(b"PK", headers={"Content-Length": str(10**10)}, cut=2)
    with pytest.raises(AnswerError, match="10,000,000,000 bytes"):
        archive.fetch(FILE)


def test_a_file_that_is_no_zip_though_its_checksum_fits_is_put_aside(exchange: FakeExchange,
                                                                     archive: BinanceArchive) -> None:
    serve(exchange, b"PK no zip")
    with pytest.raises(AnswerError, match="no readable zip"):
        archive.fetch(FILE)
    assert kept(archive) == ["_quarantine/BTCUSDT-1m-2023-03-24.zip.unreadable"]
