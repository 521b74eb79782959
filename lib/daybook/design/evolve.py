"""The embedded designer: a seeded evolutionary search over typed trees.

Each generation breeds by tournament (mutation, crossover, fresh ideas), turns away what is known or behaves like
something known before it costs an evaluation, and scores the rest with the function it was handed. Fitness is the
score minus a charge for every node. The choice at the end spreads over structures, families and behaviours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from daybook.core.seeds import generator
from daybook.design.gate import Gate, Refusal
from daybook.design.genome import Genome, genome_of, parameterised, strategy_of
from daybook.design.grammar import pick
from daybook.design.mutate import crossed, mutated, random_genome
from daybook.design.request import Candidate, DesignError, DesignRequest, DesignResult, Evaluation, Parent
from daybook.design.templates import template_genomes
from daybook.design.words import family, rationale, slug
from daybook.strategy import Strategy

TOURNAMENT = 3
CLONES = 3
"""Breeders of one structure."""
LIKENESS_FREE, LIKENESS_COST = 0.7, 60.0
"""Position correlation with a chosen candidate above 0.7 costs score points: 18 at 1.0."""
_TRIES = 40
_ORIGINS = ("fresh", "crossover", "mutation")
_ORIGIN_WEIGHTS = (2, 3, 6)


@dataclass(frozen=True)
class _Member:
    strategy: Strategy
    genome: Genome
    origin: str
    parents: tuple[str, ...] = ()
    generation: int = 0
    score: float | None = None
    fitness: float | None = None


@dataclass
class _Search:
    request: DesignRequest
    gate: Gate
    rng: np.random.Generator
    breeders: list[_Member] = field(default_factory=list)
    evaluated: list[_Member] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def propose(request: DesignRequest) -> DesignResult:
    """Search, and return the best diverse candidates with every refusal and every evaluation.

    Pure for a pure score function: the same request gives the same result. Candidates that could not be scored come
    last and only fill places nothing scored could take (a cold start). Raises DesignError.
    """
    known = (*(parent.strategy for parent in request.parents), *request.known)
    search = _Search(request, Gate(request.probes, known, request.known_identities, request.rules),
                     generator(request.seed, "design", request.stream))
    search.breeders = [_as_breeder(parent, request) for parent in request.parents if _number(parent.score) is not None]
    if request.wanted:
        taken = {strategy.structure_hash for strategy in known}
        _evaluate(search, _first_brood(search, taken))
        for generation in range(1, request.generations + 1):
            _evaluate(search, _brood(search, request.population, generation))
    return DesignResult(_chosen(search), tuple(search.refused), tuple(
        Evaluation(one.strategy, one.score, one.fitness, one.generation, one.origin, one.parents)
        for one in search.evaluated))


def _as_breeder(parent: Parent, request: DesignRequest) -> _Member:
    strategy, score = parent.strategy, _number(parent.score)
    fitness = None if score is None else score - request.complexity_cost * strategy.complexity
    return _Member(strategy, genome_of(strategy), "pool", (), 0, score, fitness)


def _number(score: float | None) -> float | None:
    return None if score is None or not math.isfinite(score) else float(score)


def _first_brood(search: _Search, taken: set[str]) -> list[_Member]:
    """The classic ideas whose structure nobody has yet, then fresh or bred ones up to the size of a generation."""
    brood: list[_Member] = []
    for name, genome in template_genomes(search.request.timeframes).items():
        strategy = strategy_of(genome)
        if strategy is not None and strategy.structure_hash not in taken:
            _admit(search, brood, genome, f"template {name}", (), 0)
    wanted = max(search.request.population, math.ceil(1.5 * search.request.wanted))
    return brood + _brood(search, wanted - len(brood), 0)


def _brood(search: _Search, count: int, generation: int) -> list[_Member]:
    """New designs that passed the gate, at most `count`."""
    brood: list[_Member] = []
    for _ in range(max(count, 0) * _TRIES):
        if len(brood) == count:
            break
        child = _child(search)
        if child is not None:
            genome, origin, parents = child
            _admit(search, brood, genome, origin, parents, generation)
    return brood


def _child(search: _Search) -> tuple[Genome, str, tuple[str, ...]] | None:
    rng, breeders = search.rng, search.breeders
    origin = pick(rng, _ORIGINS, _ORIGIN_WEIGHTS) if breeders else "fresh"
    if origin == "fresh":
        return parameterised(random_genome(rng, search.request.timeframes), rng), origin, ()
    first = _tournament(breeders, rng)
    if origin == "crossover":
        second = _tournament(breeders, rng)
        genome = crossed(first.genome, second.genome, rng)
        lineage = tuple(sorted({first.strategy.identity, second.strategy.identity}))
        return None if genome is None else (genome, origin, lineage)
    change = mutated(first.genome, rng)
    if change is not None and rng.random() < 0.3:
        change = mutated(change[0], rng) or change
    return None if change is None else (change[0], change[1], (first.strategy.identity,))


def _tournament(breeders: Sequence[_Member], rng: np.random.Generator) -> _Member:
    """The fittest of three drawn at random; of equals the simpler, so complexity never pays for nothing."""
    drawn = [breeders[int(place)] for place in rng.integers(len(breeders), size=TOURNAMENT)]
    return min(drawn, key=_rank)


def _rank(member: _Member) -> tuple[bool, float, int, str]:
    """Sort key, best first: scored before unscored, then fitness, simplicity, identity."""
    return (member.fitness is None, -(member.fitness or 0.0), member.strategy.complexity, member.strategy.identity)


def _admit(search: _Search, brood: list[_Member], genome: Genome, origin: str, parents: tuple[str, ...],
           generation: int) -> None:
    """Put a genome into the brood if the language and the gate let it in; a refusal is recorded."""
    strategy = strategy_of(genome)
    if strategy is None:
        return
    refusal = search.gate.admit(strategy)
    if refusal is not None:
        search.refused.append(refusal)
        return
    spec = strategy.spec.model_copy(update={"name": slug(strategy), "rationale": rationale(strategy, genome)})
    brood.append(_Member(Strategy(spec, strategy.expressions), genome, origin, parents, generation))


def _evaluate(search: _Search, brood: Sequence[_Member]) -> None:
    """Score a brood in one call and let the scored ones breed; the fittest half-population stays."""
    if not brood:
        return
    search.request.lineage({member.strategy.identity: member.parents for member in brood})
    scores = list(search.request.score([member.strategy for member in brood]))
    if len(scores) != len(brood):
        raise DesignError(f"design: the score function returned {len(scores)} scores for {len(brood)} designs; "
                          "it must return one each, None where it cannot score.")
    for member, given in zip(brood, scores, strict=True):
        score = _number(given)
        fitness = None if score is None else score - search.request.complexity_cost * member.strategy.complexity
        done = _Member(member.strategy, member.genome, member.origin, member.parents, member.generation, score, fitness)
        search.evaluated.append(done)
        if fitness is not None:
            search.breeders.append(done)
    search.breeders = _breeders(search.breeders, max(8, search.request.population // 2))


def _breeders(members: Sequence[_Member], count: int) -> list[_Member]:
    """The fittest, but few of one structure: clones of one idea must not crowd out the others."""
    kept: list[_Member] = []
    structures: Counter[str] = Counter()
    for member in sorted(members, key=_rank):
        if structures[member.strategy.structure_hash] < CLONES and len(kept) < count:
            kept.append(member)
            structures[member.strategy.structure_hash] += 1
    return kept


def _chosen(search: _Search) -> tuple[Candidate, ...]:
    """The best candidates, spread: few per structure and family, likeness to those already chosen charged."""
    wanted = search.request.wanted
    left = sorted(search.evaluated, key=_rank)
    structures = Counter(parent.strategy.structure_hash for parent in search.request.parents)
    families: Counter[str] = Counter()
    chosen: list[_Member] = []
    for family_cap in (max(1, math.ceil(wanted / 5)), wanted):
        while len(chosen) < wanted:
            open_to = [one for one in left if structures[one.strategy.structure_hash] < search.request.per_structure
                       and families[family(one.strategy)] < family_cap]
            if not open_to:
                break
            best = min(open_to, key=lambda one: _spread_rank(search.gate, one, chosen))
            chosen.append(best)
            left.remove(best)
            structures[best.strategy.structure_hash] += 1
            families[family(best.strategy)] += 1
    chosen.sort(key=_rank)
    return tuple(Candidate(one.strategy, one.score, one.fitness, one.origin, one.parents, family(one.strategy))
                 for one in chosen)


def _spread_rank(gate: Gate, member: _Member, chosen: Sequence[_Member]) -> tuple[bool, float, int, str]:
    """The rank after the charge for likeness to what is chosen already."""
    unscored, cost, complexity, identity = _rank(member)
    own = gate.path_of(member.strategy.identity)
    others = [path for one in chosen if (path := gate.path_of(one.strategy.identity)) is not None]
    likeness = max((abs(float(own @ path)) for path in others), default=0.0) if own is not None else 0.0
    return unscored, cost + LIKENESS_COST * max(0.0, likeness - LIKENESS_FREE), complexity, identity
