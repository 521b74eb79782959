"""The five steps of the day, one module each: what the notebooks call."""

from daybook.pipeline.steps.backtest import BacktestStep, backtest_candidates
from daybook.pipeline.steps.design import DesignStep, design_strategies
from daybook.pipeline.steps.document import run_info
from daybook.pipeline.steps.findings import cost_warnings
from daybook.pipeline.steps.rank_report import ReportStep, rank_and_report
from daybook.pipeline.steps.score import ScoreStep, score_pools
from daybook.pipeline.steps.styles import (
    CANARY_STYLE,
    DESIGN_STYLE,
    EVIDENCE_STYLE,
    MODEL_STYLE,
    STRATEGY_STYLE,
    strategy_note,
    stress_note,
)
from daybook.pipeline.steps.train import TrainStep, train_models

__all__ = [
    "CANARY_STYLE", "DESIGN_STYLE", "EVIDENCE_STYLE", "MODEL_STYLE", "STRATEGY_STYLE",
    "BacktestStep", "DesignStep", "ReportStep", "ScoreStep", "TrainStep", "backtest_candidates", "cost_warnings",
    "design_strategies", "rank_and_report", "run_info", "score_pools", "strategy_note", "stress_note", "train_models",
]
