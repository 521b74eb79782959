"""One function a chart: DataFrames or report sections in, a Chart out; empty input gives a chart that says so."""

from daybook.report.charts.curves import drawdown, equity, score_history
from daybook.report.charts.evidence import gates, ranking, sweep_map, trial_sharpes
from daybook.report.charts.generic import bars, cells, lines
from daybook.report.charts.learners import calibration, drift, model_scorecards
from daybook.report.charts.operations import completeness, data_quality, regimes, timings

__all__ = [
    "bars",
    "calibration",
    "cells",
    "completeness",
    "data_quality",
    "drawdown",
    "drift",
    "equity",
    "gates",
    "lines",
    "model_scorecards",
    "ranking",
    "regimes",
    "score_history",
    "sweep_map",
    "timings",
    "trial_sharpes",
]
