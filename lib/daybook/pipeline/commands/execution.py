"""`daybook execution measure|show|rollback`: what fills cost, measured every night and kept by date."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybook.core.settings import Settings, load_settings
from daybook.core.time import parse_day, window_before

if TYPE_CHECKING:
    import pandas as pd

    from daybook.execution import ExecutionMetrics, Recordings
    from daybook.market import Bars

execution_app = typer.Typer(no_args_is_help=True, help="Measured spread, slippage and latency.")

Data = Annotated[Path | None, typer.Option("--data", help="folder of candles, quotes and measured costs")]
Config = Annotated[Path | None, typer.Option("--config", help="settings file (TOML) instead of daybook.toml")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


@execution_app.command("measure")
def execution_measure(
    quotes: Annotated[list[Path] | None, typer.Option(help="quote file or folder, may be repeated; else DATA/quotes "
                                                           "where it exists")] = None,
    fills: Annotated[Path | None, typer.Option(help="Parquet of fills; else DATA/execution/fills where it exists")] =
    None,
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD: measures what lies before it; else today, UTC")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="only the last so many days before the date; else all "
                                                         "quotes, and candles of the day's history")] = None,
    latency_ms: Annotated[float, typer.Option(min=0, max=60_000, help="how long a taker's order is assumed to travel "
                                                                      "where no fill has told it")] = 100.0,
    data: Data = None, config: Config = None, as_json: AsJson = False,
) -> None:
    """Measure every market that has quotes, estimate those that have candles only, and bring the result into force."""
    from daybook.execution import measure, write_metrics

    settings = load_settings({"data": data}, config)
    day = date or datetime.now(UTC).date().isoformat()
    metrics = measure(day, recordings(settings, day, quotes, fills, days), days=days, taker_latency_ms=latency_ms)
    path = write_metrics(settings.data, metrics)
    _answer(metrics, as_json, f"{path}: {metrics.source}")


@execution_app.command("show")
def execution_show(
    date: Annotated[str | None, typer.Option(help="what a day of this date would use; else the newest")] = None,
    sessions: Annotated[bool, typer.Option("--sessions", help="spreads by session and volatility")] = False,
    data: Data = None, config: Config = None, as_json: AsJson = False,
) -> None:
    """The measured costs in force, in bps and ms."""
    from daybook.execution import latest_metrics, metrics_for
    from daybook.execution.tables import session_table

    folder = load_settings({"data": data}, config).data
    metrics = latest_metrics(folder) if date is None else metrics_for(folder, date)
    _answer(metrics, as_json, f"measured on {metrics.date}: {metrics.source}", session_table(metrics) if sessions else
            None)


@execution_app.command("rollback")
def execution_rollback(
    date: Annotated[str, typer.Argument(help="YYYY-MM-DD of the measurement to return to")],
    data: Data = None, config: Config = None, as_json: AsJson = False,
) -> None:
    """Withdraw every measurement after a date; days use the one of that date until another is made."""
    from daybook.execution import rollback

    pointer = rollback(load_settings({"data": data}, config).data, date)
    if as_json:
        _print_json(pointer.model_dump(mode="json"))
    else:
        typer.echo(f"in force is {pointer.date}; withdrawn: {', '.join(pointer.withdrawn) or 'none'}")


def recordings(settings: Settings, day: str, quotes: list[Path] | None, fills: Path | None,
               days: int | None) -> Recordings:
    """What there is to measure from: the paths given, or the folders of the data folder, and stored candles."""
    from daybook.execution import Recordings, read_fills
    from daybook.market import read_markets

    usual_quotes, usual_fills = settings.data / "quotes", settings.data / "execution" / "fills"
    quote_paths = quotes if quotes is not None else [usual_quotes] if usual_quotes.is_dir() else []
    fill_path = fills if fills is not None else usual_fills if usual_fills.is_dir() else None
    return Recordings(
        quotes=read_markets(quote_paths), fills=read_fills(fill_path) if fill_path is not None else [],
        bars=_stored_bars(settings, day, days),
    )


def _stored_bars(settings: Settings, day: str, days: int | None) -> list[Bars]:
    """The candles of every stored market before the day, with the values that were known by then."""
    from daybook.market import candle_store

    store = candle_store(settings.data)
    window = window_before(parse_day(day), days or settings.history_days)
    markets = [market for market in store.markets()
               if settings.venue in (None, market.venue)
               and market.first_ms < window.end_ms and market.last_ms >= window.start_ms]
    return [store.read(market.venue, market.symbol, window, known_before=window.end_ms) for market in markets]


def _answer(metrics: ExecutionMetrics, as_json: bool, headline: str, table: pd.DataFrame | None = None) -> None:
    from daybook.execution.tables import market_table, note_table

    if as_json:
        _print_json(metrics.model_dump(mode="json"))
        return
    typer.echo(headline)
    shown = market_table(metrics).drop(columns=["clock_skew_ms", "latency_from", "slippage_from"])
    typer.echo((shown if table is None else table).to_string(index=False, na_rep="-", float_format="{:.4g}".format))
    for market, note in note_table(metrics).itertuples(index=False):
        typer.echo(f"{market}: {note}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, sort_keys=True, indent=2))
