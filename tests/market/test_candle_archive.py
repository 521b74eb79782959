"""Binance archive files in every variant, and what is said about broken ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import JUNE, candle, minutes, spot_csv, usdm_csv, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.time import MINUTE_MS
from daybook.market import archive
from daybook.market.archive import csv_bytes, csv_columns, parse_csv, venue_by_shape
from daybook.market.candle_files import read_candle_file
from daybook.market.errors import CandleFileError

NAME = Path("BTCUSDT-1m-2023-06-01.csv")
TAPE = minutes(4)


def parsed(text: str) -> list[tuple[float, ...]]:
    table = parse_csv(NAME, text.encode())
    return [tuple(values) for values in zip(table.open_time.tolist(), table.open.tolist(), table.high.tolist(),
                                            table.low.tolist(), table.close.tolist(), table.volume.tolist(),
                                            strict=True)]


@pytest.mark.parametrize("text", [
    spot_csv(TAPE), spot_csv(TAPE, 1000), usdm_csv(TAPE), spot_csv(TAPE).replace("\n", "\r\n"),
    "\ufeff" + usdm_csv(TAPE), spot_csv(TAPE).rstrip("\n"), spot_csv(TAPE[:2]) + spot_csv(TAPE[2:], 1000),
], ids=["spot-ms", "spot-us", "usdm", "crlf", "bom", "no-last-newline", "ms-then-us"])
def test_every_variant_gives_the_same_bars(text: str) -> None:
    assert parsed(text) == TAPE
    assert parse_csv(NAME, text.encode()).close_time.tolist() == [one[0] + MINUTE_MS for one in TAPE]


def test_close_inside_the_minute_is_kept() -> None:
    text = spot_csv([candle(JUNE)]).replace(str(JUNE + 59_999), str(JUNE + 41_646))
    assert parse_csv(NAME, text.encode()).close_time.tolist() == [JUNE + 41_647]


def test_stamp_between_two_milliseconds_stays_off_the_minute() -> None:
    text = spot_csv([candle(JUNE)], 1000).replace(f"{JUNE}000,", f"{JUNE}001,")
    assert parse_csv(NAME, text.encode()).open_time.tolist() == [JUNE + 1]


def test_six_columns_under_a_header_close_regularly() -> None:
    text = "open_time,open,high,low,close,volume\n" + f"{JUNE},1,2,0.5,1.5,7\n"
    table = parse_csv(NAME, text.encode())
    assert (table.close_time.tolist(), table.volume.tolist()) == ([JUNE + MINUTE_MS], [7.0])


@pytest.mark.parametrize(("text", "venue"), [(spot_csv(TAPE), "binance_spot"), (usdm_csv(TAPE), "binance_usdm"),
                                             (usdm_csv(TAPE).partition("\n")[2], "binance_usdm")])
def test_shape_tells_the_venue(text: str, venue: str) -> None:
    assert venue_by_shape(text.encode(), csv_columns(NAME, text.encode())[1]) == venue


@pytest.mark.parametrize(("text", "message"), [
    ("", "the file is empty"),
    (" \n\n", "the file is empty"),
    (spot_csv(TAPE).replace(",0\n", "\n"), "found 11 columns without a header, allowed are the 12"),
    (usdm_csv(TAPE).replace(",volume,", ",vol,", 1), "missing column volume; unknown column vol. Found"),
    (usdm_csv(TAPE).replace("open,high", "high,open", 1), "columns in another order. Found open_time, high, open"),
    (usdm_csv([]), "no candle after the header"),
    (spot_csv(TAPE).replace("103.00000000", "n/a"), r"column open, row 4: found 'n/a', allowed is a number"),
    (spot_csv(TAPE).replace("103.00000000", ""), r"column open, row 4: found '', allowed is a number"),
    (spot_csv(TAPE).replace(str(JUNE + 60_000), "1.5e12"),
     "column open_time, row 2: found '1.5e12', allowed is a whole"),
    (spot_csv(TAPE) + "1,2,3\n", "Expected 12 columns, got 3"),
    (spot_csv(TAPE).replace(f"{JUNE},", f"{JUNE // 1000},"), r"column open_time, row 1: found 1685577600, allowed are"),
    (spot_csv(TAPE).replace(f"{JUNE},", f"{JUNE}000000,"), "column open_time, row 1: found 1685577600000000000"),
    ("<html>\n<body>404</body>\n", "found 1 columns without a header"),
])
def test_broken_text_is_named_by_column_row_and_value(text: str, message: str) -> None:
    with pytest.raises(CandleFileError, match=message) as caught:
        parse_csv(NAME, text.encode())
    assert str(NAME) in str(caught.value)


def test_zip_gives_its_csv(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", spot_csv(TAPE))
    assert csv_bytes(path) == spot_csv(TAPE).encode()


@pytest.mark.parametrize(("inside", "message"), [
    ("ETHUSDT-1m-2023-06-01.csv", "holds 'ETHUSDT-1m-2023-06-01.csv' .1 entries., allowed is one file"),
    ("../BTCUSDT-1m-2023-06-01.csv", "allowed is one file 'BTCUSDT-1m-2023-06-01.csv'"),
    ("/etc/BTCUSDT-1m-2023-06-01.csv", "allowed is one file"),
])
def test_zip_with_another_name_inside_is_refused(tmp_path: Path, inside: str, message: str) -> None:
    with pytest.raises(CandleFileError, match=message):
        csv_bytes(zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", spot_csv(TAPE), inside))


def test_zip_with_two_files_or_none_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", spot_csv(TAPE))
    with zipfile.ZipFile(path, "a") as more:
        more.writestr("note.txt", "x")
    with pytest.raises(CandleFileError, match=r"\(2 entries\)"):
        csv_bytes(path)
    with zipfile.ZipFile(path, "w"):
        assert path.exists()
    with pytest.raises(CandleFileError, match="holds nothing"):
        csv_bytes(path)


def test_zip_bomb_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_CSV_BYTES", 1000)
    path = zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", "0" * 100_000)
    with pytest.raises(CandleFileError, match="unpacks to 100,000 bytes, allowed are 1,000"):
        csv_bytes(path)
    plain = tmp_path / "BTCUSDT-1m-2023-06-01.csv"
    plain.write_text("0" * 1001)
    with pytest.raises(CandleFileError, match="1,001 bytes, allowed are 1,000"):
        csv_bytes(plain)


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CandleFileError, match="can not be read"):
        csv_bytes(tmp_path / "BTCUSDT-1m-2023-06-01.zip")
    path = zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", spot_csv(minutes(200)))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CandleFileError, match="corrupt or unreadable zip"):
        csv_bytes(path)


def test_a_damaged_zip_of_another_packing_or_with_a_garbled_name_is_named(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m-2023-06-01.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("BTCUSDT-1m-2023-06-01.csv", spot_csv(minutes(200)))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(bytes(content))
    with pytest.raises(CandleFileError, match=r"06-01\.zip: corrupt or unreadable zip"):
        csv_bytes(path)
    path = zipped(path, spot_csv(minutes(2)), "é-1m.csv")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xc3("))
    with pytest.raises(CandleFileError, match=r"06-01\.zip: corrupt or unreadable zip"):
        csv_bytes(path)


@settings(max_examples=150, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), length=st.integers(1, 4))
def test_damaged_zip_is_an_error_or_the_same_text(
        tmp_path_factory: pytest.TempPathFactory, position: float, value: int, length: int) -> None:
    text = spot_csv(minutes(30))
    path = zipped(tmp_path_factory.mktemp("zip") / "BTCUSDT-1m-2023-06-01.zip", text)
    content = bytearray(path.read_bytes())
    at = int(position * len(content))
    content[at:at + length] = bytes([value]) * length
    path.write_bytes(bytes(content))
    try:
        assert csv_bytes(path) == text.encode()
    except CandleFileError as error:
        assert path.name in str(error)


@pytest.mark.shared
def test_recorded_archives_of_each_kind_are_read(shared_data: Path) -> None:
    raw = shared_data / "raw_binance_archive"
    halted = read_candle_file(raw / "spot_daily_zip" / "1m" / "BTCUSDT-1m-2023-03-24.zip")
    assert (halted.venue, halted.symbol, halted.length_ms, len(halted.rows)) == ("binance_spot", "BTCUSDT", MINUTE_MS,
                                                                                 1360)
    early = np.flatnonzero(halted.rows.close_time != halted.rows.open_time + MINUTE_MS)
    assert halted.rows.open_time[early].tolist() == [1_679_661_540_000]
    assert halted.rows.close_time[early].tolist() == [1_679_661_581_647]
    for month, rows in (("2024-12", 744), ("2025-01", 744)):
        hours = read_candle_file(raw / "spot_monthly_csv" / "1h" / f"BTCUSDT-1h-{month}.csv")
        assert (hours.venue, hours.length_ms, len(hours.rows)) == ("binance_spot", 3_600_000, rows)
        assert set((hours.rows.close_time - hours.rows.open_time).tolist()) == {3_600_000}
        assert set((hours.rows.open_time % 3_600_000).tolist()) == {0}
    futures = read_candle_file(raw / "usdm_monthly_csv" / "1m" / "FILUSDT-1m-2025-02.csv")
    assert (futures.venue, len(futures.rows)) == ("binance_usdm", 40_320)
