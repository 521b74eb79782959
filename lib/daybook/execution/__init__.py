"""What a fill costs: spread and fee as per-bar arrays, the same for backtest, challenge and runtime."""

from daybook.execution.costs import DEFAULT_MARKET, MAX_COST_BPS, CostError, Costs

__all__ = ["DEFAULT_MARKET", "MAX_COST_BPS", "CostError", "Costs"]
