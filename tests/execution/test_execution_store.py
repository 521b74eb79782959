"""Dated documents: never later ones, rolled back by a pointer, refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event, Thread

import pytest
from execution_tapes import week_of_metrics

from daybook.core.errors import UsageError
from daybook.execution import (
    ExecutionMetrics,
    latest_metrics,
    load_metrics,
    metrics_dates,
    metrics_for,
    metrics_store,
    rollback,
    write_metrics,
)
from daybook.execution.metrics_store import MetricsError, dates_in_force, metrics_path

WEEK = week_of_metrics()


def dated(date: str, latency: float = 100.0) -> ExecutionMetrics:
    return WEEK.model_copy(update={"date": date, "taker_latency_ms": latency})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for date in ("2024-01-08", "2024-01-10", "2024-01-12"):
        write_metrics(tmp_path, dated(date))
    return tmp_path


def test_what_is_written_is_read_back_with_its_identity(data: Path) -> None:
    assert load_metrics(metrics_path(data, "2024-01-08")) == dated("2024-01-08")
    assert load_metrics(metrics_path(data, "2024-01-08")).identity == dated("2024-01-08").identity
    assert latest_metrics(data).date == "2024-01-12"
    assert metrics_path(data, "2024-01-08").name == "execution_metrics_2024-01-08.json"


@pytest.mark.parametrize(("day", "found"), [("2024-01-08", "2024-01-08"), ("2024-01-09", "2024-01-08"),
                                            ("2024-01-11", "2024-01-10"), ("2030-01-01", "2024-01-12")])  # fmt: skip
def test_a_day_gets_the_metrics_dated_at_or_before_it(data: Path, day: str, found: str) -> None:
    assert metrics_for(data, day).date == found


def test_a_day_before_the_first_measurement_gets_none_rather_than_a_later_one(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match=r"none dated at or before 2024-01-07 .*oldest in force is of 2024-01-08"):
        metrics_for(data, "2024-01-07")
    with pytest.raises(MetricsError, match=r"none is in force.*daybook execution measure"):
        metrics_for(tmp_path / "empty", "2024-01-07")
    with pytest.raises(MetricsError, match="nothing was measured yet"):
        latest_metrics(tmp_path / "empty")


def test_a_file_that_holds_a_later_measurement_never_reaches_an_earlier_day(data: Path) -> None:
    early = metrics_path(data, "2024-01-08")
    early.write_bytes(metrics_path(data, "2024-01-12").read_bytes())
    with pytest.raises(MetricsError, match="holds what was measured on 2024-01-12"):
        metrics_for(data, "2024-01-09")
    document = json.loads(metrics_path(data, "2024-01-12").read_text())
    early.write_text(json.dumps(document | {"date": "2024-01-05"}))  # before the week that it measured had ended
    with pytest.raises(MetricsError, match="nothing after 2024-01-05 00:00 UTC may be in it, found"):
        load_metrics(early)


def test_a_rollback_withdraws_later_dates_until_they_are_measured_again(data: Path) -> None:
    rollback(data, "2024-01-08")
    assert latest_metrics(data).date == metrics_for(data, "2024-01-11").date == "2024-01-08"
    assert metrics_dates(data) == ["2024-01-08", "2024-01-10", "2024-01-12"]
    write_metrics(data, dated("2024-01-14"))
    assert metrics_for(data, "2024-01-13").date == "2024-01-08"  # the new night does not bring back the bad ones
    assert latest_metrics(data).date == "2024-01-14"
    write_metrics(data, dated("2024-01-10", 50.0))
    assert metrics_for(data, "2024-01-13").taker_latency_ms == 50.0
    assert dates_in_force(data) == ["2024-01-08", "2024-01-10", "2024-01-14"]


@pytest.mark.parametrize("date", ["2024-01-09", "2024-01-12"])
def test_a_rollback_to_a_date_that_is_not_in_force_is_refused(data: Path, date: str) -> None:
    rollback(data, "2024-01-10")
    with pytest.raises(MetricsError, match=rf"{date} is not in force; in force are 2024-01-08, 2024-01-10"):
        rollback(data, date)


def test_measuring_an_older_date_leaves_the_pointer_at_the_newest(data: Path) -> None:
    write_metrics(data, dated("2024-01-09"))
    assert latest_metrics(data).date == "2024-01-12"


def test_two_measurements_at_once_leave_the_pointer_at_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, begun, newer_done = metrics_store._point, Event(), Event()

    def slow(data: Path, date: str, withdrawn: tuple[str, ...]) -> metrics_store.Pointer:
        if date == "2024-01-08":
            begun.set()
            newer_done.wait(0.5)
        return point(data, date, withdrawn)

    def newer() -> None:
        write_metrics(tmp_path, dated("2024-01-12"))
        newer_done.set()

    monkeypatch.setattr(metrics_store, "_point", slow)
    writers = [Thread(target=write_metrics, args=(tmp_path, dated("2024-01-08"))), Thread(target=newer)]
    writers[0].start()
    assert begun.wait(10)
    writers[1].start()
    for writer in writers:
        writer.join()
    assert latest_metrics(tmp_path).date == "2024-01-12"


def test_a_date_measured_again_keeps_what_it_replaces(data: Path) -> None:
    before = metrics_path(data, "2024-01-10").read_bytes()
    write_metrics(data, dated("2024-01-10"))
    assert not (data / "execution" / "superseded").exists()
    write_metrics(data, dated("2024-01-10", 50.0))
    (kept,) = (data / "execution" / "superseded").iterdir()
    assert kept.read_bytes() == before
    assert kept.name == f"execution_metrics_2024-01-10_{dated('2024-01-10').identity[:12]}.json"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"taker_latency_ms": -1}, "taker_latency_ms"),
        ({"markets": []}, "markets"),
        ({"date": "soon"}, "date"),
    ],
)
def test_a_document_of_another_schema_is_refused_by_field(data: Path, change: dict[str, object], words: str) -> None:
    path = metrics_path(data, "2024-01-12")
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    with pytest.raises(MetricsError, match=words):
        latest_metrics(data)


def test_a_quiet_change_of_the_latest_document_is_noticed(data: Path) -> None:
    path = metrics_path(data, "2024-01-12")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"taker_latency_ms": 1.0}), encoding="utf-8")
    with pytest.raises(MetricsError, match=r"not the document that latest\.json names"):
        latest_metrics(data)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(Exception, match="not a JSON file"):
        metrics_for(data, "2024-01-12")


def test_a_date_that_is_no_day_can_not_leave_the_folder(data: Path) -> None:
    with pytest.raises(UsageError, match="calendar day"):
        metrics_path(data, "../../x")
