"""Rows 36 to 42 of the fault matrix, each fault injected into a market of the generator, or found in recorded data."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candle_tapes import minutes, spot_csv, tree, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms
from daybook.market import (
    Bars,
    CandleStore,
    QualityReport,
    check_file,
    check_store,
    import_candles,
    masked,
    read_bars,
    synthetic_bars,
)
from daybook.market.candle_files import read_candle_file
from daybook.market.errors import CandleFileError
from daybook.market.rows import CandleRows, joined, rows_of
from daybook.market.store import SourceRows, WriteCounts

START = day_start_ms(date(2025, 3, 10))
HOURS_12 = Window(START, START + DAY_MS // 2)
MARKET = ("own", "BTCUSDT")
TAPE = rows_of(synthetic_bars("BTCUSDT", HOURS_12, seed=5), MINUTE_MS)
"""720 minutes of the built-in market, as rows that a file may hold."""
COUNT = len(TAPE)
CENTRE = 400


def written(root: Path, *parts: CandleRows) -> tuple[CandleStore, list[WriteCounts]]:
    store = CandleStore(root / "candles")
    counts = [store.write(*MARKET, [SourceRows(f"part {at}", part)])[0] for at, part in enumerate(parts)]
    return store, counts


def report_of(store: CandleStore, window: Window = HOURS_12) -> QualityReport:
    return check_store(store, *MARKET, window, max_missing=0.02)


def changed(found: CandleRows, at: int, **values: float) -> CandleRows:
    """The rows with other values in one place."""
    columns: dict[str, Any] = {name: getattr(found, name).copy() for name in values}
    for name, value in values.items():
        columns[name][at] = value
    return replace(found, **columns)


@settings(max_examples=40, deadline=None)
@given(gone=st.sets(st.integers(0, COUNT - 1), max_size=80))
def test_row_36_gaps_are_recorded_and_masked_never_filled(tmp_path_factory: pytest.TempPathFactory,
                                                          gone: set[int]) -> None:
    root = tmp_path_factory.mktemp("gaps")
    kept = np.setdiff1d(np.arange(COUNT), sorted(gone))
    store, _ = written(root, TAPE.take(kept))
    report = report_of(store)
    runs = [run for run in re.split("x+", "".join("." if at in gone else "x" for at in range(COUNT))) if run]
    assert (report.missing, report.gap_count) == (len(gone), len(runs))
    assert sorted((gap.missing for gap in report.gaps), reverse=True) == sorted(map(len, runs), reverse=True)[:20]
    assert report.completeness == (COUNT - len(gone)) / COUNT
    assert report.ok == (len(gone) <= 0.02 * COUNT)
    bars = read_bars(root, "BTCUSDT", "1m", HOURS_12, venue="own")
    assert np.array_equal(bars.open_time, TAPE.open_time[kept])
    assert np.array_equal(bars.close, TAPE.close[kept])
    for name, minutes_in, may_lack in (("5m", 5, 0), ("60m", 60, 6)):
        lacking = np.bincount(np.array(sorted(gone), dtype=np.int64) // minutes_in, minlength=COUNT // minutes_in)
        opens = START + np.arange(COUNT // minutes_in) * minutes_in * MINUTE_MS
        longer = read_bars(root, "BTCUSDT", name, HOURS_12, venue="own")
        assert longer.open_time.tolist() == opens[lacking <= may_lack].tolist()
        few = opens[(lacking > may_lack) & (lacking < minutes_in)].tolist()
        assert masked(bars.open_time, minutes_in).tolist() == few
        assert getattr(report, f"masked_{name}") == len(few)


@pytest.mark.parametrize("separate", [False, True])
def test_row_37_equal_duplicates_are_stored_once_and_conflicting_ones_quarantined(tmp_path: Path,
                                                                                  separate: bool) -> None:
    equal = TAPE.take(np.arange(100, 110))
    conflicting = changed(TAPE.take(np.arange(200, 203)), 1, close=float(TAPE.low[201]))
    parts = [TAPE, equal, conflicting]
    store, counts = written(tmp_path, *(parts if separate else [joined(parts)]))
    assert [sum(getattr(one, name) for one in counts) for name in ("new", "duplicates", "conflicts", "quarantined")] \
        == [COUNT, 12, 1, 0]
    assert store.rows(*MARKET).close.tolist() == TAPE.close.tolist()
    kept = store.quarantined(*MARKET)
    assert kept.reasons.tolist() == ["another bar with this open time and other values is stored"]
    assert kept.rows.close.tolist() == [TAPE.low[201]]
    assert report_of(store).duplicates == 1
    assert report_of(store).verdict == "usable"


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(60)))
def test_row_38_rows_out_of_order_give_the_bytes_of_sorted_ones(tmp_path_factory: pytest.TempPathFactory,
                                                                order: list[int]) -> None:
    root = tmp_path_factory.mktemp("order")
    lines = spot_csv(minutes(60, START)).splitlines(keepends=True)
    for name, text in (("sorted", lines), ("shuffled", [lines[at] for at in order])):
        import_candles(zipped(root / name / "BTCUSDT-1m-2025-03-10.zip", "".join(text)), CandleStore(root / name / "s"))
    assert tree(root / "sorted" / "s") == tree(root / "shuffled" / "s")
    assert check_file(root / "shuffled" / "BTCUSDT-1m-2025-03-10.zip") == check_file(
        root / "sorted" / "BTCUSDT-1m-2025-03-10.zip")


def test_row_39_bars_without_volume_are_kept_and_flagged(tmp_path: Path) -> None:
    frozen = TAPE
    for at in (*range(300, 340), 500):
        price = float(TAPE.close[299])
        frozen = changed(frozen, at, volume=0.0, open=price, high=price, low=price, close=price)
    store, (counts,) = written(tmp_path, frozen)
    assert (counts.new, counts.quarantined) == (COUNT, 0)
    report = report_of(store)
    assert (report.zero_volume, report.zero_volume_longest, report.usable) == (41, 40, COUNT)
    assert "41 zero-volume bars (40 in a row)" in report.summary
    assert store.read(*MARKET).volume[300:340].tolist() == [0.0] * 40


@pytest.mark.parametrize("values", [
    {"open": -1.0}, {"close": 0.0}, {"low": -0.01}, {"high": float("nan")}, {"close": float("inf")},
    {"volume": -1.0}, {"volume": float("nan")}, {"high": 1.0}, {"low": 1e9},
])
def test_row_40_a_bar_that_no_market_printed_is_quarantined_as_it_came(tmp_path: Path,
                                                                       values: dict[str, float]) -> None:
    broken = changed(TAPE, CENTRE, **values)
    store, (counts,) = written(tmp_path, broken)
    assert (counts.new, counts.quarantined) == (COUNT - 1, 1)
    assert TAPE.open_time[CENTRE] not in store.read(*MARKET).open_time
    kept = store.quarantined(*MARKET)
    for name, value in values.items():
        assert np.array_equal(getattr(kept.rows, name), [value], equal_nan=True)
    report = report_of(store)
    assert (report.impossible, report.missing, report.quarantined) == (1, 1, 1)


@pytest.mark.parametrize(("count", "usable"), [(14, True), (15, False)])
def test_row_40_above_the_limit_the_window_is_unusable(tmp_path: Path, count: int, usable: bool) -> None:
    broken = TAPE
    for at in range(count):
        broken = changed(broken, 7 * at, low=float(TAPE.high[7 * at]) * 2)
    store, _ = written(tmp_path, broken)
    assert report_of(store).ok == usable


def test_row_41_a_price_times_a_hundred_is_flagged_and_held_against_other_markets(tmp_path: Path) -> None:
    slipped = TAPE
    for name in ("open", "high", "low", "close"):
        slipped = changed(slipped, CENTRE, **{name: float(getattr(TAPE, name)[CENTRE]) * 100})
    store, _ = written(tmp_path, slipped)
    other = rows_of(synthetic_bars("ETHUSDT", HOURS_12, seed=5), MINUTE_MS)
    store.write("own", "ETHUSDT", [SourceRows("generator", other)])
    report = check_store(store, *MARKET, HOURS_12, peers=["BTCUSDT", "ETHUSDT"])
    (spike,) = report.spike_bars
    assert (spike.open_time_ms, spike.side, round(spike.times)) == (int(TAPE.open_time[CENTRE]), "up", 100)
    assert spike.others is not None
    assert spike.others < 0.02
    assert (report.spikes_confirmed, report.verdict) == (0, "usable")
    assert "1 prices that stand alone" in report.summary
    assert check_store(store, "own", "ETHUSDT", HOURS_12, peers=["BTCUSDT"]).spikes == 0
    assert store.read(*MARKET).close[CENTRE] == slipped.close[CENTRE]


@settings(max_examples=40, deadline=None)
@given(micro=st.lists(st.booleans(), min_size=30, max_size=30))
def test_row_42_milliseconds_and_microseconds_may_change_from_row_to_row(tmp_path_factory: pytest.TempPathFactory,
                                                                         micro: list[bool]) -> None:
    root = tmp_path_factory.mktemp("units")
    tape = minutes(30, START)
    text = "".join(spot_csv([one], 1000 if fine else 1) for one, fine in zip(tape, micro, strict=True))
    found = read_candle_file(zipped(root / "BTCUSDT-1m-2025-03-10.zip", text)).rows
    assert found.open_time.tolist() == [one[0] for one in tape]
    assert (found.close_time - found.open_time).tolist() == [MINUTE_MS] * 30


@pytest.mark.parametrize("factor", [0.001, 1e-6, 1e6, -1])
def test_row_42_a_stamp_of_any_other_unit_is_refused_with_its_row(tmp_path: Path, factor: float) -> None:
    lines = spot_csv(minutes(30, START)).splitlines(keepends=True)
    stamp, _, rest = lines[17].partition(",")
    lines[17] = f"{int(int(stamp) * factor)},{rest}"
    path = zipped(tmp_path / "BTCUSDT-1m-2025-03-10.zip", "".join(lines))
    with pytest.raises(CandleFileError, match=r"column open_time, row 18: found .*milliseconds or microseconds"):
        import_candles(path, CandleStore(tmp_path / "s"))


@pytest.mark.shared
def test_row_42_recorded_files_on_both_sides_of_2025_are_read_in_their_unit(shared_data: Path) -> None:
    folder = shared_data / "raw_binance_archive/spot_monthly_csv/1h"
    before, after = (read_candle_file(folder / f"BTCUSDT-1h-{month}.csv").rows for month in ("2024-12", "2025-01"))
    assert after.open_time[0] - before.open_time[-1] == 3_600_000
    assert set(np.diff(after.open_time).tolist()) == {3_600_000}


def _readme_rows() -> list[tuple[str, int, int, int, int]]:
    """File, rows, gaps, missing bars and zero-volume bars of the table of candle files in the data's README."""
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "README.md"
    if not path.is_file():
        return []
    form = re.compile(r"^\| (\S+\.parquet) \| ([\d,]+) \| [^|]+ \| [^|]+ \| (\d+) \((\d+)\) \| (\d+) \|", re.MULTILINE)
    return [(name, int(count.replace(",", "")), int(gaps), int(missing), int(silent))
            for name, count, gaps, missing, silent in form.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.shared
def test_the_readme_names_every_candle_file(shared_data: Path) -> None:
    files = {path.relative_to(shared_data / "candles").as_posix() for path in shared_data.glob("candles/**/*.parquet")}
    assert files == {name for name, *_ in _readme_rows()}
    assert len(files) == 32


@pytest.mark.shared
@pytest.mark.parametrize(("name", "count", "gaps", "missing", "silent"), _readme_rows())
def test_a_check_of_a_recorded_file_reports_exactly_what_the_readme_states(
        shared_data: Path, name: str, count: int, gaps: int, missing: int, silent: int) -> None:
    report = check_file(shared_data / "candles" / name)
    found = (report.present, report.gap_count, report.missing, report.zero_volume)
    assert found == (count, gaps, missing, silent)
    assert (report.duplicates, report.impossible, report.quarantined, report.irregular_closes) == (0, 0, 0, 0)
    assert report.off_minute == (20_401 + 1_201 if "irregular" in name else 0)


def _moment(text: str) -> int:
    return int(np.datetime64(text, "ms").astype(np.int64))


@pytest.mark.shared
@pytest.mark.parametrize(("symbol", "halted"), [
    ("BTCUSDT", "2023-03-24T12:39:41.647"), ("ETHUSDT", "2023-03-24T12:39:43.062"),
    ("SOLUSDT", "2023-03-24T12:39:46.949"),
])
def test_the_outage_of_march_2023_is_found_frozen_run_and_mid_minute_close_included(shared_data: Path, symbol: str,
                                                                                    halted: str) -> None:
    report = check_file(shared_data / f"raw_binance_archive/spot_daily_zip/1m/{symbol}-1m-2023-03-24.zip")
    (gap,) = report.gaps
    assert (gap.last_before_ms, gap.first_after_ms, gap.missing) == (
        _moment("2023-03-24T12:39"), _moment("2023-03-24T14:00"), 80)
    assert (report.zero_volume, report.zero_volume_longest) == (72, 72)
    (early,) = report.early_closes
    assert early.open_time_ms == _moment("2023-03-24T12:39")
    assert early.close_time_ms == _moment(halted), "the first moment after the archive's close time"
    assert (report.spikes, report.verdict) == (0, "unusable")
    whole = check_file(shared_data / f"candles/binance_spot/1m/{symbol}_2022-01-01_2023-12-31.parquet")
    assert gap in whole.gaps


@pytest.mark.shared
def test_the_nineteen_hours_that_bnb_lacks_are_found_and_stop_a_day_on_them(shared_data: Path,
                                                                            tmp_path: Path) -> None:
    path = shared_data / "candles/binance_spot/1m/BNBUSDT_2021-04-02_2021-06-15.parquet"
    known = {("2021-04-20T01:59", "2021-04-20T04:30"), ("2021-04-25T04:00", "2021-04-25T08:45"),
             ("2021-05-14T20:26", "2021-05-15T15:25")}
    gaps = {(gap.last_before_ms, gap.first_after_ms): gap.missing for gap in check_file(path).gaps}
    assert set(gaps) == {(_moment(before), _moment(after)) for before, after in known}
    assert gaps[_moment("2021-05-14T20:26"), _moment("2021-05-15T15:25")] == 1138
    store = CandleStore(tmp_path)
    import_candles(path, store)
    end = day_start_ms(date(2021, 5, 16))
    week = check_store(store, "binance_spot", "BNBUSDT", Window(end - 7 * DAY_MS, end))
    assert (week.missing, week.ok) == (1138, False)
    assert check_store(store, "binance_spot", "BNBUSDT", Window(end, end + 7 * DAY_MS)).completeness == 1.0


@pytest.mark.shared
def test_stamps_off_the_minute_in_2017_and_2018_are_counted_to_the_bar(shared_data: Path) -> None:
    file = read_candle_file(shared_data / "candles/binance_spot_irregular/BTCUSDT_1m_2017-08-17_2018-03-31.parquet")
    off = file.rows.open_time[file.rows.open_time % MINUTE_MS != 0]
    first, second = off[off < _moment("2018-01-01")], off[off >= _moment("2018-01-01")]
    assert (first.size, first[0], first[-1]) == (20_401, _moment("2017-12-04T06:00:20.799"),
                                                 _moment("2017-12-18T10:00:20.799"))
    assert (second.size, second[0], second[-1]) == (1_201, _moment("2018-02-09T09:59:14.789"),
                                                    _moment("2018-02-10T05:59:14.789"))
    report = check_file(shared_data / "candles/binance_spot_irregular/BTCUSDT_1m_2017-08-17_2018-03-31.parquet")
    assert max(gap.missing for gap in report.gaps) == 2010
    assert report.off_minute == first.size + second.size


@pytest.mark.shared
def test_a_bar_that_binance_corrected_is_a_revision_with_both_recorded_values(shared_data: Path,
                                                                              tmp_path: Path) -> None:
    """BTC 2022-04-28 01:35: one recording has the low 39,409.30, a later one 39,395.41, which is also its close."""
    file = read_candle_file(shared_data / "candles/binance_spot/1m/BTCUSDT_2022-01-01_2023-12-31.parquet")
    day = Window(_moment("2022-04-28"), _moment("2022-04-29"))
    later = file.rows.within(day)
    assert later.low[95] == 39_395.41
    earlier = changed(later, 95, low=39_409.30, close=39_409.30)
    store = CandleStore(tmp_path)
    store.write("binance_spot", "BTCUSDT", [SourceRows("first", earlier)], known_at=day.end_ms + 1)
    again = store.write("binance_spot", "BTCUSDT", [SourceRows("again", later)], known_at=day.end_ms + DAY_MS)[0]
    assert (again.revised, again.duplicates) == (1, 1439)
    found = store.revisions("binance_spot", "BTCUSDT")
    assert (found.old.low.tolist(), found.new.low.tolist()) == ([39_409.30], [39_395.41])
    then = store.read("binance_spot", "BTCUSDT", day, known_before=day.end_ms + 2)
    assert isinstance(then, Bars)
    assert (then.low[95], store.read("binance_spot", "BTCUSDT", day).low[95]) == (39_409.30, 39_395.41)
