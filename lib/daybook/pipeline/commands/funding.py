"""`daybook candles funding`: bring funding settlements that lie in files into the store."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from daybook.core.settings import load_settings


def candles_funding(
    path: Annotated[Path, typer.Argument(help="Parquet file of funding_time and funding_rate, or a folder of them")],
    venue: Annotated[str, typer.Option(help="venue whose perpetuals they are, such as binance_usdm or okx_swap")],
    data: Annotated[Path | None, typer.Option(help="folder of candles and the published store")] = None,
    config: Annotated[Path | None, typer.Option(help="settings file (TOML) instead of daybook.toml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False,
) -> None:
    """Import funding settlements of perpetuals; importing again changes nothing, and a stored rate stays."""
    from daybook.market.funding import funding_store
    from daybook.market.funding_files import import_funding

    found = import_funding(path, funding_store(load_settings({"data": data}, config).data), venue)
    if as_json:
        typer.echo(json.dumps({symbol: asdict(counts) for symbol, counts in found.items()}, sort_keys=True, indent=2))
        return
    for symbol, counts in found.items():
        typer.echo(f"{symbol} on {venue}: {counts.new:,} new settlements, {counts.duplicates:,} known, "
                   f"{counts.conflicts:,} stored with another rate, which stays")
