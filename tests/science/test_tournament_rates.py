"""What a tournament concludes where the truth is known: how often noise passes each test, how often a real edge does.

In each, 72 rules, the hand-written ideas with which a search begins, trade the coins of the built-in market: a quarter
of them every coin with equal capital, as a day's strategies do, the others one coin each, so that they differ.
`make test` plays some; `make test-science` sets SCIENCE_DAYS=30 and plays 60.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest

from daybook.backtest import block_returns
from daybook.core.arrays import Floats
from daybook.core.seeds import generator
from daybook.core.time import DAY_MS, Window, day_start_ms
from daybook.design import seed_templates
from daybook.execution import Costs
from daybook.market import SYNTHETIC_SYMBOLS, synthetic_bars
from daybook.rank import noise_best_sharpe, overfitting, reality_check, trial_clusters
from daybook.rank.statistics import (
    deflated_sharpe_ratio,
    lively_rows,
    moments,
    probabilistic_sharpe_ratio,
)

FULL = int(os.environ.get("SCIENCE_DAYS", "2")) > 2
TOURNAMENTS = 60 if FULL else 10
RULES = 72
FREE = Costs(fee_bps=0.0, spread_bps=0.0)
TWELVE_BPS = Costs(fee_bps=5.0, spread_bps=2.0)
"""12 basis points for a round trip."""
IDEAS = seed_templates()[:18]
START = day_start_ms(date(2026, 1, 15))
WARMUP_DAYS = 12
HOURS_PER_YEAR = 24 * 365

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Outcome:
    """One tournament: annual Sharpe ratio and row of the winner, and what each test says.

    naive: highest PSR of any rule. null_variance, trial_variance: both DSRs of the winner. check, superior: SPA p value
    and the StepM set.
    """

    best: float
    winner: int
    naive: float
    null_variance: float
    trial_variance: float
    check: float
    superior: tuple[int, ...]
    pbo: float
    effective: float


def tournament(mode: str, days: int, costs: Costs, seed: int) -> Outcome:
    """Play the 72 rules on so many days of one market and judge the winner."""
    returns = hourly_returns(mode, days, costs, seed)
    lively = lively_rows(returns).rows
    found = {int(row): moments(returns[row]) for row in lively}
    sharpes = {row: one.sharpe for row, one in found.items() if one is not None}
    winner = max(sharpes, key=lambda row: sharpes[row])
    best = found[winner]
    assert best is not None
    shape = (best.sharpe, best.n, RULES, best.skew, best.kurtosis)
    check = reality_check(returns, seed=seed)
    pbo = overfitting(returns).pbo
    assert check.p_value is not None
    assert pbo is not None
    return Outcome(
        best.sharpe * math.sqrt(HOURS_PER_YEAR), winner,
        max(probabilistic_sharpe_ratio(one.sharpe, one.n, one.skew, one.kurtosis) for one in found.values() if one),
        deflated_sharpe_ratio(*shape),
        deflated_sharpe_ratio(*shape, variance=float(np.var(list(sharpes.values()), ddof=1))), check.p_value,
        check.superior, pbo, trial_clusters(returns).effective,
    )


def hourly_returns(mode: str, days: int, costs: Costs, seed: int) -> Floats:
    """(72, 24 x days) returns as fractions of each rule's capital.

    18 ideas four times: as written on 1m bars with equal capital in each coin; and, on one coin each in turn, as
    written on 5m bars and with parameters drawn from their ranges on 5m and on 1m bars.
    """
    whole, window = Window(START - WARMUP_DAYS * DAY_MS, START + days * DAY_MS), Window(START, START + days * DAY_MS)
    bars = [synthetic_bars(symbol, whole, seed=seed, mode=mode, timeframe=timeframe)
            for timeframe in ("1m", "5m") for symbol in SYNTHETIC_SYMBOLS]
    rng = generator(seed, "tournament")
    drawn = {idea.identity: [{
        name: float(rng.integers(one.low, one.high + 1)) if one.integer else float(rng.uniform(one.low, one.high))
        for name, one in idea.spec.parameters.items()
    }] for idea in IDEAS}
    shape = (len(IDEAS), 2, len(SYNTHETIC_SYMBOLS), 24 * days)
    written = block_returns(IDEAS, bars, None, costs, window).reshape(shape)
    other = block_returns(IDEAS, bars, drawn, costs, window).reshape(shape)
    idea = np.arange(len(IDEAS))
    coin = [(idea + turn) % len(SYNTHETIC_SYMBOLS) for turn in range(3)]
    returns = np.concatenate([written[:, 0].mean(axis=1), written[idea, 1, coin[0]], other[idea, 1, coin[1]],
                              other[idea, 0, coin[2]]])
    assert returns.shape == (RULES, 24 * days)
    return returns


Played = tuple[list[Outcome], dict[str, float]]


def play(capsys: pytest.CaptureFixture[str], mode: str, days: int, costs: Costs) -> Played:
    """Every tournament of one kind, and its rates, which are printed."""
    outcomes = [tournament(mode, days, costs, seed) for seed in range(TOURNAMENTS)]
    rates = {
        "naive PSR": np.mean([one.naive > 0.95 for one in outcomes]),
        "DSR, null variance": np.mean([one.null_variance > 0.95 for one in outcomes]),
        "DSR, trial variance": np.mean([one.trial_variance > 0.95 for one in outcomes]),
        "SPA": np.mean([one.check <= 0.05 for one in outcomes]),
    }
    told = ", ".join(f"{name} {rate:.0%}" for name, rate in rates.items())
    means = {name: np.mean([getattr(one, name) for one in outcomes]) for name in ("best", "pbo", "effective")}
    with capsys.disabled():
        round_trip = 2 * costs.fee_bps + costs.spread_of("BTCUSDT")
        print(f"\n{TOURNAMENTS} x {days} days of {mode}, {round_trip:g} bp: passed by {told}; "
              f"mean best Sharpe ratio {means['best']:.1f}, PBO {means['pbo']:.2f}, effective trials "
              f"{means['effective']:.1f} of {RULES}")
    return outcomes, {name: float(rate) for name, rate in rates.items()}


def test_noise_fools_the_naive_test_and_not_those_that_count_trials(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes, rates = play(capsys, "noise", 7, FREE)
    assert rates["naive PSR"] >= (0.95 if FULL else 0.8)
    assert rates["DSR, null variance"] <= 0.1
    assert rates["DSR, trial variance"] <= 0.1
    assert rates["SPA"] <= (0.1 if FULL else 0.2)
    expected = noise_best_sharpe(RULES, 7 * 24)
    assert np.mean([one.best for one in outcomes]) == pytest.approx(expected, rel=0.15 if FULL else 0.25)
    assert all(1 < one.effective < RULES for one in outcomes)
    if FULL:
        assert 0.35 < np.mean([one.pbo for one in outcomes]) < 0.65, "single weeks scatter from 0.05 to 0.9"
        _, control = play(capsys, "noise", 28, TWELVE_BPS)
        assert max(control["SPA"], control["DSR, null variance"]) <= 0.1


def test_a_planted_edge_is_found_in_four_weeks_after_costs(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes, rates = play(capsys, "planted", 28, TWELVE_BPS)
    assert rates["SPA"] >= 0.9
    assert rates["DSR, null variance"] >= 0.9
    assert rates["DSR, trial variance"] <= 0.1, "losers that bleed costs inflate the variance across trials"
    assert np.mean([one.winner in one.superior for one in outcomes]) >= 0.9
    assert np.mean([one.pbo for one in outcomes]) < 0.1
