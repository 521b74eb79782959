"""`daybook trials check`: everything published against its chain, its receipts and the folders of the runs."""

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
    """Whether anything published was changed, moved, added or taken out since; exit code 3 if something was."""
    from daybook.pipeline.ledger_check import check_ledger

    settings = load_settings({"data": data, "runs": runs}, config)
    found = check_ledger(RunFolders(settings.runs), settings.data)
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json"), sort_keys=True, indent=2))
    if found.problem is not None:
        others = len(found.problems) - 1
        more = f" (and {others} more: --json lists them)" if others else ""
        raise DataError(
            f"{found.problem}{more}. Restore what was changed from a backup; a store alone can also be rebuilt: move "
            f"{settings.data / 'store'} away and start a day."
        )
    if not as_json:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in found.by_kind.items())
        typer.echo(f"{found.trials:,} trials of {found.runs} runs are as published; {found.receipts} receipts agree"
                   + (f" ({kinds})." if kinds else "."))
        if found.uncovered:
            typer.echo(f"Not covered: pools, evidence and tests of {', '.join(found.uncovered)}, whose receipts are of "
                       "an older Daybook.")
