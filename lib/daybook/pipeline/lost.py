"""What a day says of simulations that killed every worker: each is named, and its strategy goes without a score."""

from __future__ import annotations

from collections.abc import Iterator

from daybook.core.files import read_parquet
from daybook.pipeline.day import Day
from daybook.pipeline.manifest import STEPS
from daybook.pipeline.screening import LOST
from daybook.rank.ledger import FILE_NAME
from daybook.report import Notice

_COLUMNS = ["outcome", "returns_reason", "identity", "symbol", "timeframe", "params"]
_MOST_NAMED = 10


def lost_notices(day: Day) -> tuple[Notice, ...]:
    """One notice for each simulation that a step before this one lost, as its ledger has it; the first ten by name."""
    names = {member.identity: member.name for pool in day.state.pools.values() for member in pool.members}
    found = dict.fromkeys(f"{names.get(identity, f'design {identity[:12]}')} on {market} with {params}"
                          for identity, market, params in _lost(day))
    told = [Notice(where="simulation", message=f"{text}: {LOST}, so it has no result and no score", severity="error")
            for text in list(found)[:_MOST_NAMED]]
    if len(found) > _MOST_NAMED:
        told.append(Notice(where="simulation", message=f"{len(found) - _MOST_NAMED} more simulations were lost the "
                           "same way; the trial ledger names them", severity="error"))
    return tuple(told)


def _lost(day: Day) -> Iterator[tuple[str, str, str]]:
    """(identity, market, parameters) of each lost simulation, in the order of the day."""
    for step in STEPS:
        path = day.folder / "artefacts" / step / FILE_NAME
        if not path.is_file():
            continue
        for row in read_parquet(path, _COLUMNS).to_pylist():
            if row["outcome"] == "failed" and row["returns_reason"] == LOST:
                yield row["identity"], f"{row['symbol']} {row['timeframe']}", row["params"]
