"""Noise through pools, published store and tests, day after day: p values of the one test must be uniform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb
import numpy as np
import pytest

from daybook.core.time import day_start_ms, parse_day
from daybook.rank import (
    KINDS,
    Evidence,
    EvidenceDay,
    ForwardTest,
    Pool,
    PoolMember,
    RunResult,
    due_tests,
    empty_pool,
    publish_run,
    score,
    state_before,
    update_pool,
)
from daybook.rank.published import create_tables

DAYS, NEWCOMERS, PLACES = 76, 6, 20
BEGAN = parse_day("2026-01-01")
pytestmark = pytest.mark.filterwarnings("error")


def day_name(number: int) -> str:
    return (BEGAN + timedelta(days=number)).isoformat()


@dataclass
class Market:
    """Nothing but noise; what a strategy earns on a day does not depend on who asks or when."""

    seed: int
    newcomers_a_day: int = NEWCOMERS
    born: int = 0

    def blocks(self, identity: str, number: int) -> np.ndarray:
        return np.random.default_rng([self.seed, number, *identity.encode()]).normal(0.0, 1e-3, 24)

    def week(self, identity: str, number: int) -> np.ndarray:
        return np.concatenate([self.blocks(identity, n) for n in range(number - 6, number + 1)])

    def newcomers(self, number: int) -> list[PoolMember]:
        names = [f"c{self.born + n:05d}" for n in range(self.newcomers_a_day)]
        self.born += len(names)
        return [PoolMember(kind="strategy", identity=name, structure_hash=name, name=name, spec={}, timeframe="5m",
                           birth_day=day_name(number), birth_ms=day_start_ms(parse_day(day_name(number))),
                           origin="evolution", score=score(self.week(name, number), 40).score) for name in names]

    def updated(self, pool: Pool, number: int) -> Pool:
        today = day_name(number)
        results = {one.identity: score(self.week(one.identity, number), 40) for one in pool.members}
        return update_pool(pool.rescored(today, results), self.newcomers(number), today, capacity=PLACES).pool

    def live(self, connection: duckdb.DuckDBPyConnection, number: int) -> tuple[ForwardTest, ...]:
        """One research day: records, tests, pool, publication."""
        today = day_name(number)
        state = state_before(connection, today)
        pool = state.pools["strategy"]
        new = {}
        for one in (*pool.members, *state.followed):
            record = state.evidence[one.identity]
            if record.missing(today):
                entry = EvidenceDay(day=today, blocks=tuple(self.blocks(one.identity, number)), trades=6)
                new[one.identity] = Evidence(identity=one.identity, kind="strategy", birth_ms=one.birth_ms,
                                             days=(entry,))
        records = [state.evidence[name].extended(one.days[0]) for name, one in new.items()]
        tests = due_tests(today, records, {}, state.tests)
        updated = self.updated(pool, number)
        publish_run(connection, RunResult(
            run_id=f"{today}/01", day=today, number=1, official=True, status="complete",
            previous_day=state.previous_day, seed=self.seed, source="noise", code_hash="c", data_hash="d",
            pools=tuple(updated if kind == "strategy" else empty_pool(today, kind) for kind in KINDS),
            evidence=tuple(new[one.identity] for one in updated.members if one.identity in new),
            tests=tests, followed=tuple(new.values())))
        return tests


def share(p_values: np.ndarray, level: float) -> float:
    return float(np.mean(p_values <= level))


def test_p_values_of_everything_that_entered_a_pool_are_uniform() -> None:
    market, tests = Market(seed=5), []
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        create_tables(connection)
        for number in range(7, 7 + DAYS):
            connection.execute("BEGIN")
            tests += market.live(connection, number)
            connection.execute("COMMIT")
    p_values = np.array([test.p_value for test in tests])
    assert len(p_values) == len({test.identity for test in tests}) > 150
    assert 0.015 <= share(p_values, 0.05) <= 0.1
    assert share(p_values, 0.01) <= 0.035
    assert share(p_values, 0.5) == pytest.approx(0.5, abs=0.1)
    assert not any(test.rejected for test in tests)


def test_those_that_are_still_members_after_28_days_look_far_too_good() -> None:
    """What a test of members alone would see on noise, and why the others are followed."""
    market, pool, p_values = Market(seed=5, newcomers_a_day=2), empty_pool(day_name(6), "strategy"), []
    for number in range(7, 250):
        for one in pool.members:
            if one.birth_day == day_name(number - 28):
                record = Evidence(identity=one.identity, kind="strategy", birth_ms=one.birth_ms, days=tuple(
                    EvidenceDay(day=day_name(n), blocks=tuple(market.blocks(one.identity, n)), trades=6)
                    for n in range(number - 27, number + 1)))
                p_values += [test.p_value for test in due_tests(day_name(number), [record], {}, ())]
        pool = market.updated(pool, number)
    survived = np.array(p_values)
    assert market.born > 400
    assert 15 < len(survived) < 100
    assert share(survived, 0.5) > 0.8, "half of them would lie there"
    assert np.median(survived) < 0.25
