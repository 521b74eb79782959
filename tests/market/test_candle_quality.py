"""Quality reports: every count by hand, and the recorded files' known faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from candle_tapes import JUNE, candle, minutes, rows, write_candles

from daybook.core.errors import UsageError
from daybook.core.time import MINUTE_MS, Window
from daybook.market.aggregate import aggregate
from daybook.market.importer import import_candles
from daybook.market.quality import MAX_GAPS_LISTED, Gap, QualityReport, Subject, check_file, check_quality, check_rows
from daybook.market.quality import check_store as store_quality
from daybook.market.store import CandleStore, SourceRows

SUBJECT = Subject("binance_spot", "BTCUSDT")


def at(*minutes_present: int) -> list[tuple[int, float, float, float, float, float]]:
    return [candle(JUNE + minute * MINUTE_MS) for minute in minutes_present]


def test_complete_table_is_complete() -> None:
    report = check_rows(rows(minutes(60)), SUBJECT)
    assert (report.expected, report.present, report.usable, report.completeness) == (60, 60, 60, 1.0)
    assert (report.verdict, report.ok) == ("complete", True)
    assert report.summary == ("BTCUSDT 1m on binance_spot: complete, 60 of 60 bars (100.000%; at least 98.0% wanted), "
                              "2023-06-01 00:00 UTC to 2023-06-01 01:00 UTC: nothing wrong")


def test_gaps_are_located_and_their_bars_counted() -> None:
    report = check_rows(rows(at(0, 1, 4, 5, 9)), SUBJECT)
    assert report.gaps == (
        Gap(last_before_ms=JUNE + MINUTE_MS, first_after_ms=JUNE + 4 * MINUTE_MS, missing=2),
        Gap(last_before_ms=JUNE + 5 * MINUTE_MS, first_after_ms=JUNE + 9 * MINUTE_MS, missing=3),
    )
    assert (report.gap_count, report.missing, report.expected, report.usable) == (2, 5, 10, 5)
    assert report.verdict == "unusable"
    assert "2 gaps, 5 missing bars" in report.summary


def test_holes_at_the_windows_edges_count() -> None:
    window = Window(JUNE, JUNE + 10 * MINUTE_MS)
    report = check_rows(rows(at(2, 3, 4, 5, 6)), Subject("binance_spot", "BTCUSDT", window=window))
    assert report.gaps == (Gap(last_before_ms=None, first_after_ms=JUNE + 2 * MINUTE_MS, missing=2),
                           Gap(last_before_ms=JUNE + 6 * MINUTE_MS, first_after_ms=None, missing=3))
    assert (report.expected, report.missing, report.completeness) == (10, 5, 0.5)
    empty = check_rows(rows([]), Subject("binance_spot", "BTCUSDT", window=window))
    assert empty.gaps == (Gap(last_before_ms=None, first_after_ms=None, missing=10),)
    assert empty.completeness == 0.0
    with pytest.raises(UsageError, match="no candle and no window"):
        check_rows(rows([]), SUBJECT)


def test_only_the_windows_rows_count() -> None:
    window = Window(JUNE + 5 * MINUTE_MS, JUNE + 10 * MINUTE_MS)
    assert check_rows(rows(minutes(60)), Subject("x", "BTCUSDT", window=window)).verdict == "complete"


def test_listed_gaps_are_the_longest_in_time_order() -> None:
    starts = [number * 100 for number in range(MAX_GAPS_LISTED + 5)]
    present = [minute for number, start in enumerate(starts) for minute in range(start, start + 99 - number)]
    report = check_rows(rows(at(*present)), SUBJECT)
    assert (report.gap_count, len(report.gaps)) == (MAX_GAPS_LISTED + 4, MAX_GAPS_LISTED)
    times = [gap.last_before_ms for gap in report.gaps]
    assert times == sorted(times)
    assert min(gap.missing for gap in report.gaps) == 5


def test_each_defect_is_counted() -> None:
    tape = [*at(0, 1, 1), (JUNE + 2 * MINUTE_MS + 20_799, 10.0, 12.0, 9.0, 11.0, 1.0),
            (JUNE + 3 * MINUTE_MS, 10.0, 8.0, 9.0, 11.0, 1.0), candle(JUNE + 4 * MINUTE_MS, volume=0.0),
            candle(JUNE + 5 * MINUTE_MS, volume=0.0), candle(JUNE + 6 * MINUTE_MS)]
    closes = [one[0] + MINUTE_MS for one in tape]
    closes[-1] -= 18_353
    report = check_rows(rows(tape, closes), SUBJECT)
    assert report.model_dump(include={"duplicates", "off_minute", "impossible", "zero_volume", "zero_volume_longest",
                                      "irregular_closes", "present", "usable", "expected"}) == {
        "duplicates": 1, "off_minute": 1, "impossible": 1, "zero_volume": 2, "zero_volume_longest": 2,
        "irregular_closes": 1, "present": 7, "usable": 5, "expected": 7}


def test_limit_decides_between_usable_and_unusable() -> None:
    bars = rows([one for one in minutes(100) if one[0] != JUNE + 50 * MINUTE_MS]).bars("x", "BTCUSDT", "1m")
    assert check_quality(bars, max_missing=0.01).verdict == "usable"
    assert check_quality(bars, max_missing=0.009).verdict == "unusable"
    assert not check_quality(bars, max_missing=0.009).ok


def test_longer_bars_are_checked_by_their_own_length() -> None:
    hours = aggregate(rows(minutes(300)).bars("x", "BTCUSDT", "1m"), "60m")
    report = check_quality(hours)
    assert (report.timeframe, report.expected, report.verdict) == ("1h", 5, "complete")


def test_report_survives_json() -> None:
    report = check_rows(rows(at(0, 1, 4)), SUBJECT)
    assert QualityReport.model_validate_json(report.model_dump_json()) == report


def test_store_counts_what_was_refused_but_fills_no_hole_with_it(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    tape = [*at(0, 1), (JUNE + 2 * MINUTE_MS + 20_799, 10.0, 12.0, 9.0, 11.0, 1.0),
            (JUNE + 3 * MINUTE_MS, 10.0, 8.0, 9.0, 11.0, 1.0), *at(4), candle(JUNE, 500.0)]
    store.write("kraken", "BTCUSDT", [SourceRows("a", rows(tape))])
    report = store_quality(store, "kraken", "BTCUSDT", Window(JUNE, JUNE + 5 * MINUTE_MS))
    assert (report.usable, report.missing, report.gap_count) == (3, 2, 1)
    assert (report.off_minute, report.impossible, report.quarantined, report.duplicates) == (1, 1, 3, 1)
    assert report.verdict == "unusable"


def test_file_of_any_interval_is_checked(tmp_path: Path) -> None:
    tape = [candle(JUNE + number * 15 * MINUTE_MS) for number in (0, 1, 2, 5)]
    report = check_file(write_candles(tmp_path / "okx_swap" / "15m" / "BTCUSDT.parquet", tape))
    assert (report.venue, report.timeframe, report.expected, report.missing) == ("okx_swap", "15m", 6, 2)


@pytest.mark.shared
def test_halt_of_march_2023_is_reported(shared_data: Path, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    import_candles(shared_data / "raw_binance_archive" / "spot_daily_zip" / "1m", store, symbols=["BTCUSDT"])
    day = 1_679_616_000_000
    report = store_quality(store, "binance_spot", "BTCUSDT", Window(day, day + 86_400_000), max_missing=0.05)
    assert report.gaps == (Gap(last_before_ms=1_679_661_540_000, first_after_ms=1_679_666_400_000, missing=80),)
    assert (report.zero_volume, report.zero_volume_longest, report.irregular_closes) == (72, 72, 1)
    assert (report.usable, report.verdict) == (1360, "unusable")
