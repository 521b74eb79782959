"""Lean's zips of 1-minute trade bars: what their path says, what is refused, and the recorded ones bar for bar."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import zipped

from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms
from daybook.market import CandleStore, check_file, import_candles
from daybook.market.candle_files import read_candle_file
from daybook.market.errors import CandleFileError
from daybook.market.lean import lean_trade
from daybook.market.names import FileName, named_window, parse_file_name

FEBRUARY = day_start_ms(date(2018, 2, 8))
ROWS = {
    "20170817": 1200, "20171204": 1441, "20171205": 1440, "20171218": 1363, "20180208": 29, "20180209": 841,
    "20180210": 1425, "20180211": 1406, "20230324": 1360, "20250101": 1440,
}
"""Lines of each recorded file, counted with `unzip -p FILE | wc -l`."""


def lean_zip(root: Path, text: str, *, place: str = "crypto/binance/minute/btcusdt", day: str = "20180208",
             inside: str | None = None) -> Path:
    symbol = place.rsplit("/", 1)[-1]
    return zipped(root / place / f"{day}_trade.zip", text, inside or f"{day}_{symbol}_minute_trade.csv")


@pytest.mark.parametrize(("path", "expected"), [
    ("crypto/binance/minute/btcusdt/20180208_trade.zip", FileName("BTCUSDT", "1m", "binance_spot")),
    ("crypto/coinbase/minute/btcusd/20180404_trade.zip", FileName("BTCUSD", "1m", "coinbase_spot")),
    ("cryptofuture/binance/minute/adausdt/20221213_trade.zip", FileName("ADAUSDT", "1m", "binance_usdm")),
])
def test_folders_say_venue_and_symbol_and_the_name_says_the_day(path: str, expected: FileName) -> None:
    assert parse_file_name(Path("/data") / path) == expected
    trade = lean_trade(Path("/data") / path)
    assert trade is not None
    assert named_window(Path("/data") / path) == Window(day_start_ms(trade.day), day_start_ms(trade.day) + DAY_MS)


@pytest.mark.parametrize("path", [
    "crypto/binance/minute/btcusdt/20180208_quote.zip", "crypto/binance/second/btcusdt/20180208_trade.zip",
    "crypto/binance/minute/btcusdt/20180230_trade.zip", "equity/usa/minute/spy/20131007_trade.zip",
    "cryptofuture/bybit/minute/btcusd/20221213_trade.zip", "crypto/Bin ance/minute/btcusdt/20180208_trade.zip",
    "crypto/binance/minute/b;t/20180208_trade.zip",
])
def test_quotes_shares_and_contracts_are_no_candle_files(path: str) -> None:
    assert parse_file_name(Path("/data") / path) is None


@pytest.mark.parametrize(("name", "start", "days"), [
    ("BTCUSDT-1m-2023-03-24.zip", date(2023, 3, 24), 1), ("BTCUSDT-1h-2024-02.csv", date(2024, 2, 1), 29),
    ("BTCUSDT-1m-2024-12.zip", date(2024, 12, 1), 31),
])
def test_the_name_of_an_archive_file_says_what_it_covers(name: str, start: date, days: int) -> None:
    assert named_window(Path(name)) == Window(day_start_ms(start), day_start_ms(start) + days * DAY_MS)


@pytest.mark.parametrize("name", ["BTCUSDT_2022-01-01_2023-12-31.parquet", "BTCUSDT-1m-2023-13.zip", "BTCUSDT.csv"])
def test_other_names_say_no_window(name: str) -> None:
    assert named_window(Path(name)) is None


def test_a_day_is_read_with_its_date(tmp_path: Path) -> None:
    file = read_candle_file(lean_zip(tmp_path, "0,10,12,9,11,5\n60000,11,13,10.5,12,0\n"))
    assert (file.venue, file.symbol, file.length_ms) == ("binance_spot", "BTCUSDT", MINUTE_MS)
    assert file.rows.open_time.tolist() == [FEBRUARY, FEBRUARY + MINUTE_MS]
    assert file.rows.high.tolist() == [12.0, 13.0]
    assert (file.rows.close_time - file.rows.open_time).tolist() == [MINUTE_MS, MINUTE_MS]


@pytest.mark.parametrize(("text", "inside", "message"), [
    ("", None, "the file is empty"),
    ("0,10,12,9,11\n", None, "found 5 columns, allowed are the 6 of Lean's trade bars"),
    ("time,open,high,low,close,volume\n0,10,12,9,11,5\n", None, "column open_time, row 1: found 'time'"),
    ("0,10,12,9,11,5\n86400000,10,12,9,11,5\n", None, "row 2: found 86400000, allowed are milliseconds since midnight"),
    ("-1,10,12,9,11,5\n", None, "row 1: found -1"),
    ("0,10,12,9,11,5\n", "20180209_btcusdt_minute_trade.csv", "allowed is one file '20180208_btcusdt_minute_trade.csv"),
])
def test_files_of_another_form_are_refused(tmp_path: Path, text: str, inside: str | None, message: str) -> None:
    path = lean_zip(tmp_path, text, inside=inside)
    with pytest.raises(CandleFileError, match=message) as caught:
        import_candles(path, CandleStore(tmp_path / "store"))
    assert str(path) in str(caught.value)
    assert not (tmp_path / "store" / "venue=binance_spot").exists()


def test_a_file_that_ends_early_is_not_called_whole(tmp_path: Path) -> None:
    report = check_file(lean_zip(tmp_path, "0,10,12,9,11,5\n60000,11,13,10.5,12,0\n"))
    assert (report.expected, report.missing, report.verdict) == (1440, 1438, "unusable")
    assert report.gaps[0].first_after_ms is None


@pytest.mark.shared
def test_every_recorded_lean_file_is_imported(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "raw_lean_zip"
    files = sorted(root.rglob("*.zip"))
    assert {path.name.removesuffix("_trade.zip"): len(read_candle_file(path).rows) for path in files} == ROWS
    store = CandleStore(tmp_path)
    report = import_candles(root, store)
    assert (report.files, report.rows, report.skipped) == (10, sum(ROWS.values()), ())
    off_grid = 1080 + 1440 + 601 + 841 + 360
    assert (report.new, report.quarantined, report.conflicts) == (sum(ROWS.values()) - off_grid, off_grid, 0)
    assert set(store.quarantined("binance_spot", "BTCUSDT").reasons) == {"open time is off the grid of full bars"}
    stamps = store.quarantined("binance_spot", "BTCUSDT").rows.open_time % MINUTE_MS
    assert set(stamps.tolist()) == {20_799, 14_789}
    first = store.read("binance_spot", "BTCUSDT").open_time[0]
    assert first == day_start_ms(date(2017, 8, 17)) + 4 * 60 * MINUTE_MS
    again = import_candles(root, store)
    assert (again.files, again.unchanged) == (0, 10)


@pytest.mark.shared
def test_trade_bars_beside_recorded_quotes_are_candles_too(shared_data: Path, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    report = import_candles(shared_data / "quotes/lean", store)
    assert {(one.venue, one.symbol): one.new for one in report.markets} == {
        ("binance_usdm", "ADAUSDT"): 1440, ("bybit_spot", "BTCUSDT"): 1440, ("bybit_usdm", "BTCUSDT"): 721,
        ("coinbase_spot", "BTCEUR"): 3663, ("coinbase_spot", "BTCUSD"): 3887, ("coinbase_spot", "ETHUSD"): 2449,
    }
    assert report.quarantined == 0
    assert store.read("binance_usdm", "ADAUSDT").open[0] == 0.3067


@pytest.mark.shared
def test_lean_days_equal_the_other_recordings_bar_for_bar(shared_data: Path) -> None:
    whole = read_candle_file(
        shared_data / "candles/binance_spot_irregular/BTCUSDT_1m_2017-08-17_2018-03-31.parquet").rows
    zips = shared_data / "raw_lean_zip/crypto/binance/minute/btcusdt"
    for day in ("20170817", "20171204", "20171205", "20171218", "20180208", "20180209", "20180210", "20180211"):
        part = read_candle_file(zips / f"{day}_trade.zip").rows
        start = int(part.open_time[0]) // DAY_MS * DAY_MS
        other = whole.within(Window(start, start + DAY_MS))
        for column in ("open_time", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(part, column), getattr(other, column)), (day, column)
    outage = read_candle_file(zips / "20230324_trade.zip").rows
    archive = read_candle_file(shared_data / "raw_binance_archive/spot_daily_zip/1m/BTCUSDT-1m-2023-03-24.zip").rows
    assert np.array_equal(outage.open_time, archive.open_time)
    assert np.array_equal(outage.low, archive.low)


@pytest.mark.shared
def test_every_file_of_the_raw_binance_archive_is_read(shared_data: Path) -> None:
    root = shared_data / "raw_binance_archive"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    assert len(files) == 41 + 27 + 27 + 9 + 6 + 1
    per_day = {"1m": 1440, "15m": 96, "1h": 24, "1d": 1}
    halted = {"1m": 1360, "15m": 91, "1h": 23, "1d": 1}
    for path in files:
        name = parse_file_name(path)
        window = named_window(path)
        assert name is not None
        assert window is not None
        expected = round(window.days) * per_day[name.interval or ""]
        if path.stem.endswith("2023-03-24"):
            expected = halted[name.interval or ""]
        found = read_candle_file(path)
        assert len(found.rows) == expected, path.name
        times = found.rows.open_time
        assert (times[0], times[-1] + found.length_ms) == (window.start_ms, window.end_ms), path.name
        assert found.venue == ("binance_usdm" if "usdm" in path.parts[-3] else "binance_spot")
