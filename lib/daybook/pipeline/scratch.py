"""A scratch run on a small built-in market, so that any page runs by itself from JupyterLab.

It lies under `<data>/scratch/`, starts from no state, is never published, and is reused while code and parameters stay
the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from daybook.core.files import read_json, write_json
from daybook.core.hashing import hash_json
from daybook.core.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from daybook.pipeline.day import DONE_MARKER, Day
from daybook.pipeline.manifest import NEEDS, NOTEBOOKS, STEPS, Sealed, run_code_hash, settings_hash

SCRATCH_DAY = "2026-01-15"
KEPT_SCRATCH = 5
"""Scratch runs that are kept, those used last."""
SMALL: dict[str, Any] = {
    "symbols": ("BTCUSDT", "ETHUSDT"), "history_days": 28, "population": 12, "generations": 2, "tuning_draws": 3,
    "folds": 3,
}
"""Smaller than a real day, unless the page's parameters cell says otherwise."""


def scratch_day(step: str, parameters: Mapping[str, Any]) -> Day:
    """The scratch run of these parameters, with every step before `step` done."""
    settings = scratch_settings(parameters)
    key = hash_json([settings_hash(settings), run_code_hash(), SCRATCH_DAY])[:12]
    folder = settings.data / "scratch" / key
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    _prune(folder.parent)
    with FileLock(folder / ".lock"):
        sealed = _sealed(folder, settings)
        for earlier in _needed(step):
            _ensure(Day(folder, earlier, sealed, settings))
    return Day(folder, step, sealed, settings)


def _prune(root: Path) -> None:
    """Remove all scratch runs but those used last, and none that a page is at work in."""
    used_last = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime_ns)
    for old in used_last[KEPT_SCRATCH:]:
        lock = FileLock(old / ".lock", timeout=0)
        with suppress(Timeout), lock:
            shutil.rmtree(old, ignore_errors=True)


def scratch_settings(parameters: Mapping[str, Any]) -> Settings:
    """Small settings, overridden by the page's parameters; data lies in the project unless DAYBOOK_DATA says where."""
    own = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    root = NOTEBOOKS.parent
    places: dict[str, Any] = {
        name: root / name for name in ("data", "runs") if f"{ENVIRONMENT_PREFIX}{name.upper()}" not in own
    }
    changed = _changed(parameters)
    return load_settings({**SMALL, **changed, **places, "source": "synthetic"}, environment=own)


def _changed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that somebody edited in the page; those left at their defaults stay small."""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    return {name: value for name, value in parameters.items() if name not in SMALL or value != defaults[name]}


def _sealed(folder: Path, settings: Settings) -> Sealed:
    from daybook.pipeline.seal import seal_scratch

    path = folder / "inputs" / "run.json"
    return Sealed.model_validate(read_json(path)) if path.is_file() else seal_scratch(folder, SCRATCH_DAY, settings)


def _needed(step: str) -> list[str]:
    wanted: set[str] = set()
    pending = list(NEEDS[step])
    while pending:
        name = pending.pop()
        wanted.add(name)
        pending += NEEDS[name]
    return [name for name in STEPS if name in wanted]


def _ensure(day: Day) -> None:
    marker = day.folder / "markers" / day.step / DONE_MARKER
    if not marker.is_file():
        work_of(day.step)(day)
        write_json(marker, {"step": day.step})


def work_of(step: str) -> Callable[[Day], Any]:
    """The function that does a step's work."""
    from daybook.pipeline import steps

    work: dict[str, Callable[[Day], Any]] = {
        "00_score": steps.score_pools,
        "10_design": steps.design_strategies,
        "20_backtest": steps.backtest_candidates,
        "30_train": steps.train_models,
        "40_rank_report": steps.rank_and_report,
    }
    return work[step]
