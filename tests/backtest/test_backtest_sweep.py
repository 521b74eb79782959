"""Sweeps: which rows there are, in which order, and that each equals the simulation run by itself."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from backtest_tapes import MA_SPEC, RSI_SPEC, bar_window, walk_bars

from daybook.backtest import METRICS, SWEEP_COLUMNS, SweepError, WindowError, block_returns, replay, sweep
from daybook.core.errors import UsageError
from daybook.core.hashing import canonical_json
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import parse_spec

RSI, MA = parse_spec(RSI_SPEC), parse_spec(MA_SPEC)
MARKETS = [walk_bars(900), walk_bars(700, symbol="ETHUSDT"), walk_bars(300, timeframe="5m")]
COSTS = Costs(2.0, {"BTCUSDT": 1.0, "default": 6.0})


def test_rows_are_ordered_by_spec_bars_and_parameter_set() -> None:
    table = sweep([MA, RSI], MARKETS, {MA.identity: [{"fast": 3}, {"fast": 9, "slow": 30}]}, COSTS)
    assert tuple(table.columns) == SWEEP_COLUMNS
    told = list(zip(table["strategy"], table["symbol"], table["timeframe"], strict=True))
    assert told == [("ma-cross", "BTCUSDT", "1m")] * 2 + [("ma-cross", "ETHUSDT", "1m")] * 2 + [
        ("rsi-stops", "BTCUSDT", "1m"), ("rsi-stops", "ETHUSDT", "1m"), ("rsi-stops", "BTCUSDT", "5m")]
    assert table["n_bars"].tolist() == [900, 900, 700, 700, 900, 700, 300]
    assert table["params"][1] == canonical_json({"fast": 9.0, "slow": 30.0})
    assert table["identity"].tolist() == [MA.identity] * 4 + [RSI.identity] * 3
    assert table["trades"].dtype == np.int64
    assert table["ruined"].dtype == np.bool_


def test_every_row_equals_the_replay_of_that_simulation() -> None:
    window = bar_window(MARKETS[0], 150, 640)
    sets = [{"low_level": 35.0, "high_level": 65.0}, {"window": 7.0, "sl": 0.004, "tp": 0.006}]
    table = sweep([RSI], MARKETS, sets, COSTS, window)
    assert len(table) == 6
    assert table["trades"].min() > 0
    markets = {(bars.symbol, bars.timeframe): bars for bars in MARKETS}
    for row in table.to_dict("records"):
        bars = markets[row["symbol"], row["timeframe"]]
        done = replay(RSI, bars, json.loads(row["params"]), COSTS, window)
        np.testing.assert_allclose([row[name] for name in METRICS], done.metrics.row(), rtol=1e-9, atol=1e-12)
        assert row["n_bars"] == done.metrics.n_bars == len(done.equity)


def test_one_spec_in_any_form_gives_one_row() -> None:
    forms = [MA, MA.spec, MA_SPEC, json.dumps(MA_SPEC)]
    tables = [sweep(form, MARKETS[0]) for form in forms]
    for table in tables:
        pd.testing.assert_frame_equal(table, tables[0])


def test_bars_after_the_window_change_nothing() -> None:
    bars, window = MARKETS[0], bar_window(MARKETS[0], 200, 500)
    pd.testing.assert_frame_equal(sweep([MA, RSI], bars, None, COSTS, window),
                                  sweep([MA, RSI], bars.rows(0, 500), None, COSTS, window))


def test_bars_before_the_window_warm_signals_up() -> None:
    bars, window = MARKETS[0], bar_window(MARKETS[0], 200, 500)
    warm = sweep(MA, bars, [{"slow": 150.0}], COSTS, window)
    cold = sweep(MA, bars.within(window), [{"slow": 150.0}], COSTS)
    assert warm["trades"][0] > cold["trades"][0]


def test_parameters_are_told_as_canonical_json_in_any_order_and_type() -> None:
    sets = [{"sl": 0.004, "window": 7}, {"window": np.float64(9.0), "sl": np.float32(0.0625)}, {"window": True + 8},
            {"tp": 1e-3, "high_level": 90}]
    table = sweep(RSI, MARKETS[0], sets, COSTS)
    assert table["params"].tolist() == [canonical_json(RSI.bind(chosen)) for chosen in sets]
    alike = [{"window": 7, "sl": 0.1 * number} for number in (0.1, 0.2, 0.3, 0.3)]
    table = sweep(RSI, MARKETS[0], alike, COSTS)
    assert table["params"].tolist() == [canonical_json(RSI.bind(chosen)) for chosen in alike]


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [{"window": float(window), "sl": 0.005} for window in range(5, 40)] * 3
    alone = sweep([RSI], MARKETS, sets, COSTS)
    monkeypatch.setattr(importlib.import_module("daybook.backtest.sweep"), "_BARS_WORTH_THREADS", 1)
    pd.testing.assert_frame_equal(sweep([RSI], MARKETS, sets, COSTS, jobs=7), alone)


def test_inputs_are_not_changed() -> None:
    bars, sets = walk_bars(200), [{"fast": 4.0}]
    before = bars.data_hash
    sweep(MA, bars, sets, COSTS)
    assert Bars(bars.venue, bars.symbol, bars.timeframe, bars.open_time, bars.open, bars.high, bars.low, bars.close,
                bars.volume).data_hash == before
    assert sets == [{"fast": 4.0}]


@pytest.mark.parametrize(("params", "message"), [
    ([{"fats": 3}], "unknown parameter 'fats'"),
    ([{"fast": 3}, {"fast": 5000}], "fast is 5000"),
    ([], "no parameter set for ma-cross"),
    ({"fast": [{"fast": 3}]}, "'fast' is not the identity of a spec given"),
    ({MA.identity: []}, "no parameter set for ma-cross"),
])
def test_wrong_parameters_stop_before_any_simulation(params: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sweep(MA, MARKETS[0], params)  # type: ignore[arg-type]


def test_bars_of_no_named_timeframe_are_refused() -> None:
    with pytest.raises(SweepError, match="the specs are for 1m, the bars given are BTCUSDT 5m"):
        sweep(MA, MARKETS[2])


def test_nothing_to_sweep_is_refused() -> None:
    with pytest.raises(SweepError, match="0 specs and 1 markets"):
        sweep([], MARKETS[0])
    with pytest.raises(SweepError, match="1 specs and 0 markets"):
        sweep(MA, [])


def test_window_without_bars_is_refused_with_what_there_is() -> None:
    with pytest.raises(WindowError, match=r"no bar opens in \[2030-.* run from 2023-11-14 22:14 UTC"):
        sweep(MA, MARKETS[0], None, COSTS, Window(1_900_000_000_000, 1_900_000_060_000))


def test_blocks_line_up_over_markets_and_timeframes_and_sum_to_the_return() -> None:
    start = int(MARKETS[0].open_time[0]) // 3_600_000 * 3_600_000
    window = Window(start, start + 20 * 3_600_000)
    table = sweep([RSI, MA], MARKETS, None, COSTS, window)
    blocks = block_returns([RSI, MA], MARKETS, None, COSTS, window)
    assert blocks.shape == (len(table), 20)
    np.testing.assert_allclose(blocks.sum(axis=1), table["total_return"], rtol=1e-12, atol=1e-14)
    eth_hours = np.unique((MARKETS[1].open_time - start) // 3_600_000)
    assert not blocks[1][np.setdiff1d(np.arange(20), eth_hours)].any(), "no bars, nothing happened"
    done = replay(RSI, MARKETS[1], None, COSTS, window)
    np.testing.assert_array_equal(blocks[1], done.block_returns())
    hour = (done.open_time - start) // 3_600_000 == 5
    before = done.equity[np.flatnonzero(hour)[0] - 1]
    assert blocks[1][5] == pytest.approx(done.equity[hour][-1] - before, abs=1e-15)
    assert blocks[1][5] != 0.0


def test_blocks_without_a_window_start_at_a_whole_hour() -> None:
    blocks = block_returns(MA, MARKETS[0], [{"fast": 3.0}, {"fast": 7.0}], COSTS)
    assert blocks.shape == (2, 16), "900 bars from 22:14 touch 16 hours"
    np.testing.assert_allclose(blocks.sum(axis=1), sweep(MA, MARKETS[0], [{"fast": 3.0}, {"fast": 7.0}],
                                                         COSTS)["total_return"], rtol=1e-12, atol=1e-14)


def test_costs_lower_the_return_by_what_they_cost_while_trades_stay_the_same() -> None:
    free, dear = (sweep(MA, MARKETS[0], None, costs) for costs in (Costs(0.0, 0.0), Costs(5.0, 2.0)))
    assert free["trades"][0] == dear["trades"][0]
    assert free["costs_paid"][0] == 0.0
    assert free["total_return"][0] - dear["total_return"][0] == pytest.approx(dear["costs_paid"][0], rel=0.01)
