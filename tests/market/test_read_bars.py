"""Reading bars for a window, and what an error says is there instead."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest
from candle_tapes import JUNE, candle, minutes, rows

from daybook.core.errors import DataError, UsageError
from daybook.core.time import HOUR_MS, MINUTE_MS, Window, window_before
from daybook.market.importer import import_candles
from daybook.market.reading import candle_store, read_bars
from daybook.market.store import SourceRows


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store = candle_store(tmp_path)
    store.write("binance_spot", "BTCUSDT", [SourceRows("a", rows(minutes(180)))])
    store.write("binance_spot", "ETHUSDT", [SourceRows("a", rows([candle(JUNE + HOUR_MS)]))])
    return tmp_path


def test_longer_bars_are_built_from_stored_minutes(data: Path) -> None:
    window = Window(JUNE, JUNE + 2 * HOUR_MS)
    assert len(read_bars(data, "BTCUSDT", "1m", window, venue="binance_spot")) == 120
    assert len(read_bars(data, "BTCUSDT", "5m", window, venue="binance_spot")) == 24
    hours = read_bars(data, "BTCUSDT", "60m", window, venue="binance_spot")
    assert hours.open_time.tolist() == [JUNE, JUNE + HOUR_MS]
    assert hours.volume.tolist() == [60.0, 60.0]


def test_only_bars_wholly_inside_the_window_are_returned(data: Path) -> None:
    window = Window(JUNE + MINUTE_MS, JUNE + 3 * HOUR_MS - MINUTE_MS)
    hours = read_bars(data, "BTCUSDT", "60m", window, venue="binance_spot")
    assert hours.open_time.tolist() == [JUNE + HOUR_MS]
    assert int(hours.close_time[-1]) <= window.end_ms


def test_window_shorter_than_a_bar_has_none(data: Path) -> None:
    with pytest.raises(DataError, match="no candles from 2023-06-01 00:01 UTC to 2023-06-01 00:59 UTC"):
        read_bars(data, "BTCUSDT", "60m", Window(JUNE + MINUTE_MS, JUNE + HOUR_MS - MINUTE_MS), venue="binance_spot")


def test_missing_window_names_what_is_there(data: Path) -> None:
    with pytest.raises(DataError, match=r"BTCUSDT 5m on binance_spot: no candles from 2024.*the store has 2023-06-01 "
                                        r"00:00 UTC to 2023-06-01 02:59 UTC \(180 bars, 0 gaps\).*import"):
        read_bars(data, "BTCUSDT", "5m", window_before(date(2024, 1, 8), 7), venue="binance_spot")


def test_unknown_symbol_names_the_known_ones(data: Path) -> None:
    with pytest.raises(DataError, match="the store has BTCUSDT, ETHUSDT there"):
        read_bars(data, "XRPUSDT", "1m", Window(JUNE, JUNE + HOUR_MS), venue="binance_spot")


def test_unknown_venue_names_the_known_ones(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the store has the venues binance_spot"):
        read_bars(data, "BTCUSDT", "1m", Window(JUNE, JUNE + HOUR_MS), venue="okx_swap")
    with pytest.raises(DataError, match=r"is empty\. Import candles"):
        read_bars(tmp_path / "none", "BTCUSDT", "1m", Window(JUNE, JUNE + HOUR_MS), venue="okx_swap")


def test_unknown_timeframe_is_a_usage_error(data: Path) -> None:
    with pytest.raises(UsageError, match="allowed are 1m, 5m, 60m"):
        read_bars(data, "BTCUSDT", "15m", Window(JUNE, JUNE + HOUR_MS), venue="binance_spot")


@pytest.mark.shared
def test_thirty_five_days_of_a_long_history_read_in_a_moment(shared_data: Path, tmp_path: Path) -> None:
    name = "BTCUSDT_2022-01-01_2023-12-31.parquet"
    report = import_candles(shared_data / "candles" / "binance_spot" / "1m" / name, candle_store(tmp_path))
    assert (report.rows, report.new) == (1_051_120, 1_051_120)
    window = window_before(date(2023, 6, 14), 35)
    started = time.process_time()
    bars = read_bars(tmp_path, "BTCUSDT", "5m", window, venue="binance_spot")
    assert time.process_time() - started < 0.5
    assert len(bars) == 35 * 288
    assert (int(bars.open_time[0]), int(bars.close_time[-1])) == (window.start_ms, window.end_ms)
