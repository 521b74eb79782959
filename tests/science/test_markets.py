"""What the days conclude on markets whose truth is known: nothing on noise, the planted edge where there is one.

`make test` walks a few days; `make test-science` sets SCIENCE_DAYS=30.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from days_in_process import SMALL, market_settings, store, walk_days

from daybook.rank import verify_trials

DAYS = int(os.environ.get("SCIENCE_DAYS", "2"))
SEEDS = (5, 6, 8, 9) if DAYS > 2 else (5,)
FIRST = date(2026, 1, 15)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def test_on_noise_nothing_is_presented_as_proven(tmp_path: Path) -> None:
    settings = market_settings(tmp_path, "noise", 5, **SMALL)
    reports = walk_days(settings, FIRST, DAYS)
    for report in reports:
        rows = [*report.strategies, *report.models, *report.ensembles]
        assert not [row.name for row in rows if row.gate is not None and row.gate.passed]
        assert "nothing is proven" in report.headline.verdict
        assert len(report.strategies) == 20
    assert [report.trials.ever for report in reports] == sorted(report.trials.ever for report in reports)
    assert store(settings).read(verify_trials) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_edge_reaches_the_top_of_the_ranking(tmp_path: Path, seed: int) -> None:
    settings = market_settings(tmp_path, "planted", seed, folds=2)
    leader = walk_days(settings, FIRST, 1)[0].strategies[0]
    rules = " ".join(leader.expressions.values())
    assert "volume" in rules, rules
    assert leader.timeframe in ("1m", "5m")
    assert leader.score is not None
    assert leader.score > 90.0
    assert leader.gate is not None
    assert not leader.gate.passed, "one window ranks; it never proves"
