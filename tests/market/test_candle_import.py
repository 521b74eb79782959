"""Importing files and folders: whole or not at all, twice as good as once, and everything accounted for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from candle_tapes import JULY, JUNE, candle, minutes, spot_csv, tree, usdm_csv, write_candles, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import DataError, UsageError
from daybook.core.time import DAY_MS, MINUTE_MS
from daybook.market import import_index, importer
from daybook.market.errors import CandleFileError
from daybook.market.importer import MarketImport, SkippedFile, import_candles
from daybook.market.quality import check_files
from daybook.market.store import CandleStore


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "data" / "candles")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days of spot zips, one overlapping Parquet file, a futures CSV, other intervals and other files."""
    root = tmp_path / "archive"
    tape = minutes(2 * 1440)
    zipped(root / "spot" / "1m" / "BTCUSDT-1m-2023-06-01.zip", spot_csv(tape[:1440]))
    zipped(root / "spot" / "1m" / "BTCUSDT-1m-2023-06-02.zip", spot_csv(tape[1440:], 1000))
    zipped(root / "spot" / "1h" / "BTCUSDT-1h-2023-06-02.zip", spot_csv(tape[:1]))
    write_candles(root / "binance_spot" / "1m" / "BTCUSDT_2023-06-01_2023-06-02.parquet", tape[1000:2000])
    write_candles(root / "binance_spot" / "1m" / "ETHUSDT_2023-06-01_2023-06-02.parquet", tape[:10])
    (root / "usdm").mkdir()
    (root / "usdm" / "BTCUSDT-1m-2023-06.csv").write_text(usdm_csv(tape[:5]))
    (root / "README.md").write_text("notes")
    (root / ".hidden").write_text("x")
    return root


def test_folder_of_every_kind_is_imported_and_accounted_for(folder: Path, store: CandleStore) -> None:
    report = import_candles(folder, store)
    assert report.markets == (
        MarketImport(venue="binance_spot", symbol="BTCUSDT", files=3, rows=3880, new=2880, duplicates=1000),
        MarketImport(venue="binance_spot", symbol="ETHUSDT", files=1, rows=10, new=10),
        MarketImport(venue="binance_usdm", symbol="BTCUSDT", files=1, rows=5, new=5),
    )
    assert (report.files, report.rows, report.new, report.duplicates) == (5, 3895, 2895, 1000)
    assert report.skipped == (
        SkippedFile(path="README.md", reason="not the name of a candle file"),
        SkippedFile(path="spot/1h/BTCUSDT-1h-2023-06-02.zip",
                    reason="bars of 1h: only 1m is imported, longer bars are aggregated from it"),
    )
    assert store.read("binance_spot", "BTCUSDT").open_time.tolist() == [one[0] for one in minutes(2880)]
    assert "5 files read, 0 unchanged, 2 skipped; 3,895 rows: 2,895 new, 1,000 duplicates" in report.summary


def test_a_person_is_told_how_far_an_import_and_a_check_are(folder: Path, store: CandleStore) -> None:
    told: list[tuple[int, int, str]] = []
    import_candles(folder, store, progress=lambda *step: told.append(step))
    assert [step[:2] for step in told] == [(number, 5) for number in range(1, 6)]
    assert told[0][2] == "BTCUSDT_2023-06-01_2023-06-02.parquet"
    checked = [folder / "usdm/BTCUSDT-1m-2023-06.csv", folder / "README.md"]
    told.clear()
    check_files(checked, progress=lambda *step: told.append(step))
    assert told == [(1, 2, "BTCUSDT-1m-2023-06.csv"), (2, 2, "README.md")]


def test_importing_again_reads_nothing_and_changes_nothing(folder: Path, store: CandleStore,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    import_candles(folder, store)
    before = tree(store.root)
    monkeypatch.setattr(importer, "read_candle_file", None)
    monkeypatch.setattr(import_index, "hash_file", None)
    again = import_candles(folder, store)
    assert (again.files, again.unchanged, again.rows) == (0, 5, 0)
    assert [market.unchanged for market in again.markets] == [3, 1, 1]
    assert tree(store.root) == before


def test_touched_or_copied_file_is_known_by_its_content(folder: Path, store: CandleStore, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    import_candles(folder, store)
    copied = shutil.copytree(folder, tmp_path / "copy")
    for path in copied.rglob("*.*"):
        os.utime(path, (1, 1))
    monkeypatch.setattr(importer, "read_candle_file", None)
    assert import_candles(copied, store).unchanged == 5


def test_changed_file_is_read_again(folder: Path, store: CandleStore) -> None:
    import_candles(folder, store)
    zipped(folder / "spot" / "1m" / "BTCUSDT-1m-2023-06-02.zip", spot_csv([candle(JULY)]))
    again = import_candles(folder, store)
    assert (again.files, again.new) == (1, 1)


def test_other_venue_for_the_same_file_is_no_repeat(folder: Path, store: CandleStore) -> None:
    path = folder / "usdm" / "BTCUSDT-1m-2023-06.csv"
    assert import_candles(path, store).new == 5
    assert import_candles(path, store, venue="okx_swap").new == 5
    assert import_candles(path, store, venue="okx_swap").unchanged == 1
    assert store.symbols("okx_swap") == ("BTCUSDT",)


def test_same_file_in_another_venues_folder_is_no_repeat(folder: Path, store: CandleStore) -> None:
    import_candles(folder, store)
    shutil.copytree(folder / "binance_spot", folder / "okx_swap")
    again = import_candles(folder / "okx_swap", store)
    assert [(market.venue, market.new) for market in again.markets] == [("okx_swap", 1000), ("okx_swap", 10)]


def test_imports_of_two_processes_are_both_remembered(folder: Path, store: CandleStore, tmp_path: Path) -> None:
    stale = import_index.ImportIndex(store)
    import_candles(folder, store)
    identity = import_index.FileIdentity("XRPUSDT", None, None)
    stale.add({tmp_path / "other.zip": import_index.ImportedFile(
        size=1, mtime_ns=1, sha256="0", symbol="XRPUSDT", venue_asked=None, venue_folder=None, venue="files",
        months=(), rows=0)})
    assert import_candles(folder, store).unchanged == 5
    (tmp_path / "other.zip").write_text("x")
    os.utime(tmp_path / "other.zip", ns=(1, 1))
    assert import_index.ImportIndex(store).known(tmp_path / "other.zip", identity) is not None


def test_months_removed_from_the_store_are_imported_again(folder: Path, store: CandleStore) -> None:
    import_candles(folder, store)
    before = tree(store.root)
    shutil.rmtree(store.root / "venue=binance_spot")
    import_candles(folder, store)
    assert tree(store.root) == before


def test_symbols_select_files(folder: Path, store: CandleStore) -> None:
    report = import_candles(folder, store, symbols=["ETHUSDT"])
    assert [market.symbol for market in report.markets] == ["ETHUSDT"]
    assert SkippedFile(path="usdm/BTCUSDT-1m-2023-06.csv", reason="BTCUSDT was not asked for") in report.skipped


def test_unknown_symbol_names_those_that_are_there(folder: Path, store: CandleStore) -> None:
    with pytest.raises(DataError, match="no 1-minute candle file of XRPUSDT; there are files of BTCUSDT, ETHUSDT"):
        import_candles(folder, store, symbols=["BTCUSDT", "XRPUSDT"])
    with pytest.raises(UsageError, match="symbol: found 'btc'"):
        import_candles(folder, store, symbols=["btc"])
    assert not store.root.exists()


def test_corrupt_zip_in_a_folder_stops_before_anything_is_written(folder: Path, store: CandleStore) -> None:
    path = folder / "spot" / "1m" / "BTCUSDT-1m-2023-06-02.zip"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CandleFileError, match=r"06-02\.zip: corrupt or unreadable zip \(.+\)\. Download it"):
        import_candles(folder, store)
    assert not store.root.exists()


def test_wrong_number_deep_in_a_file_imports_nothing_of_it(store: CandleStore, tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", spot_csv(minutes(500)) + "x" + spot_csv(minutes(1)))
    with pytest.raises(CandleFileError, match="column open_time, row 501: found 'x1685577600000'"):
        import_candles(path, store)
    assert not store.root.exists()


def test_single_file_that_can_not_be_imported_is_an_error(folder: Path, store: CandleStore, tmp_path: Path) -> None:
    with pytest.raises(CandleFileError, match="bars of 1h: only 1m is imported"):
        import_candles(folder / "spot" / "1h" / "BTCUSDT-1h-2023-06-02.zip", store)
    with pytest.raises(CandleFileError, match="not the name of a candle file"):
        import_candles(folder / "README.md", store)
    with pytest.raises(CandleFileError, match="no such file or folder"):
        import_candles(tmp_path / "nowhere", store)
    with pytest.raises(CandleFileError, match="ETHUSDT was not asked for"):
        import_candles(folder / "binance_spot" / "1m" / "ETHUSDT_2023-06-01_2023-06-02.parquet", store,
                       symbols=["BTCUSDT"])
    five = write_candles(tmp_path / "BTCUSDT.parquet", [candle(JUNE + at * 5 * MINUTE_MS) for at in range(9)])
    with pytest.raises(CandleFileError, match="5 minutes apart, allowed are 1-minute bars"):
        import_candles(five, store)


def test_folder_without_candles_says_what_it_found(tmp_path: Path, store: CandleStore) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.txt").write_text("")
    with pytest.raises(CandleFileError, match=r"no 1-minute candle file below it \(x.txt: not the name"):
        import_candles(tmp_path / "notes", store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CandleFileError, match="the folder is empty"):
        import_candles(tmp_path / "empty", store)


def test_damaged_index_says_how_to_go_on(folder: Path, store: CandleStore) -> None:
    import_candles(folder, store)
    (store.root / "_imports.json").write_text('{"version": 2, "files": {}}')
    with pytest.raises(DataError, match=r"version: .*Remove it; the next import then reads every file again"):
        import_candles(folder, store)


def test_bad_rows_are_counted_by_file(store: CandleStore, tmp_path: Path) -> None:
    tape = [candle(JUNE), (JUNE + MINUTE_MS, 10.0, 8.0, 9.0, 11.0, 1.0), candle(JUNE + 2 * MINUTE_MS)]
    write_candles(tmp_path / "1m" / "BTCUSDT_2023-06-01_2023-06-01.parquet", tape)
    write_candles(tmp_path / "1m" / "BTCUSDT_2023-06-01_2023-06-02.parquet", [candle(JUNE, 500.0)])
    report = import_candles(tmp_path / "1m", store, venue="kraken")
    assert (report.new, report.conflicts, report.quarantined) == (2, 1, 1)
    assert store.quarantined("kraken", "BTCUSDT").sources.tolist() == [
        "BTCUSDT_2023-06-01_2023-06-02.parquet", "BTCUSDT_2023-06-01_2023-06-01.parquet"]


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=4, unique=True),
       order=st.randoms(use_true_random=False))
def test_order_of_imports_does_not_matter(tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int]],
                                          order: object) -> None:
    root = tmp_path_factory.mktemp("parts")
    tape = [candle(JULY - 4 * DAY_MS + (at * 90 + at % 2) * MINUTE_MS, 100.0 + at) for at in range(128)]
    paths = [write_candles(root / f"{start}" / "1m" / f"BTCUSDT_2023-06-0{start + 1}_2023-06-0{start + length}.parquet",
                           tape[start * 16:(start + length) * 16]) for start, length in cuts]
    other = list(paths)
    order.shuffle(other)  # type: ignore[attr-defined]
    one, two = CandleStore(root / "one"), CandleStore(root / "two")
    for path in paths:
        import_candles(path, one, venue="kraken")
    for path in other:
        import_candles(path, two, venue="kraken")
    assert tree(one.root) == tree(two.root)


@pytest.mark.shared
def test_recorded_days_agree_with_the_recorded_years(shared_data: Path, store: CandleStore) -> None:
    parts = shared_data / "raw_binance_archive" / "spot_daily_zip" / "1m"
    first = import_candles(parts, store, symbols=["SOLUSDT"])
    assert (first.new, first.rows) == (9 * 1440 - 80, 9 * 1440 - 80)
    years = shared_data / "candles" / "binance_spot" / "1m" / "SOLUSDT_2022-01-01_2023-12-31.parquet"
    second = import_candles(years, store)
    assert (second.rows, second.duplicates, second.conflicts, second.quarantined) == (1_051_119, first.new, 0, 0)
    early = store.rows("binance_spot", "SOLUSDT")
    assert int((early.close_time != early.open_time + MINUTE_MS).sum()) == 1


@pytest.mark.shared
def test_off_minute_bars_of_2017_are_quarantined(shared_data: Path, store: CandleStore) -> None:
    name = "BTCUSDT_1m_2017-08-17_2018-03-31.parquet"
    report = import_candles(shared_data / "candles" / "binance_spot_irregular" / name, store)
    assert (report.rows, report.new, report.quarantined) == (323_960, 323_960 - 21_602, 21_602)
    assert report.markets[0].venue == "binance_spot_irregular"
    assert len(store.quarantined("binance_spot_irregular", "BTCUSDT")) == 21_602
