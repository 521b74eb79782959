"""Proof comes from forward bars only, and noise never passes."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, day_start_ms, parse_day
from daybook.rank.evidence import Evidence, EvidenceDay, extend_evidence, first_evidence_day
from daybook.rank.forward_test import ForwardTest, due_tests
from daybook.rank.gates import GateRules, Verdict, verdict
from daybook.rank.pool import EvidenceSummary, PoolMember

BIRTH = day_start_ms(parse_day("2023-06-14"))


def day_text(offset: int) -> str:
    from datetime import timedelta

    return (parse_day("2023-06-15") + timedelta(days=offset)).isoformat()


def record(rng: np.random.Generator, days: int, drift: float = 0.0, trades: int = 10) -> Evidence:
    entries = tuple(
        EvidenceDay(day=day_text(n), blocks=tuple(rng.normal(drift, 1.0, 24) * 1e-3), trades=trades)
        for n in range(days)
    )
    return Evidence(identity="a", kind="strategy", birth_ms=BIRTH, days=entries)


def judged_with_its_test(evidence: Evidence, trials: int, earlier=()) -> Verdict:
    """The verdict on the day on which its test fell due."""
    (test,) = due_tests(evidence.days[-1].day, [evidence], {evidence.identity: "a"}, earlier)
    return verdict(evidence, trials, test=test)


def test_nothing_is_proven_from_screening():
    judged = verdict(Evidence(identity="a", kind="strategy", birth_ms=BIRTH), trials=1)
    assert judged.status == "screened"
    assert not judged.proven
    assert judged.forward_sharpe is None
    assert all(not gate.passed and gate.reason for gate in judged.gates)


def test_neither_a_perfect_screening_score_nor_a_forged_test_promotes():
    member = PoolMember(
        kind="strategy", identity="a", structure_hash="s", name="a", spec={}, timeframe="5m", birth_day="2023-06-14",
        birth_ms=BIRTH, origin="evolution", score=100.0,
    )
    nothing = Evidence(identity=member.identity, kind=member.kind, birth_ms=member.birth_ms)
    forged = ForwardTest(day="2023-06-15", kind="strategy", identity="a", name="a", birth_ms=BIRTH, forward_days=28,
                         n=672, sharpe=99.0, p_value=0.0, level=0.05, rejected=True)
    judged = verdict(nothing, trials=1, test=forged)
    assert (judged.status, judged.proven) == ("screened", False)
    assert verdict(record(np.random.default_rng(1), 27, drift=2.0), trials=1, test=forged).status == "collecting"
    window = np.full(168, 0.01)
    assert extend_evidence(nothing, "2023-06-14", window, 50)[0].days == (), "the window before birth is no evidence"


def test_a_perfect_record_of_27_days_is_still_collecting():
    judged = verdict(record(np.random.default_rng(1), 27, drift=2.0), trials=1)
    assert judged.status == "collecting"
    assert not any(gate.passed for gate in judged.gates if gate.name == "deflated Sharpe ratio")


def test_a_strong_edge_is_proven_at_28_days_against_every_trial():
    judged = judged_with_its_test(record(np.random.default_rng(1), 28, drift=0.5), trials=300_000)
    assert judged.status == "proven"
    gate = next(gate for gate in judged.gates if gate.name == "deflated Sharpe ratio")
    assert gate.n == 28 * 24
    assert gate.interval[0] < judged.forward_sharpe < gate.interval[1]
    assert judged.days_to_proof < 28


def test_the_same_edge_is_not_proven_when_more_was_tried():
    evidence = record(np.random.default_rng(7), 28, drift=0.28)
    assert verdict(evidence, trials=2).gates[2].value > verdict(evidence, trials=10**6).gates[2].value
    assert judged_with_its_test(evidence, 2).gates[3].passed
    assert not judged_with_its_test(evidence, 10**6).proven


def test_without_its_one_test_nothing_is_proven():
    judged = verdict(record(np.random.default_rng(1), 28, drift=0.5), trials=2)
    assert judged.status == "unproven"
    assert "the one forward test: it was not tested" in judged.text
    other = due_tests("2023-07-12", [record(np.random.default_rng(2), 28)], {"a": "a"}, ())[0]
    with pytest.raises(UsageError, match="not of a"):
        verdict(record(np.random.default_rng(1), 28), 2, test=other.model_copy(update={"birth_ms": 0}))


def test_noise_passes_no_gate_in_thirty_days_of_trials():
    rng = np.random.default_rng(42)
    judged = [judged_with_its_test(record(rng, 30), trials=30 * 10_000) for _ in range(150)]
    assert sum(one.proven for one in judged) == 0
    assert {one.status for one in judged} == {"unproven"}


def test_a_few_lucky_trades_prove_nothing():
    judged = verdict(record(np.random.default_rng(1), 28, drift=1.0, trades=0), trials=1)
    assert judged.status == "unproven"
    assert "28 more forward trades" in judged.text


def test_gate_rules_can_not_be_loosened_to_a_coin_flip():
    with pytest.raises(ValidationError):
        GateRules(dsr=0.5)
    with pytest.raises(ValidationError):
        GateRules(min_forward_days=1)


def test_evidence_from_before_birth_is_refused():
    with pytest.raises(ValidationError, match="before its birth"):
        Evidence(identity="a", kind="strategy", birth_ms=BIRTH + 1, days=(
            EvidenceDay(day="2023-06-15", blocks=(0.0,) * 24, trades=0),
        ))


def test_overlapping_or_unordered_days_are_refused():
    entry = EvidenceDay(day="2023-06-15", blocks=(0.0,) * 24, trades=0)
    with pytest.raises(ValidationError, match="appear once"):
        Evidence(identity="a", kind="strategy", birth_ms=BIRTH, days=(entry, entry))


def test_missing_blocks_are_not_evidence():
    with pytest.raises(ValidationError, match="missing is not zero"):
        EvidenceDay(day="2023-06-15", blocks=(float("nan"),) + (0.0,) * 23, trades=0)
    with pytest.raises(ValidationError):
        EvidenceDay(day="2023-06-15", blocks=(0.0,) * 23, trades=0)


@pytest.mark.parametrize(("birth", "first"), [
    (BIRTH, "2023-06-15"), (BIRTH + 1, "2023-06-16"), (BIRTH + DAY_MS - 1, "2023-06-16"),
])
def test_first_evidence_day_begins_after_birth(birth, first):
    assert first_evidence_day(birth) == first
    Evidence(identity="a", kind="strategy", birth_ms=birth, days=(
        EvidenceDay(day=first, blocks=(0.0,) * 24, trades=0),
    ))


def test_only_the_newest_24_hours_become_evidence():
    empty = Evidence(identity="a", kind="strategy", birth_ms=BIRTH)
    blocks = np.arange(168) * 1e-4
    record, reason = extend_evidence(empty, "2023-06-15", blocks, 4)
    assert reason is None
    assert record.blocks.tolist() == blocks[-24:].tolist()
    assert extend_evidence(record, "2023-06-15", blocks, 4)[0] == record


def test_hours_before_birth_or_missing_hours_are_no_evidence_and_it_is_said_why():
    empty = Evidence(identity="a", kind="strategy", birth_ms=BIRTH)
    assert extend_evidence(empty, "2023-06-14", np.zeros(168), 0) == (
        empty, "the 24 hours before 2023-06-14 reach before its birth; evidence begins on 2023-06-15")
    holed = np.zeros(168)
    holed[-3] = np.nan
    assert "1 of 24 hours before 2023-06-15 are missing" in extend_evidence(empty, "2023-06-15", holed, 0)[1]
    assert "4 of 24 hours" in extend_evidence(empty, "2023-06-15", np.zeros(20), 0)[1]


def test_extending_with_the_same_day_replaces_it():
    evidence = record(np.random.default_rng(0), 3)
    again = evidence.extended(EvidenceDay(day=day_text(1), blocks=(0.01,) * 24, trades=5))
    assert [entry.day for entry in again.days] == [entry.day for entry in evidence.days]
    assert again.days[1].trades == 5
    assert len(again.before(day_text(2)).days) == 2
    assert again.daily_returns[1] == pytest.approx(0.24), "blocks add up: fixed notional"


def test_summary_carries_the_interval_and_the_days():
    judged = judged_with_its_test(record(np.random.default_rng(1), 28, drift=0.5), trials=100)
    summary = EvidenceSummary.of(judged)
    assert (summary.forward_days, summary.status) == (28, "proven")
    assert summary.forward_low < summary.forward_sharpe < summary.forward_high
    assert summary.forward_trades == 280


def test_a_verdict_needs_at_least_one_trial():
    with pytest.raises(UsageError, match="at least once"):
        verdict(record(np.random.default_rng(0), 1), trials=0)
