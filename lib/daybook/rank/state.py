"""What a research day reads of the published state: everything official from before it, and nothing later."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from daybook.core.store import Store
from daybook.core.time import parse_day
from daybook.rank.evidence import Evidence, EvidenceDay
from daybook.rank.forward_test import ForwardTest
from daybook.rank.kinds import KINDS, Kind
from daybook.rank.ledger import TrialCounts
from daybook.rank.pool import Pool, PoolMember, empty_pool

if TYPE_CHECKING:
    import duckdb

HISTORY_DAYS = 30
ANY_RUN = 2**31
"""Above every run number: all runs of a day."""
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
    beginning. evidence: forward record by identity, of that day's pool members. history: scores of the last 30 days,
    oldest first. trials: evaluations of earlier days and, for a re-run, of the earlier runs of its own day; `today` is
    those of previous_day. identities: everything tried in these days, so that a duplicate is refused; a whole life of
    them would make every run folder larger for ever. tests: every forward test ever made, in order, which the online
    procedure goes on from. unfinished: ledgers of runs that were given up, by name, with the SHA-256 of each: they lie
    beside the state, are counted in trials and go into the store with this run.
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
    """Everything official from before `day` (YYYY-MM-DD), so that re-running a past day sees what was known then.

    Trials of every run of earlier days count, re-runs included, and those of the runs of this day with a lower number:
    whoever runs a day again has tried more. Raises UsageError for a day that does not exist.
    """
    first = (parse_day(day) - timedelta(days=HISTORY_DAYS)).isoformat()
    previous = connection.execute("SELECT max(day) FROM runs WHERE official AND day < ?", [day]).fetchone()
    previous_day = previous[0] if previous else None
    pools: dict[Kind, Pool] = {kind: _pool(connection, previous_day, kind) or empty_pool(day, kind) for kind in KINDS}
    members = [member for pool in pools.values() for member in pool.members]
    history = connection.execute(
        "SELECT day, kind, identity, name, score FROM scores WHERE day >= ? AND day < ? ORDER BY ALL", [first, day]
    ).fetchall()
    return PriorState(
        day=day, previous_day=previous_day, pools=pools,
        evidence={member.identity: _evidence(connection, member, day) for member in members},
        history=tuple(HistoryRow.model_validate(dict(zip(_HISTORY, row, strict=True))) for row in history),
        trials=_counts(connection, day, number, previous_day),
        identities=_tried(connection, first, day),
        tests=_tests(connection, day),
    )


def venue_of(connection: duckdb.DuckDBPyConnection, day: str) -> str | None:
    """The venue whose bars the official run of a day read; None where its record does not say."""
    found = connection.execute("SELECT facts FROM runs WHERE official AND day = ?", [day]).fetchone()
    facts: dict[str, Any] = json.loads(found[0]) if found else {}
    return facts.get("venue")


def trial_counts(connection: duckdb.DuckDBPyConnection, day: str, before_run: int = ANY_RUN) -> TrialCounts:
    """Evaluations of the runs of `day`, of these and every earlier day's, and all by kind.

    before_run: of `day`, only runs with a lower number count. What a run took in from unfinished runs counts with it.
    """
    rows = connection.execute(
        "SELECT kind, count(*), count(*) FILTER (runs.day = ?) FROM trials JOIN runs USING (sequence) "
        "WHERE runs.day < ? OR (runs.day = ? AND runs.number < ?) GROUP BY kind ORDER BY kind",
        [day, day, day, before_run],
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


def _evidence(connection: duckdb.DuckDBPyConnection, member: PoolMember, day: str) -> Evidence:
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT day, blocks, trades FROM evidence "
        "WHERE identity = ? AND kind = ? AND birth_ms = ? AND day < ? ORDER BY day",
        [member.identity, member.kind, member.birth_ms, day],
    ).fetchall()
    days = tuple(EvidenceDay(day=row[0], blocks=tuple(row[1]), trades=row[2]) for row in rows)
    return Evidence(identity=member.identity, kind=member.kind, birth_ms=member.birth_ms, days=days)


def _counts(
    connection: duckdb.DuckDBPyConnection, day: str, number: int, previous_day: str | None
) -> TrialCounts:
    found = trial_counts(connection, day, number)
    last = previous_day or (parse_day(day) - timedelta(days=1)).isoformat()
    return found.model_copy(update={"today": trial_counts(connection, last).today})


def _tests(connection: duckdb.DuckDBPyConnection, day: str) -> tuple[ForwardTest, ...]:
    names = list(ForwardTest.model_fields)
    rows = connection.execute(
        f"SELECT {', '.join(names)} FROM tests WHERE day < ? ORDER BY day, place", [day]  # noqa: S608  # nosec B608
    ).fetchall()
    return tuple(ForwardTest.model_validate(dict(zip(names, row, strict=True))) for row in rows)


def _tried(connection: duckdb.DuckDBPyConnection, first: str, day: str) -> frozenset[str]:
    query = "SELECT DISTINCT identity FROM trials WHERE day >= ? AND day < ? AND kind <> 'null'"
    rows = connection.execute(query, [first, day]).fetchall()
    return frozenset(row[0] for row in rows)


