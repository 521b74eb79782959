"""Downloading what the store misses: plan, archive, REST, and what the report says of every fault."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import candle, minutes, rows
from fake_exchange import FakeExchange, Reply, exchange_client, fake_exchange
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archive_download import serve, zipped

from daybook.core.errors import LockedError
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms
from daybook.market import CandleStore
from daybook.market.binance_archive import BinanceArchive, day_file, month_file
from daybook.market.download import DownloadRequest, Sources, download_candles
from daybook.market.download_plan import archive_files, joined_spans, missing_spans
from daybook.market.download_report import DownloadReport
from daybook.market.http_errors import StatusError, UnreachableError
from daybook.market.rows import CandleRows
from daybook.market.store import SourceRows

SPOT = "binance_spot"
MARCH = day_start_ms(date(2023, 3, 20))
LATER = day_start_ms(date(2023, 6, 1))


@dataclass
class Rest:
    """A REST interface that has these bars, or fails."""

    rows: CandleRows = field(default_factory=lambda: rows([]))
    error: Exception | None = None
    asked: list[Window] = field(default_factory=list)

    def candles(self, symbol: str, window: Window) -> CandleRows:
        self.asked.append(window)
        if self.error:
            raise self.error
        return self.rows.within(window)


@dataclass
class Place:
    """A store, an archive on a local server, and a REST interface."""

    exchange: FakeExchange
    archive: BinanceArchive
    store: CandleStore
    rest: Rest = field(default_factory=Rest)

    def download(self, first: int, end: int, *, now_ms: int = LATER, symbols: tuple[str, ...] = ("BTCUSDT",),
                 venue: str = SPOT, recheck: bool = False) -> DownloadReport:
        request = DownloadRequest(symbols, Window(first, end), now_ms, recheck, jobs=2)
        return download_candles(self.store, Sources(venue, self.rest, self.archive), request)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with fake_exchange() as exchange, exchange_client(exchange) as client:
        yield Place(exchange, BinanceArchive(client, exchange.url, tmp_path / "archives"),
                    CandleStore(tmp_path / "candles"))


def serve_days(place: Place, folder: Path, symbol: str = "BTCUSDT") -> None:
    for file in sorted((folder / "raw_binance_archive/spot_daily_zip/1m").glob(f"{symbol}-1m-2023-03-*.zip")):
        place.exchange.serve_archive(file)


def day_zip(day: date, count: int = 1440) -> bytes:
    """A made day in the archive's form."""
    start = day_start_ms(day)
    lines = "".join(f"{start + n * MINUTE_MS},100.00000000,102.00000000,98.00000000,101.00000000,{n + 1}.00000000,"
                    f"{start + n * MINUTE_MS + 59_999},1.0,1,1.0,1.0,0\n" for n in range(count))
    return zipped(lines.encode(), f"BTCUSDT-1m-{day}.csv")


@pytest.mark.shared
def test_nine_recorded_days_come_once_and_a_refresh_asks_nothing(place: Place, shared_data: Path) -> None:
    serve_days(place, shared_data)
    report = place.download(MARCH, MARCH + 9 * DAY_MS)
    assert (report.fetched, report.new, report.failed, report.stale) == (9, 9 * 1440 - 80, (), False)
    assert [(one.name, one.rows, one.minutes) for one in report.short] == [("BTCUSDT-1m-2023-03-24.zip", 1360, 1440)]
    assert len(place.store.read(SPOT, "BTCUSDT")) == 9 * 1440 - 80
    asked = len(place.exchange.asked)
    again = place.download(MARCH, MARCH + 9 * DAY_MS)
    assert len(place.exchange.asked) == asked
    assert (again.fetched, again.new, again.present) == (0, 0, 1)
    assert place.rest.asked == []


@pytest.mark.shared
def test_a_refresh_fetches_only_what_is_missing(place: Place, shared_data: Path) -> None:
    serve_days(place, shared_data)
    place.download(MARCH, MARCH + 2 * DAY_MS)
    place.exchange.asked.clear()
    report = place.download(MARCH, MARCH + 4 * DAY_MS)
    assert report.fetched == 2
    assert {path.removesuffix(".CHECKSUM")[-14:] for path in place.exchange.paths()} == {
        "2023-03-22.zip", "2023-03-23.zip"}


@pytest.mark.shared
def test_a_whole_month_comes_as_one_file(place: Place, shared_data: Path) -> None:
    text = (shared_data / "raw_binance_archive/usdm_monthly_csv/1m/FILUSDT-1m-2025-02.csv").read_bytes()
    file = month_file("binance_usdm", "FILUSDT", date(2025, 2, 1))
    serve(place.exchange, zipped(text, "FILUSDT-1m-2025-02.csv"), file)
    report = place.download(file.window.start_ms, file.window.end_ms, now_ms=file.window.end_ms + 30 * DAY_MS,
                            symbols=("FILUSDT",), venue="binance_usdm")
    assert (report.fetched, report.new) == (1, 40_320)
    assert len(place.exchange.asked) == 2
    assert place.store.symbols("binance_usdm") == ("FILUSDT",)


@pytest.mark.shared
def test_several_markets_go_beside_each_other(place: Place, shared_data: Path) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        serve_days(place, shared_data, symbol)
    names: list[str] = []
    request = DownloadRequest(("BTCUSDT", "ETHUSDT", "SOLUSDT"), Window(MARCH, MARCH + 2 * DAY_MS), LATER)
    report = download_candles(place.store, Sources(SPOT, place.rest, place.archive), request,
                              lambda done, total, name: names.append(f"{done}/{total} {name}"))
    assert report.new == 3 * 2 * 1440
    assert sorted(name.split()[0] for name in names) == ["1/2"] * 3 + ["2/2"] * 3


def test_row_32_an_unpublished_day_is_pending_asked_over_rest_and_never_filled(place: Place) -> None:
    day = MARCH + 3 * DAY_MS
    place.rest.rows = rows(minutes(700, day))
    report = place.download(day, day + DAY_MS, now_ms=day + DAY_MS + 3_600_000)
    assert report.pending == ("BTCUSDT-1m-2023-03-23.zip",)
    assert report.absent == ()
    assert place.rest.asked == [Window(day, day + DAY_MS)]
    assert (report.new, report.short[0].rows) == (700, 700)
    assert len(place.store.read(SPOT, "BTCUSDT")) == 700


def test_row_32_a_day_that_nobody_has_yet_stays_missing(place: Place) -> None:
    place.rest.error = UnreachableError("api: no usable answer")
    day = MARCH + 3 * DAY_MS
    report = place.download(day, day + DAY_MS, now_ms=day + DAY_MS + 3_600_000)
    assert report.pending == ("BTCUSDT-1m-2023-03-23.zip",)
    assert report.new == 0
    assert place.store.symbols(SPOT) == ()


def test_row_32_a_day_that_the_archive_is_late_with_is_asked_over_rest_however_late(place: Place) -> None:
    day = MARCH + 3 * DAY_MS
    place.rest.rows = rows(minutes(1440, day))
    report = place.download(day, day + DAY_MS, now_ms=day + 9 * DAY_MS)
    assert report.absent == ("BTCUSDT-1m-2023-03-23.zip",)
    assert (report.new, place.rest.asked) == (1440, [Window(day, day + DAY_MS)])


def test_the_running_day_is_asked_over_rest_up_to_now_only(place: Place) -> None:
    now = MARCH + 90 * MINUTE_MS + 1234
    place.rest.rows = rows(minutes(2000, MARCH))
    report = place.download(MARCH, MARCH + 5 * DAY_MS, now_ms=now)
    assert place.exchange.asked == []
    assert place.rest.asked == [Window(MARCH, MARCH + 90 * MINUTE_MS)]
    assert report.new == 90


def test_a_market_that_was_not_traded_yet_is_absent_after_two_questions(place: Place) -> None:
    start = day_start_ms(date(2020, 1, 1))
    report = place.download(start, day_start_ms(date(2020, 3, 1)))
    assert report.absent == ("BTCUSDT-1m-2020-01.zip", "BTCUSDT-1m-2020-02.zip")
    assert len(place.exchange.asked) == 4
    assert place.rest.asked == []


def test_a_month_that_is_not_out_yet_comes_by_days(place: Place) -> None:
    start, end = day_start_ms(date(2023, 2, 1)), day_start_ms(date(2023, 3, 1))
    for number in range(28):
        day = date(2023, 2, 1 + number)
        serve(place.exchange, day_zip(day, 3), day_file(SPOT, "BTCUSDT", day))
    report = place.download(start, end, now_ms=end + 2 * DAY_MS)
    assert (report.fetched, report.new, len(report.short)) == (28, 84, 28)
    assert report.pending == ()


def test_row_35_an_unreachable_archive_leaves_rest_and_marks_the_report_stale(place: Place) -> None:
    for number in range(6):
        file = day_file(SPOT, "BTCUSDT", date(2023, 3, 20 + number))
        place.exchange.routes[f"/{file.path}.CHECKSUM"] = Reply(b"", 503)
    place.rest.rows = rows(minutes(6 * 1440, MARCH))
    report = place.download(MARCH, MARCH + 6 * DAY_MS)
    assert report.stale
    assert len(report.failed) == 6
    assert report.new == 6 * 1440
    # Two files at a time fail in five attempts each; the host then counts as down for the rest.
    assert len(place.exchange.asked) <= 15
    assert "STALE" in report.summary


def test_row_35_when_nothing_answers_the_store_keeps_what_it_has(place: Place) -> None:
    place.store.write(SPOT, "BTCUSDT", [SourceRows("before", rows(minutes(1440, MARCH)))])
    before = place.store.read(SPOT, "BTCUSDT").data_hash
    place.rest.error = UnreachableError("api: no usable answer")
    file = day_file(SPOT, "BTCUSDT", date(2023, 3, 21))
    place.exchange.routes[f"/{file.path}.CHECKSUM"] = Reply(b"", 503)
    report = place.download(MARCH, MARCH + 2 * DAY_MS)
    assert report.stale
    assert len(report.failed) == 2
    assert place.store.read(SPOT, "BTCUSDT").data_hash == before


def test_row_35_minutes_that_the_exchange_refuses_to_give_are_stale(place: Place) -> None:
    place.rest.error = StatusError("api: refused with status 451 (restricted location).", 451)
    report = place.download(MARCH, MARCH + DAY_MS, now_ms=MARCH + 2 * DAY_MS)
    assert (report.stale, len(report.failed)) == (True, 1)


def test_row_34_a_ban_by_the_archive_is_reported_and_not_pressed(place: Place) -> None:
    for number in range(9):
        file = day_file(SPOT, "BTCUSDT", date(2023, 3, 20 + number))
        place.exchange.routes[f"/{file.path}.CHECKSUM"] = Reply(b"", 418)
    report = place.download(MARCH, MARCH + 9 * DAY_MS)
    assert report.stale
    assert len(place.exchange.asked) <= 2
    assert all("418" in one.reason for one in report.failed)


def test_row_31_a_day_with_a_bad_checksum_comes_over_rest_and_is_reported(place: Place) -> None:
    file = day_file(SPOT, "BTCUSDT", date(2023, 3, 20))
    serve(place.exchange, day_zip(date(2023, 3, 20)), file)
    place.exchange.routes[f"/{file.path}"] = Reply(day_zip(date(2023, 3, 20), 7))
    place.rest.rows = rows(minutes(1440, MARCH))
    report = place.download(MARCH, MARCH + DAY_MS)
    assert "SHA-256" in report.failed[0].reason
    assert not report.stale
    assert report.new == 1440


@pytest.mark.parametrize("body", [
    day_zip(date(2023, 3, 25)), day_zip(date(2023, 3, 19)), zipped(b"1,2,3\n", "BTCUSDT-1m-2023-03-20.csv"),
    zipped(b"", "BTCUSDT-1m-2023-03-20.csv"), zipped(b"x", "../evil.csv"),
])
def test_row_44_a_file_that_holds_something_else_is_put_aside(place: Place, body: bytes) -> None:
    file = day_file(SPOT, "BTCUSDT", date(2023, 3, 20))
    for other in ("2023-03-25", "2023-03-19"):  # another day's bars under this day's name
        if other.encode() in body:
            inner = zipfile.ZipFile(io.BytesIO(body)).read(f"BTCUSDT-1m-{other}.csv")
            body = zipped(inner, "BTCUSDT-1m-2023-03-20.csv")
    place.rest.rows = rows(minutes(1440, MARCH))
    serve(place.exchange, body, file)
    report = place.download(MARCH, MARCH + DAY_MS)
    assert len(report.failed) == 1
    assert not place.archive.local(file).exists()
    assert (place.archive.folder / "_quarantine" / f"{file.name}.refused").is_file()
    assert place.rest.asked == [Window(MARCH, MARCH + DAY_MS)]
    assert report.new == 1440


def test_a_short_file_that_was_completed_later_is_taken_in_by_a_recheck(place: Place) -> None:
    file = day_file(SPOT, "BTCUSDT", date(2023, 3, 20))
    serve(place.exchange, day_zip(date(2023, 3, 20), 230), file)
    assert place.download(MARCH, MARCH + DAY_MS).short[0].rows == 230
    serve(place.exchange, day_zip(date(2023, 3, 20)), file)
    assert place.download(MARCH, MARCH + DAY_MS).new == 0
    again = place.download(MARCH, MARCH + DAY_MS, recheck=True)
    assert (again.fetched, again.new, again.short) == (1, 1440 - 230, ())


@pytest.mark.shared
def test_row_23_a_day_published_anew_is_a_revision_that_past_days_do_not_see(place: Place, shared_data: Path) -> None:
    recorded = shared_data / "raw_binance_archive/spot_daily_zip/1m/BTCUSDT-1m-2023-03-20.zip"
    place.exchange.serve_archive(recorded)
    place.download(MARCH, MARCH + DAY_MS, now_ms=MARCH + 2 * DAY_MS)
    before = place.store.read(SPOT, "BTCUSDT")
    text = zipfile.ZipFile(recorded).read("BTCUSDT-1m-2023-03-20.csv").split(b"\n")
    cells = text[95].split(b",")
    cells[3] = b"%.8f" % (float(cells[3]) - 13.89)
    text[95] = b",".join(cells)
    file = day_file(SPOT, "BTCUSDT", date(2023, 3, 20))
    serve(place.exchange, zipped(b"\n".join(text), "BTCUSDT-1m-2023-03-20.csv"), file)
    report = place.download(MARCH, MARCH + DAY_MS, now_ms=LATER, recheck=True)
    assert (report.revised, report.duplicates, report.conflicts) == (1, 1439, 0)
    assert "1 revised bars" in report.summary
    now = place.store.read(SPOT, "BTCUSDT")
    assert now.low[95] == pytest.approx(before.low[95] - 13.89)
    assert place.store.read(SPOT, "BTCUSDT", known_before=LATER - 1).data_hash == before.data_hash
    (revision,) = place.store.revisions(SPOT, "BTCUSDT").known_at.tolist()
    assert revision == LATER


def test_a_venue_without_archive_is_asked_over_rest_for_each_hole(place: Place) -> None:
    place.store.write("blofin_swap", "BTCUSDT", [SourceRows("before", rows(minutes(1440, MARCH + DAY_MS)))])
    place.rest.rows = rows(minutes(3 * 1440, MARCH))
    request = DownloadRequest(("BTCUSDT",), Window(MARCH, MARCH + 3 * DAY_MS), LATER)
    report = download_candles(place.store, Sources("blofin_swap", place.rest), request)
    assert place.rest.asked == [Window(MARCH, MARCH + DAY_MS), Window(MARCH + 2 * DAY_MS, MARCH + 3 * DAY_MS)]
    assert report.new == 2 * 1440


def test_two_downloads_of_one_venue_never_run_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daybook.market.store.LOCK_TIMEOUT_S", 0.1)
    with CandleStore(place.store.root).locked(f"download.{SPOT}"), pytest.raises(LockedError, match="another process"):
        place.download(MARCH, MARCH + DAY_MS)
    assert place.exchange.asked == []


def test_nothing_is_asked_about_the_future(place: Place) -> None:
    report = place.download(LATER, LATER + DAY_MS, now_ms=MARCH)
    assert place.exchange.asked == []
    assert place.rest.asked == []
    assert "nothing was missing" in report.summary


def test_missing_spans_lie_in_one_day_each() -> None:
    window = Window(MARCH, MARCH + 3 * DAY_MS)
    every = np.arange(window.start_ms, window.end_ms, MINUTE_MS)
    assert missing_spans(every, window) == []
    gaps = np.delete(every, [0, 5, 1439, 1440, 4000])
    assert missing_spans(gaps, window) == [
        Window(MARCH, MARCH + DAY_MS), Window(MARCH + DAY_MS, MARCH + DAY_MS + MINUTE_MS),
        Window(MARCH + 4000 * MINUTE_MS, MARCH + 4001 * MINUTE_MS),
    ]
    assert len(missing_spans(np.empty(0, np.int64), window)) == 3


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 3 * 1440 - 1), max_size=60), st.integers(0, 100))
def test_every_missing_minute_lies_in_a_span_and_every_span_ends_in_missing_ones(gone: set[int], cut: int) -> None:
    window = Window(MARCH, MARCH + 3 * DAY_MS - cut * MINUTE_MS)
    every = np.arange(window.start_ms, window.end_ms, MINUTE_MS)
    absent = sorted(MARCH + minute * MINUTE_MS for minute in gone if MARCH + minute * MINUTE_MS < window.end_ms)
    spans = missing_spans(np.setdiff1d(every, absent), window)
    assert all(any(span.start_ms <= time < span.end_ms for span in spans) for time in absent)
    assert all(span.start_ms in absent and span.end_ms - MINUTE_MS in absent for span in spans)
    assert len({span.start_ms // DAY_MS for span in spans}) == len(spans)


def test_neighbouring_spans_are_asked_for_at_once() -> None:
    days = [Window(MARCH + number * DAY_MS, MARCH + (number + 1) * DAY_MS) for number in range(4)]
    wanted = {date(2023, 3, 20), date(2023, 3, 21), date(2023, 3, 23)}
    assert joined_spans(days, wanted) == [Window(MARCH, MARCH + 2 * DAY_MS), days[3]]


def test_months_are_planned_where_every_day_of_them_is_missing() -> None:
    days = [date.fromordinal(number) for number in range(date(2023, 1, 30).toordinal(), date(2023, 3, 3).toordinal())]
    names = [file.name for file in archive_files(SPOT, "BTCUSDT", days, lambda _: False)]
    assert names == ["BTCUSDT-1m-2023-01-30.zip", "BTCUSDT-1m-2023-01-31.zip", "BTCUSDT-1m-2023-02.zip",
                     "BTCUSDT-1m-2023-03-01.zip", "BTCUSDT-1m-2023-03-02.zip"]
    held = [file.name for file in archive_files(SPOT, "BTCUSDT", days, lambda file: file.month == "2023-01")]
    assert held[0] == "BTCUSDT-1m-2023-01.zip"


def test_recent_days_are_asked_again_over_rest_where_there_is_no_archive(place: Place) -> None:
    place.store.write("blofin_swap", "BTCUSDT", [SourceRows("before", rows(minutes(4 * 1440, MARCH)))])
    place.rest.rows = rows([candle(MARCH + 3 * DAY_MS, 200.0)])
    request = DownloadRequest(("BTCUSDT",), Window(MARCH, MARCH + 4 * DAY_MS), MARCH + 4 * DAY_MS, recheck_days=2)
    report = download_candles(place.store, Sources("blofin_swap", place.rest), request)
    assert place.rest.asked == [Window(MARCH + 2 * DAY_MS, MARCH + 4 * DAY_MS)]
    assert report.revised == 1
    everything = DownloadRequest(("BTCUSDT",), Window(MARCH, MARCH + 4 * DAY_MS), LATER, recheck=True)
    download_candles(place.store, Sources("blofin_swap", place.rest), everything)
    assert place.rest.asked[1:] == [Window(MARCH, MARCH + 4 * DAY_MS)]
