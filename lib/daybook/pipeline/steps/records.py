"""Forward records and refusals, as the report tells them."""

from __future__ import annotations

from collections.abc import Mapping

from daybook.core.time import day_of
from daybook.pipeline.day import Day
from daybook.pipeline.steps.rank import Ranking
from daybook.rank import FORWARD_DAYS, Evidence, Kind, PoolMember, Verdict
from daybook.rank.confidence_sequence import confidence_sequence
from daybook.rank.pool import TUNED_ORIGIN, order_key
from daybook.report import ForwardRow, Notice, RejectedRow
from daybook.report.tournament import PoolName

POOL_NAMES: Mapping[Kind, PoolName] = {"strategy": "strategies", "model": "models", "ensemble": "ensembles"}
_UNCHANGED = ("re-tuned, unchanged: no other parameters were better on the design's span, so it competed as the member "
              "that it already was")
_KNOWN = "tuned, it is a member that the pool held already and that competed as such"


def forward_rows(day: Day, ranking: Ranking) -> tuple[ForwardRow, ...]:
    """One row a member of today's pools, kind by kind in the order of rank."""
    return tuple(
        _row(member, ranking.evidence[member.identity], ranking.verdicts[member.identity], day)
        for kind, update in ranking.updates.items() for member in update.pool.members
    )


def former_notices(ranking: Ranking) -> tuple[Notice, ...]:
    """The tests of today that were of former members, in one line; nothing where there was none."""
    tests = [test for test in ranking.tests if test.identity not in ranking.evidence]
    if not tests:
        return ()
    found = ", ".join(test.name for test in tests if test.rejected) or "none"
    return (Notice(where="forward tests", severity="info", message=(
        f"{len(tests)} that had left the pools reached {FORWARD_DAYS} forward days and had their one test today; "
        f"discoveries: {found}. A former member does not come back by itself.")),)


def _row(member: PoolMember, record: Evidence, judged: Verdict, day: Day) -> ForwardRow:
    test, few = judged.test, 0 < record.trades < day.settings.min_trades
    reasons = {}
    if few:
        reasons = dict.fromkeys(("sharpe", "track_record_days"), f"{record.trades} trades; at least "
                                f"{day.settings.min_trades} are needed")
    elif judged.forward_sharpe is None:
        reasons["sharpe"] = "no day after its birth yet" if not record.days else "the record never moved"
        reasons["track_record_days"] = reasons["sharpe"]
    elif judged.days_to_proof is None:
        reasons["track_record_days"] = "its Sharpe ratio is not above zero, so that no length would prove it"
    if test is None:
        reasons["p_value"] = f"tested once, at {FORWARD_DAYS} forward days"
    return ForwardRow(
        pool=POOL_NAMES[member.kind], rank=member.rank, name=member.name, identity=member.identity,
        birth=day_of(record.birth_ms).isoformat(), forward_days=len(record.days), needed_days=FORWARD_DAYS,
        trades=record.trades,
        n_blocks=record.blocks.size, sharpe=None if few else judged.forward_sharpe,
        interval=None if few else judged.forward_interval,
        nightly=confidence_sequence(record.daily_returns).interval,
        track_record_days=None if few else judged.days_to_proof,
        tested=None if test is None else test.day, p_value=None if test is None else test.p_value,
        level=None if test is None else test.level, proven=judged.proven,
        verdict=_said(judged, len(record.missing(day.sealed.day, FORWARD_DAYS))), reasons=reasons,
    )


def _said(judged: Verdict, missing: int) -> str:
    if judged.proven:
        return "proven at every gate"
    if judged.test is None and missing:
        return f"no test, for {missing} forward {'day is' if missing == 1 else 'days are'} missing"
    if judged.test is None:
        left = FORWARD_DAYS - judged.forward_days
        return f"{left} {'day' if left == 1 else 'days'} to its one test" if left > 0 else "its test is due"
    return "a discovery, another gate is shut" if judged.test.rejected else "tested, no discovery"


def refused_rows(day: Day) -> tuple[RejectedRow, ...]:
    """Candidates that the backtest turned away before any pool saw them."""
    return tuple(RejectedRow(pool="strategies", score=None, **row) for row in day.read_json("20_backtest", "refused"))


def rejected_rows(ranking: Ranking) -> tuple[RejectedRow, ...]:
    """Candidates that did not enter, kind by kind, best first; then those that re-tuning left as they were."""
    rejected = tuple(
        RejectedRow(pool=POOL_NAMES[kind], identity=one.identity, name=one.name, score=one.score, reason=one.reason)
        for kind, update in ranking.updates.items() for one in update.rejected
    )
    unchanged = tuple(
        RejectedRow(pool=POOL_NAMES[one.kind], identity=one.identity, name=one.name, score=one.score,
                    reason=_UNCHANGED if one.origin == TUNED_ORIGIN else _KNOWN)
        for one in sorted(ranking.unchanged, key=order_key)
    )
    return rejected + unchanged
