"""`daybook candles download`: bring candles of an exchange into the store."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day

if TYPE_CHECKING:
    from daybook.market.progress import Progress

_LISTED = 10
_EARLIEST = date(2010, 1, 1)
"""No exchange has older candles; a range from year 1 would be a thousand million minutes."""


def candles_download(
    venue: Annotated[str | None, typer.Option(help="binance_spot, binance_usdm or blofin_swap")] = None,
    symbols: Annotated[str | None, typer.Option(help="markets, separated by commas")] = None,
    first: Annotated[str | None, typer.Option("--from", help="first day, YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last day, included; yesterday when left out")] = None,
    recheck: Annotated[bool, typer.Option(help="ask about days that are here already, for later corrections")] = False,
    funding: Annotated[bool, typer.Option(help="funding rates too, where the venue has them")] = False,
    data: Annotated[Path | None, typer.Option(help="folder of candles and the published store")] = None,
    config: Annotated[Path | None, typer.Option(help="settings file (TOML) instead of daybook.toml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False,
) -> None:
    """Download what the store misses of some markets and days; a second time asks for nothing that is here.

    Ends with exit code 3 when something could not be had; what could be is stored all the same.
    """
    from daybook.market import candle_store
    from daybook.market.download import DownloadRequest, download_candles
    from daybook.market.download_sources import open_sources, venue_of_source

    settings = load_settings({"data": data, "symbols": symbols}, config)
    now_ms = int(time.time() * 1000)
    window = _window(settings, first, last, now_ms)
    chosen = venue or settings.venue or venue_of_source(settings)
    if funding and chosen == "binance_spot":
        raise UsageError("--funding: binance_spot has none. Leave it out, or choose binance_usdm or blofin_swap.")
    request = DownloadRequest(settings.symbols, window, now_ms, recheck)
    with open_sources(settings, chosen) as sources, progress_bar() as progress:
        report = download_candles(candle_store(settings.data), sources, request, progress)
        rates, missed = _funding(settings, sources.rest, chosen, window) if funding else ({}, [])
    failed = [f"{one.name}: {one.reason}" for one in report.failed] + missed
    if as_json:
        answer = report.model_dump(mode="json") | ({"funding": rates, "funding_failed": missed} if funding else {})
        typer.echo(json.dumps(answer, sort_keys=True, indent=2))
    else:
        typer.echo(report.summary)
        _list("short", [f"{one.name}: {one.rows:,} of {one.minutes:,} bars" for one in report.short])
        _list("not published yet", list(report.pending))
        _list("failed", failed)
        _list("funding", [f"{symbol}: {counts}" for symbol, counts in rates.items()])
    if failed:
        raise typer.Exit(DataError.exit_code)


def _window(settings: Settings, first: str | None, last: str | None, now_ms: int) -> Window:
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    end: date = min(parse_day(last), today) if last is not None else today - timedelta(days=1)
    begin: date = parse_day(first) if first is not None else end - timedelta(days=settings.history_days - 1)
    if begin < _EARLIEST or begin > today:
        raise UsageError(f"--from: found {begin}, allowed are days from {_EARLIEST} to today, {today}. Mend the day.")
    if begin > end:
        raise UsageError(f"--from: found {begin}, which is after {end}. Give a first day and a later last one.")
    return Window(day_start_ms(begin), day_start_ms(end) + DAY_MS)


def _funding(settings: Settings, source: Any, venue: str, window: Window) -> tuple[dict[str, str], list[str]]:
    """Funding rates of every symbol into their store; what came, in words, by symbol, and what could not be had."""
    from daybook.market.funding import funding_store
    from daybook.market.http_errors import ExchangeError

    store = funding_store(settings.data)
    found: dict[str, str] = {}
    missed: list[str] = []
    for symbol in settings.symbols:
        try:
            counts = store.write(venue, symbol, source.funding(symbol, window))
        except ExchangeError as error:
            missed.append(f"{symbol} funding: {error}")
        else:
            found[symbol] = f"{counts.new:,} new, {counts.duplicates:,} known, {counts.conflicts:,} conflicts"
    return found, missed


def _list(title: str, lines: list[str]) -> None:
    for line in lines[:_LISTED]:
        typer.echo(f"  {title}: {line}")
    if len(lines) > _LISTED:
        typer.echo(f"  {title}: and {len(lines) - _LISTED:,} more (--json lists them all)")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on a terminal, silence elsewhere; on stderr, so that answers can be piped."""
    from tqdm import tqdm

    with tqdm(file=sys.stderr, disable=None, unit="file", leave=False) as bar:
        def step(done: int, total: int, name: str) -> None:
            bar.total = max(total, bar.total or 0)
            bar.set_postfix_str(name, refresh=False)
            bar.update(1)

        yield step
