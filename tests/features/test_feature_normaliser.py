"""Scaling fitted to a training span, kept as a file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from feature_bars import START_MS, random_bars
from scipy.stats import median_abs_deviation

from daybook.core.errors import DataError
from daybook.core.time import Window
from daybook.features import Normaliser, compute
from daybook.features.errors import NormaliserError

NAMES = ("return_1", "rsi_14", "volume_ratio_20", "weekend", "streak", "trend_state_14")
BARS = random_bars(2_000, seed=3)
TABLE = compute(BARS, NAMES)
SPAN = Window(START_MS, START_MS + 1_200 * 60_000)


def fitted(method="robust", table=TABLE):
    return Normaliser.fit(table, SPAN, timeframe="1m", method=method)


def test_robust_scores_are_those_of_scipy_on_the_span():
    scaled = fitted().apply(TABLE)
    for name in ("return_1", "rsi_14", "volume_ratio_20"):
        raw = TABLE.column(name).astype(np.float64)
        known = raw[:1_200][~np.isnan(raw[:1_200])]
        expected = (raw - np.median(known)) / median_abs_deviation(known, scale="normal")
        np.testing.assert_allclose(scaled.column(name), np.clip(expected, -10, 10), rtol=1e-4, atol=1e-5)


def test_quantiles_are_uniform_on_the_span_and_end_at_its_extremes():
    scaled = fitted("quantile").apply(TABLE).column("rsi_14")
    inside = scaled[:1_200][~np.isnan(scaled[:1_200])]
    assert (inside.min(), inside.max()) == (0.0, 1.0)
    assert np.histogram(inside, bins=10, range=(0, 1))[0].std() < 3
    assert np.nanmax(scaled) == 1.0 and np.nanmin(scaled) == 0.0
    order = np.argsort(TABLE.column("rsi_14")[200:])
    assert (np.diff(scaled[200:][order]) >= 0.0).all()


def test_a_value_that_repeats_lies_in_the_middle_of_its_quantiles():
    table = replace(TABLE, names=("own",), values=np.where(np.arange(2_000) % 2, 5.0, 1.0)[:, None].astype(np.float32))
    scaled = fitted("quantile", table).apply(table).column("own")
    assert scaled[0] == pytest.approx(0.25, abs=0.01)
    assert scaled[1] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("method", ["robust", "quantile"])
def test_nothing_outside_the_span_changes_what_is_fitted(method):
    later = replace(BARS, close=np.where(np.arange(2_000) >= 1_200, BARS.close * 3.0, BARS.close))
    assert fitted(method, compute(later, NAMES)).identity == fitted(method).identity
    assert fitted(method, TABLE.rows(slice(0, 1_200))).identity == fitted(method).identity
    assert fitted(method, TABLE.rows(slice(0, 1_500))).identity == fitted(method).identity


def test_the_suite_would_see_a_scale_of_the_whole_sample():
    whole = Normaliser.fit(TABLE, Window(START_MS, START_MS + 2_000 * 60_000), timeframe="1m")
    assert whole.identity != fitted().identity
    with pytest.raises(NormaliserError, match="ends after 2023-01-01 20:00 UTC"):
        whole.require_fitted_before(SPAN.end_ms)
    fitted().require_fitted_before(SPAN.end_ms)


@pytest.mark.parametrize("span", [
    Window(START_MS, START_MS + 2_001 * 60_000), Window(START_MS - 60_000, START_MS + 1_200 * 60_000),
])
def test_a_span_that_the_table_does_not_cover_is_refused(span):
    with pytest.raises(NormaliserError, match="reaches past") as caught:
        Normaliser.fit(TABLE, span, timeframe="1m")
    assert isinstance(caught.value, DataError)


def test_too_few_bars_and_none_are_refused():
    with pytest.raises(NormaliserError, match="99 bars lie in"):
        Normaliser.fit(TABLE, Window(START_MS, START_MS + 99 * 60_000), timeframe="1m")
    with pytest.raises(NormaliserError, match="no bars"):
        Normaliser.fit(TABLE.rows(slice(0, 0)), SPAN, timeframe="1m")


def test_codes_flags_and_constants_pass_unscaled_and_nan_stays():
    scaled = fitted().apply(TABLE)
    for name in ("weekend", "trend_state_14"):
        np.testing.assert_array_equal(scaled.column(name), TABLE.column(name))
    constant = replace(TABLE, names=("own",), values=np.full((2_000, 1), 7.0, dtype=np.float32))
    np.testing.assert_array_equal(fitted("quantile", constant).apply(constant).values, constant.values)
    np.testing.assert_array_equal(np.isnan(scaled.values), np.isnan(TABLE.values))


@pytest.mark.parametrize("method", ["robust", "quantile"])
def test_it_survives_save_and_load_and_equal_ones_are_equal_files(tmp_path, method):
    path = fitted(method).save(tmp_path / "scale.json")
    found = Normaliser.load(path)
    assert found.identity == fitted(method).identity
    np.testing.assert_array_equal(found.apply(TABLE).values, fitted(method).apply(TABLE).values)
    assert fitted(method).save(tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert (found.card.start_ms, found.card.end_ms, found.card.rows) == (SPAN.start_ms, SPAN.end_ms, 1_200)


@pytest.mark.parametrize("change", [
    {"format": "daybook-normaliser-2"}, {"end_ms": SPAN.end_ms + 60_000}, {"sha256": "0" * 64}, {"extra": 1},
])
def test_a_file_that_is_not_what_was_saved_is_refused(tmp_path, change):
    path = fitted().save(tmp_path / "scale.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(NormaliserError, match="fit it again"):
        Normaliser.load(path)


def test_a_feature_that_was_not_fitted_is_refused():
    with pytest.raises(NormaliserError, match="'return_5' is not among the 6"):
        fitted().apply(TABLE, ["return_5"])
    assert fitted().apply(TABLE, ["rsi_14"]).names == ("rsi_14",)
