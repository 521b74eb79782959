"""What a kernel inherits from the runner, and how kernels end with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import daybook
from daybook.core.parallel import thread_environment, worker_threads
from daybook.core.settings import Settings

_PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8", "PYTHONWARNINGS",
})
_PASSED_ON_PREFIXES = ("LC_", "NUMBA_", "OPENBLAS_", "MKL_", "OMP_", "KMP_")
_LONGEST_SOCKET_FOLDER = 80
"""A socket's path has at most 107 characters, and its name takes 20 of them."""
_LIBRARY = Path(str(daybook.__file__)).resolve().parents[1]


@contextmanager
def kernel_environment(settings: Settings) -> Iterator[None]:
    """The environment of this process, and so of its kernels, inside the block.

    A kernel gets only variables that are known to matter, so that no secret of the person who runs the day reaches a
    page, whatever its name; it imports this very library, not another copy that the interpreter may have installed; and
    what Jupyter writes goes below the data folder instead of the home folder.
    """
    cache = settings.data.resolve() / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with _socket_folder(cache) as sockets:
        yield from _inside(settings, cache, sockets)


def _inside(settings: Settings, cache: Path, sockets: Path) -> Iterator[None]:
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if _passes(name)}
    wanted = thread_environment(worker_threads(settings.jobs)) | {
        "DAYBOOK_DATA": str(settings.data.resolve()),
        "DAYBOOK_RUNS": str(settings.runs.resolve()),
        "DAYBOOK_JOBS": str(settings.jobs),
        **_engine(settings),
        "IPYTHONDIR": str(cache / "ipython"),
        "JUPYTER_CONFIG_DIR": str(cache / "jupyter" / "config"),
        "JUPYTER_DATA_DIR": str(cache / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(sockets),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_LIBRARY), before.get("PYTHONPATH")))),
    }
    if not os.access(_LIBRARY, os.W_OK):  # compiled kernels, which otherwise lie beside their source
        wanted.setdefault("NUMBA_CACHE_DIR", before.get("NUMBA_CACHE_DIR", str(cache / "numba")))
    _replace_environment(kept | wanted)
    try:
        yield
    finally:
        _replace_environment(before)


def _engine(settings: Settings) -> dict[str, str]:
    """Where the page's sweeps run; a folder made absolute, since a kernel works in the run's."""
    folder = settings.engine_folder
    named = folder if folder is None or "://" in folder else str(Path(folder).resolve())
    given = {"ENGINE": settings.engine, "DASK_ADDRESS": settings.dask_address, "ENGINE_FOLDER": named}
    return {f"DAYBOOK_{name}": value for name, value in given.items() if value is not None}


@contextmanager
def _socket_folder(cache: Path) -> Iterator[Path]:
    """Where kernels and runner talk, through files that only this user can open.

    Loopback ports are picked before they are bound, so that on a busy machine two kernels may pick the same one; a
    socket file has a name of its own. Its path may have no more than about a hundred characters: below a deep data
    folder the sockets lie in a temporary folder that is removed at the end.
    """
    usual = cache / "jupyter" / "runtime"
    if len(str(usual)) <= _LONGEST_SOCKET_FOLDER:
        rmtree(usual, ignore_errors=True)  # what a killed runner left; one runner at a time works here
        usual.mkdir(parents=True, mode=0o700)
        yield usual
        return
    with TemporaryDirectory(prefix="daybook-") as short:
        yield Path(short)


def _passes(name: str) -> bool:
    return name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)


def _replace_environment(wanted: dict[str, str]) -> None:
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def end_kernels() -> None:
    """Kill every kernel that this process has started: each runs in a session of its own, where no Ctrl-C arrives."""
    import psutil  # type: ignore[import-untyped]

    for child in psutil.Process().children(recursive=True):
        try:
            if any("ipykernel" in word for word in child.cmdline()):
                child.kill()
        except psutil.NoSuchProcess:
            continue  # it ended by itself meanwhile
