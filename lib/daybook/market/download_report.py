"""What a download asked for, and what became of every file and bar."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from daybook.core.time import utc_text


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShortFile(_Record):
    """A valid file, or a finished span over REST, with fewer bars than minutes; the missing ones stay missing."""

    name: str
    rows: int
    minutes: int


class FailedPart(_Record):
    """A file or span that could not be had, and why."""

    name: str
    reason: str


class DownloadReport(_Record):
    """The result of one download.

    fetched: archive files that came over the network; present: used as they lay here. pending: not published yet.
    absent: long past and not in the archive, mostly because the market was not traded then; days are asked over REST
    all the same. requested: spans asked over REST.
    revised: bars that arrived with other values than stored; both are kept, and past days still see the old ones.
    conflicts: bars of which one download brought several versions; the first one stands. stale: an exchange could not
    be reached, has banned us or refused what only it has, so what is stored may be older than what there is.
    """

    venue: str
    symbols: tuple[str, ...]
    start_ms: int
    end_ms: int
    fetched: int = 0
    present: int = 0
    requested: int = 0
    pending: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    short: tuple[ShortFile, ...] = ()
    failed: tuple[FailedPart, ...] = ()
    rows: int = 0
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    revised: int = 0
    stale: bool = False

    @property
    def summary(self) -> str:
        """One line for a log or a command line."""
        counts = {
            "files fetched": self.fetched, "files here already": self.present, "spans over REST": self.requested,
            "not published yet": len(self.pending), "not in the archive": len(self.absent), "short": len(self.short),
            "failed": len(self.failed), "new bars": self.new, "known bars": self.duplicates,
            "revised bars": self.revised, "conflicting bars": self.conflicts, "quarantined bars": self.quarantined,
        }
        found = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing was missing"
        stale = "; STALE: an exchange could not be reached" if self.stale else ""
        return (f"{', '.join(self.symbols)} on {self.venue}, {utc_text(self.start_ms)} to {utc_text(self.end_ms)}: "
                f"{found}{stale}")
