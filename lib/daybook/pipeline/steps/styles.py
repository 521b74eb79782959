"""How the tables of the pages show their columns: units, headings, formats, and why a figure may be missing."""

from __future__ import annotations

import pandas as pd

from daybook.report.frames import FrameStyle
from daybook.report.table_cells import PERCENTILES

_TOO_FEW = "too few trades, or not tested yet"
_NO_STRESS = "too few trades, or returns that never differ"
_STRATEGY_NOTE = ("PSR: how likely the true Sharpe ratio is above 0. Return and drawdown are after costs, with equal "
                  "capital in each market.")
_LATER = "A bar later: the Sharpe ratio if every order were filled one bar later."

STRATEGY_STYLE = FrameStyle(
    units={"score": "0–100", "previous_score": "0–100", "sharpe": "a year", "total_return": "of capital",
           "max_drawdown": "of capital", "win_rate": "of trades", "profitable": "strategies", "strategies": "n",
           "median_return": "of capital", "turnover": "× capital", "exposure": "of bars", "n_blocks": "hours",
           "psr": "0–1", "sharpe_p50": "Sharpe", "sharpe_p90": "Sharpe", "sharpe_bar_later": "Sharpe"},
    labels={"sharpe_p50": "costs p50", "sharpe_p90": "costs p90", "sharpe_bar_later": "a bar later",
            "rank": "#", "name": "strategy", "timeframe": "bars", "previous_score": "day before", "n_blocks": "n",
            "total_return": "return", "max_drawdown": "drawdown", "win_rate": "wins", "psr": "PSR", "sharpe": "Sharpe",
            "reason": "why undefined", "params": "chosen parameters", "symbol": "market",
            "profitable": "with a gain", "median_return": "median return"},
    formats={"rank": "int", "score": "score", "previous_score": "score", "psr": ".2f", "sharpe": ".1f",
             "sharpe_p50": ".1f", "sharpe_p90": ".1f", "sharpe_bar_later": ".1f",
             "max_drawdown": "percent", "total_return": "percent", "median_return": "percent", "win_rate": "percent",
             "exposure": "percent", "turnover": ".1f", "trades": "int", "n_blocks": "int", "reason": "prose",
             "params": "prose"},
    optional=frozenset({"reason", "sharpe_p50", "sharpe_p90"}),
    reasons={"sharpe_p50": _NO_STRESS, "sharpe_p90": _NO_STRESS, "sharpe_bar_later": _NO_STRESS,
             "score": _TOO_FEW, "psr": _TOO_FEW, "sharpe": _TOO_FEW, "max_drawdown": _TOO_FEW, "win_rate": "no trade",
             "previous_score": "new, or undefined the day before", "return_24h": "not simulated"},
)
EVIDENCE_STYLE = FrameStyle(
    units={"forward_return": "of capital", "return_24h": "of capital", "forward_days": "n", "last_day": "UTC"},
    labels={"return_24h": "return, 24 h", "forward_return": "return since birth", "forward_days": "days since birth"},
    optional=frozenset({"note"}),
    formats={"forward_return": "percent", "return_24h": "percent", "forward_days": "int", "trades": "int",
             "note": "prose"},
    reasons={"forward_return": "no full day since its birth", "return_24h": "not simulated"},
)
CANARY_STYLE = FrameStyle(
    labels={"name": "canary", "injected": "what was planted", "expected": "what the guard must do",
            "found": "what it did", "ok": "outcome"},
    formats={"injected": "prose", "expected": "prose", "found": "prose"},
)
DESIGN_STYLE = FrameStyle(
    units={"fitness": "score less complexity", "score": "0–100, fitted", "complexity": "parts", "parents": "n",
           "designs": "n"},
    labels={"score": "score where searched", "timeframes": "bars", "example": "why, for example"},
    formats={"fitness": ".1f", "score": "score", "complexity": "int", "parents": "int", "example": "prose"},
    reasons={"fitness": "too few trades on the design's span", "score": "too few trades on the design's span"},
)
MODEL_STYLE = FrameStyle(
    units={"score": "0–100", "total_return": "of capital", "sharpe": "a year", "max_drawdown": "of capital",
           "win_rate": "of trades", "turnover": "× capital",
           "costs_paid": "of capital", "baseline": "of capital", "sharpe_p50": "Sharpe", "sharpe_p90": "Sharpe",
           "sharpe_bar_later": "Sharpe"},
    labels={"sharpe_p50": "costs p50", "sharpe_p90": "costs p90", "sharpe_bar_later": "a bar later",
            "total_return": "return", "max_drawdown": "drawdown", "baseline": "same rule, no model",
            "win_rate": "wins", "sharpe": "Sharpe"},
    optional=frozenset({"sharpe_p50", "sharpe_p90"}),
    formats={"score": "score", "total_return": "percent", "sharpe": ".1f", "max_drawdown": "percent",
             "sharpe_p50": ".1f", "sharpe_p90": ".1f", "sharpe_bar_later": ".1f",
             "win_rate": "percent", "turnover": ".1f", "costs_paid": "percent", "trades": "int", "baseline": "percent",
             "rule": "prose"},
    reasons={"sharpe_p50": _NO_STRESS, "sharpe_p90": _NO_STRESS, "sharpe_bar_later": _NO_STRESS,
             "score": _TOO_FEW, "sharpe": _TOO_FEW, "win_rate": "no trade", "baseline": "no such rule"},
)


def strategy_note(table: pd.DataFrame, unchanged: int = 0) -> str:
    """How to read a table of strategies. unchanged: members that tuning left as they were, which are not in it."""
    kept = f" {unchanged:,} re-tuned members kept their parameters and compete as the members they are, not here."
    return f"{_STRATEGY_NOTE} {stress_note(table)}{kept if unchanged else ''}"


def stress_note(table: pd.DataFrame) -> str:
    """How to read the columns of dearer and later fills, as far as the table shows them."""
    measured = bool(table[["sharpe_p50", "sharpe_p90"]].notna().to_numpy().any())
    return f"{PERCENTILES} {_LATER}" if measured else _LATER
