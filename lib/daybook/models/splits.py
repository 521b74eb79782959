"""Forward splits in time: a model is tested only on bars after everything it learned from, with a gap between.

scikit-learn's TimeSeriesSplit counts rows. Here labels end at different times and several markets share one clock, so
folds are spans of time, and a row may be learned from only if its label was known before the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Bools, Ints
from daybook.core.time import DAY_MS, HOUR_MS, Window, utc_text
from daybook.models.errors import ModelSettingError, SplitError


@dataclass(frozen=True)
class SplitPlan:
    """Where the test folds lie: `folds` spans of `fold_ms` from `first_test_ms` on.

    embargo_ms: gap between the last label that may be learned from and the test span. train_ms: length of a rolling
    training span before the gap; None learns from everything earlier. min_train, min_test: fewest rows of a fold.
    """

    first_test_ms: int
    fold_ms: int
    folds: int
    embargo_ms: int = DAY_MS
    train_ms: int | None = None
    min_train: int = 200
    min_test: int = 1

    def __post_init__(self) -> None:
        if self.folds < 1 or self.fold_ms < 1:
            raise ModelSettingError(f"splits: {self.folds} folds of {self.fold_ms} ms; allowed are 1 or more of each.")
        if self.embargo_ms < 0 or (self.train_ms is not None and self.train_ms < 1):
            raise ModelSettingError(
                f"splits: embargo {self.embargo_ms} ms and training span {self.train_ms} ms; "
                "the embargo must not be negative and the span must be positive or None."
            )

    def test_span(self, fold: int) -> Window:
        """The span of bar open times that a fold tests on."""
        start = self.first_test_ms + fold * self.fold_ms
        return Window(start, start + self.fold_ms)


@dataclass(frozen=True)
class Split:
    """One fold: rows to learn from and rows to predict, both ascending int64 positions."""

    fold: int
    train: Ints
    test: Ints
    test_span: Window


def plan_folds(history: Window, *, folds: int = 6, first_train: float = 0.4, embargo_ms: int = DAY_MS) -> SplitPlan:
    """Equal folds over the last `1 - first_train` of a history, on whole hours, ending where the history ends.

    Raises ModelSettingError unless 0 < first_train < 1 and a fold is at least an hour.
    """
    if not 0.0 < first_train < 1.0:
        raise ModelSettingError(f"splits: first_train is {first_train}, allowed is a fraction between 0 and 1.")
    span_ms = history.end_ms - history.start_ms
    fold_ms = int(span_ms * (1.0 - first_train) / max(folds, 1)) // HOUR_MS * HOUR_MS
    if fold_ms < HOUR_MS:
        raise ModelSettingError(
            f"splits: {folds} folds of {history.days:.2f} days are shorter than an hour each. "
            "Give a longer history or fewer folds."
        )
    return SplitPlan(history.end_ms - folds * fold_ms, fold_ms, folds, embargo_ms)


def forward_splits(time: Ints, known_at: Ints, usable: Bools, plan: SplitPlan) -> list[Split]:
    """The folds of a plan, oldest first.

    time: (N,) bar open times. known_at: (N,) when each label is known. usable: (N,) rows with a label to learn from.
    A training row's label is known an embargo or more before the test span; a test row opens inside the span and
    needs no label. Raises SplitError, with count, limit, cause and remedy, where a fold has too few rows.
    """
    return [_split(time, known_at, usable, plan, fold) for fold in range(plan.folds)]


def rows_known_by(known_at: Ints, usable: Bools, moment_ms: int) -> Ints:
    """Positions of usable rows whose label is known at a moment."""
    return np.flatnonzero(usable & (known_at <= moment_ms))


def _split(time: Ints, known_at: Ints, usable: Bools, plan: SplitPlan, fold: int) -> Split:
    span = plan.test_span(fold)
    last_label_ms = span.start_ms - plan.embargo_ms
    learned = usable & (known_at <= last_label_ms)
    if plan.train_ms is not None:
        learned &= time >= last_label_ms - plan.train_ms
    tested = (time >= span.start_ms) & (time < span.end_ms)
    train, test = np.flatnonzero(learned), np.flatnonzero(tested)
    where = f"fold {fold + 1} of {plan.folds} ({utc_text(span.start_ms)} to {utc_text(span.end_ms)})"
    if train.size < plan.min_train:
        earlier = time < span.start_ms
        purged = int(np.sum(earlier & usable & ~learned))
        raise SplitError(
            f"{where}: {train.size} rows to learn from, at least {plan.min_train} are needed. Of {int(earlier.sum())} "
            f"earlier rows {int(np.sum(earlier & ~usable))} have no usable label and {purged} fall to purge, embargo "
            "or the rolling span. Give a longer history, fewer folds or a shorter embargo."
        )
    if test.size < plan.min_test:
        raise SplitError(
            f"{where}: {test.size} rows to test on, at least {plan.min_test} are needed; the bars end or have a gap "
            "there. Import the missing candles or test on another span."
        )
    return Split(fold, train, test, span)
