"""Forward folds: nothing learned was still unknown at the gap, whatever the lengths of the labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.time import HOUR_MS, Window
from daybook.models import SplitPlan, forward_splits, plan_folds
from daybook.models.errors import ModelSettingError, SplitError

STEP = 60_000


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=200, max_size=300),
    embargo=st.integers(0, 40), rolling=st.one_of(st.none(), st.integers(30, 90)), folds=st.integers(1, 4),
    hidden=st.integers(2, 7),
)
def test_no_learned_label_reaches_the_gap_before_the_test(lengths, embargo, rolling, folds, hidden):
    time = STEP * np.arange(len(lengths), dtype=np.int64)
    known_at = time + STEP * np.array(lengths)
    usable = np.arange(len(lengths)) % hidden != 0
    plan = SplitPlan(120 * STEP, 20 * STEP, folds, embargo * STEP, rolling and rolling * STEP, min_train=1)
    tested = []
    for split in forward_splits(time, known_at, usable, plan):
        edge = split.test_span.start_ms - embargo * STEP
        assert (known_at[split.train] <= edge).all()
        assert usable[split.train].all()
        assert ((time[split.test] >= split.test_span.start_ms) & (time[split.test] < split.test_span.end_ms)).all()
        allowed = usable & (known_at <= edge)
        if rolling:
            allowed &= time >= edge - rolling * STEP
        assert split.train.size == allowed.sum()
        tested.extend(split.test.tolist())
    assert tested == list(range(120, min(120 + 20 * folds, len(lengths))))


def test_later_rows_change_no_earlier_fold():
    time = STEP * np.arange(400, dtype=np.int64)
    known_at, usable = time + 5 * STEP, np.ones(400, dtype=bool)
    plan = SplitPlan(200 * STEP, 50 * STEP, 2, 10 * STEP, min_train=10)
    long, short = (forward_splits(time[:n], known_at[:n], usable[:n], plan) for n in (400, 320))
    for one, other in zip(long, short, strict=True):
        assert np.array_equal(one.train, other.train)
        assert np.array_equal(one.test, other.test)


def test_plan_ends_with_the_history_on_whole_hours():
    history = Window(0, 35 * 24 * HOUR_MS)
    plan = plan_folds(history)
    assert plan.test_span(plan.folds - 1).end_ms == history.end_ms
    assert plan.fold_ms == 84 * HOUR_MS
    assert plan.first_test_ms == 14 * 24 * HOUR_MS


def test_too_few_rows_say_how_many_why_and_what_to_do():
    time = STEP * np.arange(100, dtype=np.int64)
    known_at, usable = time + STEP, np.arange(100) >= 20
    plan = SplitPlan(50 * STEP, 50 * STEP, 1, 20 * STEP, min_train=40)
    with pytest.raises(SplitError, match=r"fold 1 of 1 .*10 rows to learn from, at least 40.*20 have no usable label "
                                         r"and 20 fall to purge.*longer history"):
        forward_splits(time, known_at, usable, plan)
    with pytest.raises(SplitError, match="rows to test on"):
        forward_splits(time, known_at, usable, SplitPlan(200 * STEP, STEP, 1, 0, min_train=1))


@pytest.mark.parametrize("make", [
    lambda: SplitPlan(0, 0, 1), lambda: SplitPlan(0, 1, 0), lambda: SplitPlan(0, 1, 1, embargo_ms=-1),
    lambda: plan_folds(Window(0, 1000)), lambda: plan_folds(Window(0, 10 * HOUR_MS), first_train=1.0),
])
def test_impossible_plans_are_refused(make):
    with pytest.raises(ModelSettingError):
        make()
