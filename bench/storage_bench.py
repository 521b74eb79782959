"""Storage: the candle store and the feature store beside plain Parquet (zstd) and DuckDB.

    python bench/storage_bench.py [--candles FILE] [--days 28] [--repeats 5]

--candles: a candle file (Parquet); recorded BTCUSDT of 2022-23 where ../shared has it, else as many made-up bars.
Every side gives back the same values, which is checked before anything is timed. Sides run alternately in one process,
each with one thread, on a warm page cache; seconds are wall time, the least of the repeats. A ratio is the figure to
keep. What Daybook's writes do besides (validity of every bar, merge with what is stored, whole files by rename and
fsync, a checksum on every page) is in its time. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from features_bench import one_more_day, seeded_bars

from daybook.core.time import DAY_MS, MINUTE_MS, Window, day_of
from daybook.features import FeatureTable, compute, market_names
from daybook.features.partitions import read_partition, write_partition
from daybook.market import Bars, CandleStore, import_candles
from daybook.market.bars import FIELDS
from daybook.market.rows import rows_of
from daybook.market.store import SourceRows

RECORDED = Path(__file__).parents[2] / "shared/data/candles/binance_spot/1m/BTCUSDT_2022-01-01_2023-12-31.parquet"
MARKET = ("binance_spot", "BTCUSDT")
COLUMNS = ("open_time", *FIELDS)


@dataclass
class Side:
    """One way to keep the same table: write it, read all of it, read a part; and the bytes it takes."""

    name: str
    write: Callable[[], object]
    read: Callable[[], object]
    part: Callable[[], object]
    files: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size on disk."""
        if self.files.is_file():
            return self.files.stat().st_size
        return sum(path.stat().st_size for path in self.files.rglob("*") if path.is_file())


def timed(sides: list[Side], repeats: int) -> None:
    """The least wall seconds of each side's three acts, sides alternating."""
    for act in ("write", "read", "part"):
        for _ in range(repeats):
            for side in sides:
                begun = time.perf_counter()
                getattr(side, act)()
                took = time.perf_counter() - begun
                side.seconds[act] = min(took, side.seconds.get(act, took))


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def duck(folder: Path) -> duckdb.DuckDBPyConnection:
    """A new database file with one thread."""
    return duckdb.connect(str(emptied(folder) / "table.duckdb"), config={"threads": 1})


def recorded_bars(path: Path | None) -> Bars:
    source = path or (RECORDED if RECORDED.is_file() else None)
    if source is None:
        made = seeded_bars(1_051_200)
        return Bars(*MARKET, "1m", *(np.array(getattr(made, name)) for name in COLUMNS))
    table = pq.read_table(source, columns=list(COLUMNS), partitioning=None)
    return Bars(*MARKET, "1m", *(table[name].to_numpy() for name in COLUMNS))


def candle_sides(bars: Bars, root: Path) -> list[Side]:
    """The candle store, one Parquet file, one DuckDB table; the part is the last 35 days."""
    rows, table = rows_of(bars, MINUTE_MS), pa.table({name: getattr(bars, name) for name in COLUMNS})
    last = Window(int(bars.open_time[-1]) + MINUTE_MS - 35 * DAY_MS, int(bars.open_time[-1]) + MINUTE_MS)
    inside = (pc.field("open_time") >= last.start_ms) & (pc.field("open_time") < last.end_ms)
    store, plain, base = root / "store", root / "plain.parquet", root / "duck"

    def write_store() -> None:
        CandleStore(emptied(store)).write(*MARKET, [SourceRows("bench", rows)])

    def write_duck() -> None:
        with duck(base) as connection:
            connection.register("arrived", table)
            connection.execute("create table bars as select * from arrived")

    def select(where: str) -> pa.Table:
        with duckdb.connect(str(base / "table.duckdb"), read_only=True, config={"threads": 1}) as connection:
            return connection.execute(f"select * from bars {where} order by open_time").to_arrow_table()  # noqa: S608

    where = f"where open_time >= {last.start_ms} and open_time < {last.end_ms}"
    sides = [
        Side("candle store", write_store, lambda: CandleStore(store).read(*MARKET),
             lambda: CandleStore(store).read(*MARKET, last), store),
        Side("one Parquet file, zstd", lambda: pq.write_table(table, plain, compression="zstd"),
             lambda: pq.read_table(plain, use_threads=False),
             lambda: pq.read_table(plain, filters=inside, use_threads=False), plain),
        Side("DuckDB table", write_duck, lambda: select(""), lambda: select(where), base),
    ]
    for side in sides:
        side.write()
    expected = bars.within(last)
    for found, wanted in ((CandleStore(store).read(*MARKET), bars), (CandleStore(store).read(*MARKET, last), expected)):
        assert found.data_hash == wanted.data_hash
    for side in sides[1:]:
        for found, wanted in ((side.read(), bars), (side.part(), expected)):
            assert isinstance(found, pa.Table)
            assert all(np.array_equal(found[name].to_numpy(), getattr(wanted, name)) for name in COLUMNS)
    return sides


def feature_sides(bars: Bars, days: int, root: Path) -> list[Side]:
    """Day files of the feature store, the same days as plain Parquet, one DuckDB table; the part is 5 columns."""
    names = market_names()
    table = compute(bars.rows(0, (days + 7) * 1440), names)
    tables = [FeatureTable(names, table.open_time[at:at + 1440], table.values[at:at + 1440])
              for at in range(7 * 1440, (days + 7) * 1440, 1440)]
    arrows = [part.to_arrow() for part in tables]
    few = names[:5]
    store, plain, base = root / "features", root / "plain", root / "duck-features"

    def write_store() -> None:
        for number, part in enumerate(tables):
            write_partition(store / f"{number}.parquet", part, "bench")

    def read_store(chosen: tuple[str, ...]) -> np.ndarray:
        out = np.empty((len(chosen), days * 1440), dtype=np.float32)
        for number in range(days):
            day = slice(number * 1440, (number + 1) * 1440)
            read_partition(store / f"{number}.parquet", "bench", out[:, day], chosen)
        return out

    def write_plain() -> None:
        plain.mkdir(exist_ok=True)
        for number, part in enumerate(arrows):
            pq.write_table(part, plain / f"{number}.parquet", compression="zstd")

    def stacked(found: list[pa.Table], chosen: tuple[str, ...]) -> np.ndarray:
        whole = pa.concat_tables(found)
        return np.stack([whole[name].to_numpy() for name in chosen])

    def read_plain(chosen: tuple[str, ...]) -> np.ndarray:
        return stacked([pq.read_table(plain / f"{number}.parquet", columns=list(chosen), use_threads=False)
                        for number in range(days)], chosen)

    def write_duck() -> None:
        with duck(base) as connection:
            connection.register("arrived", pa.concat_tables(arrows))
            connection.execute("create table features as select * from arrived")

    def read_duck(chosen: tuple[str, ...]) -> np.ndarray:
        listed = ", ".join(f'"{name}"' for name in chosen)
        with duckdb.connect(str(base / "table.duckdb"), read_only=True, config={"threads": 1}) as connection:
            return stacked([connection.execute(f"select {listed} from features order by open_time")  # noqa: S608
                            .to_arrow_table()], chosen)

    sides = [
        Side("feature store", write_store, lambda: read_store(names), lambda: read_store(few), store),
        Side("the same days, Parquet zstd", write_plain, lambda: read_plain(names), lambda: read_plain(few), plain),
        Side("DuckDB table", write_duck, lambda: read_duck(names), lambda: read_duck(few), base),
    ]
    wanted = table.values[7 * 1440:].T
    for side in sides:
        side.write()
        assert np.array_equal(side.read(), wanted, equal_nan=True)
        assert np.array_equal(side.part(), wanted[:5], equal_nan=True)
    return sides


def show(title: str, sides: list[Side], units: int, unit: str, part: str) -> None:
    """The sides as a Markdown table; ratios to the first."""
    own = sides[0]
    print(f"\n| {title} | write s | x | read all s | x | {part} s | x | bytes a {unit} | x |")
    print("| --- |" + " ---: |" * 8)
    for side in sides:
        figures = "".join(f" {side.seconds[act]:.3f} | {side.seconds[act] / own.seconds[act]:.2f} |"
                          for act in ("write", "read", "part"))
        print(f"| {side.name} |{figures} {side.bytes / units:.2f} | {side.bytes / own.bytes:.2f} |")


def import_seconds(bars: Bars, root: Path) -> tuple[float, float]:
    """Seconds to import one candle file of two years, and to import it again when nothing is new."""
    first, last = (day_of(int(bars.open_time[at])).isoformat() for at in (0, -1))
    file = root / "binance_spot" / "1m" / f"BTCUSDT_{first}_{last}.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({name: getattr(bars, name) for name in COLUMNS}), file)
    store = CandleStore(root / "imported")
    taken = []
    for _ in range(2):
        begun = time.perf_counter()
        import_candles(root / "binance_spot", store)
        taken.append(time.perf_counter() - begun)
    assert store.read(*MARKET).data_hash == bars.data_hash
    return taken[0], taken[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candles", type=Path, help="a candle file (Parquet)")
    parser.add_argument("--days", type=int, default=28, help="days of 1m features")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    bars = recorded_bars(options.candles)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        first, again = import_seconds(bars, root)
        sides = candle_sides(bars, root)
        timed(sides, options.repeats)
        show(f"{len(bars):,} bars of 1m", sides, len(bars), "bar", "35 days")
        print(f"\nimport of the file: {first:.2f} s ({1e6 * first / len(bars):.2f} µs a bar); again, nothing new: "
              f"{again:.3f} s")
        values = options.days * 1440 * len(market_names())
        sides = feature_sides(bars, options.days, root)
        timed(sides, options.repeats)
        show(f"{options.days} days x {len(market_names())} features of 1m", sides, values, "value", "5 columns")
    panel = {symbol: Bars("bench", symbol, "1m", *(getattr(seeded_bars(30 * 1440, seed), name) for name in COLUMNS))
             for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT"))}
    fresh, read = one_more_day(panel)
    print(f"\none more day of 1m features, 3 coins, computed and stored: {fresh:.2f} s; eight stored days read: "
          f"{read:.2f} s")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
