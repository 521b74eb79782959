"""Days that several tests look at."""

from __future__ import annotations

import pytest
from days import CANARY, Place


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two consecutive days on the built-in market, with secrets in the environment."""
    here = Place(tmp_path_factory.mktemp("place"))
    for day in ("2026-01-15", "2026-01-16"):
        here.day("--date", day, ANTHROPIC_API_KEY=CANARY, DAYBOOK_ANTHROPIC_API_KEY=CANARY)
    return here
