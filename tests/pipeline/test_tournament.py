"""Nulls, luck and the count of ideas on small inventions: what a day's tournament is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daybook.backtest import Conditions
from daybook.core.arrays import Floats
from daybook.core.time import Window, day_start_ms, parse_day
from daybook.execution import Costs
from daybook.market import aggregate
from daybook.market.synthetic import synthetic_bars
from daybook.pipeline.effective import EffectiveTrials, effective_trials_of
from daybook.pipeline.null_contestants import WAYS, NullContestant, count_nulls, null_contestants
from daybook.pipeline.screening import Screened
from daybook.pipeline.steps.contest import null_contests, null_frame
from daybook.pipeline.steps.luck import Tried, luck_readings, tried
from daybook.rank import PoolMember, PriorState, ScoreResult, TrialLedger, read_trials, score
from daybook.strategy import Strategy, parse_spec

DAY = "2026-01-15"
END = day_start_ms(parse_day(DAY))
WEEK = Window(END - 7 * 86_400_000, END)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def fade(window: float = 24.0, widest: float = 60.0) -> Strategy:
    return parse_spec({
        "name": "fade", "rationale": "Overdone moves come back.", "timeframes": ["60m"],
        "parameters": {"window": {"low": 5, "high": widest, "default": window, "integer": True}},
        "long_entry": "zscore(close, window) < -1", "long_exit": "zscore(close, window) > 0",
        "short_entry": "zscore(close, window) > 1", "short_exit": "zscore(close, window) < 0", "stop_loss": 0.03,
    })


@cache
def bars() -> dict[str, dict[str, Any]]:
    history = Window(END - 14 * 86_400_000, END)
    return {"60m": {s: aggregate(synthetic_bars(s, history, seed=7, mode="normal"), "60m") for s in SYMBOLS}}


def day(seed: int = 7) -> Any:
    """What a step sees of a day, as far as the tournament looks."""
    settings = SimpleNamespace(symbols=SYMBOLS, seed=seed, min_trades=5)
    sealed = SimpleNamespace(day=DAY, run_id=f"{DAY}/01")
    return SimpleNamespace(bars=bars(), settings=settings, sealed=sealed, window=WEEK, costs=Costs(), start_ms=END,
                           conditions=Conditions(), state=PriorState.empty(DAY), read_json=lambda *_: {})


def same(a: NullContestant, b: NullContestant) -> bool:
    return a.identity == b.identity and np.array_equal(a.blocks, b.blocks) and a.result == b.result


def test_each_strategy_has_a_null_of_each_way_that_trades_about_as_often() -> None:
    from daybook.backtest import replay

    nulls = null_contestants(day(), [fade()])
    own = sum(replay(fade(), part, window=WEEK).metrics.trades for part in bars()["60m"].values())
    assert [one.way for one in nulls] == list(WAYS)
    for one in nulls:
        trades = sum(simulation.metrics.trades for simulation in one.simulations)
        assert 0.6 * own <= trades <= 1.5 * own
        assert one.blocks.shape == (2, 168)
        assert one.result == score(one.blocks.mean(axis=0), trades)


def test_nulls_depend_on_seed_and_strategy_and_on_no_order() -> None:
    both = null_contestants(day(), [fade(), fade(30.0)])
    turned = null_contestants(day(), [fade(30.0), fade()])
    assert all(same(a, b) for a, b in zip(both, turned[2:] + turned[:2], strict=True))
    other = null_contestants(day(seed=8), [fade()])
    assert not any(np.array_equal(a.blocks, b.blocks) for a, b in zip(both, other, strict=False))
    assert len({one.identity for one in (*both, *other)}) == 6
    alike = null_contestants(day(), [fade(widest=61.0)])
    assert not any(np.array_equal(a.blocks, b.blocks) for a, b in zip(both, alike, strict=False)), "same signals"


def test_every_null_is_a_trial_with_the_strategy_it_copies_as_parent(tmp_path: Path) -> None:
    ledger = TrialLedger(DAY, f"{DAY}/01", "20_backtest")
    nulls = null_contestants(day(), [fade()])
    count_nulls(ledger, day(), nulls)
    table = read_trials(ledger.write(tmp_path / "20_backtest"))
    assert table["kind"].to_pylist() == ["null"] * 4
    assert set(table["parents"].to_pylist()) == {f'["{fade().identity}"]'}
    assert table["symbol"].to_pylist() == [*SYMBOLS, *SYMBOLS]
    assert table["returns_at"].to_pylist()[3] == "20_backtest/trial_returns.parquet#3"
    count_nulls(ledger, day(), [])
    assert len(ledger) == 4


def test_a_null_can_not_be_made_a_pool_member() -> None:
    null = null_contestants(day(), [fade()])[0]
    with pytest.raises(ValueError, match="nulls compete, and never enter a pool"):
        PoolMember(kind="strategy", identity=null.identity, structure_hash="s", name=null.name, spec=null.of.canonical,
                   timeframe="60m", birth_day=DAY, birth_ms=END, origin="evolution", score=99.0)


def candidate(name: str, blocks: Floats, trades: int = 30) -> tuple[PoolMember, Screened]:
    result = score(blocks, trades)
    member = PoolMember(kind="strategy", identity=name, structure_hash=f"s-{name}", name=name, spec={}, timeframe="60m",
                        birth_day=DAY, birth_ms=END, origin="evolution", score=result.score)
    return member, Screened(fade(), {}, "60m", result, blocks, pd.DataFrame(), blocks[None])


def noise(seed: int, drift: float = 0.0) -> Floats:
    return np.random.default_rng(seed).normal(drift, 1.0, 168) * 1e-3


def found(*members: tuple[PoolMember, Screened], tuned: Floats | None = None) -> Tried:
    counts = EffectiveTrials(trials=40, with_returns=40, effective=12.5)
    gathered = tried(members, [], [one for _, one in members], counts, 400)
    return gathered if tuned is None else replace(gathered, tuned={"60m": tuned})


def values(readings: Any) -> dict[str, float | None]:
    return {one.metric.name: one.metric.value for one in readings}


def test_a_day_without_candidates_says_why_each_figure_is_missing() -> None:
    readings = luck_readings(day(), found())
    assert len(readings) == 12
    missing = [one for one in readings if one.metric.value is None]
    assert len(missing) == 9
    assert all(one.metric.reason and one.meaning for one in missing)
    assert values(readings)["trials ever, up to there"] == 400


def test_one_candidate_alone_is_judged_without_a_choice() -> None:
    shown = values(luck_readings(day(), found(candidate("a", noise(1, 0.3)), tuned=noise(2)[None])))
    assert shown["best expected of luck alone"] == 0.0
    assert shown["PSR of the best"] == shown["DSR, variance of noise"]
    assert shown["DSR, variance of trials"] is None
    assert shown["PBO: chance of overfitting"] is None
    assert shown["SPA: any beats not trading"] is not None


def test_a_candidate_of_few_trades_is_no_discovery() -> None:
    lucky = noise(3, 0.8)
    assert values(luck_readings(day(), found(candidate("a", lucky, trades=30))))["discoveries, 5 % false"] == 1
    few = candidate("a", lucky, trades=4)
    assert few[1].result.sharpe is None
    assert values(luck_readings(day(), found(few, candidate("b", noise(4)))))["discoveries, 5 % false"] == 0


def test_candidates_that_never_traded_leave_every_comparison_open() -> None:
    still = [candidate(name, np.zeros(168), trades=0) for name in "ab"]
    readings = luck_readings(day(), found(*still, tuned=np.zeros((5, 336))))
    shown = values(readings)
    assert [shown[name] for name in ("best Sharpe, unseen bars", "PBO: chance of overfitting",
                                     "SPA: any beats not trading")] == [None] * 3
    assert shown["discoveries, 5 % false"] == 0


def test_an_edge_is_told_from_noise() -> None:
    tuned = np.stack([noise(seed) for seed in range(40)])
    noisy = values(luck_readings(day(), found(*(candidate(f"c{n}", noise(n)) for n in range(20)), tuned=tuned)))
    assert noisy["SPA: any beats not trading"] > 0.05
    assert noisy["StepM: how many beat it"] == 0
    assert noisy["DSR, variance of noise"] < 0.95
    assert 0.1 < noisy["PBO: chance of overfitting"] < 0.95
    members = [candidate(f"c{n}", noise(n)) for n in range(19)] + [candidate("edge", noise(99, 0.6))]
    readings = luck_readings(day(), found(*members, tuned=tuned))
    shown = values(readings)
    assert shown["SPA: any beats not trading"] < 0.01
    assert shown["DSR, variance of noise"] > 0.95
    assert "edge" in next(one.meaning for one in readings if one.metric.name.startswith("StepM"))


def test_the_first_day_lets_candidates_compete_with_their_nulls() -> None:
    member, screened = candidate("a", noise(1, 0.5))
    mine = replace(null_contestants(day(), [fade()])[0])
    (row,) = null_contests(day(), [(member, screened)], [mine])
    assert (row.who, row.places, row.others, row.nulls) == ("candidates; the pool is empty", 1, 1, 1)
    (nobody,) = null_contests(day(), [], [])
    assert (nobody.expected, nobody.meaning) == (None, "Nothing to compare: nobody competes.")
    assert null_frame([]).empty
    assert null_frame([mine])["of"].tolist() == [fade().identity]


def trials_file(folder: Path, step: str, returns: Floats | None, window: tuple[int, int]) -> None:
    ledger = TrialLedger(DAY, f"{DAY}/01", step)
    ledger.extend({
        "kind": "design", "identity": [f"i{n}" for n in range(6)], "structure_hash": "s", "params": {}, "symbol": "B",
        "timeframe": "5m", "window_start": window[0], "window_end": window[1], "n_bars": 5, "birth": 0,
        "author": "test", "data_hash": "d", "outcome": "ok",
    }, returns=returns)
    ledger.write(folder / step)


def test_copies_count_once_and_trials_without_returns_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    copies = np.repeat(rng.normal(size=(2, 200)), 3, axis=0)
    trials_file(tmp_path, "10_design", copies, (0, 1))
    trials_file(tmp_path, "20_backtest", copies[:, ::-1], (0, 1))
    trials_file(tmp_path, "30_train", None, (0, 1))
    counted = effective_trials_of(tmp_path, ("10_design", "20_backtest", "30_train"))
    assert (counted.trials, counted.with_returns) == (18, 12)
    assert counted.effective == pytest.approx(4 + 6, abs=0.2)
    again = effective_trials_of(tmp_path, ("10_design",))
    assert again.with_others(10).effective == pytest.approx(again.effective + 4)


def test_a_score_that_is_undefined_ranks_last_in_the_contest() -> None:
    member, screened = candidate("a", np.zeros(168), trades=0)
    assert isinstance(screened.result, ScoreResult)
    null = null_contestants(day(), [fade()])[0]
    (row,) = null_contests(day(), [(member, screened)], [null])
    assert row.reached == int(null.result.score is not None)
