"""Which days of the sealed history can still be simulated, so that a day on which nothing was run leaves evidence."""

from __future__ import annotations

from datetime import timedelta

from daybook.core.time import DAY_MS, MINUTE_MS, day_start_ms, parse_day
from daybook.pipeline.day import Day
from daybook.pipeline.seal import NEWEST_DAY_FACTOR


def days_in_reach(day: Day) -> tuple[str, ...]:
    """Research days up to today whose 24 hours lie in the sealed history, oldest first, today last.

    At least as much history lies before each as before the designer's span. A past day on which a market lacks more
    minutes than a newest day may lack is left out: it counts as missing.
    """
    spare = max(1, (day.settings.history_days - day.settings.window_days) // 2)
    today = parse_day(day.sealed.day)
    reach = range(day.settings.window_days + spare - 1, 0, -1)
    past = [one for back in reach if _whole(day, one := (today - timedelta(days=back)).isoformat())]
    return (*past, day.sealed.day)


def _whole(day: Day, one: str) -> bool:
    end = day_start_ms(parse_day(one))
    wanted = DAY_MS // MINUTE_MS * (1.0 - min(1.0, NEWEST_DAY_FACTOR * day.settings.max_missing))
    for bars in day.minute_bars.values():
        first, last = bars.open_time.searchsorted([end - DAY_MS, end])
        if last - first < max(1.0, wanted):
            return False
    return True
