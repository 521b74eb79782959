"""How the tables of the pages show their columns: units, headings, formats, and why a figure may be missing."""

from __future__ import annotations

from daybook.report.frames import FrameStyle

_TOO_FEW = "too few trades, or not tested yet"

STRATEGY_STYLE = FrameStyle(
    units={"score": "0-100", "previous_score": "0-100", "sharpe": "annualised", "total_return": "of capital",
           "median_return": "of capital", "turnover": "× capital", "exposure": "of bars", "n_blocks": "hours",
           "psr": "probability"},
    labels={"previous_score": "score before", "n_blocks": "hours", "total_return": "return", "max_drawdown": "drawdown",
            "reason": "why undefined"},
    formats={"rank": "int", "score": "score", "previous_score": "score", "psr": ".2f", "sharpe": ".1f",
             "max_drawdown": "percent", "total_return": "percent", "median_return": "percent", "win_rate": "percent",
             "exposure": "percent", "turnover": ".1f", "trades": "int", "n_blocks": "int"},
    reasons={"score": _TOO_FEW, "psr": _TOO_FEW, "sharpe": _TOO_FEW, "max_drawdown": _TOO_FEW, "win_rate": "no trade",
             "previous_score": "new, or undefined the day before", "return_24h": "not simulated"},
)
EVIDENCE_STYLE = FrameStyle(
    units={"forward_return": "of capital", "return_24h": "of capital", "forward_days": "days"},
    labels={"return_24h": "return, 24 h", "forward_return": "return since birth"},
    formats={"forward_return": "percent", "return_24h": "percent", "forward_days": "int", "trades": "int"},
    reasons={"forward_return": "no full day since its birth", "return_24h": "not simulated"},
)
DESIGN_STYLE = FrameStyle(
    units={"fitness": "score", "complexity": "nodes"},
    formats={"fitness": ".1f", "complexity": "int"},
    reasons={"fitness": "too few trades on the design's span"},
)
MODEL_STYLE = FrameStyle(
    units={"score": "0-100", "total_return": "of capital", "sharpe": "annualised", "turnover": "× capital",
           "costs_paid": "of capital", "baseline": "of capital"},
    labels={"total_return": "return", "max_drawdown": "drawdown", "baseline": "return without model"},
    formats={"score": "score", "total_return": "percent", "sharpe": ".1f", "max_drawdown": "percent",
             "win_rate": "percent", "turnover": ".1f", "costs_paid": "percent", "trades": "int", "baseline": "percent"},
    reasons={"score": _TOO_FEW, "sharpe": _TOO_FEW, "win_rate": "no trade", "baseline": "no such rule"},
)
