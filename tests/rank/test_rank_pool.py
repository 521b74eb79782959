"""The rules of the pools."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daybook.core.errors import UsageError
from daybook.rank.pool import Pool, PoolMember, empty_pool, order_key, ranked_pool
from daybook.rank.score import ScoreResult
from daybook.rank.update import PoolRules, update_pool

DAY, NEXT = "2023-06-14", "2023-06-15"


def member(identity: str, score: float | None = None, structure: str | None = None, **more) -> PoolMember:
    return PoolMember(
        kind=more.pop("kind", "strategy"), identity=identity, structure_hash=structure or f"s-{identity}",
        name=f"name {identity}", spec={"entry": "close > open"}, timeframe="5m", birth_day=DAY, birth_ms=0,
        origin="test", score=score, score_reason=None if score is not None else "too few trades", **more,
    )


def pool(*members: PoolMember, capacity: int = 3) -> Pool:
    return ranked_pool(DAY, "strategy", capacity, members)


def names(update) -> list[str]:
    return [one.identity for one in update.pool.members]


def test_free_places_go_to_the_best_newcomers():
    update = update_pool(empty_pool(DAY, "strategy", 2), [member("a", 10.0), member("b", 70.0), member("c", 40.0)], DAY)
    assert names(update) == ["b", "c"]
    assert update.rejected[0].identity == "a"
    assert "went to better newcomers" in update.rejected[0].reason
    assert [one.entered for one in update.pool.members] == [DAY, DAY]


def test_a_newcomer_must_beat_the_weakest_incumbent_by_the_margin():
    full = pool(member("a", 60.0), member("b", 55.0), member("c", 50.0))
    near = update_pool(full, [member("n", 51.9)], NEXT)
    assert names(near) == ["a", "b", "c"]
    assert "51.9 against 50.0, 2 points ahead are needed" in near.rejected[0].reason
    clear = update_pool(full, [member("n", 52.0)], NEXT)
    assert names(clear) == ["a", "b", "n"]
    assert clear.archived[0].member.identity == "c"
    assert "replaced by name n (score 52.0 against score 50.0)" in clear.archived[0].reason


def test_an_undefined_incumbent_stays_until_something_better_comes():
    full = pool(member("a", 60.0), member("b"), capacity=2)
    assert names(update_pool(full, [member("n")], NEXT)) == ["a", "b"]
    assert names(update_pool(full, [member("n", 1.0)], NEXT)) == ["a", "n"]


def test_an_incumbent_without_a_score_for_days_leaves():
    held = pool(member("a", 60.0), member("b"))
    for count in range(1, 4):
        held = held.rescored(f"2023-06-{14 + count}", {"a": ScoreResult(score=60.0)})
        update = update_pool(held, [], f"2023-06-{14 + count}", rules=PoolRules(undefined_days=3))
        assert ("b" in names(update)) == (count < 3)
    assert "no score for 3 days in a row: it was not scored today" in update.archived[0].reason


def test_a_variant_of_the_same_structure_competes_with_that_incumbent_only():
    full = pool(member("a", 60.0, "s1"), member("b", 20.0, "s2"), capacity=3)
    update = update_pool(full, [member("v", 61.0, "s1")], NEXT)
    assert names(update) == ["a", "b"]
    assert "variant of the same structure, name a" in update.rejected[0].reason
    better = update_pool(full, [member("v", 62.0, "s1")], NEXT)
    assert names(better) == ["v", "b"]
    assert better.archived[0].member.identity == "a"


def alike(*pairs: str, correlation: float = 0.999) -> dict[frozenset[str], float]:
    return {frozenset(pair.split()): correlation for pair in pairs}


def test_a_newcomer_that_trades_as_an_incumbent_does_competes_with_it_only():
    """A clone with one redundant condition less: another structure, equal trades, equal score."""
    full = pool(member("a", 58.2), member("b", 20.0), member("c", 5.0), capacity=4)
    free = update_pool(full, [member("n", 58.2)], NEXT)
    assert names(free) == ["a", "n", "b", "c"], "without the pair it enters"
    update = update_pool(full, [member("n", 58.2)], NEXT, twins=alike("n a"))
    assert names(update) == ["a", "b", "c"]
    assert update.rejected[0].reason == ("it trades as name a does: correlation 1.00; it does not beat that member "
                                         "(58.2 against 58.2, 2 points ahead are needed)")
    better = update_pool(full, [member("n", 60.2)], NEXT, twins=alike("a n"))
    assert names(better) == ["n", "b", "c"]
    assert "replaced by name n, which trades as it does" in better.archived[0].reason
    assert better.changes[0].reason.startswith("entered at rank 1: it trades as name a does: correlation 1.00; it beat")


def test_a_newcomer_that_trades_as_several_do_must_beat_the_best_and_replaces_all():
    full = pool(member("a", 60.0), member("b", 50.0), member("c", 40.0, "s1"))
    lost = update_pool(full, [member("n", 61.0, "s1")], NEXT, twins=alike("n a", "n b"))
    assert names(lost) == ["a", "b", "c"]
    won = update_pool(full, [member("n", 62.0, "s1"), member("m", 1.0)], NEXT, twins=alike("n a", "n b"))
    assert names(won) == ["n", "m"]
    assert [one.member.identity for one in won.archived] == ["a", "b", "c"]


def test_of_newcomers_that_trade_alike_only_the_better_enters_and_a_tie_goes_by_identity():
    update = update_pool(empty_pool(DAY, "strategy", 5), [member("b", 70.0), member("a", 70.0), member("c", 80.0)], DAY,
                         twins=alike("a b"))
    assert names(update) == ["c", "a"]
    assert update.rejected[0].reason == "it trades as name a does: correlation 1.00 (score 70.0)"


def test_a_newcomer_without_a_score_never_displaces_what_it_trades_as():
    update = update_pool(pool(member("a")), [member("n")], NEXT, twins=alike("a n"))
    assert names(update) == ["a"]
    assert update.rejected[0].reason.startswith("it trades as name a does: correlation 1.00; its score is undefined")


def test_one_structure_and_one_identity_only_once_among_newcomers():
    update = update_pool(
        empty_pool(DAY, "strategy", 5), [member("a", 50.0, "s1"), member("b", 70.0, "s1"), member("b", 70.0, "s1")], DAY
    )
    assert names(update) == ["b"]
    assert sorted(one.reason.split(" as ")[0] for one in update.rejected) == [
        "it has the same structure", "it is already in the pool",
    ]


def test_an_incumbent_designed_again_is_already_there():
    update = update_pool(pool(member("a", 10.0)), [member("a", 99.0)], NEXT)
    assert update.pool.members[0].score == 10.0
    assert "already in the pool" in update.rejected[0].reason


def test_a_smaller_capacity_archives_the_lowest():
    update = update_pool(pool(member("a", 60.0), member("b", 55.0), member("c", 50.0)), [], NEXT, capacity=1)
    assert names(update) == ["a"]
    assert [one.member.identity for one in update.archived] == ["b", "c"]
    assert all("now holds 1" in one.reason for one in update.archived)


def test_changes_tell_what_happened_and_why():
    held = pool(member("a", 60.0), member("b", 55.0), member("c", 50.0)).rescored(
        NEXT, {"a": ScoreResult(score=40.0), "b": ScoreResult(score=58.0), "c": ScoreResult(score=30.0)})
    update = update_pool(held, [member("n", 45.0), member("m", 1.0)], NEXT)
    assert [(line.what, line.identity) for line in update.changes] == [
        ("entered", "n"), ("archived", "c"), ("rejected", "m"), ("rose", "b"), ("fell", "a"),
    ]
    assert update.changes[3].reason == "rank 2 to 1: score 55.0 to 58.0"
    assert all(line.reason for line in update.changes)
    assert update.kept == ("b", "a")


def test_rescoring_keeps_yesterday_beside_today():
    held = pool(member("a", 60.0), member("b", 55.0)).rescored(NEXT, {"b": ScoreResult(score=70.0)})
    first, second = held.members
    assert (first.identity, first.score, first.score_previous, first.rank_previous) == ("b", 70.0, 55.0, 2)
    assert (second.score, second.undefined_days, second.score_reason) == (None, 1, "it was not scored today")
    assert held.day == NEXT


def test_a_snapshot_survives_json():
    held = pool(member("a", 60.0), member("b"))
    assert Pool.model_validate_json(held.model_dump_json()) == held


def test_a_member_can_not_hold_what_json_can_not():
    with pytest.raises(ValidationError, match="JSON without NaN"):
        member("a", 1.0, params={"level": float("nan")})
    with pytest.raises(ValidationError):
        member("a", float("nan"))


def test_a_pool_can_not_hold_nonsense():
    first, second = member("a", 1.0, rank=1), member("a", 0.5, rank=2)
    with pytest.raises(ValidationError, match="identity appears twice"):
        Pool(day=DAY, kind="strategy", capacity=3, members=(first, second))
    with pytest.raises(ValidationError, match="allowed are 1"):
        Pool(day=DAY, kind="strategy", capacity=1, members=(first, member("b", 0.5, rank=2)))
    with pytest.raises(ValidationError, match="ranks"):
        Pool(day=DAY, kind="strategy", capacity=3, members=(member("b", 1.0, rank=2),))
    with pytest.raises(UsageError, match="belong to another pool"):
        update_pool(empty_pool(DAY, "strategy"), [member("m", 1.0, kind="model")], DAY)


scores = st.one_of(st.none(), st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 1)))


@st.composite
def contests(draw):
    capacity = draw(st.integers(1, 5))
    held = [member(f"i{n}", draw(scores), f"s{n}") for n in range(draw(st.integers(0, capacity)))]
    fresh = [
        member(f"{draw(st.sampled_from('ni'))}{n}", draw(scores), f"s{draw(st.integers(0, 12))}")
        for n in range(draw(st.integers(0, 8)))
    ]
    return ranked_pool(DAY, "strategy", capacity, held), fresh


@settings(max_examples=120, deadline=None)
@given(contests(), st.randoms(use_true_random=False))
def test_update_is_bounded_complete_and_independent_of_input_order(contest, random):
    previous, fresh = contest
    update = update_pool(previous, fresh, NEXT)
    assert len(update.pool.members) <= previous.capacity
    assert len({one.structure_hash for one in update.pool.members}) == len(update.pool.members)
    shuffled = random.sample(fresh, len(fresh))
    assert update_pool(previous, shuffled, NEXT) == update
    fates = sorted([*names(update), *(one.member.identity for one in update.archived),
                    *(one.identity for one in update.rejected)])
    assert fates == sorted([one.identity for one in [*previous.members, *fresh]])
    assert all(line.reason for line in (*update.archived, *update.rejected))
    assert len(update.pool.members) >= len(previous.members)


@settings(max_examples=120, deadline=None)
@given(contests(), st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12),
       st.randoms(use_true_random=False))
def test_nobody_enters_beside_one_that_trades_alike(contest, numbers, random):
    previous, fresh = contest
    known = sorted({one.identity for one in (*previous.members, *fresh)})
    twins = alike(*(f"{known[a % len(known)]} {known[b % len(known)]}" for a, b in numbers
                    if known and a % len(known) != b % len(known)))
    update = update_pool(previous, fresh, NEXT, twins=twins)
    for one in update.entered:
        assert not any(frozenset((one, other)) in twins for other in names(update))
    assert update_pool(previous, random.sample(fresh, len(fresh)), NEXT, twins=twins) == update
    fates = sorted([*names(update), *(one.member.identity for one in update.archived),
                    *(one.identity for one in update.rejected)])
    assert fates == sorted(one.identity for one in (*previous.members, *fresh))


@settings(max_examples=120, deadline=None)
@given(contests())
def test_no_newcomer_enters_over_a_better_one(contest):
    previous, fresh = contest
    update = update_pool(previous, fresh, NEXT)
    entered = [one for one in fresh if one.identity in update.entered]
    known = {one.structure_hash for one in previous.members} | {one.identity for one in previous.members}
    refused = [
        one for one in fresh
        if one.identity not in names(update) and not {one.structure_hash, one.identity} & known
        and one.structure_hash not in {other.structure_hash for other in entered}
    ]
    for loser in refused:
        free = [one for one in entered if one.structure_hash not in known]
        assert all(order_key(winner) < order_key(loser) for winner in free)


@settings(max_examples=80, deadline=None)
@given(contests())
def test_an_incumbent_is_never_displaced_within_the_margin(contest):
    previous, fresh = contest
    update = update_pool(previous, fresh, NEXT, rules=PoolRules(margin=5.0))
    best = max((one.score for one in fresh if one.score is not None), default=None)
    for gone in update.archived:
        assert best is not None
        assert gone.member.score is None or best >= gone.member.score + 5.0
