"""compute() and the table it returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from feature_bars import bars_of, random_bars

from daybook.core.errors import DataError, UsageError
from daybook.features import catalog, compute
from daybook.features.errors import FeatureInputError, UnknownFeatureError


def test_names_choose_columns_and_their_order():
    bars = random_bars(300)
    table = compute(bars, ["rsi_14", "return_1"])
    assert table.names == ("rsi_14", "return_1")
    assert table.values.shape == (300, 2)
    assert table.values.dtype == np.float32
    np.testing.assert_array_equal(table.column("rsi_14"), table.values[:, 0])
    np.testing.assert_allclose(table.column("return_1")[1:], np.diff(np.log(bars.close)), rtol=1e-4, atol=1e-9)


def test_without_names_the_whole_catalog_is_computed_in_its_order():
    assert compute(random_bars(5)).names == tuple(catalog())


def test_a_value_does_not_depend_on_which_other_features_are_asked_for():
    bars = random_bars(700, seed=3)
    together = compute(bars)
    for name in catalog():
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
    assert table.values.shape == (count, len(catalog()))
    assert not np.isinf(table.values).any()


def test_windows_count_bars_across_a_gap():
    bars = bars_of([100.0, 110.0, 121.0])
    gapped = replace(bars, open_time=bars.open_time + np.array([0, 0, 3_600_000]))
    assert compute(gapped, ["return_1"]).column("return_1")[2] == pytest.approx(np.log(1.1))
