"""What every registered model must do, and proof that the suite catches one that does not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from daybook.core.hashing import hash_arrays
from daybook.core.seeds import generator
from daybook.core.time import DAY_MS, Window
from daybook.execution import Costs
from daybook.features import FeatureTable, compute, market_names
from daybook.market import Bars, synthetic_bars
from daybook.models import (
    MODELS,
    LabelSettings,
    Market,
    SplitPlan,
    TreeSettings,
    build_dataset,
    out_of_fold_predictions,
)
from daybook.models.learners import BoostedTrees
from daybook.models.out_of_fold import fit_rows
from daybook.models.registry import as_learned
from daybook.models.splits import rows_known_by

START_MS = 1_700_006_400_000
DAYS = 9
HORIZON = 12
PLAN = SplitPlan(START_MS + 4 * DAY_MS, DAY_MS, 4, embargo_ms=DAY_MS // 2)
SETTINGS = LabelSettings(horizon=HORIZON, volatility_window=96)
TREES = TreeSettings(iterations=15, min_leaf=40, learning_rate=0.1)
FEATURES = market_names()[::6]
FREE = Costs(fee_bps=0.0, spread_bps=0.0)

every_model = pytest.mark.parametrize("spec", MODELS.values(), ids=list(MODELS))


def markets_until(days: float) -> list[Market]:
    window = Window(START_MS, START_MS + int(days * DAY_MS))
    listed = [synthetic_bars(symbol, window, seed=4, timeframe="5m") for symbol in ("BTCUSDT", "ETHUSDT")]
    return [Market(bars, compute(bars, FEATURES)) for bars in listed]


@pytest.fixture(scope="module")
def data():
    return build_dataset(markets_until(DAYS), FREE, SETTINGS)


@pytest.fixture(scope="module")
def rows(data):
    return {name: out_of_fold_predictions(data, PLAN, spec, seed=3, trees=TREES) for name, spec in MODELS.items()}


def final_fit(spec, data, seed=3):
    known = rows_known_by(data.labels[spec.name].known_at, data.usable(spec.name), data.history.end_ms)
    return fit_rows(spec, data, known, seed, TREES)


@every_model
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(spec, data):
    first, second, other = (json.dumps(final_fit(spec, data, seed).to_json()) for seed in (3, 3, 4))
    assert first == second
    assert first != other


@every_model
def test_inputs_are_not_changed(spec, data):
    def state():
        labels = data.labels[spec.name]
        return hash_arrays([data.X, data.time, labels.value, labels.weight, labels.known_at,
                            *(market.features.values for market in data.markets)])

    before = state()
    out_of_fold_predictions(data, replace(PLAN, folds=1), spec, trees=TREES)
    assert state() == before


@every_model
def test_a_model_survives_saving_and_loading(spec, data):
    fitted = final_fit(spec, data)
    loaded = BoostedTrees.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    assert np.array_equal(loaded.predict(data.X), fitted.predict(data.X))


def agreement(prediction, label):
    """Share of rows on the same side (of the forecast's median and the label's mean), and its error under chance.

    The forecast splits the rows in half, so that chance is one half whatever the share of positive labels.
    """
    same = (prediction > np.median(prediction)) == (label > label.mean())
    return float(np.mean(same)), 0.5 / np.sqrt(label.size)


def in_learned_units(spec, value, scale):
    """What the trees see and answer: the ratio to recent volatility where a model is scaled by it, else the value."""
    return value if spec.restored is as_learned else spec.learned(value, scale)


@every_model
def test_shuffled_labels_leave_nothing_to_learn(spec, data):
    """What the trees learn, in random order over the rows: out of fold they are right half the time, +- 3 errors."""
    own, scale = data.labels[spec.name], data.state.recent_volatility
    usable = np.flatnonzero(data.usable(spec.name))
    drawn = generator(6, spec.name).permutation(in_learned_units(spec, own.value[usable], scale[usable]))
    value = own.value.copy()
    value[usable] = spec.restored(drawn, scale[usable])
    shuffled = replace(data, labels={**data.labels, spec.name: replace(own, value=value)})
    found = out_of_fold_predictions(shuffled, PLAN, spec, seed=3, trees=TREES)
    use = data.usable(spec.name)[found.position]
    prediction, label = (in_learned_units(spec, each[use], scale[found.position][use])
                         for each in (found.prediction, found.label))
    share, error = agreement(prediction, label)
    assert np.unique(prediction).size > 10
    assert abs(share - 0.5) < 3 * error


@every_model
def test_predictions_never_change_when_later_bars_come(spec, data, rows):
    """Train on the bars up to a day less: every fold that both have tested predicts the same, bit for bit."""
    shorter = build_dataset(markets_until(DAYS - 2), FREE, SETTINGS)
    found = out_of_fold_predictions(shorter, replace(PLAN, folds=3), spec, seed=3, trees=TREES)
    whole = rows[spec.name]
    common = found.time.size
    assert common == 3 * 2 * 288
    assert np.array_equal(found.prediction, whole.prediction[:common])
    assert np.array_equal(found.baseline, whole.baseline[:common], equal_nan=True)


def corrupted(market: Market, from_ms: int) -> Market:
    """The same market with nonsense prices and features from a moment on."""
    late = market.bars.open_time >= from_ms
    factor = np.where(late, np.exp(generator(9, market.bars.symbol).normal(0.0, 0.1, late.size)), 1.0)
    prices = {name: getattr(market.bars, name) * factor for name in ("open", "high", "low", "close")}
    bars = replace(market.bars, **prices)
    values = np.where(late[:, None], np.float32(1e6), market.features.values)
    return Market(bars, FeatureTable(market.features.names, bars.open_time, values))


@every_model
def test_a_corrupt_future_leaves_earlier_predictions_alone(spec, data, rows):
    edge = PLAN.test_span(2).end_ms
    spoiled = build_dataset([corrupted(market, edge) for market in data.markets], FREE, SETTINGS)
    found = out_of_fold_predictions(spoiled, PLAN, spec, seed=3, trees=TREES)
    before = rows[spec.name].time < edge
    assert np.array_equal(found.prediction[before], rows[spec.name].prediction[before])
    assert not np.array_equal(found.prediction[~before], rows[spec.name].prediction[~before])


@every_model
def test_nothing_learned_from_was_unknown_an_embargo_before_the_fold(spec, data, rows):
    for card in rows[spec.name].folds:
        learned = data.usable(spec.name) & (data.labels[spec.name].known_at <= card.test_start_ms - PLAN.embargo_ms)
        assert card.n_train == learned.sum()


def peeking(market: Market) -> Market:
    """A feature table with tomorrow's hour in it: the leak that the suite is for."""
    bars: Bars = market.bars
    ahead = np.full(len(bars), np.nan, dtype=np.float32)
    ahead[: -HORIZON - 1] = np.log(bars.open[HORIZON + 1 :] / bars.open[1:-HORIZON])
    values = np.column_stack([market.features.values, ahead])
    return Market(bars, FeatureTable((*market.features.names, "peek"), bars.open_time, values))


def test_the_suite_catches_a_feature_that_knows_the_future(data):
    """The same checks fail on a leak: accuracy is flagged, and a corrupt future changes an earlier prediction."""
    spec = MODELS["direction"]
    leaking = build_dataset([peeking(market) for market in data.markets], FREE, SETTINGS)
    found = out_of_fold_predictions(leaking, PLAN, spec, seed=3, trees=TREES)
    assert spec.metrics(found.scored_rows(HORIZON))["balanced_accuracy"].value > 0.9
    known = found.scored
    share, error = agreement(found.prediction[known], found.label[known])
    assert share > 0.5 + 3 * error
    edge = PLAN.test_span(2).end_ms
    spoiled = build_dataset([peeking(corrupted(market, edge)) for market in data.markets], FREE, SETTINGS)
    again = out_of_fold_predictions(spoiled, PLAN, spec, seed=3, trees=TREES)
    before = found.time < edge
    assert not np.array_equal(found.prediction[before], again.prediction[before])
