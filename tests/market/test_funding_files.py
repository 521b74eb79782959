"""Funding files: the recorded ones are read, those of other exchanges passed over, damaged ones refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from daybook.core.errors import DataError
from daybook.core.time import HOUR_MS, Window
from daybook.market.funding import FundingRates, funding_store
from daybook.market.funding_files import import_funding
from daybook.market.names import trades_perpetuals
from daybook.pipeline.cli import app

START = 1_689_638_400_000


def written(folder: Path, name: str, rates: list[float]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    times = START + 8 * HOUR_MS * np.arange(len(rates), dtype=np.int64)
    pq.write_table(pa.table({"funding_time": times, "funding_rate": rates}), folder / name)
    return folder


def test_a_folder_gives_a_venue_the_files_of_its_exchange_and_again_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", "binance_BTCUSDT_2023-07-18_2023-07-19.parquet", [1e-4, 2e-4])
    written(folder, "okx_BTCUSDT_2023-07-18_2023-07-19.parquet", [9e-4, 9e-4])
    written(folder, "ETHUSDT.parquet", [3e-4])
    store = funding_store(tmp_path)
    found = import_funding(folder, store, "binance_usdm")
    assert {symbol: counts.new for symbol, counts in found.items()} == {"BTCUSDT": 2, "ETHUSDT": 1}
    assert store.read("binance_usdm", "BTCUSDT").funding_rate.tolist() == [1e-4, 2e-4]
    assert all(counts.new == 0 for counts in import_funding(folder, store, "binance_usdm").values())
    with pytest.raises(DataError, match="no funding file of bybit_linear"):
        import_funding(folder / "okx_BTCUSDT_2023-07-18_2023-07-19.parquet", store, "bybit_linear")


def test_what_is_no_funding_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", "AAAUSDT.parquet", [1e-4])
    pq.write_table(pa.table({"funding_time": [1.5], "rate": [1e-4]}), folder / "BBBUSDT.parquet")
    with pytest.raises(DataError, match=r"BBBUSDT.*funding_time double, rate double.*needed are"):
        import_funding(folder, funding_store(tmp_path), "binance_usdm")
    (folder / "BBBUSDT.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        import_funding(folder, funding_store(tmp_path), "binance_usdm")
    written(folder, "my rates.parquet", [1e-4])
    with pytest.raises(DataError, match="not the name of a funding file"):
        import_funding(folder / "my rates.parquet", funding_store(tmp_path), "binance_usdm")
    assert not list(tmp_path.rglob("rates.parquet"))


def test_the_longest_gap_counts_edges_and_full_minutes() -> None:
    rates = FundingRates(START + 8 * HOUR_MS * np.array([0, 1, 3]) + 47, np.zeros(3))
    assert rates.longest_gap(Window(START, START + 32 * HOUR_MS)) == Window(START + 8 * HOUR_MS, START + 24 * HOUR_MS)
    assert rates.longest_gap(Window(START, START + 16 * HOUR_MS)) == Window(START, START + 8 * HOUR_MS)
    assert FundingRates(rates.funding_time[:0], rates.funding_rate[:0]).longest_gap(Window(1, 9)) == Window(1, 9)


@pytest.mark.parametrize(("venue", "perpetual"), [
    ("binance_usdm", True), ("okx_swap", True), ("blofin_swap", True), ("bybit_linear", True), ("binance_spot", False),
    ("synthetic-normal-7", False), ("kraken", False), ("files", False), ("swap", False),
])
def test_a_venue_says_by_its_name_that_it_trades_perpetuals(venue: str, perpetual: bool) -> None:
    assert trades_perpetuals(venue) is perpetual


@pytest.mark.shared
def test_the_command_imports_the_recorded_settlements(shared_data: Path, tmp_path: Path) -> None:
    given = ["candles", "funding", str(shared_data / "funding"), "--venue", "binance_usdm", "--data", str(tmp_path)]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 0, answer.output
    assert "BTCUSDT on binance_usdm: 5,819 new settlements, 0 known" in answer.output
    assert len(funding_store(tmp_path).read("binance_usdm", "BNBUSDT")) == 2763
