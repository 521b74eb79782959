"""Candle file names, venues, symbols and intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybook.core.errors import UsageError
from daybook.market.names import FileName, interval_ms, interval_name, parse_file_name, require_symbol, require_venue


@pytest.mark.parametrize(("path", "expected"), [
    ("candles/binance_spot/1m/BTCUSDT_2022-01-01_2023-12-31.parquet", FileName("BTCUSDT", "1m", "binance_spot")),
    ("candles/okx_swap/5m/BNBUSDT_2025-03-18_2025-04-17.parquet", FileName("BNBUSDT", "5m", "okx_swap")),
    ("binance_spot_irregular/BTCUSDT_1m_2017-08-17_2018-03-31.parquet",
     FileName("BTCUSDT", "1m", "binance_spot_irregular")),
    ("downloads/BTCUSDT_1m_2017-08-17_2018-03-31.parquet", FileName("BTCUSDT", "1m", None)),
    ("downloads/BTCUSDT.parquet", FileName("BTCUSDT", None, None)),
    ("x/BTCUSDT-1m-2023-03-24.zip", FileName("BTCUSDT", "1m", None)),
    ("x/1000PEPEUSDT-15m-2024-11.csv", FileName("1000PEPEUSDT", "15m", None)),
    ("x/BTCUSDT_230630-1m-2023-03-24.zip", FileName("BTCUSDT_230630", "1m", None)),
    ("x/BTCUSD_PERP-1h-2023-03.csv", FileName("BTCUSD_PERP", "1h", None)),
])
def test_name_and_folders_say_symbol_interval_and_venue(path: str, expected: FileName) -> None:
    assert parse_file_name(Path("/archive") / path) == expected


@pytest.mark.parametrize("name", [
    "btcusdt-1m-2023-03-24.zip", "20170817_trade.zip", "BTCUSDT-1m-2023-03-24.txt", "BTCUSDT-1m-2023-3-24.zip",
    "..-1m-2023-03-24.zip", "BTC\\USDT-1m-2023-03-24.zip", "BTCUSDT-1m-2023-03-24.zip\n", "BTCUSDT١-1m-2023-03-24.zip",
    "binance_BTCUSDT_2019-09-10_2024-12-31.parquet", "BTCUSDT_20220101_20221231.parquet", "README.md", ".csv",
])
def test_other_names_are_no_candle_files(name: str) -> None:
    assert parse_file_name(Path(name)) is None


@pytest.mark.parametrize("symbol", ["", "btcusdt", "BTC/USDT", "../X", "BTCUSDT\n", "A" * 25, "BTC USDT", "ＢＴＣ"])
def test_symbol_that_could_leave_its_folder_is_refused(symbol: str) -> None:
    with pytest.raises(UsageError, match="symbol: found"):
        require_symbol(symbol)


@pytest.mark.parametrize("venue", ["", "..", "Binance", "a/b", ".hidden", "a" * 41, "_quarantine", "a=b"])
def test_venue_that_could_leave_its_folder_is_refused(venue: str) -> None:
    with pytest.raises(UsageError, match="venue: found"):
        require_venue(venue)


def test_interval_lengths_and_names_agree() -> None:
    for name, length in {"1s": 1000, "1m": 60_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}.items():
        assert interval_ms(name) == length
        assert interval_name(length) == name
    assert interval_ms("60m") == interval_ms("1h")
    assert interval_ms("1w") is None
    assert interval_ms("1M") is None
    assert interval_ms("0m") is None
    assert interval_ms("m") is None
