"""Longer bars from 1-minute bars, by hand and against the exchanges' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from candle_tapes import JUNE, candle, minutes, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import UsageError
from daybook.core.time import MINUTE_MS
from daybook.market.aggregate import aggregate, aggregate_minutes, masked, minutes_present
from daybook.market.bars import Bars
from daybook.market.candle_files import read_candle_file

Tape = list[tuple[int, float, float, float, float, float]]


def bars(candles: Tape) -> Bars:
    return rows(candles).bars("binance_spot", "BTCUSDT", "1m")


def test_bucket_takes_first_open_extremes_last_close_and_summed_volume() -> None:
    tape = [(JUNE, 10.0, 12.0, 9.0, 11.0, 1.0), (JUNE + 60_000, 11.0, 15.0, 10.0, 14.0, 2.0),
            (JUNE + 120_000, 14.0, 14.5, 7.0, 8.0, 4.0), (JUNE + 180_000, 8.0, 9.0, 8.0, 9.0, 8.0),
            (JUNE + 240_000, 9.0, 9.5, 8.5, 9.2, 16.0), (JUNE + 300_000, 9.2, 9.3, 9.1, 9.3, 32.0)]
    five = aggregate_minutes(bars(tape), 5)
    assert five.timeframe == "5m"
    assert five.open_time.tolist() == [JUNE, JUNE + 300_000]
    assert five.open.tolist() == [10.0, 9.2]
    assert five.high.tolist() == [15.0, 9.3]
    assert five.low.tolist() == [7.0, 9.1]
    assert five.close.tolist() == [9.2, 9.3]
    assert five.volume.tolist() == [31.0, 32.0]
    assert aggregate(bars(tape), "5m").open_time.tolist() == [JUNE]
    assert minutes_present(bars(tape), 5).tolist() == [5, 1]


def test_bucket_without_a_minute_is_absent_and_one_with_too_few_is_masked() -> None:
    tape = bars([candle(JUNE + minute * MINUTE_MS) for minute in (0, 1, 3, 4, 10, 11, 12, 13, 14)])
    assert aggregate_minutes(tape, 5).open_time.tolist() == [JUNE, JUNE + 600_000]
    assert aggregate(tape, "5m").open_time.tolist() == [JUNE + 600_000]
    assert masked(tape.open_time, 5).tolist() == [JUNE]


@pytest.mark.parametrize(("lost", "opens"), [(0, [JUNE]), (6, [JUNE]), (7, [])])
def test_an_hour_may_lack_six_minutes(lost: int, opens: list[int]) -> None:
    hour = bars(minutes(60)[lost:])
    assert aggregate(hour, "60m").open_time.tolist() == opens
    assert masked(hour.open_time, 60).tolist() == ([] if opens else [JUNE])


def test_empty_table_gives_an_empty_table() -> None:
    assert len(aggregate(bars([]), "60m")) == 0
    assert masked(bars([]).open_time, 60).size == 0


def test_one_minute_is_itself() -> None:
    tape = bars(minutes(3))
    assert aggregate(tape, "1m") is tape
    assert masked(tape.open_time, 1).size == 0


def test_other_timeframes_are_refused() -> None:
    with pytest.raises(UsageError, match="aggregated from 1m bars only"):
        aggregate(aggregate(bars(minutes(60)), "5m"), "60m")
    with pytest.raises(UsageError, match="allowed are 1m, 5m, 60m"):
        aggregate(bars(minutes(60)), "15m")
    with pytest.raises(UsageError, match="divisors of a day"):
        aggregate_minutes(bars(minutes(60)), 7)


@settings(max_examples=40, deadline=None)
@given(present=st.sets(st.integers(0, 400), min_size=1), cut=st.integers(0, 400), seed=st.integers(0, 9))
def test_bucket_depends_on_its_own_minutes_to_the_last_bit(present: set[int], cut: int, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(1, 2, (401, 6))
    tape = [(JUNE + at * MINUTE_MS, *(float(value) for value in values[at, 1:])) for at in sorted(present)]
    whole, oracle = aggregate_minutes(bars(tape), 60), {}
    for one in tape:
        oracle.setdefault(one[0] // 3_600_000, []).append(one)
    assert len(whole) == len(oracle)
    for at, members in enumerate(oracle.values()):
        alone = aggregate_minutes(bars(members), 60)
        assert whole.volume[at] == alone.volume[0] == pytest.approx(sum(one[5] for one in members))
        assert (whole.high[at], whole.low[at]) == (max(one[2] for one in members), min(one[3] for one in members))
        assert (whole.open[at], whole.close[at]) == (members[0][1], members[-1][4])
    later = [one for one in tape if one[0] >= JUNE + cut // 60 * 3_600_000]
    hours = aggregate_minutes(bars(later), 60)
    assert hours.volume.tolist() == whole.volume[len(whole) - len(hours):].tolist()


def _file(path: Path) -> Bars:
    file = read_candle_file(path)
    return file.rows.bars(file.venue, file.symbol, f"{file.length_ms // MINUTE_MS}m")


def differences(folder: Path, one: str, other: str, n: int) -> dict[str, int]:
    """How many complete buckets of a 1m file differ from the official file, by field."""
    fine, official = _file(folder / "1m" / one), _file(folder / other)
    made, whole = aggregate_minutes(fine, n), minutes_present(fine, n) == n
    _, ours, theirs = np.intersect1d(made.open_time[whole], official.open_time, return_indices=True)
    ours = np.flatnonzero(whole)[ours]
    found = {"bars": int(ours.size)}
    for field in ("open", "high", "low", "close"):
        found[field] = int(np.count_nonzero(getattr(made, field)[ours] != getattr(official, field)[theirs]))
    close = np.isclose(made.volume[ours], official.volume[theirs], rtol=1e-9, atol=1e-9)
    return found | {"volume": int(np.count_nonzero(~close))}


EXACT = {"open": 0, "high": 0, "low": 0, "close": 0, "volume": 0}


@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_spot_2022_2023_equals_the_official_hours_and_quarters(shared_data: Path, symbol: str) -> None:
    folder, name = shared_data / "candles" / "binance_spot", f"{symbol}_2022-01-01_2023-12-31.parquet"
    hours = differences(folder, name, f"1h/{name}", 60)
    assert hours.pop("bars") >= 17_516
    assert hours == EXACT
    quarters = differences(folder, name, f"15m/{name}", 15)
    assert quarters.pop("bars") >= 70_070
    assert quarters == EXACT


@pytest.mark.shared
@pytest.mark.parametrize(("venue", "period"), [("binance_usdm", "2023-07-18_2023-08-17"),
                                               ("okx_swap", "2025-03-18_2025-04-17")])
@pytest.mark.parametrize("symbol", ["BNBUSDT", "BTCUSDT", "ETHUSDT"])
def test_perpetuals_equal_the_official_five_minutes(shared_data: Path, venue: str, period: str, symbol: str) -> None:
    name = f"{symbol}_{period}.parquet"
    found = differences(shared_data / "candles" / venue, name, f"5m/{name}", 5)
    assert found.pop("bars") >= 8_638
    known = {("binance_usdm", "BTCUSDT"): {"volume": 1}, ("binance_usdm", "ETHUSDT"): {"volume": 1},
             ("okx_swap", "BNBUSDT"): {"open": 1}}
    assert found == EXACT | known.get((venue, symbol), {})


@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["BNBUSDT", "BTCUSDT", "ETHUSDT"])
def test_spot_2021_differs_from_official_five_minutes_in_few_bars(shared_data: Path, symbol: str) -> None:
    found = differences(shared_data / "candles" / "binance_spot", f"{symbol}_2021-04-02_2021-06-15.parquet",
                        f"5m/{symbol}_2021-01-01_2021-05-13.parquet", 5)
    assert found.pop("bars") > 11_800
    assert found.pop("volume") <= 17
    assert found.pop("high") <= 6
    assert found.pop("low") <= 2
    assert found == {"open": 0, "close": 0}
