"""20_backtest: tune each candidate on the bars the design saw, then judge it on the window that nothing saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from daybook.backtest.robustness import STRESSES
from daybook.core.seeds import generator
from daybook.pipeline.day import Day
from daybook.pipeline.effective import EffectiveTrials, effective_trials_of
from daybook.pipeline.null_contestants import NullContestant, count_nulls
from daybook.pipeline.screening import (
    LOST,
    Screened,
    best_by_strategy,
    count_trials,
    frozen,
    parameter_draws,
    screen,
    totals,
)
from daybook.pipeline.steps.contest import null_contests, null_frame, todays_nulls
from daybook.pipeline.steps.design import design_window
from daybook.pipeline.steps.leaks import leaking
from daybook.pipeline.steps.luck import SURE, Judged, Tried, judged, luck_readings, tried
from daybook.pipeline.steps.score import block_frame
from daybook.pipeline.steps.stress import stressed_candidates
from daybook.pipeline.stressed import STRESS_COLUMNS, STRESS_TYPES, count_changes, stress_columns
from daybook.rank import PoolMember, ScoreResult, TrialLedger
from daybook.report import Headline, Metric, NullContest, Reading, RobustnessRow
from daybook.strategy import Strategy, parse_spec

COUNTED_STEPS = ("00_score", "10_design", "20_backtest")
"""Steps whose trials are there when this one counts; 30_train may run beside it."""
TOURNAMENT = ("luck", "null_contests", "robustness")
"""Sections of the report that this step writes."""


@dataclass(frozen=True)
class BacktestStep:
    """What the page shows.

    candidates: one row each, tuned and validated. sweep, by_market: the simulations behind them. unseen_sharpes: (C,)
    of the candidates with a Sharpe ratio, annualised, on the scoring window. expected_maximum: what the best of so many
    worthless ones shows there. luck: figures on how much of it chance explains. null_contests: how far nulls came.
    robustness: one row a candidate.
    """

    headline: Headline
    candidates: pd.DataFrame
    sweep: pd.DataFrame
    by_market: pd.DataFrame
    unseen_sharpes: np.ndarray[Any, Any]
    expected_maximum: float | None
    best_sharpe: float | None
    luck: tuple[Reading, ...]
    null_contests: tuple[NullContest, ...]
    robustness: tuple[RobustnessRow, ...]
    figures: dict[str, Any]


def backtest_candidates(day: Day) -> BacktestStep:
    """Sweep candidates x parameters x timeframes x markets, freeze the best of each, validate it on unseen bars.

    Tuning uses the design's own span; validation is the scoring window, the same in which the pool is scored, so that
    newcomers and incumbents compare like with like and a newcomer's score is never one it was fitted to. Members of
    the pool that tuning left as they were are written beside the candidates, but compete as the incumbents they are.
    """
    ledger = TrialLedger(day.sealed.day, day.sealed.run_id, day.step, day.artefacts)
    listed = day.read_json("10_design", "candidates")
    designed = [parse_spec(entry["spec"]) for entry in listed]
    refused = leaking(day, designed)
    strategies = [strategy for strategy in designed if strategy.identity not in refused]
    draws = {s.identity: parameter_draws(s, day.settings.tuning_draws, _rng(day, s)) for s in strategies}
    tuned = screen(day, strategies, design_window(day), params=draws)
    lineage = {entry["identity"]: entry["parents"] for entry in listed}
    count_trials(ledger, day, "tuning", "tuner", tuned, design_window(day), parents=lineage)
    chosen = {identity: frozen(found) for identity, found in best_by_strategy(tuned).items()}
    validated = screen(day, _distinct(chosen.values()), day.window)
    refused |= {one.strategy.identity: one.result.reason or LOST for one in validated if one.lost}
    tuned_from = {strategy.identity: [identity] for identity, strategy in chosen.items()}
    count_trials(ledger, day, "validation", "tuner", validated, day.window, parents=tuned_from)
    everyone = _members(listed, chosen, best_by_strategy([one for one in validated if not one.lost]), day)
    members = [one for one in everyone if day.state.pools["strategy"].member(one[0].identity) is None]
    nulls = todays_nulls(day, members)
    count_nulls(ledger, day, nulls)
    count_changes(day, ledger, [found.strategy for _, found in members])
    ledger.write(day.artefacts)
    counts = effective_trials_of(day.artefacts.parent, COUNTED_STEPS)
    ever = day.state.trials.ever + counts.trials
    step = _step(day, tuned, validated, members, tried(members, tuned, validated, counts, ever), nulls)
    step.figures["unchanged"] = len(everyone) - len(members)
    _write(day, members, validated, step, counts, nulls)
    day.write("members", [member.model_dump(mode="json") for member, _ in everyone])
    day.write("refused", _refused_rows(refused, [*designed, *chosen.values()]))
    return step


def _refused_rows(refused: Mapping[str, str], strategies: Sequence[Strategy]) -> list[dict[str, str]]:
    """Candidates that this step turned away before any pool saw them, in the order of identity."""
    names = {strategy.identity: strategy.name for strategy in strategies}
    return [{"identity": identity, "name": names[identity], "reason": why} for identity, why in sorted(refused.items())]


def _rng(day: Day, strategy: Strategy) -> np.random.Generator:
    return generator(day.settings.seed, "tuning", day.sealed.day, strategy.identity)


def _distinct(strategies: Sequence[Strategy] | Any) -> list[Strategy]:
    return list({strategy.identity: strategy for strategy in strategies}.values())


def _members(
    listed: Sequence[Mapping[str, Any]], chosen: Mapping[str, Strategy], validated: Mapping[str, Screened], day: Day
) -> list[tuple[PoolMember, Screened]]:
    """Each candidate as a pool member born today, with its validation result; a repeated identity only once."""
    members: dict[str, tuple[PoolMember, Screened]] = {}
    for entry in listed:
        strategy = chosen.get(entry["identity"])
        if strategy is None or strategy.identity in members or strategy.identity not in validated:
            continue
        found = validated[strategy.identity]
        members[strategy.identity] = (pool_member(strategy, entry, found.result, day), found)
    return list(members.values())


def pool_member(strategy: Strategy, entry: Mapping[str, Any], result: ScoreResult, day: Day) -> PoolMember:
    """A frozen candidate as the pool holds it."""
    return PoolMember(
        kind="strategy", identity=strategy.identity, structure_hash=strategy.structure_hash, name=strategy.name,
        spec=strategy.canonical, params=strategy.defaults, timeframe=strategy.timeframes[0], birth_day=day.sealed.day,
        birth_ms=day.start_ms, parents=tuple(entry["parents"]), origin=entry["origin"], score=result.score,
        score_reason=result.reason, entered=day.sealed.day,
    )


def _write(
    day: Day, members: list[tuple[PoolMember, Screened]], validated: list[Screened], step: BacktestStep,
    counts: EffectiveTrials, nulls: list[NullContestant],
) -> None:
    day.write("scores", {member.identity: found.result.model_dump(mode="json") for member, found in members})
    day.write("scorecards", step.candidates)
    day.write("blocks", block_frame(day, [(member.identity, found) for member, found in members]))
    nothing = pd.DataFrame({"identity": pd.Series(dtype="str")})
    day.write("sweep", pd.concat([found.rows for found in validated] or [nothing], ignore_index=True))
    day.write("nulls", null_frame(nulls))
    day.write("trial_counts", counts.model_dump(mode="json"))
    for name in TOURNAMENT:
        day.write(name, [row.model_dump(mode="json") for row in getattr(step, name)])


def candidate_frame(
    members: list[tuple[PoolMember, Screened]], stressed: Sequence[RobustnessRow]
) -> pd.DataFrame:
    """One row a candidate, best first; figures are those of the validation window."""
    left = {row.identity: stress_columns({name: getattr(row, name) for name in STRESSES.values()}, row.reasons)
            for row in stressed}
    rows = [
        {"name": member.name, "identity": member.identity, "origin": member.origin, "timeframe": member.timeframe,
         "score": found.result.score, "psr": found.result.psr, "sharpe": found.result.sharpe,
         "max_drawdown": found.result.max_drawdown, **totals(found), "n_blocks": found.result.n_blocks,
         "params": ", ".join(f"{k}={v:g}" for k, v in found.params.items()), "reason": found.result.reason or "",
         **left[member.identity]}
        for member, found in members
    ]
    columns = ["name", "identity", "origin", "timeframe", "score", "psr", "sharpe", *STRESS_COLUMNS, "max_drawdown",
               "total_return", "win_rate", "turnover", "exposure", "trades", "n_blocks", "params", "reason"]
    frame = pd.DataFrame(rows, columns=columns).astype(STRESS_TYPES)
    return frame.sort_values(["score", "identity"], ascending=[False, True], na_position="last", ignore_index=True)


def _step(
    day: Day, tuned: list[Screened], validated: list[Screened], members: list[tuple[PoolMember, Screened]],
    found: Tried, nulls: list[NullContestant],
) -> BacktestStep:
    stressed, everything = stressed_candidates(day, members)
    day.write("robustness_full", everything)
    candidates = candidate_frame(members, stressed)
    best = judged(found)
    contests = null_contests(day, members, nulls)
    figures = {
        "candidates": len(candidates), "compared": len(found.compared), "candidates_compared": len(found.unseen),
        "simulations": int(sum(len(one.rows) for one in [*tuned, *validated])),
        "best_score": None if candidates.empty else _number(candidates["score"].max()),
        "best_sharpe": best.sharpe if best else None, "expected_noise_maximum": best.expected if best else None,
        "trials": found.counts.trials,
        "trials_effective": round(found.counts.effective, 1), "trials_ever": found.ever,
        "nulls": contests[0].nulls, "nulls_reached": contests[0].reached,
    }
    headline = backtest_headline(len(candidates), best, figures, contests[0])
    return BacktestStep(
        headline=headline, candidates=candidates, sweep=_sweep_map(tuned),
        by_market=_by_market([one for _, one in members]),
        unseen_sharpes=np.array(found.unseen), expected_maximum=figures["expected_noise_maximum"],
        best_sharpe=figures["best_sharpe"], luck=luck_readings(day, found),
        null_contests=contests, robustness=stressed, figures={"verdict": headline.verdict, **figures},
    )


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _sweep_map(tuned: list[Screened]) -> pd.DataFrame:
    """Median total return (fraction) and trades of all tuning simulations by timeframe and symbol."""
    columns = ["timeframe", "symbol", "median_return", "trades"]
    if not tuned:
        return pd.DataFrame(columns=columns)
    rows = pd.concat([one.rows for one in tuned], ignore_index=True)
    grouped = rows.groupby(["timeframe", "symbol"], sort=True)
    frame = grouped.agg(median_return=("total_return", "median"), trades=("trades", "sum")).reset_index()
    return frame[columns]


def _by_market(validated: list[Screened]) -> pd.DataFrame:
    columns = ["symbol", "timeframe", "strategies", "profitable", "median_return", "trades"]
    if not validated:
        return pd.DataFrame(columns=columns)
    rows = pd.concat([one.rows for one in validated], ignore_index=True)
    rows["won"] = rows["total_return"] > 0
    return rows.groupby(["symbol", "timeframe"], sort=True).agg(
        strategies=("identity", "nunique"), profitable=("won", "sum"), median_return=("total_return", "median"),
        trades=("trades", "sum"),
    ).reset_index()


def backtest_headline(
    candidates: int, best: Judged | None, figures: Mapping[str, Any], nulls: NullContest
) -> Headline:
    """The verdict, and the four figures above the page, each with the set that it is of."""
    metrics = (
        Metric(name="best Sharpe ratio on unseen bars", value=figures["best_sharpe"], unit="annualised",
               n=figures["candidates_compared"], n_unit="candidates", baseline=figures["expected_noise_maximum"],
               baseline_name="luck alone among these", reason="no candidate has enough trades"),
        Metric(name="best score, 50 = even odds", value=figures["best_score"], unit="score", n=candidates,
               n_unit="candidates", reason="no candidate has enough trades"),
        Metric(name=f"nulls among the first {nulls.places}", value=nulls.reached, n=nulls.nulls,
               n_unit="that know nothing", baseline=nulls.expected, baseline_name="by chance", better="lower"),
        Metric(name="trials ever, up to here", value=figures["trials_ever"], n=figures["trials"], n_unit="today"),
    )
    return Headline(verdict=_verdict(candidates, best, figures["compared"]), tone="neutral", figures=metrics)


def _verdict(candidates: int, best: Judged | None, compared: int) -> str:
    number = f"{candidates} candidate{'' if candidates == 1 else 's'}"
    if not candidates:
        return "No candidate reached the backtest today."
    if best is None:
        return f"{number} tested, with too little trading for a comparison with luck."
    alike = f"the best of {best.rivals} worthless ones would show" if best.rivals > 1 else "a worthless one would show"
    if best.standing == "explained":
        return (f"Luck alone explains the best of {number}: its Sharpe ratio on unseen bars is {best.sharpe:.1f}, and "
                f"{alike} {best.expected:.1f}.")
    above = f"The best of {number} has a Sharpe ratio of {best.sharpe:.1f} on unseen bars, above the "
    above += f"{best.expected:.1f} that {alike}"
    if best.standing == "within":
        return (f"{above}, as luck often is: with all {compared:,} results charged its DSR is {best.strict:.2f}, "
                f"and more than {SURE} is needed.")
    return f"{above}, and beyond luck with all {compared:,} results charged. It is screened, not proven."
