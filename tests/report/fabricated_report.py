"""A realistic, invented day for the tests of the report: nothing here was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daybook.core.seeds import generator
from daybook.core.time import DAY_MS, HOUR_MS, day_start_ms, parse_day
from daybook.report import (
    ArchiveRow,
    Changes,
    Curve,
    Focus,
    Gate,
    Headline,
    Metric,
    ModelRow,
    Notice,
    Parameter,
    PoolChange,
    QualityRow,
    ReportDocument,
    RunInfo,
    StepTiming,
    StrategyRow,
    Trials,
)

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
NAMES = ("calm_hour_reversal", "london_open_drift", "volume_shock_fade", "efficiency_breakout", "quiet_range_revert",
         "eth_lag_follow", "rsi_dip_in_uptrend", "bollinger_squeeze_break", "us_session_momentum", "wick_rejection",
         "slow_slope_carry", "amihud_calm_buy", "range_high_retest", "ema_cross_filtered", "asia_mean_revert",
         "skew_reversal", "parkinson_spike_fade", "weekend_drift", "obv_divergence", "turnover_trend")
FIGURES = ("score", "psr", "sharpe", "max_drawdown", "total_return", "win_rate", "turnover")


def run_info(*, synthetic: bool = False, **changes: Any) -> RunInfo:
    """A run of 2023-06-16 on three markets; `changes` replaces fields."""
    end = day_start_ms(parse_day("2023-06-16"))
    given: dict[str, Any] = {
        "run_id": "2023-06-16/01", "day": "2023-06-16", "number": 1, "official": True, "parent": None,
        "source": "synthetic" if synthetic else "files", "venue": "" if synthetic else "binance_spot",
        "synthetic": synthetic, "label": "Built-in market, mode normal, seed 7." if synthetic else "",
        "symbols": SYMBOLS, "window_start_ms": end - 7 * DAY_MS, "window_end_ms": end, "seed": 7,
        "parameters": (Parameter(name="fee_bps", value=10.0, default=5.0, unit="bps a side", changed=True),
                       Parameter(name="spread_bps", value=2.0, default=2.0, unit="bps"),
                       Parameter(name="pool_size", value=20, default=20, unit="strategies")),
        "settings_hash": "5f" * 32, "code_hash": "c0" * 32, "data_hash": "da" * 32}
    return RunInfo(**(given | changes))


def strategy(rank: int, name: str, *, undefined: bool = False, **changes: Any) -> StrategyRow:
    """One row of the pool whose figures follow from its rank."""
    values: dict[str, Any] = {
        "score": 71.3 - 2.1 * rank, "previous_score": 69.0 - 1.9 * rank, "psr": 0.93 - 0.025 * rank,
        "sharpe": 11.4 - 0.7 * rank, "max_drawdown": 0.011 + 0.0013 * rank, "total_return": 0.031 - 0.0024 * rank,
        "win_rate": 0.58 - 0.006 * rank, "turnover": 14.0 + rank}
    reasons = {}
    if undefined:
        values |= dict.fromkeys(FIGURES)
        reasons = dict.fromkeys(FIGURES, "3 trades in the window, at least 5 are needed")
    if rank % 7 == 0:
        values["previous_score"], reasons["previous_score"] = None, "new in the pool today"
    gate = Gate(name="forward Sharpe above 0", value=4.1 - 0.5 * rank, threshold=0.0, unit="annualised", n=4 + rank,
                n_unit="days", interval=(-8.2 - 0.3 * rank, 16.4 - 0.4 * rank), passed=False,
                reason=f"{4 + rank} forward days, 28 are needed before the test")
    return StrategyRow(**({
        "rank": rank, "previous_rank": rank + 1, "name": name, "identity": f"{rank:02d}{'ab' * 15}",
        "timeframe": ("1m", "5m", "60m")[rank % 3], "symbols": SYMBOLS, "params": {"period": 14.0, "limit": 28.5},
        "n_blocks": 168, "trades": 61 - 2 * rank, "birth": "2023-06-14", "forward_days": float(rank % 3),
        "gate": gate, "rationale": "Short sellers cover after a fall without volume; the hour is quiet, so the spread "
        "is small and the first bid moves the price back towards its mean.",
        "expressions": {"long_entry": "rsi(close, period) < limit and close > ema(close, 200)",
                        "long_exit": "rsi(close, period) > 55", "short_entry": "", "short_exit": ""},
        "reasons": reasons} | values | changes))


def strategies() -> tuple[StrategyRow, ...]:
    """Twenty strategies, the last without defined figures."""
    return tuple(strategy(rank, name, undefined=rank == 20) for rank, name in enumerate(NAMES, 1))


def models() -> tuple[ModelRow, ...]:
    """The five daily models with honest figures."""
    kinds = (("direction", "sign of the next hour", "balanced accuracy", 0.523, 0.5, (0.506, 0.540), "fraction"),
             ("risk", "5 % quantile of the worst excursion", "pinball loss", 0.00142, 0.00151, (0.00135, 0.00149), ""),
             ("price", "log return", "R² against zero", -0.0021, 0.0, (-0.006, 0.002), ""),
             ("momentum", "triple barrier", "excess over b/(a+b)", 0.011, 0.0, (-0.004, 0.026), "fraction"),
             ("volatility", "log realised variance", "R² against HAR", 0.041, 0.0, (0.018, 0.063), ""))
    return tuple(
        ModelRow(rank=rank, name=name, identity=f"m{rank}" * 10, target=target, kind="HistGradientBoosting",
                 score=56.0 - rank, previous_score=55.0 - rank, birth="2023-06-16", metrics=(
                     Metric(name=metric, value=value, unit=unit, n=6720, n_unit="bars", baseline=baseline,
                            baseline_name="chance" if name == "direction" else "naive", interval=interval,
                            better="lower" if "loss" in metric else "higher"),
                     Metric(name="net Sharpe", value=None, unit="annualised", n=0, n_unit="trades",
                            reason="no bet cleared the cost threshold")))
        for rank, (name, target, metric, value, baseline, interval, unit) in enumerate(kinds, 1))


def ensembles() -> tuple[ModelRow, ...]:
    """Three ensembles of the five models."""
    members = {"direction": 0.5, "momentum": 0.3, "price": 0.2}
    return tuple(ModelRow(rank=rank, name=name, identity=f"e{rank}" * 10, target="sign of the next hour", score=52.0,
                          previous_score=51.5, members=members, metrics=(
                              Metric(name="balanced accuracy", value=0.526 - 0.002 * rank, unit="fraction", n=5376,
                                     n_unit="bars", baseline=0.523, baseline_name="equal weights"),))
                 for rank, name in enumerate(("weighted", "voting", "stacking"), 1))


def curves() -> tuple[Curve, ...]:
    """Hourly equity of five strategies and three markets over the window."""
    start = run_info().window_start_ms
    drawn = []
    for place, name in enumerate((*NAMES[:5], *SYMBOLS)):
        market = name in SYMBOLS
        steps = generator(7, "curve", name).standard_normal(168) * (0.006 if market else 0.0016)
        equity = np.exp(np.cumsum(steps - steps.mean() + (0.03 - 0.006 * place) / 168))
        drawn.append(Curve(name=f"hold {name}" if market else name, role="benchmark" if market else "strategy",
                           start_ms=start, step_ms=HOUR_MS, equity=tuple(equity.round(6).tolist())))
    return tuple(drawn)


def document(**changes: Any) -> ReportDocument:
    """A whole report; `changes` replaces sections."""
    rows = strategies()
    headline = Headline(verdict="Two designs joined the pool and nothing is proven yet: the best score, 69.2, lies "
                        "within what luck alone would show after 412 trials.", tone="neutral", figures=(
                            Metric(name="best score", value=69.2, unit="score", n=168, n_unit="blocks"),
                            Metric(name="best Sharpe of the day", value=10.7, unit="annualised", n=412, n_unit="trials",
                                   baseline=18.9, baseline_name="noise alone"),
                            Metric(name="gates passed", value=0, unit="of 20", n=20, n_unit="members"),
                            Metric(name="pool turnover", value=2, unit="members", n=20, n_unit="members"),
                            Metric(name="forward Sharpe", value=None, unit="annualised",
                                   reason="no member has 28 forward days")))
    given: dict[str, Any] = {
        "run": run_info(), "headline": headline, "strategies": rows, "models": models(), "ensembles": ensembles(),
        "changes": Changes(since="2023-06-15", entered=(
            PoolChange(identity="x1", name=NAMES[6], rank=7, score=56.6, reason="designed today"),),
            left=(PoolChange(identity="x2", name="noon_fade", previous_rank=20, score=18.2, previous_score=24.0,
                             reason="score below 20 for three days"),),
            moved=(PoolChange(identity="x3", name=NAMES[0], rank=1, previous_rank=4, score=69.2, previous_score=61.0,
                              reason="eight of nine trades won since yesterday"),)),
        "trials": Trials(today=412, ever=3811, effective=146.0, by_kind={"sweep": 360, "tuner": 40, "model": 12},
                         expected_noise_maximum=Metric(name="best Sharpe expected from noise", value=18.9,
                                                       unit="annualised", n=412, n_unit="trials"),
                         best=Metric(name="best Sharpe found", value=10.7, unit="annualised", n=412, n_unit="trials")),
        "data_quality": tuple(QualityRow(symbol=s, bars=10080 - 7 * i, expected=10080, missing=7 * i, zero_volume=3 * i,
                                         longest_gap_minutes=4.0 * i, first_gap="2023-06-12 04:11" if i else None)
                              for i, s in enumerate(SYMBOLS)),
        "warnings": (Notice(where="SOLUSDT 1m", message="14 bars are missing; the strategies saw the gap."),),
        "archive": (ArchiveRow(identity="x2", name="noon_fade", reason="score below 20 for three days"),),
        "focus": (Focus(question="Do quiet hours still revert when spreads widen?", area="costs",
                        evidence="three of the five best trade between 02 and 05 UTC"),),
        "curves": curves(),
        "timings": tuple(StepTiming(step=s, seconds=t) for s, t in (
            ("00_score", 21.4), ("10_design", 14.0), ("20_backtest", 31.7), ("30_train", 44.2),
            ("40_rank_report", 9.1)))}
    return ReportDocument(**(given | changes))


def score_history(days: int = 9) -> pd.DataFrame:
    """Scores of the pool over some days."""
    rows = []
    for place, name in enumerate(NAMES):
        walk = 66 - 2.1 * place + np.cumsum(generator(7, "history", name).standard_normal(days) * 3)
        rows += [(f"2023-06-{8 + day:02d}", name, float(np.clip(walk[day], 0, 100))) for day in range(days)]
    return pd.DataFrame(rows, columns=["day", "name", "score"])


def sweep_cells() -> pd.DataFrame:
    """Scores by timeframe and market, one of them undefined."""
    scores = [61.2, 48.0, 55.1, 38.2, 44.0, 71.9, 52.2, 50.1, float("nan")]
    return pd.DataFrame({"timeframe": np.repeat(["1m", "5m", "60m"], 3), "symbol": list(SYMBOLS) * 3, "score": scores,
                         "trades": [61, 48, 90, 22, 19, 31, 8, 7, 2]})


def bundle(view: Any, **extra: Any) -> dict[str, Any]:
    """A view as the display_data output that a kernel would have written."""
    return {"output_type": "display_data", "metadata": {}, "data": view._repr_mimebundle_() | extra}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    """An executed code cell."""
    return {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": 1, "source": source,
            "outputs": list(outputs)}


def markdown(source: str) -> dict[str, Any]:
    """A Markdown cell."""
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": source}


def save_notebook(path: Path, *cells: dict[str, Any]) -> Path:
    """A notebook file with these cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path
