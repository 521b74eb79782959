"""report.json: the day's report as one validated document, and its published JSON schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from daybook.core.files import read_json, write_json
from daybook.core.quick_imports import skip_iri_grammar
from daybook.report.errors import ReportError
from daybook.report.sections import (
    ArchiveRow,
    Changes,
    Curve,
    Focus,
    Headline,
    ModelRow,
    Notice,
    QualityRow,
    RunInfo,
    Section,
    StepTiming,
    StrategyRow,
    Trials,
)
from daybook.report.tournament import ForwardRow, NullContest, Reading, RejectedRow, RobustnessRow

SCHEMA_VERSION = 1
SCHEMA_FILE = Path(__file__).with_name("schemas") / "report-1.json"
SCHEMA_ID = "urn:daybook:report-1"
_SHOWN_PROBLEMS = 5


class ReportDocument(Section):
    """Everything report.json says; `timings` is the only section that may differ between equal days."""

    schema_version: Literal[1] = 1
    run: RunInfo
    headline: Headline
    changes: Changes
    strategies: tuple[StrategyRow, ...] = Field(max_length=100)
    models: tuple[ModelRow, ...] = ()
    ensembles: tuple[ModelRow, ...] = ()
    trials: Trials
    data_quality: tuple[QualityRow, ...] = ()
    warnings: tuple[Notice, ...] = ()
    archive: tuple[ArchiveRow, ...] = ()
    focus: tuple[Focus, ...] = ()
    curves: tuple[Curve, ...] = ()
    luck: tuple[Reading, ...] = ()
    null_contests: tuple[NullContest, ...] = ()
    robustness: tuple[RobustnessRow, ...] = ()
    forward: tuple[ForwardRow, ...] = ()
    rejected: tuple[RejectedRow, ...] = ()
    timings: tuple[StepTiming, ...] = ()


def report_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of report.json, made from the model."""
    schema = ReportDocument.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID} | schema


def validate_report(value: Any) -> ReportDocument:
    """The document in a JSON value: first against the published schema, then against the model's own rules.

    Raises ReportError naming at most five places, what was found there and what is allowed.
    """
    skip_iri_grammar()
    from jsonschema import Draft202012Validator

    problems = sorted(Draft202012Validator(read_json(SCHEMA_FILE)).iter_errors(value), key=lambda p: p.json_path)
    if problems:
        raise _refusal([f"{problem.json_path}: {problem.message[:200]}" for problem in problems])
    try:
        return ReportDocument.model_validate(value)
    except ValidationError as error:
        raise _refusal([f"$.{'.'.join(map(str, p['loc']))}: {p['msg'][:200]}" for p in error.errors()]) from None


def _refusal(problems: list[str]) -> ReportError:
    more = f" (and {len(problems) - _SHOWN_PROBLEMS} more)" if len(problems) > _SHOWN_PROBLEMS else ""
    listed = "; ".join(problems[:_SHOWN_PROBLEMS])
    return ReportError(f"report: {len(problems)} problem(s): {listed}{more}. "
                       f"Allowed is schema version {SCHEMA_VERSION} ({SCHEMA_FILE.name}); make the report again.")


def write_report_json(path: Path, document: ReportDocument) -> Path:
    """Write report.json atomically: sorted keys, no NaN, equal documents give equal bytes."""
    return write_json(path, document.model_dump(mode="json"))


def read_report(path: Path) -> ReportDocument:
    """Read and validate report.json. Raises DataError when it is missing or not JSON, ReportError when invalid."""
    return validate_report(read_json(path))


def comparable(document: ReportDocument) -> dict[str, Any]:
    """The document as JSON without `timings`: what must be equal when a day is run twice."""
    return document.model_dump(mode="json", exclude={"timings"})
