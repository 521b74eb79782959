"""Does tuning pick what lasts: the chance of overfitting within each timeframe, and what the picked ones did after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from daybook.core.arrays import Floats
from daybook.pipeline.screening import Screened
from daybook.rank import Overfitting, PoolMember, overfitting
from daybook.rank.pool import TUNED_ORIGIN
from daybook.report import Metric, Reading

NAME = "PBO: chance of overfitting"
_EVEN = 0.5
_CLEAR = 0.2


def choice_reading(members: Sequence[tuple[PoolMember, Screened]], tuned: Mapping[str, Floats]) -> Reading:
    """PBO among the tunings of the timeframe that most candidates trade; the others are told in its sentence.

    members: candidates with their validation. tuned: timeframe -> (K, B) hourly returns of its tunings.
    One PBO over all timeframes would flatter: where bars are short every tuning bleeds costs, so that to pick a long
    bar, which costs decide and no skill, is right in both halves of any split.
    """
    if not tuned:
        return Reading(metric=Metric(name=NAME, reason="nothing was tuned"), meaning="No choice was made.")
    found = {timeframe: overfitting(returns) for timeframe, returns in tuned.items()}
    traded = Counter(member.timeframe for member, _ in members if member.timeframe in tuned)
    first = max(tuned, key=lambda timeframe: (traded[timeframe], _minutes(timeframe)))
    share = f"{first}, which {traded[first]} of {len(members)} candidates trade: " if members else f"{first}: "
    others = _others(first, found, tuned)
    result = found[first]
    if result.pbo is None:
        return Reading(metric=Metric(name=NAME, reason=f"{first}: {result.reason}"),
                       meaning=f"{share}the tuning can not be judged.{others}")
    median, unseen = _afterwards([one for one in members if one[0].timeframe == first])
    return Reading(
        metric=Metric(name=NAME, value=result.pbo, unit="fraction", n=result.rows, n_unit=f"tunings, {first}",
                      better="lower", baseline=_EVEN, baseline_name="chance"),
        meaning=f"{share}how often the best of one half of the design's span is below the middle in the other, in "
                f"{result.splits:,} halvings; half is chance, so {_said(result.pbo, median)}. {unseen}{others} "
                "The search saw this span, which flatters it.")


def _said(pbo: float, median: float | None) -> str:
    """What a PBO means; that tuning picks what lasts may be said only if the picked ones also earned afterwards."""
    if pbo >= _EVEN:
        return "tuning picks no better than chance"
    if pbo >= _CLEAR:
        return "tuning picks little better than chance"
    if median is None:
        return "tuning picks the same again within that span, and the unseen week can not tell"
    if median <= 0.0:
        return "tuning picks the same again within that span, but what it picked did not earn afterwards"
    return "tuning picks what lasts"


def _afterwards(chosen: Sequence[tuple[PoolMember, Screened]]) -> tuple[float | None, str]:
    """Median Sharpe ratio of the new designs on the unseen week, and a sentence on it.

    Members of the pool that were tuned anew were picked for a low score on this very week: they can not judge tuning.
    """
    new = [one.result.sharpe for member, one in chosen if member.origin != TUNED_ORIGIN]
    known = [sharpe for sharpe in new if sharpe is not None]
    anew = len(chosen) - len(new)
    if not known:
        return None, ("No new design of them traded enough on the unseen week." if new else
                      f"No new design trades it: all {anew} were tuned anew for a bad score on the unseen week.")
    apart = f", without {anew} tuned anew for a bad score on it" if anew else ""
    median = float(np.median(known))
    return median, (f"On the unseen week the chosen new designs have a median Sharpe ratio of "
                    f"{f'{median:.1f}'.replace('-', '−')} (n = {len(known)}{apart}).")


def _others(first: str, found: Mapping[str, Overfitting], tuned: Mapping[str, Floats]) -> str:
    """The same of every other timeframe, longest first; nothing where there is none."""
    names = sorted((name for name in found if name != first), key=_minutes, reverse=True)
    told = [f"{name} {_told(found[name])}{_bleeds(tuned[name])}" for name in names]
    return f" Elsewhere: {'; '.join(told)}." if told else ""


def _told(result: Overfitting) -> str:
    return f"undefined, {result.reason}" if result.pbo is None else f"{100 * result.pbo:.1f} % (n = {result.rows:,})"


def _bleeds(returns: Floats) -> str:
    """A low PBO where most lose is no praise: costs rank them by how much they trade, in either half."""
    losing = int(np.sum(returns.sum(axis=1) < 0.0))
    if 2 * losing <= len(returns):
        return ""
    return f", where {losing:,} of {len(returns):,} lose, so that it mostly tells who loses less"


def _minutes(timeframe: str) -> int:
    return int(timeframe.removesuffix("m"))
