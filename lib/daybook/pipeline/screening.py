"""Screen strategies on a window: every market with equal capital, one score a parameter set and timeframe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from daybook.backtest import Conditions
from daybook.backtest.scale_out import Quarantined, Swept
from daybook.core.arrays import Floats
from daybook.core.hashing import canonical_json
from daybook.core.time import Window
from daybook.design import retold
from daybook.execution import Costs
from daybook.pipeline.day import Day
from daybook.rank import ScoreResult, ScoreRules, TrialLedger, equal_capital, score
from daybook.strategy import ParameterRange, Strategy, parse_spec

Params = Mapping[str, float]
LOST = "its worker died each time"
"""Why a simulation that was quarantined has neither result nor returns."""
_VARIANT = re.compile(r"-[0-9a-f]{4}$", re.ASCII)


@dataclass(frozen=True)
class Screened:
    """One strategy with one parameter set on one timeframe, over every market with equal capital.

    blocks: (B,) float64 return of each hour of the window, fraction of capital. rows: one sweep row a market.
    market_blocks: (M, B) float64, the same for each of these rows. lost: simulations that killed every worker, in which
    case the score is undefined and rows and blocks tell of the other markets alone.
    """

    strategy: Strategy
    params: dict[str, float]
    timeframe: str
    result: ScoreResult
    blocks: Floats
    rows: pd.DataFrame
    market_blocks: Floats
    lost: tuple[Quarantined, ...] = ()

    def under(self, change: str) -> Screened:
        """The same with the name of a change among the parameters of its rows, as the ledger tells them."""
        def told(params: str) -> str:
            return canonical_json({"change": change, **json.loads(params)})

        rows = self.rows.assign(params=[told(params) for params in self.rows["params"]])
        return replace(self, rows=rows, lost=tuple(replace(one, params=told(one.params)) for one in self.lost))

    @property
    def worth(self) -> float:
        """The score for sorting; an undefined one sorts below all others."""
        return -1.0 if self.result.score is None else self.result.score


@dataclass(frozen=True)
class Fills:
    """What orders meet in place of the run's own costs and conditions."""

    costs: Costs
    conditions: Conditions


def screen(
    day: Day, strategies: Sequence[Strategy], window: Window, *,
    params: Mapping[str, Sequence[Params]] | None = None, timeframes: Sequence[str] | None = None,
    fills: Fills | None = None,
) -> list[Screened]:
    """Simulate every strategy x parameter set x timeframe x market and score each portfolio over the markets.

    params: identity -> parameter sets; the defaults when left out. timeframes: those of the run unless told otherwise;
    a strategy is tried only on those that its spec names. fills: the run's own when left out. Returns nothing for a
    strategy that names none of them.
    """
    wanted = tuple(timeframes or day.settings.timeframes)
    bars = [day.bars[timeframe][symbol] for timeframe in wanted for symbol in day.settings.symbols]
    fitting = [strategy for strategy in strategies if set(strategy.timeframes) & set(wanted)]
    if not fitting:
        return []
    met = fills or Fills(day.costs, day.conditions)
    swept = day.engine.sweep(fitting, bars, params, met.costs, window, "60m", conditions=met.conditions)
    by_identity = {strategy.identity: strategy for strategy in fitting}
    rules = ScoreRules(min_trades=day.settings.min_trades)
    return [_scored(by_identity[key[0]], key, swept, places, rules) for key, places in _groups(swept).items()]


def _groups(swept: Swept) -> dict[tuple[str, str, str], Any]:
    """(identity, timeframe, params) -> its rows in the table, in the order of the table, those without a row last."""
    found: dict[Any, Any] = dict(swept.table.groupby(["identity", "timeframe", "params"], sort=False).indices)
    for one in swept.quarantined:
        found.setdefault((one.identity, one.timeframe, one.params), np.empty(0, dtype=np.int64))
    return found


def _scored(
    strategy: Strategy, key: tuple[str, str, str], swept: Swept, places: Any, rules: ScoreRules
) -> Screened:
    rows = swept.table.iloc[places]
    blocks: Floats = np.asarray(swept.blocks)[places]
    lost = tuple(one for one in swept.quarantined if (one.identity, one.timeframe, one.params) == key)
    portfolio = equal_capital(list(blocks)) if len(blocks) else np.zeros(blocks.shape[1])
    if lost:
        result = ScoreResult(score=None, reason=f"on {lost[0].symbol} {LOST}")
    else:
        result = score(portfolio, int(rows["trades"].sum()), rules=rules)
    return Screened(strategy, json.loads(key[2]), key[1], result, portfolio, rows, blocks, lost)


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
    """Enter every simulation of `screened` into the ledger, one row a market, with its hourly returns; lost ones too.

    births: identity -> birth (ms UTC); the day's own start when left out, since that is when a new design is born.
    parents: identity -> identities that it came from; none when left out.
    """
    structures = {found.strategy.identity: found.strategy.structure_hash for found in screened}
    known, lineage = births or {}, parents or {}
    hashes = {
        (timeframe, symbol): bars.data_hash
        for timeframe, markets in day.bars.items() for symbol, bars in markets.items()
    }

    def told(table: pd.DataFrame) -> dict[str, Any]:
        """What is known of simulations before they are run."""
        return {
            "kind": kind,
            "identity": table["identity"].tolist(),
            "structure_hash": [structures[identity] for identity in table["identity"]],
            "params": table["params"].tolist(),
            "symbol": table["symbol"].tolist(),
            "timeframe": table["timeframe"].tolist(),
            "window_start": window.start_ms,
            "window_end": window.end_ms,
            "birth": [known.get(identity, day.start_ms) for identity in table["identity"]],
            "author": author,
            "data_hash": [hashes[market] for market in zip(table["timeframe"], table["symbol"], strict=True)],
            "parents": [list(lineage.get(identity, ())) for identity in table["identity"]],
        }

    lost = pd.DataFrame([asdict(one) for found in screened for one in found.lost])
    if len(lost):
        ledger.extend(told(lost) | {"n_bars": 0, "outcome": "failed", "returns_reason": [LOST] * len(lost)})
    if not any(len(found.rows) for found in screened):
        return
    rows = pd.concat([found.rows for found in screened if len(found.rows)], ignore_index=True)
    ledger.extend(told(rows) | {
        "n_bars": rows["n_bars"].tolist(),
        "outcome": np.where(rows["sharpe"].isna(), "undefined", "ok").tolist(),
        "sharpe": rows["sharpe"].tolist(),
        "skew": rows["skew"].tolist(),
        "kurtosis": rows["kurtosis"].tolist(),
        "total_return": rows["total_return"].tolist(),
        "trades": rows["trades"].tolist(),
        "n_returns": rows["n_bars"].tolist(),
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
