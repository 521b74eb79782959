"""What a feature is: a named causal series over bars, with declared inputs, warm-up, unit and source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from daybook.core.arrays import Floats
from daybook.features.errors import FeatureDefinitionError
from daybook.features.series import Series
from daybook.market.bars import FIELDS, Bars

GROUPS: Mapping[str, str] = MappingProxyType({
    "return": "Price and return",
    "momentum": "Momentum",
    "trend": "Trend",
    "bands": "Bands and channels",
    "volume": "Volume and liquidity",
    "volatility": "Volatility",
    "bar": "Bar shape",
    "session": "Session and calendar",
    "regime": "Regime",
    "cross": "Cross-coin",
})
CROSS = "cross"
"""The group whose features read several markets at once."""

INPUTS = (*FIELDS, "open_time")
_NAME = re.compile(r"[a-z][a-z0-9_]{2,39}", re.ASCII)


@dataclass(frozen=True)
class Unit:
    """A unit of measure, and how a value in it answers to a change of the price or volume scale.

    price_power: a price ten times as high multiplies the value by 10 ** price_power; volume_power likewise.
    """

    description: str
    price_power: int = 0
    volume_power: int = 0


UNITS: Mapping[str, Unit] = MappingProxyType({
    "log return": Unit("natural logarithm of a price ratio"),
    "fraction": Unit("share of price, of volume or of a count; never a percentage"),
    "sigma": Unit("standard deviations"),
    "ratio": Unit("quotient of two like quantities"),
    "score": Unit("points of an indicator's own scale"),
    "correlation": Unit("-1 to 1"),
    "cycle": Unit("sine or cosine of a phase, -1 to 1"),
    "flag": Unit("0 or 1"),
    "state": Unit("an integer code, named in the description"),
    "bars": Unit("a signed count of bars"),
    "minutes": Unit("minutes of clock time"),
    "per million quote": Unit("log return per million of quote currency turned over", price_power=-1, volume_power=-1),
})


@dataclass(frozen=True, eq=False)
class Feature:
    """A named causal series: its value at bar t depends on bars up to and including t, and on nothing else.

    inputs: the fields of the bars that it reads; of every market, where the group is cross-coin.
    warmup: bars before the first defined value. For a recursive filter, whose memory never ends, it is the settling
    length: from there on, values agree to 1e-4 of the feature's typical size whichever bar the series starts at.
    bounds: the closed range of its values, where the formula guarantees one.
    Raises FeatureDefinitionError when a field is not one of those allowed.
    """

    name: str
    group: str
    inputs: tuple[str, ...]
    warmup: int
    unit: str
    description: str
    source: str
    function: Callable[[Series], Floats]
    recursive: bool = False
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self._require(bool(_NAME.fullmatch(self.name)), "name", self.name, "3 to 40 of a-z, 0-9 and _")
        self._require(self.group in GROUPS, "group", self.group, ", ".join(GROUPS))
        self._require(self.unit in UNITS, "unit", self.unit, ", ".join(UNITS))
        self._require(bool(self.inputs) and set(self.inputs) <= set(INPUTS), "inputs", self.inputs, ", ".join(INPUTS))
        self._require(self.warmup >= 0, "warmup", self.warmup, "0 or more bars")
        self._require(bool(self.description and self.source), "description and source", "nothing", "one sentence each")

    @property
    def reads_peers(self) -> bool:
        """Whether it needs the bars of other markets beside its own: `compute_panel` gives them, `compute` can not."""
        return self.group == CROSS

    def _require(self, holds: bool, field: str, found: object, allowed: str) -> None:
        if not holds:
            raise FeatureDefinitionError(f"feature {self.name!r}: {field} is {found!r}, allowed: {allowed}.")

    def values(self, bars: Bars | Series) -> Floats:
        """The feature over the bars: (T,) float64 in the declared unit, NaN before the warm-up ends.

        Later values are NaN only where the formula is undefined (a flat or tradeless window), and never infinite.
        """
        series = bars if isinstance(bars, Series) else Series(bars)
        if series.length <= self.warmup:
            return np.full(series.length, np.nan)
        values = self.function(series)
        if self.recursive:
            values = values.copy()
            values[: self.warmup] = np.nan
        return values


def collect(groups: Iterable[Iterable[Feature]]) -> Mapping[str, Feature]:
    """The features of all groups by name, in the order given, read-only.

    Raises FeatureDefinitionError when two features share a name.
    """
    features: dict[str, Feature] = {}
    for group in groups:
        for feature in group:
            if feature.name in features:
                raise FeatureDefinitionError(
                    f"feature {feature.name!r}: declared in group {features[feature.name].group!r} and again in "
                    f"{feature.group!r}. Names are unique in the catalog; rename one of them."
                )
            features[feature.name] = feature
    return MappingProxyType(features)
