"""The `daybook` command: look at runs, candles and strategies from a terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.pipeline.answers import failure
from daybook.pipeline.commands.candles import candles_download, progress_bar
from daybook.pipeline.commands.candles_quality import candles_check, candles_revisions
from daybook.pipeline.commands.data import data_app
from daybook.pipeline.commands.execution import execution_app
from daybook.pipeline.commands.features import features_app
from daybook.pipeline.commands.funding import candles_funding
from daybook.pipeline.commands.trials import trials_app
from daybook.pipeline.folders import RunFolders

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
runs_app = typer.Typer(no_args_is_help=True, help="The executed days.")
candles_app = typer.Typer(no_args_is_help=True, help="The candle store.")
strategies_app = typer.Typer(no_args_is_help=True, help="Strategy specs.")
app.add_typer(runs_app, name="runs")
app.add_typer(candles_app, name="candles")
app.add_typer(strategies_app, name="strategies")
app.add_typer(data_app, name="data")
app.add_typer(execution_app, name="execution")
app.add_typer(features_app, name="features")
app.add_typer(trials_app, name="trials")

Config = Annotated[Path | None, typer.Option("--config", help="settings file (TOML) instead of daybook.toml")]
Runs = Annotated[Path | None, typer.Option("--runs", help="folder of the executed days")]
Data = Annotated[Path | None, typer.Option("--data", help="folder of candles and the published store")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


def main() -> None:
    """Entry point: an error ends with its own exit code and one readable message, and with --json as an object too."""
    try:
        app(standalone_mode=True)
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(failure(error, "--json" in sys.argv[1:]))


def _settings(config: Path | None, **given: Any) -> Settings:
    return load_settings(given, config)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, sort_keys=True, indent=2, default=str))


def _print_table(header: list[str], rows: list[list[Any]]) -> None:
    texts = [header, *([("-" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    for row in texts:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@runs_app.command("list")
def runs_list(runs: Runs = None, config: Config = None, as_json: AsJson = False) -> None:
    """Every finished run, oldest first."""
    from daybook.pipeline.summary import damaged_summary, finished_runs, run_summary

    folders = RunFolders(_settings(config, runs=runs).runs)
    summaries = [
        run_summary(folder, manifest) if manifest else damaged_summary(folder)
        for folder, manifest in finished_runs(folders)
    ]
    if as_json:
        _print_json(summaries)
        return
    header = ["run", "status", "kind", "source", "symbols", "seconds", "verdict"]
    _print_table(header, [
        [s["run_id"], s["status"], None, None, None, None, s["verdict"]] if s["status"] == "damaged" else
        [s["run_id"], s["status"], "official" if s["official"] else f"re-run of {s['parent']}",
         s["source"], ",".join(s["symbols"]), f"{s['total_seconds']:.0f}", s["verdict"]]
        for s in summaries
    ])


@runs_app.command("show")
def runs_show(run: Annotated[str, typer.Argument(help="YYYY-MM-DD or YYYY-MM-DD/NN")], runs: Runs = None,
              config: Config = None, as_json: AsJson = False) -> None:
    """One run: what it was told, its steps, its headline figures."""
    from daybook.pipeline.manifest import read_manifest
    from daybook.pipeline.summary import run_summary

    folder = RunFolders(_settings(config, runs=runs).runs).existing(run)
    summary = run_summary(folder, read_manifest(folder))
    if as_json:
        _print_json(summary)
        return
    for name in ("run_id", "status", "verdict", "parent", "source", "symbols", "changed_parameters", "settings_hash",
                 "code_hash", "data_hash", "report"):
        typer.echo(f"{name:<20} {summary[name]}")
    _print_table(["step", "seconds", "headline"], [
        [step, summary["seconds"].get(step), ", ".join(f"{k}={v}" for k, v in figures.items())]
        for step, figures in summary["headline"].items()
    ])


@runs_app.command("compare")
def runs_compare(first: Annotated[str, typer.Argument(help="YYYY-MM-DD/NN")],
                 second: Annotated[str, typer.Argument(help="YYYY-MM-DD/NN")], runs: Runs = None,
                 config: Config = None, as_json: AsJson = False) -> None:
    """What differs between two runs: parameters, data, luck, nulls, candidates' costs, pools, scores."""
    from daybook.report import compare, read_report

    folders = RunFolders(_settings(config, runs=runs).runs)
    found = compare(*(read_report(folders.existing(name) / "report.json") for name in (first, second)))
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        typer.echo(found.text())


@candles_app.command("import")
def candles_import(path: Annotated[Path, typer.Argument(help="candle file or folder")],
                   venue: Annotated[str | None, typer.Option(help="venue, where the path does not name it")] = None,
                   data: Data = None, config: Config = None, as_json: AsJson = False) -> None:
    """Import a file or a folder of candles into the store; importing again changes nothing."""
    from daybook.market import candle_store, import_candles

    settings = _settings(config, data=data)
    with progress_bar() as progress:
        report = import_candles(path, candle_store(settings.data), venue=venue or settings.venue, progress=progress)
    if as_json:
        _print_json(report.model_dump(mode="json"))
    else:
        typer.echo(report.summary)


candles_app.command("download")(candles_download)
candles_app.command("check")(candles_check)
candles_app.command("revisions")(candles_revisions)
candles_app.command("funding")(candles_funding)


@candles_app.command("list")
def candles_list(data: Data = None, config: Config = None, as_json: AsJson = False) -> None:
    """Every market in the store with its first and last bar."""
    from daybook.core.time import utc_text
    from daybook.market import candle_store

    listed = candle_store(_settings(config, data=data).data).markets()
    if as_json:
        _print_json([asdict(entry) for entry in listed])
        return
    _print_table(["venue", "symbol", "bars", "first", "last", "missing"], [
        [e.venue, e.symbol, f"{e.rows:,}", utc_text(e.first_ms), utc_text(e.last_ms), f"{e.missing:,}"] for e in listed
    ])


@strategies_app.command("check")
def strategies_check(file: Annotated[Path, typer.Argument(help="a spec as JSON")], as_json: AsJson = False) -> None:
    """Whether a spec is valid: types, dimensions, budgets. Nothing in it is executed."""
    from daybook.strategy import parse_spec

    if not file.is_file():
        raise DataError(f"{file}: no such file. Name a JSON file that holds one strategy spec.")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8.") from None
    strategy = parse_spec(text)
    facts = {
        "name": strategy.spec.name, "identity": strategy.identity, "structure_hash": strategy.structure_hash,
        "complexity": strategy.complexity, "warmup_bars": strategy.warmup(strategy.defaults),
        "timeframes": list(strategy.timeframes), "parameters": strategy.defaults,
    }
    if as_json:
        _print_json(facts)
        return
    typer.echo("valid")
    for name, value in facts.items():
        typer.echo(f"{name:<16} {value}")


@strategies_app.command("show")
def strategies_show(name: Annotated[str | None, typer.Argument(help="name or identity; all when left out")] = None,
                    run: Annotated[str | None, typer.Option(help="YYYY-MM-DD/NN; else the newest official")] = None,
                    runs: Runs = None, config: Config = None, as_json: AsJson = False) -> None:
    """The strategies in a day's pool, or one of them with its rules."""
    from daybook.report import read_report

    folders = RunFolders(_settings(config, runs=runs).runs)
    official = [name for name in folders.run_ids() if name.endswith("/01")]
    newest = run or next(reversed(official), None)
    if newest is None:
        raise DataError(f"{folders.root}: holds no finished run yet. Make one with run_daily.py.")
    rows = read_report(folders.existing(newest) / "report.json").strategies
    chosen = [row for row in rows if name is None or row.name == name or row.identity.startswith(name)]
    if not chosen:
        raise DataError(f"strategy {name!r}: not in the pool of {newest}. It holds {', '.join(r.name for r in rows)}.")
    if as_json:
        _print_json([row.model_dump(mode="json") for row in chosen])
    elif name is None:
        _print_table(["rank", "name", "timeframe", "score", "trades", "born"], [
            [r.rank, r.name, r.timeframe, None if r.score is None else f"{r.score:.1f}", r.trades, r.birth]
            for r in rows
        ])
    else:
        for row in chosen:
            typer.echo(f"{row.name} ({row.identity})\n{row.rationale}\nparameters {row.params}")
            for side, text in row.expressions.items():
                typer.echo(f"  {side:<12} {text}")


if __name__ == "__main__":
    main()
