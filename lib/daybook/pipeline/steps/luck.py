"""What luck alone explains of today's candidates: every figure with its sample and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.seeds import derived_seed
from daybook.pipeline.day import Day
from daybook.pipeline.effective import EffectiveTrials
from daybook.pipeline.screening import Screened
from daybook.pipeline.steps.choice import choice_reading
from daybook.rank import (
    PoolMember,
    benjamini_hochberg,
    noise_best_sharpe,
    reality_check,
)
from daybook.rank.score import BLOCKS_PER_YEAR
from daybook.rank.statistics import (
    Moments,
    deflated_sharpe_ratio,
    moments,
    noise_units,
    null_variance,
    probabilistic_sharpe_ratio,
)
from daybook.report import Metric, Reading

_RATE = 0.05
SURE = 0.95
"""Probability that a DSR must exceed."""


@dataclass(frozen=True)
class Tried:
    """What was tried today, for the question of luck.

    members: candidates with their validation. compared: (N,) Sharpe ratio of every tuning and validation that has one,
    each in units of its own noise, because a tuning has other hours than a validation. tuned: timeframe -> (K, B)
    hourly returns of its tunings. counts: today's trials up to this step.
    """

    members: Sequence[tuple[PoolMember, Screened]]
    compared: Floats
    tuned: Mapping[str, Floats]
    counts: EffectiveTrials
    ever: int

    @property
    def unseen(self) -> list[float]:
        """Annualised Sharpe ratios of the candidates that have one, on the week that no tuning saw."""
        return [one.result.sharpe for _, one in self.members if one.result.sharpe is not None]


@dataclass(frozen=True)
class Judged:
    """The best candidate of the unseen week beside luck.

    rivals: candidates with a Sharpe ratio, itself among them. sharpe, expected: annualised; its own, and the mean that
    the best of as many worthless candidates shows. strict: DSR with the variance of noise. spread: variance of all
    results in units of their own noise, and wide: DSR with it; both None for one result alone.

    Two sets, for two questions. `expected` is the mean of the best among those that competed for this place: the
    candidates on this week. Their parameters were chosen on other hours, and choosing among worthless results there
    changes nothing here, so to count tunings as well would overstate the mean (22.9 in place of 14.5 for 27 candidates
    and 707 tunings). But every trial is charged before anything may be called more than luck, so both DSRs count all of
    `compared`. That is more than this week asks for, and deliberately: which members of the pool are tuned anew depends
    on their score on this very week, and what is bred on yesterday's, which no number of candidates would tell.
    """

    member: PoolMember
    own: Moments
    rivals: int
    sharpe: float
    expected: float
    strict: float
    spread: float | None
    wide: float | None

    @property
    def standing(self) -> str:
        """explained: not above the mean of luck. within: above it, as luck often is. beyond: luck is unlikely."""
        if self.sharpe <= self.expected:
            return "explained"
        return "beyond" if self.strict > SURE else "within"


def tried(
    members: Sequence[tuple[PoolMember, Screened]], tuned: Sequence[Screened], validated: Sequence[Screened],
    counts: EffectiveTrials, ever: int,
) -> Tried:
    """Gather what the readings need. A tuning of which a market was lost is not comparable with the others."""
    compared = [noise_units(one.result.sharpe / sqrt(BLOCKS_PER_YEAR), one.result.n_blocks)
                for one in (*tuned, *validated) if one.result.sharpe is not None]
    blocks: dict[str, list[Floats]] = {}
    for one in tuned:
        if not one.lost:
            blocks.setdefault(one.timeframe, []).append(one.blocks)
    return Tried(members, np.array(compared), {name: np.stack(rows) for name, rows in blocks.items()}, counts, ever)


def judged(found: Tried) -> Judged | None:
    """The candidate with the highest Sharpe ratio on the scoring window, judged; None if no candidate has one."""
    known = [(member, moments(one.blocks)) for member, one in found.members if one.result.sharpe is not None]
    defined = [(member, each) for member, each in known if each is not None]
    if not defined:
        return None
    member, own = max(defined, key=lambda one: (one[1].sharpe, one[0].identity))
    trials = len(found.compared)
    spread = float(np.var(found.compared, ddof=1)) if trials > 1 else None
    shape = (own.sharpe, own.n, trials, own.skew, own.kurtosis)
    return Judged(
        member, own, len(defined), own.sharpe * sqrt(BLOCKS_PER_YEAR), noise_best_sharpe(len(defined), own.n),
        deflated_sharpe_ratio(*shape), spread,
        None if spread is None else deflated_sharpe_ratio(*shape, variance=spread * null_variance(own.n)),
    )


def luck_readings(day: Day, found: Tried) -> tuple[Reading, ...]:
    """Trials, the best beside the best expected of noise, PSR, both DSRs, PBO, SPA with its set, false discoveries."""
    return (*_counts(found), *_against_noise(found), choice_reading(found.members, found.tuned),
            *_all_candidates(day, found))


def _counts(found: Tried) -> tuple[Reading, ...]:
    counts = found.counts
    return (
        Reading(metric=Metric(name="trials up to the backtest", value=counts.trials, unit="evaluations",
                              better="neither"),
                meaning="Each simulation on each market counts, also those that failed, and the nulls."),
        Reading(metric=Metric(name="of these, different ideas", value=round(counts.effective, 1),
                              unit="evaluations", n=counts.with_returns, n_unit="with returns", better="neither"),
                meaning="Trials that earn at the same hours count once, those that never traded not at all."),
        Reading(metric=Metric(name="trials ever, up to there", value=found.ever, unit="evaluations", better="neither"),
                meaning="Every one of them is charged before anything may be called proven."),
    )


def _against_noise(found: Tried) -> tuple[Reading, ...]:
    names = ("best Sharpe, unseen bars", "best expected of luck alone", "PSR of the best",
             "DSR, variance of noise", "DSR, variance of trials")
    best = judged(found)
    if best is None:
        why = "no candidate traded enough for a Sharpe ratio" if found.members else "there is no candidate"
        return tuple(Reading(metric=Metric(name=name, reason=why), meaning="Nothing to compare yet.") for name in names)
    own, trials = best.own, len(found.compared)
    likely = probabilistic_sharpe_ratio(own.sharpe, own.n, own.skew, own.kurtosis)
    return (
        Reading(metric=Metric(name=names[0], value=best.sharpe, unit="annualised", n=own.n, n_unit="hours"),
                meaning=f"{best.member.name}, after costs, on the week that no tuning saw."),
        Reading(metric=Metric(name=names[1], value=best.expected, unit="annualised", n=best.rivals,
                              n_unit="candidates", better="neither"),
                meaning="What the best of as many worthless candidates shows on such a week, on average; today's best "
                        f"is {_ABOVE[best.standing]}. The day's report asks it of every trial ever, which is more."),
        Reading(metric=Metric(name=names[2], value=likely, unit="probability", n=own.n, n_unit="hours"),
                meaning="How likely its true Sharpe ratio is above 0, if it had been the only one tried; it was not."),
        Reading(metric=Metric(name=names[3], value=best.strict, unit="probability", n=trials, n_unit="compared"),
                meaning=_deflated(best.strict)),
        _by_spread(names[4], best, found.compared),
    )


_ABOVE = {
    "explained": "not above it, so luck alone explains it",
    "within": "above it, as the best of worthless ones is every other week",
    "beyond": "above it, and beyond luck also with every result charged: screened, not proven",
}


def _deflated(value: float) -> str:
    said = "More than luck of choosing, on this week" if value > SURE else "Choosing the best of so many explains it"
    return (f"The same after charging the choice among all results, each tuning and validation: above {SURE} is "
            f"needed. {said}.")


def _by_spread(name: str, best: Judged, compared: Floats) -> Reading:
    if best.spread is None:
        why = "one result alone has no variance"
        return Reading(metric=Metric(name=name, reason=why), meaning="Nothing to compare.")
    ratio = sqrt(best.spread)
    losers = float(np.sum(np.minimum(compared, 0.0) ** 2)) > float(np.sum(np.maximum(compared, 0.0) ** 2))
    said = (f"wider, most of it by {'losers' if losers else 'winners'}, which makes this the stricter test"
            if ratio > 1.0 else "not wider, which makes this the more lenient test, so the one before decides")
    return Reading(metric=Metric(name=name, value=best.wide, unit="probability", n=len(compared), n_unit="compared"),
                   meaning=f"As before, with the spread that today's results really had, each for its own hours: "
                           f"{ratio:.1f} times that of noise; {said}.")


def _all_candidates(day: Day, found: Tried) -> tuple[Reading, ...]:
    """SPA and StepM of the candidates against not trading, and Benjamini-Hochberg of their PSR."""
    names = ("SPA: any beats not trading", "StepM: how many beat it", "discoveries, 5 % false")
    blocks = [one.blocks for _, one in found.members]
    if not blocks:
        return tuple(Reading(metric=Metric(name=name, reason="there is no candidate"), meaning="Nothing to test.")
                     for name in names)
    test = reality_check(np.stack(blocks), seed=derived_seed(day.settings.seed, "reality check", day.sealed.day))
    if test.p_value is None:
        spa = tuple(Reading(metric=Metric(name=name, reason=test.reason), meaning="Nothing to test.")
                    for name in names[:2])
    else:
        chosen = ", ".join(found.members[place][0].name for place in test.superior)
        said = "some do" if test.p_value <= _RATE else "none can be told from luck"
        spa = (
            Reading(metric=Metric(name=names[0], value=test.p_value, unit="probability", n=test.rows,
                                  n_unit="candidates", better="lower"),
                    meaning=f"Chance of such a best if none had an edge, over {test.repetitions:,} resampled weeks; "
                            f"{_RATE} or less is needed, so {said}. The tuning before is not charged."),
            Reading(metric=Metric(name=names[1], value=len(test.superior), n=test.rows, n_unit="candidates"),
                    meaning=f"All of them at once with 5 % risk of any error: {chosen or 'none'}."),
        )
    return (*spa, _discoveries(names[2], [one for _, one in found.members]))


def _discoveries(name: str, candidates: Sequence[Screened]) -> Reading:
    """A candidate without a score, whose few trades make any Sharpe ratio look certain, was tested with p value 1."""
    known = [None if one.result.sharpe is None else moments(one.blocks) for one in candidates]
    p_values = [1.0 if m is None else 1.0 - probabilistic_sharpe_ratio(m.sharpe, m.n, m.skew, m.kurtosis)
                for m in known]
    result = benjamini_hochberg(p_values, _RATE)
    return Reading(
        metric=Metric(name=name, value=result.count, n=len(p_values), n_unit="candidates"),
        meaning="By Benjamini and Hochberg, with at most 5 % of them false on average; one with too few trades is "
                "none. What was tried before the candidates were chosen is not charged here.")
