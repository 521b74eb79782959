"""Fills and refusals as the runtime or a broker's statement records them: the best source of slippage and latency."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from daybook.core.arrays import Bools, Floats
from daybook.core.errors import DataError
from daybook.core.files import read_parquet
from daybook.core.hashing import hash_arrays

_BPS = 1e4
COLUMNS = ("venue", "symbol", "side", "decision_ms", "sent_ms", "done_ms", "decision_mid", "arrival_touch", "price",
           "quantity", "rejected")  # fmt: skip

_NUMBERS = COLUMNS[2:9]
_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000


class FillsError(DataError):
    """A file of fills with other columns or values than allowed."""


@dataclass(frozen=True)
class Fills:
    """Orders of one market, each filled whole or refused, oldest first by decision.

    side: (N,) float64, 1 bought, -1 sold. decision_ms, sent_ms, done_ms: (N,) float64 ms UTC, never falling in a row.
    decision_mid: the mid when the order was decided; arrival_touch: the far side of the book that the sender saw when
    it sent the order; price: the average fill price, NaN of a refused order. rejected: (N,) bool.
    """

    venue: str
    symbol: str
    side: Floats
    decision_ms: Floats
    sent_ms: Floats
    done_ms: Floats
    decision_mid: Floats
    arrival_touch: Floats
    price: Floats
    rejected: Bools

    def __len__(self) -> int:
        return int(self.side.size)

    @property
    def slippage_touch_bps(self) -> Floats:
        """(N,) float64 bps of the decision mid paid beyond the arrival touch; NaN of a refused order."""
        return np.asarray(self.side * (self.price - self.arrival_touch) / self.decision_mid * _BPS)

    @property
    def slippage_mid_bps(self) -> Floats:
        """(N,) float64 bps of the decision mid paid beyond it: half the spread and all slippage; NaN if refused."""
        return np.asarray(self.side * (self.price - self.decision_mid) / self.decision_mid * _BPS)

    @property
    def latency_ms(self) -> Floats:
        """(N,) float64 ms from sending to the fill or the refusal."""
        return np.asarray(self.done_ms - self.sent_ms)

    @property
    def data_hash(self) -> str:
        """SHA-256 over market and every value."""
        name = np.frombuffer(f"{self.venue}/{self.symbol}".encode(), dtype=np.uint8)
        return hash_arrays([name, *(getattr(self, field.name) for field in fields(self)[2:])])

    def within(self, start_ms: float, end_ms: float) -> Fills:
        """The orders that were decided from a moment on and done before another."""
        kept = (self.decision_ms >= start_ms) & (self.done_ms < end_ms)
        columns = [getattr(self, field.name)[kept] for field in fields(self)[2:]]
        return Fills(self.venue, self.symbol, *columns)


def read_fills(path: Path) -> list[Fills]:
    """The fills of a Parquet file, or of every Parquet file in a folder, one table a market in the order of names.

    Raises FillsError for a missing column, one that holds something else than its name says, an order without a market,
    a side other than 1 or -1, times that run backward or are in another unit, or a filled order without a positive
    price.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise FillsError(f"{path}: no Parquet file of fills found. Name a file with the columns {', '.join(COLUMNS)}.")
    markets: dict[tuple[str, str], list[Fills]] = {}
    for file in files:
        for part in _read(file):
            markets.setdefault((part.venue, part.symbol), []).append(part)
    return [_joined(markets[market]) for market in sorted(markets)]


def _read(path: Path) -> list[Fills]:
    frame = read_parquet(path).to_pandas()
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise FillsError(f"{path}: missing column {', '.join(missing)}; needed are {', '.join(COLUMNS)}.")
    if frame["rejected"].dtype != np.bool_:
        raise FillsError(f"{path}: rejected holds {frame['rejected'].dtype}, allowed are true and false, never empty. "
                         "Correct the file.")
    nameless = frame[["venue", "symbol"]].isna().any(axis=1)
    if nameless.any():
        raise FillsError(f"{path}: {int(nameless.sum())} of {len(frame)} orders name no venue or symbol. Correct the "
                         "file.")
    try:
        frame = frame.astype(dict.fromkeys(_NUMBERS, np.float64))
    except (ValueError, TypeError) as error:
        raise FillsError(f"{path}: {error}; {', '.join(_NUMBERS)} are numbers. Correct the file.") from None
    found = []
    for (venue, symbol), rows in frame.groupby(["venue", "symbol"], sort=True):
        side, decided, sent, done, mid, touch, price = (rows[name].to_numpy(np.float64) for name in _NUMBERS)
        fills = Fills(str(venue), str(symbol), side, decided, sent, done, mid, touch, price,
                      rows["rejected"].to_numpy(np.bool_))
        _check(path, fills)
        found.append(fills)
    return found


def _check(path: Path, fills: Fills) -> None:
    filled = ~fills.rejected
    wrong = {
        "side is not 1 or -1": np.abs(fills.side) != 1,
        "decision_ms is no ms since 1970-01-01 UTC in 2000 to 2100": (fills.decision_ms < _EARLIEST_MS)
        | (fills.decision_ms >= _LATEST_MS),
        "times run backward": ~((fills.decision_ms <= fills.sent_ms) & (fills.sent_ms <= fills.done_ms)),
        "decision_mid or arrival_touch is not a positive number": ~(
            (fills.decision_mid > 0) & (fills.arrival_touch > 0)
            & np.isfinite(fills.decision_mid) & np.isfinite(fills.arrival_touch)),
        "a filled order has no positive price": filled & ~((fills.price > 0) & np.isfinite(fills.price)),
    }
    for what, rows in wrong.items():
        if rows.any():
            raise FillsError(f"{path}: {fills.symbol} on {fills.venue}: {what} in {int(rows.sum())} of {len(fills)} "
                             f"orders, first at row {int(np.flatnonzero(rows)[0])} of that market. Correct the file.")


def _joined(parts: list[Fills]) -> Fills:
    columns = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Fills)[2:]]
    order = np.argsort(columns[1], kind="stable")
    return Fills(parts[0].venue, parts[0].symbol, *(column[order] for column in columns))
