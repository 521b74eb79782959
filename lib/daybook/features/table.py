"""The catalog of all features, and the table that computing them gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import numpy as np
import pyarrow as pa

from daybook.core.arrays import Floats32, Ints
from daybook.features import (
    bands,
    bar_shape,
    cross,
    momentum,
    regime,
    returns,
    session,
    trend,
    volatility,
    volume,
)
from daybook.features.errors import FeatureInputError, PeersNeededError, UnknownFeatureError
from daybook.features.feature import Feature, collect
from daybook.features.series import Series, require_tradable
from daybook.features.weeks import weeks
from daybook.market.bars import Bars

_MODULES = (returns, momentum, trend, bands, volume, volatility, bar_shape, session, regime, cross)


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of one market and timeframe, a column each.

    names: (F,) columns in order. open_time: (T,) int64 ms UTC, as in the bars. values: (T, F) float32, stored column
    by column, read-only; NaN in the warm-up and where a formula is undefined, never infinite.
    """

    names: tuple[str, ...]
    open_time: Ints
    values: Floats32

    def __post_init__(self) -> None:
        for name in ("open_time", "values"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return int(self.open_time.size)

    def column(self, name: str) -> Floats32:
        """The (T,) values of one feature, a contiguous view. Raises UnknownFeatureError if the table lacks it."""
        if name not in self.names:
            raise UnknownFeatureError(_unknown(name, self.names, "the table"))
        return self.values[:, self.names.index(name)]

    def select(self, names: Iterable[str]) -> FeatureTable:
        """A table of these columns, in this order. Raises UnknownFeatureError if one is lacking."""
        chosen = tuple(names)
        columns = np.stack([self.column(name) for name in chosen]) if chosen else np.empty((0, len(self)), np.float32)
        return FeatureTable(chosen, self.open_time, columns.T)

    def rows(self, part: slice) -> FeatureTable:
        """The table of these rows, a view."""
        return FeatureTable(self.names, self.open_time[part], self.values[part])

    def to_arrow(self) -> pa.Table:
        """An Arrow table: open_time int64, then a float32 column per feature, without copying the values."""
        columns = [pa.array(self.open_time), *(pa.array(self.values[:, i]) for i in range(len(self.names)))]
        return pa.table(columns, names=["open_time", *self.names])


@cache
def catalog() -> Mapping[str, Feature]:
    """Every feature by name, ordered by group, those that read several markets last; read-only."""
    return collect(module.FEATURES for module in _MODULES)


def market_names() -> tuple[str, ...]:
    """The names of all features that need one market only, in the catalog's order."""
    return tuple(name for name, feature in catalog().items() if not feature.reads_peers)


def compute(bars: Bars, names: Iterable[str] | None = None) -> FeatureTable:
    """The features of these bars; names None means all that need one market only, in the catalog's order.

    Each value depends on its bar and the ones before only, and not at all on which other features are asked for. Bars
    that are missing are not there: windows count bars, not minutes. Time is cut into UTC weeks, each computed from the
    WARMUP_BARS bars before it: a week's values are the same to the last bit whatever else is in the table.
    Raises UnknownFeatureError for a name the catalog does not hold, PeersNeededError for a cross-coin one, and
    FeatureInputError for an impossible price.
    """
    return _table(bars, (), resolve_market(bars, names))


def compute_panel(bars_by_symbol: Mapping[str, Bars], names: Iterable[str] | None = None) -> dict[str, FeatureTable]:
    """The features of every market beside the others, by symbol; names None means the whole catalog.

    All markets share one timeframe; each keeps its own open times, and another market without a bar at one of them is
    unknown there, not filled. Raises what `compute` raises, and FeatureInputError when timeframes differ or a key is
    not its bars' symbol.
    """
    chosen = resolve(names)
    return {symbol: _table(bars, others, chosen) for symbol, (bars, others) in beside(bars_by_symbol).items()}


def beside(bars_by_symbol: Mapping[str, Bars]) -> dict[str, tuple[Bars, tuple[Bars, ...]]]:
    """Each market's bars with those of all others. Raises FeatureInputError as compute_panel does."""
    for symbol, bars in bars_by_symbol.items():
        first = next(iter(bars_by_symbol.values()))
        if symbol != bars.symbol or bars.timeframe != first.timeframe:
            raise FeatureInputError(
                f"panel: {symbol!r} holds {bars.name}, beside {first.name}. Give each symbol its own bars, all of one "
                "timeframe."
            )
    return {
        symbol: (bars, tuple(other for name, other in sorted(bars_by_symbol.items()) if name != symbol))
        for symbol, bars in bars_by_symbol.items()
    }


def _table(bars: Bars, others: tuple[Bars, ...], chosen: tuple[Feature, ...]) -> FeatureTable:
    for market in (bars, *others):
        require_tradable(market)
    columns = np.empty((len(chosen), len(bars)), dtype=np.float32)
    for week in weeks(bars.open_time):
        fill(columns[:, week.start : week.stop], bars.rows(week.warm, week.stop), others, chosen)
    return FeatureTable(tuple(feature.name for feature in chosen), bars.open_time, columns.T)


def fill(out: Floats32, bars: Bars, others: tuple[Bars, ...], chosen: Iterable[Feature]) -> None:
    """Write the features of the last bars into (F, T) columns, one week's; earlier bars are warm-up."""
    series = Series(bars, others)
    first = len(bars) - out.shape[1]
    for row, feature in zip(out, chosen, strict=True):
        row[:] = feature.values(series)[first:]


def resolve(names: Iterable[str] | None) -> tuple[Feature, ...]:
    """The features with these names. Raises UnknownFeatureError, naming the nearest ones, and on a repeated name."""
    known = catalog()
    if names is None:
        return tuple(known.values())
    chosen = tuple(names)
    for position, name in enumerate(chosen):
        if name not in known:
            raise UnknownFeatureError(_unknown(name, known, "the catalog"))
        if name in chosen[:position]:
            raise UnknownFeatureError(f"feature {name!r}: asked for twice; name each feature once.")
    return tuple(known[name] for name in chosen)


def resolve_market(bars: Bars, names: Iterable[str] | None) -> tuple[Feature, ...]:
    """As `resolve`, for one market alone; None means all that need no other. Raises PeersNeededError too."""
    chosen = resolve(market_names() if names is None else names)
    for feature in chosen:
        if feature.reads_peers:
            raise PeersNeededError(f"feature {feature.name!r}: compares several markets, but {bars.name} was given "
                                   "alone. Call compute_panel with the bars of every market.")
    return chosen


def _unknown(name: str, known: Iterable[str], where: str) -> str:
    listed = list(known)
    near = get_close_matches(str(name), listed, n=3, cutoff=0.4)
    hint = f"Nearest: {', '.join(near)}." if near else "`daybook.features.catalog()` lists them all."
    return f"feature {name!r}: not among the {len(listed)} of {where}. {hint}"
