"""What grows is cut back: feature tables, scratch runs, leftovers of killed runners."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from daybook.core.settings import Settings
from daybook.core.time import window_before
from daybook.features import FeatureStore
from daybook.market import synthetic_bars
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.scratch import KEPT_SCRATCH, _prune
from daybook.pipeline.tidy import sweep, tidy

NAMES = ["return_1"]


def test_features_before_the_scoring_window_go_and_come_back_when_wanted(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features")
    bars = synthetic_bars("BTCUSDT", window_before(date(2026, 1, 15), 45), seed=7, timeframe="60m")
    table = store.table(bars, NAMES)
    old, new = (store.path(bars, date(2026, 1, day), NAMES) for day in (7, 8))
    tidy(RunRequest("2026-01-15", Settings(data=tmp_path, runs=tmp_path / "runs", window_days=7)))
    assert not old.exists()
    assert new.exists()
    assert store.table(bars, NAMES).values.tobytes() == table.values.tobytes()
    assert old.exists()


def test_what_a_killed_runner_left_is_swept_and_what_is_finished_stays(tmp_path: Path) -> None:
    runs, data = tmp_path / "runs", tmp_path / "data"
    left = [runs / ".index.html.4194305-1.tmp", runs / "_assets" / ".a.js.4194305-1.tmp",
            runs / ".staging" / "2026-01-15" / "artefacts" / ".x.json.4194305-1.tmp",
            data / "candles" / ".bars.parquet.4194305-1.tmp", data / "cache" / "jupyter" / "runtime" / "kernel-1.json"]
    kept = [runs / "2026-01-14" / "01" / "report.json", data / "candles" / f".b.parquet.{os.getpid()}-1.tmp"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    sweep(RunFolders(runs), data)
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)


def test_only_the_scratch_runs_used_last_are_kept(tmp_path: Path) -> None:
    for age in range(KEPT_SCRATCH + 3):
        (tmp_path / str(age)).mkdir()
        os.utime(tmp_path / str(age), (1_000_000 - age, 1_000_000 - age))
    _prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(age) for age in range(KEPT_SCRATCH)]
