"""What a notebook opens: the sealed run, its bars, yesterday's state, and a place for artefacts."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from daybook.core.errors import DataError, UsageError
from daybook.core.files import read_json, read_parquet, write_json, write_parquet
from daybook.core.settings import Settings, load_settings, parse_parameter
from daybook.core.time import DAY_MS, TIMEFRAMES, Window, day_start_ms, parse_day
from daybook.execution import Costs
from daybook.market import Bars, read_bars
from daybook.pipeline.conditions import sealed_conditions
from daybook.pipeline.costs import sealed_costs
from daybook.pipeline.manifest import MACHINE, Sealed, artefact_hashes
from daybook.rank import PriorState

if TYPE_CHECKING:
    from daybook.backtest import Conditions
    from daybook.backtest.scale_out import Engine

DONE_MARKER = "done.json"


@dataclass(frozen=True)
class Day:
    """One run of one day, as a step sees it. Everything it reads was sealed before the first step."""

    folder: Path
    step: str
    sealed: Sealed
    settings: Settings
    opened: float = field(default_factory=time.perf_counter, compare=False)

    @cached_property
    def start_ms(self) -> int:
        """D 00:00 UTC in milliseconds: no bar that closes later is visible."""
        return day_start_ms(parse_day(self.sealed.day))

    def span(self, days: int, ending_days_ago: int = 0) -> Window:
        """The span of so many days that ends so many days before D 00:00 UTC."""
        end = self.start_ms - ending_days_ago * DAY_MS
        return Window(end - days * DAY_MS, end)

    @property
    def window(self) -> Window:
        """The scoring window [D - window_days, D)."""
        return self.span(self.settings.window_days)

    @property
    def history(self) -> Window:
        """Everything the day may read: [D - history_days, D)."""
        return self.span(self.settings.history_days)

    @cached_property
    def costs(self) -> Costs:
        """Fee, spread and slippage of this run, as set or as measured at or before its day."""
        return sealed_costs(self.folder, self.settings, self.inputs)

    @cached_property
    def conditions(self) -> Conditions:
        """Latency and funding of every simulation of this run."""
        return sealed_conditions(self.folder, self.settings, self.inputs)

    @cached_property
    def engine(self) -> Engine:
        """Where the sweeps of this step run; results do not depend on it."""
        from daybook.backtest.scale_out import Engine

        chosen = self.settings
        folder = chosen.engine_folder or chosen.data.resolve() / "cache" / "bars"
        return Engine(chosen.engine, chosen.jobs, chosen.dask_address, folder)

    @cached_property
    def state(self) -> PriorState:
        """What the latest official day before this one published."""
        return PriorState.model_validate(read_json(self.folder / "inputs" / "state.json"))

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The sealed facts of the bars: venue, hash and quality of every market."""
        facts: dict[str, Any] = read_json(self.folder / "inputs" / "bars.json")
        return facts

    @cached_property
    def minute_bars(self) -> dict[str, Bars]:
        """1m bars of the history by symbol. Raises DataError when they are not those that were sealed."""
        bars = {
            symbol: read_bars(self.settings.data, symbol, "1m", self.history, venue=self.inputs["venue"])
            for symbol in self.settings.symbols
        }
        for symbol, found in bars.items():
            sealed = self.inputs["markets"][symbol]["data_hash"]
            if found.data_hash != sealed:
                raise DataError(
                    f"{symbol}: candles changed since the run was sealed (hash {found.data_hash[:12]}, sealed "
                    f"{sealed[:12]}). Start the day again without --resume."
                )
        return bars

    @cached_property
    def bars(self) -> dict[str, dict[str, Bars]]:
        """timeframe -> symbol -> bars of the history, aggregated from the sealed 1m bars."""
        from daybook.market import aggregate

        return {
            timeframe: {
                symbol: bars if timeframe == "1m" else aggregate(bars, timeframe)
                for symbol, bars in self.minute_bars.items()
            }
            for timeframe in TIMEFRAMES
        }

    @property
    def artefacts(self) -> Path:
        """The folder this step writes to."""
        return self.folder / "artefacts" / self.step

    def write(self, name: str, value: pd.DataFrame | pa.Table | Mapping[str, Any] | list[Any]) -> Path:
        """Write an artefact of this step: tables as Parquet, anything else as JSON."""
        if isinstance(value, pd.DataFrame):
            value = pa.Table.from_pandas(value, preserve_index=False).replace_schema_metadata(None)
        if isinstance(value, pa.Table):
            return write_parquet(self.artefacts / f"{name}.parquet", value)
        return write_json(self.artefacts / f"{name}.json", value)

    def read_table(self, step: str, name: str) -> pd.DataFrame:
        """A table that an earlier step wrote."""
        frame: pd.DataFrame = read_parquet(self.folder / "artefacts" / step / f"{name}.parquet").to_pandas()
        return frame

    def read_json(self, step: str, name: str) -> Any:
        """A JSON artefact that an earlier step wrote."""
        return read_json(self.folder / "artefacts" / step / f"{name}.json")

    def finish(self, **headline: Any) -> None:
        """Glue the headline figures and leave the end marker by which the runner judges the step."""
        from daybook.pipeline.glue import glue

        for name, value in headline.items():
            glue(name, value)
        marker = {
            "step": self.step,
            "artefacts": artefact_hashes(self.folder, self.step),
            "work_seconds": round(time.perf_counter() - self.opened, 3),
        }
        write_json(self.folder / "markers" / self.step / DONE_MARKER, marker)


def open_day(run: str | None, step: str, **parameters: Any) -> Day:
    """Open the run that a notebook belongs to.

    run: folder of the sealed run (the runner passes "."); None makes a scratch run on a small built-in market with
    the given parameters, so that any page also runs by itself. Raises UsageError for an unknown or ill-typed
    parameter, and DataError when a sealed run's parameters are not the ones given.
    """
    values = {name: parse_parameter(name, value) for name, value in parameters.items()}
    if run is None:
        from daybook.pipeline.scratch import scratch_day

        return scratch_day(step, values)
    day = _opened(Path(run), step)
    for name, value in values.items():
        if getattr(day.settings, name) != value:
            raise UsageError(
                f"{step}: parameter {name} = {value!r}, but the run was sealed with "
                f"{getattr(day.settings, name)!r}. Start another run with `run_daily.py -p {name}=...`."
            )
    return day


def _opened(folder: Path, step: str) -> Day:
    sealed = Sealed.model_validate(read_json(folder / "inputs" / "run.json"))
    machine = {
        name: os.environ[f"DAYBOOK_{name.upper()}"]
        for name in MACHINE
        if f"DAYBOOK_{name.upper()}" in os.environ
    }
    settings = load_settings({**sealed.settings, **machine}, environment={})
    return Day(folder, step, sealed, settings)
