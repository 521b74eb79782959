"""From predictions to positions: one documented rule a model, simulated by the kernel on out-of-fold rows only.

Every rule first turns a prediction into a view: the signed log return expected over the horizon. A view is traded when
it exceeds the round trip, and left when it changes sign. Risk and volatility have no side of their own: they decide
when a trend may be held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from daybook.backtest import Metrics, Simulation, replay_bits
from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.robustness import STRESSES, stressed_fills
from daybook.core.arrays import Bytes, Floats
from daybook.core.time import Window, bars_per_year
from daybook.execution import Costs
from daybook.models.dataset import Dataset
from daybook.models.out_of_fold import OutOfFold
from daybook.models.scorecards import BacktestCard
from daybook.models.state import MarketState

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = 1, 2, 4, 8
MEAN_MOVE = math.sqrt(2.0 / math.pi)
"""Mean absolute value of a normal variable: a market's expected move in units of its volatility."""
WORST_EXCURSION = 1.959964
"""5 % quantile of a driftless random walk's lowest point, in volatilities of the horizon (reflection principle)."""
FIGURES = ("total_return", "sharpe", "sortino", "max_drawdown", "win_rate", "profit_factor", "trades", "exposure",
           "turnover", "costs_paid")

View = Callable[[Floats, MarketState, float], Floats]
"""(prediction, state of the same rows, barrier) -> (M,) view; NaN where the state is unknown."""


@dataclass(frozen=True)
class Rule:
    """How a model's prediction becomes a position. gated: entered only where the view exceeds the round trip."""

    text: str
    view: View
    gated: bool
    unfiltered: View | None = None


def probability_view(prediction: Floats, state: MarketState, barrier: float) -> Floats:
    """Direction and ensembles: edge of the probability over a half, times the market's expected move."""
    return (2.0 * prediction - 1.0) * MEAN_MOVE * state.horizon_volatility


def price_view(prediction: Floats, state: MarketState, barrier: float) -> Floats:
    """The forecast itself."""
    return np.where(np.isfinite(state.horizon_volatility), prediction, np.nan)


def momentum_view(prediction: Floats, state: MarketState, barrier: float) -> Floats:
    """Follow or fade the move of the last horizon: its sign times the edge times the distance of the barrier."""
    return np.sign(state.past_return) * (2.0 * prediction - 1.0) * barrier * state.horizon_volatility


def trend_view(prediction: Floats, state: MarketState, barrier: float) -> Floats:
    """The side of the last day's return, whatever the model says: what the two filters are compared with."""
    return np.sign(state.slow_return) * MEAN_MOVE * state.horizon_volatility


def risk_view(prediction: Floats, state: MarketState, barrier: float) -> Floats:
    """The trend, while the predicted worst excursion is smaller than a random walk of trailing volatility has."""
    calm = np.abs(prediction) < WORST_EXCURSION * state.horizon_volatility
    return np.where(calm, trend_view(prediction, state, barrier), 0.0 * state.slow_return)


def volatility_view(prediction: Floats, state: MarketState, barrier: float) -> Floats:
    """The trend, while the variance is predicted to stay below its trailing mean (volatility-managed exposure)."""
    calm = np.exp(prediction) < state.horizon_volatility**2
    return np.where(calm, trend_view(prediction, state, barrier), 0.0 * state.slow_return)


_GATED = "long while {} exceeds the round trip, short below its negative, out when it changes sign"
RULES: Mapping[str, Rule] = {
    "direction": Rule(_GATED.format("(2p - 1) times the expected move"), probability_view, True),
    "price": Rule(_GATED.format("the forecast"), price_view, True),
    "momentum": Rule("follow or fade the last horizon's move: "
                     + _GATED.format("(2p - 1) times the barrier's distance"), momentum_view, True),
    "risk": Rule("hold the last day's side while the predicted worst excursion is below a random walk's",
                 risk_view, False, trend_view),
    "volatility": Rule("hold the last day's side while variance is predicted below its trailing mean",
                       volatility_view, False, trend_view),
}
ENSEMBLE_RULE = RULES["direction"]
AS_TRADED = ""
NEVER_FILTERED = "never filtered"


@dataclass(frozen=True)
class Evaluation:
    """One simulation of a rule on one market.

    change: AS_TRADED, one of STRESSES, or NEVER_FILTERED. block_returns: (B,) float64 equity change per hour.
    """

    symbol: str
    change: str
    metrics: Metrics
    block_returns: Floats


@dataclass(frozen=True)
class ModelBacktest:
    """A model's signals over one span: the published card, and every simulation that it was made from."""

    card: BacktestCard
    evaluations: tuple[Evaluation, ...]

    @property
    def block_returns(self) -> Floats:
        """(S, B) float64 equity change per 60-minute block of each market, as the rule is traded."""
        return np.stack([one.block_returns for one in self.evaluations if one.change == AS_TRADED])

    @property
    def portfolio(self) -> Floats:
        """(B,) block returns with the same capital in each market."""
        mean: Floats = self.block_returns.mean(axis=0)
        return mean


@dataclass(frozen=True)
class Desk:
    """Where predictions are traded: the dataset, the out-of-fold rows they belong to, costs, span and conditions."""

    data: Dataset
    rows: OutOfFold
    costs: Costs
    window: Window
    conditions: Conditions = PLAIN


def state_rows(data: Dataset, rows: OutOfFold) -> MarketState:
    """The trailing measures of the predicted rows."""
    return MarketState(**{item.name: getattr(data.state, item.name)[rows.position] for item in fields(MarketState)})


def model_view(view: View, prediction: Floats, data: Dataset, rows: OutOfFold) -> Floats:
    """(M,) view of each out-of-fold row, NaN where the market's state or the prediction is unknown."""
    return view(prediction, state_rows(data, rows), data.settings.barrier)


def view_bits(view: Floats, threshold: Floats) -> Bytes:
    """(M,) uint8 signal bits of views against a threshold; where there is no view, both exits."""
    bits = np.zeros(view.size, dtype=np.uint8)
    with np.errstate(invalid="ignore"):
        bits[view > threshold] |= LONG_ENTRY
        bits[view < -threshold] |= SHORT_ENTRY
        bits[~(view > 0.0)] |= LONG_EXIT
        bits[~(view < 0.0)] |= SHORT_EXIT
    return bits


def market_bits(view: Floats, gated: bool, data: Dataset, rows: OutOfFold) -> list[Bytes]:
    """For each market (T,) uint8 signal bits; bars that were not predicted out of fold stay silent."""
    bits = view_bits(view, data.round_trip[rows.position] if gated else np.zeros(view.size))
    listed = []
    for code, market in enumerate(data.markets):
        own = rows.market == code
        whole = np.zeros(len(market.bars), dtype=np.uint8)
        whole[rows.row[own]] = bits[own]
        listed.append(whole)
    return listed


def backtest_rule(rule: Rule, prediction: Floats, desk: Desk) -> ModelBacktest:
    """Simulate a rule on out-of-fold predictions over the desk's span, market by market."""
    bits = _bits(rule.view, rule.gated, prediction, desk)
    runs = {AS_TRADED: _runs(bits, desk)}
    baseline = None
    if rule.unfiltered is not None:
        runs[NEVER_FILTERED] = _runs(_bits(rule.unfiltered, rule.gated, prediction, desk), desk)
        baseline = float(np.mean([run.metrics.total_return for run in runs[NEVER_FILTERED]]))
    own = runs[AS_TRADED]
    per_market = {symbol: _figures(run.metrics) for symbol, run in zip(desk.data.symbols, own, strict=True)}
    figures, reasons = portfolio_figures(own)
    for change, fills in stressed_fills(desk.costs, desk.conditions).items():
        if not isinstance(fills, str):
            runs[change] = _runs(bits, replace(desk, costs=fills[0], conditions=fills[1]))
        figures[STRESSES[change]], why = _sharpe(runs.get(change), fills)
        reasons |= {} if why is None else {STRESSES[change]: why}
    card = BacktestCard(
        rule=rule.text, start_ms=desk.window.start_ms, end_ms=desk.window.end_ms,
        n_bars=sum(run.metrics.n_bars for run in own), figures=figures, reasons=reasons, per_market=per_market,
        baseline=baseline,
        baseline_name=None if baseline is None else "total return of the last day's side, never filtered",
    )
    return ModelBacktest(card, tuple(Evaluation(symbol, change, run.metrics, run.block_returns("60m"))
                                     for change, made in runs.items()
                                     for symbol, run in zip(desk.data.symbols, made, strict=True)))


def _bits(view: View, gated: bool, prediction: Floats, desk: Desk) -> list[Bytes]:
    return market_bits(model_view(view, prediction, desk.data, desk.rows), gated, desk.data, desk.rows)


def _sharpe(runs: list[Simulation] | None, why: object) -> tuple[float | None, str | None]:
    """Sharpe ratio of the same capital in each market, or the reason for none; why: that of there being no runs."""
    if runs is None:
        return None, str(why)
    figures, reasons = portfolio_figures(runs)
    return figures["sharpe"], reasons.get("sharpe")


def _runs(bits: list[Bytes], desk: Desk) -> list[Simulation]:
    return [replay_bits(own, market.bars, None, desk.costs, desk.window, conditions=desk.conditions)
            for own, market in zip(bits, desk.data.markets, strict=True)]


def _figures(metrics: Metrics) -> dict[str, float | None]:
    return {name: None if (value := getattr(metrics, name)) is None else float(value) for name in FIGURES}


def portfolio_figures(runs: Sequence[Simulation]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Figures of the same capital in each market, and the reason for each that is undefined.

    Trades are pooled (count, win rate, profit factor); return, exposure, turnover and costs are means over markets;
    Sharpe, Sortino and drawdown are those of the mean 60-minute block returns.
    """
    blocks = np.stack([run.block_returns("60m") for run in runs]).mean(axis=0)
    equity = np.concatenate([[1.0], 1.0 + np.cumsum(blocks)])
    pnl = np.concatenate([run.trades["pnl"].to_numpy(dtype=np.float64) for run in runs])
    gains, losses = float(pnl[pnl > 0.0].sum()), float(-pnl[pnl < 0.0].sum())
    mean, deviation = float(blocks.mean()), float(blocks.std(ddof=1)) if blocks.size > 1 else 0.0
    downside = math.sqrt(float(np.mean(np.minimum(blocks, 0.0) ** 2)))
    year = math.sqrt(bars_per_year("60m"))
    figures: dict[str, float | None] = {
        name: float(np.mean([getattr(run.metrics, name) for run in runs]))
        for name in ("total_return", "exposure", "turnover", "costs_paid")
    }
    figures |= {
        "max_drawdown": float(np.max(1.0 - equity / np.maximum.accumulate(equity))),
        "trades": float(pnl.size),
        "sharpe": mean / deviation * year if deviation > 0.0 else None,
        "sortino": mean / downside * year if downside > 0.0 else None,
        "win_rate": float(np.mean(pnl > 0.0)) if pnl.size else None,
        "profit_factor": gains / losses if losses > 0.0 else None,
    }
    why = {"sharpe": "the equity never changed", "sortino": "no block lost money", "win_rate": "no trade was made",
           "profit_factor": "no trade lost money"}
    reasons = {name: "no trade was made" if not pnl.size else why[name] for name in why if figures[name] is None}
    return {name: figures[name] for name in FIGURES}, reasons
