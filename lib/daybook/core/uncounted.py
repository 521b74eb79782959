"""numba functions that count no references to arrays, for kernels that are called with short slices of long ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from numba import njit

_FunctionT = TypeVar("_FunctionT", bound=Callable[..., object])


class Compiler(Protocol):
    """What compiles a function and keeps its type."""

    def __call__(self, function: _FunctionT, /) -> _FunctionT: ...


def uncounted(*fastmath: str) -> Compiler:
    """`njit` with the disk cache, without the GIL, and without reference counts.

    Every slice and every array handed on costs numba two atomic operations, as much as the arithmetic of some ten bars.
    A function compiled so borrows the arrays of its caller: it may allocate none and return none (numba refuses both).
    fastmath: names of LLVM flags, see numba's documentation.
    """
    options: dict[str, Any] = {"_nrt": False, "fastmath": set(fastmath)} if fastmath else {"_nrt": False}
    compile_function: Callable[..., Any] = njit
    compiler: Compiler = compile_function(cache=True, error_model="numpy", nogil=True, **options)
    return compiler
