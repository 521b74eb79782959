"""Streamed sweeps: the rows of one sweep, a part at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pandas as pd
import pytest
from backtest_tapes import MA_SPEC, RSI_SPEC, walk_bars

from daybook.backtest import SweepInputs, sweep, sweep_best, sweep_chunks
from daybook.core.errors import UsageError
from daybook.execution import Costs
from daybook.strategy import parse_spec

RSI, MA = parse_spec(RSI_SPEC), parse_spec(MA_SPEC)
COSTS = Costs(2.0, 1.0)
MARKET = SweepInputs((walk_bars(500),), COSTS)


def sets(count: int) -> Iterator[dict[str, float]]:
    return ({"window": float(5 + number % 30), "sl": 0.002 + number // 30 / 10_000} for number in range(count))


def test_chunks_hold_the_rows_of_one_sweep() -> None:
    tables = list(sweep_chunks(RSI, MARKET, sets(47), sets=20))
    assert [len(table) for table in tables] == [20, 20, 7]
    whole = sweep(RSI, MARKET.bars, list(sets(47)), COSTS)
    pd.testing.assert_frame_equal(pd.concat(tables, ignore_index=True), whole, check_exact=True)


def test_the_best_rows_are_those_of_the_whole_table() -> None:
    whole = sweep(RSI, MARKET.bars, list(sets(150)), COSTS)
    found = sweep_best(RSI, MARKET, sets(150), by="total_return", keep=7)
    wanted = whole.sort_values("total_return", ascending=False, kind="stable").head(7).reset_index(drop=True)
    pd.testing.assert_frame_equal(found.table, wanted, check_exact=True)
    assert found.simulations == 150


def test_undefined_figures_are_counted_and_never_kept() -> None:
    still = [{"low_level": 10.0, "high_level": 90.0, "window": 40.0}, {"low_level": 35.0}]
    assert sweep(RSI, MARKET.bars, still)["sharpe"].isna().tolist() == [True, False]
    found = sweep_best(RSI, MARKET, still, keep=5)
    assert (len(found.table), found.simulations) == (1, 2)


def test_memory_does_not_grow_with_the_number_of_simulations() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        sweep_best(MA, MARKET, ({"fast": float(2 + n % 90), "slow": float(100 + n % 300)} for n in range(count)))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)
    assert peak(24_576) < peak(8_192) + 16_384 * 100, "at most 100 bytes a simulation"


@pytest.mark.parametrize(("by", "keep"), [("params", 5), ("shapre", 5), ("sharpe", 0)])
def test_what_can_not_rank_is_refused(by: str, keep: int) -> None:
    with pytest.raises(UsageError, match="allowed are n_bars, total_return, sharpe"):
        sweep_best(RSI, MARKET, sets(3), by=by, keep=keep)


def test_a_generator_that_another_sweep_spent_is_refused() -> None:
    spent = sets(3)
    assert sweep_best(RSI, MARKET, spent).simulations == 3
    with pytest.raises(UsageError, match="A generator that another sweep went through is spent"):
        next(sweep_chunks(RSI, MARKET, spent))


def test_nothing_to_stream_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no parameter set"):
        sweep_best(RSI, MARKET, [])
    with pytest.raises(UsageError, match="there is no parameter set"):
        next(sweep_chunks(RSI, MARKET, []))
    with pytest.raises(UsageError, match="sets is 0"):
        next(sweep_chunks(RSI, MARKET, sets(3), sets=0))
