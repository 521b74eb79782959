"""Scale-out: what a task costs on a worker, and what a large sweep would cost in core-hours.

    python bench/scale_out_bench.py [--markets 4] [--years 5] [--sims 400] [--workers 2] [--for-markets 200]
                                    [--for-sims 1000] [--folder FOLDER|s3://...] [--address tcp://...]

Publishes seeded 1m bars as the engine does, sweeps them on a Dask cluster (worker processes of this machine unless an
address is given) and asserts that the table is the serial one, bit for bit. The figures are then taken apart: what a
task costs without work, what it costs to open and verify the bars of a market, and what a bar of one simulation costs.
The last table multiplies them out. Bars that lie in an object store add the time of their transfer: name a folder there
to measure it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

import numpy as np
import pandas as pd
from backtest_bench import COSTS, RSI

from daybook.backtest import sweep
from daybook.backtest.scale_out import Engine, Swept
from daybook.backtest.scale_out_files import BarsFile, file_system, publish_bars
from daybook.backtest.scale_out_workers import dask_workers
from daybook.market.bars import Bars

YEAR_BARS = 365 * 1440
FIRST_MS = 1_577_836_800_000


def seeded_bars(symbol: str, count: int) -> Bars:
    """A seeded random walk of 1m bars, with wicks."""
    rng = np.random.default_rng([11, *symbol.encode()])
    close = 20_000.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, count)))
    opened = np.concatenate(([20_000.0], close[:-1]))
    high = np.maximum(opened, close) * (1.0 + rng.exponential(2e-4, count))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(2e-4, count))
    times = FIRST_MS + 60_000 * np.arange(count, dtype=np.int64)
    return Bars("bench", symbol, "1m", times, opened, high, low, close, rng.lognormal(1.0, 1.0, count))


def parameter_sets(count: int) -> list[dict[str, float]]:
    """Distinct parameter sets of the RSI spec, as a tuner would draw them."""
    rng = np.random.default_rng(5)
    return [{"window": float(rng.integers(5, 40)), "low_level": float(rng.uniform(15, 40)),
             "high_level": float(rng.uniform(60, 85)), "sl": float(rng.uniform(0.004, 0.03)),
             "tp": float(rng.uniform(0.004, 0.04))} for _ in range(count)]


def idle(number: int) -> int:
    """A task without work."""
    return number


def overhead(engine: Engine, tasks: int = 300) -> float:
    """Seconds a task costs beside its work: sent, queued, answered, one after the other on every worker."""
    with dask_workers(engine.address, engine.workers) as workers:
        list(workers.run(idle, ((number, number) for number in range(50))))
        started = time.perf_counter()
        list(workers.run(idle, ((number, number) for number in range(tasks))))
        return (time.perf_counter() - started) * workers.count / tasks


def swept(engine: Engine, files: list[BarsFile], sets: list[dict[str, float]]) -> tuple[Swept, float]:
    """The sweep on the cluster, and its seconds by the wall clock."""
    started = time.perf_counter()
    found = engine.sweep(RSI, files, sets, COSTS)
    return found, time.perf_counter() - started


def megabytes(file: BarsFile) -> float:
    files, path = file_system(file.uri)
    return float(files.get_file_info(path).size) / 1e6


def show(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:{width}}  {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, default=4)
    parser.add_argument("--years", type=float, default=5.0)
    parser.add_argument("--sims", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--for-markets", type=int, default=200)
    parser.add_argument("--for-sims", type=int, default=1000)
    parser.add_argument("--folder")
    parser.add_argument("--address")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        measure(chosen, chosen.folder or temporary)


def measure(chosen: argparse.Namespace, folder: str) -> None:
    engine = Engine("dask", chosen.workers, chosen.address, folder)
    sets = parameter_sets(chosen.sims)
    count = round(chosen.years * YEAR_BARS)
    markets = [seeded_bars(f"COIN{number}USDT", count) for number in range(chosen.markets)]
    started = time.perf_counter()
    files = [publish_bars(bars, folder) for bars in markets]
    published = (time.perf_counter() - started) / len(files)
    swept(engine, files, sets[:20])  # start workers, load kernels, learn what a simulation costs
    found, wall = swept(engine, files, sets)
    started = time.process_time()
    serial = sweep(RSI, markets, sets, COSTS)
    alone = time.process_time() - started
    pd.testing.assert_frame_equal(found.table, serial, check_exact=True)
    report(chosen, files, found, {"publish": published, "wall": wall, "alone": alone, "task": overhead(engine)})


def report(chosen: argparse.Namespace, files: list[BarsFile], found: Swept, seconds: dict[str, float]) -> None:
    """Print what was measured, and what it comes to for the larger sweep."""
    tasks, bars = found.tasks, files[0].count
    simulations = sum(task.simulations for task in tasks)
    loads = [task.load_seconds for task in tasks if task.load_seconds > 0.01]
    lengths = [task.load_seconds + task.simulate_seconds for task in tasks]
    spent = sum(task.processor_seconds for task in tasks)
    rate = spent / simulations / bars
    print(f"{len(files)} markets x {bars:,} bars x {chosen.sims} simulations on {chosen.workers} workers: "
          "table equal to the serial one, bit for bit")
    show([
        ("tasks", f"{len(tasks)}, {min(lengths):.2f} to {max(lengths):.2f} s each, median "
                  f"{statistics.median(lengths):.2f} s and {simulations / len(tasks):.0f} simulations"),
        ("overhead of a task", f"{1000 * seconds['task']:.1f} ms, {seconds['task'] * len(tasks) / sum(lengths):.2%} of "
                               "a task"),
        ("publish a market", f"{seconds['publish']:.2f} s, {megabytes(files[0]):.0f} MB, once"),
        ("open and verify a market", f"{statistics.median(loads) if loads else 0.0:.2f} s, {len(loads)} times, "
                                     f"{sum(loads) / sum(lengths):.1%} of the tasks' time"),
        ("a bar of one simulation", f"{1e9 * rate:.2f} ns of processor time, everything included; in one process "
                                    f"without tasks {1e9 * seconds['alone'] / simulations / bars:.2f} ns"),
        ("whole sweep", f"{seconds['wall']:.1f} s by the wall clock, {spent:.1f} s of processor time"),
    ])
    count = chosen.for_markets * chosen.for_sims
    sent = count / (simulations / len(tasks))
    work, waited = count * bars * rate, sent * seconds["task"]
    print(f"{chosen.for_markets} markets x {bars:,} bars x {chosen.for_sims:,} simulations, projected")
    show([
        ("open, verify, simulate", f"{work / 3600:.2f} core-hours"),
        ("overhead", f"{waited / 3600:.3f} core-hours in {sent:,.0f} tasks"),
        ("in all", f"{(work + waited) / 3600:.2f} core-hours; {(work + waited) / 64 / 60:.1f} minutes on 64 cores"),
        ("stored", f"{megabytes(files[0]) * chosen.for_markets / 1e3:.1f} GB"),
        ("read", f"{megabytes(files[0]) * len(loads) / len(tasks) * sent / 1e3:.0f} GB, as often as here a task had to "
                 "open its market"),
    ])


if __name__ == "__main__":
    main()
