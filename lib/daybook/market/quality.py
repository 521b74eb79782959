"""What is wrong with the candles of a window or file: counted, located, judged; nothing is repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from daybook.core.arrays import Bools, Ints
from daybook.core.errors import UsageError
from daybook.core.time import MINUTE_MS, Window, timeframe_ms, utc_text
from daybook.market.aggregate import masked
from daybook.market.bars import Bars
from daybook.market.candle_files import read_candle_file
from daybook.market.errors import CandleFileError
from daybook.market.names import interval_ms, interval_name, named_window
from daybook.market.progress import Progress, silent
from daybook.market.quarantine import Quarantined
from daybook.market.rows import CandleRows, distinct, rows_of
from daybook.market.spikes import Spike, find_spikes
from daybook.market.store import CandleStore
from daybook.market.validity import BAD_CLOSE_TIME, OFF_GRID, OK, defects, impossible

MAX_MISSING = 0.02
"""Fraction of a window's bars that may be missing or unusable, where no other limit is given."""
MAX_GAPS_LISTED = 20
MAX_SPIKES_LISTED = 20
MAX_CLOSES_LISTED = 20


class Gap(BaseModel):
    """A hole between two bars: open times (ms UTC) of the last before and the first after, and whole bars missing.

    last_before_ms or first_after_ms is None where the hole reaches an edge of the window.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    last_before_ms: int | None
    first_after_ms: int | None
    missing: int


class EarlyClose(BaseModel):
    """A bar that closed before its time: open time and (exclusive) close time in ms UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open_time_ms: int
    close_time_ms: int


class QualityReport(BaseModel):
    """Quality of one market's candles over [start_ms, end_ms), times in ms UTC.

    expected: bars of this length in the window. present: different open times found. usable: bars free of defects;
    completeness = usable / expected. gaps: the MAX_GAPS_LISTED longest of gap_count, in time
    order; missing: whole bars that fit into all holes. duplicates: rows whose open time was there already.
    off_minute: open times off the grid of full bars. zero_volume: bars without trades (a halt or frozen price), and
    their longest run. impossible: prices, volumes or close times no market can have printed. irregular_closes: bars
    that closed before their time, the first MAX_CLOSES_LISTED of them in early_closes. quarantined: rows of the window
    that were refused at import. spikes: bars whose prices stand alone (see `spikes`), the first MAX_SPIKES_LISTED of
    them in spike_bars; spikes_confirmed: equally extreme ones in whose minutes other markets moved too. Both stay in
    the data. revised: bars of the store that an exchange had corrected by the window's end. masked_5m, masked_60m: of
    1-minute bars, how many longer bars inside the window have too few of their minutes and are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    venue: str
    symbol: str
    timeframe: str
    start_ms: int
    end_ms: int
    expected: int
    present: int
    usable: int
    completeness: float
    gap_count: int
    missing: int
    gaps: tuple[Gap, ...]
    duplicates: int
    off_minute: int
    zero_volume: int
    zero_volume_longest: int
    impossible: int
    irregular_closes: int
    quarantined: int
    max_missing: float
    early_closes: tuple[EarlyClose, ...] = ()
    spikes: int = 0
    spikes_confirmed: int = 0
    spike_bars: tuple[Spike, ...] = ()
    revised: int = 0
    masked_5m: int = 0
    masked_60m: int = 0

    @property
    def verdict(self) -> Literal["complete", "usable", "unusable"]:
        """complete: every bar there and nothing to doubt; usable: within max_missing; else unusable."""
        if self.usable == self.expected and not (self.duplicates or self.quarantined or self.spikes):
            return "complete"
        return "usable" if self.ok else "unusable"

    @property
    def ok(self) -> bool:
        """Whether at most max_missing of the expected bars are missing or unusable."""
        return self.expected - self.usable <= self.max_missing * self.expected

    @property
    def summary(self) -> str:
        """One line for a person: verdict, completeness, and every count that is not zero."""
        frozen = f" ({self.zero_volume_longest:,} in a row)" if self.zero_volume_longest > 1 else ""
        counts = {
            "gaps": self.gap_count, "missing bars": self.missing, "duplicates": self.duplicates,
            "off-minute stamps": self.off_minute, f"zero-volume bars{frozen}": self.zero_volume,
            "impossible bars": self.impossible, "irregular closes": self.irregular_closes,
            "quarantined": self.quarantined, "prices that stand alone": self.spikes,
            "revised bars": self.revised, "5m bars masked": self.masked_5m, "60m bars masked": self.masked_60m,
        }
        found = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing wrong"
        return (f"{self.symbol} {self.timeframe} on {self.venue}: {self.verdict}, {self.usable:,} of "
                f"{self.expected:,} bars ({self.completeness:.3%}; at least {1 - self.max_missing:.1%} wanted), "
                f"{utc_text(self.start_ms)} to {utc_text(self.end_ms)}: {found}")


@dataclass(frozen=True)
class Subject:
    """What a check is about. window: None stands for first to last bar. length_ms: of one bar."""

    venue: str
    symbol: str
    length_ms: int = MINUTE_MS
    window: Window | None = None
    max_missing: float = MAX_MISSING


def check_quality(bars: Bars, window: Window | None = None, *, max_missing: float = MAX_MISSING) -> QualityReport:
    """Quality of a bar table, over a window or from its first to its last bar.

    Raises UsageError for an empty table without a window.
    """
    length_ms = interval_ms(bars.timeframe) or timeframe_ms(bars.timeframe)
    return check_rows(rows_of(bars, length_ms), Subject(bars.venue, bars.symbol, length_ms, window, max_missing))


def check_store(store: CandleStore, venue: str, symbol: str, window: Window, *,
                max_missing: float = MAX_MISSING, peers: Sequence[str] = (), as_of: int | None = None) -> QualityReport:
    """Quality of a stored market's 1-minute bars over a window as they were known at its end, with the refused rows.

    peers: other symbols of the venue, whose moves in the same minutes tell a crash from a slipped price.
    as_of: ms UTC at which the bars were known, instead of the window's end.
    """
    moment = window.end_ms if as_of is None else as_of

    def known(name: str) -> CandleRows:
        return store.rows(venue, name, window, known_before=moment)

    refused = store.quarantined(venue, symbol, window)
    report = check_rows(known(symbol), Subject(venue, symbol, MINUTE_MS, window, max_missing), refused,
                        [known(name) for name in peers if name != symbol])
    revisions = store.revisions(venue, symbol, window)
    revised = distinct(revisions.old.open_time[revisions.known_at <= moment]).size
    return report.model_copy(update={"revised": int(revised)})


def check_file(path: Path, *, max_missing: float = MAX_MISSING, peers: Sequence[Path] = ()) -> QualityReport:
    """Quality of one candle file as it is, of any interval.

    The window is the day or month in the file's name, else from its first to its last bar; rows outside the named
    window widen it. peers: files of other markets with bars of the same length.
    Raises CandleFileError when a file can not be read as candles.
    """
    file = read_candle_file(path)
    window = named_window(path)
    if window is not None:
        times = file.rows.open_time
        window = Window(min(window.start_ms, int(times.min())), max(window.end_ms, int(times.max()) + 1))
    others = [other for other in map(read_candle_file, peers) if other.length_ms == file.length_ms]
    return check_rows(file.rows, Subject(file.venue, file.symbol, file.length_ms, window, max_missing), None,
                      [_sound(other.rows, other.length_ms) for other in others])


@dataclass(frozen=True)
class CheckedFiles:
    """Reports by file, and why the others could not be read as candles."""

    reports: dict[Path, QualityReport]
    unreadable: dict[Path, str]


def check_files(paths: Sequence[Path], *, max_missing: float = MAX_MISSING,
                progress: Progress = silent) -> CheckedFiles:
    """Quality of several files; a price that stands alone is held against the other markets among them.

    Every file is read once, and again only where some price stands alone in it or in another of the same time. A file
    that can not be read is listed and hides no other.
    """
    reports: dict[Path, QualityReport] = {}
    unreadable: dict[Path, str] = {}
    for number, path in enumerate(paths, 1):
        try:
            reports[path] = check_file(path, max_missing=max_missing)
        except CandleFileError as error:
            unreadable[path] = str(error)
        progress(number, len(paths), path.name)
    return CheckedFiles({path: _compared(path, report, reports) for path, report in reports.items()}, unreadable)


def _compared(path: Path, report: QualityReport, reports: Mapping[Path, QualityReport]) -> QualityReport:
    others = [other for other, found in reports.items()
              if (found.venue, found.symbol) != (report.venue, report.symbol) and found.timeframe == report.timeframe
              and found.start_ms < report.end_ms and found.end_ms > report.start_ms]
    if not report.spikes or not others:
        return report
    return check_file(path, max_missing=report.max_missing, peers=others)


def check_rows(rows: CandleRows, subject: Subject, refused: Quarantined | None = None,
               peers: Sequence[CandleRows] = ()) -> QualityReport:
    """Quality of raw rows in any order; refused rows add to the counts of defects but fill no hole.

    peers: usable bars of other markets, sorted.
    """
    if subject.window is not None:
        rows = rows.within(subject.window)
    elif not len(rows):
        raise UsageError(f"{subject.symbol} on {subject.venue}: no candle and no window to check; give one of them.")
    length_ms = subject.length_ms
    codes = defects(rows, length_ms)
    in_order = rows.take(np.argsort(rows.open_time, kind="stable"))
    first = np.ones(len(rows), dtype=np.bool_)
    first[1:] = np.diff(in_order.open_time) > 0
    times = in_order.open_time[first]
    window = subject.window or Window(int(times[0]), int(times[-1]) + length_ms)
    edges = subject.window is not None
    gaps = _gaps(times, length_ms, window if edges else None)
    expected = -(-window.end_ms // length_ms) - -(-window.start_ms // length_ms)
    sound = distinct(rows.open_time[codes == OK])
    longest = sorted(sorted(gaps, key=lambda gap: -gap.missing)[:MAX_GAPS_LISTED],
                     key=lambda gap: gap.last_before_ms or 0)
    refused_codes = defects(refused.rows, length_ms) if refused is not None else np.empty(0, dtype=np.uint8)
    every = np.concatenate([codes, refused_codes])
    early = (rows.close_time != rows.open_time + length_ms) & (codes < BAD_CLOSE_TIME)
    silent = in_order.volume[first] == 0
    extreme = find_spikes(_sound(rows, length_ms), length_ms, peers)
    return QualityReport(
        venue=subject.venue, symbol=subject.symbol, timeframe=interval_name(length_ms),
        start_ms=window.start_ms, end_ms=window.end_ms, expected=expected, present=int(times.size),
        usable=int(sound.size), completeness=sound.size / expected if expected else 0.0,
        gap_count=len(gaps), missing=sum(gap.missing for gap in gaps), gaps=tuple(longest),
        duplicates=len(rows) - int(times.size) + int(np.count_nonzero(refused_codes == OK)),
        off_minute=int(np.count_nonzero(every == OFF_GRID)),
        zero_volume=int(np.count_nonzero(silent)), zero_volume_longest=_longest_run(silent),
        impossible=int(np.count_nonzero(impossible(every))),
        irregular_closes=int(np.count_nonzero(early)),
        quarantined=len(refused_codes), max_missing=subject.max_missing,
        spikes=len(extreme.alone), spikes_confirmed=extreme.confirmed, spike_bars=extreme.alone[:MAX_SPIKES_LISTED],
        early_closes=_early_closes(rows.take(early)),
        masked_5m=_masked(sound, length_ms, 5, window), masked_60m=_masked(sound, length_ms, 60, window),
    )


def _sound(rows: CandleRows, length_ms: int) -> CandleRows:
    """The usable bars, sorted, the first of each open time."""
    usable = rows.take(defects(rows, length_ms) == OK)
    in_order = usable.take(np.argsort(usable.open_time, kind="stable"))
    first = np.ones(len(in_order), dtype=np.bool_)
    first[1:] = np.diff(in_order.open_time) > 0
    return in_order.take(first)


def _masked(times: Ints, length_ms: int, minutes: int, window: Window) -> int:
    """How many longer bars that lie wholly in the window are masked; 0 where the bars are not 1-minute bars."""
    if length_ms != MINUTE_MS:
        return 0
    opens = masked(times, minutes)
    return int(np.count_nonzero((opens >= window.start_ms) & (opens + minutes * MINUTE_MS <= window.end_ms)))


def _early_closes(rows: CandleRows) -> tuple[EarlyClose, ...]:
    order = np.argsort(rows.open_time, kind="stable")[:MAX_CLOSES_LISTED]
    return tuple(EarlyClose(open_time_ms=int(rows.open_time[at]), close_time_ms=int(rows.close_time[at]))
                 for at in order)


def _gaps(times: Ints, length_ms: int, window: Window | None) -> list[Gap]:
    """Holes of at least one whole bar between sorted open times, and at the window's edges where one is given."""
    holes = np.diff(times) // length_ms - 1
    found = [Gap(last_before_ms=int(times[at]), first_after_ms=int(times[at + 1]), missing=int(holes[at]))
             for at in np.flatnonzero(holes > 0)]
    if window is None:
        return found
    first, end = -(-window.start_ms // length_ms) * length_ms, -(-window.end_ms // length_ms) * length_ms
    if not times.size:
        missing = (end - first) // length_ms
        return [Gap(last_before_ms=None, first_after_ms=None, missing=missing)] if missing else []
    before, after = (int(times[0]) - first) // length_ms, (end - int(times[-1])) // length_ms - 1
    if before > 0:
        found.insert(0, Gap(last_before_ms=None, first_after_ms=int(times[0]), missing=before))
    if after > 0:
        found.append(Gap(last_before_ms=int(times[-1]), first_after_ms=None, missing=after))
    return found


def _longest_run(flags: Bools) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
