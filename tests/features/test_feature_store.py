"""Feature tables on disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from feature_bars import START_MS, random_bars

from daybook.core.errors import StorageError, UsageError
from daybook.core.hashing import hash_file
from daybook.features import FeatureStore, compute, store

NAMES = ("return_1", "rsi_14", "realised_60", "weekend")


@pytest.fixture
def bars():
    return random_bars(700, seed=4)


@pytest.fixture
def computed(monkeypatch):
    """The names of every table that was computed rather than read."""
    calls = []

    def counting(bars, names=None):
        calls.append(tuple(names))
        return compute(bars, names)

    monkeypatch.setattr(store, "compute", counting)
    return calls


def same(left, right):
    assert left.names == right.names
    np.testing.assert_array_equal(left.open_time, right.open_time)
    assert left.values.dtype == right.values.dtype == np.float32
    assert left.values.tobytes() == right.values.tobytes()


def test_a_table_is_computed_once_and_then_read_bit_for_bit(tmp_path, bars, computed):
    first = FeatureStore(tmp_path).table(bars)
    again = FeatureStore(tmp_path).table(bars)
    assert len(computed) == 1
    same(first, again)
    same(again, compute(bars))


def test_the_layout_names_code_market_days_and_content(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    code, symbol, timeframe, name = kept.path(bars, NAMES).relative_to(tmp_path).parts
    assert code.startswith("v=") and len(code) == 14
    assert (symbol, timeframe) == ("symbol=BTCUSDT", "timeframe=1m")
    assert name.startswith("2023-01-01_2023-01-01_")
    assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".json", ".parquet"]


@pytest.mark.parametrize("change", [
    lambda bars: replace(bars, venue="elsewhere"),
    lambda bars: replace(bars, close=np.append(bars.close[:-1], bars.close[-1] * 1.0001)),
    lambda bars: bars.rows(0, 699),
])
def test_other_bars_are_another_table(tmp_path, bars, computed, change):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    same(kept.table(change(bars), NAMES), compute(change(bars), NAMES))
    assert len(computed) == 2


def test_other_code_is_another_table(tmp_path, bars, computed, monkeypatch):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    monkeypatch.setattr(store, "code_hash", lambda part: "f" * 64)
    kept.table(bars, NAMES)
    assert len(computed) == 2
    assert len(list(tmp_path.glob("v=*"))) == 2


def test_a_subset_is_served_from_the_whole_and_order_is_kept(tmp_path, bars, computed):
    kept = FeatureStore(tmp_path)
    kept.table(bars)
    subset = kept.table(bars, reversed(NAMES))
    assert len(computed) == 1
    same(subset, compute(bars, reversed(NAMES)))
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def damage_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(("suffix", "damage"), [
    (".parquet", damage_middle),
    (".parquet", lambda path: path.write_bytes(path.read_bytes()[:100])),
    (".parquet", lambda path: path.write_bytes(b"")),
    (".json", lambda path: path.write_text("{")),
    (".json", lambda path: path.write_text("{}")),
    (".json", lambda path: path.unlink()),
])
def test_a_damaged_file_is_reported_computed_again_and_replaced(tmp_path, bars, computed, caplog, suffix, damage):
    kept = FeatureStore(tmp_path)
    whole = kept.table(bars, NAMES)
    path = kept.path(bars, NAMES)
    content = path.read_bytes()
    damage(path.with_suffix(suffix))
    same(kept.table(bars, NAMES), whole)
    assert len(computed) == 2
    assert path.name.split(".")[0] in caplog.text
    assert path.read_bytes() == content
    kept.table(bars, NAMES)
    assert len(computed) == 2


def test_two_stores_hold_the_same_bytes(tmp_path, bars):
    files = []
    for root in (tmp_path / "a", tmp_path / "b"):
        FeatureStore(root).table(bars, NAMES)
        files.append({path.relative_to(root): hash_file(path) for path in sorted(root.rglob("*.*")) if path.is_file()})
    assert files[0] == files[1]
    assert len(files[0]) == 2


def test_duckdb_reads_the_whole_store(tmp_path, bars):
    import duckdb

    kept = FeatureStore(tmp_path)
    later = random_bars(100, start_ms=START_MS + 700 * 60_000)
    for part in (bars, replace(later, symbol="BTC/USDT")):
        kept.table(part, NAMES)
    rows = duckdb.sql(
        f"select symbol, timeframe, count(*), count(*) filter (isnan(rsi_14)), min(open_time) "  # noqa: S608
        f"from read_parquet('{tmp_path}/*/*/*/*.parquet', hive_partitioning = true) group by all order by symbol"
    ).fetchall()
    assert rows == [("BTC/USDT", "1m", 100, 100, START_MS + 700 * 60_000), ("BTCUSDT", "1m", 700, 170, START_MS)]


def test_two_processes_may_build_the_same_table(tmp_path, computed):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from feature_bars import random_bars; from daybook.features import FeatureStore;"
        "store = FeatureStore(Path(sys.argv[1]));"
        "[store.table(random_bars(count, seed=4), ['return_1', 'rsi_14']) for count in range(300, 312)]"
    )
    here = __file__.rpartition("/")[0]
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), here]) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(list(tmp_path.rglob("*.parquet"))) == len(list(tmp_path.rglob("*.json"))) == 12
    assert not list(tmp_path.rglob(".*"))
    for count in (300, 311):
        bars, names = random_bars(count, seed=4), ["return_1", "rsi_14"]
        same(FeatureStore(tmp_path).table(bars, names), compute(bars, names))
    assert computed == []


def test_a_table_that_can_not_be_written_is_a_storage_error(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    kept.path(bars, NAMES).mkdir(parents=True)
    with pytest.raises(StorageError, match="can not be written"):
        kept.table(bars, NAMES)


def test_an_unknown_name_is_refused_before_anything_is_written(tmp_path, bars):
    with pytest.raises(UsageError, match="rsi_14"):
        FeatureStore(tmp_path).table(bars, ["rsi_15"])
    assert not list(tmp_path.iterdir())


def test_tables_that_end_before_a_day_are_discarded_and_no_others(tmp_path):
    kept = FeatureStore(tmp_path)
    for start in range(3):
        kept.table(random_bars(24, timeframe="60m", start_ms=START_MS + start * 86_400_000), NAMES)
    assert kept.discard_before(date(2023, 1, 3)) == 2
    assert sorted(path.name[:21] for path in tmp_path.rglob("*.*")) == ["2023-01-03_2023-01-03"] * 2
    assert kept.discard_before(date(2023, 1, 3)) == 0


def test_no_bars_are_no_file(tmp_path, bars):
    table = FeatureStore(tmp_path).table(bars.rows(0, 0), NAMES)
    assert table.values.shape == (0, 4)
    assert not list(tmp_path.iterdir())
