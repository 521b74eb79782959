"""Candle files of any kind: venue, bar length, columns and types."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candle_tapes import COLUMNS, JUNE, candle, minutes, spot_csv, usdm_csv, write_candles
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.time import MINUTE_MS
from daybook.market import candle_files
from daybook.market.candle_files import probe, read_candle_file
from daybook.market.errors import CandleFileError

FOUR = [JUNE + number * MINUTE_MS for number in range(4)]


def table(**changes: pa.Array | None) -> pa.Table:
    columns = {"open_time": pa.array(FOUR), **{name: pa.array([10.0] * 4) for name in COLUMNS[1:]}} | changes
    return pa.table({name: values for name, values in columns.items() if values is not None})


def save(path: Path, content: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path)
    return path


@pytest.mark.parametrize(("place", "venue"), [
    ("okx_swap/1m/BTCUSDT_2023-06-01_2023-06-02.parquet", "okx_swap"),
    ("my_feed/1m/BTCUSDT.parquet", "my_feed"),
    ("binance_spot_irregular/BTCUSDT_1m_2023-06-01_2023-06-02.parquet", "binance_spot_irregular"),
    ("downloads/BTCUSDT_1m.parquet", "files"),
])
def test_venue_of_parquet_is_its_folder(tmp_path: Path, place: str, venue: str) -> None:
    path = write_candles(tmp_path / place, minutes(4))
    assert read_candle_file(path).venue == venue
    assert read_candle_file(path, "kraken").venue == "kraken"


@pytest.mark.parametrize(("text", "venue"), [
    (spot_csv(minutes(3)), "binance_spot"), (usdm_csv(minutes(3)), "binance_usdm"),
    (f"open_time,open,high,low,close,volume\n{JUNE},1,2,0.5,1.5,7\n", "okx_swap"),
])
def test_venue_of_csv_is_its_shape_or_else_its_folder(tmp_path: Path, text: str, venue: str) -> None:
    path = tmp_path / "okx_swap" / "1m" / "BTCUSDT-1m-2023-06-01.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert read_candle_file(path).venue == venue


def test_bar_length_is_detected_where_no_name_says_it(tmp_path: Path) -> None:
    tape = [candle(JUNE + number * 5 * MINUTE_MS) for number in (0, 1, 2, 5, 6)]
    file = read_candle_file(write_candles(tmp_path / "BTCUSDT.parquet", tape))
    assert file.length_ms == 5 * MINUTE_MS
    assert file.rows.close_time[0] == JUNE + 5 * MINUTE_MS
    with pytest.raises(CandleFileError, match="neither name nor folder says the interval"):
        read_candle_file(write_candles(tmp_path / "ETHUSDT.parquet", tape[:1]))


def test_five_minute_bars_named_1m_are_refused(tmp_path: Path) -> None:
    tape = [candle(JUNE + number * 5 * MINUTE_MS) for number in range(30)]
    with pytest.raises(CandleFileError, match="says 1m, but every two bars are a multiple of 5m apart"):
        read_candle_file(write_candles(tmp_path / "1m" / "BTCUSDT.parquet", tape))


def test_market_without_trades_in_most_minutes_is_still_1m(tmp_path: Path) -> None:
    tape = [candle(JUNE + number * number * MINUTE_MS) for number in range(30)]
    assert read_candle_file(write_candles(tmp_path / "1m" / "BTCUSDT.parquet", tape)).length_ms == MINUTE_MS


@pytest.mark.parametrize(("changes", "message"), [
    ({"volume": None}, "missing column volume. Found open_time, open, high, low, close; allowed are open_time"),
    ({"extra": pa.array([1.0] * 4)}, "unknown column extra"),
    ({"close": pa.array(["x"] * 4)}, r"column close: found string, allowed is a number \(float64\)"),
    ({"open_time": pa.array([1.5] * 4)}, "column open_time: found double, allowed is int64 milliseconds"),
    ({"open_time": pa.array([None, *FOUR[1:]])}, "column open_time: found 1 empty values"),
    ({"open_time": pa.array([one // 1000 for one in FOUR])}, "column open_time, row 1: found 1685577600, allowed are"),
])
def test_wrong_parquet_is_named_by_column_and_type(tmp_path: Path, changes: dict[str, pa.Array | None],
                                                  message: str) -> None:
    path = save(tmp_path / "1m" / "BTCUSDT.parquet", table(**changes))
    with pytest.raises(CandleFileError, match=message) as caught:
        read_candle_file(path)
    assert str(path) in str(caught.value)


def test_empty_price_becomes_nan_and_column_order_is_free(tmp_path: Path) -> None:
    content = table(open=pa.array([10.0, None, 10.0, 10.0])).select(list(reversed(COLUMNS)))
    rows = read_candle_file(save(tmp_path / "1m" / "BTCUSDT.parquet", content)).rows
    assert math.isnan(rows.open[1])
    assert rows.open_time.tolist() == FOUR


def test_microseconds_in_parquet_are_understood(tmp_path: Path) -> None:
    content = table(open_time=pa.array([one * 1000 for one in FOUR]))
    assert read_candle_file(save(tmp_path / "1m" / "BTCUSDT.parquet", content)).rows.open_time.tolist() == FOUR


def test_no_candles_and_other_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CandleFileError, match="no candle inside"):
        read_candle_file(write_candles(tmp_path / "1m" / "BTCUSDT.parquet", []))
    with pytest.raises(CandleFileError, match=r"not the name of a candle file; allowed are SYMBOL-1m-DATE\.zip"):
        read_candle_file(write_candles(tmp_path / "candles.parquet", minutes(3)))
    with pytest.raises(CandleFileError, match="bars of 1M have no fixed length"):
        read_candle_file(write_candles(tmp_path / "1M" / "BTCUSDT.parquet", minutes(3)))


@settings(max_examples=120, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), length=st.integers(1, 8))
def test_damaged_parquet_is_a_named_error_or_rows(
        tmp_path_factory: pytest.TempPathFactory, position: float, value: int, length: int) -> None:
    path = write_candles(tmp_path_factory.mktemp("parquet") / "1m" / "BTCUSDT.parquet", minutes(30))
    content = bytearray(path.read_bytes())
    at = int(position * len(content))
    content[at:at + length] = bytes([value]) * length
    path.write_bytes(bytes(content))
    try:
        probe(path)
        assert len(read_candle_file(path).rows)
    except CandleFileError as error:
        assert path.name in str(error)


def test_row_56_a_parquet_file_with_more_rows_than_candles_can_be_is_refused_unread(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candle_files, "MAX_ROWS", 2**20)
    path = save(tmp_path / "binance_spot" / "1m" / "BTCUSDT.parquet", table().take(pa.array([0] * (2**20 + 1))))
    assert path.stat().st_size < 2**15
    for read in (probe, read_candle_file):
        with pytest.raises(CandleFileError, match="holds 1,048,577 rows, allowed are 1,048,576"):
            read(path)
