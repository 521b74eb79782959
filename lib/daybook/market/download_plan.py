"""What is missing in the store for a span of days, and which archive files would bring it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import groupby

import numpy as np

from daybook.core.arrays import Ints
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_of, day_start_ms
from daybook.market.binance_archive import ArchiveFile, day_file, month_file


def missing_spans(open_time: Ints, window: Window) -> list[Window]:
    """One span for each UTC day with missing minutes, from the day's first missing one to after its last.

    open_time: (T,) int64 ms UTC of the stored bars inside the window, sorted. The window begins on a full minute.
    """
    expected = np.arange(window.start_ms, window.end_ms, MINUTE_MS, dtype=np.int64)
    missing = expected[~np.isin(expected, open_time, assume_unique=True)]
    days = missing // DAY_MS
    starts = np.flatnonzero(np.diff(days, prepend=-1))
    ends = np.flatnonzero(np.diff(days, append=-1))
    return [Window(int(missing[start]), int(missing[end]) + MINUTE_MS) for start, end in zip(starts, ends, strict=True)]


def archive_files(venue: str, symbol: str, days: Sequence[date], held: Callable[[ArchiveFile], bool]
                  ) -> list[ArchiveFile]:
    """The files that bring these days: a month's where it is here already or every day of it is missing, else days'."""
    files: list[ArchiveFile] = []
    for _, group in groupby(sorted(days), key=lambda day: (day.year, day.month)):
        members = list(group)
        whole = month_file(venue, symbol, members[0])
        if held(whole) or len(members) == whole.minutes * MINUTE_MS // DAY_MS:
            files.append(whole)
        else:
            files += [day_file(venue, symbol, day) for day in members]
    return files


def days_of(file: ArchiveFile) -> list[date]:
    """Every day that a file covers, in order."""
    first = day_of(file.window.start_ms)
    return [first + timedelta(days=number) for number in range(file.minutes * MINUTE_MS // DAY_MS)]


def joined_spans(spans: Sequence[Window], days: set[date]) -> list[Window]:
    """The spans of these days, neighbours joined into one, so that a week is asked for at once."""
    joined: list[Window] = []
    for span in spans:
        if day_of(span.start_ms) not in days:
            continue
        if joined and joined[-1].end_ms == span.start_ms:
            joined[-1] = Window(joined[-1].start_ms, span.end_ms)
        else:
            joined.append(span)
    return joined


def day_window(day: date) -> Window:
    """All of a UTC day."""
    return Window(day_start_ms(day), day_start_ms(day) + DAY_MS)
