"""What one finished run hands to the publish step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from daybook.core.errors import DataError
from daybook.core.hashing import canonical_json, hash_json
from daybook.core.time import parse_day
from daybook.rank.evidence import Evidence
from daybook.rank.forward_test import ForwardTest
from daybook.rank.kinds import KINDS, Kind
from daybook.rank.ledger import UNFINISHED, checked, joined, read_trials
from daybook.rank.pool import Pool
from daybook.rank.score import ScoreResult
from daybook.rank.update import Archived


class ScoreRow(BaseModel):
    """A day's score of one strategy, model or ensemble, in the pool or not."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Kind
    identity: str
    name: str
    result: ScoreResult


class RunResult(BaseModel):
    """A finished run, as the store records it. No wall-clock time belongs here: equal runs must have equal records.

    run_id: `2023-06-14/01`. official: run 01, or a re-run that was adopted; only such a run changes pools.
    previous_day: the official day whose pools the run started from, None at the very beginning. facts: further
    manifest facts as JSON values. evidence: the forward records with this day's entry in them. tests: the candidates
    whose one test fell on this day, in the order in which they were tested. followed: all forward days that this run
    simulated, and no others: with those of former members, and earlier ones on which nothing was run. trials: one
    ledger a step, in step order, as Parquet paths or tables. unfinished: ledgers of runs that were given up, which this
    run took in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)

    run_id: str
    day: str
    number: int = Field(ge=1)
    parent: str | None = None
    official: bool
    status: str
    previous_day: str | None = None
    seed: int
    source: str
    code_hash: str
    data_hash: str
    settings_hash: str = ""
    facts: Mapping[str, Any] = Field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    archived: tuple[Archived, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    tests: tuple[ForwardTest, ...] = ()
    followed: tuple[Evidence, ...] = ()
    trials: tuple[Path | pa.Table, ...] = ()
    unfinished: tuple[Path | pa.Table, ...] = ()

    @field_validator("day")
    @classmethod
    def _calendar_day(cls, day: str) -> str:
        return parse_day(day).isoformat()

    @field_validator("facts")
    @classmethod
    def _json_only(cls, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            canonical_json(dict(facts))
        except (TypeError, ValueError) as error:
            raise ValueError(f"facts must be JSON without NaN: {error}") from None
        return facts

    @model_validator(mode="after")
    def _consistent(self) -> RunResult:
        expected = f"{self.day}/{self.number:02d}"
        if self.run_id != expected:
            raise ValueError(f"run_id is {self.run_id!r}, allowed is {expected!r}: day and number name the run")
        if self.previous_day is not None and self.previous_day >= self.day:
            raise ValueError(f"run {self.run_id}: previous_day {self.previous_day} must lie before its day")
        kinds = [pool.kind for pool in self.pools]
        if sorted(kinds) != sorted(set(kinds)) or any(pool.day != self.day for pool in self.pools):
            raise ValueError(f"run {self.run_id}: one pool a kind, of the run's own day; found {kinds}")
        if self.official and set(kinds) != set(KINDS):
            raise ValueError(f"run {self.run_id}: an official run needs the pools {', '.join(KINDS)}; found {kinds}")
        if any(test.day != self.day for test in self.tests):
            raise ValueError(f"run {self.run_id}: tests of {sorted({test.day for test in self.tests})}; its day only")
        late = [record.identity for record in (*self.evidence, *self.followed)
                if record.days and record.days[-1].day > self.day]
        if late:
            raise ValueError(f"run {self.run_id}: evidence from after its day, of {', '.join(late)}")
        return self

    def trial_rows(self) -> pa.Table:
        """The ledgers as one table, its own in step order, then those of the unfinished runs that it took in.

        Raises DataError when one is missing, corrupt or of another finished run.
        """
        own = [self._ledger(ledger, lambda name: name == self.run_id) for ledger in self.trials]
        taken_in = [self._ledger(ledger, lambda name: name.startswith(UNFINISHED)) for ledger in self.unfinished]
        return joined([*own, *taken_in])

    def _ledger(self, ledger: Path | pa.Table, allowed: Callable[[str], bool]) -> pa.Table:
        table = read_trials(ledger) if isinstance(ledger, Path) else checked(ledger, f"run {self.run_id} trials")
        foreign = [name for name in table["run_id"].unique().to_pylist() if not allowed(name)]
        if foreign:
            raise DataError(f"run {self.run_id}: a trial ledger holds rows of {foreign}; only its own are allowed, and "
                            f"in ledgers that it took in those of {UNFINISHED}... runs.")
        return table

    def record_hash(self, digests: Sequence[bytes]) -> str:
        """SHA-256 of everything recorded but the official mark, so that adopting a run leaves it what it was.

        digests: row_digests of trial_rows().
        """
        # Runs of before these fields had no such thing, and their hashes must stay what they are.
        empty = {name for name in ("tests", "followed") if not getattr(self, name)}
        without = {"official", "trials", "unfinished"} | empty
        facts = self.model_dump(mode="json", exclude=without)
        return hash_json([facts, hashlib.sha256(b"".join(digests)).hexdigest()])
