"""Funding settlements from Parquet files that people have: one file a market, its exchange and symbol in its name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import DataError
from daybook.market.funding import FundingCounts, FundingRates, FundingStore
from daybook.market.names import require_symbol, require_venue

_NAME = re.compile(r"(?:(?P<exchange>[a-z]+)_)?(?P<symbol>[A-Z0-9]{2,24})(?:_[0-9-]{10}_[0-9-]{10})?", re.ASCII)
_NAMES_ALLOWED = ("allowed are EXCHANGE_SYMBOL_FROM_TO.parquet (binance_BTCUSDT_2022-06-01_2024-12-31), the dates or "
                  "the exchange left out")


def import_funding(path: Path, store: FundingStore, venue: str) -> dict[str, FundingCounts]:
    """Add the settlements of a file, or of every Parquet file of a folder, to a venue's; symbol -> what became of them.

    In a folder, files of another exchange than the venue's are passed over: binance_BTCUSDT... belongs to binance_usdm
    and not to okx_swap. Every file is read before anything is written. Raises DataError for a file that holds no
    settlements, and where no file is of this venue.
    """
    found: dict[str, FundingRates] = {}
    for file in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        match = _NAME.fullmatch(file.stem)
        if match is None or file.suffix != ".parquet":
            raise DataError(f"{file}: not the name of a funding file; {_NAMES_ALLOWED}. Rename it, then import again.")
        exchange = match["exchange"]
        if exchange is not None and require_venue(venue).split("_")[0] != exchange:
            continue
        symbol, rates = require_symbol(match["symbol"]), read_funding_file(file)
        known = found.get(symbol, FundingRates(np.empty(0, np.int64), np.empty(0)))
        found[symbol] = FundingRates.of(f"{venue} {symbol}", np.concatenate([known.funding_time, rates.funding_time]),
                                        np.concatenate([known.funding_rate, rates.funding_rate]))
    if not found:
        raise DataError(f"{path}: no funding file of {venue}; {_NAMES_ALLOWED}. Name another folder or --venue.")
    return {symbol: store.write(venue, symbol, rates) for symbol, rates in found.items()}


def read_funding_file(path: Path) -> FundingRates:
    """The settlements of a Parquet file with the columns funding_time (int64 ms UTC) and funding_rate (float64).

    Other columns are left alone. Raises DataError naming what was found for a file that is damaged, lacks a column or
    holds values that can not be.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole Parquet file ({error}). Fetch it again.") from error
    kinds = {"funding_time": pa.int64(), "funding_rate": pa.float64()}
    wrong = [name for name, kind in kinds.items()
             if name not in table.column_names or table[name].type != kind or table[name].null_count]
    if wrong:
        told = ", ".join(f"{field.name} {field.type}" for field in table.schema) or "none"
        raise DataError(f"{path}: columns are {told}; needed are funding_time int64 (ms UTC) and funding_rate double "
                        f"(fraction), without nulls. Mend {' and '.join(wrong)}.")
    times: Ints = table["funding_time"].to_numpy()
    rates: Floats = table["funding_rate"].to_numpy()
    return FundingRates.of(str(path), times, rates)
