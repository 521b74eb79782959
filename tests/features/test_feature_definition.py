"""What may be declared as a feature."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from feature_bars import random_bars

from daybook.features import Feature, catalog
from daybook.features.errors import FeatureDefinitionError
from daybook.features.feature import GROUPS, UNITS, collect

PLAIN = Feature("my_close", "return", ("close",), 0, "ratio", "The close.", "by definition", lambda bars: bars.close)


def test_two_features_of_one_name_are_refused_with_both_groups_named():
    twin = replace(PLAIN, group="trend")
    with pytest.raises(FeatureDefinitionError, match=r"'my_close'.*'return'.*'trend'"):
        collect([[PLAIN], [twin]])


@pytest.mark.parametrize(("field", "value"), [
    ("name", "My close"), ("name", "x"), ("group", "magic"), ("unit", "percent"), ("inputs", ()),
    ("inputs", ("close", "spread")), ("warmup", -1), ("description", ""), ("source", ""),
])
def test_a_field_that_is_not_allowed_is_refused_by_name(field, value):
    with pytest.raises(FeatureDefinitionError, match=field):
        replace(PLAIN, **{field: value})


def test_a_feature_can_not_be_changed():
    with pytest.raises(FrozenInstanceError):
        PLAIN.warmup = 3


def test_a_recursive_feature_shows_nothing_before_it_has_settled():
    settling = replace(PLAIN, warmup=7, recursive=True)
    assert np.flatnonzero(np.isfinite(settling.values(random_bars(20))))[0] == 7


def test_bars_shorter_than_the_warmup_give_nothing_but_nan():
    values = replace(PLAIN, warmup=20).values(random_bars(20))
    assert values.shape == (20,)
    assert np.isnan(values).all()


def test_the_catalog_is_ordered_by_group_read_only_and_whole():
    features = catalog()
    groups = [feature.group for feature in features.values()]
    assert list(dict.fromkeys(groups)) == list(GROUPS)
    assert groups == sorted(groups, key=list(GROUPS).index)
    assert len(features) >= 126
    assert {feature.unit for feature in features.values()} == set(UNITS)
    with pytest.raises(TypeError):
        features["my_close"] = PLAIN


def test_every_feature_fits_the_hourly_history_of_a_day():
    """35 days hold 840 hourly bars, of which the last 168 are the day's window."""
    assert max(feature.warmup for feature in catalog().values()) <= 840 - 168
