"""Funding rates: stamps kept, repeats once, conflicts counted, no byte changed by writing again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daybook.core.errors import DataError
from daybook.core.time import Window
from daybook.market.funding import FundingRates, FundingStore, funding_store

TIMES = [1_700_000_000_013, 1_700_028_800_000, 1_700_057_600_047]


def rates(times: list[int], values: list[float]) -> FundingRates:
    return FundingRates.of("test", np.array(times, dtype=np.int64), np.array(values))


def test_stamps_are_kept_as_they_are(tmp_path: Path) -> None:
    store = funding_store(tmp_path)
    counts = store.write("binance_usdm", "BTCUSDT", rates(TIMES[::-1], [3e-4, -2e-4, 1e-4]))
    assert (counts.new, counts.duplicates, counts.conflicts) == (3, 0, 0)
    read = store.read("binance_usdm", "BTCUSDT")
    assert read.funding_time.tolist() == TIMES
    assert read.funding_rate.tolist() == [1e-4, -2e-4, 3e-4]
    assert len(store.read("binance_usdm", "BTCUSDT", Window(TIMES[1], TIMES[2]))) == 1


def test_writing_again_changes_no_byte_and_a_stored_rate_wins(tmp_path: Path) -> None:
    store = FundingStore(tmp_path)
    store.write("binance_usdm", "BTCUSDT", rates(TIMES[:2], [1e-4, 2e-4]))
    path = next(tmp_path.rglob("rates.parquet"))
    before = path.read_bytes()
    counts = store.write("binance_usdm", "BTCUSDT", rates(TIMES[:2], [1e-4, 9e-4]))
    assert (counts.new, counts.duplicates, counts.conflicts) == (0, 1, 1)
    assert path.read_bytes() == before
    assert store.write("binance_usdm", "BTCUSDT", rates(TIMES, [1e-4, 2e-4, 3e-4])).new == 1
    assert store.read("binance_usdm", "BTCUSDT").funding_rate.tolist() == [1e-4, 2e-4, 3e-4]


@pytest.mark.parametrize(("times", "values"), [
    ([1], [float("nan")]), ([1], [1.5]), ([0], [0.1]), ([5, 5], [0.1, 0.2]),
])
def test_impossible_rates_are_refused(times: list[int], values: list[float]) -> None:
    with pytest.raises(DataError, match="found"):
        rates(times, values)


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    store = FundingStore(tmp_path)
    store.write("okx_swap", "BTCUSDT", rates(TIMES, [0.0, 0.0, 0.0]))
    pq.write_table(pa.table({"time": [1]}), next(tmp_path.rglob("rates.parquet")))
    with pytest.raises(DataError, match="allowed are funding_time"):
        store.read("okx_swap", "BTCUSDT")


@pytest.mark.shared
def test_recorded_rates_go_through_the_store_unchanged(tmp_path: Path, shared_data: Path) -> None:
    table = pq.read_table(shared_data / "funding/binance_BTCUSDT_2019-09-10_2024-12-31.parquet")
    times, values = table["funding_time"].to_numpy(), table["funding_rate"].to_numpy()
    store = FundingStore(tmp_path)
    assert store.write("binance_usdm", "BTCUSDT", FundingRates.of("file", times, values)).new == 5819
    read = store.read("binance_usdm", "BTCUSDT")
    assert np.array_equal(read.funding_time, times)
    assert np.array_equal(read.funding_rate, values)
    assert int(np.count_nonzero(read.funding_time % 60_000)) == 2438
