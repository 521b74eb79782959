"""What differs between two versions of the candles: snapshots, the store as it is, and what runs have sealed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from daybook.core.errors import DataError
from daybook.core.files import read_json
from daybook.core.settings import Settings
from daybook.core.time import MINUTE_MS, Window, utc_text
from daybook.market.bars import Bars
from daybook.market.row_difference import RowDifference, row_difference
from daybook.market.rows import CandleRows, joined, rows_of
from daybook.market.snapshots import NOW, CandleVersion, Snapshots
from daybook.pipeline.conditions import FUNDING
from daybook.pipeline.costs import SEALED_IDENTITY
from daybook.pipeline.folders import RunFolders

EXAMPLES = 3
_MOST_DAYS = 8
_RUN = re.compile(r"\d{4}-\d{2}-\d{2}(/.*)?", re.ASCII)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChangedBar(_Answer):
    """One bar that has other values: when it opened, ms UTC, and each value before and after."""

    open_time: int
    values: dict[str, tuple[float, float]]

    def text(self) -> str:
        """`2022-04-28 01:35 UTC  low 39395.41 -> 39409.3`."""
        shown = ", ".join(f"{name} {old:.15g} -> {new:.15g}" for name, (old, new) in self.values.items())
        return f"{utc_text(self.open_time)}  {shown}"


class MarketDifference(_Answer):
    """What differs in one market and span, a month or what two runs share.

    added, removed, changed: bars, seen from the first version; None where the rows of a side are no longer kept.
    revised: how many of the changed ones a known revision brought. days: UTC days that hold a difference.
    """

    venue: str
    symbol: str
    span: str
    added: int | None
    removed: int | None
    changed: int | None
    revised: int | None = None
    days: tuple[str, ...] = ()
    examples: tuple[ChangedBar, ...] = ()
    note: str = ""

    def text(self) -> str:
        """One line, and one for each example."""
        name = f"{self.venue} {self.symbol} {self.span}"
        if self.changed is None:
            return f"{name}: differs; {self.note}"
        revised = f" ({self.revised} by a known revision)" if self.revised else ""
        shown = ", ".join(self.days[:_MOST_DAYS])
        more = f" and {len(self.days) - _MOST_DAYS} more" if len(self.days) > _MOST_DAYS else ""
        head = (f"{name}: {self.added:,} added, {self.removed:,} removed, {self.changed:,} changed{revised}; "
                f"on {shown}{more}{'; ' + self.note if self.note else ''}")
        return "\n".join([head, *(f"    {example.text()}" for example in self.examples)])


class DataDifference(_Answer):
    """Everything that differs, market by market. compared: how many market months, or markets of runs, were."""

    first: str
    second: str
    equal: bool
    compared: int
    markets: tuple[MarketDifference, ...] = ()
    notes: tuple[str, ...] = Field(default=())

    def text(self) -> str:
        """For people."""
        if self.equal:
            return f"{self.first} and {self.second}: the same rows in all {self.compared} that were compared."
        lines = [f"from {self.first} to {self.second}: {len(self.markets)} of {self.compared} differ"]
        return "\n".join([*lines, *self.notes, *(market.text() for market in self.markets)])


@dataclass(frozen=True)
class SealedData:
    """What a run has sealed (`inputs/bars.json`): its venue, window, and the hash and number of each market's bars."""

    label: str
    venue: str
    window: Window
    hashes: dict[str, str]
    bars: dict[str, int]
    costs: str | None
    funding: str | None = None

    @property
    def markets(self) -> set[tuple[str, str]]:
        """Venue and symbol of every market."""
        return {(self.venue, symbol) for symbol in self.hashes}


def difference(first: str, second: str, settings: Settings) -> DataDifference:
    """Compare two versions: a snapshot's name, `now`, or a run (YYYY-MM-DD/NN, or a day for its official run).

    Where a run is one side, what it sealed is looked for in the store and in every snapshot, by its hash.
    Raises UsageError for an ill-formed name, DataError for one that does not exist or whose file is damaged.
    """
    snapshots = Snapshots(settings.data)
    sides = [_opened(name, snapshots, settings) for name in (first, second)]
    one, other = sides
    if isinstance(one, CandleVersion) and isinstance(other, CandleVersion):
        return _between_versions(one, other)
    return _between_runs(one, other, snapshots)


def _opened(name: str, snapshots: Snapshots, settings: Settings) -> CandleVersion | SealedData:
    if not _RUN.fullmatch(name):
        return snapshots.version(name)
    folder = RunFolders(settings.runs).existing(name)
    return _sealed(folder, f"run {folder.parent.name}/{folder.name}")


def _sealed(folder: Path, label: str) -> SealedData:
    path = folder / "inputs" / "bars.json"
    found = read_json(path)
    try:
        markets: dict[str, Any] = found["markets"]
        return SealedData(
            label, str(found["venue"]), Window(*found["window"]),
            {symbol: str(market["data_hash"]) for symbol, market in markets.items()},
            {symbol: int(market["bars"]) for symbol, market in markets.items()}, found.get(SEALED_IDENTITY),
            found.get(FUNDING, {}).get("identity"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not what a run seals ({type(error).__name__}: {error}). Restore the run's folder "
                        "from a backup.") from error


def _between_versions(one: CandleVersion, other: CandleVersion) -> DataDifference:
    keys = sorted({*one.months, *other.months})
    found = []
    for key in keys:
        before, after = one.months.get(key), other.months.get(key)
        if before is not None and after is not None and before.rows_hash == after.rows_hash:
            continue
        rows = [joined([]) if month is None else version.rows(key)
                for month, version in ((before, one), (after, other))]
        venue, symbol, month = key
        counts = [0 if part is None else part.rows for part in (before, after)]
        if rows[0] is None or rows[1] is None:
            lost = one.label if rows[0] is None else other.label
            found.append(_unseen(venue, symbol, month, f"{counts[0]:,} and {counts[1]:,} bars, the rows of {lost} are "
                                                       "no longer kept"))
            continue
        revised = [version.revised(key) for version in (one, other) if key in version.months]
        note = "" if before and after else f"only in {other.label if after else one.label}"
        found.append(_told(venue, symbol, month, row_difference(rows[0], rows[1]), revised, note))
    return DataDifference(first=one.label, second=other.label, equal=not found, compared=len(keys),
                          markets=tuple(found))


def _between_runs(one: CandleVersion | SealedData, other: CandleVersion | SealedData,
                  snapshots: Snapshots) -> DataDifference:
    runs = [side for side in (one, other) if isinstance(side, SealedData)]
    shared = Window(max(run.window.start_ms for run in runs), _end(runs)) if _overlap(runs) else None
    notes = _run_notes(runs)
    markets = sorted(set().union(*(run.markets for run in runs)))
    holders = [snapshots.version(name) for name in (NOW, *reversed(snapshots.names()))]
    found = []
    for venue, symbol in markets:
        difference = _market_of_runs((venue, symbol), (one, other), shared, holders)
        if difference is not None:
            found.append(difference)
    equal = not found and not notes
    return DataDifference(first=one.label, second=other.label, equal=equal, compared=len(markets),
                          markets=tuple(found), notes=tuple(notes))


def _end(runs: Iterable[SealedData]) -> int:
    return min(run.window.end_ms for run in runs)


def _overlap(runs: list[SealedData]) -> bool:
    return _end(runs) > max(run.window.start_ms for run in runs)


def _run_notes(runs: list[SealedData]) -> list[str]:
    """What differs between two runs beside their rows: the window, measured costs, and funding settlements."""
    if len(runs) < 2:
        return []
    one, other = runs
    notes = []
    if one.window != other.window:
        spans = [f"{utc_text(run.window.start_ms)} to {utc_text(run.window.end_ms)}" for run in runs]
        what = "only what both saw is compared" if _overlap(runs) else "they share no minute"
        notes.append(f"the windows differ, {spans[0]} and {spans[1]}: {what}")
    if one.costs != other.costs:
        told = ["costs as set" if run.costs is None else f"measured costs {run.costs[:12]}" for run in runs]
        notes.append(f"the execution costs differ: {told[0]} and {told[1]}")
    if one.funding != other.funding:
        told = ["no funding" if run.funding is None else f"settlements {run.funding[:12]}" for run in runs]
        notes.append(f"the funding differs: {told[0]} and {told[1]}")
    return notes


def _market_of_runs(market: tuple[str, str], sides: tuple[CandleVersion | SealedData, CandleVersion | SealedData],
                    window: Window | None, holders: list[CandleVersion]) -> MarketDifference | None:
    venue, symbol = market
    here = [not isinstance(side, SealedData) or market in side.markets for side in sides]
    span = "-" if window is None else f"{utc_text(window.start_ms)} to {utc_text(window.end_ms)}"
    if not all(here):
        return _unseen(venue, symbol, span, f"only in {sides[here.index(True)].label}")
    if window is None or _same_seal(symbol, sides):
        return None
    bars = [_bars_of(side, market, window, holders) for side in sides]
    if bars[0] is None or bars[1] is None:
        lost = " and ".join(side.label for side, found in zip(sides, bars, strict=True) if found is None)
        counts = ", ".join(f"{side.bars[symbol]:,} bars sealed by {side.label}" for side in sides
                           if isinstance(side, SealedData))
        return _unseen(venue, symbol, span, f"{counts}; neither the store nor a snapshot has the rows of {lost}")
    found = row_difference(*(rows_of(part, MINUTE_MS) for part in bars if part is not None))
    return _told(venue, symbol, span, found, [], "") if found else None


def _same_seal(symbol: str, sides: tuple[CandleVersion | SealedData, CandleVersion | SealedData]) -> bool:
    one, other = sides
    return (isinstance(one, SealedData) and isinstance(other, SealedData) and one.window == other.window
            and one.hashes[symbol] == other.hashes[symbol])


def _bars_of(side: CandleVersion | SealedData, market: tuple[str, str], window: Window,
             holders: list[CandleVersion]) -> Bars | None:
    """A side's bars in the window; those of a run from whoever still has exactly what it sealed."""
    venue, symbol = market
    if isinstance(side, CandleVersion):
        return side.bars(venue, symbol, window)
    for holder in holders:
        bars = holder.bars(venue, symbol, side.window)
        if bars is not None and bars.data_hash == side.hashes[symbol]:
            return bars.within(window)
    return None


def _unseen(venue: str, symbol: str, span: str, note: str) -> MarketDifference:
    return MarketDifference(venue=venue, symbol=symbol, span=span, added=None, removed=None, changed=None, note=note)


def _told(venue: str, symbol: str, span: str, found: RowDifference, revised: list[CandleRows | None],
          note: str) -> MarketDifference:
    known = {int(time) for rows in revised if rows is not None for time in rows.open_time}
    return MarketDifference(
        venue=venue, symbol=symbol, span=span, added=int(found.added.size), removed=int(found.removed.size),
        changed=int(found.changed.size), revised=sum(int(time) in known for time in found.changed), days=found.days,
        examples=tuple(ChangedBar(open_time=time, values=values) for time, values in found.examples(EXAMPLES)),
        note=note,
    )
