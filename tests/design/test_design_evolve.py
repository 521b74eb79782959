"""The search: same seed same designs, nothing twice, complexity pays nothing, edges are found, bad scores survive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from daybook.backtest import sweep
from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day
from daybook.design import DesignError, DesignRequest, DesignResult, GateRules, Parent, propose, seed_templates
from daybook.design.evolve import _Member, _rank, _tournament
from daybook.design.gate import Gate
from daybook.design.genome import genome_of
from daybook.execution import Costs
from daybook.market import synthetic_bars
from daybook.market.bars import Bars
from daybook.strategy import SignalPlan, Strategy, parse_spec, positions_from_bits


def tape(bars: int = 1500, seed: int = 2, timeframe: str = "5m", step: int = 300_000) -> Bars:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.standard_t(4, bars) * 0.002))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1 + random.random(bars) * 0.001)
    low = np.minimum(opened, close) * (1 - random.random(bars) * 0.001)
    times = 1_709_251_200_000 + step * np.arange(bars, dtype=np.int64)
    return Bars("test", "BTCUSDT", timeframe, times, opened, high, low, close, random.lognormal(3, 1, bars))


PROBES = (tape(),)


def flat(strategies: Sequence[Strategy]) -> list[float | None]:
    """A score that knows nothing but the name of the design."""
    return [40.0 + int(strategy.identity[:4], 16) % 2000 / 100 for strategy in strategies]


def request(**changes: object) -> DesignRequest:
    plain = DesignRequest(score=flat, probes=PROBES, wanted=5, seed=3, stream="2026-01-20", population=16,
                          generations=2)
    return replace(plain, **changes)  # type: ignore[arg-type]


def outline(result: DesignResult) -> list[object]:
    return [[(c.strategy.canonical, c.score, c.fitness, c.origin, c.parents) for c in result.candidates],
            result.refused, [(e.strategy.identity, e.score, e.generation, e.origin) for e in result.evaluated]]


def path(strategy: Strategy) -> np.ndarray:
    bits = SignalPlan(PROBES[0]).bits(strategy)
    return positions_from_bits(bits, strategy.stops().max_holding).astype(float)


def test_the_same_seed_gives_the_same_designs() -> None:
    assert outline(propose(request())) == outline(propose(request()))
    assert outline(propose(request())) != outline(propose(request(seed=4)))
    assert outline(propose(request())) != outline(propose(request(stream="2026-01-21")))


def test_a_cold_start_fills_the_pool_with_diverse_sound_specs() -> None:
    result = propose(request(wanted=20))
    assert len(result.candidates) == 20
    assert len({candidate.family for candidate in result.candidates}) >= 6
    structures = [candidate.strategy.structure_hash for candidate in result.candidates]
    assert max(structures.count(structure) for structure in structures) <= 2
    for candidate in result.candidates:
        again = parse_spec(candidate.spec.model_dump_json())
        assert again.identity == candidate.strategy.identity
        assert candidate.rationale
        assert candidate.spec.name.endswith(candidate.strategy.identity[:4])


def test_one_structure_each_still_lets_the_search_refine() -> None:
    pool = tuple(Parent(strategy, 50.0) for strategy in seed_templates())
    result = propose(request(wanted=10, per_structure=1, parents=pool))
    structures = [candidate.strategy.structure_hash for candidate in result.candidates]
    assert len(set(structures)) == len(structures) == 10
    assert not set(structures) & {parent.strategy.structure_hash for parent in pool}
    tried = [evaluation.strategy.structure_hash for evaluation in result.evaluated]
    assert len(set(tried)) < len(tried)


def test_nothing_is_proposed_twice_by_hash_or_by_behaviour() -> None:
    first = propose(request(wanted=8))
    pool = tuple(Parent(candidate.strategy, candidate.score) for candidate in first.candidates)
    second = propose(request(wanted=8, parents=pool, stream="2026-01-21"))
    everyone = [candidate.strategy for candidate in (*first.candidates, *second.candidates)]
    assert len({strategy.identity for strategy in everyone}) == len(everyone)
    alike = np.abs(np.corrcoef([path(strategy) for strategy in everyone])) - np.eye(len(everyone))
    assert alike.max() <= 0.99 + 1e-6
    assert any(evaluation.parents for evaluation in second.evaluated)


def test_refusals_name_the_reason_and_whom_they_met() -> None:
    gate = Gate(PROBES, [], [], GateRules(most_alike=1))
    base = {"name": "a", "long_entry": "rsi(close, 14) < 35", "long_exit": "rsi(close, 14) > 60"}
    first = parse_spec(base)
    assert gate.admit(first) is None
    assert gate.admit(parse_spec({**base, "name": "b"})) == gate.admit(first)
    cases = [({**base, "long_exit": "rsi(close, 14) > 66"}, "its structure has 1 members already"),
             ({"name": "d", "long_entry": "rsi(close, 14) < 35 or rsi(close, 14) < 1",
               "long_exit": "rsi(close, 14) > 60"}, "behaves like a known design"),
             ({"name": "e", "short_entry": "rsi(close, 14) < 35", "short_exit": "rsi(close, 14) > 60"},
              "behaves like a known design"),
             ({"name": "f", "long_entry": "zscore(close, 20) > 19", "max_holding": 5}, "never trades on the probe"),
             ({"name": "g", "long_entry": "close > ema(close, 400)", "max_holding": 5}, "needs 1200 bars of warm-up")]
    for spec, reason in cases:
        refusal = gate.admit(parse_spec(spec))
        assert refusal is not None
        assert refusal.reason.startswith(reason)
        if reason.startswith("behaves"):
            assert refusal.against == first.identity
    assert Gate(PROBES, [], [first.identity], GateRules()).admit(first) is not None


def test_known_identities_and_pool_members_are_never_evaluated() -> None:
    templates = seed_templates()
    result = propose(request(known_identities=frozenset(strategy.identity for strategy in templates)))
    assert not {strategy.identity for strategy in templates} & {one.strategy.identity for one in result.evaluated}
    pool = tuple(Parent(strategy, 55.0) for strategy in templates)
    evaluated = {one.strategy.identity for one in propose(request(parents=pool)).evaluated}
    assert not {strategy.identity for strategy in templates} & evaluated


def test_every_evaluation_is_reported_in_order() -> None:
    seen: list[str] = []

    def counting(strategies: Sequence[Strategy]) -> list[float | None]:
        seen.extend(strategy.identity for strategy in strategies)
        return flat(strategies)

    result = propose(request(score=counting))
    assert [evaluation.strategy.identity for evaluation in result.evaluated] == seen
    assert len(seen) == len(set(seen)) == 18 + 2 * 16


def test_whose_children_a_batch_holds_is_told_before_it_is_scored() -> None:
    told: dict[str, tuple[str, ...]] = {}
    known: list[bool] = []

    def counting(strategies: Sequence[Strategy]) -> list[float | None]:
        known.extend(strategy.identity in told for strategy in strategies)
        return flat(strategies)

    result = propose(request(score=counting, lineage=told.update))
    assert all(known) and len(known) == len(result.evaluated)
    assert told == {one.strategy.identity: one.parents for one in result.evaluated}
    assert any(told.values())


def test_every_refusal_is_reported_with_its_reason() -> None:
    result = propose(request(generations=4))
    reasons = {refusal.reason.split(" (")[0] for refusal in result.refused}
    assert {"already known", "behaves like a known design", "never trades on the probe"} <= reasons
    evaluated = {evaluation.strategy.identity for evaluation in result.evaluated}
    met = {refusal.against for refusal in result.refused if refusal.reason.startswith("behaves")}
    assert met <= evaluated
    assert not {refusal.identity for refusal in result.refused if refusal.reason != "already known"} & evaluated


def test_of_equal_scores_the_simpler_wins() -> None:
    result = propose(request(score=lambda strategies: [50.0] * len(strategies), wanted=3))
    sizes = [evaluation.strategy.complexity for evaluation in result.evaluated]
    assert result.candidates[0].strategy.complexity == min(sizes)
    assert result.candidates[0].fitness == pytest.approx(50.0 - 0.1 * min(sizes))
    small, large = (parse_spec({"name": "t", "long_entry": entry, "max_holding": 5})
                    for entry in ("close > open", "close > open and london"))
    members = [_Member(strategy, genome_of(strategy), "", fitness=50.0) for strategy in (large, small)]
    assert min(members, key=_rank).strategy is small
    assert _tournament(members, np.random.default_rng(0)).strategy is small


def test_complexity_cost_can_reverse_a_small_lead() -> None:
    def longer_is_better(strategies: Sequence[Strategy]) -> list[float | None]:
        return [50.0 + 0.05 * strategy.complexity for strategy in strategies]

    charged = propose(request(score=longer_is_better, wanted=1)).candidates[0].strategy.complexity
    free = propose(request(score=longer_is_better, wanted=1, complexity_cost=0.0)).candidates[0].strategy.complexity
    assert charged < free


def test_a_rewarded_structure_is_found() -> None:
    target = path(parse_spec({"name": "t", "long_entry": "zscore(close, 48) < -1.5 and london",
                              "short_entry": "zscore(close, 48) > 1.5 and london", "max_holding": 24}))
    plan = SignalPlan(PROBES[0])

    def likeness(strategies: Sequence[Strategy]) -> list[float | None]:
        scores: list[float | None] = []
        for strategy in strategies:
            own = positions_from_bits(plan.bits(strategy), strategy.stops().max_holding).astype(float)
            scores.append(100.0 * float(np.corrcoef(own, target)[0, 1]) if own.std() else None)
        return scores

    def best(seed: int, generations: int) -> float:
        found = propose(request(score=likeness, seed=seed, generations=generations, population=24, wanted=1))
        return found.candidates[0].score or 0.0

    assert np.median([best(seed, 8) for seed in range(5)]) > max(70.0, *[best(seed, 0) for seed in range(5)])


def test_the_edge_of_the_planted_market_comes_first() -> None:
    end = day_start_ms(parse_day("2026-01-20"))
    bars = synthetic_bars("BTCUSDT", Window(end - 10 * DAY_MS, end), seed=5, mode="planted")

    def sharpe(strategies: Sequence[Strategy]) -> list[float | None]:
        rows = sweep(strategies, bars, costs=Costs(fee_bps=5.0, spread_bps=2.0))
        return [sharpe if trades >= 5 else None for sharpe, trades in zip(rows["sharpe"], rows["trades"], strict=True)]

    found = propose(request(score=sharpe, probes=(bars,), timeframes=("1m",), generations=1)).candidates[0]
    assert found.family == "volume"
    assert "close_position >" in (found.spec.long_entry or "")
    assert "close_position <" in (found.spec.short_entry or "")


@pytest.mark.parametrize("answer", [None, math.nan, math.inf, -math.inf])
def test_scores_that_are_undefined_never_break_the_search(answer: float | None) -> None:
    result = propose(request(score=lambda strategies: [answer] * len(strategies), wanted=20))
    assert len(result.candidates) == 20
    assert {candidate.fitness for candidate in result.candidates} == {None}
    mixed = propose(request(score=lambda strategies: [answer if k % 2 else 50.0 + k for k in range(len(strategies))]))
    assert None not in {candidate.fitness for candidate in mixed.candidates}


def test_a_score_function_of_the_wrong_length_is_named() -> None:
    with pytest.raises(DesignError, match=r"returned 1 scores for \d+ designs"):
        propose(request(score=lambda strategies: [1.0]))


@pytest.mark.parametrize(("changes", "words"), [({"probes": ()}, "no probe"), ({"wanted": -1}, "wanted"),
                                                ({"population": 0}, "population"),
                                                ({"complexity_cost": math.nan}, "complexity_cost")])
def test_a_request_that_cannot_be_searched_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DesignError, match=words):
        request(**changes)


def test_nothing_wanted_costs_nothing() -> None:
    result = propose(request(wanted=0))
    assert (result.candidates, result.evaluated) == ((), ())


def test_a_pool_without_scores_is_a_cold_start() -> None:
    pool = tuple(Parent(strategy, None) for strategy in seed_templates())
    assert len(propose(request(parents=pool)).candidates) == 5
