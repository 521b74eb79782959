"""Tasks that kill their worker or raise what no pipe carries: a module of its own, since every worker imports it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from daybook.backtest.scale_out_tasks import SweepTask, TaskResult, run_task
from daybook.execution import Costs


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


class Unsendable(Exception):  # noqa: N818  # what it is called is what the test looks for
    """Its two arguments become one text, from which it can not be made again."""

    def __init__(self, number: int, of: int) -> None:
        super().__init__(f"{number} of {of}")


class Broken(Costs):
    """Costs that no bar has."""

    def side_cost(self, bars: object) -> NoReturn:
        raise Unsendable(3, 4)


@dataclass(frozen=True)
class Clumsy:
    """`run_task` with broken costs."""

    def __call__(self, task: SweepTask) -> TaskResult:
        return run_task(replace(task, costs=Broken()))
