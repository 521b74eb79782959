"""`daybook data snapshot|diff|restore`: name what the candle store holds, and say what differs between two versions."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from daybook.core.settings import load_settings

data_app = typer.Typer(no_args_is_help=True, help="Versions of the candle data.")

Data = Annotated[Path | None, typer.Option("--data", help="folder of candles and snapshots")]
Runs = Annotated[Path | None, typer.Option("--runs", help="folder of the executed days")]
Config = Annotated[Path | None, typer.Option("--config", help="settings file (TOML) instead of daybook.toml")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


@data_app.command("snapshot")
def data_snapshot(name: Annotated[str | None, typer.Argument(help="a new name; the time in UTC when left out")] = None,
                  data: Data = None, config: Config = None, as_json: AsJson = False) -> None:
    """Name the exact rows of the candle store and keep them; nothing is copied until the store changes."""
    from daybook.market.snapshots import Snapshots

    now_ms = int(time.time() * 1000)
    chosen = name if name is not None else datetime.fromtimestamp(now_ms / 1000, UTC).strftime("taken-%Y%m%d-%H%M%S")
    snapshots = Snapshots(load_settings({"data": data}, config).data)
    taken = snapshots.take(chosen, now_ms)
    markets = {(month.venue, month.symbol) for month in taken.months}
    revisions = sum(month.revisions for month in taken.months)
    if as_json:
        _print_json({"name": taken.name, "identity": taken.identity, "taken_at_ms": now_ms, "rows": taken.rows,
                     "markets": len(markets), "months": len(taken.months), "revisions": revisions})
    else:
        typer.echo(f"snapshot {taken.name}: {taken.rows:,} bars of {len(markets)} markets in {len(taken.months)} "
                   f"months, {revisions:,} revisions; identity {taken.identity[:12]}")


@data_app.command("diff")
def data_diff(first: Annotated[str, typer.Argument(help="a snapshot, `now`, or a run YYYY-MM-DD/NN")],
              second: Annotated[str, typer.Argument(help="the later one; the store as it is when left out")] = "now",
              data: Data = None, runs: Runs = None, config: Config = None, as_json: AsJson = False) -> None:
    """What differs between two versions: market, month, bars added, removed and changed, old and new values."""
    from daybook.pipeline.data_versions import difference

    found = difference(first, second, load_settings({"data": data, "runs": runs}, config))
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        typer.echo(found.text())


@data_app.command("restore")
def data_restore(name: Annotated[str, typer.Argument(help="a snapshot")],
                 folder: Annotated[Path, typer.Argument(help="a data folder that does not exist yet")],
                 data: Data = None, config: Config = None, as_json: AsJson = False) -> None:
    """Lay a snapshot out as the candle store of a new data folder; the present store stays as it is."""
    from daybook.market.snapshots import Snapshots

    months = Snapshots(load_settings({"data": data}, config).data).restore(name, folder)
    if as_json:
        _print_json({"name": name, "folder": str(folder), "months": months})
    else:
        typer.echo(f"{folder}: {months} months of snapshot {name}. Use it with --data {folder}.")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, sort_keys=True, indent=2))
