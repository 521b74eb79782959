"""`daybook trials check`: the whole ledger against its chain and against the receipts of the runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from daybook.core.errors import DataError
from daybook.core.settings import load_settings
from daybook.pipeline.folders import RunFolders

trials_app = typer.Typer(no_args_is_help=True, help="The ledger of everything that was ever tried.")


@trials_app.callback()
def trials() -> None:
    """The ledger of everything that was ever tried."""


@trials_app.command("check")
def trials_check(
    data: Annotated[Path | None, typer.Option("--data", help="folder of candles and the published store")] = None,
    runs: Annotated[Path | None, typer.Option("--runs", help="folder of the executed days")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="settings file (TOML)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False,
) -> None:
    """Whether a trial was changed, moved, added or taken out since it was published; exit code 3 if one was."""
    from daybook.pipeline.ledger_check import check_ledger

    settings = load_settings({"data": data, "runs": runs}, config)
    found = check_ledger(RunFolders(settings.runs), settings.data)
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json"), sort_keys=True, indent=2))
    if found.problem is not None:
        raise DataError(f"{found.problem}. Restore the store from a backup, or move it away to have it rebuilt.")
    if not as_json:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in found.by_kind.items())
        typer.echo(f"{found.trials:,} trials of {found.runs} runs are as published; {found.receipts} receipts agree"
                   + (f" ({kinds})." if kinds else "."))
