"""A task that kills its worker: a module of its own, since every worker imports it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from daybook.backtest.scale_out_tasks import SweepTask, TaskResult, run_task


@dataclass(frozen=True)
class Killer:
    """`run_task` that first kills its process: once where `times` says so, else whenever the poison is in the task."""

    notes: Path
    poison: str | None = None

    def __call__(self, task: SweepTask) -> TaskResult:
        if self.poison is None:
            if self._first():
                os.kill(os.getpid(), signal.SIGKILL)
        elif any(part.file.symbol == "ETHUSDT" and self.poison in texts
                 for part in task.parts for _, texts in part.specs):
            os.kill(os.getpid(), signal.SIGKILL)
        return run_task(task)

    def _first(self) -> bool:
        """Whether this is the fifth task to arrive: some were done, others are at work."""
        for number in range(100):
            try:
                (self.notes / str(number)).touch(exist_ok=False)
            except FileExistsError:
                continue
            return number == 4
        return False
