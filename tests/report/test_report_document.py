"""report.json: what it accepts, what it refuses, and its published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fabricated_report import document, run_info, strategy
from pydantic import ValidationError

from daybook.core.errors import DataError
from daybook.core.files import read_json
from daybook.report import (
    Metric,
    ReportError,
    comparable,
    read_report,
    report_schema,
    validate_report,
    write_report_json,
)
from daybook.report.document import SCHEMA_FILE


def test_published_schema_equals_the_model() -> None:
    assert read_json(SCHEMA_FILE) == report_schema()


def test_schema_is_a_valid_draft_2020_12_schema_that_forbids_unknown_fields() -> None:
    from jsonschema import Draft202012Validator

    schema = report_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert all(part.get("additionalProperties") is False for part in schema["$defs"].values() if "properties" in part)


def test_document_survives_writing_and_reading(tmp_path: Path) -> None:
    written = document()
    assert read_report(write_report_json(tmp_path / "report.json", written)) == written


def test_equal_documents_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write_report_json(tmp_path / name, document()) for name in ("a.json", "b.json"))
    assert first.read_bytes() == second.read_bytes()


def test_timings_are_the_only_section_left_out_of_the_comparison() -> None:
    whole = document()
    assert comparable(whole) == comparable(whole.model_copy(update={"timings": ()}))
    assert set(whole.model_dump()) - set(comparable(whole)) == {"timings"}


def test_undefined_figure_without_a_reason_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a reason"):
        Metric(name="forward Sharpe", value=None)
    with pytest.raises(ValidationError, match="undefined without a reason: sharpe"):
        strategy(1, "calm", sharpe=None)


def test_not_a_number_becomes_null_and_then_needs_its_reason() -> None:
    assert Metric(name="x", value=float("nan"), reason="no trades").value is None
    assert Metric(name="x", value=np.float32("nan"), reason="no trades").value is None
    with pytest.raises(ValidationError, match="needs a reason"):
        Metric(name="x", value=np.float64("nan"))


@pytest.mark.parametrize("value", [float("inf"), -np.inf])
def test_infinity_is_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Metric(name="x", value=value)


def test_numpy_figures_are_accepted_as_plain_numbers() -> None:
    metric = Metric(name="x", value=np.float32(0.5), n=np.int64(7))
    assert json.loads(metric.model_dump_json())["value"] == 0.5
    assert metric.n == 7


def test_synthetic_run_without_a_label_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a label"):
        run_info(synthetic=True, label="")


def test_refusal_names_the_place_what_was_found_and_what_to_do() -> None:
    value = document().model_dump(mode="json")
    value["strategies"][3]["rank"] = "first"
    value["surprise"] = 1
    with pytest.raises(ReportError, match=r"2 problem\(s\).*surprise.*strategies\[3\]\.rank.*make the report again"):
        validate_report(value)


def test_rules_beyond_the_schema_are_checked_too() -> None:
    value = document().model_dump(mode="json")
    value["strategies"][0]["sharpe"] = None
    with pytest.raises(ReportError, match=r"strategies\.0.*undefined without a reason: sharpe"):
        validate_report(value)


def test_missing_or_torn_report_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        read_report(tmp_path / "report.json")
    (tmp_path / "report.json").write_text('{"run": ')
    with pytest.raises(DataError, match="not a JSON file"):
        read_report(tmp_path / "report.json")


def test_importing_the_views_is_light() -> None:
    program = ("import sys, daybook.report; heavy = [m for m in ('plotly', 'nbconvert', 'nbformat', 'jsonschema', "
               "'rfc3987_syntax', 'sklearn') if m in sys.modules]; sys.exit(f'imported {heavy}' if heavy else 0)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_validating_skips_the_slow_iri_grammar() -> None:
    program = ("import sys; from daybook.report import validate_report, ReportError\n"
               "try: validate_report({})\nexcept ReportError: pass\n"
               "sys.exit('lark' in sys.modules or sys.modules.get('rfc3987_syntax') is not None)")
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
