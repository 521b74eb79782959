"""Bars and features of several markets as one table of questions and answers, oldest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from daybook.core.arrays import Bools, Floats, Floats32, Ints
from daybook.core.hashing import hash_arrays, hash_json
from daybook.core.time import Window, utc_text
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.models.errors import TrainingDataError
from daybook.models.labels import LABELLERS, Labels, LabelSettings
from daybook.models.state import MarketState, market_state

if TYPE_CHECKING:
    from daybook.features import FeatureTable

MARKET_COLUMN = "market"
"""The last feature: the market's position in the sorted list of symbols, so that one model serves them all."""

Rows = TypeVar("Rows", Labels, MarketState)


@dataclass(frozen=True)
class Market:
    """One market's bars and the features known at each bar's close: equal open times, row by row."""

    bars: Bars
    features: FeatureTable


@dataclass(frozen=True)
class Dataset:
    """One row a bar and market, ordered by open time and then symbol; every array is read-only.

    time: (N,) int64 ms UTC open time. market: (N,) position in `markets`. row: (N,) position in that market's bars.
    X: (N, F) float32 features, NaN where a feature is not known, the market's position last. round_trip: (N,) cost
    fraction of an entry and an exit. labels: by target, state: trailing measures, both (N,) row by row.
    """

    markets: tuple[Market, ...]
    names: tuple[str, ...]
    settings: LabelSettings
    time: Ints
    market: Ints
    row: Ints
    X: Floats32
    round_trip: Floats
    labels: Mapping[str, Labels]
    state: MarketState

    def __len__(self) -> int:
        return int(self.time.size)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the order of the market feature."""
        return tuple(market.bars.symbol for market in self.markets)

    @property
    def timeframe(self) -> str:
        """The one timeframe of all markets."""
        return self.markets[0].bars.timeframe

    @property
    def history(self) -> Window:
        """From the first bar's open to the last bar's close."""
        return Window(int(self.time[0]), int(max(market.bars.close_time[-1] for market in self.markets)))

    def usable(self, target: str) -> Bools:
        """(N,) rows to learn a target from: its label counts and the market's volatility is known."""
        state = self.state
        known: Bools = np.isfinite(state.horizon_volatility) & np.isfinite(state.recent_volatility)
        return self.labels[target].fit & known

    def data_hash(self) -> str:
        """SHA-256 over every market's bars, the features and the label settings."""
        parts = [market.bars.data_hash for market in self.markets]
        return hash_json([parts, list(self.names), hash_arrays([self.X]), vars(self.settings)])


def build_dataset(
    markets: Sequence[Market], costs: Costs, settings: LabelSettings, targets: Iterable[str] = tuple(LABELLERS)
) -> Dataset:
    """Label every bar of every market and put them on one clock.

    Raises TrainingDataError for no markets or bars, a symbol twice, differing timeframes or features, or features
    whose open times are not those of the bars.
    """
    ordered = tuple(sorted(markets, key=lambda market: market.bars.symbol))
    _require_matching(ordered)
    time = np.concatenate([market.bars.open_time for market in ordered])
    code = np.repeat(np.arange(len(ordered)), [len(market.bars) for market in ordered])
    order = np.lexsort((code, time))
    rounds = [2.0 * (costs.fee + costs.half_spread(market.bars)) for market in ordered]
    labels: dict[str, Labels] = {}
    for target in targets:
        per_market = [LABELLERS[target](market.bars, settings, round_trip)
                      for market, round_trip in zip(ordered, rounds, strict=True)]
        labels[target] = _pooled(per_market, order)
    states = [market_state(market.bars, settings.horizon, settings.volatility_window) for market in ordered]
    features = np.concatenate([market.features.values for market in ordered]).astype(np.float32, copy=False)
    return Dataset(
        markets=ordered,
        names=(*ordered[0].features.names, MARKET_COLUMN),
        settings=settings,
        time=_sealed(time[order]),
        market=_sealed(code[order]),
        row=_sealed(np.concatenate([np.arange(len(market.bars)) for market in ordered])[order]),
        X=_sealed(np.column_stack([features, code.astype(np.float32)])[order]),
        round_trip=_sealed(np.concatenate(rounds)[order]),
        labels=labels,
        state=_pooled(states, order),
    )


Item = TypeVar("Item", bound=np.generic)


def _sealed(values: NDArray[Item]) -> NDArray[Item]:
    values.flags.writeable = False
    return values


def _pooled(parts: Sequence[Rows], order: Ints) -> Rows:
    """The rows of all markets, array by array, in the pooled order."""
    joined = {item.name: _sealed(np.concatenate([getattr(part, item.name) for part in parts])[order])
              for item in fields(parts[0])}
    return type(parts[0])(**joined)


def _require_matching(markets: tuple[Market, ...]) -> None:
    if not markets or any(len(market.bars) == 0 for market in markets):
        raise TrainingDataError("models: there is no market, or one without bars. Import candles for the day first.")
    symbols = [market.bars.symbol for market in markets]
    if len(set(symbols)) != len(symbols):
        raise TrainingDataError(f"models: a symbol is given twice ({', '.join(symbols)}). Give each market once.")
    first = markets[0]
    for market in markets:
        bars, table = market.bars, market.features
        if bars.timeframe != first.bars.timeframe or tuple(table.names) != tuple(first.features.names):
            raise TrainingDataError(
                f"models: {bars.name} has other features or another timeframe than {first.bars.name}. "
                "Compute the same features on the same timeframe for every market."
            )
        if not np.array_equal(bars.open_time, table.open_time):
            raise TrainingDataError(
                f"models: {bars.name}: {len(bars)} bars from {utc_text(int(bars.open_time[0]))}, but the features have "
                f"{table.open_time.size} rows at other times. Compute the features from these very bars."
            )
