"""The candle store: idempotent, conservative, safe beside another writer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from candle_tapes import JULY, JUNE, candle, minutes, rows, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import DataError, StorageError, UsageError
from daybook.core.time import MINUTE_MS, Window
from daybook.market.rows import CandleRows
from daybook.market.store import CandleStore, SourceRows, StoredMarket, WriteCounts

VENUE, SYMBOL = "binance_spot", "BTCUSDT"


def put(store: CandleStore, table: CandleRows, source: str = "a.zip") -> WriteCounts:
    return store.write(VENUE, SYMBOL, [SourceRows(source, table)])[0]


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles")


def test_bars_come_back_as_written_across_months(store: CandleStore) -> None:
    tape = minutes(10, JULY - 5 * MINUTE_MS)
    assert put(store, rows(tape)) == WriteCounts(rows=10, new=10, duplicates=0, conflicts=0, quarantined=0)
    bars = store.read(VENUE, SYMBOL)
    assert (bars.venue, bars.symbol, bars.timeframe) == (VENUE, SYMBOL, "1m")
    assert [tuple(values) for values in zip(bars.open_time.tolist(), bars.open.tolist(), bars.high.tolist(),
                                            bars.low.tolist(), bars.close.tolist(), bars.volume.tolist(),
                                            strict=True)] == tape
    assert sorted(tree(store.root)) == [f"venue={VENUE}/symbol={SYMBOL}/month=2023-06/bars.parquet",
                                        f"venue={VENUE}/symbol={SYMBOL}/month=2023-07/bars.parquet"]


def test_window_reads_its_bars_and_only_its_months(store: CandleStore) -> None:
    put(store, rows(minutes(10, JULY - 5 * MINUTE_MS)))
    window = Window(JULY - 2 * MINUTE_MS, JULY + MINUTE_MS)
    assert store.read(VENUE, SYMBOL, window).open_time.tolist() == [JULY - 120_000, JULY - 60_000, JULY]
    (store.root / f"venue={VENUE}/symbol={SYMBOL}/month=2023-06/bars.parquet").write_bytes(b"torn")
    assert len(store.read(VENUE, SYMBOL, Window(JULY, JULY + MINUTE_MS))) == 1
    with pytest.raises(DataError, match="not a readable Parquet file"):
        store.read(VENUE, SYMBOL, window)


def test_writing_again_changes_no_byte(store: CandleStore) -> None:
    bad = [(JUNE + 600_000, math.nan, 1.0, 1.0, 1.0, 1.0), (JUNE + 20_799, 10.0, 12.0, 9.0, 11.0, 1.0)]
    put(store, rows(minutes(5) + bad))
    before = tree(store.root)
    stamps = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")}
    assert put(store, rows(minutes(5) + bad)) == WriteCounts(rows=7, new=0, duplicates=5, conflicts=0, quarantined=2)
    assert tree(store.root) == before
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")} == stamps


def test_conflicting_bar_is_quarantined_and_the_stored_one_stays(store: CandleStore) -> None:
    put(store, rows([candle(JUNE, 100.0)]))
    counts = put(store, rows([candle(JUNE, 101.0)]), "later.zip")
    assert counts == WriteCounts(rows=1, new=0, duplicates=0, conflicts=1, quarantined=0)
    assert store.read(VENUE, SYMBOL).open.tolist() == [100.0]
    refused = store.quarantined(VENUE, SYMBOL)
    assert refused.rows.open.tolist() == [101.0]
    assert refused.reasons.tolist() == ["another bar with this open time and other values is stored"]
    assert refused.sources.tolist() == ["later.zip"]


def test_unusable_bars_are_kept_apart_with_reasons(store: CandleStore) -> None:
    table = rows([candle(JUNE), (JUNE + 60_000, 10.0, 8.0, 9.0, 11.0, 1.0), (JUNE + 80_799, 10.0, 12.0, 9.0, 11.0, 1.0),
                  (JULY, 10.0, 12.0, 9.0, -1.0, 1.0)])
    assert put(store, table) == WriteCounts(rows=4, new=1, duplicates=0, conflicts=0, quarantined=3)
    assert store.read(VENUE, SYMBOL).open_time.tolist() == [JUNE]
    june = store.quarantined(VENUE, SYMBOL, Window(JUNE, JULY))
    assert june.reasons.tolist() == ["high is below low", "open time is off the grid of full bars"]
    assert june.rows.high.tolist() == [8.0, 12.0]
    assert len(store.quarantined(VENUE, SYMBOL)) == 3


def test_hive_reader_sees_bars_but_no_quarantine(store: CandleStore) -> None:
    put(store, rows([*minutes(3), (JUNE + 600_000, math.nan, 1.0, 1.0, 1.0, 1.0)]))
    table = pyarrow.dataset.dataset(store.root, partitioning="hive", format="parquet").to_table()
    assert table.num_rows == 3
    assert table["symbol"].to_pylist() == [SYMBOL] * 3
    assert table["known_at"].null_count == 3
    assert table["close_time"].to_pylist() == [JUNE + number * MINUTE_MS for number in (1, 2, 3)]


def test_one_count_for_each_source(store: CandleStore) -> None:
    parts = [SourceRows("a.zip", rows(minutes(3))), SourceRows("b.zip", rows(minutes(5)))]
    assert [count.new for count in store.write(VENUE, SYMBOL, parts)] == [3, 2]
    assert store.write(VENUE, SYMBOL, []) == []


def test_bar_tables_are_written_when_they_are_1m(store: CandleStore) -> None:
    bars = rows(minutes(3)).bars("synthetic-normal-7", SYMBOL, "1m")
    assert store.write_bars(bars).new == 3
    assert store.read("synthetic-normal-7", SYMBOL).data_hash == bars.data_hash
    with pytest.raises(DataError, match="1m bars only"):
        store.write_bars(rows(minutes(3)).bars(VENUE, SYMBOL, "5m"))


def test_time_in_seconds_or_microseconds_is_refused(store: CandleStore) -> None:
    with pytest.raises(DataError, match="row 2 is no time; allowed are milliseconds"):
        put(store, rows([candle(JUNE), candle(JUNE * 1000)]))
    assert tree(store.root) == {}


def test_names_can_not_leave_the_store(store: CandleStore) -> None:
    with pytest.raises(UsageError, match="symbol"):
        store.write(VENUE, "../X", [SourceRows("a", rows(minutes(1)))])
    with pytest.raises(UsageError, match="venue"):
        store.read("../..", SYMBOL)


def test_markets_lists_extent_and_gaps(store: CandleStore) -> None:
    put(store, rows([candle(JUNE + at * MINUTE_MS) for at in (0, 1, 5, 6, 9)]))
    assert store.markets() == (StoredMarket(VENUE, SYMBOL, JUNE, JUNE + 9 * MINUTE_MS, rows=5, gaps=2, missing=5),)
    assert store.symbols(VENUE) == (SYMBOL,)
    with pytest.raises(DataError, match="ETHUSDT on binance_spot: not in the candle store"):
        store.market(VENUE, "ETHUSDT")


def test_gap_across_months_is_seen(store: CandleStore) -> None:
    put(store, rows([candle(JULY - MINUTE_MS), candle(JULY + MINUTE_MS)]))
    assert (store.market(VENUE, SYMBOL).gaps, store.market(VENUE, SYMBOL).missing) == (1, 1)


def test_foreign_month_file_is_refused(store: CandleStore) -> None:
    put(store, rows(minutes(3)))
    path = store.root / f"venue={VENUE}/symbol={SYMBOL}/month=2023-06/bars.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(table.set_column(1, "open", pa.array(["x"] * 3)), path)
    with pytest.raises(DataError, match=r"found columns .*open string.*allowed are .*open double"):
        store.read(VENUE, SYMBOL)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_store_says_so(store: CandleStore) -> None:
    store.root.mkdir(parents=True)
    store.root.chmod(0o500)
    with pytest.raises(StorageError, match="can not be written"):
        put(store, rows(minutes(3)))


def test_store_root_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "candles").write_text("")
    with pytest.raises(StorageError, match="can not be written"):
        put(CandleStore(tmp_path / "candles"), rows(minutes(3)))


def test_leftovers_of_a_killed_writer_are_removed(store: CandleStore) -> None:
    put(store, rows(minutes(3)))
    leftover = store.root / f"venue={VENUE}/symbol={SYMBOL}/month=2023-06/.bars.parquet.99999.tmp"
    leftover.write_bytes(b"half")
    put(store, rows(minutes(4)))
    assert not leftover.exists()
    assert len(store.read(VENUE, SYMBOL)) == 4


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=6),
       order=st.randoms(use_true_random=False))
def test_store_does_not_depend_on_the_order_of_overlapping_parts(
        tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int]], order: object) -> None:
    tape = minutes(90, JULY - 45 * MINUTE_MS)
    tape[50] = (tape[50][0], 10.0, 8.0, 9.0, 11.0, 1.0)
    tape[51] = (tape[51][0] + 20_799, *tape[51][1:])
    cut = [SourceRows(f"{start}-{length}.zip", rows(tape[start:start + length])) for start, length in parts]
    other = list(cut)
    order.shuffle(other)  # type: ignore[attr-defined]
    one, two = (CandleStore(tmp_path_factory.mktemp("store")) for _ in range(2))
    one.write(VENUE, SYMBOL, cut)
    for part in other:
        two.write(VENUE, SYMBOL, [part])
    assert tree(one.root) == tree(two.root)


@settings(max_examples=25, deadline=None)
@given(candles=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([-1.0, math.nan, 100.0, 101.0])), max_size=12))
def test_every_row_is_stored_or_quarantined(
        tmp_path_factory: pytest.TempPathFactory, candles: list[tuple[int, float]]) -> None:
    store = CandleStore(tmp_path_factory.mktemp("store"))
    counts = put(store, rows([candle(JUNE + at * MINUTE_MS, price) for at, price in candles]))
    assert counts.rows == counts.new + counts.duplicates + counts.conflicts + counts.quarantined == len(candles)
    kept, refused = store.rows(VENUE, SYMBOL), store.quarantined(VENUE, SYMBOL).rows
    found = {(int(time), str(float(price))) for table in (kept, refused)
             for time, price in zip(table.open_time, table.open, strict=True)}
    assert found == {(JUNE + at * MINUTE_MS, str(price)) for at, price in candles}
    assert len(kept) + len(refused) == len(found)


WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[3])
    from candle_tapes import JUNE, candle, rows
    from daybook.market.store import CandleStore, SourceRows
    store = CandleStore(Path(sys.argv[1]))
    for number in range(int(sys.argv[2]), 60, 2):
        store.write("binance_spot", "BTCUSDT", [SourceRows("x", rows([candle(JUNE + number * 60_000)]))])
""")


def test_two_processes_writing_at_once_lose_no_bar(store: CandleStore) -> None:
    command = [sys.executable, "-c", WRITER, str(store.root)]
    writers = [subprocess.Popen([*command, str(number), str(Path(__file__).parent)]) for number in (0, 1)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert len(store.read(VENUE, SYMBOL)) == 60
