"""Processes that run tasks and may die: a pool on this machine, or a Dask cluster. A death is an answer, no error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from functools import cache
from itertools import islice
from typing import Any, Protocol

from daybook.core.errors import DaybookError, UsageError
from daybook.core.parallel import thread_environment

Handed = tuple[Any, Any]
"""What the caller calls a task, and the task itself."""
Answer = tuple[Any, Any]
"""What the caller calls a task, and its result; DIED where the worker died with it."""
DIED = object()
_QUEUED = 2
"""Tasks given out for each worker: one that runs and one that waits, so that few are in danger when a worker dies."""
_IDLE_SECONDS = 60
_CONNECT_SECONDS = 15
_PATIENCE_SECONDS = 60.0


class EngineError(DaybookError):
    """A cluster that can not be reached, or that has lost all of its workers."""


class Workers(Protocol):
    """Runs a function on tasks in other processes."""

    count: int

    def run(self, function: Callable[[Any], Any], tasks: Iterable[Handed]) -> Iterator[Answer]:
        """Answers in the order in which they come, tasks being drawn only as workers get free.

        What a task raises is raised here; DIED stands for the result of one whose worker died while it had it.
        """
        ...

    def alone(self) -> Workers:
        """The same, to be handed one task at a time."""
        ...


class ProcessWorkers:
    """Processes of this machine (loky), kept for a minute after their last task."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, function: Callable[[Any], Any], tasks: Iterable[Handed]) -> Iterator[Answer]:
        """As Workers.run. A dead process breaks the whole pool, so all that is given out then counts as died."""
        left = iter(tasks)
        flying: dict[Future[Any], Any] = {}
        try:
            while True:
                for name, task in islice(left, self.count - len(flying)):
                    flying[self._submit(function, task)] = name
                if not flying:
                    return
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    yield flying.pop(future), _result(future, BrokenExecutor)
        finally:
            for future in flying:
                future.cancel()

    def alone(self) -> ProcessWorkers:
        """One process, so that a death costs no other."""
        return ProcessWorkers(1)

    def _submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        from joblib.externals.loky import get_reusable_executor

        for _ in range(3):
            with suppress(BrokenExecutor):  # a pool that broke a moment ago is replaced at the next call
                pool = get_reusable_executor(self.count, timeout=_IDLE_SECONDS, env=thread_environment(1))
                submitted: Future[Any] = pool.submit(function, task)
                return submitted
        raise EngineError("engine = processes: three new pools of worker processes broke at once. Look for a limit of "
                          "memory or processes on this machine, or set engine = local.")


class DaskWorkers:
    """The workers of a Dask cluster, behind its client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.count = self._threads()

    def run(self, function: Callable[[Any], Any], tasks: Iterable[Handed]) -> Iterator[Answer]:
        """As Workers.run. Dask itself runs a task again until it has seen as many deaths as the cluster allows.

        Raises EngineError when no worker was left for a minute.
        """
        from distributed import KilledWorker

        left = iter(tasks)
        flying: dict[Any, Any] = {}
        try:
            while True:
                for name, task in islice(left, max(0, _QUEUED * self.count - len(flying))):
                    flying[self._client.submit(function, task, pure=False)] = name
                if not flying:
                    return
                for future in self._done(list(flying)):
                    yield flying.pop(future), _result(future, KilledWorker)
                self.count = self._threads()
        finally:
            if flying:
                self._client.cancel(list(flying))

    def alone(self) -> DaskWorkers:
        """These workers: a death costs no other anyway."""
        return self

    def _done(self, futures: list[Any]) -> list[Any]:
        """Futures with an answer, at least one."""
        wait_for: Any = _distributed().wait
        while True:
            try:
                with self._client.as_current():
                    return list(wait_for(futures, timeout=_PATIENCE_SECONDS, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                if not self._known():
                    raise EngineError(f"{self._client.scheduler.address}: the cluster had no worker for "
                                      f"{_PATIENCE_SECONDS:.0f} s. Start workers and run again, or set engine = "
                                      "local.") from None

    def _threads(self) -> int:
        """Tasks that can run at once now; a cluster may grow and shrink."""
        return max(1, sum(int(worker["nthreads"]) for worker in self._known().values()))

    def _known(self) -> dict[str, Any]:
        known: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return known


def _result(future: Any, death: type[Exception]) -> Any:
    try:
        return future.result()
    except death:
        return DIED


@contextmanager
def dask_workers(address: str | None, count: int) -> Iterator[DaskWorkers]:
    """The workers of a running cluster, or (address None) of one of `count` processes that this process keeps.

    Raises UsageError when Dask is not installed, EngineError when the cluster does not answer or has no worker.
    """
    distributed = _distributed()
    if address is None:
        with distributed.Client(_own_cluster(count), set_as_default=False) as client:
            client.wait_for_workers(count)
            yield DaskWorkers(client)
        return
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(f"dask_address: no scheduler answers at {address} ({type(error).__name__}: {error}). Start "
                          "it, mend the address, or leave dask_address out to use processes of this machine.") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError:
            raise EngineError(f"dask_address: the cluster at {address} has no worker. Start some and run "
                              "again.") from None
        yield DaskWorkers(client)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise UsageError("engine = dask: Dask is not installed. Install it with `pip install daybook-workbench[dask]`, "
                         "or set engine = local.") from None
    return distributed


@cache
def _own_cluster(count: int) -> Any:
    """Worker processes of this machine behind a scheduler of this process; started once, ended with it.

    One death is enough for Dask to hand a task back: what to do with it is decided by the sweep.
    """
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        return _distributed().LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs=50,
            env=thread_environment(1),
        )
