"""Each candidate is tested once, on its first 28 forward days, and a day replayed tests alike."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from daybook.core.time import day_start_ms, parse_day
from daybook.rank import Evidence, EvidenceDay, PoolMember, due_tests, online_testing
from daybook.rank.discoveries import OnlineTesting

BORN = "2023-06-14"
BIRTH = day_start_ms(parse_day(BORN))


def record(name: str, days: int, drift: float = 0.0, seed: int = 1, **more) -> Evidence:
    rng = np.random.default_rng([seed, *name.encode()])
    entries = tuple(
        EvidenceDay(day=(parse_day(BORN) + timedelta(days=1 + n)).isoformat(), trades=3,
                    blocks=tuple(rng.normal(drift, 1.0, 24) * 1e-3))
        for n in range(days)
    )
    return Evidence(**{"identity": name, "kind": "strategy", "birth_ms": BIRTH, "days": entries} | more)


def due(records, earlier=(), day="2023-07-12"):
    return due_tests(day, records, {one.identity: f"name {one.identity}" for one in records}, earlier)


def test_nobody_is_tested_before_the_28th_day_and_everybody_on_it():
    assert due([record("a", 27), record("b", 5), record("c", 0)]) == ()
    (found,) = due([record("a", 27), record("b", 28)])
    assert (found.identity, found.name, found.day, found.forward_days, found.n) == (
        "b", "name b", "2023-07-12", 28, 672)


def test_nobody_is_tested_twice_however_long_the_record_grows():
    first = due([record("a", 28)])
    assert due([record("a", 29, drift=3.0)], first) == ()
    assert due([record("a", 60, drift=3.0)], first) == ()
    assert due([record("a", 28, drift=3.0, birth_ms=BIRTH - 1)], first) == (), "nor when it is born again"


def test_a_record_that_lacks_one_of_its_first_28_days_is_never_tested():
    """28 of 56 days of noise, chosen after the fact, would look like an edge."""
    whole = record("a", 56)
    best = sorted(sorted(whole.days, key=lambda one: -sum(one.blocks))[:28], key=lambda one: one.day)
    chosen = whole.model_copy(update={"days": tuple(best)})
    assert due([chosen], day="2023-08-09") == ()
    assert len(chosen.missing("2023-08-09")) == 28
    assert due([whole.model_copy(update={"days": whole.days[1:]})]) == (), "its first day is one of them"
    later_gap = whole.model_copy(update={"days": whole.days[:30] + whole.days[31:]})
    assert due([later_gap]) == due([whole])


def test_a_record_without_a_name_goes_by_its_identity():
    (found,) = due_tests("2023-07-12", [record("a" * 64, 28)], {}, ())
    assert found.name == "a" * 12


def test_a_late_test_looks_at_the_first_28_days_only():
    late, punctual = due([record("a", 40)])[0], due([record("a", 28)])[0]
    assert late == punctual


def test_the_p_value_is_the_chance_of_such_a_record_without_an_edge():
    p_values = np.array([due([record("a", 28, seed=seed)])[0].p_value for seed in range(400)])
    shares = [float(np.mean(p_values <= level)) for level in (0.05, 0.25, 0.5, 0.75)]
    assert shares == pytest.approx([0.05, 0.25, 0.5, 0.75], abs=0.06)
    assert due([record("a", 28, drift=0.5)])[0].p_value < 1e-6
    losing = due([record("a", 28, drift=-0.5)])[0]
    assert losing.p_value > 1.0 - 1e-6
    assert losing.sharpe < 0.0


def test_a_record_that_never_moved_was_tested_and_found_nothing():
    still = tuple(EvidenceDay(day=one.day, blocks=(0.0,) * 24, trades=0) for one in record("a", 28).days)
    (found,) = due([record("a", 28).model_copy(update={"days": still})])
    assert (found.sharpe, found.p_value, found.rejected) == (None, 1.0, False)


def test_tests_of_one_day_come_in_an_order_that_does_not_look_at_results():
    records = [record("c", 28, drift=1.0), record("a", 28, drift=-1.0), record("b", 28)]
    assert [one.identity for one in due(records)] == ["a", "b", "c"]
    assert due(records) == due(records[::-1])


def test_the_series_is_carried_on_over_days_as_if_it_had_been_one():
    records = [record(name, 28, drift=1.0 if name == "b" else 0.0) for name in "abcdefgh"]
    series, levels = OnlineTesting(), []
    for one in due(records):
        outcome, series = series.tested(one.p_value)
        levels.append((outcome.level, outcome.rejected))
    assert [(one.level, one.rejected) for one in due(records)] == levels
    assert sum(rejected for _, rejected in levels) == 1
    first = due(records[:3])
    assert (*first, *due(records[3:], first)) == due(records)
    assert online_testing(due(records)) == series


def test_a_null_contestant_can_not_be_a_pool_member():
    values = {"kind": "strategy", "identity": "x", "structure_hash": "s", "name": "n", "spec": {}, "timeframe": "5m",
              "birth_day": BORN, "birth_ms": BIRTH, "origin": "evolution"}
    PoolMember(**values)
    for change in ({"identity": "null-x"}, {"origin": "null"}):
        with pytest.raises(ValueError, match="nulls compete, and never enter a pool"):
            PoolMember(**values | change)


def test_an_outcome_that_does_not_follow_from_its_p_value_is_refused():
    lost = due([record("a", 28, drift=-1.0)])[0]
    assert not lost.rejected
    with pytest.raises(ValueError, match=r"forward test of .* is no discovery"):
        type(lost).model_validate({**lost.model_dump(), "rejected": True})
