"""Models on disk: trees as JSON, and a card that says what they are, what they learned from and their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import ValidationError

from daybook.core.arrays import Floats
from daybook.core.files import read_json, write_json, write_parquet, write_text
from daybook.core.hashing import canonical_json, hash_file
from daybook.features import FeatureTable
from daybook.market.bars import Bars
from daybook.models.daily import DayModels, TrainedModel
from daybook.models.dataset import MARKET_COLUMN, Dataset
from daybook.models.errors import SavedModelError
from daybook.models.learners import BoostedTrees
from daybook.models.registry import MODELS
from daybook.models.scorecards import Card
from daybook.models.state import market_state

CARD = "card.json"
TREES = "trees.json"


class ModelCard(Card):
    """What a saved model is. features are its columns in order; the last is the market's position in symbols."""

    format: Literal["daybook-model-1"] = "daybook-model-1"
    name: str
    identity: str
    target: str
    unit: str
    timeframe: str
    horizon_bars: int
    volatility_window: int
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    settings: dict[str, float | int | str | None]
    seed: int
    train_start_ms: int
    train_end_ms: int
    n_train: int
    data_sha256: str
    trees_sha256: str


class SavedModel:
    """A model read from disk, ready to predict the features of one of its markets."""

    def __init__(self, card: ModelCard, learner: BoostedTrees) -> None:
        """card and learner belong together: `load_model` checks the hash."""
        self.card = card
        self.learner = learner

    @classmethod
    def of(cls, model: TrainedModel, data: Dataset, data_hash: str) -> Self:
        """A freshly trained model in its saved form."""
        return cls(_card(model, data, data_hash), model.learner)

    def predict(self, bars: Bars, features: FeatureTable) -> Floats:
        """(T,) prediction at each bar's close, in the card's unit; NaN where the model needs volatility still unknown.

        Raises SavedModelError for a market that the model was not trained on; a feature that the table lacks raises
        UnknownFeatureError.
        """
        symbol = bars.symbol
        if symbol not in self.card.symbols:
            raise SavedModelError(f"model {self.card.name}: {symbol} is not among its markets "
                                  f"({', '.join(self.card.symbols)}). Train it on {symbol} first.")
        names = [name for name in self.card.features if name != MARKET_COLUMN]
        code = np.full(len(features), self.card.symbols.index(symbol), dtype=np.float32)
        raw = self.learner.predict(np.column_stack([features.select(names).values, code]))
        state = market_state(bars, self.card.horizon_bars, self.card.volatility_window)
        return MODELS[self.card.name].restored(raw, state.recent_volatility)


def save_model(model: SavedModel, folder: Path) -> Path:
    """Write trees.json and then card.json into a folder; equal models give equal bytes. Returns the folder."""
    write_text(folder / TREES, _trees_text(model.learner))
    write_json(folder / CARD, model.card.model_dump(mode="json"))
    return folder


def load_model(folder: Path) -> SavedModel:
    """Read a saved model. Raises SavedModelError when the trees are not the ones that the card names."""
    try:
        card = ModelCard.model_validate(read_json(folder / CARD))
    except ValidationError as error:
        raise SavedModelError(f"{folder / CARD}: not a model card ({error.errors()[0]['msg']}). "
                              "Restore the file or train the model again.") from None
    if card.name not in MODELS:
        raise SavedModelError(f"{folder / CARD}: no model is called {card.name!r}, registered are {', '.join(MODELS)}. "
                              "Load it with the version that saved it, or train again.")
    trees = folder / TREES
    if not trees.is_file():
        raise SavedModelError(f"{trees}: file is missing. Restore it or train the model again.")
    found = hash_file(trees)
    if found != card.trees_sha256:
        raise SavedModelError(f"{trees}: its SHA-256 is {found[:12]}..., the card says {card.trees_sha256[:12]}... "
                              "Restore both files or train the model again.")
    learner = BoostedTrees.from_json(read_json(trees))
    if learner.features != len(card.features):
        raise SavedModelError(f"{trees}: trees of {learner.features} features, the card lists {len(card.features)}.")
    return SavedModel(card, learner)


def save_day(day: DayModels, folder: Path) -> dict[str, Path]:
    """Write a day's models, out-of-fold rows, block returns and scorecards. Returns relative name -> path.

    scorecards.json; block_returns.json (by name: portfolio and each market, over the scored window);
    models/<name>/{card,trees}.json; ensembles/<name>.json; out_of_fold/<name>.parquet.
    """
    written: dict[str, Path] = {}

    def keep(path: Path) -> None:
        written[path.relative_to(folder).as_posix()] = path

    for model in day.models:
        name = model.spec.name
        saved = save_model(SavedModel.of(model, day.dataset, day.data_hash), folder / "models" / name)
        keep(saved / TREES)
        keep(saved / CARD)
    for ensemble in day.ensembles:
        value = ensemble.fit.to_json() | {"members": list(ensemble.members)}
        keep(write_json(folder / "ensembles" / f"{ensemble.kind}.json", value))
    symbols = day.dataset.symbols
    for trained in day.trained:
        path = folder / "out_of_fold" / f"{trained.scorecard.name}.parquet"
        keep(write_parquet(path, trained.out_of_fold.table(symbols)))
    keep(write_json(folder / "block_returns.json", block_returns(day)))
    keep(write_json(folder / "scorecards.json", [card.as_json() for card in day.scorecards]))
    return written


def block_returns(day: DayModels) -> dict[str, dict[str, list[float]]]:
    """By model or ensemble: returns per 60-minute block of the scored window, of each market and of the portfolio."""
    value: dict[str, dict[str, list[float]]] = {}
    for trained in day.trained:
        markets = zip(day.dataset.symbols, trained.window.block_returns, strict=True)
        value[trained.scorecard.name] = {symbol: row.tolist() for symbol, row in markets} | {
            "portfolio": trained.window.portfolio.tolist()
        }
    return value


def _card(model: TrainedModel, data: Dataset, data_hash: str) -> ModelCard:
    text = _trees_text(model.learner)
    return ModelCard(
        name=model.spec.name, identity=model.scorecard.identity, target=model.spec.question, unit=model.spec.unit,
        timeframe=data.timeframe, horizon_bars=data.settings.horizon, features=data.names,
        volatility_window=data.settings.volatility_window, symbols=data.symbols,
        settings=model.learner.described(), seed=model.seed, train_start_ms=model.train_span.start_ms,
        train_end_ms=model.train_span.end_ms, n_train=model.scorecard.n_train, data_sha256=data_hash,
        trees_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _trees_text(learner: BoostedTrees) -> str:
    return canonical_json(learner.to_json()) + "\n"


