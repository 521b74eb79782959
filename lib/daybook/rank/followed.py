"""Whatever entered a pool keeps its first birth and is followed to its one test, in the pool or not.

A score over the same days decides who stays in a pool. If only those who stay were tested, noise that was lucky would
be tested and noise that was not would be forgotten, and p values of noise would not be uniform any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from daybook.core.time import parse_day
from daybook.rank.evidence import Evidence, EvidenceDay
from daybook.rank.forward_test import FORWARD_DAYS, ForwardTest
from daybook.rank.kinds import Kind
from daybook.rank.pool import PoolMember

if TYPE_CHECKING:
    import duckdb

LATEST_DAYS = 35
"""Days after the test was due for which a former member is followed, in case days that were not run are made up for."""
_FIRST = """
    SELECT kind, identity, first_day, payload FROM (
        SELECT kind, identity, pool_members.day AS first_day, payload,
               row_number() OVER (PARTITION BY kind, identity ORDER BY sequence) AS place
        FROM pool_members JOIN runs ON runs.official AND runs.day = pool_members.day
        WHERE pool_members.day < ? AND sequence < ?)
    WHERE place = 1 ORDER BY ALL"""
_DAYS = """
    SELECT kind, identity, birth_ms, forward_day, blocks, trades FROM (
        SELECT told.*, row_number() OVER (PARTITION BY kind, identity, birth_ms, forward_day ORDER BY sequence) AS place
        FROM (SELECT day, day AS forward_day, kind, identity, birth_ms, blocks, trades FROM evidence
              UNION ALL BY NAME SELECT * FROM followed) AS told
        JOIN runs ON runs.official AND runs.day = told.day
        WHERE forward_day < ? AND sequence < ? AND identity IN (SELECT unnest(?::VARCHAR[])))
    WHERE place = 1 ORDER BY forward_day"""
"""Of a forward day that two runs tell of, the word of the run that was entered first counts."""


@dataclass(frozen=True)
class Births:
    """Everything that ever was in a pool, by kind and identity.

    first: the day of the first pool that held it, and itself as it entered, in JSON. tests: every test ever entered.
    """

    first: Mapping[tuple[Kind, str], tuple[str, str]]
    tests: Sequence[ForwardTest]

    @classmethod
    def read(
        cls, connection: duckdb.DuckDBPyConnection, day: str, before: int, tests: Sequence[ForwardTest]
    ) -> Births:
        """What runs with a lower place in publication order than `before` put into pools of days before `day`."""
        rows = connection.execute(_FIRST, [day, before]).fetchall()
        return cls({(kind, identity): (first, payload) for kind, identity, first, payload in rows}, tests)

    @property
    def identities(self) -> frozenset[str]:
        """All of them; a design that was born is not born again."""
        return frozenset(identity for _, identity in self.first)

    def followed(self, day: str, members: Iterable[PoolMember]) -> tuple[PoolMember, ...]:
        """Those that are in no pool any more and whose one test can still come, by kind and identity."""
        done = {*self._tested, *((member.kind, member.identity) for member in members)}
        oldest = (parse_day(day) - timedelta(days=FORWARD_DAYS + LATEST_DAYS)).isoformat()
        return tuple(PoolMember.model_validate_json(payload) for born, (first, payload) in sorted(self.first.items())
                     if born not in done and first >= oldest)

    def records(
        self, connection: duckdb.DuckDBPyConnection, day: str, before: int, members: Iterable[PoolMember]
    ) -> dict[str, Evidence]:
        """Identity -> forward record up to `day`, since the birth that its test was of, else since its first birth."""
        births = {(one.kind, one.identity): self._birth_ms(one) for one in members}
        identities = [identity for _, identity in births]
        days: dict[tuple[Any, ...], list[EvidenceDay]] = {(*born, birth_ms): [] for born, birth_ms in births.items()}
        for *born, forward_day, blocks, trades in connection.execute(_DAYS, [day, before, identities]).fetchall():
            if tuple(born) in days:
                days[tuple(born)].append(EvidenceDay(day=forward_day, blocks=tuple(blocks), trades=trades))
        return {
            identity: Evidence(identity=identity, kind=kind, birth_ms=birth_ms,
                               days=tuple(days[kind, identity, birth_ms]))
            for (kind, identity), birth_ms in births.items()
        }

    @cached_property
    def _tested(self) -> dict[tuple[Kind, str], int]:
        return {(test.kind, test.identity): test.birth_ms for test in self.tests}

    def _birth_ms(self, member: PoolMember) -> int:
        key = member.kind, member.identity
        if key in self._tested:
            return self._tested[key]
        return PoolMember.model_validate_json(self.first[key][1]).birth_ms if key in self.first else member.birth_ms
