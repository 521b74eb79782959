"""Costs of a backtest as a whole distribution: every bar and stream draws a spread and slippage of its own.

An order is known by its market, timeframe, stream and the bar that fills it; both orders of one bar meet the same
market. That bar's number picks a block of a counter-based generator, so an order pays the same in a sweep, in a replay,
in any window, order of work or process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.seeds import derived_seed
from daybook.core.time import timeframe_ms
from daybook.execution.measured import MeasuredCosts
from daybook.execution.metrics import Figure, MarketMetrics
from daybook.execution.states import (
    ANY,
    SESSIONS,
    UNKNOWN,
    VOLATILITIES,
    bar_volatility,
    session_codes,
    volatility_codes,
)
from daybook.market.bars import Bars

_BPS = 1e-4
_BLOCK = 4
"""Numbers that one step of the generator's counter gives; the first two are for spread and slippage."""


@dataclass(frozen=True)
class DrawnCosts(MeasuredCosts):
    """Measured costs of which every bar's orders pay a quantile of their own instead of the level.

    seed: of the draws. stream: a name, such as a strategy's identity, under which the same bars draw anew.
    A slippage drawn below 0 counts as 0; a decision slower than the latency budget pays the p90 of slippage, or its
    own draw where that is worse. Refusals, latency and depth are not drawn: see `execute`.
    """

    seed: int = 0
    stream: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A JSON value for the manifest: which metrics, how they are read, and by which draws."""
        return {**super().as_dict(), "level": "drawn", "seed": self.seed, "stream": self.stream}

    def uniforms(self, bars: Bars) -> Floats:
        """(T, 2) float64 in [0, 1): what the orders of each bar draw spread and slippage by."""
        if len(bars) == 0:
            return np.empty((0, 2))
        number = bars.open_time // timeframe_ms(bars.timeframe)
        source = np.random.Philox(derived_seed(self.seed, "execution", self.identity, self.stream, self.venue,
                                               bars.symbol, bars.timeframe))
        source.advance(int(number[0]))
        blocks = np.random.Generator(source).random((int(number[-1] - number[0]) + 1, _BLOCK))
        drawn: Floats = blocks[number - number[0], :2]
        return drawn

    def _fractions(self, bars: Bars) -> tuple[Floats, Floats]:
        market, drawn = self.market(bars.symbol), self.uniforms(bars)
        session = session_codes(bars.open_time)
        volatility = volatility_codes(bar_volatility(bars), market.volatility_edges)
        half, slippage = np.zeros(len(bars)), np.zeros(len(bars))
        for code, name in enumerate(SESSIONS):
            for level, wild in ((UNKNOWN, ANY), *enumerate(VOLATILITIES)):
                cell = (session == code) & (volatility == level)
                if cell.any():
                    half[cell] = self._drawn(market, "spread_bps", (name, wild), drawn[cell, 0]) / 2
                    slippage[cell] = self._drawn(market, "slippage_touch_bps", (name, wild), drawn[cell, 1])
        return half * _BPS, slippage * _BPS

    def _drawn(self, market: MarketMetrics, name: Figure, cell: tuple[str, str], uniforms: Floats) -> Floats:
        """bps at these probabilities, never negative; 0 where nothing was measured."""
        measured, _ = market.figure(name, *cell)
        if measured is None:
            return np.zeros(uniforms.size)
        bps = measured.quantile(uniforms)
        if name == "slippage_touch_bps" and self.late:
            bps = np.maximum(bps, measured.p90)
        return np.maximum(bps, 0.0) * self.factor
