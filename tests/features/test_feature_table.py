"""compute() and the table it returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from feature_bars import bars_of, random_bars

from daybook.core.errors import DataError, UsageError
from daybook.features import catalog, compute, market_names
from daybook.features.errors import FeatureInputError, UnknownFeatureError
from daybook.features.weeks import WARMUP_BARS, weeks


def test_names_choose_columns_and_their_order():
    bars = random_bars(300)
    table = compute(bars, ["rsi_14", "return_1"])
    assert table.names == ("rsi_14", "return_1")
    assert table.values.shape == (300, 2)
    assert table.values.dtype == np.float32
    np.testing.assert_array_equal(table.column("rsi_14"), table.values[:, 0])
    np.testing.assert_allclose(table.column("return_1")[1:], np.diff(np.log(bars.close)), rtol=1e-4, atol=1e-9)


def test_without_names_all_that_needs_one_market_is_computed_in_the_catalogs_order():
    names = compute(random_bars(5)).names
    assert names == market_names() == tuple(name for name in catalog() if not catalog()[name].reads_peers)
    assert len(names) >= 114


def test_a_value_does_not_depend_on_which_other_features_are_asked_for():
    bars = random_bars(700, seed=3)
    together = compute(bars)
    for name in market_names():
        np.testing.assert_array_equal(compute(bars, [name]).column(name), together.column(name), err_msg=name)


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(UsageError, match=r"'rsi_15'.*rsi_14"):
        compute(random_bars(10), ["rsi_15"])
    with pytest.raises(UnknownFeatureError, match=r"catalog\(\)"):
        compute(random_bars(10), ["###"])
    with pytest.raises(UnknownFeatureError, match="twice"):
        compute(random_bars(10), ["rsi_14", "rsi_14"])
    with pytest.raises(UnknownFeatureError, match="the table"):
        compute(random_bars(10), ["rsi_14"]).column("rsi_28")


@pytest.mark.parametrize(("field", "value"), [
    ("close", np.nan), ("open", np.inf), ("low", 0.0), ("high", -1.0), ("volume", np.nan), ("volume", -1.0),
])
def test_an_impossible_value_is_refused_with_its_place(field, value):
    bars = random_bars(30)
    broken = getattr(bars, field).copy()
    broken[17] = value
    with pytest.raises(FeatureInputError, match=f"BTCUSDT 1m: {field} of bar 17") as caught:
        compute(replace(bars, **{field: broken}), ["return_1"])
    assert isinstance(caught.value, DataError)


def test_a_table_is_read_only_and_columns_are_views():
    table = compute(random_bars(50), ["return_1", "range_1"])
    assert np.shares_memory(table.column("range_1"), table.values)
    assert table.column("range_1").flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 1.0


def test_select_keeps_values_and_arrow_keeps_nan():
    table = compute(random_bars(50), ["return_1", "range_1", "weekend"])
    chosen = table.select(["weekend", "return_1"])
    np.testing.assert_array_equal(chosen.column("return_1"), table.column("return_1"))
    arrow = chosen.to_arrow()
    assert arrow.schema.names == ["open_time", "weekend", "return_1"]
    assert arrow.schema.field("return_1").type == pa.float32()
    assert arrow.column("return_1").null_count == 0
    assert np.isnan(arrow.column("return_1")[0].as_py())


@pytest.mark.parametrize("count", [0, 1, 2, 15])
def test_very_few_bars_are_no_error(count):
    table = compute(random_bars(40).rows(0, count))
    assert table.values.shape == (count, len(market_names()))
    assert not np.isinf(table.values).any()


def test_windows_count_bars_across_a_gap():
    bars = bars_of([100.0, 110.0, 121.0])
    gapped = replace(bars, open_time=bars.open_time + np.array([0, 0, 3_600_000]))
    assert compute(gapped, ["return_1"]).column("return_1")[2] == pytest.approx(np.log(1.1))


def test_a_week_is_computed_from_its_warmup_whatever_else_is_in_the_table():
    """Equal to the last bit: the store continues a table from there."""
    bars = random_bars(900, timeframe="60m", seed=8)
    whole = compute(bars)
    listed = weeks(bars.open_time)
    assert [week.stop - week.start for week in listed] == [24, 168, 168, 168, 168, 168, 36]
    assert [week.whole for week in listed] == [False] * 5 + [True] * 2
    for week in listed:
        alone = compute(bars.rows(week.warm, week.stop))
        assert alone.values[week.start - week.warm:].tobytes() == whole.values[week.start : week.stop].tobytes()


def test_every_warmup_fits_what_a_week_may_use():
    assert max(feature.warmup for feature in catalog().values()) <= WARMUP_BARS


def test_weeks_start_on_monday_and_gaps_do_not_move_them():
    monday = 1_672_617_600_000
    hours = np.array([-30, -1, 0, 1, 168 - 1, 168, 168 * 3 + 5], dtype=np.int64) * 3_600_000 + monday
    assert [(week.start, week.stop) for week in weeks(hours)] == [(0, 2), (2, 5), (5, 6), (6, 7)]
    assert weeks(hours[:0]) == []
