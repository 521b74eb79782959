"""Killed at random moments and resumed, a day ends as if nothing had happened.

`make test` kills a few times; `make test-faults` sets KILLS=20.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from days import TINY, Place, without_timings

pytestmark = pytest.mark.slow
RUN = "2026-01-15/01"
KILLS = int(os.environ.get("KILLS", "3"))


def kill_after(place: Place, seconds: float) -> bool:
    """Start or resume the day and kill its whole process group after so long; True if it was still at work."""
    with subprocess.Popen(
        place.command(*TINY, "--date", "2026-01-15", "--resume"), env=place.environment(), cwd=place.root,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as runner:
        try:
            runner.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(runner.pid, signal.SIGKILL)
            return True
    return False


def test_a_day_killed_at_random_moments_and_resumed_equals_an_uninterrupted_one(place: Place, tmp_path: Path) -> None:
    seed = int(os.environ.get("KILL_SEED", "11"))
    moments = random.Random(seed)
    here = Place(tmp_path)
    started = time.monotonic()
    killed = 0
    while killed < KILLS:
        if kill_after(here, moments.uniform(0.5, 14.0)):
            killed += 1
        elif (here.runs / RUN).is_dir():
            here = Place(tmp_path / f"again-{killed}")
            here.root.mkdir()
    summary = here.day("--date", "2026-01-15", "--resume")
    assert summary["run_id"] == RUN, f"seed {seed}, {time.monotonic() - started:.0f} s"
    assert without_timings(here.report(RUN)) == without_timings(place.report(RUN))
    assert here.artefacts(RUN) == place.artefacts(RUN)
    assert not (here.runs / ".staging" / "2026-01-15").exists()
    nothing_new = here.day("--date", "2026-01-15", "--resume")
    assert nothing_new["run_id"] == RUN
