"""The figures of a row of hourly returns: one scale on which every timeframe, basket and baseline is compared."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daybook.backtest.kernel import ROUNDING
from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, DAYS_PER_YEAR, timeframe_ms

BLOCK = "60m"
BLOCKS_PER_YEAR = DAYS_PER_YEAR * DAY_MS / timeframe_ms(BLOCK)


@dataclass(frozen=True)
class BlockFigures:
    """What the hourly returns of an account say.

    n_blocks: hours behind the figures. trades: closed trades, None where they were not counted. total_return: their
    sum, a fraction of the capital. sharpe: per year of 365 days. max_drawdown: fraction of the peak equity, at the ends
    of the hours. Undefined figures are None, and `reason` says why: fewer trades than were asked for leave the Sharpe
    ratio undefined, while return and drawdown are what happened to the account.
    """

    n_blocks: int
    trades: int | None
    total_return: float | None
    sharpe: float | None
    max_drawdown: float | None
    reason: str | None = None

    @classmethod
    def of(cls, blocks: Floats, trades: int | None = None, min_trades: int = 0) -> BlockFigures:
        """The figures of (B,) float64 returns as fractions of one capital. Raises UsageError for a value not finite."""
        if not np.all(np.isfinite(blocks)):
            raise UsageError(f"hourly returns: {int(np.sum(~np.isfinite(blocks)))} of {blocks.size} are not finite. "
                             "Leave out the simulation that they came from.")
        if blocks.size == 0:
            return cls.missing("there is no hour to look at", trades)
        reason = too_few_trades(trades, min_trades)
        sharpe = block_sharpe(blocks) if reason is None else None
        if sharpe is None and reason is None:
            reason = "no trade was made" if trades == 0 else "the hourly returns never differ"
        equity = np.concatenate(([1.0], 1.0 + np.cumsum(blocks)))
        drawdown = float(np.max(1.0 - equity / np.maximum.accumulate(equity)))
        return cls(int(blocks.size), trades, float(blocks.sum()), sharpe, drawdown, reason)

    @classmethod
    def missing(cls, reason: str, trades: int | None = None) -> BlockFigures:
        """No figures, and why."""
        return cls(0, trades, None, None, None, reason)

    def as_dict(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


def too_few_trades(trades: int | None, min_trades: int) -> str | None:
    """Why so few trades have no Sharpe ratio, in the words of a score that has none; None where they are enough."""
    if trades is None or trades >= min_trades:
        return None
    return f"{trades} trades; at least {min_trades} are needed"


def block_sharpe(blocks: Floats) -> float | None:
    """Mean over sample deviation of hourly returns, per year; None with fewer than two, or where they never differ."""
    if blocks.size < 2:
        return None
    deviation = float(np.std(blocks, ddof=1))
    if deviation <= ROUNDING:
        return None
    return float(np.mean(blocks)) / deviation * math.sqrt(BLOCKS_PER_YEAR)
