"""The forward records: every day since a birth, of members and of those that left, until each had its one test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daybook.core.time import TIMEFRAMES, parse_day, timeframe_ms, window_before
from daybook.pipeline.day import Day
from daybook.pipeline.screening import Screened, count_trials, screen, totals
from daybook.pipeline.steps.forward import ForwardModel
from daybook.pipeline.steps.reach import days_in_reach
from daybook.rank import FORWARD_DAYS, Evidence, EvidenceDay, PoolMember, TrialLedger
from daybook.strategy import Strategy, parse_spec


@dataclass(frozen=True)
class Records:
    """Forward records as this run leaves them.

    day: the research day. members: of yesterday's pools. former: of those that left and are followed. new: only the
    days that this run simulated. names: identity -> name, with those that were tested and left. gaps: identity -> days
    that a record lacks and that no later run can simulate any more; it will never be tested.
    """

    day: str
    members: tuple[Evidence, ...]
    former: tuple[Evidence, ...]
    new: tuple[Evidence, ...]
    names: Mapping[str, str]
    gaps: Mapping[str, tuple[str, ...]]

    @property
    def everything(self) -> tuple[Evidence, ...]:
        """Records of members, then of those that left."""
        return (*self.members, *self.former)

    @property
    def made_up(self) -> int:
        """Earlier days that this run made up for, counted in each record."""
        return sum(entry.day < self.day for record in self.new for entry in record.days)


def forward_records(day: Day, ledger: TrialLedger, forward: Sequence[ForwardModel]) -> Records:
    """Every record with each day that it lacks and the sealed history still holds, simulated from flat to flat.

    A day that was not run leaves evidence as soon as the next one is run: no choice of days chooses the result. Members
    go on for as long as they are members; a former one only up to its test, and not once a day is lost for good.
    """
    pooled = [member for pool in day.state.pools.values() for member in pool.members]
    former = list(day.state.followed)
    before = {one.identity: _record(day, one) for one in (*pooled, *former)}
    reach = {one.identity: _reach_of(day, one) for one in (*pooled, *former)}
    lost = {identity: _lost(day, record, reach[identity]) for identity, record in before.items()}
    wanted = {one.identity: set(before[one.identity].missing(day.sealed.day)) for one in pooled}
    wanted |= {one.identity: set() if lost[one.identity] else
               set(before[one.identity].missing(day.sealed.day, FORWARD_DAYS)) for one in former}
    found = _simulated(day, ledger, reach, wanted, {one.identity for one in pooled})
    for model in forward:
        if model.blocks is not None and model.day in wanted.get(model.identity, ()):
            entry = EvidenceDay(day=model.day, blocks=tuple(model.blocks.tolist()), trades=model.trades)
            found.setdefault(model.identity, []).append(entry)
    after = {identity: _extended(record, found.get(identity, ())) for identity, record in before.items()}
    new = (before[identity].model_copy(update={"days": tuple(entries)}) for identity, entries in found.items())
    names = {test.identity: test.name for test in day.state.tests} | {one.identity: one.name
                                                                      for one in (*former, *pooled)}
    return Records(
        day=day.sealed.day, members=tuple(after[one.identity] for one in pooled),
        former=tuple(after[one.identity] for one in former),
        new=tuple(sorted(new, key=lambda one: (one.kind, one.identity))), names=names,
        gaps={identity: days for identity, days in lost.items() if days},
    )


def records_told(day: Day, records: Records) -> list[str]:
    """What a reader must know of the records, a sentence each: days made up for, days lost, former members' edges."""
    found = []
    if records.made_up:
        found.append(f"Earlier days that the records lacked were simulated as well, {records.made_up:,} in all.")
    if records.gaps:
        first = min(records.gaps, key=lambda identity: (records.gaps[identity][0], records.names[identity]))
        found.append(
            f"{len(records.gaps)} records lack a day that can not be simulated any more and will never be tested, such "
            f"as {records.names[first]} ({records.gaps[first][0]}).")
    members = {record.identity for record in records.members}
    gone = [test.name for test in day.state.tests if test.rejected and test.identity not in members]
    if gone:
        found.append(f"Discoveries of the one test that are in no pool any more: {', '.join(gone)}.")
    return found


def _record(day: Day, member: PoolMember) -> Evidence:
    return day.state.evidence.get(member.identity) or Evidence(
        identity=member.identity, kind=member.kind, birth_ms=member.birth_ms)


def _extended(record: Evidence, entries: Sequence[EvidenceDay]) -> Evidence:
    for entry in entries:
        record = record.extended(entry)
    return record


def _reach_of(day: Day, member: PoolMember) -> tuple[str, ...]:
    """Days that can be simulated as they would have been on time: a strategy needs its warm-up before a past one.

    Cold it would trade nothing, and missing is not zero.
    """
    reach = days_in_reach(day)
    if member.kind != "strategy":
        return reach
    strategy = parse_spec(member.spec)
    needed = strategy.warmup() * max(timeframe_ms(timeframe) for timeframe in strategy.timeframes)
    return tuple(one for one in reach if one == day.sealed.day
                 or window_before(parse_day(one), 1).start_ms - needed >= day.history.start_ms)


def _lost(day: Day, record: Evidence, reach: Sequence[str]) -> tuple[str, ...]:
    """Of the days that its test needs, those that no run can simulate: of a model, all before the newest saved fit."""
    fitted = "" if record.kind == "strategy" else day.state.previous_day or ""
    return tuple(one for one in record.missing(day.sealed.day, FORWARD_DAYS) if one not in reach or one <= fitted)


def _simulated(
    day: Day, ledger: TrialLedger, reach: Mapping[str, Sequence[str]], wanted: Mapping[str, set[str]], pooled: set[str]
) -> dict[str, list[EvidenceDay]]:
    """Strategies on each day of the reach that they lack; every simulation is a trial. Lost ones leave no evidence."""
    members = [*day.state.pools["strategy"].members, *(one for one in day.state.followed if one.kind == "strategy")]
    births = {one.identity: _record(day, one).birth_ms for one in members}
    strategies = {one.identity: parse_spec(one.spec) for one in members if wanted[one.identity]}
    found: dict[str, list[EvidenceDay]] = {}
    for one in days_in_reach(day):
        lacking: list[Strategy] = [strategies[name] for name in strategies
                                   if one in wanted[name] and one in reach[name]]
        if not lacking:
            continue
        window = window_before(parse_day(one), 1)
        screened = screen(day, lacking, window, timeframes=TIMEFRAMES)
        held = [result for result in screened if result.strategy.identity in pooled]
        left = [result for result in screened if result.strategy.identity not in pooled]
        count_trials(ledger, day, "validation", "pool", held, window, births)
        count_trials(ledger, day, "score", "record", left, window, births)
        for result in (result for result in screened if not result.lost):
            found.setdefault(result.strategy.identity, []).append(_entry(one, result))
    return found


def _entry(one: str, result: Screened) -> EvidenceDay:
    return EvidenceDay(day=one, blocks=tuple(result.blocks.tolist()), trades=totals(result)["trades"])
