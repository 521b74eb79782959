"""Forward records of a day: days that were not run are made up for, former members go on, and lost days are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from daybook.core.time import TIMEFRAMES, day_start_ms, parse_day, window_before
from daybook.pipeline.day import Day, open_day
from daybook.pipeline.screening import screen
from daybook.pipeline.steps.followed import forward_records, records_told
from daybook.pipeline.steps.forward import ForwardModel
from daybook.pipeline.steps.reach import days_in_reach
from daybook.rank import Evidence, EvidenceDay, ForwardTest, PoolMember, PriorState, TrialLedger
from daybook.rank.pool import ranked_pool
from daybook.strategy import Strategy, parse_spec


def rule(window: int) -> Strategy:
    return parse_spec({
        "name": f"dip-{window}", "timeframes": ["60m"], "long_entry": f"rsi(close, {window}) < 45",
        "long_exit": "close > sma(close, 20)",
    })


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A scratch run on the built-in market, before its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        yield open_day(None, "00_score")


def ago(day: Day, days: int) -> str:
    return (parse_day(day.sealed.day) - timedelta(days=days)).isoformat()


def member(day: Day, strategy: Strategy, born: int, kind: str = "strategy") -> PoolMember:
    return PoolMember(
        kind=kind, identity=strategy.identity, structure_hash=strategy.structure_hash, name=strategy.name,
        spec=strategy.canonical, timeframe="60m", birth_day=ago(day, born),
        birth_ms=day_start_ms(parse_day(ago(day, born))), origin="evolution")


def at(scratch: Day, pool: list[PoolMember], followed: list[PoolMember], **more: object) -> Day:
    state = PriorState.empty(scratch.sealed.day)
    kinds = {kind: ranked_pool(ago(scratch, 1), kind, 20, [one for one in pool if one.kind == kind])
             for kind in state.pools}
    day = replace(scratch)
    day.__dict__.update({"state": state.model_copy(update={"pools": kinds, "followed": tuple(followed), **more}),
                         "minute_bars": scratch.minute_bars, "bars": scratch.bars})
    return day


def ledger(day: Day) -> TrialLedger:
    return TrialLedger(day.sealed.day, day.sealed.run_id, day.step)


def test_days_that_were_not_run_are_in_the_record_as_if_they_had_been(scratch: Day) -> None:
    one = member(scratch, rule(14), born=5)
    day = at(scratch, [one], [])
    kept = ledger(day)
    records = forward_records(day, kept, [])
    [found] = records.members
    assert [entry.day for entry in found.days] == [ago(day, back) for back in range(4, -1, -1)]
    assert records.new == (found,)
    assert records.made_up == 4
    for entry in found.days:
        [alone] = screen(day, [rule(14)], window_before(parse_day(entry.day), 1), timeframes=TIMEFRAMES)
        assert np.array_equal(alone.blocks, entry.blocks)
    assert len(kept) == 5 * len(day.settings.symbols), "every simulation is a trial"
    assert "Earlier days that the records lacked were simulated as well, 4 in all." in records_told(day, records)
    known = at(scratch, [one], [], evidence={one.identity: found.before(day.sealed.day)})
    again = forward_records(known, ledger(known), [])
    assert again.members == (found,)
    assert [entry.day for entry in again.new[0].days] == [day.sealed.day]


def test_a_day_before_which_a_strategy_could_not_warm_up_is_missing_and_no_day_without_a_trade(scratch: Day) -> None:
    """Cold it trades nothing: such a zero would stand for what an on-time run had seen it lose."""
    slow = parse_spec({"name": "slow", "timeframes": ["60m"], "long_entry": "close > sma(close, 600)",
                       "long_exit": "close < sma(close, 600)"})
    days = slow.warmup() / 24
    known = (scratch.start_ms - scratch.history.start_ms) / 86_400_000
    back = int(known - 1 - days)
    born = back + 4
    assert back >= 2
    assert ago(scratch, born - 1) in days_in_reach(scratch)
    records = forward_records(at(scratch, [member(scratch, slow, born=born)], []), ledger(scratch), [])
    [found] = records.members
    assert [entry.day for entry in found.days] == [ago(scratch, left) for left in range(back, -1, -1)]
    assert records.gaps == {slow.identity: tuple(ago(scratch, left) for left in range(born - 1, back, -1))}


def test_a_former_member_goes_on_as_trials_of_its_own_author(scratch: Day) -> None:
    inside, outside = member(scratch, rule(14), born=1), member(scratch, rule(21), born=2)
    day = at(scratch, [inside], [outside])
    kept = ledger(day)
    records = forward_records(day, kept, [])
    assert [record.identity for record in records.former] == [outside.identity]
    assert len(records.former[0].days) == 2
    rows = kept.table().to_pandas()
    told = rows.groupby(["identity", "kind", "author"])["birth"].agg(["size", "first"]).reset_index()
    markets = len(day.settings.symbols)
    assert {tuple(row) for row in told.to_numpy().tolist()} == {
        (inside.identity, "validation", "pool", markets, inside.birth_ms),
        (outside.identity, "score", "record", 2 * markets, outside.birth_ms)}


def test_a_record_with_a_lost_day_is_told_and_a_former_member_with_one_is_left(scratch: Day) -> None:
    reach = days_in_reach(scratch)
    assert len(reach) == 17, "the window and as many days as the designer has"
    old = 30
    inside, outside = member(scratch, rule(14), born=old), member(scratch, rule(21), born=old)
    day = at(scratch, [inside], [outside])
    records = forward_records(day, ledger(day), [])
    assert [entry.day for entry in records.members[0].days] == list(reach)
    assert records.former[0].days == ()
    assert records.gaps[inside.identity] == tuple(ago(day, back) for back in range(29, 16, -1))
    [told] = [text for text in records_told(day, records) if "never be tested" in text]
    assert told == ("2 records lack a day that can not be simulated any more and will never be tested, such as "
                    f"dip-14 ({ago(day, 29)}).")


def test_a_day_whose_candles_are_missing_counts_as_missing(scratch: Day) -> None:
    one = member(scratch, rule(14), born=4)
    day = at(scratch, [one], [])
    torn = window_before(parse_day(ago(day, 2)), 1)
    bars = day.minute_bars["BTCUSDT"]
    left = (bars.open_time < torn.start_ms) | (bars.open_time >= torn.end_ms)
    names = ("open_time", "open", "high", "low", "close", "volume")
    day.__dict__["minute_bars"] = day.minute_bars | {
        "BTCUSDT": replace(bars, **{name: getattr(bars, name)[left] for name in names})}
    assert ago(day, 2) not in days_in_reach(day)
    records = forward_records(day, ledger(day), [])
    assert [entry.day for entry in records.members[0].days] == [ago(day, back) for back in (3, 1, 0)]
    assert records.gaps == {one.identity: (ago(day, 2),)}


def test_a_model_takes_the_days_since_its_newest_saved_fit_and_no_others(scratch: Day) -> None:
    model = member(scratch, rule(14), born=4, kind="model")
    day = at(scratch, [model], [], previous_day=ago(scratch, 2))
    forward = [ForwardModel(ago(day, back), model.identity, model.name, "model", np.full(24, back * 1e-3), 1)
               for back in (1, 0)]
    records = forward_records(day, ledger(day), forward)
    assert [entry.day for entry in records.members[0].days] == [ago(day, 1), ago(day, 0)]
    assert records.gaps == {model.identity: (ago(day, 3), ago(day, 2))}


def test_a_discovery_that_is_in_no_pool_any_more_is_named(scratch: Day) -> None:
    gone = ForwardTest(day=ago(scratch, 1), kind="strategy", identity="x", name="old dip", birth_ms=0, forward_days=28,
                       n=672, sharpe=9.0, p_value=1e-9, level=1e-3, rejected=True)
    day = at(scratch, [], [], tests=(gone,))
    records = forward_records(day, ledger(day), [])
    assert records_told(day, records) == ["Discoveries of the one test that are in no pool any more: old dip."]
    held = Evidence(identity="x", kind="strategy", birth_ms=0, days=(
        EvidenceDay(day=ago(day, 1), blocks=(0.0,) * 24, trades=0),))
    assert records_told(day, replace(records, members=(held,))) == []
