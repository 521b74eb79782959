"""Feature tables on disk, a day a file."""

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
from daybook.core.time import DAY_MS, HOUR_MS, Window
from daybook.features import FeatureStore, compute, compute_panel, store

NAMES = ("return_1", "rsi_14", "realised_60", "weekend")
MONDAY_MS = START_MS + DAY_MS
"""2023-01-02 00:00 UTC."""
START = MONDAY_MS - 3 * DAY_MS
"""864 five-minute bars before a Monday: its week has a whole warm-up."""
HEAD = 3
"""Days before that week."""
DAY = 288


@pytest.fixture
def bars():
    return days(HEAD + 4)


def days(count, seed=4, symbol="BTCUSDT"):
    return replace(random_bars(count * DAY, seed, timeframe="5m", start_ms=START), symbol=symbol)


@pytest.fixture
def computed(monkeypatch):
    """How many bars every computation was given: warm-up and all."""
    calls = []
    fill = store.fill

    def counting(out, bars, others, chosen):
        calls.append(len(bars))
        fill(out, bars, others, chosen)

    monkeypatch.setattr(store, "fill", counting)
    return calls


def same(left, right):
    assert left.names == right.names
    np.testing.assert_array_equal(left.open_time, right.open_time)
    assert left.values.dtype == right.values.dtype == np.float32
    assert left.values.tobytes() == right.values.tobytes()


def files(root):
    return sorted(path for path in root.rglob("*.parquet"))


def test_a_day_is_computed_once_and_then_read_bit_for_bit(tmp_path, bars, computed):
    first = FeatureStore(tmp_path).table(bars)
    assert computed == [HEAD * DAY, 672 + 4 * DAY]
    again = FeatureStore(tmp_path).table(bars)
    assert computed[2:] == [DAY * HEAD], "only the days without a whole warm-up are computed again"
    same(first, again)
    same(again, compute(bars))


def test_adding_days_one_by_one_equals_the_whole_to_the_last_bit(tmp_path, computed):
    kept = FeatureStore(tmp_path / "grown")
    whole = days(HEAD + 10)
    for count in range(HEAD + 1, HEAD + 11):
        part = whole.rows(0, count * DAY)
        before = set(files(tmp_path))
        table = kept.table(part)
        new = set(files(tmp_path)) - before
        assert [path.parent.name for path in new] == [f"day={date(2023, 1, 1 + count - HEAD)}"]
        same(table, compute(part))
    FeatureStore(tmp_path / "at once").table(whole)
    content = [{path.relative_to(root): hash_file(path) for path in files(root)}
               for root in (tmp_path / "grown", tmp_path / "at once")]
    assert content[0] == content[1]
    assert len(content[0]) == 10


def test_a_new_day_computes_its_week_and_warmup_only(tmp_path, computed):
    kept = FeatureStore(tmp_path)
    whole = days(HEAD + 16)
    newest = Window(MONDAY_MS + 14 * DAY_MS, MONDAY_MS + 16 * DAY_MS)
    kept.table(whole.rows(0, len(whole) - DAY), window=newest)
    del computed[:]
    table = kept.table(whole, window=newest)
    assert computed == [672 + 2 * DAY]
    same(table, compute(whole).rows(slice(len(whole) - 2 * DAY, len(whole))))


def test_a_window_that_slides_finds_the_days_that_others_stored(tmp_path, computed):
    kept = FeatureStore(tmp_path)
    whole = days(HEAD + 14)
    for first in range(4):
        part = whole.rows(first * DAY, (HEAD + 10 + first) * DAY)
        same(kept.table(part, NAMES), compute(part, NAMES))
    stored = [path.parent.name[4:] for path in files(tmp_path)]
    assert len(stored) == len(set(stored)) == 13


def test_the_layout_names_code_market_day_and_content(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    path = kept.path(bars, date(2023, 1, 3), NAMES)
    assert path in files(tmp_path)
    code, venue, symbol, timeframe, day, name = path.relative_to(tmp_path).parts
    assert code.startswith("v=") and len(code) == 14
    assert (venue, symbol) == (f"venue={bars.venue}", "symbol=BTCUSDT")
    assert (timeframe, day) == ("timeframe=5m", "day=2023-01-03")
    assert len(name) == 12 + 1 + 12 + len(".parquet")
    assert kept.path(bars, date(2022, 12, 31), NAMES) is None, "its warm-up is not whole"


def test_days_without_a_whole_warmup_and_days_that_still_grow_are_not_kept(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    part = bars.rows(0, len(bars) - 1)
    same(kept.table(part, NAMES), compute(part, NAMES))
    assert [path.parent.name for path in files(tmp_path)] == ["day=2023-01-02", "day=2023-01-03", "day=2023-01-04"]
    short = bars.rows(DAY, len(bars))
    same(FeatureStore(tmp_path / "short").table(short, NAMES), compute(short, NAMES))
    assert files(tmp_path / "short") == []


@pytest.mark.parametrize(("change", "recomputed"), [
    (lambda bars: replace(bars, close=np.where(np.arange(len(bars)) == 300, bars.close * 1.0001, bars.close)), 4),
    (lambda bars: replace(bars, volume=np.where(np.arange(len(bars)) == 5 * DAY, 1.0, bars.volume)), 2),
    (lambda bars: replace(bars, close=np.where(np.arange(len(bars)) == 100, bars.close * 1.0001, bars.close)), 0),
])
def test_other_bars_replace_the_days_that_may_use_them_and_no_others(tmp_path, bars, change, recomputed):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    before = files(tmp_path)
    same(kept.table(change(bars), NAMES), compute(change(bars), NAMES))
    assert len(set(files(tmp_path)) - set(before)) == recomputed
    assert len(files(tmp_path)) == 4, "a day lies in one file"


def test_other_code_is_another_table(tmp_path, bars, computed, monkeypatch):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    monkeypatch.setattr(store, "code_hash", lambda part: "f" * 64)
    kept.table(bars, NAMES)
    assert len(computed) == 4
    assert len(list(tmp_path.glob("v=*"))) == 2


def test_a_subset_is_served_from_the_whole_and_order_is_kept(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    kept.table(bars)
    before = files(tmp_path)
    same(kept.table(bars, reversed(NAMES)), compute(bars, reversed(NAMES)))
    assert files(tmp_path) == before


def panel_of(count):
    return {symbol: days(count, seed, symbol) for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT"))}


def test_a_panel_is_kept_by_the_bars_of_all_markets(tmp_path, computed):
    kept = FeatureStore(tmp_path)
    panel = panel_of(HEAD + 3)
    for _ in range(2):
        for symbol, table in compute_panel(panel).items():
            same(kept.panel(panel)[symbol], table)
    assert computed.count(672 + 3 * DAY) == 3
    before = set(files(tmp_path))
    changed = panel["BTCUSDT"].close.copy()
    changed[-1] *= 1.01
    other = panel | {"BTCUSDT": replace(panel["BTCUSDT"], close=changed)}
    same(kept.panel(other)["SOLUSDT"], compute_panel(other)["SOLUSDT"])
    assert len(set(files(tmp_path)) - before) == 3, "the last day of every market"


def test_a_market_beside_others_and_alone_are_kept_apart(tmp_path):
    kept = FeatureStore(tmp_path)
    panel = panel_of(HEAD + 1)
    kept.panel(panel, NAMES)
    kept.table(panel["BTCUSDT"], NAMES)
    same(kept.panel(panel, ["breadth_60"])["BTCUSDT"], compute_panel(panel, ["breadth_60"])["BTCUSDT"])


def damage_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def of_another_day(path):
    other = next(file for file in path.parent.parent.rglob("*.parquet") if file != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("damage", [
    damage_middle, of_another_day,
    lambda path: path.write_bytes(path.read_bytes()[:100]),
    lambda path: path.write_bytes(b""),
])
def test_a_damaged_file_is_reported_computed_again_and_replaced(tmp_path, bars, caplog, damage):
    kept = FeatureStore(tmp_path)
    whole = kept.table(bars, NAMES)
    path = kept.path(bars, date(2023, 1, 3), NAMES)
    content = path.read_bytes()
    damage(path)
    same(kept.table(bars, NAMES), whole)
    assert path.name in caplog.text
    assert path.read_bytes() == content


def test_no_flipped_bit_changes_a_value(tmp_path):
    kept = FeatureStore(tmp_path)
    bars = replace(random_bars(30 * 24, timeframe="60m", start_ms=MONDAY_MS - 672 * HOUR_MS))
    whole = kept.table(bars, ["rsi_14", "weekend"])
    path = kept.path(bars, date(2023, 1, 3), ["rsi_14", "weekend"])
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        same(kept.table(bars, ["rsi_14", "weekend"]), whole)


def test_duckdb_reads_the_whole_store(tmp_path, bars):
    import duckdb

    kept = FeatureStore(tmp_path)
    for part in (bars, replace(bars, symbol="BTC/USDT")):
        kept.table(part, NAMES)
    rows = duckdb.sql(
        f"select symbol, timeframe, day::varchar, count(*), count(*) filter (isnan(rsi_14)), min(open_time) "  # noqa: S608
        f"from read_parquet('{tmp_path}/*/*/*/*/*/*.parquet', hive_partitioning = true) group by all order by all"
    ).fetchall()
    assert len(rows) == 8
    assert rows[4] == ("BTCUSDT", "5m", "2023-01-02", DAY, 0, MONDAY_MS)


def test_one_symbol_of_two_venues_is_kept_for_both(tmp_path, bars, computed):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    computed.clear()
    other = replace(bars, venue="okx_swap")
    same(kept.table(other, NAMES), compute(other, NAMES))
    computed.clear()
    for market in (bars, other):
        kept.table(market, NAMES)
    assert computed == [DAY * HEAD] * 2, "only the days without a whole warm-up are computed again"


def test_two_processes_may_build_the_same_table(tmp_path, bars, computed):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from test_feature_store import days; from daybook.features import FeatureStore;"
        "store = FeatureStore(Path(sys.argv[1]));"
        "[store.table(days(count), ['return_1', 'rsi_14']) for count in (4, 5, 6, 12)]"
    )
    here = __file__.rpartition("/")[0]
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), here]) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(files(tmp_path)) == 9
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    same(FeatureStore(tmp_path).table(days(12), ["return_1", "rsi_14"]), compute(days(12), ["return_1", "rsi_14"]))
    assert computed == [HEAD * DAY]


def test_a_table_that_can_not_be_written_is_a_storage_error(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    kept.path(bars, date(2023, 1, 3), NAMES).mkdir(parents=True)
    with pytest.raises(StorageError, match="can not be written"):
        kept.table(bars, NAMES)


def test_an_unknown_name_is_refused_before_anything_is_written(tmp_path, bars):
    with pytest.raises(UsageError, match="rsi_14"):
        FeatureStore(tmp_path).table(bars, ["rsi_15"])
    with pytest.raises(UsageError, match="compute_panel"):
        FeatureStore(tmp_path).table(bars, ["breadth_60"])
    assert not list(tmp_path.iterdir())


def test_days_before_a_day_are_discarded_and_no_others(tmp_path, bars):
    kept = FeatureStore(tmp_path)
    kept.table(bars, NAMES)
    assert kept.discard_before(date(2023, 1, 4)) == 2
    assert [path.parent.name for path in files(tmp_path)] == ["day=2023-01-04", "day=2023-01-05"]
    assert kept.discard_before(date(2023, 1, 4)) == 0
    assert kept.discard_before(date(2023, 2, 1)) == 2
    assert list(tmp_path.iterdir()) == [], "no empty folders stay behind"


def test_no_bars_are_no_file(tmp_path, bars):
    table = FeatureStore(tmp_path).table(bars.rows(0, 0), NAMES)
    assert table.values.shape == (0, 4)
    assert FeatureStore(tmp_path).table(bars, []).values.shape == (len(bars), 0)
    assert not list(tmp_path.iterdir())
