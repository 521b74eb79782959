"""`daybook data snapshot|diff|restore`: what differs between snapshots, the store as it is, and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.core.time import MINUTE_MS, Window, parse_day, window_before
from daybook.market import Bars, CandleStore, candle_store, synthetic_bars
from daybook.market.rows import CandleRows, rows_of
from daybook.market.store import SourceRows
from daybook.pipeline.cli import app
from daybook.pipeline.manifest import new_manifest, write_manifest
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.seal import seal_run

DAY, NEXT = "2026-01-15", "2026-01-16"
SPAN = window_before(parse_day(NEXT), 21)
CORRECTED = SPAN.end_ms - 3 * 24 * 60 * MINUTE_MS
"""Open time of the bar that its exchange corrects: 2026-01-13 00:00 UTC."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = synthetic_bars("BTCUSDT", SPAN, seed=1)
    columns = [np.array(getattr(made, name)) for name in ("open_time", "open", "high", "low", "close", "volume")]
    candle_store(tmp_path / "data").write_bars(Bars("own", "BTCUSDT", "1m", *columns))
    return tmp_path


def run(root: Path, *arguments: str) -> str:
    places = ["--data", str(root / "data")] + (["--runs", str(root / "runs")] if arguments[0] == "diff" else [])
    result = CliRunner().invoke(app, ["data", *arguments, *places], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def diff(root: Path, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(run(root, "diff", *arguments, "--json")))


def corrected(root: Path, known_at: int) -> None:
    """The exchange gives one bar again with a lower low."""
    store: CandleStore = candle_store(root / "data")
    bar = store.read("own", "BTCUSDT", Window(CORRECTED, CORRECTED + MINUTE_MS))
    lower = Bars("own", "BTCUSDT", "1m", bar.open_time, bar.open, bar.high, bar.low / 2, bar.close, bar.volume)
    rows: CandleRows = rows_of(lower, MINUTE_MS)
    assert store.write("own", "BTCUSDT", [SourceRows("again", rows)], known_at=known_at)[0].revised == 1


def sealed(root: Path, day: str, number: int = 1) -> str:
    """A run as far as its seal, named as a finished one."""
    settings: Settings = load_settings({"data": root / "data", "runs": root / "runs", "symbols": "BTCUSDT",
                                        "source": "files", "history_days": 14}, environment={})
    folder = root / "runs" / day / f"{number:02d}"
    facts = seal_run(folder, RunRequest(day, settings), number)
    write_manifest(folder, new_manifest(facts))
    return f"{day}/{number:02d}"


def test_a_snapshot_tells_what_it_holds(root: Path) -> None:
    told = run(root, "snapshot", "before")
    assert told.startswith("snapshot before: 30,240 bars of 1 markets in 2 months, 0 revisions; identity ")
    unnamed = json.loads(run(root, "snapshot", "--json"))
    assert unnamed["name"].startswith("taken-20") and unnamed["rows"] == 30_240
    assert diff(root, "before", unnamed["name"])["equal"]
    assert "the same rows in all 2" in run(root, "diff", "before")


def test_a_difference_names_market_month_day_and_both_values(root: Path) -> None:
    run(root, "snapshot", "before")
    corrected(root, SPAN.end_ms)
    store = candle_store(root / "data")
    later = synthetic_bars("BTCUSDT", Window(SPAN.end_ms, SPAN.end_ms + 5 * MINUTE_MS), seed=2)
    store.write("own", "BTCUSDT", [SourceRows("more", rows_of(later, MINUTE_MS))])
    found = diff(root, "before", "now")
    assert not found["equal"] and found["compared"] == 2
    market = found["markets"][0]
    assert (market["venue"], market["symbol"], market["span"]) == ("own", "BTCUSDT", "2026-01")
    assert (market["added"], market["removed"], market["changed"], market["revised"]) == (5, 0, 1, 1)
    assert market["days"] == ["2026-01-13", "2026-01-16"]
    old, new = market["examples"][0]["values"]["low"]
    assert new == old / 2
    assert diff(root, "now", "before")["markets"][0]["removed"] == 5
    text = run(root, "diff", "before")
    assert "own BTCUSDT 2026-01: 5 added, 0 removed, 1 changed (1 by a known revision)" in text
    assert f"2026-01-13 00:00 UTC  low {old:.15g} -> {new:.15g}" in text


def test_a_market_that_only_one_side_has_is_told(root: Path) -> None:
    run(root, "snapshot", "before")
    candle_store(root / "data").write_bars(synthetic_bars("ETHUSDT", Window(SPAN.start_ms, SPAN.start_ms + MINUTE_MS),
                                                          seed=1))
    market = diff(root, "before")["markets"]
    assert [(one["symbol"], one["added"], one["note"]) for one in market] == [
        ("ETHUSDT", 1, "only in the store as it is")]


def test_rows_that_are_no_longer_kept_still_tell_which_month_differs(root: Path) -> None:
    run(root, "snapshot", "before")
    corrected(root, SPAN.end_ms)
    for file in (root / "data" / "snapshots" / "files").iterdir():
        file.unlink()
    market = diff(root, "before")["markets"][0]
    assert market["span"] == "2026-01" and market["changed"] is None
    assert "the rows of snapshot before are no longer kept" in market["note"]
    assert "differs" in run(root, "diff", "before")


def test_two_runs_of_one_day_differ_by_what_was_corrected_between_them(root: Path) -> None:
    first = sealed(root, DAY)
    run(root, "snapshot", "before")
    corrected(root, parse_day_ms(DAY) - 60 * MINUTE_MS)  # known an hour before the day
    second = sealed(root, DAY, 2)
    assert diff(root, first, first)["equal"]
    found = diff(root, first, second)
    assert [(one["added"], one["removed"], one["changed"], one["days"]) for one in found["markets"]] == [
        (0, 0, 1, ["2026-01-13"])]
    against = diff(root, first, "now")
    assert against["markets"][0]["examples"] == found["markets"][0]["examples"]
    assert diff(root, second, "now")["equal"]
    assert diff(root, DAY, "before")["equal"], "a day names its official run"


def test_a_correction_after_the_day_is_no_difference_to_its_run(root: Path) -> None:
    first = sealed(root, DAY)
    corrected(root, SPAN.end_ms + MINUTE_MS)
    assert diff(root, first, "now")["equal"]


def test_a_run_whose_rows_nobody_kept_is_said_to_differ_with_its_counts(root: Path) -> None:
    first = sealed(root, DAY)
    corrected(root, parse_day_ms(DAY) - 60 * MINUTE_MS)
    revisions = root / "data" / "candles" / "_revisions"
    for file in revisions.rglob("*.parquet"):
        file.unlink()
    market = diff(root, first, "now")["markets"][0]
    assert market["changed"] is None
    assert market["note"] == (f"20,160 bars sealed by run {first}; neither the store nor a snapshot has the rows of "
                              f"run {first}")


def test_runs_of_two_days_are_compared_where_both_saw(root: Path) -> None:
    found = diff(root, sealed(root, DAY), sealed(root, NEXT))
    assert found["markets"] == [] and not found["equal"]
    assert "only what both saw is compared" in found["notes"][0]


@pytest.mark.parametrize(("names", "error", "words"), [
    (["nothing"], DataError, "snapshot nothing: not found"),
    (["Bad Name"], UsageError, "allowed are 1 to 64"),
    (["2026-01-15/01"], DataError, "run 2026-01-15/01: not found"),
    (["2026-01-15/x"], UsageError, "allowed is YYYY-MM-DD/NN"),
])
def test_what_can_not_be_compared_is_told(root: Path, names: list[str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(root, "diff", *names)


def test_a_damaged_seal_is_told(root: Path) -> None:
    first = sealed(root, DAY)
    (root / "runs" / DAY / "01" / "inputs" / "bars.json").write_text('{"venue": "own"}')
    with pytest.raises(DataError, match="not what a run seals"):
        run(root, "diff", first)


def test_a_snapshot_comes_back_as_a_data_folder(root: Path) -> None:
    run(root, "snapshot", "before")
    before = candle_store(root / "data").read("own", "BTCUSDT").data_hash
    corrected(root, SPAN.end_ms)
    assert "2 months of snapshot before" in run(root, "restore", "before", str(root / "then"))
    assert candle_store(root / "then").read("own", "BTCUSDT").data_hash == before


def parse_day_ms(day: str) -> int:
    """Midnight UTC of a day in ms."""
    return window_before(parse_day(day), 1).end_ms
