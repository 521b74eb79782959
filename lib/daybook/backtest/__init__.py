"""The fused kernel, sweeps over specs, parameters and markets, and the replay that opens one simulation."""

from daybook.backtest.kernel import METRICS
from daybook.backtest.metrics import UNITS, Metrics
from daybook.backtest.plan import SweepError
from daybook.backtest.replay import Simulation, replay, replay_bits
from daybook.backtest.simulate import SignalError, simulate_bits, warm
from daybook.backtest.sweep import SWEEP_COLUMNS, block_returns, sweep
from daybook.backtest.tape import PriceError, Sizing, WindowError

__all__ = [
    "METRICS", "SWEEP_COLUMNS", "UNITS", "Metrics", "PriceError", "SignalError", "Simulation", "Sizing", "SweepError",
    "WindowError", "block_returns", "replay", "replay_bits", "simulate_bits", "sweep", "warm",
]  # fmt: skip
