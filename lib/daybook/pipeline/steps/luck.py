"""What luck alone explains of today's candidates: every figure with its sample and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.seeds import derived_seed
from daybook.pipeline.day import Day
from daybook.pipeline.effective import EffectiveTrials
from daybook.pipeline.screening import Screened
from daybook.rank import (
    PoolMember,
    benjamini_hochberg,
    noise_best_sharpe,
    overfitting,
    reality_check,
)
from daybook.rank.score import BLOCKS_PER_YEAR
from daybook.rank.statistics import Moments, deflated_sharpe_ratio, moments, probabilistic_sharpe_ratio
from daybook.report import Metric, Reading

_RATE = 0.05
_SURE = 0.95
_EVEN = 0.5
_CLEAR = 0.2


@dataclass(frozen=True)
class Tried:
    """What was tried today, for the question of luck.

    members: candidates with their validation. compared: (N,) per-hour Sharpe ratios of every tuning and validation that
    has one. tuned: (K, B) hourly returns of every tuning. counts: today's trials up to this step.
    """

    members: Sequence[tuple[PoolMember, Screened]]
    compared: Floats
    tuned: Floats
    counts: EffectiveTrials
    ever: int


def tried(
    members: Sequence[tuple[PoolMember, Screened]], tuned: Sequence[Screened], validated: Sequence[Screened],
    counts: EffectiveTrials, ever: int,
) -> Tried:
    """Gather what the readings need."""
    sharpes = [one.result.sharpe for one in (*tuned, *validated) if one.result.sharpe is not None]
    blocks = np.stack([one.blocks for one in tuned]) if tuned else np.empty((0, 0))
    return Tried(members, np.array(sharpes) / np.sqrt(BLOCKS_PER_YEAR), blocks, counts, ever)


def luck_readings(day: Day, found: Tried) -> tuple[Reading, ...]:
    """Trials, the best beside the best expected of noise, PSR, both DSRs, PBO, SPA with its set, false discoveries."""
    best = _best(found)
    return (*_counts(found), *_against_noise(found, best), _choice(found), *_all_candidates(day, found))


def _best(found: Tried) -> tuple[PoolMember, Moments] | None:
    """The candidate with the highest Sharpe ratio on the scoring window among those with a score."""
    known = [(member, moments(one.blocks)) for member, one in found.members if one.result.sharpe is not None]
    defined = [(member, each) for member, each in known if each is not None]
    return max(defined, key=lambda one: (one[1].sharpe, one[0].identity)) if defined else None


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


def _against_noise(found: Tried, best: tuple[PoolMember, Moments] | None) -> tuple[Reading, ...]:
    trials = len(found.compared)
    names = ("best Sharpe, unseen bars", "best expected of luck alone", "PSR of the best",
             "DSR, variance of noise", "DSR, variance of trials")
    if best is None or trials == 0:
        why = "no candidate traded enough for a Sharpe ratio" if found.members else "there is no candidate"
        return tuple(Reading(metric=Metric(name=name, reason=why), meaning="Nothing to compare yet.") for name in names)
    member, own = best
    annual = own.sharpe * np.sqrt(BLOCKS_PER_YEAR)
    noise = noise_best_sharpe(trials, own.n)
    likely = probabilistic_sharpe_ratio(own.sharpe, own.n, own.skew, own.kurtosis)
    strict = deflated_sharpe_ratio(own.sharpe, own.n, trials, own.skew, own.kurtosis)
    spread = float(np.var(found.compared, ddof=1)) if trials > 1 else None
    above = "above it: screened, not proven" if annual > noise else "not above it, so luck alone explains the best"
    return (
        Reading(metric=Metric(name=names[0], value=annual, unit="annualised", n=own.n, n_unit="hours"),
                meaning=f"{member.name}, after costs, on the week that no tuning saw."),
        Reading(metric=Metric(name=names[1], value=noise, unit="annualised", n=trials, n_unit="compared",
                              better="neither"),
                meaning=f"The best of as many worthless results would show this; the one above is {above}."),
        Reading(metric=Metric(name=names[2], value=likely, unit="probability", n=own.n, n_unit="hours"),
                meaning="How likely its true Sharpe ratio is above 0, if it had been the only one tried; it was not."),
        Reading(metric=Metric(name=names[3], value=strict, unit="probability", n=trials, n_unit="compared"),
                meaning=_deflated(strict)),
        _by_spread(names[4], own, trials, spread),
    )


def _deflated(value: float) -> str:
    sure = value > _SURE
    said = "More than luck of choosing, on this week" if sure else "Choosing the best of so many explains it"
    return f"The same after charging the choice among all compared: above {_SURE} is needed. {said}."


def _by_spread(name: str, own: Moments, trials: int, spread: float | None) -> Reading:
    if spread is None:
        why = "one result alone has no variance"
        return Reading(metric=Metric(name=name, reason=why), meaning="Nothing to compare.")
    value = deflated_sharpe_ratio(own.sharpe, own.n, trials, own.skew, own.kurtosis, spread)
    return Reading(metric=Metric(name=name, value=value, unit="probability", n=trials, n_unit="compared"),
                   meaning="As before, with the spread that today's results really had; losers widen it.")


def _choice(found: Tried) -> Reading:
    name = "PBO: chance of overfitting"
    if found.tuned.size == 0:
        return Reading(metric=Metric(name=name, reason="nothing was tuned"), meaning="No choice was made.")
    result = overfitting(found.tuned)
    if result.pbo is None:
        return Reading(metric=Metric(name=name, reason=result.reason), meaning="The tuning can not be judged.")
    said = ("tuning picks what lasts" if result.pbo < _CLEAR else "tuning picks little better than chance"
            if result.pbo < _EVEN else "tuning picks no better than chance")
    return Reading(
        metric=Metric(name=name, value=result.pbo, unit="fraction", n=result.rows, n_unit="tunings", better="lower",
                      baseline=_EVEN, baseline_name="chance"),
        meaning=f"In {result.splits:,} halvings of the design's span, how often the best of one half is below the "
                f"middle in the other; half is chance, so {said}. The search saw this span, which flatters it.")


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
