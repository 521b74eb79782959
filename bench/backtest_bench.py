"""Backtests: from bars to ranking metrics, beside vectorbt's two engines, backtesting.py and a C loop, in one process.

    python bench/backtest_bench.py [--sims 100,1000] [--bars 10080] [--rounds 7] [--peers c,numba,rust,backtesting]

Every engine gets the same bars and parameter sets and returns total return, Sharpe ratio, maximum drawdown, win rate
and trades. Before anything is timed, the engines' results are held against each other. Rounds alternate between
engines and the tables give ratios of the medians: compare those, for nanoseconds depend on what else the machine does.
Times are processor time of this process, with the ratio by the wall clock beside it; every engine uses one thread, and
a sweep on two threads has a row of its own. Slow engines run a few of the simulations; their figure is per bar and
simulation all the same. A year of bars is measured beside the C loop alone, and one run of seven days by itself. The
last table says which targets were met, by the worse of the two clocks; the exit code is 1 if one was not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from backtest_peers import (
    BACKTESTING,
    C_LOOP,
    COSTS,
    MA,
    RSI,
    VECTORBT,
    Case,
    Engine,
    daybook,
    engines,
    parameter_sets,
    seeded_bars,
)

from daybook.backtest import simulate_bits, sweep
from daybook.execution import Costs
from daybook.strategy import signal_bits

Clocks = tuple[float, float]
"""Processor and wall clock time of one run, in seconds."""
MINE, MINE_ON_TWO = "daybook.backtest.sweep", "daybook.backtest.sweep, jobs=2"
YEAR_SIMULATIONS, YEAR_BARS, YEAR_COSTS = 100, 525_600, Costs(fee_bps=0.01, spread_bps=0.02)
"""Costs so low that few simulations are ruined before the year is over."""
MOST_OF_C = {100: 2.0, 1000: 1.3}
"""Simulations of seven days -> what a sweep may take, as a multiple of the C loop's time."""
LEAST_OF_VECTORBT = {100: 30.0, 1000: 80.0}
"""Simulations of seven days -> what vectorbt's faster engine has to take, as a multiple of the sweep's time."""
MOST_OF_C_IN_A_YEAR, LEAST_OF_BACKTESTING, MOST_SINGLE_MS = 1.6, 1000.0, 1.0


@dataclass(frozen=True)
class Row:
    """One engine in one case: medians in nanoseconds a bar and simulation, and how far it agrees.

    case: what Daybook ran, of which a slow engine ran only a part.
    """

    case: Case
    engine: str
    cpu_ns: float
    wall_ns: float
    parity: str = ""


@dataclass(frozen=True)
class Target:
    """What was promised, what was measured (the worse of the two clocks), and whether that keeps the promise."""

    name: str
    promised: str
    measured: str
    met: bool


# ---- measuring ----

def measure(case: Case, peers: list[Engine], rounds: int) -> list[Row]:
    """Daybook first, then each peer; a sweep is timed after every peer's run, with the caches as that one left them."""
    mine = daybook(case)
    own: list[Clocks] = []
    spent: dict[str, list[Clocks]] = {peer.name: [] for peer in peers}
    parts = {peer.name: replace(case, params=case.params[:peer.most]) for peer in peers}
    parity = {peer.name: held_against(peer, parts[peer.name], peer.run(parts[peer.name]), mine) for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            own.append(timed(partial(daybook, case)))
            spent[peer.name].append(timed(partial(peer.run, parts[peer.name])))
    return [row_of(case, MINE, own)] + [
        row_of(case, peer.name, spent[peer.name], parity[peer.name], len(parts[peer.name].params)) for peer in peers]


def row_of(case: Case, engine: str, spent: list[Clocks], parity: str = "", ran: int = 0) -> Row:
    unit = 1e9 / (ran or len(case.params)) / len(case.bars)
    cpu, wall = (statistics.median(clock) * unit for clock in zip(*spent, strict=True))
    return Row(case, engine, cpu, wall, parity)


def timed(run: Callable[[], object]) -> Clocks:
    start, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - start, time.perf_counter() - wall


def held_against(peer: Engine, case: Case, theirs: np.ndarray, mine: np.ndarray) -> str:
    """Assert that an engine did the same work where its rules are the same; tells how far it agrees."""
    mine = mine[:len(theirs)]
    same = (theirs[:, 4] == mine[:, 4]) & (np.abs(theirs[:, 0] - mine[:, 0]) <= peer.tolerance)
    if peer.comparable is None:
        return f"own rules: {theirs[:, 4].sum():.0f} trades for {mine[:, 4].sum():.0f}"
    comparable = peer.comparable(case)
    assert comparable.mean() > 0.1, f"{peer.name}: only {comparable.mean():.0%} of simulations can be compared"
    assert same[comparable].all(), f"{peer.name}: simulations {np.flatnonzero(comparable & ~same)} differ"
    return (f"equal trades, returns within {peer.tolerance:.0e}: all {comparable.sum()} under equal rules, "
            f"{same.sum()} of {len(same)} in all")


def on_two_threads(case: Case, rounds: int) -> Row:
    assert np.array_equal(daybook(case, 2), daybook(case), equal_nan=True), "a second thread changes the result"
    return row_of(case, MINE_ON_TWO, [timed(partial(daybook, case, 2)) for _ in range(3 * rounds)])


def single_run_ms(bars_count: int) -> dict[str, float]:
    """Least and median wall clock milliseconds of one simulation, through a sweep of one and from signal bits."""
    bars = seeded_bars(bars_count)
    bits = signal_bits(RSI, bars)
    stops = RSI.stops()
    found = {}
    for name, run in (("sweep of one spec", partial(sweep, RSI, bars, None, COSTS)),
                      ("simulate_bits", partial(simulate_bits, bits, bars, stops, COSTS))):
        run()
        spent = [timed(run)[1] * 1e3 for _ in range(200)]
        found[f"{name}, median"], found[f"{name}, least"] = statistics.median(spent), min(spent)
    return found


# ---- judging ----

def targets(rows: list[Row], bars: int) -> list[Target]:
    """The targets that these rows speak of."""
    found = []
    for mine in (row for row in rows if row.engine == MINE):
        size = len(mine.case.params), len(mine.case.bars)
        peers = {row.engine: row for row in rows if row.case is mine.case}
        what = f"{mine.case.strategy.name}, {size[0]:,} x {size[1]:,}"
        most = MOST_OF_C.get(size[0]) if size[1] == bars else MOST_OF_C_IN_A_YEAR
        if C_LOOP in peers and most is not None:
            found.append(at_most(f"{what}: time / C loop", ratio(mine, peers[C_LOOP], max), most))
        rivals = [row for name, row in peers.items() if name.startswith(VECTORBT)]
        if rivals and size[0] in LEAST_OF_VECTORBT:
            faster = min(rivals, key=lambda row: row.cpu_ns)
            found.append(at_least(f"{what}: {faster.engine}, the faster one, / sweep", ratio(faster, mine, min),
                                  LEAST_OF_VECTORBT[size[0]]))
        if BACKTESTING in peers:
            found.append(at_least(f"{what}: backtesting.py / sweep", ratio(peers[BACKTESTING], mine, min),
                                  LEAST_OF_BACKTESTING))
    return found


def ratio(one: Row, other: Row, worse: Callable[[float, float], float]) -> float:
    return worse(one.cpu_ns / other.cpu_ns, one.wall_ns / other.wall_ns)


def at_most(name: str, measured: float, limit: float) -> Target:
    return Target(name, f"<= {limit:g}", f"{measured:.2f}", measured <= limit)


def at_least(name: str, measured: float, limit: float) -> Target:
    return Target(name, f">= {limit:,.0f}", f"{measured:,.1f}", measured >= limit)


def print_rows(rows: list[Row]) -> None:
    names = ("case", "simulations x bars", "engine", "ns per bar and simulation", "time / daybook", "by the wall clock",
             "parity")
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for row in rows:
        if row.engine == MINE:
            mine = row
        size = f"{len(row.case.params):,} x {len(row.case.bars):,}"
        cells = (row.case.strategy.name, size, row.engine, f"{row.cpu_ns:.2f}", figure(row.cpu_ns / mine.cpu_ns),
                 figure(row.wall_ns / mine.wall_ns), row.parity)
        print("| " + " | ".join(cells) + " |")


def figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def print_targets(found: list[Target]) -> bool:
    print("\n| target | promised | measured | met |\n|---|---|---|---|")
    for target in found:
        print(f"| {target.name} | {target.promised} | {target.measured} | {'yes' if target.met else 'no'} |")
    return all(target.met for target in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sims", default="100,1000")
    parser.add_argument("--bars", type=int, default=10_080)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default="c,numba,rust,backtesting")
    parser.add_argument("--no-year", action="store_true", help="leave the year of bars out")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    peers, bars, rows = engines(chosen.peers.split(",")), seeded_bars(chosen.bars), []
    for strategy in (RSI, MA):
        for count in map(int, chosen.sims.split(",")):
            case = Case(strategy, bars, parameter_sets(strategy, count))
            rows += measure(case, peers, chosen.rounds)
            if count * chosen.bars >= 10_000_000:
                rows.append(on_two_threads(case, chosen.rounds))
    if not chosen.no_year and any(peer.name == C_LOOP for peer in peers):
        year = seeded_bars(YEAR_BARS)
        for strategy in (RSI, MA):
            case = Case(strategy, year, parameter_sets(strategy, YEAR_SIMULATIONS), YEAR_COSTS)
            rows += measure(case, [peer for peer in peers if peer.name == C_LOOP], chosen.rounds)
    print_rows(rows)
    single = single_run_ms(chosen.bars)
    found = targets(rows, chosen.bars) + [
        Target(f"one run of {chosen.bars:,} bars: {name}, ms", f"<= {MOST_SINGLE_MS:g}", f"{ms:.2f}",
               ms <= MOST_SINGLE_MS) for name, ms in single.items() if name.endswith("median")]
    if not print_targets(found):
        sys.exit(1)


if __name__ == "__main__":
    main()
