"""Prices that stand alone: found by their own neighbours, excused by other markets, and silent on recorded crashes."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import JUNE, write_candles
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.arrays import Floats
from daybook.core.time import MINUTE_MS
from daybook.market import check_files
from daybook.market.candle_files import read_candle_file
from daybook.market.rows import CandleRows
from daybook.market.spikes import LARGEST_LIMIT, LIMIT, NEIGHBOURS, SHARE_OF_OTHERS, find_spikes

Row = tuple[int, float, float, float, float, float]


def walk(count: int = 400, seed: int = 1, step: float = 0.0005) -> CandleRows:
    """A quiet market of consecutive minutes."""
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, step, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    times = JUNE + MINUTE_MS * np.arange(count, dtype=np.int64)
    return CandleRows(times, opened, np.maximum(opened, close) * 1.0002, np.minimum(opened, close) * 0.9998, close,
                      np.ones(count), times + MINUTE_MS)


def scaled(rows: CandleRows, places: slice | int, factor: float) -> CandleRows:
    """All four prices of some bars times a factor."""
    changed = {}
    for name in ("open", "high", "low", "close"):
        values = getattr(rows, name).copy()
        values[places] *= factor
        changed[name] = values
    return replace(rows, **changed)


def wick(rows: CandleRows, at: int, factor: float) -> CandleRows:
    """Only the high, or only the low, of one bar times a factor."""
    name = "high" if factor > 1 else "low"
    values = getattr(rows, name).copy()
    values[at] *= factor
    return replace(rows, **{name: values})


@pytest.mark.parametrize("factor", [100.0, 0.01, 10.0, 1.25, 0.8])
@pytest.mark.parametrize("at", [0, 7, 200, 399])
def test_a_bar_of_other_prices_is_found_wherever_it_lies(factor: float, at: int) -> None:
    found = find_spikes(scaled(walk(), at, factor), MINUTE_MS)
    assert [(one.open_time_ms, one.kind, one.side) for one in found.alone] == [
        (JUNE + at * MINUTE_MS, "spike", "up" if factor > 1 else "down")]
    assert found.alone[0].times == pytest.approx(factor, rel=0.02)
    assert found.alone[0].others is None


def test_a_quiet_market_and_a_fall_that_stays_are_no_spikes() -> None:
    assert find_spikes(walk(), MINUTE_MS).alone == ()
    assert find_spikes(scaled(walk(), slice(200, None), 0.7), MINUTE_MS).alone == ()


def test_a_level_that_doubles_and_stays_is_a_jump_at_its_first_bar() -> None:
    found = find_spikes(scaled(walk(), slice(200, None), 100.0), MINUTE_MS).alone
    assert [(one.open_time_ms, one.kind, one.side) for one in found] == [(JUNE + 200 * MINUTE_MS, "jump", "up")]
    back = find_spikes(scaled(walk(), slice(150, 250), 100.0), MINUTE_MS).alone
    assert [(one.open_time_ms, one.side) for one in back] == [(JUNE + 150 * MINUTE_MS, "up"),
                                                              (JUNE + 250 * MINUTE_MS, "down")]


@pytest.mark.parametrize("length", range(1, 31))
def test_a_run_of_wrong_prices_of_any_length_is_found(length: int) -> None:
    assert find_spikes(scaled(walk(), slice(200, 200 + length), 100.0), MINUTE_MS).alone


@pytest.mark.parametrize(("other", "confirmed"), [(0.95, True), (0.98, False), (1.05, False), (1.0, False)])
def test_another_market_excuses_a_fall_that_it_shares(other: float, confirmed: bool) -> None:
    market = wick(walk(), 200, 0.85)
    peer = wick(walk(seed=2), 201, other)
    found = find_spikes(market, MINUTE_MS, [walk(seed=3), peer])
    assert (found.confirmed, len(found.alone)) == ((1, 0) if confirmed else (0, 1))
    if not confirmed:
        assert found.alone[0].others is not None
        assert found.alone[0].others < 0.021


def test_a_fall_elsewhere_an_hour_later_excuses_nothing() -> None:
    found = find_spikes(wick(walk(), 200, 0.85), MINUTE_MS, [wick(walk(seed=2), 260, 0.85)])
    assert (found.confirmed, len(found.alone)) == (0, 1)


def test_a_fault_that_hits_every_market_at_once_is_not_excused() -> None:
    found = find_spikes(scaled(walk(), 200, 100.0), MINUTE_MS, [scaled(walk(seed=2), 200, 100.0)])
    assert (found.confirmed, len(found.alone)) == (0, 1)


def test_longer_bars_are_allowed_more() -> None:
    market = wick(walk(), 200, 1.2)
    assert len(find_spikes(market, MINUTE_MS).alone) == 1
    assert find_spikes(market, 15 * MINUTE_MS).alone == ()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_few_bars_are_no_error(count: int) -> None:
    assert find_spikes(walk(count), MINUTE_MS).alone == ()


def _plain(rows: CandleRows) -> list[int]:
    """Open times of spikes, bar by bar, as the module's first sentence says it."""
    found = []
    for at in range(len(rows)):
        sides = [rows.close[max(at - NEIGHBOURS, 0):at], rows.close[at + 1:at + 1 + NEIGHBOURS]]
        levels = [float(np.median(side)) for side in sides if side.size]
        if not levels:
            continue
        up, down = log(rows.high[at] / max(levels)), log(min(levels) / rows.low[at])
        if max(up, down) > LIMIT:
            found.append(int(rows.open_time[at]))
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), step=st.sampled_from([0.0005, 0.01, 0.03]), count=st.integers(3, 300),
       wrong=st.lists(st.tuples(st.integers(0, 299), st.floats(0.6, 1.6)), max_size=6))
def test_spikes_are_those_of_the_plain_rule(seed: int, step: float, count: int, wrong: list[tuple[int, float]]) -> None:
    rows = walk(count, seed, step)
    for at, factor in wrong:
        rows = wick(rows, at % count, factor)
    found = find_spikes(rows, MINUTE_MS).alone
    assert [one.open_time_ms for one in found if one.kind == "spike"] == _plain(rows)


def test_inputs_are_left_as_they_were() -> None:
    rows: CandleRows = scaled(walk(), 200, 100.0)
    columns: list[Floats] = [rows.high, rows.low, rows.close]
    before = [values.copy() for values in columns]
    find_spikes(rows, MINUTE_MS, [rows])
    assert all(np.array_equal(one, other) for one, other in zip(columns, before, strict=True))


def test_limits_fit_together() -> None:
    assert LIMIT < LARGEST_LIMIT
    assert 0 < SHARE_OF_OTHERS < 1


def _tape(rows: CandleRows) -> list[Row]:
    return [(int(rows.open_time[at]), float(rows.open[at]), float(rows.high[at]), float(rows.low[at]),
             float(rows.close[at]), 1.0) for at in range(len(rows))]


def test_files_of_a_folder_are_held_against_each_other(tmp_path: Path) -> None:
    shared_fall = {"BTCUSDT": 0.95, "ETHUSDT": 0.85}
    for seed, (symbol, factor) in enumerate(shared_fall.items()):
        write_candles(tmp_path / f"{symbol}_1m.parquet", _tape(wick(walk(seed=seed), 200, factor)))
    paths = sorted(tmp_path.glob("*.parquet"))
    found = {path.name: report for path, report in check_files(paths).reports.items()}
    assert (found["ETHUSDT_1m.parquet"].spikes, found["ETHUSDT_1m.parquet"].spikes_confirmed) == (0, 1)
    (alone,) = check_files(paths[1:]).reports.values()
    assert (alone.spikes, alone.verdict) == (1, "usable")
    assert "1 prices that stand alone" in alone.summary


@pytest.mark.shared
def test_recorded_crashes_are_excused_and_two_lonely_prints_are_not(shared_data: Path) -> None:
    """Everything fell on 2021-05-19 and 2022-11-08; SOL alone printed 10.89 on 2022-12-29 and 12.80 on 2023-06-10."""
    for span, extreme in (("2021-04-02_2021-06-15", 9), ("2022-01-01_2023-12-31", 4)):
        files = sorted((shared_data / "candles/binance_spot/1m").glob(f"*_{span}.parquet"))
        assert len(files) == 3
        read = {path: read_candle_file(path) for path in files}
        confirmed, alone = 0, []
        for path, file in read.items():
            found = find_spikes(file.rows, file.length_ms, [read[other].rows for other in files if other != path])
            confirmed += found.confirmed
            alone += [(file.symbol, one.open_time_ms, one.side) for one in found.alone]
        assert confirmed == extreme
        assert alone == ([] if span.startswith("2021") else [("SOLUSDT", 1_672_353_480_000, "up"),
                                                             ("SOLUSDT", 1_686_371_160_000, "down")])
