"""What a research day reads of the published state: everything official from before it, and nothing later."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from daybook.core.store import Store
from daybook.core.time import parse_day
from daybook.rank.evidence import Evidence
from daybook.rank.followed import Births
from daybook.rank.forward_test import ForwardTest
from daybook.rank.kinds import KINDS, Kind
from daybook.rank.ledger import TrialCounts
from daybook.rank.pool import Pool, PoolMember, empty_pool

if TYPE_CHECKING:
    import duckdb

HISTORY_DAYS = 30
ANY_RUN = 2**62
"""Above every place in publication order: all runs."""
_HISTORY = ("day", "kind", "identity", "name", "score")


class HistoryRow(BaseModel):
    """One past score."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    day: str
    kind: Kind
    identity: str
    name: str
    score: float | None


class RunRecord(BaseModel):
    """A published run, in a line: its place in publication order, its origin, and how many trials it added."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sequence: int
    run_id: str
    day: str
    number: int
    parent: str | None
    official: bool
    status: str
    seed: int
    source: str
    trials: int


class PriorState(BaseModel):
    """The published state that day `day` starts from.

    previous_day: the newest official day before it, None at the beginning. pools: that day's, empty ones at the
    beginning. evidence: forward record by identity, since its first birth, of that day's pool members and of those
    followed. history: scores of the last 30 days, oldest first. trials: evaluations of every run entered before,
    whatever their days; `today` is those of previous_day. identities: everything tried in these days, so that a
    duplicate is refused, and everything that ever was in a pool; a whole life of what was only tried would make every
    run folder larger for ever. tests: every forward test ever entered, in that order, which the online procedure goes
    on from. followed: former members, as they entered, whose one test is still to come. unfinished: ledgers of runs
    that were given up, by name, with the SHA-256 of each: they lie beside the state, are counted in trials and go into
    the store with this run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    day: str
    previous_day: str | None = None
    pools: dict[Kind, Pool]
    evidence: dict[str, Evidence] = Field(default_factory=dict)
    history: tuple[HistoryRow, ...] = ()
    trials: TrialCounts = Field(default_factory=TrialCounts)
    identities: frozenset[str] = frozenset()
    tests: tuple[ForwardTest, ...] = ()
    followed: tuple[PoolMember, ...] = ()
    unfinished: dict[str, str] = Field(default_factory=dict)

    @field_serializer("identities")
    def _sorted(self, hashes: frozenset[str]) -> list[str]:
        return sorted(hashes)

    @classmethod
    def empty(cls, day: str) -> PriorState:
        """The state before the very first day."""
        return cls(day=day, pools={kind: empty_pool(day, kind) for kind in KINDS})


def prior_state(store: Store, day: str, number: int = 1) -> PriorState:
    """state_before on the store's newest generation; empty when nothing was published yet."""
    if store.newest() is None:
        return PriorState.empty(day)
    return store.read(lambda connection: state_before(connection, day, number))


def state_before(connection: duckdb.DuckDBPyConnection, day: str, number: int = 1) -> PriorState:
    """Everything official from before `day` (YYYY-MM-DD), as run `number` of it finds it or once found it.

    What a run found is what runs entered before it had said, by publication order: a day that is run late knows the
    tests of later days, since it would spend their levels again, and none of their pools and records. Trials of all
    runs entered before count. A re-run knows the pools, tests and records that the first run of its day knew, so that
    it makes the same tests. Raises UsageError for a day that does not exist.
    """
    first = (parse_day(day) - timedelta(days=HISTORY_DAYS)).isoformat()
    own, known = _place(connection, day, number), _place(connection, day, 1)
    previous = connection.execute(
        "SELECT max(day) FROM runs WHERE official AND day < ? AND sequence < ?", [day, known]).fetchone()
    previous_day = previous[0] if previous else None
    pools: dict[Kind, Pool] = {kind: _pool(connection, previous_day, kind) or empty_pool(day, kind) for kind in KINDS}
    members = [member for pool in pools.values() for member in pool.members]
    history = connection.execute(
        "SELECT day, kind, identity, name, score FROM scores WHERE day >= ? AND day < ? AND day IN "
        "(SELECT day FROM runs WHERE official AND sequence < ?) ORDER BY ALL", [first, day, known]
    ).fetchall()
    tests = _tests(connection, known)
    births = Births.read(connection, day, known, tests)
    followed = births.followed(day, members)
    return PriorState(
        day=day, previous_day=previous_day, pools=pools,
        evidence=births.records(connection, day, known, [*members, *followed]),
        history=tuple(HistoryRow.model_validate(dict(zip(_HISTORY, row, strict=True))) for row in history),
        trials=_counts(connection, day, own, previous_day),
        identities=_tried(connection, first, day, own) | births.identities,
        tests=tests, followed=followed,
    )


def venue_of(connection: duckdb.DuckDBPyConnection, day: str) -> str | None:
    """The venue whose bars the official run of a day read; None where its record does not say."""
    found = connection.execute("SELECT facts FROM runs WHERE official AND day = ?", [day]).fetchone()
    facts: dict[str, Any] = json.loads(found[0]) if found else {}
    return facts.get("venue")


def trial_counts(connection: duckdb.DuckDBPyConnection, day: str, before: int = ANY_RUN) -> TrialCounts:
    """Evaluations of the runs of `day`, of all runs, and all by kind.

    before: only runs with a lower place in publication order count. What a run took in from unfinished runs counts with
    it.
    """
    rows = connection.execute(
        "SELECT kind, count(*), count(*) FILTER (runs.day = ?) FROM trials JOIN runs USING (sequence) "
        "WHERE sequence < ? GROUP BY kind ORDER BY kind", [day, before],
    ).fetchall()
    return TrialCounts(
        today=sum(row[2] for row in rows), ever=sum(row[1] for row in rows), by_kind={row[0]: row[1] for row in rows}
    )


def published_runs(connection: duckdb.DuckDBPyConnection) -> tuple[RunRecord, ...]:
    """Every run that was published, in the order in which a rebuild must publish them again."""
    names = list(RunRecord.model_fields)
    rows = connection.execute(f"SELECT {', '.join(names)} FROM runs ORDER BY sequence").fetchall()  # noqa: S608  # nosec B608
    return tuple(RunRecord.model_validate(dict(zip(names, row, strict=True))) for row in rows)


def pool_of(connection: duckdb.DuckDBPyConnection, day: str, kind: Kind) -> Pool | None:
    """The official snapshot of a day, None when the day has none."""
    return _pool(connection, day, kind)


def _pool(connection: duckdb.DuckDBPyConnection, day: str | None, kind: Kind) -> Pool | None:
    found = connection.execute("SELECT capacity FROM pools WHERE day = ? AND kind = ?", [day, kind]).fetchone()
    if day is None or found is None:
        return None
    rows = connection.execute(
        "SELECT payload FROM pool_members WHERE day = ? AND kind = ? ORDER BY rank", [day, kind]
    ).fetchall()
    members = tuple(PoolMember.model_validate_json(row[0]) for row in rows)
    return Pool(day=day, kind=kind, capacity=found[0], members=members)


def _place(connection: duckdb.DuckDBPyConnection, day: str, number: int) -> int:
    """Place of a run in publication order; above every other while it is not published."""
    found = connection.execute("SELECT sequence FROM runs WHERE day = ? AND number = ?", [day, number]).fetchone()
    return int(found[0]) if found else ANY_RUN


def _counts(
    connection: duckdb.DuckDBPyConnection, day: str, before: int, previous_day: str | None
) -> TrialCounts:
    last = previous_day or (parse_day(day) - timedelta(days=1)).isoformat()
    return trial_counts(connection, last, before)


def _tests(connection: duckdb.DuckDBPyConnection, before: int) -> tuple[ForwardTest, ...]:
    names = list(ForwardTest.model_fields)
    rows = connection.execute(
        f"SELECT {', '.join(f'tests.{name}' for name in names)} FROM tests "  # noqa: S608  # nosec B608
        "JOIN runs ON runs.official AND runs.day = tests.day WHERE sequence < ? ORDER BY sequence, place", [before]
    ).fetchall()
    return tuple(ForwardTest.model_validate(dict(zip(names, row, strict=True))) for row in rows)


def _tried(connection: duckdb.DuckDBPyConnection, first: str, day: str, before: int) -> frozenset[str]:
    query = ("SELECT DISTINCT identity FROM trials WHERE day >= ? AND day < ? AND kind <> 'null' AND sequence < ?")
    rows = connection.execute(query, [first, day, before]).fetchall()
    return frozenset(row[0] for row in rows)
