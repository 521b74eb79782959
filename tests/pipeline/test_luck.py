"""Luck on results of known worth: each beside its own set, in its own hours, and in words that the figures bear out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daybook.backtest.scale_out import Quarantined
from daybook.core.arrays import Floats
from daybook.pipeline.effective import EffectiveTrials
from daybook.pipeline.screening import Screened
from daybook.pipeline.steps.backtest import backtest_headline
from daybook.pipeline.steps.choice import choice_reading
from daybook.pipeline.steps.findings import headline
from daybook.pipeline.steps.luck import Judged, Tried, judged, luck_readings, tried
from daybook.rank import PoolMember, noise_best_sharpe, overfitting, score
from daybook.rank.pool import TUNED_ORIGIN
from daybook.rank.statistics import expected_maximum
from daybook.report import Metric, NullContest, Reading, Trials
from daybook.strategy import parse_spec

WEEK, SPAN = 168, 336
CANDIDATES, DRAWS, DAYS = 15, 8, 250


@cache
def idea() -> Any:
    return parse_spec({"name": "fade", "rationale": "Overdone moves come back.", "timeframes": ["60m"],
                       "parameters": {}, "long_entry": "close < sma(close, 24)", "long_exit": "close > sma(close, 24)",
                       "stop_loss": 0.03})


def screened(returns: Floats, timeframe: str = "60m", trades: int = 30) -> Screened:
    return Screened(idea(), {}, timeframe, score(returns, trades), returns, pd.DataFrame(), returns[None])


def candidate(name: str, found: Screened) -> tuple[PoolMember, Screened]:
    member = PoolMember(kind="strategy", identity=name, structure_hash=name, name=name, spec={}, birth_ms=0,
                        timeframe=found.timeframe, birth_day="2026-01-15", origin="evolution", score=found.result.score)
    return member, found


def gathered(members: list[Screened], tuned: list[Screened]) -> Tried:
    named = [candidate(f"c{place:02d}", one) for place, one in enumerate(members)]
    return tried(named, tuned, members, EffectiveTrials(trials=9, with_returns=9, effective=9.0), 99)


def noise(rng: np.random.Generator, hours: int, drift: float = 0.0) -> Floats:
    return rng.normal(drift, 1.0, hours) * 1e-3


@cache
def worthless_days() -> tuple[tuple[Tried, Judged], ...]:
    """Days of pure noise: draws tuned over two weeks, the best of each candidate kept, and met by a week of its own."""
    found = []
    for seed in range(DAYS):
        rng = np.random.default_rng(seed)
        tuned = [screened(noise(rng, SPAN)) for _ in range(CANDIDATES * DRAWS)]
        one = gathered([screened(noise(rng, WEEK)) for _ in range(CANDIDATES)], tuned)
        best = judged(one)
        assert best is not None
        found.append((one, best))
    return tuple(found)


def close_to(values: list[float], expected: float) -> bool:
    """Within three standard errors of the mean, and 2 % for the published approximation of a maximum."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return bool(abs(np.mean(values) - expected) <= 3.0 * error + 0.02 * abs(expected))


def test_the_best_expected_of_luck_is_what_the_best_candidate_of_noise_shows() -> None:
    best = [one.sharpe for _, one in worthless_days()]
    (expected,) = {round(one.expected, 9) for _, one in worthless_days()}
    assert close_to(best, expected)
    counting_tunings = noise_best_sharpe(CANDIDATES * (DRAWS + 1), WEEK)
    assert not close_to(best, counting_tunings), "tunings on other hours competed for another place"


def test_results_of_one_and_two_weeks_spread_alike_in_units_of_their_own_noise() -> None:
    everything = np.concatenate([one.compared for one, _ in worthless_days()])
    assert everything.std() == pytest.approx(1.0, abs=0.02)
    best = [float(one.compared.max()) for one, _ in worthless_days()]
    assert close_to(best, expected_maximum(CANDIDATES * (DRAWS + 1)))


def test_neither_deflated_sharpe_ratio_passes_noise() -> None:
    days = [one for _, one in worthless_days()]
    assert np.mean([one.strict > 0.95 for one in days]) <= 0.05
    assert np.mean([(one.wide or 0.0) > 0.95 for one in days]) <= 0.05
    spread = np.mean([one.spread or 0.0 for one in days])
    assert spread == pytest.approx(1.0, abs=0.03), "the variance of noise, whatever the hours"
    above = np.mean([one.standing != "explained" for one in days])
    assert 0.3 < above < 0.6, "a mean is passed on nearly every other day, which the words have to say"
    assert not any(one.standing == "beyond" for one in days)


def test_only_a_lone_result_has_no_spread() -> None:
    alone = judged(gathered([screened(noise(np.random.default_rng(1), WEEK))], []))
    assert alone is not None
    assert (alone.expected, alone.rivals, alone.spread, alone.wide) == (0.0, 1, None, None)
    assert judged(gathered([], [])) is None


def reading(found: Tried, name: str) -> Reading:
    day: Any = SimpleNamespace(settings=SimpleNamespace(seed=7), sealed=SimpleNamespace(day="2026-01-15"))
    (one,) = [row for row in luck_readings(day, found) if row.metric.name.startswith(name)]
    return one


@pytest.mark.parametrize(("drift", "alike", "said"), [
    (-0.5, False, "most of it by losers, which makes this the stricter test"),
    (0.5, False, "most of it by winners, which makes this the stricter test"),
    (0.0, True, "which makes this the more lenient test, so the one before decides"),
])
def test_what_the_spread_of_results_does_is_read_from_them(drift: float, alike: bool, said: str) -> None:
    rng = np.random.default_rng(5)
    shared = noise(rng, SPAN)
    tuned = [screened(shared + noise(rng, SPAN) * 0.2 if alike else noise(rng, SPAN, drift * (place % 2)))
             for place in range(40)]
    found = gathered([screened(noise(rng, WEEK)) for _ in range(3)], tuned)
    wide, strict = reading(found, "DSR, variance of trials"), reading(found, "DSR, variance of noise")
    assert said in wide.meaning
    assert wide.metric.value is not None and strict.metric.value is not None
    assert (wide.metric.value > strict.metric.value) == alike, "what the words claim"


def test_the_figures_of_luck_name_the_set_they_are_of() -> None:
    found, best = worthless_days()[0]
    row = reading(found, "best expected of luck alone")
    assert (row.metric.n, row.metric.n_unit, row.metric.value) == (CANDIDATES, "candidates", best.expected)
    assert "every trial ever" in row.meaning
    assert reading(found, "DSR, variance of noise").metric.n == CANDIDATES * (DRAWS + 1)


def bleeding(rng: np.random.Generator, count: int) -> list[Floats]:
    """Tunings that lose to costs in every hour, each at a pace of its own."""
    return [noise(rng, SPAN, -0.2 * (1 + place)) for place in range(count)]


def market(seed: int = 3) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {"60m": np.stack([noise(rng, SPAN) for _ in range(30)]), "1m": np.stack(bleeding(rng, 20)),
            "5m": np.stack(bleeding(rng, 20))}


def chosen(after: float, count: int = 6, timeframe: str = "60m", trades: int = 30) -> list[tuple[PoolMember, Screened]]:
    rng = np.random.default_rng(11)
    return [candidate(f"{timeframe}-{n}", screened(noise(rng, WEEK, after), timeframe, trades)) for n in range(count)]


def test_tunings_that_only_bleed_costs_do_not_lower_the_chance_of_overfitting() -> None:
    tuned = market()
    pooled = overfitting(np.concatenate(list(tuned.values()))).pbo
    own = overfitting(tuned["60m"]).pbo
    assert pooled is not None and own is not None
    members = [*chosen(0.0), *chosen(0.0, 2, "1m")]
    found = choice_reading(members, tuned)
    assert found.metric.value == own
    assert (found.metric.n, found.metric.n_unit) == (30, "tunings, 60m")
    assert found.meaning.startswith("60m, which 6 of 8 candidates trade: ")
    assert "; 1m 0.0 %" in found.meaning and "Elsewhere: 5m 0.0 %" in found.meaning
    assert "(n = 20), where 20 of 20 lose" in found.meaning
    on_short = choice_reading(chosen(-0.5, 3, "1m"), tuned)
    assert on_short.metric.value is not None and on_short.metric.value < 0.05
    assert "picks what lasts" not in on_short.meaning


def lasting(seed: int = 4) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {"60m": np.stack([noise(rng, SPAN, 0.1 * place) for place in range(12)])}


@pytest.mark.parametrize(("after", "trades", "said"), [
    (0.5, 30, "so tuning picks what lasts. On the unseen week the chosen new designs have a median Sharpe "
              "ratio of 4"),
    (-0.5, 30, "but what it picked did not earn afterwards. On the unseen week the chosen new designs have a median "
               "Sharpe ratio of −4"),
    (0.5, 1, "the unseen week can not tell. No new design of them traded enough"),
])
def test_tuning_picks_what_lasts_only_if_the_unseen_week_agrees(after: float, trades: int, said: str) -> None:
    found = choice_reading(chosen(after, trades=trades), lasting())
    assert found.metric.value is not None and found.metric.value < 0.2
    assert said in found.meaning
    assert ("picks what lasts" in found.meaning) == (after > 0 and trades >= 5)


def test_members_tuned_anew_for_a_bad_week_do_not_judge_tuning() -> None:
    def anew(after: float) -> list[tuple[PoolMember, Screened]]:
        return [(member.model_copy(update={"origin": TUNED_ORIGIN}), one) for member, one in chosen(after, 9)]

    mixed = choice_reading([*anew(-0.5), *chosen(0.5, 3)], lasting())
    assert "picks what lasts" in mixed.meaning
    assert "(n = 3, without 9 tuned anew for a bad score on it)." in mixed.meaning
    alone = choice_reading(anew(0.5), lasting())
    assert "picks what lasts" not in alone.meaning
    assert "No new design trades it: all 9 were tuned anew for a bad score on the unseen week." in alone.meaning


def test_a_timeframe_with_too_few_tunings_says_so_and_the_others_are_told() -> None:
    tuned = market() | {"60m": market()["60m"][:1]}
    found = choice_reading(chosen(0.1), tuned)
    assert (found.metric.value, found.metric.reason) == (None, "60m: 1 of 1 rows vary; a choice needs at least 2")
    assert "Elsewhere: 5m 0.0 %" in found.meaning
    turned = choice_reading(chosen(0.1, 3, "5m"), tuned)
    assert "60m undefined, 1 of 1 rows vary" in turned.meaning
    without = choice_reading([], market())
    assert without.metric.n_unit == "tunings, 60m", "nobody trades, so the longest"
    assert choice_reading(chosen(0.1), {}).metric.reason == "nothing was tuned"


def test_a_tuning_that_lost_a_market_is_no_rival() -> None:
    rng = np.random.default_rng(2)
    whole = screened(noise(rng, SPAN))
    lost = Quarantined("fade", "i", "s", "BTCUSDT", "60m", "{}")
    cut = replace(screened(noise(rng, SPAN)), lost=(lost,))
    assert len(gathered([], [whole, cut]).tuned["60m"]) == 1


def told(best: Judged | None, candidates: int = 15) -> Any:
    figures = {"best_sharpe": best.sharpe if best else None, "expected_noise_maximum": best.expected if best else None,
               "best_score": None, "candidates_compared": best.rivals if best else 0, "compared": 135,
               "trials_ever": 400, "trials": 40}
    nulls = NullContest(who="all", places=20, nulls=4, others=2, reached=1, expected=1.0, meaning="as chance")
    return backtest_headline(candidates, best, figures, nulls)


def test_the_verdict_says_which_set_it_compares_and_what_a_mean_is_worth() -> None:
    best = worthless_days()[0][1]
    below, within = (replace(best, sharpe=best.expected + more) for more in (-1.0, 1.0))
    beyond = replace(within, strict=0.97)
    assert "Luck alone explains the best of 15 candidates" in told(below).verdict
    assert "the best of 15 worthless ones would show 1" in told(below).verdict
    assert "as luck often is: with all 135 results charged its DSR is 0.00, and more than 0.95 is needed." in told(
        replace(within, strict=0.001)).verdict
    assert "beyond luck with all 135 results charged. It is screened, not proven." in told(beyond).verdict
    assert "too little trading" in told(None).verdict
    assert "a worthless one would show 0.0" in told(replace(best, rivals=1, expected=0.0, sharpe=-1.0), 1).verdict
    assert told(None, 0).verdict == "No candidate reached the backtest today."


def test_tiles_of_two_pages_name_their_sets() -> None:
    best, _, _, trials = told(worthless_days()[0][1]).figures
    assert (best.n, best.n_unit, best.baseline_name) == (15, "candidates", "luck alone among these")
    assert trials.name == "trials ever, up to here"
    day: Any = SimpleNamespace(inputs={}, sealed=SimpleNamespace(official=True))
    ranking: Any = SimpleNamespace(updates={"strategy": SimpleNamespace(entered=())})
    some = Metric(name="best Sharpe in the pool", value=8.0, unit="annualised")
    luck = Metric(name="expected of luck alone", value=27.0, unit="annualised", n=5865, n_unit="trials")
    report = headline(day, ranking, (), Trials(today=9, ever=5865, expected_noise_maximum=luck, best=some))
    assert report.figures[1].baseline_name == "luck alone among all trials ever"
