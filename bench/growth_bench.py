"""How a sweep grows: time over bars x simulations, memory over simulations, and what a fresh process waits for.

    python bench/growth_bench.py [--most 1e10] [--bars 10080]

Growth: sweeps of crossing averages over 10,080 bars (the largest over 100,000) from 10^6 to `most` bars x simulations,
one thread, through `sweep_best` with parameter sets from a generator; processor time. Linear means that nanoseconds a
bar and simulation stay within three times those of the middle size, the fixed cost of the smallest sweep included.
Memory: the growth of the traced peak (Python and numpy alike) with the number of simulations, beside the parameter sets
that the caller holds. Cold start: processor time in which a fresh process that has imported numpy, numba (its own
registries included, which its first compiled call fills) and pandas imports `daybook.backtest` and runs its first
sweep, with kernels that numba has in its disk cache. The last column says whether the target is met; the exit code is 1
if one is not.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator

from backtest_bench import Target, print_targets
from backtest_peers import COSTS, MA, seeded_bars

from daybook.backtest import SweepInputs, sweep, sweep_best

MOST_BYTES, MOST_COLD_SECONDS, MOST_SLOPE = 100.0, 0.5, 3.0
LONG_BARS = 100_000
_COLD = """
import time
import numpy as np
import numba, pandas
from numba.core.registry import cpu_target
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
start = time.process_time()
import daybook.backtest
from daybook.market.bars import Bars
imported = time.process_time()
close = 100 + np.sin(np.arange(10_080) / 50)
bars = Bars("cold", "BTCUSDT", "1m", 60_000 * np.arange(10_080), close, close, close, close, close)
spec = {"name": "cold", "rationale": "Follows the faster average.", "timeframes": ["1m"],
        "long_entry": "cross_above(sma(close, 5), sma(close, 20))",
        "short_entry": "cross_below(sma(close, 5), sma(close, 20))"}
first = time.process_time()
daybook.backtest.sweep(spec, bars)
done = time.process_time()
daybook.backtest.sweep(spec, bars)
print(imported - start, done - first, time.process_time() - done)
"""


def parameter_sets(count: int) -> Iterator[dict[str, float]]:
    """Parameter sets of crossing averages, made as they are needed."""
    return ({"fast": float(2 + number % 90), "slow": float(100 + number // 90 % 301)} for number in range(count))


def growth(most: float, bars: int) -> list[Target]:
    """A row for each size, its time held against that of the middle size."""
    sizes = [(count, bars) for count in (100, 1000, 10_000, 100_000) if count * bars <= most]
    sizes += [(100_000, LONG_BARS)] if most >= 100_000 * LONG_BARS else []
    tapes = {length: SweepInputs((seeded_bars(length),), COSTS) for _, length in sizes}
    sweep_best(MA, tapes[bars], parameter_sets(100))
    spent = []
    for count, length in sizes:
        rounds = max(1, min(9, 2_000_000_000 // (count * length) // 20))
        spent.append(statistics.median(seconds(count, tapes[length]) for _ in range(rounds)) * 1e9 / count / length)
    middle = spent[len(spent) // 2]
    return [Target(f"{count:,} simulations x {length:,} bars, ns a bar and simulation",
                   f"{middle / MOST_SLOPE:.1f} to {middle * MOST_SLOPE:.1f}", f"{found:.2f}",
                   middle / MOST_SLOPE <= found <= middle * MOST_SLOPE)
            for (count, length), found in zip(sizes, spent, strict=True)]


def seconds(count: int, inputs: SweepInputs) -> float:
    start = time.process_time()
    assert sweep_best(MA, inputs, parameter_sets(count)).simulations == count
    return time.process_time() - start


def peak_bytes(count: int, inputs: SweepInputs, streamed: bool) -> int:
    """Traced peak of a sweep of `count` simulations, beside the parameter sets and, unless streamed, its table."""
    given = [] if streamed else list(parameter_sets(count))
    tracemalloc.start()
    if streamed:
        sweep_best(MA, inputs, parameter_sets(count))
        kept = 0
    else:
        kept = int(sweep(MA, inputs.bars, given, COSTS).memory_usage(deep=True).sum())
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found - kept


def memory(bars: int) -> list[Target]:
    """Growth of the peak per simulation, between two numbers of simulations that both fill every buffer."""
    inputs, targets = SweepInputs((seeded_bars(bars // 10),), COSTS), []
    peak_bytes(5_000, inputs, streamed=True)
    for name, streamed in (("sweep_best, everything", True), ("sweep, beside the table that it returns", False)):
        few, many = 20_000, 100_000
        grown = (peak_bytes(many, inputs, streamed) - peak_bytes(few, inputs, streamed)) / (many - few)
        targets.append(Target(f"memory: {name}, bytes a simulation", f"<= {MOST_BYTES:g}", f"{grown:.1f}",
                              grown <= MOST_BYTES))
    return targets


def cold_start(rounds: int = 5) -> list[Target]:
    """Medians over fresh processes; the first one is not counted, it fills the caches."""
    runs = []
    for _ in range(rounds + 1):
        done = subprocess.run([sys.executable, "-c", _COLD], check=True, capture_output=True, text=True)
        runs.append([float(part) for part in done.stdout.split()])
    imported, first, later = (statistics.median(column) for column in zip(*runs[1:], strict=True))
    whole = imported + first
    return [Target(f"cold start: import of daybook.backtest {imported:.2f} s + first sweep {first:.2f} s (the next "
                   f"{later * 1e3:.1f} ms), s", f"<= {MOST_COLD_SECONDS:g}", f"{whole:.2f}",
                   whole <= MOST_COLD_SECONDS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=float, default=1e10)
    parser.add_argument("--bars", type=int, default=10_080)
    chosen = parser.parse_args()
    if not print_targets(cold_start() + memory(chosen.bars) + growth(chosen.most, chosen.bars)):
        sys.exit(1)


if __name__ == "__main__":
    main()
