"""Dukascopy ticks as dukascopy-node writes them: a JSON list of timestamp (ms UTC), bidPrice and askPrice.

They are a CFD broker's quotes: their spread is a thousand times that of an exchange for the same coin.
Source: github.com/Leo4815162342/dukascopy-node.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from daybook.core.arrays import Floats
from daybook.market.quotes import QuoteFileError, Quotes, RawQuotes, clean_quotes
from daybook.market.quotes_files import file_bytes

VENUE = "dukascopy"
_NAME = re.compile(r"([a-z0-9]{4,24})-tick-.*\.json", re.ASCII)


def is_dukascopy(path: Path) -> bool:
    """Whether a path is named as dukascopy-node names ticks."""
    return bool(_NAME.fullmatch(path.name))


def read_dukascopy(path: Path) -> Quotes:
    """The quotes of one file of ticks. Raises QuoteFileError for another name or content."""
    match = _NAME.fullmatch(path.name)
    if not match:
        raise QuoteFileError(f"{path}: not named as Dukascopy ticks; allowed is SYMBOL-tick-....json.")
    try:
        ticks = json.loads(file_bytes(path))
        columns = {name: _column(ticks, name) for name in ("timestamp", "bidPrice", "askPrice")}
        sizes = [_column(ticks, name) if "bidVolume" in ticks[0] else None for name in ("bidVolume", "askVolume")]
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise QuoteFileError(f"{path}: not a list of ticks with timestamp, bidPrice and askPrice ({error!r}). Download "
                             "it again.") from None
    raw = RawQuotes(columns["timestamp"], columns["bidPrice"], columns["askPrice"], *sizes)
    return clean_quotes(VENUE, match[1].upper(), path, raw)


def _column(ticks: list[dict[str, float]], name: str) -> Floats:
    return np.asarray([tick[name] for tick in ticks], dtype=np.float64)
