"""Recordings of exchange streams as hftbacktest's collector writes them: gzip, one message a line.

A line is the local receive time in nanoseconds, a space and the raw JSON. Binance's bookTicker and Hyperliquid's l2Book
hold the best bid and ask; every other message is passed over. USD-M and Hyperliquid messages carry the exchange's own
time, which then stamps the quote, and the difference to the receive time is kept as the feed delay. Spot bookTicker
carries none: the receive time stamps it and its clock can not be checked.
Source: github.com/nkaz001/hftbacktest, collector.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from daybook.market.quotes import QuoteFileError, Quotes, RawQuotes, clean_quotes
from daybook.market.quotes_files import gzip_lines

_NAME = re.compile(r"([a-z0-9]{4,24})_(\d{8})\.gz", re.ASCII)
_VENUES = {"spot": "binance_spot", "usdm": "binance_usdm", "coinm": "binance_coinm", "hyperliquid": "hyperliquid"}
_NS_PER_MS = 1e6
_BOOK_TICKER, _L2_BOOK = b"@bookTicker", b'"l2Book"'
_Row = tuple[float, float, float, float, float, float]


def is_hftbacktest(path: Path) -> bool:
    """Whether a path is named as the collector names recordings, in a folder that says the market."""
    return bool(_NAME.fullmatch(path.name)) and path.parent.name in _VENUES


def read_hftbacktest(path: Path) -> Quotes:
    """The best bids and asks of one recording.

    Raises QuoteFileError for another name, a line that is no message, or a file without a quote.
    """
    match = _NAME.fullmatch(path.name)
    if not match or path.parent.name not in _VENUES:
        raise QuoteFileError(f"{path}: not named as a recording; allowed is {'|'.join(_VENUES)}/SYMBOL_YYYYMMDD.gz.")
    rows: list[_Row] = []
    for number, line in enumerate(gzip_lines(path), start=1):
        if _BOOK_TICKER in line or _L2_BOOK in line:
            rows.append(_row(path, number, line))
    if not rows:
        raise QuoteFileError(f"{path}: holds no bookTicker or l2Book message. Record the best bid and ask.")
    local, event, bid, ask, bid_size, ask_size = np.asarray(rows, dtype=np.float64).T
    known = bool(np.isfinite(event).all())
    raw = RawQuotes(event if known else local, bid, ask, bid_size, ask_size, local - event if known else None)
    return clean_quotes(_VENUES[path.parent.name], match[1].upper(), path, raw)


def _row(path: Path, number: int, line: bytes) -> _Row:
    """Receive time and event time in ms (NaN where the message has none), bid, ask, and their sizes."""
    stamp, _, text = line.partition(b" ")
    try:
        local = int(stamp) / _NS_PER_MS
        message: dict[str, Any] = json.loads(text)
        data = message["data"]
        if "levels" in data:
            (bid, ask) = (side[0] for side in data["levels"])
            return (local, float(data["time"]), float(bid["px"]), float(ask["px"]), float(bid["sz"]),
                    float(ask["sz"]))
        return (local, float(data.get("E", "nan")), float(data["b"]), float(data["a"]), float(data["B"]),
                float(data["A"]))
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise QuoteFileError(f"{path}: line {number} is no quote message ({error!r}). Record the file again, or cut it "
                             "before that line.") from None
