"""Compile every kernel once, at set-up: `python -m daybook.pipeline.warm`.

numba keeps what it compiles beside the source, so that a day later on writes nothing outside its own folders.
"""

from __future__ import annotations

import os
import tempfile

from daybook.core.parallel import thread_environment

_EXAMPLES = {"window": "9", "fraction": "0.7", "ratio": "close / open", "boolean": "close > open"}


def warm() -> None:
    """Use every operator of the expression language once, then walk through a scratch day in a temporary folder."""
    from daybook.pipeline.manifest import STEPS
    from daybook.pipeline.scratch import scratch_day, work_of

    warm_operators()
    warm_portfolio()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DAYBOOK_DATA=folder, DAYBOOK_RUNS=folder)
        last = STEPS[-1]
        work_of(last)(scratch_day(last, {}))


def warm_operators() -> int:
    """Evaluate one example of every operator that is written as a call; returns how many."""
    from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day
    from daybook.market import synthetic_bars
    from daybook.strategy import SignalPlan, operators, parse_expression

    start = day_start_ms(parse_day("2026-01-12"))
    plan = SignalPlan(synthetic_bars("BTCUSDT", Window(start, start + DAY_MS), seed=1))
    calls = [operator for operator in operators() if not operator.infix]
    for operator in calls:
        series = iter(("close", "high", "low"))
        arguments = [_EXAMPLES.get(slot.value) or next(series) for slot in operator.slots]
        plan.column(parse_expression(f"{operator.name}({', '.join(arguments)})", boolean=False))
    return len(calls)


def warm_portfolio() -> None:
    """Simulate a portfolio of one leg, which no step of a day does."""
    import numpy as np

    from daybook.backtest import Leg, simulate_portfolio
    from daybook.core.time import DAY_MS, Window, day_start_ms, parse_day
    from daybook.market import synthetic_bars

    start = day_start_ms(parse_day("2026-01-12"))
    bars = synthetic_bars("BTCUSDT", Window(start, start + DAY_MS), seed=1, timeframe="60m")
    simulate_portfolio([Leg("warm", bars, np.ones(len(bars), dtype=np.uint8))], leverage=1.0)


if __name__ == "__main__":
    os.environ.update(thread_environment(1))
    warm()
