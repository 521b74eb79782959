"""The manifest: what a run was told, what it read, what each step did and the hash of everything it wrote."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from daybook.core.errors import DataError
from daybook.core.files import read_json, write_json
from daybook.core.hashing import code_hash, hash_file, hash_json, hash_tree
from daybook.core.settings import Settings

SCHEMA_VERSION = 1
NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
STEPS = ("00_score", "10_design", "20_backtest", "30_train", "40_rank_report")
NEEDS: dict[str, tuple[str, ...]] = {
    "00_score": (),
    "10_design": ("00_score",),
    "20_backtest": ("10_design",),
    "30_train": ("00_score",),
    "40_rank_report": ("20_backtest", "30_train"),
}
"""30_train needs only 00_score, so it may run beside 10_design and 20_backtest."""

OPERATIONAL = frozenset({
    "data", "runs", "candles", "jobs", "step_timeout_s", "anthropic_api_key",
    "engine", "dask_address", "engine_folder",
    "binance_archive_url", "binance_spot_url", "binance_usdm_url", "blofin_url",
})
"""Settings that can not change a result: they stay out of the settings hash and of the sealed run."""

MACHINE = ("data", "runs", "jobs", "engine", "dask_address", "engine_folder")
"""Operational settings that a page needs: the runner hands them to its kernels through the environment."""

_VERSIONED = (
    "numpy", "pandas", "pyarrow", "numba", "ta-lib", "scikit-learn", "scipy", "duckdb", "papermill", "nbconvert"
)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepRecord(_Record):
    """One step: its state, wall time, artefacts (path in the run folder -> SHA-256) and headline figures."""

    name: str
    state: Literal["pending", "running", "done", "failed"] = "pending"
    attempts: int = 0
    seconds: float | None = None
    work_seconds: float | None = None
    error: str | None = None
    artefacts: dict[str, str] = Field(default_factory=dict)
    headline: dict[str, Any] = Field(default_factory=dict)


class Sealed(_Record):
    """What fixes a run's results, written once before the first step (`inputs/run.json`)."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    day: str
    number: int
    parent: str | None
    official: bool
    settings: dict[str, Any]
    changed_parameters: list[str]
    settings_hash: str
    code_hash: str
    data_hash: str
    state_hash: str
    synthetic_label: str | None
    versions: dict[str, str]


class Manifest(_Record):
    """`manifest.json`: the sealed facts and the state of every step."""

    schema_version: int = SCHEMA_VERSION
    status: Literal["running", "failed", "complete"] = "running"
    sealed: Sealed
    steps: list[StepRecord]
    overhead_seconds: dict[str, float] = Field(default_factory=dict)
    headline: str | None = None
    report_hash: str | None = None

    @field_validator("steps")
    @classmethod
    def _every_step_once(cls, steps: list[StepRecord]) -> list[StepRecord]:
        if [record.name for record in steps] != list(STEPS):
            raise ValueError(f"steps must be {', '.join(STEPS)}")
        return steps

    def step(self, name: str) -> StepRecord:
        """The record of a step."""
        return next(record for record in self.steps if record.name == name)


def research_settings(settings: Settings) -> dict[str, Any]:
    """The settings that can change a result, as JSON values."""
    return {name: value for name, value in settings.masked().items() if name not in OPERATIONAL}


def settings_hash(settings: Settings) -> str:
    """Hash of the research settings."""
    return hash_json(research_settings(settings))


def run_code_hash() -> str:
    """Hash of the library's source and the day's notebooks."""
    return hash_json([code_hash(), hash_tree(NOTEBOOKS, "*.ipynb")])


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in _VERSIONED}


def new_manifest(sealed: Sealed) -> Manifest:
    """A manifest with every step pending."""
    return Manifest(sealed=sealed, steps=[StepRecord(name=name) for name in STEPS])


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` atomically."""
    write_json(folder / "manifest.json", manifest.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest:
    """Read and validate a run's manifest. Raises DataError when it is missing, torn or of another schema."""
    path = folder / "manifest.json"
    try:
        return Manifest.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{path}: {where}: {first['msg']}. The run was written by another version of Daybook or damaged."
        ) from None


def artefact_hashes(folder: Path, step: str) -> dict[str, str]:
    """Path in the run folder -> SHA-256 of everything a step wrote, in name order."""
    root = folder / "artefacts" / step
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
