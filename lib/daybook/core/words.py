"""64 bars in a machine word: comparisons into masks and the position of a bit, as the processor's own instructions.

For kernels compiled by numba. A loop that shifts the outcome of one comparison at a time into a word is several times
slower, and numba has no spelling for the rest; LLVM turns these into what the processor at hand has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from daybook.core.arrays import Floats

WORD: Final = 64
"""Bars in a word; the first is its lowest bit."""
_LANES: Final = 8
"""Values of one comparison: a byte of the word."""
_WIDE, _LONG = ir.VectorType(ir.DoubleType(), _LANES), ir.IntType(64)


def _same_in_all(builder: Any, value: Any) -> Any:
    """A number as a vector of equal values."""
    alone = builder.insert_element(ir.Constant(_WIDE, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    return builder.shuffle_vector(alone, ir.Constant(_WIDE, ir.Undefined), first)


def _comparing(predicate: str) -> Callable[[Floats, Floats | float, int], np.uint64]:
    """An intrinsic (line, line or number, at) -> word whose bit i is `line[at + i] predicate other`.

    Lines are contiguous float64 with at least at + WORD values. NaN is unequal to everything, else its bit is 0.
    """

    def compare(typing_context: Any, line: Any, other: Any, at: Any) -> Any:
        if any(side not in (types.float64, types.float64[::1]) for side in (line, other)):
            raise TypingError(f"comparison of {line} with {other}: lines are contiguous float64, numbers are float64.")

        def generate(context: Any, builder: Any, signature: Any, values: list[Any]) -> Any:
            def from_line(position: int, block: int) -> Any:
                array = context.make_array(signature.args[position])(context, builder, values[position])
                place = builder.gep(builder.gep(array.data, [values[2]]), [ir.Constant(_LONG, block * _LANES)])
                loaded = builder.load(builder.bitcast(place, _WIDE.as_pointer()))
                loaded.align = 8
                return loaded

            test = builder.fcmp_unordered if predicate == "!=" else builder.fcmp_ordered
            number = None if isinstance(signature.args[1], types.Array) else _same_in_all(builder, values[1])
            word = ir.Constant(_LONG, 0)
            for block in range(WORD // _LANES):
                mask = test(predicate, from_line(0, block), from_line(1, block) if number is None else number)
                byte = builder.zext(builder.bitcast(mask, ir.IntType(_LANES)), _LONG)
                word = builder.or_(word, builder.shl(byte, ir.Constant(_LONG, block * _LANES)))
            return word

        return types.uint64(line, other, types.int64), generate

    return cast(Callable[[Floats, Floats | float, int], np.uint64], intrinsic(compare))


less, less_or_equal, greater, greater_or_equal, equal, unequal = map(_comparing, ("<", "<=", ">", ">=", "==", "!="))


def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """Position of the lowest bit of a uint64 that has one."""

    def generate(context: Any, builder: Any, signature: Any, values: list[Any]) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


lowest_bit = cast(Callable[[np.uint64], int], intrinsic(_lowest_bit))
