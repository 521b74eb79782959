"""Who may enter the search: nothing known, nothing that behaves like something known, no family without end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daybook.core.arrays import Floats32
from daybook.market.bars import Bars
from daybook.strategy import SignalPlan, Strategy, positions_from_bits

SAME_BEHAVIOUR = 0.99
_MEMORY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Refusal:
    """A design that was turned away: its identity, why, and the identity or family it met (empty if none)."""

    identity: str
    reason: str
    against: str = ""


@dataclass(frozen=True)
class GateRules:
    """most_alike: members one structure may have in a search, known ones included. longest_warmup: bars."""

    most_alike: int = 6
    longest_warmup: int = 600
    same_behaviour: float = SAME_BEHAVIOUR


class Gate:
    """Remembers every design it has let in; probes are the bars on which positions are compared."""

    def __init__(self, probes: Sequence[Bars], known: Iterable[Strategy], known_identities: Iterable[str],
                 rules: GateRules) -> None:
        self._plans = [SignalPlan(bars, memory_bytes=_MEMORY_BYTES) for bars in probes]
        self._rules = rules
        self._identities = set(known_identities)
        self._structures: Counter[str] = Counter()
        self._paths: list[Floats32] = []
        self._owners: list[str] = []
        for strategy in known:
            self._remember(strategy, self.path(strategy))

    def path(self, strategy: Strategy, params: Mapping[str, float] | None = None) -> Floats32 | None:
        """Standardised positions over all probes, unit length; None where they never change."""
        holding = strategy.stops(params).max_holding
        pieces = [positions_from_bits(plan.bits(strategy, params), holding) for plan in self._plans]
        whole = np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)
        whole -= whole.mean() if whole.size else 0.0
        length = float(np.sqrt(whole @ whole))
        return None if length == 0.0 else whole / np.float32(length)

    def admit(self, strategy: Strategy) -> Refusal | None:
        """Let a design in and remember it, or say why not."""
        identity = strategy.identity
        if identity in self._identities:
            return Refusal(identity, "already known", identity)
        if self._structures[strategy.structure_hash] >= self._rules.most_alike:
            reason = f"its structure has {self._rules.most_alike} members already"
            return Refusal(identity, reason, strategy.structure_hash)
        warmup = strategy.warmup()
        if warmup > self._rules.longest_warmup:
            reason = f"needs {warmup} bars of warm-up, at most {self._rules.longest_warmup} are allowed"
            return Refusal(identity, reason)
        path = self.path(strategy)
        if path is None:
            return Refusal(identity, "never trades on the probe")
        likeness, owner = self.likeness(path)
        if likeness > self._rules.same_behaviour:
            return Refusal(identity, f"behaves like a known design (|rho| of positions {likeness:.3f})", owner)
        self._remember(strategy, path)
        return None

    def likeness(self, path: Floats32) -> tuple[float, str]:
        """Largest |correlation| of positions with anything let in so far, and whose it is."""
        if not self._paths:
            return 0.0, ""
        alike = np.abs(np.stack(self._paths) @ path)
        place = int(alike.argmax())
        return float(alike[place]), self._owners[place]

    def path_of(self, identity: str) -> Floats32 | None:
        """The positions of a design that was let in."""
        return self._paths[self._owners.index(identity)] if identity in self._owners else None

    def members(self, structure_hash: str) -> int:
        """How many designs of a structure are remembered."""
        return self._structures[structure_hash]

    def _remember(self, strategy: Strategy, path: Floats32 | None) -> None:
        self._identities.add(strategy.identity)
        self._structures[strategy.structure_hash] += 1
        if path is not None:
            self._paths.append(path)
            self._owners.append(strategy.identity)
