"""Screen strategies on a window: every market with equal capital, one score a parameter set and timeframe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from daybook.backtest import block_returns, sweep
from daybook.core.arrays import Floats
from daybook.core.time import Window
from daybook.design import retold
from daybook.pipeline.day import Day
from daybook.rank import ScoreResult, ScoreRules, TrialLedger, equal_capital, score
from daybook.strategy import ParameterRange, Strategy, parse_spec

Params = Mapping[str, float]
_VARIANT = re.compile(r"-[0-9a-f]{4}$", re.ASCII)


@dataclass(frozen=True)
class Screened:
    """One strategy with one parameter set on one timeframe, over every market with equal capital.

    blocks: (B,) float64 return of each hour of the window, fraction of capital. rows: one sweep row a market.
    market_blocks: (M, B) float64, the same for each of these rows.
    """

    strategy: Strategy
    params: dict[str, float]
    timeframe: str
    result: ScoreResult
    blocks: Floats
    rows: pd.DataFrame
    market_blocks: Floats

    @property
    def worth(self) -> float:
        """The score for sorting; an undefined one sorts below all others."""
        return -1.0 if self.result.score is None else self.result.score


def screen(
    day: Day, strategies: Sequence[Strategy], window: Window, *,
    params: Mapping[str, Sequence[Params]] | None = None, timeframes: Sequence[str] | None = None,
) -> list[Screened]:
    """Simulate every strategy x parameter set x timeframe x market and score each portfolio over the markets.

    params: identity -> parameter sets; the defaults when left out. timeframes: those of the run unless told otherwise;
    a strategy is tried only on those that its spec names. Returns nothing for a strategy that names none of them.
    """
    wanted = tuple(timeframes or day.settings.timeframes)
    bars = [day.bars[timeframe][symbol] for timeframe in wanted for symbol in day.settings.symbols]
    fitting = [strategy for strategy in strategies if set(strategy.timeframes) & set(wanted)]
    if not fitting:
        return []
    rows = sweep(fitting, bars, params, day.costs, window, jobs=day.settings.jobs)
    blocks = block_returns(fitting, bars, params, day.costs, window)
    by_identity = {strategy.identity: strategy for strategy in fitting}
    rules = ScoreRules(min_trades=day.settings.min_trades)
    groups: dict[Any, Any] = rows.groupby(["identity", "timeframe", "params"], sort=False).indices
    return [
        _scored(by_identity[identity], timeframe, text, rows.iloc[places], blocks[places], rules)
        for (identity, timeframe, text), places in groups.items()
    ]


def _scored(
    strategy: Strategy, timeframe: str, params: str, rows: pd.DataFrame, blocks: Floats, rules: ScoreRules
) -> Screened:
    portfolio = equal_capital(list(blocks))
    result = score(portfolio, int(rows["trades"].sum()), rules=rules)
    return Screened(strategy, json.loads(params), timeframe, result, portfolio, rows, blocks)


def best_by_strategy(screened: Sequence[Screened]) -> dict[str, Screened]:
    """The best of each strategy, by identity; ties go to the longer timeframe, then to the smaller parameter text."""
    best: dict[str, Screened] = {}
    for found in sorted(screened, key=_preference):
        best.setdefault(found.strategy.identity, found)
    return best


def _preference(found: Screened) -> tuple[float, int, str]:
    return -found.worth, -int(found.timeframe.removesuffix("m")), json.dumps(found.params, sort_keys=True)


def frozen(found: Screened) -> Strategy:
    """The strategy as the pool will hold it: one timeframe, the chosen parameter values as its defaults.

    Its name ends in the first digits of its own identity, so that two variants of one idea can be told apart, and its
    rationale speaks of the chosen values.
    """
    spec = found.strategy.spec
    parameters = {
        name: ParameterRange(low=p.low, high=p.high, default=found.params[name], integer=p.integer)
        for name, p in spec.parameters.items()
    }
    chosen = spec.model_copy(update={"timeframes": (found.timeframe,), "parameters": parameters})
    strategy = parse_spec(chosen)
    name = f"{_VARIANT.sub('', spec.name)}-{strategy.identity[:4]}"
    return parse_spec(chosen.model_copy(update={"name": name, "rationale": retold(strategy)}))


def parameter_draws(strategy: Strategy, draws: int, rng: np.random.Generator) -> list[dict[str, float]]:
    """The defaults and `draws` uniform draws from the parameter ranges, without repeats, in a fixed order."""
    sets = [dict(strategy.defaults)]
    for _ in range(draws if strategy.parameters else 0):
        drawn = {
            name: float(rng.integers(int(p.low), int(p.high) + 1)) if p.integer
            else round(float(rng.uniform(p.low, p.high)), 6)
            for name, p in strategy.parameters.items()
        }
        if drawn not in sets:
            sets.append(drawn)
    return sets


def count_trials(
    ledger: TrialLedger, day: Day, kind: str, author: str, screened: Sequence[Screened], window: Window,
    births: Mapping[str, int] | None = None, parents: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Enter every simulation of `screened` into the ledger, one row a market, with its hourly returns.

    births: identity -> birth (ms UTC); the day's own start when left out, since that is when a new design is born.
    parents: identity -> identities that it came from; none when left out.
    """
    if not screened:
        return
    rows = pd.concat([found.rows for found in screened], ignore_index=True)
    structures = {found.strategy.identity: found.strategy.structure_hash for found in screened}
    known, lineage = births or {}, parents or {}
    hashes = {
        (timeframe, symbol): bars.data_hash
        for timeframe, markets in day.bars.items() for symbol, bars in markets.items()
    }
    markets = list(zip(rows["timeframe"], rows["symbol"], strict=True))
    ledger.extend({
        "kind": kind,
        "identity": rows["identity"].tolist(),
        "structure_hash": [structures[identity] for identity in rows["identity"]],
        "params": rows["params"].tolist(),
        "symbol": rows["symbol"].tolist(),
        "timeframe": rows["timeframe"].tolist(),
        "window_start": window.start_ms,
        "window_end": window.end_ms,
        "n_bars": rows["n_bars"].tolist(),
        "birth": [known.get(identity, day.start_ms) for identity in rows["identity"]],
        "author": author,
        "data_hash": [hashes[market] for market in markets],
        "outcome": np.where(rows["sharpe"].isna(), "undefined", "ok").tolist(),
        "sharpe": rows["sharpe"].tolist(),
        "skew": rows["skew"].tolist(),
        "kurtosis": rows["kurtosis"].tolist(),
        "total_return": rows["total_return"].tolist(),
        "trades": rows["trades"].tolist(),
        "n_returns": rows["n_bars"].tolist(),
        "parents": [list(lineage.get(identity, ())) for identity in rows["identity"]],
    }, returns=np.concatenate([found.market_blocks for found in screened]))


def totals(found: Screened) -> dict[str, Any]:
    """Portfolio figures over the markets: mean return, win rate by trades, mean turnover; None where undefined."""
    rows = found.rows
    trades = int(rows["trades"].sum())
    defined = rows[rows["trades"] > 0]
    wins = float((defined["win_rate"] * defined["trades"]).sum())
    return {
        "total_return": float(rows["total_return"].mean()),
        "win_rate": wins / trades if trades else None,
        "turnover": float(rows["turnover"].mean()),
        "exposure": float(rows["exposure"].mean()),
        "trades": trades,
    }
