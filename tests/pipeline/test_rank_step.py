"""How 40_rank_report lets a day's candidates compete: twins by returns, and every candidate accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daybook.pipeline.steps.rank import Ranking, rank_pools
from daybook.pipeline.steps.records import rejected_rows
from daybook.rank import PoolMember, PriorState, ScoreResult
from daybook.rank.pool import TUNED_ORIGIN, ranked_pool

DAY = "2026-01-15"
HELD = {"held": 58.2, "weak": 20.0, "idle": 10.0}


def member(identity: str, score: float, origin: str = "evolution", structure: str = "") -> PoolMember:
    return PoolMember(kind="strategy", identity=identity, structure_hash=structure or f"s-{identity}", name=identity,
                      spec={}, timeframe="60m", birth_day=DAY, birth_ms=0, origin=origin, score=score)


def hours(seed: int) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(0.0, 1e-3, 168)]


def blocks(returns: Mapping[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame([{"identity": identity, "time_ms": hour, "block_return": value}
                         for identity, values in returns.items() for hour, value in enumerate(values)],
                        columns=["identity", "time_ms", "block_return"])


def ranked_day(folder: Path, candidates: list[PoolMember], *, held: Mapping[str, list[float]],
               new: Mapping[str, list[float]]) -> Ranking:
    """A day whose pool holds HELD, with the hourly returns of its members and of its candidates."""
    state = PriorState.empty(DAY)
    pool = ranked_pool("2026-01-14", "strategy", 20, [member(name, value) for name, value in HELD.items()])
    scores = {name: ScoreResult(score=value) for name, value in HELD.items()}
    artefacts: dict[tuple[str, str], Any] = {
        ("00_score", "scores"): {name: one.model_dump(mode="json") for name, one in scores.items()},
        ("20_backtest", "scores"): {}, ("30_train", "scores"): {}, ("00_score", "evidence"): [],
        ("00_score", "canaries"): [], ("30_train", "models"): [], ("30_train", "ensembles"): [],
        ("20_backtest", "members"): [one.model_dump(mode="json") for one in candidates],
    }
    tables = {"00_score": blocks(held), "20_backtest": blocks(new)}
    day: Any = SimpleNamespace(
        sealed=SimpleNamespace(day=DAY, run_id=f"{DAY}/01"), folder=folder,
        settings=SimpleNamespace(replace_margin=2.0),
        state=state.model_copy(update={"pools": state.pools | {"strategy": pool}}),
        read_json=lambda step, name: artefacts[step, name], read_table=lambda step, _: tables[step])
    return rank_pools(day)


def test_a_clone_of_an_incumbent_does_not_enter_beside_it(tmp_path: Path) -> None:
    """Another structure with one redundant condition less, and equal trades: one took rank 2 of a real day."""
    clone = member("clone", 58.2)
    found = ranked_day(tmp_path, [clone], held={"held": hours(1), "weak": hours(2)}, new={"clone": hours(1)})
    assert [one.identity for one in found.pool("strategy").members] == ["held", "weak", "idle"]
    (row,) = rejected_rows(found)
    assert row.reason == ("it trades as held does: correlation 1.00; it does not beat that member "
                          "(58.2 against 58.2, 2 points ahead are needed)")


@pytest.mark.parametrize("held", [
    {}, {"weak": hours(2)}, {"held": hours(1)[:24]}, {"held": [0.0] * 168}, {"held": [float("nan")] * 168}])
def test_a_member_without_returns_over_these_hours_is_nobodys_twin(
    tmp_path: Path, held: dict[str, list[float]]
) -> None:
    found = ranked_day(tmp_path, [member("clone", 58.2)], held=held, new={"clone": hours(1)})
    assert found.pool("strategy").member("clone") is not None


def test_every_candidate_entered_was_turned_away_or_is_a_member_that_tuning_left_as_it_was(tmp_path: Path) -> None:
    candidates = [
        member("fresh", 70.0), member("clone", 58.2), member("weak", 20.0, TUNED_ORIGIN), member("idle", 10.0),
        member("moved", 19.0, TUNED_ORIGIN, structure="s-weak"),
    ]
    returns = {one.identity: hours(seed) for seed, one in enumerate(candidates, start=10)}
    held = {"held": returns["clone"], "weak": returns["weak"], "idle": returns["idle"]}
    found = ranked_day(tmp_path, candidates, held=held, new=returns)
    rows = {row.identity: row.reason for row in rejected_rows(found)}
    entered = found.updates["strategy"].entered
    assert entered == ("fresh",)
    assert sorted([*entered, *rows]) == sorted(one.identity for one in candidates)
    assert rows["weak"].startswith("re-tuned, unchanged: ")
    assert rows["idle"].startswith("tuned, it is a member that the pool held already")
    assert list(rows) == ["clone", "moved", "weak", "idle"], "turned away first, best first"
