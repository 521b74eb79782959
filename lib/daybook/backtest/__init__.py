"""The fused kernel, sweeps over specs, parameters and markets, and the replay that opens one simulation."""

from daybook.backtest.baselines import BASKET, RandomRule, buy_and_hold, random_rule
from daybook.backtest.block_figures import BlockFigures
from daybook.backtest.conditions import Conditions, DetailError, FundingError, Margin
from daybook.backtest.kernel import METRICS
from daybook.backtest.metrics import UNITS, Metrics
from daybook.backtest.nulls import NULL_KINDS, Holdings, null_bits, random_entry_bits
from daybook.backtest.plan import SweepError
from daybook.backtest.replay import Simulation, replay, replay_bits
from daybook.backtest.robustness import Candidate, Robustness, robustness
from daybook.backtest.simulate import SignalError, simulate_bits, warm
from daybook.backtest.sizing import Sizing, SizingError, realised_volatility
from daybook.backtest.sweep import SWEEP_COLUMNS, block_returns, sweep
from daybook.backtest.tape import PriceError, WindowError

__all__ = [
    "BASKET", "METRICS", "NULL_KINDS", "SWEEP_COLUMNS", "UNITS", "BlockFigures", "Candidate", "Conditions",
    "DetailError", "FundingError", "Holdings", "Margin", "Metrics", "PriceError", "RandomRule", "Robustness",
    "SignalError", "Simulation", "Sizing", "SizingError", "SweepError", "WindowError", "block_returns",
    "buy_and_hold", "null_bits", "random_entry_bits", "random_rule", "realised_volatility", "replay", "replay_bits",
    "robustness", "simulate_bits", "sweep", "warm",
]  # fmt: skip
