"""The spec of a strategy: data that crosses every border, validated strictly, never code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from daybook.core.time import TIMEFRAMES, Timeframe
from daybook.strategy.errors import SpecError
from daybook.strategy.fields import FIELDS
from daybook.strategy.operators import ALIASES, REGISTRY

SIGNALS = ("long_entry", "long_exit", "short_entry", "short_exit")
MOST_BYTES = 32 * 1024
DEEPEST_JSON = 8
MOST_PARAMETERS = 8
LONGEST_HOLDING = 100_000
RESERVED = frozenset({*FIELDS, *REGISTRY, *ALIASES, "volatility", "true", "false", "none", "nan", "inf"})

_SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)

Expression = Annotated[str, Field(min_length=1, max_length=1000)]


class ParameterRange(BaseModel):
    """The values a parameter may take, both ends included; `integer` for windows and counts."""

    model_config = _STRICT

    low: float = Field(ge=-1e9, le=1e9)
    high: float = Field(ge=-1e9, le=1e9)
    default: float
    integer: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must lie below high {self.high:g}")
        if not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default:g} must lie in {self.low:g} to {self.high:g}")
        if self.integer and any(value != int(value) for value in (self.low, self.high, self.default)):
            raise ValueError("an integer parameter has whole low, high and default")
        return self


class StrategySpec(BaseModel):
    """What a strategy is: expressions as text, parameters with ranges, stops. At least one entry is needed.

    stop_loss, take_profit: fraction of the entry price, or a parameter name. max_holding: bars, or a parameter name.
    trailing_stop: fraction of the best price since the entry. break_even: the favourable move, as a fraction of the
    entry price, that brings the stop to the entry price. Both are keys only where a spec uses them.
    A side that can be entered must be closed by its exit, a stop, max_holding or the opposite entry.
    """

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=60)
    rationale: str = Field(default="", max_length=2000)
    timeframes: tuple[Timeframe, ...] = TIMEFRAMES
    long_entry: Expression | None = None
    long_exit: Expression | None = None
    short_entry: Expression | None = None
    short_exit: Expression | None = None
    parameters: dict[str, ParameterRange] = Field(default_factory=dict, max_length=MOST_PARAMETERS)
    stop_loss: float | str | None = None
    take_profit: float | str | None = None
    max_holding: int | str | None = None
    trailing_stop: float | str | None = None
    break_even: float | str | None = None

    @field_validator("name")
    @classmethod
    def _slug(cls, name: str) -> str:
        if not _SLUG.fullmatch(name):
            raise ValueError("a name has lower-case ASCII letters, digits and single hyphens, such as rsi-reversion")
        return name

    @field_validator("rationale")
    @classmethod
    def _printable(cls, rationale: str) -> str:
        if _CONTROL.search(rationale):
            raise ValueError("a rationale has no control or direction-changing characters")
        return rationale

    @field_validator("timeframes")
    @classmethod
    def _unique(cls, timeframes: tuple[Timeframe, ...]) -> tuple[Timeframe, ...]:
        if not timeframes or len(set(timeframes)) != len(timeframes):
            raise ValueError(f"timeframes are one or more of {', '.join(TIMEFRAMES)}, each once")
        return tuple(timeframe for timeframe in TIMEFRAMES if timeframe in timeframes)

    @field_validator("parameters")
    @classmethod
    def _names(cls, parameters: dict[str, ParameterRange]) -> dict[str, ParameterRange]:
        for name in parameters:
            if len(name) > 30 or not _IDENTIFIER.fullmatch(name):
                raise ValueError("a parameter name has at most 30 lower-case ASCII letters, digits and underscores")
            if name in RESERVED or name in ("and", "or", "not"):
                raise ValueError(f"parameter name {name!r} is taken by a column or operator")
        return parameters

    @field_validator("stop_loss", "take_profit", "trailing_stop", "break_even")
    @classmethod
    def _fraction(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not 0.0 < value < 1.0:
            raise ValueError(f"found {value:g}, allowed are fractions between 0 and 1 (0.02 is two percent)")
        return value

    @field_validator("max_holding")
    @classmethod
    def _bars(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and not 1 <= value <= LONGEST_HOLDING:
            raise ValueError(f"found {value}, allowed are 1 to {LONGEST_HOLDING} bars")
        return value

    @model_validator(mode="after")
    def _closes(self) -> Self:
        if self.long_entry is None and self.short_entry is None:
            raise ValueError("at least one of long_entry and short_entry is needed")
        closes_itself = any(stop is not None for stop in (self.stop_loss, self.take_profit, self.max_holding,
                                                          self.trailing_stop))
        for side, other in (("long", self.short_entry), ("short", self.long_entry)):
            entry, leave = getattr(self, f"{side}_entry"), getattr(self, f"{side}_exit")
            if entry is None and leave is not None:
                raise ValueError(f"{side}_exit has no {side}_entry to close")
            if entry is not None and leave is None and not closes_itself and other is None:
                raise ValueError(f"{side}_entry is never closed: add {side}_exit, stop_loss, take_profit, "
                                 "trailing_stop, max_holding or the opposite entry")
        return self


def read_spec(source: str | bytes | Mapping[str, Any] | StrategySpec) -> StrategySpec:
    """The validated spec from JSON text, a mapping or a spec.

    JSON: at most 32 kB and 8 levels, no NaN or Infinity, no key twice. Raises SpecError.
    """
    if isinstance(source, StrategySpec):
        return source
    if isinstance(source, Mapping):
        try:
            source = json.dumps(dict(source), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise SpecError(f"spec: not plain JSON data ({error}).") from None
    value = _read_json(source)
    try:
        return StrategySpec.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise SpecError(_explained(value, error)) from None


def _read_json(source: str | bytes) -> dict[str, Any]:
    raw = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else bytes(source)
    if len(raw) > MOST_BYTES:
        raise SpecError(f"spec: {len(raw)} bytes, at most {MOST_BYTES} are allowed.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"spec: not UTF-8 text ({error.reason} at byte {error.start}).") from None
    _require_shallow(text)
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"spec: not JSON ({error}).") from None
    if not isinstance(value, dict):
        raise SpecError(f"spec: found a JSON {type(value).__name__}, allowed is an object with the keys of a spec.")
    return value


def _require_shallow(text: str) -> None:
    """Count brackets outside strings before any recursive reader sees the text; raises SpecError."""
    level = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "[{":
            level += 1
        elif char in "]}":
            level -= 1
        if level > DEEPEST_JSON:
            raise SpecError(f"spec: nested deeper than {DEEPEST_JSON} levels; a spec needs three.")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise SpecError(f"spec: key {key[:60]!r} stands there twice; keep one.")
        seen[key] = value
    return seen


def _no_constants(name: str) -> NoReturn:
    raise SpecError(f"spec: {name} is not a number a spec may hold.")


def _explained(value: dict[str, Any], error: ValidationError) -> str:
    """The first five problems, each with its place and what was allowed."""
    name = value.get("name")
    label = name if isinstance(name, str) and _SLUG.fullmatch(name) and len(name) <= 60 else "spec"
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        place = ".".join(str(part)[:60] for part in problem["loc"]) or "spec"
        hint = f"; allowed keys are {', '.join(StrategySpec.model_fields)}" \
            if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1 else ""
        lines.append(f"{place!r}: {problem['msg'].removeprefix('Value error, ')}{hint}.")
    return f"{label}: " + " ".join(lines)
