"""Hand-made candles and candle files for the tests of the market part."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daybook.core.time import MINUTE_MS
from daybook.market.rows import CandleRows

JUNE = 1_685_577_600_000
"""2023-06-01 00:00 UTC."""
JULY = JUNE + 30 * 86_400_000
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
Candle = tuple[int, float, float, float, float, float]


def candle(time_ms: int, price: float = 100.0, volume: float = 1.0) -> Candle:
    """A usable bar around a price."""
    return (time_ms, price, price + 2, price - 2, price + 1, volume)


def minutes(count: int, start_ms: int = JUNE) -> list[Candle]:
    """Consecutive bars, seven prices in turn."""
    return [candle(start_ms + number * MINUTE_MS, 100.0 + number % 7) for number in range(count)]


def rows(candles: Sequence[Candle], close_times: Sequence[int] | None = None, length_ms: int = MINUTE_MS) -> CandleRows:
    """The candles as rows; close times are regular unless given."""
    table = np.array(candles, dtype=np.float64).reshape(-1, 6)
    times = np.array([one[0] for one in candles], dtype=np.int64)
    closes = times + length_ms if close_times is None else np.array(close_times, dtype=np.int64)
    return CandleRows.of(times, (table[:, column].copy() for column in range(1, 6)), closes)


def write_candles(path: Path, candles: Sequence[Candle]) -> Path:
    """A Parquet candle file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [one[at] for one in candles] for at, name in enumerate(COLUMNS)}
    types = [pa.int64()] + [pa.float64()] * 5
    pq.write_table(pa.table({name: pa.array(columns[name], kind) for name, kind in zip(COLUMNS, types, strict=True)}),
                   path)
    return path


def spot_csv(candles: Iterable[Candle], unit: int = 1) -> str:
    """Text of a Binance spot archive: no header, 12 columns, 8 places; unit 1000 for microseconds."""
    return "".join(
        f"{one[0] * unit},{','.join(f'{value:.8f}' for value in one[1:])},{(one[0] + MINUTE_MS) * unit - 1},"
        f"1.00000000,7,0.50000000,0.50000000,0\n" for one in candles
    )


def usdm_csv(candles: Iterable[Candle]) -> str:
    """Text of a Binance USD-M archive: a header and plain decimals."""
    header = ("open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
              "taker_buy_quote_volume,ignore\n")
    return header + "".join(
        f"{one[0]},{','.join(str(value) for value in one[1:])},{one[0] + MINUTE_MS - 1},1.5,7,0.5,0.5,0\n"
        for one in candles
    )


def zipped(path: Path, text: str, inside: str | None = None) -> Path:
    """A zip with one CSV of the same base name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(inside or f"{path.stem}.csv", text)
    return path


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a store but its locks and its import index, by relative path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*"))
            if path.is_file() and path.parent.name != "_locks" and path.name != "_imports.json"}
