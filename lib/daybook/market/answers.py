"""What exchanges answer, as strict types: numbers sent as text, no NaN, no unknown shape."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from daybook.core.arrays import Floats
from daybook.market.http_errors import AnswerError
from daybook.market.rows import CandleRows

T = TypeVar("T")
DECIMAL = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"
Decimal = Annotated[str, Field(pattern=DECIMAL, max_length=64)]
"""A number as exchanges write it; float() reads it exactly as the archive importer does."""
Stamp = Annotated[int, Field(strict=True, ge=1_000_000_000_000, lt=4_102_444_800_000)]
"""Milliseconds since 1970-01-01 UTC, from 2001 to 2100."""
StampText = Annotated[str, Field(pattern=r"^[0-9]{13}$")]


def validated(adapter: TypeAdapter[T], value: Any, name: str) -> T:
    """The value in its documented shape. Raises AnswerError naming the endpoint, the place and what is wrong there."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise AnswerError(
            f"{name}: the answer is not as documented at {place} ({first['msg']}); nothing of it was used. The "
            "exchange may have changed its interface."
        ) from None


def floats(values: list[str]) -> Floats:
    """(N,) float64 of decimal texts."""
    return np.array([float(value) for value in values], dtype=np.float64)


def empty_rows() -> CandleRows:
    """No candle at all."""
    times, values = np.empty(0, np.int64), np.empty(0, np.float64)
    return CandleRows(times, values, values, values, values, values, times)
