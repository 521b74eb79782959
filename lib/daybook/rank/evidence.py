"""Evidence: what a strategy, model or ensemble did on bars that opened after its birth, each bar counted once."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from daybook.core.arrays import Floats
from daybook.core.time import DAY_MS, day_start_ms, parse_day
from daybook.rank.kinds import Kind
from daybook.rank.score import BLOCKS_PER_DAY


class EvidenceDay(BaseModel):
    """One research day's new evidence: the block returns of the 24 hours before `day` 00:00 UTC, after costs.

    blocks: 24 fractions, oldest first. trades: closed in those hours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: str
    blocks: tuple[float, ...] = Field(min_length=BLOCKS_PER_DAY, max_length=BLOCKS_PER_DAY)
    trades: int = Field(ge=0)

    @field_validator("day")
    @classmethod
    def _calendar_day(cls, day: str) -> str:
        return parse_day(day).isoformat()

    @field_validator("blocks")
    @classmethod
    def _finite(cls, blocks: tuple[float, ...]) -> tuple[float, ...]:
        if not all(math.isfinite(value) for value in blocks):
            raise ValueError("block returns must be finite; leave a day with missing blocks out, missing is not zero")
        return blocks

    @property
    def start_ms(self) -> int:
        """Open time of the first bar that this evidence covers, ms UTC."""
        return day_start_ms(parse_day(self.day)) - DAY_MS


class Evidence(BaseModel):
    """The forward record of one identity: days in order, each once, none of them reaching before its birth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: str
    kind: Kind
    birth_ms: int
    days: tuple[EvidenceDay, ...] = ()

    @model_validator(mode="after")
    def _forward_only(self) -> Evidence:
        names = [entry.day for entry in self.days]
        if names != sorted(set(names)):
            raise ValueError(f"evidence of {self.identity}: days must rise and appear once, found {names}")
        if self.days and self.days[0].start_ms < self.birth_ms:
            raise ValueError(
                f"evidence of {self.identity}: the day {names[0]} covers bars from before its birth; "
                "only later bars are evidence"
            )
        return self

    @property
    def born(self) -> tuple[Kind, str, int]:
        """Kind, identity and birth: the same design born again has another record."""
        return self.kind, self.identity, self.birth_ms

    @property
    def blocks(self) -> Floats:
        """(24 x days,) float64 fraction per 60-minute block, oldest first."""
        return np.array([value for entry in self.days for value in entry.blocks], dtype=np.float64)

    def missing(self, until: str, first: int | None = None) -> tuple[str, ...]:
        """Calendar days up to and with `until` (YYYY-MM-DD) of which the record says nothing, oldest first.

        first: look at so many days after birth only; at all of them when left out.
        """
        start, known = parse_day(first_evidence_day(self.birth_ms)), {entry.day for entry in self.days}
        length = (parse_day(until) - start).days + 1
        wanted = range(length if first is None else min(length, first))
        days = ((start + timedelta(days=number)).isoformat() for number in wanted)
        return tuple(day for day in days if day not in known)

    def unbroken(self, days: int) -> bool:
        """Whether the record holds every one of the first so many calendar days after birth."""
        last = parse_day(first_evidence_day(self.birth_ms)) + timedelta(days=days - 1)
        return len(self.days) >= days and not self.missing(last.isoformat())

    @property
    def trades(self) -> int:
        """Trades closed on forward bars."""
        return sum(entry.trades for entry in self.days)

    @property
    def daily_returns(self) -> Floats:
        """(days,) float64 return of each forward day, fraction of the initial capital."""
        return np.array([np.sum(entry.blocks) for entry in self.days], dtype=np.float64)

    def extended(self, entry: EvidenceDay) -> Evidence:
        """This record with one more day; the same day again replaces what it said before."""
        kept = [old for old in self.days if old.day != entry.day]
        days = tuple(sorted([*kept, entry], key=lambda one: one.day))
        return Evidence(identity=self.identity, kind=self.kind, birth_ms=self.birth_ms, days=days)

    def before(self, day: str) -> Evidence:
        """The part of this record that a research day could already see."""
        days = tuple(entry for entry in self.days if entry.day < day)
        return Evidence(identity=self.identity, kind=self.kind, birth_ms=self.birth_ms, days=days)


def extend_evidence(record: Evidence, day: str, blocks: Floats, trades: int) -> tuple[Evidence, str | None]:
    """The record with the newest 24 hours of a scored window, or unchanged with the reason why they are not evidence.

    blocks: (B,) 60-minute block returns that end at `day` 00:00 UTC, B >= 24; only the last 24 are taken, so that no
    bar counts twice. trades: closed in those 24 hours.
    """
    newest = np.asarray(blocks, dtype=np.float64)[-BLOCKS_PER_DAY:]
    first = first_evidence_day(record.birth_ms)
    if day < first:
        return record, f"the 24 hours before {day} reach before its birth; evidence begins on {first}"
    missing = BLOCKS_PER_DAY - int(np.sum(np.isfinite(newest)))
    if missing:
        return record, f"{missing} of {BLOCKS_PER_DAY} hours before {day} are missing, and missing is not zero"
    return record.extended(EvidenceDay(day=day, blocks=tuple(newest.tolist()), trades=trades)), None


def first_evidence_day(birth_ms: int) -> str:
    """The first research day whose newest 24 hours lie wholly after a birth, YYYY-MM-DD."""
    first_full_day = -(-birth_ms // DAY_MS)
    return (parse_day("1970-01-01") + timedelta(days=first_full_day + 1)).isoformat()
