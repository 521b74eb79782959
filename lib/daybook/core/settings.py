"""One model of every setting: file < environment (`DAYBOOK_...`) < command line.

A field marked as a research parameter may also be given as `-p name=value`, reaches the notebooks and is listed in
the report. Unknown or ill-typed keys stop at start with the key's name, what was found and what is allowed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from daybook.core.errors import UsageError
from daybook.core.redaction import MASK
from daybook.core.time import Timeframe

ENVIRONMENT_PREFIX = "DAYBOOK_"
DEFAULT_CONFIG = Path("daybook.toml")
DOTENV = Path(".env")
LEAST_DESIGN_DAYS = 7


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _decode_json(value: object) -> object:
    """A number or a JSON object written as text (environment, `-p`), as a file would give it."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_pairs_hook=_without_repeated_keys)
    except json.JSONDecodeError:
        return value
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("every key may stand only once")
    return found


def _refuse_truth(value: object) -> object:
    """true and false are no numbers here, though Python counts with them."""
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")
    return value


def _without_repeats(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("every entry may stand only once")
    return value


Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
Symbols = Annotated[
    tuple[Symbol, ...], NoDecode, BeforeValidator(_split_commas), AfterValidator(_without_repeats),
    Field(min_length=1, max_length=50),
]
TimeframeNames = Annotated[
    tuple[Timeframe, ...], NoDecode, BeforeValidator(_split_commas), AfterValidator(_without_repeats),
    Field(min_length=1),
]
Bps = Annotated[float, BeforeValidator(_refuse_truth), Field(ge=0, le=1000, allow_inf_nan=False)]
SpreadBps = Annotated[Bps | dict[str, Bps], NoDecode, BeforeValidator(_decode_json)]
Url = Annotated[str, Field(pattern=r"^https?://[!-~]{1,200}$")]
SchedulerAddress = Annotated[str, Field(pattern=r"^(tcp|tls)://[!-~]{1,200}$")]
Whole = Annotated[int, BeforeValidator(_refuse_truth)]
Real = Annotated[float, BeforeValidator(_refuse_truth)]


def parameter(default: Any, unit: str, text: str, **limits: Any) -> Any:
    """A field that is a research parameter: default, unit for people, what it does, pydantic limits."""
    return Field(default, description=text, json_schema_extra={"parameter": True, "unit": unit}, **limits)


class Settings(BaseSettings):
    """Everything a run can be told. Ratios are fractions, costs are basis points, spans are days or bars."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    source: Literal["synthetic", "files", "binance", "blofin"] = Field(
        "synthetic", description="where candles come from"
    )
    market_mode: Literal["normal", "noise", "planted"] = Field("normal", description="kind of built-in market")
    candles: Path | None = Field(None, description="file or folder of candles that `--source files` imports first")
    venue: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="venue to read; needed only where several fit"
    )
    symbols: Symbols = Field(("BTCUSDT", "ETHUSDT", "BNBUSDT"), description="markets of the day")
    data: Path = Field(Path("data"), description="folder of candles, features and the published store")
    runs: Path = Field(Path("runs"), description="folder of the executed days")
    seed: Whole = Field(7, ge=0, lt=2**63, description="the one seed")
    jobs: Whole = Field(2, ge=1, le=64, description="steps and workers that may run beside each other")
    step_timeout_s: Whole = Field(1800, ge=10, le=86_400, description="a notebook is stopped after so many seconds")
    engine: Literal["local", "processes", "dask"] = Field(
        "local", description="where sweeps run: threads of the page, worker processes of this machine, a Dask cluster"
    )
    dask_address: SchedulerAddress | None = Field(
        None, description="scheduler of a running Dask cluster; without one, engine = dask starts workers here"
    )
    engine_folder: str | None = Field(
        None, min_length=1, max_length=500,
        description="folder or URI (s3://...) in which all workers find the bars; data/cache/bars when left out",
    )
    max_missing: Real = Field(
        0.02, ge=0, le=1, allow_inf_nan=False, description="a window with a larger share of missing bars stops the day"
    )
    binance_market: Literal["spot", "usdm"] = Field(
        "spot", description="market of `--source binance`: spot or USD-margined perpetuals"
    )
    binance_archive_url: Url = Field("https://data.binance.vision", description="server of Binance's public archive")
    binance_spot_url: Url = Field("https://data-api.binance.vision", description="server of Binance's spot market data")
    binance_usdm_url: Url = Field("https://fapi.binance.com", description="server of Binance's USD-M market data")
    blofin_url: Url = Field("https://openapi.blofin.com", description="server of BloFin's market data")
    costs: Literal["settings", "measured"] = Field(
        "settings", description="fills pay spread_bps as set, or what `daybook execution measure` found by that day"
    )
    decision_ms: Real = Field(
        0.0, ge=0, le=3_600_000, allow_inf_nan=False,
        description="from a bar's close to the order, in ms; read with costs = measured",
    )
    latency_budget_ms: Real = Field(
        500.0, ge=0, le=3_600_000, allow_inf_nan=False,
        description="a slower decision, in ms, pays the p90 of measured slippage",
    )
    anthropic_api_key: SecretStr | None = Field(None, description="key of the Claude API (masked everywhere)")

    fee_bps: Real = parameter(5.0, "bps per side", "exchange fee", ge=0, le=1000, allow_inf_nan=False)
    spread_bps: SpreadBps = parameter(
        2.0, "bps of mid", "full bid-ask spread; one number, or one per symbol with a `default`"
    )
    latency_bars: Whole = parameter(0, "bars", "an order is filled so many bars later than at the next open",
                                    ge=0, le=60)
    timeframes: TimeframeNames = parameter(("1m", "5m", "60m"), "bar lengths", "timeframes strategies may trade")
    history_days: Whole = parameter(35, "days", "bars before the day that are loaded", ge=14, le=730)
    window_days: Whole = parameter(7, "days", "scoring window that ends at the day", ge=2, le=60)
    min_trades: Whole = parameter(5, "trades", "fewer trades leave a score undefined", ge=1, le=1000)
    replace_margin: Real = parameter(2.0, "score points", "by how much a newcomer must beat an incumbent",
                                      ge=0, le=100, allow_inf_nan=False)
    designs: Whole = parameter(3, "specs", "new strategies a day once the pool is full", ge=0, le=50)
    population: Whole = parameter(48, "specs", "population of the evolutionary search", ge=8, le=500)
    generations: Whole = parameter(5, "rounds", "generations of the evolutionary search", ge=1, le=50)
    tuning_draws: Whole = parameter(8, "draws", "parameter sets tried per candidate", ge=1, le=200)
    model_timeframe: Timeframe = parameter("5m", "bar length", "timeframe the models are trained on")
    horizon_bars: Whole = parameter(12, "bars", "how far ahead the models look", ge=1, le=288)
    folds: Whole = parameter(6, "folds", "forward validation folds", ge=2, le=20)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.source == "synthetic" and (self.candles is not None or self.venue is not None):
            raise ValueError("candles and venue are read with source = files only; give --source files")
        if self.decision_ms > 0 and self.costs != "measured":
            raise ValueError(
                f"decision_ms = {self.decision_ms:g} is read with costs = measured only; set that too, or leave it at 0"
            )
        if self.dask_address is not None and self.engine != "dask":
            raise ValueError("dask_address is read with engine = dask only; set engine = dask or leave it out")
        if self.engine_folder is not None and self.engine == "local":
            raise ValueError("engine_folder is read with engine = processes or dask only; leave it out")
        if self.history_days < self.window_days + LEAST_DESIGN_DAYS:
            raise ValueError(
                f"history_days = {self.history_days} must be at least window_days = {self.window_days} plus "
                f"{LEAST_DESIGN_DAYS} days on which designs are searched"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values given to the constructor only; `load_settings` reads file and environment itself, once."""
        return (init_settings,)

    def masked(self) -> dict[str, Any]:
        """Every setting as JSON values, secrets as asterisks."""
        return self.model_dump(mode="json")

    def secrets(self) -> tuple[str, ...]:
        """The secret values that are set, for redaction."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))

    def parameters(self) -> dict[str, Any]:
        """The research parameters by name, as JSON values."""
        return {name: value for name, value in self.masked().items() if name in PARAMETERS}


def _is_parameter(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("parameter"))


PARAMETERS: dict[str, FieldInfo] = {name: f for name, f in Settings.model_fields.items() if _is_parameter(f)}
"""The allow-list of `-p`: name -> field."""


def parameter_unit(name: str) -> str:
    """The unit of a research parameter, as people read it."""
    extra = PARAMETERS[name].json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) else ""


def load_settings(
    command_line: Mapping[str, Any] | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Merge file, environment and command line, the later winning, and validate once.

    config: a TOML file; None reads `daybook.toml` where it exists. environment: None reads the process's own, and
    beneath it the file `.env` of the working folder where it exists.
    Raises UsageError naming the key, where it was given, what was found and what is allowed.
    """
    given = {name: value for name, value in (command_line or {}).items() if value is not None}
    sources = {
        "command line": given,
        "environment": _environment_values(_process_environment() if environment is None else environment),
        "file": _file_values(config),
    }
    merged: dict[str, Any] = {}
    for values in reversed(sources.values()):
        merged.update(values)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise UsageError(_explanation(error, sources)) from None


def _file_values(config: Path | None) -> dict[str, Any]:
    if config is None and not DEFAULT_CONFIG.exists():
        return {}
    path = config or DEFAULT_CONFIG
    if not path.is_file():
        raise UsageError(f"--config: found {str(path)!r}, which is not a file. Name an existing TOML file.")
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()
    except ValueError as error:
        raise UsageError(f"--config: {path} is not valid TOML ({error}). Mend that line.") from None


def _process_environment() -> dict[str, str]:
    from dotenv import dotenv_values

    return {**{key: text or "" for key, text in dotenv_values(DOTENV).items()}, **os.environ}


def _environment_values(environment: Mapping[str, str]) -> dict[str, Any]:
    own = {key: text for key, text in environment.items() if key.upper().startswith(ENVIRONMENT_PREFIX)}
    for key in own:
        if key.removeprefix(ENVIRONMENT_PREFIX).lower() not in Settings.model_fields:
            raise UsageError(
                f"environment: {key} is not a setting. Allowed are {_names(ENVIRONMENT_PREFIX)}. "
                "Unset it or mend its name."
            )
    source = EnvSettingsSource(Settings)
    source.env_vars = {key.lower(): text for key, text in own.items() if text}
    return source()


def _names(prefix: str = "") -> str:
    return ", ".join(prefix + (name.upper() if prefix else name) for name in Settings.model_fields)


def _explanation(error: ValidationError, sources: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        if not item["loc"]:  # settings that do not fit together
            lines.append(f"settings: {_allowed(item['msg'])}.")
            continue
        name = str(item["loc"][0])
        where = next((source for source, values in sources.items() if name in values), "default")
        if item["type"] == "extra_forbidden":
            lines.append(f"{where}: {name!r} is not a setting. Allowed are {_names()}.")
            continue
        lines.append(f"{where}: {name} = {_shown(name, sources.get(where, {}).get(name))}: {_allowed(item['msg'])}.")
    return "\n".join(dict.fromkeys(lines))


def _allowed(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")


def _shown(name: str, value: object) -> str:
    annotation = Settings.model_fields[name].annotation
    return MASK if "SecretStr" in str(annotation) else repr(value)


def parse_parameters(pairs: list[str]) -> dict[str, Any]:
    """`name=value` texts as typed parameter values.

    Raises UsageError for an unknown name (listing those allowed), a repeated name, a text without `=`, or a value
    that is ill-typed or out of range.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise UsageError(f"-p: found {pair!r}, allowed is name=value, for example -p fee_bps=10.")
        if name not in PARAMETERS:
            raise UsageError(f"-p: {name!r} is not a parameter. Allowed are {', '.join(PARAMETERS)}.")
        if name in parsed:
            raise UsageError(f"-p: {name} is given twice. Give it once.")
        parsed[name] = parse_parameter(name, text)
    return parsed


def parse_parameter(name: str, value: Any) -> Any:
    """One parameter's value, validated on its own. Raises UsageError naming it, what was found, what is allowed."""
    field = PARAMETERS[name]
    kind: Any = Annotated[field.annotation, field]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        reasons = "; ".join(dict.fromkeys(_allowed(item["msg"]) for item in error.errors(include_url=False)))
        raise UsageError(f"-p: {name} = {value!r} ({parameter_unit(name)}): {reasons}.") from None
