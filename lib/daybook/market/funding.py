"""Funding rates of perpetual futures: one Parquet file a market, stamps kept as the exchange gave them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from daybook.core.arrays import Floats, Ints
from daybook.core.errors import DataError
from daybook.core.files import read_parquet, write_parquet
from daybook.core.time import HOUR_MS, MINUTE_MS, Window
from daybook.market.names import require_symbol, require_venue

FUNDING_FOLDER = "funding"
LONGEST_INTERVAL_MS = 8 * HOUR_MS + MINUTE_MS
"""Venues settle every eight hours or more often; a longer stretch without a settlement is missing data."""
_COLUMNS = pa.schema([("funding_time", pa.int64()), ("funding_rate", pa.float64())])
_LARGEST_RATE = 1.0
"""Exchanges cap a rate at a few percent; a whole notional is another unit."""


@dataclass(frozen=True)
class FundingRates:
    """Settlements, oldest first.

    funding_time: (N,) int64 ms UTC, strictly rising, up to some tens of milliseconds after the hour.
    funding_rate: (N,) float64 fraction of notional that longs pay shorts at that settlement; negative: shorts pay.
    """

    funding_time: Ints
    funding_rate: Floats

    def __len__(self) -> int:
        return int(self.funding_time.size)

    @classmethod
    def of(cls, name: str, times: Ints, rates: Floats) -> FundingRates:
        """Settlements in any order, repeats with equal rates once. Raises DataError for values that can not be."""
        wrong = ~(np.isfinite(rates) & (np.abs(rates) < _LARGEST_RATE)) | (times <= 0)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(f"{name}: found rate {rates[at]} at {times[at]} ms, allowed is a fraction between -1 and 1 "
                            "at a time in milliseconds since 1970-01-01 UTC.")
        order = np.argsort(times, kind="stable")
        times, rates = times[order], rates[order]
        repeat = np.zeros(times.size, dtype=np.bool_)
        repeat[1:] = times[1:] == times[:-1]
        clash = repeat.copy()
        clash[1:] &= rates[1:] != rates[:-1]
        if clash.any():
            at = int(np.argmax(clash))
            raise DataError(f"{name}: found the rates {rates[at - 1]} and {rates[at]} for the one settlement at "
                            f"{times[at]} ms. Fetch it again.")
        return cls(times[~repeat], rates[~repeat])

    def within(self, window: Window) -> FundingRates:
        """The settlements inside the window."""
        part = slice(*np.searchsorted(self.funding_time, [window.start_ms, window.end_ms]))
        return FundingRates(self.funding_time[part], self.funding_rate[part])

    @property
    def minutes(self) -> Ints:
        """(N,) int64 ms UTC of the full minute at which each settlement counts: venues stamp some ms late."""
        full: Ints = self.funding_time // MINUTE_MS * MINUTE_MS
        return full

    def longest_gap(self, window: Window) -> Window:
        """The longest stretch of a window in which nothing is settled, the first of equal ones."""
        minutes = self.minutes
        inside = minutes[(minutes >= window.start_ms) & (minutes < window.end_ms)]
        edges = np.concatenate(([window.start_ms], inside, [window.end_ms]))
        at = int(np.argmax(np.diff(edges)))
        return Window(int(edges[at]), int(edges[at + 1]))


@dataclass(frozen=True)
class FundingCounts:
    """What became of arriving settlements. conflicts: stored with another rate, which stays."""

    new: int
    duplicates: int
    conflicts: int


class FundingStore:
    """Settlements below `root`: venue=binance_usdm/symbol=BTCUSDT/rates.parquet."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def read(self, venue: str, symbol: str, window: Window | None = None) -> FundingRates:
        """The stored settlements, possibly none."""
        path = self._path(venue, symbol)
        if not path.exists():
            return FundingRates(np.empty(0, np.int64), np.empty(0, np.float64))
        table = read_parquet(path)
        if table.schema.remove_metadata() != _COLUMNS:
            raise DataError(f"{path}: found columns {', '.join(table.column_names)}, allowed are funding_time int64 "
                            "and funding_rate double. Remove the file and download the rates again.")
        rates = FundingRates(table["funding_time"].to_numpy(), table["funding_rate"].to_numpy())
        return rates if window is None else rates.within(window)

    def write(self, venue: str, symbol: str, arriving: FundingRates) -> FundingCounts:
        """Add settlements; the stored one wins over another rate. Writing the same again changes no byte."""
        stored = self.read(venue, symbol)
        known = np.isin(arriving.funding_time, stored.funding_time)
        places = np.searchsorted(stored.funding_time, arriving.funding_time[known])
        conflicts = int(np.count_nonzero(stored.funding_rate[places] != arriving.funding_rate[known]))
        counts = FundingCounts(int(np.count_nonzero(~known)), int(np.count_nonzero(known)) - conflicts, conflicts)
        if counts.new:
            times = np.concatenate([stored.funding_time, arriving.funding_time[~known]])
            rates = np.concatenate([stored.funding_rate, arriving.funding_rate[~known]])
            order = np.argsort(times, kind="stable")
            columns = [pa.array(times[order]), pa.array(rates[order])]
            write_parquet(self._path(venue, symbol), pa.table(columns, schema=_COLUMNS))
        return counts

    def _path(self, venue: str, symbol: str) -> Path:
        return self.root / f"venue={require_venue(venue)}" / f"symbol={require_symbol(symbol)}" / "rates.parquet"


def funding_store(data: Path) -> FundingStore:
    """The funding store of a data folder."""
    return FundingStore(Path(data) / FUNDING_FOLDER)
