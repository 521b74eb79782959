"""What a day makes of faulty candles: stopped above the limit, flagged below it, stale where nobody answered."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "market"))

from candle_tapes import candle, minutes, rows, spot_csv, zipped
from fake_exchange import FakeClock, FakeExchange, Reply, fake_exchange

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms, parse_day, window_before
from daybook.market import Bars, candle_store, download_sources, http_pace, synthetic_bars
from daybook.market.rows import CandleRows, rows_of
from daybook.market.store import SourceRows
from daybook.pipeline.cli import app
from daybook.pipeline.day import Day
from daybook.pipeline.refresh import RECHECK_DAYS, refresh_facts, refresh_from_exchange
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.seal import seal_run
from daybook.pipeline.steps import findings
from daybook.pipeline.steps.findings import notices
from daybook.pipeline.steps.score import quality_rows, score_pools
from daybook.report import Headline, Metric, Trials, tables

DAY = "2026-01-15"
HISTORY = window_before(parse_day(DAY), 14)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def settings_of(root: Path, **given: Any) -> Settings:
    places = {"data": root / "data", "runs": root / "runs", "symbols": ",".join(SYMBOLS), "history_days": 14,
              "source": "files", "venue": "own"}
    return load_settings({**places, **given}, environment={})


def stored(root: Path, venue: str = "own", **broken: Any) -> None:
    """14 days of both markets; `broken` turns a symbol's rows into others before they are stored."""
    for symbol in SYMBOLS:
        bars = synthetic_bars(symbol, HISTORY, seed=1)
        columns = [np.array(getattr(bars, name)) for name in ("open_time", "open", "high", "low", "close", "volume")]
        plain = rows_of(Bars(venue, symbol, "1m", *columns), MINUTE_MS)
        turned = broken.get(symbol, lambda found: found)(plain)
        candle_store(root / "data").write(venue, symbol, [SourceRows("generator", turned)])


def sealed(root: Path, settings: Settings) -> Day:
    return Day(root / "run", "00_score", seal_run(root / "run", RunRequest(DAY, settings), 1), settings)


def times_hundred(found: CandleRows) -> CandleRows:
    """One bar in the middle of the last day, every price a hundred times what it was."""
    changed = {}
    for name in ("open", "high", "low", "close"):
        values = getattr(found, name).copy()
        values[-700] *= 100
        changed[name] = values
    return replace(found, **changed)


def impossible(count: int) -> Any:
    """So many bars of the last day broken: negative, NaN, or high below low, in turn."""
    def turned(found: CandleRows) -> CandleRows:
        changed = {name: getattr(found, name).copy() for name in ("open", "high", "close")}
        for number in range(count):
            at = len(found) - 2 * number - 5
            changed["open"][at] = -1.0 if number % 3 == 0 else changed["open"][at]
            changed["close"][at] = np.nan if number % 3 == 1 else changed["close"][at]
            changed["high"][at] = found.low[at] / 2 if number % 3 == 2 else changed["high"][at]
        return replace(found, **changed)

    return turned


@pytest.mark.parametrize(("count", "stops"), [(3, False), (144, False), (145, True), (700, True)])
def test_row_40_impossible_bars_stop_a_day_above_the_limit(tmp_path: Path, count: int, stops: bool) -> None:
    stored(tmp_path, BTCUSDT=impossible(count))
    kept = candle_store(tmp_path / "data").quarantined("own", "BTCUSDT")
    assert len(kept) == count
    settings = settings_of(tmp_path)
    if stops:
        with pytest.raises(DataError, match=rf"BTCUSDT 1m on own: unusable.*{count} impossible bars.*max_missing"):
            seal_run(tmp_path / "run", RunRequest(DAY, settings), 1)
        return
    (broken, whole) = quality_rows(sealed(tmp_path, settings))
    assert (broken.impossible, broken.quarantined, broken.missing) == (count, count, count)
    assert (whole.impossible, whole.missing) == (0, 0)
    assert any(f"{count:,} impossible rows were set aside" in one.message for one in notices((broken,), ()))


def test_row_41_a_price_times_a_hundred_is_flagged_on_the_page_and_in_the_report(tmp_path: Path) -> None:
    stored(tmp_path, BTCUSDT=times_hundred)
    day = sealed(tmp_path, settings_of(tmp_path))
    quality = day.inputs["markets"]["BTCUSDT"]["quality"]
    assert (quality["spikes"], quality["spikes_confirmed"]) == (1, 0)
    (spike,) = quality["spike_bars"]
    assert spike["open_time_ms"] == HISTORY.end_ms - 700 * MINUTE_MS
    assert spike["times"] == pytest.approx(100, rel=0.05)
    assert abs(spike["others"]) < 0.02
    found = quality_rows(day)
    assert [row.spikes for row in found] == [1, 0]
    assert any("no other market moved" in one.message for one in notices(found, ()))
    assert "lonely" in tables.data_quality(found).markup
    assert day.minute_bars["BTCUSDT"].high[-700] == candle_store(tmp_path / "data").read("own", "BTCUSDT").high[-700]


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeExchange]:
    from daybook.market.http import ExchangeClient

    def without_sleep(servers: list[str], *, clock: http_pace.Clock | None, weights: dict[str, int]) -> ExchangeClient:
        assert clock is None
        return ExchangeClient(servers, clock=FakeClock().clock, weights=weights)

    with fake_exchange() as running:
        for name in ("BINANCE_ARCHIVE", "BINANCE_SPOT", "BINANCE_USDM", "BLOFIN"):
            monkeypatch.setenv(f"DAYBOOK_{name}_URL", running.url)
        monkeypatch.setattr(download_sources, "ExchangeClient", without_sleep)
        yield running


def binance(root: Path, **given: Any) -> Settings:
    return load_settings({"source": "binance", "data": root / "data", "runs": root / "runs", "history_days": 14,
                          "symbols": ",".join(SYMBOLS), **given})


def almost_all(found: CandleRows) -> CandleRows:
    """The last twenty minutes are not here yet."""
    return found.take(slice(0, len(found) - 20))


def test_row_35_a_day_on_stored_candles_of_a_silent_exchange_says_stale_on_its_pages(exchange: FakeExchange,
                                                                                     tmp_path: Path) -> None:
    exchange.routes["/api/v3/time"] = Reply(b"", 503)
    exchange.routes |= {f"/data/spot/daily/klines/{symbol}/1m/{symbol}-1m-2026-01-14.zip.CHECKSUM": Reply(b"", 503)
                        for symbol in SYMBOLS}
    stored(tmp_path, "binance_spot", BTCUSDT=almost_all, ETHUSDT=almost_all)
    day = sealed(tmp_path, binance(tmp_path))
    assert day.inputs["refresh"]["stale"] is True
    found = quality_rows(day)
    assert [(row.stale, row.missing) for row in found] == [(True, 20), (True, 20)]
    assert notices(found, ())[0].message.startswith("stale: the exchange could not be reached, so candles of BTCUSDT")
    assert "BTCUSDT 1m (stale)" in tables.data_quality(found).markup
    headline = score_pools(day).headline
    assert headline.verdict.startswith("STALE: the exchange could not be reached")
    assert headline.tone == "warn"
    last = report_headline(day)
    assert last.verdict.startswith("STALE: the exchange could not be reached")
    assert last.tone == "warn"


def report_headline(day: Day) -> Headline:
    """The verdict of a report without strategies."""
    nothing = Metric(name="none", value=None, reason="no strategy")
    ranking: Any = SimpleNamespace(updates={"strategy": SimpleNamespace(entered=())})
    return findings.headline(day, ranking, (), Trials(today=0, ever=0, expected_noise_maximum=nothing, best=nothing))


def test_row_36_longer_bars_that_lack_minutes_are_left_out_and_said(tmp_path: Path) -> None:
    def holed(found: CandleRows) -> CandleRows:
        return found.take(np.flatnonzero((np.arange(len(found)) < 7) | (np.arange(len(found)) >= 60)))

    stored(tmp_path, BTCUSDT=holed)
    day = sealed(tmp_path, settings_of(tmp_path))
    (told,) = findings.masked_notices(day)
    assert told.where == "BTCUSDT"
    assert "were left out (1 of 5m, 1 of 60m)" in told.message
    assert report_headline(day).tone == "neutral"


def test_bars_that_a_days_refresh_found_corrected_are_told_on_its_page(tmp_path: Path) -> None:
    stored(tmp_path)
    report = {"stale": False, "failed": [], "revised": 3}
    (tmp_path / "run" / "inputs").mkdir(parents=True)
    (tmp_path / "run" / "inputs" / "download.json").write_text(json.dumps(report))
    day = sealed(tmp_path, settings_of(tmp_path))
    assert day.inputs["refresh"] == {"stale": False, "failed": 0, "revised": 3}
    assert score_pools(day).headline.verdict.endswith(
        "The exchange has corrected 3 bars of past days; later days will see the new values.")


def test_a_day_whose_exchange_answered_is_not_stale(tmp_path: Path) -> None:
    stored(tmp_path)
    day = sealed(tmp_path, settings_of(tmp_path))
    assert "refresh" not in day.inputs
    assert not any(row.stale for row in quality_rows(day))
    assert refresh_facts(tmp_path) == {}


def today() -> int:
    return int(time.time() * 1000) // DAY_MS * DAY_MS


def serve_day(exchange: FakeExchange, root: Path, number: int, low: float | None = None) -> str:
    """The archive's file of the day so many days before today; low: that of its first bar, when it is corrected."""
    start = today() - number * DAY_MS
    name = f"BTCUSDT-1m-{np.datetime64(start, 'ms').astype('datetime64[D]')}.zip"
    tape = minutes(1440, start)
    if low is not None:
        tape[0] = (tape[0][0], tape[0][1], tape[0][2], low, *tape[0][4:])
    return exchange.serve_archive(zipped(root / name, spot_csv(tape)))


def test_a_refresh_asks_again_about_the_last_days_only_and_reports_what_was_corrected(
        exchange: FakeExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [serve_day(exchange, tmp_path, number) for number in range(6, 0, -1)]
    settings = binance(tmp_path, symbols="BTCUSDT")
    window = Window(today() - 6 * DAY_MS, today())
    refresh_from_exchange(settings, window, tmp_path / "inputs")
    exchange.asked.clear()
    refresh_from_exchange(settings, window, tmp_path / "inputs")
    assert sorted(exchange.paths()) == [f"{path}.CHECKSUM" for path in paths[-RECHECK_DAYS:]]
    assert refresh_facts(tmp_path / "inputs") == {}
    before = candle_store(settings.data).read("binance_spot", "BTCUSDT")
    serve_day(exchange, tmp_path, 2, low=90.0)
    capsys.readouterr()
    refresh_from_exchange(settings, window, tmp_path / "inputs")
    assert "1 revised bars" in capsys.readouterr().err
    assert refresh_facts(tmp_path / "inputs") == {"refresh": {"stale": False, "failed": 0, "revised": 1}}
    store = candle_store(settings.data)
    assert store.read("binance_spot", "BTCUSDT", known_before=window.end_ms).data_hash == before.data_hash
    assert store.read("binance_spot", "BTCUSDT").low[4 * 1440] == 90.0


def test_a_whole_past_window_asks_nobody(exchange: FakeExchange, tmp_path: Path) -> None:
    stored(tmp_path, "binance_spot")
    refresh_from_exchange(binance(tmp_path), HISTORY)
    assert exchange.asked == []


def revised_store(root: Path) -> None:
    """Two markets; one bar of BTCUSDT corrected twice, one of ETHUSDT once."""
    store, start = candle_store(root / "data"), day_start_ms(date(2023, 6, 1))
    for symbol in SYMBOLS:
        store.write("binance_spot", symbol, [SourceRows("first", rows(minutes(2000, start)))], known_at=start)
    for symbol, minute, price, known in (("BTCUSDT", 3, 200.0, 1), ("BTCUSDT", 3, 300.0, 2), ("ETHUSDT", 1500, 9.0, 3)):
        corrected = rows([candle(start + minute * MINUTE_MS, price)])
        store.write("binance_spot", symbol, [SourceRows("again", corrected)], known_at=start + known * DAY_MS)


def revisions(root: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["candles", "revisions", "--data", str(root / "data"), *more])


@pytest.mark.parametrize(("more", "markets"), [
    ((), ["BTCUSDT", "BTCUSDT", "ETHUSDT"]), (("--symbols", "ETHUSDT"), ["ETHUSDT"]),
    (("--from", "2023-06-02"), ["ETHUSDT"]), (("--to", "2023-06-01"), ["BTCUSDT", "BTCUSDT"]),
    (("--venue", "binance_spot", "--symbols", "BTCUSDT, ETHUSDT", "--from", "2023-06-01", "--to", "2023-06-02"),
     ["BTCUSDT", "BTCUSDT", "ETHUSDT"]), (("--from", "2023-06-03"), []),
])
def test_revisions_are_listed_with_both_values(tmp_path: Path, more: tuple[str, ...], markets: list[str]) -> None:
    revised_store(tmp_path)
    listed = json.loads(revisions(tmp_path, *more, "--json").stdout)
    assert [row["symbol"] for row in listed] == markets
    if not more:
        assert [(row["old"]["open"], row["new"]["open"]) for row in listed[:2]] == [(103.0, 200.0), (200.0, 300.0)]
        start = day_start_ms(date(2023, 6, 1))
        assert (listed[0]["open_time_ms"], listed[0]["known_at_ms"]) == (start + 3 * MINUTE_MS, start + DAY_MS)


def test_revisions_read_well(tmp_path: Path) -> None:
    revised_store(tmp_path)
    lines = revisions(tmp_path).stdout.splitlines()
    assert lines[0] == ("BTCUSDT on binance_spot, bar of 2023-06-01 00:03 UTC, known 2023-06-02 00:00 UTC: "
                        "open 103 -> 200, high 105 -> 202, low 101 -> 198, close 104 -> 201")
    assert lines[-1] == "3 revisions"


@pytest.mark.parametrize(("more", "error", "words"), [
    (("--symbols", "XRPUSDT"), DataError, "XRPUSDT: not in the candle store"),
    (("--venue", "kraken"), DataError, "BTCUSDT on binance_spot"), (("--symbols", "btc"), UsageError, "symbol: found"),
    (("--from", "2023-06-02", "--to", "2023-06-01"), UsageError, "is after"),
])
def test_a_misspelt_market_is_no_market_without_revisions(tmp_path: Path, more: tuple[str, ...],
                                                          error: type[Exception], words: str) -> None:
    revised_store(tmp_path)
    failed = revisions(tmp_path, *more)
    assert isinstance(failed.exception, error)
    assert words in str(failed.exception)


def test_revised_bars_are_counted_once_they_were_known(tmp_path: Path) -> None:
    from daybook.market import check_store

    revised_store(tmp_path)
    store, start = candle_store(tmp_path / "data"), day_start_ms(date(2023, 6, 1))
    counts = [check_store(store, "binance_spot", "BTCUSDT", Window(start, start + days * DAY_MS)).revised
              for days in (1, 2, 5)]
    assert counts == [1, 1, 1]
    assert check_store(store, "binance_spot", "BTCUSDT", Window(start, start + DAY_MS // 2)).revised == 0


def checked(path: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["candles", "check", str(path), *more])


@pytest.mark.shared
def test_a_check_says_where_the_faults_are(shared_data: Path) -> None:
    done = checked(shared_data / "raw_binance_archive/spot_daily_zip/1m/BTCUSDT-1m-2023-03-24.zip")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "BTCUSDT-1m-2023-03-24.zip: BTCUSDT 1m on binance_spot: unusable, 1,360 of 1,440 bars (94.444%; at least 98.0% "
        "wanted), 2023-03-24 00:00 UTC to 2023-03-25 00:00 UTC: 1 gaps, 80 missing bars, 72 zero-volume bars (72 in a "
        "row), 1 irregular closes, 1 60m bars masked",
        "  gap of 80 bars between 2023-03-24 12:39 UTC and 2023-03-24 14:00 UTC",
        "  bar of 2023-03-24 12:39 UTC closed at 2023-03-24 12:39:41.647 UTC",
    ]


def check_of_store(data: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["candles", "check", "--data", str(data), *more])


def test_a_check_without_files_is_of_the_store_with_its_refused_and_corrected_bars(tmp_path: Path) -> None:
    start = day_start_ms(date(2023, 6, 1))
    store = candle_store(tmp_path)
    tape = rows(minutes(2 * 1440, start))
    wrong = rows([(start + 60_000, 1.0, 0.5, 2.0, 1.0, 1.0)])
    for symbol in ("BTCUSDT", "ETHUSDT"):
        store.write("binance_spot", symbol, [SourceRows("a", tape.take(slice(0, 1440))),
                                             SourceRows("b", tape.take(slice(1500, None)))])
    store.write("binance_spot", "ETHUSDT", [SourceRows("c", wrong)])
    corrected = rows([candle(start + 120_000, 500.0)])
    store.write("binance_spot", "ETHUSDT", [SourceRows("d", corrected)], known_at=start + 90 * DAY_MS)
    one, other = json.loads(check_of_store(tmp_path, "--json").stdout)
    counts = ("symbol", "missing", "quarantined", "revised", "spikes")
    assert [one[name] for name in counts] == ["BTCUSDT", 60, 0, 0, 0]
    assert [other[name] for name in counts] == ["ETHUSDT", 60, 1, 1, 1]
    done = check_of_store(tmp_path, "--symbols", "ETHUSDT", "--from", "2023-06-02", "--to", "2023-06-02")
    assert done.stdout.startswith("ETHUSDT 1m on binance_spot: unusable, 1,380 of 1,440 bars")
    assert "gap of 60 bars between the edge of the window and 2023-06-02 01:00 UTC" in done.stdout


@pytest.mark.parametrize(("more", "words"), [
    (("--symbols", "XRPUSDT"), "XRPUSDT: not in the candle store"),
    (("--to", "2020-01-01"), "not in the days asked for"),
    (("BTCUSDT-1m-2023-06-01.csv",), "are about the store"),
])
def test_a_check_of_nothing_that_is_stored_says_what_is(tmp_path: Path, more: tuple[str, ...], words: str) -> None:
    empty = check_of_store(tmp_path / "none")
    assert "no candles are stored" in str(empty.exception)
    candle_store(tmp_path).write("binance_spot", "BTCUSDT", [SourceRows("a", rows(minutes(9)))])
    assert words in str(check_of_store(tmp_path, *more).exception)


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    start = day_start_ms(date(2023, 6, 1))
    zipped(tmp_path / "BTCUSDT-1m-2023-06-01.zip", spot_csv(minutes(1440, start)))
    (tmp_path / "BTCUSDT-1m-2023-06-02.zip").write_bytes(b"not a zip")
    done = checked(tmp_path)
    assert done.exit_code == DataError.exit_code
    first, second = done.stdout.splitlines()
    assert "complete, 1,440 of 1,440 bars" in first
    assert second.startswith("not read: ")
    assert "corrupt or unreadable zip" in second
    answer = json.loads(checked(tmp_path, "--json").stdout)
    assert sorted("error" in one for one in answer.values()) == [False, True]


def test_a_folder_without_candles_is_an_error(tmp_path: Path) -> None:
    assert "no candle file found" in str(checked(tmp_path).exception)
