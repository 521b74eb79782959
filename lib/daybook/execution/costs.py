"""The cost model of one fill: a fee, and half the spread of its market at that bar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.market.bars import Bars

DEFAULT_MARKET = "default"
"""The key of the spread that a market pays which the mapping does not name."""
MAX_COST_BPS = 1000.0
_BPS = 1e-4


class CostError(UsageError):
    """A fee or spread that is no finite number in [0, 1000] bps, or a market without a spread."""


@dataclass(frozen=True)
class Costs:
    """Fee per side and full spread per market, both in basis points (1 bps = 0.0001) of the fill's notional.

    spread_bps: one figure for every market, or a mapping symbol -> figure in which "default" serves the others.
    Raises CostError for a figure that is not finite or outside [0, 1000] bps.
    """

    fee_bps: float = 5.0
    spread_bps: Mapping[str, float] | float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fee_bps", _checked("fee_bps", self.fee_bps))
        if not isinstance(self.spread_bps, Mapping):
            object.__setattr__(self, "spread_bps", _checked("spread_bps", self.spread_bps))
            return
        if not self.spread_bps:
            raise CostError("spread_bps: the mapping is empty. Name markets, or one figure for all of them.")
        spreads = {str(market): _checked(f"spread_bps[{market}]", figure)
                   for market, figure in sorted(self.spread_bps.items())}
        object.__setattr__(self, "spread_bps", spreads)

    @property
    def fee(self) -> float:
        """Fee of one side as a fraction of the fill's notional."""
        return self.fee_bps * _BPS

    def spread_of(self, symbol: str) -> float:
        """The full spread of a market in bps. Raises CostError when neither it nor "default" is named."""
        if not isinstance(self.spread_bps, Mapping):
            return self.spread_bps
        figure = self.spread_bps.get(symbol, self.spread_bps.get(DEFAULT_MARKET))
        if figure is None:
            raise CostError(f"spread_bps: no figure for {symbol}; the mapping names {', '.join(self.spread_bps)}. "
                            f'Add {symbol} or "{DEFAULT_MARKET}".')
        return figure

    def half_spread(self, bars: Bars) -> Floats:
        """Half the quoted spread at each bar: (T,) float64 fraction of the mid price, no NaN."""
        return np.full(len(bars), self.spread_of(bars.symbol) / 2 * _BPS)

    def side_cost(self, bars: Bars) -> Floats:
        """What a market order pays beyond the printed price, before the fee: (T,) float64 fraction, no NaN.

        A buy at bar t fills at price * (1 + side_cost[t]), a sale at price * (1 - side_cost[t]). The model of this
        version has a constant spread and no slippage; the kernel reads one figure per bar, so measured ones fit.
        """
        return self.half_spread(bars)

    def scaled(self, factor: float) -> Costs:
        """The same model with every cost multiplied: `costs.scaled(2)` is the doubled-cost robustness check."""
        spread: Mapping[str, float] | float
        if isinstance(self.spread_bps, Mapping):
            spread = {market: figure * factor for market, figure in self.spread_bps.items()}
        else:
            spread = self.spread_bps * factor
        return Costs(self.fee_bps * factor, spread)

    def as_dict(self) -> dict[str, Any]:
        """A JSON value for the manifest; equal models give equal values."""
        spread = dict(self.spread_bps) if isinstance(self.spread_bps, Mapping) else self.spread_bps
        return {"fee_bps": self.fee_bps, "spread_bps": spread}


def _checked(name: str, figure: object) -> float:
    """The figure as a float. Raises CostError unless it is a finite number in [0, MAX_COST_BPS]."""
    if isinstance(figure, bool) or not isinstance(figure, int | float | np.integer | np.floating):
        raise CostError(f"{name}: found {figure!r}, allowed is a number of bps in [0, {MAX_COST_BPS:g}].")
    value = float(figure)
    if not (math.isfinite(value) and 0.0 <= value <= MAX_COST_BPS):
        raise CostError(f"{name}: found {value!r} bps, allowed is a finite number in [0, {MAX_COST_BPS:g}].")
    return value
