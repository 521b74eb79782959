"""A whole training day on tiny markets whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from model_markets import STEP_MS, bars_of_returns, market, request, table

from daybook.core.hashing import hash_tree
from daybook.core.seeds import generator
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.models import MODELS, Market, daily, load_model, save_day, train_models
from daybook.models.errors import ModelSettingError, SavedModelError, SplitError, TrainingDataError

SYMBOLS = ("AAAUSDT", "BBBUSDT")


def trained(seed=1, size=3000, jobs=1, **planted):
    return train_models(request([market(symbol, size, seed, **planted) for symbol in SYMBOLS], seed=seed, jobs=jobs))


@pytest.fixture(scope="module")
def planted():
    return trained(signal=0.25, log_volatility=0.8)


@pytest.fixture(scope="module")
def noise():
    return trained(seed=8)


def figure(day, name, metric):
    return next(card for card in day.scorecards if card.name == name).metrics[metric]


def test_a_planted_signal_is_found_and_too_much_of_it_is_suspect(planted):
    assert figure(planted, "direction", "auc").value > 0.6
    assert figure(planted, "price", "rank_ic").value > 0.2
    assert figure(planted, "price", "diebold_mariano").value > 2.0
    flags = {card.name: card.flags for card in planted.scorecards}
    assert any("suspected leakage" in flag for flag in flags["direction"])
    for kind in ("weighted", "stacking"):
        assert figure(planted, kind, "auc").value > 0.6


def test_volatility_that_can_be_predicted_beats_har(planted):
    assert figure(planted, "volatility", "r2_versus_har").value > 0.03
    assert figure(planted, "volatility", "log_r2_versus_har").value > 0.03
    assert figure(planted, "risk", "pinball_skill").value > 0.05


def test_on_noise_every_accuracy_is_within_three_standard_errors(noise):
    for name, metric in (("direction", "balanced_accuracy"), ("momentum", "balanced_accuracy"),
                         ("price", "sign_accuracy"), ("weighted", "balanced_accuracy"),
                         ("voting", "balanced_accuracy"), ("stacking", "balanced_accuracy")):
        found = figure(noise, name, metric)
        assert abs(found.value - 0.5) < 3 * found.standard_error, name
    assert figure(noise, "price", "r2_versus_zero").value < 0.02
    assert figure(noise, "risk", "coverage").value == pytest.approx(0.05, abs=0.03)
    assert not any("leakage" in flag for card in noise.scorecards for flag in card.flags)


def test_scorecards_are_whole_and_json(noise):
    assert [card.name for card in noise.scorecards] == [*MODELS, "weighted", "voting", "stacking"]
    for card in noise.scorecards:
        json.dumps(card.as_json(), allow_nan=False)
        assert card.metrics[card.main_metric].n == card.n_scored > 0
        assert card.n_test == sum(fold.n_test for fold in card.folds)
        assert card.window.n_bars <= card.backtest.n_bars
        assert card.symbols == SYMBOLS
    assert noise.models[0].window.portfolio.shape == (48,)


def test_all_models_predict_the_same_rows(noise):
    first = noise.models[0].out_of_fold
    for model in noise.models:
        assert np.array_equal(model.out_of_fold.position, first.position)
        assert np.isfinite(model.out_of_fold.prediction).all()


def test_a_day_is_the_same_bytes_on_any_number_of_threads(noise, tmp_path):
    save_day(noise, tmp_path / "one")
    save_day(trained(seed=8, jobs=2), tmp_path / "two")
    assert hash_tree(tmp_path / "one", "**/*") == hash_tree(tmp_path / "two", "**/*")


def test_what_is_saved_reads_back(planted, tmp_path):
    written = save_day(planted, tmp_path)
    assert len(written) == 5 * 2 + 3 + 8 + 2
    cards = json.loads((tmp_path / "scorecards.json").read_text())
    assert len(cards) == 8
    rows = pq.read_table(tmp_path / "out_of_fold/direction.parquet")
    assert rows.num_rows == cards[0]["n_test"]
    assert rows["label"].null_count == 2 * 13
    blocks = json.loads((tmp_path / "block_returns.json").read_text())
    assert set(blocks["stacking"]) == {*SYMBOLS, "portfolio"}


def test_a_saved_model_predicts_what_the_trained_one_does(planted, tmp_path):
    save_day(planted, tmp_path)
    data = planted.dataset
    for model in planted.models:
        loaded = load_model(tmp_path / "models" / model.spec.name)
        for code, each in enumerate(data.markets):
            rows = data.market == code
            expected = model.spec.restored(model.learner.predict(data.X[rows]), data.state.recent_volatility[rows])
            assert np.array_equal(loaded.predict(each.bars, each.features), expected, equal_nan=True)


def test_a_saved_model_that_was_touched_is_refused(planted, tmp_path):
    save_day(planted, tmp_path)
    folder = tmp_path / "models" / "price"
    stranger = market("ZZZUSDT", 400, 1)
    with pytest.raises(SavedModelError, match="not among its markets"):
        load_model(folder).predict(stranger.bars, stranger.features)
    trees = (folder / "trees.json").read_text()
    (folder / "trees.json").write_text(trees.replace('"base":', '"base": ', 1))
    with pytest.raises(SavedModelError, match="SHA-256"):
        load_model(folder)
    (folder / "trees.json").unlink()
    with pytest.raises(SavedModelError, match="missing"):
        load_model(folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"code": "import os"}))
    with pytest.raises(SavedModelError, match="not a model card"):
        load_model(folder)


def other_timeframe(each):
    return replace(each, bars=replace(each.bars, timeframe="1m"))


def other_rows(each):
    return Market(each.bars, table(each.bars.rows(1, len(each.bars)), x=np.zeros(len(each.bars) - 1)))


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda a, b: [], "no market"),
    (lambda a, b: [a, a], "given twice"),
    (lambda a, b: [a, other_timeframe(b)], "timeframe"),
    (lambda a, b: [Market(b.bars, table(b.bars, x=np.zeros(len(b.bars)))), a], "features"),
    (lambda a, b: [other_rows(a)], "other times"),
])
def test_markets_that_do_not_match_are_refused(spoil, words):
    a, b = (market(symbol, 800, 1) for symbol in SYMBOLS)
    asked = request([a, b])
    with pytest.raises(TrainingDataError, match=words):
        train_models(replace(asked, markets=spoil(a, b)))


def test_a_window_beyond_the_folds_and_a_short_history_are_named():
    asked = request([market("AAAUSDT", 1500, 1)])
    late = asked.markets[0].bars.close_time[-1]
    with pytest.raises(ModelSettingError, match="do not meet"):
        train_models(replace(asked, window=Window(int(late), int(late) + STEP_MS)))
    with pytest.raises(SplitError, match="rows to learn from"):
        train_models(request([market("AAAUSDT", 500, 1)]))


def test_costs_above_every_move_are_named_with_what_helps():
    asked = replace(request([market("AAAUSDT", 2000, 1)]), costs=Costs(fee_bps=1000.0))
    with pytest.raises(SplitError, match=r"direction: of \d+ labelled rows .* only 0 teach.*Lower fee_bps"):
        train_models(asked)


def test_an_outage_is_predicted_around_not_across():
    """A frozen hour and a gap: rows stay defined or unknown, and the day is trained."""
    returns = generator(4, "outage").normal(0, 2e-3, 3000)
    returns[2000:2040] = 0.0
    bars = bars_of_returns("AAAUSDT", returns, wick=0.0)
    keep = np.r_[0:2100, 2110:3000]
    bars = replace(bars, **{name: getattr(bars, name)[keep] for name in
                            ("open_time", "open", "high", "low", "close", "volume")})
    x = generator(5, "x").standard_normal(bars.open_time.size)
    day = train_models(request([Market(bars, table(bars, x=x))]))
    for card in day.scorecards:
        assert card.metrics[card.main_metric].value is not None


def test_each_model_is_told_before_the_next_is_judged(monkeypatch):
    told, judge = [], daily._trained

    def failing(spec, *rest):
        if len(told) == 2:
            raise RuntimeError("out of memory")
        return judge(spec, *rest)

    monkeypatch.setattr(daily, "_trained", failing)
    asked = request([market(symbol, 3000, 1) for symbol in SYMBOLS], seed=1)
    with pytest.raises(RuntimeError, match="out of memory"):
        train_models(asked, lambda each, data_hash: told.append((each.scorecard.name, data_hash)))
    assert [name for name, _ in told] == list(MODELS)[:2]
    assert all(told_hash for _, told_hash in told)
