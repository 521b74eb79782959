"""`daybook candles check` and `revisions`: what is wrong with candles, and which bars an exchange has corrected."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import load_settings
from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day, utc_text
from daybook.pipeline.commands.candles import progress_bar

if TYPE_CHECKING:
    from daybook.market import CandleStore, QualityReport, Revisions

_LISTED = 5
_VALUES = ("open", "high", "low", "close", "volume")


def candles_check(path: Annotated[Path, typer.Argument(help="candle file or folder, as it lies; nothing is imported")],
                  as_json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False) -> None:
    """Quality of candle files: gaps, duplicates, off-minute stamps, zero volume, impossible bars, lonely prices.

    A file is judged from its first to its last bar, or over the day or month in its name. Ends with exit code 3 when a
    file could not be read.
    """
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
            typer.echo(f"{file.name}: {report.summary}")
            for line in _details(report):
                typer.echo(f"  {line}")
        for reason in checked.unreadable.values():
            typer.echo(f"not read: {reason}")
    if checked.unreadable:
        raise typer.Exit(DataError.exit_code)


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
    from daybook.market.names import require_symbol, require_venue

    store = candle_store(load_settings({"data": data}, config).data)
    wanted = None if symbols is None else frozenset(require_symbol(name.strip()) for name in symbols.split(","))
    window = _window(first, last)
    markets = [market for market in store.revised_markets()
               if venue in (None, market[0]) and (wanted is None or market[1] in wanted)]
    if venue is not None:
        require_venue(venue)
    _require_stored(store, venue, wanted)
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


def _require_stored(store: CandleStore, venue: str | None, wanted: frozenset[str] | None) -> None:
    """A misspelt market must not read as one without revisions."""
    there = [(one.venue, one.symbol) for one in store.markets()]
    known = {symbol for name, symbol in there if venue in (None, name)}
    absent = sorted((wanted or frozenset()) - known)
    if absent or (venue is not None and not known):
        listed = ", ".join(f"{symbol} on {name}" for name, symbol in there) or "nothing"
        raise DataError(f"{', '.join(absent) or venue}: not in the candle store {store.root}, which has {listed}. "
                        "Choose among them.")


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
