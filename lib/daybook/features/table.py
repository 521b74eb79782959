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
    momentum,
    regime,
    returns,
    session,
    trend,
    volatility,
    volume,
)
from daybook.features.errors import UnknownFeatureError
from daybook.features.feature import Feature, collect
from daybook.features.series import Series
from daybook.market.bars import Bars

_MODULES = (returns, momentum, trend, bands, volume, volatility, bar_shape, session, regime)


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

    def to_arrow(self) -> pa.Table:
        """An Arrow table: open_time int64, then a float32 column per feature, without copying the values."""
        columns = [pa.array(self.open_time), *(pa.array(self.values[:, i]) for i in range(len(self.names)))]
        return pa.table(columns, names=["open_time", *self.names])


@cache
def catalog() -> Mapping[str, Feature]:
    """Every feature by name, ordered by group; read-only."""
    return collect(module.FEATURES for module in _MODULES)


def compute(bars: Bars, names: Iterable[str] | None = None) -> FeatureTable:
    """The features of these bars; names None means the whole catalog, in its order.

    Each value depends on its bar and the ones before only, and not at all on which other features are asked for. Bars
    that are missing are not there: windows count bars, not minutes.
    Raises UnknownFeatureError for a name the catalog does not hold, FeatureInputError for an impossible price.
    """
    chosen = resolve(names)
    series = Series(bars)
    columns = np.empty((len(chosen), len(bars)), dtype=np.float32)
    for row, feature in zip(columns, chosen, strict=True):
        row[:] = feature.values(series)
    return FeatureTable(tuple(feature.name for feature in chosen), bars.open_time, columns.T)


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


def _unknown(name: str, known: Iterable[str], where: str) -> str:
    listed = list(known)
    near = get_close_matches(str(name), listed, n=3, cutoff=0.4)
    hint = f"Nearest: {', '.join(near)}." if near else "`daybook.features.catalog()` lists them all."
    return f"feature {name!r}: not among the {len(listed)} of {where}. {hint}"
