"""A research day from the command line to the site, twice over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from days import CANARY, Place, without_timings

pytestmark = pytest.mark.slow
FIRST, SECOND = "2026-01-15/01", "2026-01-16/01"


def test_a_day_fills_the_pools_and_the_next_day_finds_them(place: Place) -> None:
    first, second = place.report(FIRST), place.report(SECOND)
    assert [len(first[name]) for name in ("strategies", "models", "ensembles")] == [20, 5, 3]
    assert [len(second[name]) for name in ("strategies", "models", "ensembles")] == [20, 5, 3]
    assert second["changes"]["since"] == "2026-01-15"
    kept = {row["identity"] for row in first["strategies"]} & {row["identity"] for row in second["strategies"]}
    assert len(kept) >= 10
    forward = [row["forward_days"] for row in second["strategies"] if row["identity"] in kept]
    assert forward == [1.0] * len(kept)


def test_the_ledger_grows_with_every_day(place: Place) -> None:
    first, second = place.report(FIRST)["trials"], place.report(SECOND)["trials"]
    assert first["ever"] == first["today"] > 100
    assert second["ever"] == first["ever"] + second["today"]


def test_every_page_is_there_and_labelled_synthetic(place: Place) -> None:
    for page in ("report", "00_score", "10_design", "20_backtest", "30_train", "40_rank_report"):
        assert "synthetic" in (place.runs / FIRST / f"{page}.html").read_text().lower()
    index = (place.runs / "index.html").read_text()
    assert "2026-01-15" in index
    assert "2026-01-16" in index


def test_the_same_day_in_another_place_gives_the_same_report_and_artefacts(
    place: Place, tmp_path: Path
) -> None:
    other = Place(tmp_path)
    other.day("--date", "2026-01-15", "--jobs", "1")
    assert without_timings(other.report(FIRST)) == without_timings(place.report(FIRST))
    assert other.artefacts(FIRST) == place.artefacts(FIRST)
    for step in ("00_score", "10_design", "20_backtest", "30_train"):
        name = f"{FIRST}/{step}.ipynb"
        assert (other.runs / name).read_text() == (place.runs / name).read_text()


def test_a_rerun_gets_its_own_folder_and_leaves_the_official_pools(place: Place) -> None:
    before = place.daybook("strategies", "show", "--runs", str(place.runs), "--run", SECOND).stdout
    summary = place.day("--date", "2026-01-16", "-p", "fee_bps=10")
    assert (summary["run_id"], summary["parent"], summary["official"]) == ("2026-01-16/02", SECOND, False)
    assert summary["changed_parameters"]["fee_bps"] == 10.0
    third = place.day("--date", "2026-01-17")
    assert third["run_id"] == "2026-01-17/01"
    official = {row["identity"] for row in place.report(SECOND)["strategies"]}
    state = json.loads((place.runs / "2026-01-17/01/inputs/state.json").read_text())
    assert {member["identity"] for member in state["pools"]["strategy"]["members"]} == official
    assert place.daybook("strategies", "show", "--runs", str(place.runs), "--run", SECOND).stdout == before
    compared = place.daybook("runs", "compare", SECOND, "2026-01-16/02", "--runs", str(place.runs))
    assert compared.returncode == 0, compared.stderr
    assert "fee_bps" in compared.stdout
    assert "10" in compared.stdout


def test_resuming_a_finished_day_starts_nothing(place: Place) -> None:
    runs = sorted(path.name for path in (place.runs / "2026-01-15").iterdir())
    summary = place.day("--date", "2026-01-15", "--resume")
    assert summary["run_id"] == FIRST
    assert sorted(path.name for path in (place.runs / "2026-01-15").iterdir()) == runs


def test_nothing_is_written_outside_data_and_runs(place: Place) -> None:
    assert sorted(path.name for path in place.root.iterdir()) == ["data", "home", "runs"]
    assert list(place.home.rglob("*")) == []


def test_a_secret_of_the_environment_is_in_no_file(place: Place) -> None:
    holding = [path for path in place.root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert holding == []


def test_runs_are_listed_and_shown(place: Place) -> None:
    listed = place.daybook("runs", "list", "--runs", str(place.runs))
    assert FIRST in listed.stdout
    shown = place.daybook("runs", "show", "2026-01-15", "--runs", str(place.runs), "--json")
    assert json.loads(shown.stdout)["run_id"] == FIRST
    absent = place.daybook("runs", "show", "2020-01-01", "--runs", str(place.runs))
    assert absent.returncode == 3
    assert "daybook runs list" in absent.stderr


def test_a_lost_store_is_rebuilt_from_the_runs(place: Place, tmp_path: Path) -> None:
    import shutil

    from daybook.core.store import Store
    from daybook.pipeline.folders import RunFolders
    from daybook.pipeline.publish import publish_missing
    from daybook.rank import content_hash, store_schema

    before = Store(place.data, store_schema()).read(content_hash)
    shutil.copytree(place.runs, tmp_path / "runs")
    publish_missing(RunFolders(tmp_path / "runs"), tmp_path / "data")
    assert Store(tmp_path / "data", store_schema()).read(content_hash) == before
