"""`daybook candles check` and `revisions`: what is wrong with candles, and which bars an exchange has corrected."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import load_settings
from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_start_ms, parse_day, utc_text
from daybook.pipeline.commands.candles import progress_bar

if TYPE_CHECKING:
    from daybook.market import CandleStore, QualityReport, Revisions, StoredMarket

_LISTED = 5
_TODAY_MS = 2**62
"""Later than any revision came to be known: the newest values."""
_VALUES = ("open", "high", "low", "close", "volume")


def candles_check(
    path: Annotated[Path | None, typer.Argument(help="candle file or folder, as it lies; nothing is imported")] = None,
    venue: Annotated[str | None, typer.Option(help="of the store, only this venue")] = None,
    symbols: Annotated[str | None, typer.Option(help="of the store, only these markets, separated by commas")] = None,
    first: Annotated[str | None, typer.Option("--from", help="of the store, from this day, YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="of the store, to this day, included")] = None,
    data: Annotated[Path | None, typer.Option(help="folder of candles and the published store")] = None,
    config: Annotated[Path | None, typer.Option(help="settings file (TOML) instead of daybook.toml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False,
) -> None:
    """Quality of candles: gaps, duplicates, off-minute stamps, zero volume, impossible bars, lonely prices.

    Of files with a PATH: a file is judged from its first to its last bar, or over the day or month in its name. Of the
    candle store without: a market is judged from its first to its last bar, or over the days asked for. Ends with exit
    code 3 when a file could not be read.
    """
    if path is None:
        _check_store(load_settings({"data": data}, config).data, (venue, symbols), (first, last), as_json)
        return
    if any(given is not None for given in (venue, symbols, first, last, data)):
        raise UsageError("candles check: --venue, --symbols, --from, --to and --data are about the store. Leave them "
                         "out, or PATH.")
    _check_path(path, as_json)


def _check_path(path: Path, as_json: bool) -> None:
    from daybook.market import check_files

    with progress_bar() as progress:
        checked = check_files(_candle_files(path), progress=progress)
    if not checked.reports and not checked.unreadable:
        raise DataError(f"{path}: no candle file found (parquet, csv or zip). Name a file or a folder that holds some.")
    if as_json:
        answers: dict[str, Any] = {str(file): found.model_dump(mode="json") for file, found in checked.reports.items()}
        _print_json(answers | {str(file): {"error": reason} for file, reason in checked.unreadable.items()})
    else:
        for file, report in checked.reports.items():
            _tell(report, f"{file.name}: ")
        for reason in checked.unreadable.values():
            typer.echo(f"not read: {reason}")
    if checked.unreadable:
        raise typer.Exit(DataError.exit_code)


def _check_store(data: Path, market: tuple[str | None, str | None], days: tuple[str | None, str | None],
                 as_json: bool) -> None:
    """The stored markets with their newest values; market: venue and symbols, days: first and last, None for all."""
    from daybook.market import candle_store, check_store

    store = candle_store(data)
    wanted, asked = _wanted(store, *market), _window(*days)
    if not wanted:
        raise DataError(f"{store.root}: no candles are stored. Import or download some, or name files to check.")
    reports = []
    with progress_bar() as progress:
        for number, one in enumerate(wanted, 1):
            start = asked.start_ms if asked and days[0] else one.first_ms
            end = asked.end_ms if asked and days[1] else one.last_ms + MINUTE_MS
            if start >= end:
                raise UsageError(f"{one.symbol} on {one.venue}: stored from {utc_text(one.first_ms)} to "
                                 f"{utc_text(one.last_ms)}, not in the days asked for. Give others, or other symbols.")
            window = Window(start, end)
            peers = [other.symbol for other in wanted if other.venue == one.venue]
            reports.append(check_store(store, one.venue, one.symbol, window, peers=peers, as_of=_TODAY_MS))
            progress(number, len(wanted), one.symbol)
    if as_json:
        _print_json([report.model_dump(mode="json") for report in reports])
        return
    for report in reports:
        _tell(report)


def _tell(report: QualityReport, name: str = "") -> None:
    typer.echo(f"{name}{report.summary}")
    for line in _details(report):
        typer.echo(f"  {line}")


def _candle_files(path: Path) -> list[Path]:
    from daybook.market.names import parse_file_name

    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and parse_file_name(file) is not None)


def _details(report: QualityReport) -> list[str]:
    """Where the longest gaps, the early closes and the prices that stand alone are."""
    gaps = sorted(sorted(report.gaps, key=lambda gap: -gap.missing)[:_LISTED], key=lambda gap: gap.last_before_ms or 0)
    lines = [f"gap of {gap.missing:,} bars between {_moment(gap.last_before_ms)} and {_moment(gap.first_after_ms)}"
             for gap in gaps]
    if report.gap_count > len(gaps):
        lines.append(f"and {report.gap_count - len(gaps):,} shorter gaps")
    lines += [f"bar of {_moment(early.open_time_ms)} closed at {_moment(early.close_time_ms)}"
              for early in report.early_closes[:_LISTED]]
    for one in report.spike_bars[:_LISTED]:
        others = "no other market to compare with" if one.others is None else f"others moved {one.others:+.2%}"
        lines.append(f"{one.kind} {one.side} at {_moment(one.open_time_ms)}: {one.times:g} times its neighbours' "
                     f"price, {others}")
    if report.spikes > _LISTED:
        lines.append(f"and {report.spikes - _LISTED:,} more prices that stand alone (--json lists the first)")
    return lines


def _moment(time_ms: int | None) -> str:
    return "the edge of the window" if time_ms is None else utc_text(time_ms)


def candles_revisions(
    venue: Annotated[str | None, typer.Option(help="only this venue")] = None,
    symbols: Annotated[str | None, typer.Option(help="only these markets, separated by commas")] = None,
    first: Annotated[str | None, typer.Option("--from", help="first day of the bars, YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last day of the bars, included")] = None,
    data: Annotated[Path | None, typer.Option(help="folder of candles and the published store")] = None,
    config: Annotated[Path | None, typer.Option(help="settings file (TOML) instead of daybook.toml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False,
) -> None:
    """Bars that an exchange gave again with other values: both values, and when the later one came to be known.

    Without --symbols every stored market is listed.
    """
    from daybook.market import candle_store

    store = candle_store(load_settings({"data": data}, config).data)
    wanted, window = {(one.venue, one.symbol) for one in _wanted(store, venue, symbols)}, _window(first, last)
    markets = [market for market in store.revised_markets() if market in wanted]
    rows = [row for market in markets for row in _rows(market, store.revisions(*market, window))]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        changed = ", ".join(f"{name} {row['old'][name]:.10g} -> {row['new'][name]:.10g}" for name in _VALUES
                            if row["old"][name] != row["new"][name])
        typer.echo(f"{row['symbol']} on {row['venue']}, bar of {utc_text(row['open_time_ms'])}, "
                   f"known {utc_text(row['known_at_ms'])}: {changed}")
    typer.echo(f"{len(rows):,} revisions")


def _window(first: str | None, last: str | None) -> Window | None:
    """The days asked for; None for all of them."""
    if first is None and last is None:
        return None
    begin: date = parse_day(first) if first is not None else date(1970, 1, 1)
    end: date = parse_day(last) if last is not None else date(2099, 12, 31)
    if begin > end:
        raise UsageError(f"--from: found {begin}, which is after {end}. Give a first day and a later last one.")
    return Window(day_start_ms(begin), day_start_ms(end) + DAY_MS)


def _wanted(store: CandleStore, venue: str | None, symbols: str | None) -> list[StoredMarket]:
    """The stored markets asked for, all when nothing is named; a misspelt one must not read as one without faults."""
    from daybook.market.names import require_symbol, require_venue

    there = store.markets()
    names = None if symbols is None else frozenset(require_symbol(name.strip()) for name in symbols.split(","))
    if venue is not None:
        require_venue(venue)
    known = {one.symbol for one in there if venue in (None, one.venue)}
    absent = sorted((names or frozenset()) - known)
    if absent or (venue is not None and not known):
        listed = ", ".join(f"{one.symbol} on {one.venue}" for one in there) or "nothing"
        raise DataError(f"{', '.join(absent) or venue}: not in the candle store {store.root}, which has {listed}. "
                        "Choose among them.")
    return [one for one in there if venue in (None, one.venue) and (names is None or one.symbol in names)]


def _rows(market: tuple[str, str], found: Revisions) -> list[dict[str, Any]]:
    return [
        {"venue": market[0], "symbol": market[1], "open_time_ms": int(found.old.open_time[at]),
         "known_at_ms": int(found.known_at[at]),
         "old": {name: float(getattr(found.old, name)[at]) for name in _VALUES},
         "new": {name: float(getattr(found.new, name)[at]) for name in _VALUES}}
        for at in range(len(found))
    ]


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, sort_keys=True, indent=2))
