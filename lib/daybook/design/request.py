"""What the designer is asked, and everything it answers: candidates, refusals and every evaluation it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from daybook.core.errors import UsageError
from daybook.core.time import TIMEFRAMES
from daybook.design.gate import GateRules, Refusal
from daybook.market.bars import Bars
from daybook.strategy import Strategy, StrategySpec

ScoreFunction: TypeAlias = Callable[[Sequence[Strategy]], Sequence[float | None]]
"""Scores a batch, in its order; None or NaN where a design cannot be scored (too few trades, say)."""


Lineage: TypeAlias = Callable[[Mapping[str, tuple[str, ...]]], None]
"""Told before a batch is scored: identity -> identities that each of its designs came from."""


def _untold(lineage: Mapping[str, tuple[str, ...]]) -> None:
    """Nobody asked."""


class DesignError(UsageError):
    """A request that cannot be searched, or a score function that does not keep its contract."""


@dataclass(frozen=True)
class Parent:
    """A member of the pool with the score it has today; None for a member that cannot be scored."""

    strategy: Strategy
    score: float | None = None


@dataclass(frozen=True)
class DesignRequest:
    """One day's search.

    seed, stream: the same two give the same designs. wanted: candidates to return. parents: the pool. known: further
    strategies whose behaviour must not be repeated (the archive); known_identities: identities alone. probes: bars on
    which behaviour is compared, one table a timeframe. complexity_cost: score points that each node costs.
    population: designs evaluated a generation. per_structure: members one structure may have among the parents and the
    candidates together (inside the search `rules.most_alike` may, so that a good idea can be refined). lineage: told of
    each batch before it is scored, so that a score function can write down whose children it looks at.
    """

    score: ScoreFunction
    probes: tuple[Bars, ...]
    wanted: int = 3
    seed: int = 0
    stream: str = ""
    parents: tuple[Parent, ...] = ()
    known: tuple[Strategy, ...] = ()
    known_identities: frozenset[str] = frozenset()
    timeframes: tuple[str, ...] = TIMEFRAMES
    population: int = 32
    generations: int = 4
    complexity_cost: float = 0.1
    per_structure: int = 2
    rules: GateRules = field(default_factory=GateRules)
    lineage: Lineage = _untold

    def __post_init__(self) -> None:
        if not self.probes or not any(len(bars) for bars in self.probes):
            raise DesignError("design: no probe bars given; behaviour cannot be compared without them.")
        for name, lowest in (("wanted", 0), ("population", 1), ("generations", 0), ("per_structure", 1)):
            if getattr(self, name) < lowest:
                raise DesignError(f"design: {name} is {getattr(self, name)}, allowed is {lowest} or more.")
        if not 0.0 <= self.complexity_cost < float("inf"):
            raise DesignError(f"design: complexity_cost is {self.complexity_cost}, allowed is 0 or more.")


@dataclass(frozen=True)
class Evaluation:
    """One design that was scored: a trial for the ledger. score and fitness are None where it could not be scored."""

    strategy: Strategy
    score: float | None
    fitness: float | None
    generation: int
    origin: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A design that is proposed. origin: the operator that made it; parents: identities it came from."""

    strategy: Strategy
    score: float | None
    fitness: float | None
    origin: str
    parents: tuple[str, ...]
    family: str

    @property
    def spec(self) -> StrategySpec:
        """Its spec, with a readable name and a rationale in plain words."""
        return self.strategy.spec

    @property
    def rationale(self) -> str:
        """What it does, when, and why it might work."""
        return self.strategy.spec.rationale


@dataclass(frozen=True)
class DesignResult:
    """candidates: best first. refused: in the order of meeting. evaluated: every call to the score function."""

    candidates: tuple[Candidate, ...]
    refused: tuple[Refusal, ...]
    evaluated: tuple[Evaluation, ...]
