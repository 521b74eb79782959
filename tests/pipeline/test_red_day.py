"""A day whose canary failed makes no forward test: the day after makes it, on the same days, at the same level."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from daybook.core.time import day_start_ms, parse_day
from daybook.pipeline.steps.rank import Ranking, rank_pools
from daybook.rank import Evidence, EvidenceDay, PoolMember, PriorState, ScoreResult
from daybook.rank.pool import ranked_pool

BORN = parse_day("2026-01-01")
BIRTH_MS = day_start_ms(BORN)


def after(days: int) -> str:
    return (BORN + timedelta(days=days)).isoformat()


def record(days: int) -> Evidence:
    rng = np.random.default_rng(3)
    return Evidence(identity="edge", kind="strategy", birth_ms=BIRTH_MS, days=tuple(
        EvidenceDay(day=after(1 + n), blocks=tuple(rng.normal(0.5, 1.0, 24) * 1e-3), trades=4) for n in range(days)))


def ranked(folder: Path, days: int, *, red: bool) -> Ranking:
    """40_rank_report when the record has so many days, with the leak canary dead or singing."""
    member = PoolMember(kind="strategy", identity="edge", structure_hash="s", name="edge", spec={}, timeframe="5m",
                        birth_day=after(0), birth_ms=BIRTH_MS, origin="evolution", score=60.0, entered=after(0))
    empty = PriorState.empty(after(days))
    pool = ranked_pool(after(0), "strategy", 20, [member])
    state = empty.model_copy(update={"pools": empty.pools | {"strategy": pool}})
    canary = {"name": "leak", "injected": "a leaking feature", "expected": "caught", "found": "passed", "ok": not red}
    artefacts: dict[str, Any] = {
        "evidence": [record(days).model_dump(mode="json")], "canaries": [canary],
        "scores": {"edge": ScoreResult(score=60.0, psr=0.6, n_blocks=168, trades=9).model_dump(mode="json")},
        "members": [], "models": [], "ensembles": [],
    }
    day: Any = SimpleNamespace(
        sealed=SimpleNamespace(day=state.day, run_id=f"{state.day}/01"), state=state, folder=folder,
        settings=SimpleNamespace(replace_margin=2.0), read_json=lambda _step, name: artefacts[name],
        read_table=lambda *_: pd.DataFrame({"identity": [], "time_ms": [], "block_return": []}))
    return rank_pools(day)


def test_what_is_due_on_a_red_day_is_tested_on_the_next_green_one(tmp_path: Path) -> None:
    dead = ranked(tmp_path, 28, red=True)
    assert dead.tests == ()
    assert not dead.verdicts["edge"].proven
    (late,) = ranked(tmp_path, 29, red=False).tests
    (due,) = ranked(tmp_path, 28, red=False).tests
    assert (late.p_value, late.level, late.n) == (due.p_value, due.level, due.n)
    assert late.day == after(29)
