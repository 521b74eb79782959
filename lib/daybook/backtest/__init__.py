"""The fused kernel, sweeps over specs, parameters and markets, and the replay that opens one simulation."""

from daybook.backtest.baselines import BASKET, RandomRule, buy_and_hold, random_rule
from daybook.backtest.block_figures import BlockFigures
from daybook.backtest.conditions import Conditions, DetailError, FundingError, Margin
from daybook.backtest.kernel import METRICS
from daybook.backtest.metrics import UNITS, Metrics
from daybook.backtest.nulls import NULL_KINDS, Holdings, null_bits, random_entry_bits
from daybook.backtest.plan import SweepError
from daybook.backtest.portfolio import Leg, Portfolio, PortfolioError, simulate_portfolio
from daybook.backtest.replay import Simulation, replay, replay_bits
from daybook.backtest.robustness import Candidate, Robustness, robustness
from daybook.backtest.simulate import SignalError, simulate_bits, warm
from daybook.backtest.sizing import Sizing, SizingError, realised_volatility
from daybook.backtest.stream import Best, SweepInputs, sweep_best, sweep_chunks
from daybook.backtest.sweep import SWEEP_COLUMNS, block_returns, sweep
from daybook.backtest.tape import PriceError, WindowError
from daybook.backtest.to_vectorbt import to_vectorbt

__all__ = [
    "BASKET", "METRICS", "NULL_KINDS", "SWEEP_COLUMNS", "UNITS", "Best", "BlockFigures", "Candidate", "Conditions",
    "DetailError", "FundingError", "Holdings", "Leg", "Margin", "Metrics", "Portfolio", "PortfolioError",
    "PriceError", "RandomRule", "Robustness", "SignalError", "Simulation", "Sizing", "SizingError", "SweepError",
    "SweepInputs", "WindowError", "block_returns", "buy_and_hold", "null_bits", "random_entry_bits", "random_rule",
    "realised_volatility", "replay", "replay_bits", "robustness", "simulate_bits", "simulate_portfolio", "sweep",
    "sweep_best", "sweep_chunks", "to_vectorbt", "warm",
]  # fmt: skip
