"""Evaluation over one bar table: every distinct sub-expression under every distinct parameter value, once."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

import numpy as np

from daybook.core.arrays import Bytes, Floats
from daybook.market.bars import Bars
from daybook.strategy.arena import borrow, give_back
from daybook.strategy.batch import Batch, ParamColumns
from daybook.strategy.bits_kernel import write_bits
from daybook.strategy.compiled import Strategy, warmup
from daybook.strategy.errors import SpecError
from daybook.strategy.fields import FIELDS
from daybook.strategy.kinds import Kind
from daybook.strategy.mean_kernel import RunningSums, running_sums
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter, parameter_names
from daybook.strategy.operators import REGISTRY, Operator, Prepare, Slot
from daybook.strategy.program import PLANE_OF, Program, compile_conditions

MEMORY_BYTES = 256 * 1024 * 1024
_FEWEST_ROWS = 192
"""More than one strategy can need at once (four trees of 40 nodes and the bar columns), so no row in use is lost."""
_MOST_ROWS = 4096

_FUSED = "sma"
"""Written block by block inside the program where nothing about its series is special, and never stored."""
_MOST_FUSED = 8
"""Series whose running sums have rows of their own, the first ones of the arena; means of others are stored columns."""
_MOST_SHARED = 8
"""Series whose running sums are held for stored columns; more would only be averaged by turns."""

Values = Mapping[str, float]
T = TypeVar("T")


class ArenaFullError(SpecError):
    """More columns are needed at once than the arena of a plan holds."""


class SignalPlan:
    """Shares indicator columns between strategies and parameter sets on the same bars; not for two threads at once.

    Columns live in rows of one arena that is touched only as it fills; the least recently used row is reused when
    `memory_bytes` are full (but at least 192 rows are kept). The bars are copied, never changed. `close` hands the
    arena to the thread's next plan; a plan that is not closed costs that plan fresh memory, nothing else.
    """

    def __init__(self, bars: Bars, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.bars = bars
        rows = memory_bytes // max(8 * len(bars), 1)
        self._arena = borrow(min(max(rows, _FEWEST_ROWS), _MOST_ROWS) + 2 * _MOST_FUSED, len(bars))
        self._used = 2 * _MOST_FUSED
        self._row_of: OrderedDict[Hashable, int] = OrderedDict()
        self._warmup_of: dict[Hashable, int] = {}
        self._pinned: set[Hashable] = set()
        self._shared: OrderedDict[Hashable, Any] = OrderedDict()
        self._running: dict[Hashable, tuple[int, RunningSums]] = {}
        self._programs: dict[str, Program] = {}
        self._spare: list[int] = []

    def close(self) -> None:
        """End the plan's life; it holds no column from here on."""
        give_back(self._arena, self._used)
        self._arena = np.empty((0, len(self.bars)))
        self._row_of.clear()

    def bits(self, strategy: Strategy, params: Mapping[str, float] | None = None, out: Bytes | None = None) -> Bytes:
        """(T,) uint8: bit 1 long entry, 2 long exit, 4 short entry, 8 short exit, decided at each close.

        0 during warm-up. out: filled and returned if given. Raises SpecError for parameters unknown or out of range.
        """
        return self.bound_bits(strategy, strategy.bind(params), out)

    def bound_bits(self, strategy: Strategy, values: Values, out: Bytes | None = None) -> Bytes:
        """`bits` for all parameters' values as `Strategy.bind` returned them, which are not checked again."""
        bits = np.empty(len(self.bars), np.uint8) if out is None else out
        self._begin()
        self._write(self._batch(self._program(strategy), {name: (value,) for name, value in values.items()}, 1), bits)
        return bits

    def batches(self, strategy: Strategy, columns: ParamColumns, count: int) -> Iterator[tuple[int, Batch]]:
        """(number of its first parameter set, batch) of as many parameter sets at a time as the arena has room for.

        A batch is good until the next one is asked for. Raises SpecError when there is no room for a single one.
        """
        first, most = 0, count
        while first < count:
            stop = min(first + most, count)
            self._begin()
            try:
                part = {name: column[first:stop] for name, column in columns.items()}
                batch = self._batch(self._program(strategy), part, stop - first)
            except ArenaFullError:
                if stop - first == 1:
                    raise
                most = (stop - first) // 2
                continue
            yield first, batch
            first = stop

    def column(self, node: Node, params: Mapping[str, float] | None = None) -> Floats:
        """(T,) float64 copy of a series' values, or 0/1 of a condition; NaN while a series is undefined."""
        self._begin()
        values: Floats = self._arena[self._row(node, params or {})].copy()
        return values

    def _program(self, strategy: Strategy) -> Program:
        program = self._programs.get(strategy.identity)
        if program is None:
            conditions = {PLANE_OF[signal]: node for signal, node in strategy.expressions.items()}
            program = self._programs[strategy.identity] = compile_conditions(conditions)
        return program

    def _batch(self, program: Program, columns: ParamColumns, count: int) -> Batch:
        """A program under `count` parameter sets, with every column that one of them reads."""
        places = np.empty((count, len(program.columns)), np.int64)
        warmups = np.zeros(count, np.int64)
        means: dict[tuple[int, int], int] = {}
        ordered = True
        for position, node in enumerate(program.columns):
            crossed = position in program.crossed
            found = _for_each(node, columns, count, partial(self._place, node, means))
            places[:, position] = [place for place, _ in found]
            np.maximum(warmups, [lag + crossed for _, lag in found], out=warmups)
            if crossed:
                ordered = ordered and all(self._is_defined(place, lag) for place, lag in set(found))
        constants = np.empty((count, len(program.numbers)))
        for position, number in enumerate(program.numbers):
            if isinstance(number, Parameter):
                constants[:, position] = columns[number.name]
            else:
                constants[:, position] = number if isinstance(number, float) else _for_each(
                    number, columns, count, partial(number_value, number))
        rows = np.array([(row, row + 1, window) for row, window in means], np.int64).reshape(-1, 3)
        return Batch((program.code, ordered), (places, constants, warmups), self._arena, rows)

    def _place(self, node: Node, means: dict[tuple[int, int], int], values: Values) -> tuple[int, int]:
        """(where the column of a tree lies, bars of its warm-up); a mean that is not stored is entered in `means`."""
        if isinstance(node, Call) and node.operator == _FUSED:
            mean = self._fused_mean(node, values)
            if mean is not None:
                return -1 - means.setdefault(mean, len(means)), mean[1] - 1
        key = self._key(node, values)
        return self._row(node, values, key), self._warmup_of[key]

    def _is_defined(self, place: int, lag: int) -> bool:
        """Whether a column has no NaN after its warm-up."""
        return place < 0 or not math.isnan(self._arena[place, lag:].min(initial=0.0))

    def _write(self, batch: Batch, bits: Bytes) -> None:
        """The signals of a batch of one as bytes."""
        for start, stop in batch.pieces(0, bits.size):
            planes = batch.planes(stop - start)
            batch.write(start, stop, planes)
            write_bits(planes[0], bits[start:stop])

    def _fused_mean(self, node: Call, values: Values) -> tuple[int, int] | None:
        """(row of the running sum, window) of a mean that needs no column, or None."""
        series, number = node.arguments
        key, window = self._key(series, values), int(number_value(number, values))
        if key not in self._running:
            if len(self._running) == _MOST_FUSED:
                return None
            row = 2 * len(self._running)
            sums = running_sums(self._arena[self._row(series, values, key)])
            self._arena[row], self._arena[row + 1] = sums.high, sums.low
            self._running[key] = row, sums
        row, sums = self._running[key]
        return (row, window) if sums.plain(window) else None

    def _key(self, node: Node, values: Values) -> Hashable:
        """What a tree is under these values: equal keys mean equal columns, whatever the parameters are called."""
        if isinstance(node, Field):
            return node.name
        if isinstance(node, Parameter):
            return values[node.name]
        if isinstance(node, Number):
            return node.value
        return (node.operator, *[self._key(argument, values) for argument in node.arguments])

    def _row(self, node: Node, values: Values, key: Hashable = None) -> int:
        """The arena row that holds the column of a tree, computed if it is not there yet."""
        key = self._key(node, values) if key is None else key
        self._pinned.add(key)
        row = self._row_of.get(key)
        if row is not None:
            self._row_of.move_to_end(key)
            return row
        row = self._take(key)
        out: Floats = self._arena[row]
        if isinstance(node, Field):
            out[:] = FIELDS[node.name].compute(self.bars)
        elif isinstance(node, Call) and node.kind == Kind.BOOLEAN:
            self._condition(node, values, out)
        elif isinstance(node, Call):
            self._compute(node, values, out)
        self._warmup_of[key] = warmup(node, values)
        return row

    def _take(self, key: Hashable) -> int:
        """A row for a new column: a free one, or that of the least recently used column.

        Raises ArenaFullError rather than reuse a row that the evaluation under way still reads.
        """
        if self._spare:
            row = self._spare.pop()
        elif self._used < self._arena.shape[0]:
            row = self._used
            self._used += 1
        else:
            oldest = next(iter(self._row_of), None)
            if oldest is None or oldest in self._pinned:
                raise ArenaFullError(f"{self.bars.name}: more than {self._arena.shape[0] - 2 * _MOST_FUSED} columns "
                                     "are needed at once. Raise memory_bytes or split the expression.")
            row = self._row_of.pop(oldest)
            del self._warmup_of[oldest]
        self._row_of[key] = row
        return row

    def _begin(self) -> None:
        """Pin no column, and free the rows of those that were begun when the arena was found to be full."""
        self._pinned.clear()
        for key in [key for key in self._row_of if key not in self._warmup_of]:
            self._spare.append(self._row_of.pop(key))

    def _compute(self, node: Call, values: Values, out: Floats) -> None:
        operator = REGISTRY[node.operator]
        columns: list[Any] = [self._arena[self._row(Field(name, FIELDS[name].kind), values)]
                                         for name in operator.reads]
        numbers: list[float] = []
        for position, argument in enumerate(node.arguments):
            if _is_setting(operator, position):
                numbers.append(number_value(argument, values))
            elif argument.kind == Kind.NUMBER:
                columns.append(number_value(argument, values))
            else:
                columns.append(self._arena[self._row(argument, values)])
        if operator.prepare is not None:
            columns.append(self._prepared(operator.prepare, self._key(node.arguments[0], values), columns[0]))
        if operator.vector is not None:
            operator.vector(columns, tuple(numbers), out)

    def _prepared(self, prepare: Prepare, series: Hashable, column: Floats) -> Any:
        """What the windows over a series share, from an earlier window if that is not long ago."""
        key = (prepare, series)
        if key not in self._shared:
            if len(self._shared) == _MOST_SHARED:
                self._shared.popitem(last=False)
            self._shared[key] = prepare(column)
        self._shared.move_to_end(key)
        return self._shared[key]

    def _condition(self, node: Call, values: Values, out: Floats) -> None:
        """A condition as a column of 0 and 1, NaN during its warm-up."""
        mask = np.empty(len(self.bars), np.uint8)
        batch = self._batch(compile_conditions({0: node}), {name: (value,) for name, value in values.items()}, 1)
        self._write(batch, mask)
        out[:] = mask
        out[:batch.sets[2][0]] = np.nan


def _for_each(node: Node, columns: ParamColumns, count: int, find: Callable[[Values], T]) -> list[T]:
    """What `find` gives for each of `count` parameter sets, asked once for those that a tree can not tell apart."""
    names = parameter_names(node)
    if not names:
        return [find({})] * count
    keys = list(zip(*(columns[name] for name in names), strict=True))
    found = {key: find(dict(zip(names, key, strict=True))) for key in dict.fromkeys(keys)}
    return [found[key] for key in keys]


def _is_setting(operator: Operator, position: int) -> bool:
    return position < len(operator.slots) and operator.slots[position] in (Slot.WINDOW, Slot.FRACTION)


def number_value(node: Node, values: Values) -> float:
    """The value of a tree of numbers and parameters; a division by zero is NaN."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Parameter):
        return float(values[node.name])
    if not isinstance(node, Call):
        return math.nan
    parts = [number_value(argument, values) for argument in node.arguments]
    total = parts[0]
    for part in parts[1:]:
        if node.operator == "add":
            total += part
        elif node.operator == "sub":
            total -= part
        elif node.operator == "mul":
            total *= part
        else:
            total = total / part if part != 0.0 else math.nan
    return total


def signal_bits(strategy: Strategy, bars: Bars, params: Mapping[str, float] | None = None) -> Bytes:
    """(T,) uint8 signals of one strategy on one bar table; see SignalPlan.bits, which shares work between calls."""
    with closing(SignalPlan(bars)) as plan:
        return plan.bits(strategy, params)
