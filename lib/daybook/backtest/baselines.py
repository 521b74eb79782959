"""What a strategy has to beat: holding the markets, and entering them at random as often and as long as it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daybook.backtest.block_figures import BLOCK, BlockFigures, block_sharpe
from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.kernel import BLOCK as WORD_BARS
from daybook.backtest.kernel import LONG_ENTRY, METRICS
from daybook.backtest.nulls import Holdings, random_entry_bits
from daybook.backtest.replay import Simulation
from daybook.backtest.simulate import new_record, simulate_one
from daybook.backtest.tape import WindowTape, window_tape
from daybook.core.arrays import Bytes, Floats
from daybook.core.errors import UsageError
from daybook.core.seeds import generator
from daybook.core.time import Window
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops

BASKET = "equal-weight basket"
DRAWS = 100
_MEDIAN, _HIGH = 0.5, 0.95


@dataclass(frozen=True)
class RandomRule:
    """A strategy among random rules that trade as often, as long and on the same sides at the same cost.

    n_draws: random rules drawn. sharpe_percentile, return_percentile: share of them below the strategy, ties counted
    half; 0.5 is what a worthless strategy expects. median_sharpe, high_sharpe (95 %), median_return: of the draws.
    None with a reason where the strategy made no trade.
    """

    n_draws: int
    n_blocks: int
    trades: int
    sharpe_percentile: float | None
    return_percentile: float | None
    median_sharpe: float | None
    high_sharpe: float | None
    median_return: float | None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


def buy_and_hold(
    bars: Sequence[Bars], costs: Costs | None = None, window: Window | None = None, conditions: Conditions = PLAIN
) -> dict[str, BlockFigures]:
    """The figures of buying each market at the window's second bar and selling at its end, at cost.

    bars: one timeframe of one or several markets. Returns name -> figures; with several markets the mean of their
    hourly returns follows as `equal-weight basket`. Raises as `sweep` does.
    """
    blocks = held_blocks(bars, costs, window, conditions)
    found = {part.name: BlockFigures.of(row, trades=1) for part, row in zip(bars, blocks, strict=True)}
    if len(bars) > 1:
        found[BASKET] = BlockFigures.of(np.mean(blocks, axis=0), trades=len(bars))
    return found


def held_blocks(
    bars: Sequence[Bars], costs: Costs | None = None, window: Window | None = None, conditions: Conditions = PLAIN
) -> Floats:
    """(M, B) float64 hourly returns of each market, bought and sold as `buy_and_hold` tells."""
    _require_markets(bars)
    grid = _grid(bars, window)
    blocks = []
    for part in bars:
        tape = window_tape(part, costs or Costs(), window, conditions=conditions)
        bits = np.zeros((1, len(tape)), dtype=np.uint8)
        bits[0, 0] = LONG_ENTRY
        blocks.append(simulated_blocks(bits, tape, grid)[0])
    return np.stack(blocks)


def random_rule(
    simulations: Sequence[Simulation], bars: Sequence[Bars], costs: Costs | None = None, *,
    draws: int = DRAWS, seed: int = 0, conditions: Conditions = PLAIN,
) -> RandomRule:
    """Place a strategy among `draws` random rules that hold the same sides for the same times on the same markets.

    simulations: the strategy on each of `bars` (equal capital) over one window, with any stops; the random rules have
    none, since what the stops cut short is in the times, and always trade the initial capital's worth. The draws of a
    market depend on seed and market alone: the first ones stay when more are asked for. Raises UsageError for windows
    that differ or draws below 1.
    """
    _require_markets(bars)
    windows = {one.window for one in simulations}
    if len(simulations) != len(bars) or len(windows) != 1:
        raise UsageError(f"random rule: {len(simulations)} simulations over {len(windows)} windows for {len(bars)} "
                         "markets; give one simulation a market, all over the same window.")
    if draws < 1:
        raise UsageError(f"random rule: draws is {draws}, allowed is 1 or more.")
    window = simulations[0].window
    grid = BlockGrid.of(window, BLOCK)
    trades = sum(one.metrics.trades for one in simulations)
    if trades == 0:
        return RandomRule(0, grid.count, 0, *(None,) * 5, reason="no trade was made, so there is nothing to match")
    total = np.zeros((draws, grid.count))
    for one, part in zip(simulations, bars, strict=True):
        held = Holdings.of(one)
        rng = generator(seed, "random rule", part.symbol, part.timeframe)
        bits = np.stack([random_entry_bits(held, rng) for _ in range(draws)])
        total += simulated_blocks(bits, window_tape(part, costs or Costs(), window, conditions=conditions), grid)
    own = np.mean([one.block_returns(BLOCK) for one in simulations], axis=0)
    return _placed(own, total / len(bars), trades)


def _placed(own: Floats, drawn: Floats, trades: int) -> RandomRule:
    """The strategy's (B,) hourly returns among the (D, B) of the random rules."""
    sharpes = np.array([sharpe for row in drawn if (sharpe := block_sharpe(row)) is not None])
    returns = drawn.sum(axis=1)
    mine = block_sharpe(own)
    known = mine is not None and sharpes.size > 0
    return RandomRule(
        n_draws=len(drawn), n_blocks=own.size, trades=trades,
        sharpe_percentile=percentile(sharpes, mine) if known and mine is not None else None,
        return_percentile=percentile(returns, float(own.sum())),
        median_sharpe=float(np.quantile(sharpes, _MEDIAN)) if known else None,
        high_sharpe=float(np.quantile(sharpes, _HIGH)) if known else None,
        median_return=float(np.quantile(returns, _MEDIAN)),
        reason=None if known else "the hourly returns never differ",
    )


def percentile(values: Floats, value: float) -> float:
    """Share of (N,) values below one value, those equal to it counted half."""
    return float((np.sum(values < value) + 0.5 * np.sum(values == value)) / values.size)


def simulated_blocks(bits: Bytes, tape: WindowTape, grid: BlockGrid) -> Floats:
    """(N, B) float64 change of equity per block for (N, T) bits of the window's bars, without stops."""
    record, out = new_record(len(tape)), np.empty(len(METRICS))
    padded = np.zeros(-(-len(tape) // WORD_BARS) * WORD_BARS, dtype=np.uint8)
    changes = np.empty((len(bits), grid.count))
    lasts = np.flatnonzero(np.diff((tape.open_time - grid.start_ms) // grid.block_ms, append=-1))  # of each block
    times = tape.open_time[lasts]
    for row, given in enumerate(bits):
        padded[:len(tape)] = given
        simulate_one(padded, tape, Stops(), out, record)
        changes[row] = grid.changes(times, record[0][0, lasts])
    return changes


def _grid(bars: Sequence[Bars], window: Window | None) -> BlockGrid:
    return BlockGrid.of(window, BLOCK) if window is not None else BlockGrid.over(bars, BLOCK)


def _require_markets(bars: Sequence[Bars]) -> None:
    if not bars:
        raise UsageError("baselines: no market is given. Give the bars of at least one.")
