"""Days that several tests look at."""

from __future__ import annotations

import shutil

import pytest
from days import CANARY, Place
from filelock import FileLock


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two consecutive days on the built-in market, with secrets in the environment; made once for all test workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    here = Place(shared / "two-days" / "place")
    with FileLock(shared / "two-days.lock"):
        if not here.root.exists():
            here.root.mkdir(parents=True)
            for day in ("2026-01-15", "2026-01-16"):
                here.day("--date", day, ANTHROPIC_API_KEY=CANARY, DAYBOOK_ANTHROPIC_API_KEY=CANARY)
            ignored = shutil.ignore_patterns("cache", ".lock*")
            shutil.copytree(here.root, shared / "two-days" / "still", ignore=ignored)
    return here


@pytest.fixture(scope="session")
def still(place: Place) -> Place:
    """A copy of the two days in which nobody works, for tests that copy it while others run further days."""
    return Place(place.root.parent / "still")
