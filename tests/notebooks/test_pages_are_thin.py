"""The five notebooks are pages, not programs; nbmake executes them in the same test run."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from daybook.core.settings import PARAMETERS
from daybook.pipeline.manifest import NOTEBOOKS, STEPS
from daybook.pipeline.notebooks import STEP_PARAMETERS

PROGRAMS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.ListComp, ast.If)


def cells(step: str) -> list[dict[str, Any]]:
    return list(json.loads((NOTEBOOKS / f"{step}.ipynb").read_text(encoding="utf-8"))["cells"])


def code_cells(step: str) -> list[dict[str, Any]]:
    return [cell for cell in cells(step) if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_day_has_exactly_the_five_notebooks() -> None:
    assert tuple(sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))) == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_page_holds_calls_and_views_only(step: str) -> None:
    assert len(code_cells(step)) <= 12
    for cell in code_cells(step):
        tree = ast.parse(source(cell))
        assert not [node for node in ast.walk(tree) if isinstance(node, PROGRAMS)], source(cell)
        assert "select " not in source(cell).lower()
        assert len(source(cell).splitlines()) <= 12


@pytest.mark.parametrize("step", STEPS)
def test_a_page_opens_with_what_it_answers_and_ends_with_its_figures(step: str) -> None:
    first = cells(step)[0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert source(cells(step)[-1]).startswith("day.finish(")


@pytest.mark.parametrize("step", STEPS)
def test_a_page_is_committed_without_outputs(step: str) -> None:
    assert not [cell for cell in code_cells(step) if cell["outputs"] or cell["execution_count"]]


@pytest.mark.parametrize("step", STEPS)
def test_the_parameters_cell_names_the_allowed_parameters_with_default_and_unit(step: str) -> None:
    cell = code_cells(step)[0]
    assert cell["metadata"]["tags"] == ["parameters"]
    found = {}
    for node, line in zip(ast.parse(source(cell)).body, source(cell).splitlines(), strict=True):
        assert isinstance(node, ast.Assign)
        target = node.targets[0]
        assert isinstance(target, ast.Name)
        found[target.id] = ast.literal_eval(node.value)
        assert "  # " in line
    assert found.pop("run") is None
    defaults = {name: PARAMETERS[name].default for name in STEP_PARAMETERS[step]}
    assert found == {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}


@pytest.mark.parametrize("step", ["00_score", "20_backtest", "30_train"])
def test_a_page_with_simulations_says_under_its_verdict_what_fills_paid(step: str) -> None:
    (opening,) = [source(cell) for cell in code_cells(step) if "report.verdict(" in source(cell)]
    assert "report.tables.warnings(steps.cost_warnings(day)" in opening.split("report.verdict(")[1]
    notes = [call for cell in code_cells(step) for call in ("steps.strategy_note(", "steps.stress_note(")
             if call in source(cell)]
    assert len(notes) == 1, "dearer and later fills are explained where their columns appear"


def test_every_parameter_reaches_a_page() -> None:
    assert {name for names in STEP_PARAMETERS.values() for name in names} == set(PARAMETERS)


def test_the_notebooks_folder_is_where_the_runner_looks(tmp_path: Path) -> None:
    assert NOTEBOOKS.is_dir()
    assert NOTEBOOKS.parent.joinpath("run_daily.py").is_file()
