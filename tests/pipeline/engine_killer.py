"""A task that kills its worker: a module of its own, since every worker imports it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from daybook.backtest.scale_out_tasks import SweepTask, TaskResult, run_task


@dataclass(frozen=True)
class OnMarket:
    """`run_task` that kills its process whenever a simulation on this market is in the task."""

    symbol: str
    timeframe: str

    def __call__(self, task: SweepTask) -> TaskResult:
        if any((part.file.symbol, part.file.timeframe) == (self.symbol, self.timeframe) for part in task.parts):
            os.kill(os.getpid(), signal.SIGKILL)
        return run_task(task)
