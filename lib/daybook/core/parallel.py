"""A parallel map with a fixed order, and one native thread per worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def thread_environment(threads: int) -> dict[str, str]:
    """Environment for a child process that may use so many native threads; OpenMP waits passively."""
    return {name: str(threads) for name in THREAD_VARIABLES} | {"OMP_WAIT_POLICY": "PASSIVE"}


def worker_threads(jobs: int) -> int:
    """Native threads for each of `jobs` workers on this machine, at least one."""
    return max(1, (os.cpu_count() or 1) // max(1, jobs))


@contextmanager
def native_threads(limit: int) -> Iterator[None]:
    """Hold BLAS and OpenMP pools to `limit` threads inside the block."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=limit):
        yield


def parallel_map(function: Callable[[T], R], items: Iterable[T], jobs: int) -> list[R]:
    """[function(item) for item in items] on `jobs` threads, in the order of items.

    Meant for work that releases the GIL (numba kernels, scikit-learn, Parquet). jobs = 1 runs in the caller.
    """
    listed = list(items)
    if jobs <= 1 or len(listed) <= 1:
        return [function(item) for item in listed]
    from joblib import Parallel, delayed

    done: list[R] = Parallel(n_jobs=jobs, prefer="threads")(delayed(function)(item) for item in listed)
    return done
