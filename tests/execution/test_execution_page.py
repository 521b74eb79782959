"""The page of execution costs: thin, without outputs, and full wherever it is opened."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execution_tapes import quotes_of, week_of_metrics

from daybook.core.errors import UsageError
from daybook.execution import write_metrics
from daybook.pipeline.costs_page import CostsPage, open_costs
from daybook.pipeline.manifest import NOTEBOOKS

PROGRAMS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.ListComp, ast.If)


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    page = NOTEBOOKS / "desk" / "execution_costs.ipynb"
    return list(json.loads(page.read_text(encoding="utf-8"))["cells"])


def test_the_page_holds_calls_and_views_only_and_no_outputs(cells: list[dict[str, Any]]) -> None:
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) <= 12
    assert code[0]["metadata"]["tags"] == ["parameters"]
    assert all("  # " in line for line in code[0]["source"])
    for cell in code:
        assert not cell["outputs"] and cell["execution_count"] is None
        assert not [node for node in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(node, PROGRAMS)]
    assert "".join(cells[0]["source"]).startswith("# Execution costs")
    assert "".join(cells[-1]["source"]) == "costs.finish()"


def test_the_page_shows_distributions_by_market_session_hour_and_volatility(cells: list[dict[str, Any]]) -> None:
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    views = [text for text in code if text.startswith("report.")]
    shown = [part for view in views for part in re.findall(r"costs\.(\w+)", view)]
    assert shown == ["headline", "markets", "worst", "sessions", "hours", "hours", "volatilities", "notes"]


def test_kept_costs_are_shown_by_date(tmp_path: Path) -> None:
    write_metrics(tmp_path, week_of_metrics())
    newer = week_of_metrics().model_copy(update={"date": "2024-01-20"})
    write_metrics(tmp_path, newer)
    assert open_costs(None, str(tmp_path)).metrics.date == "2024-01-20"
    older = open_costs("2024-01-19", str(tmp_path))
    assert older.metrics.date == "2024-01-08"
    assert "kept under 2024-01-08" in older.headline.verdict
    with pytest.raises(UsageError, match="calendar day"):
        open_costs("soon", str(tmp_path))
    with pytest.raises(UsageError, match="list of files"):
        open_costs(None, str(tmp_path), "quotes")


def test_recorded_quotes_are_measured_where_nothing_is_kept(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "binance_usdm"
    folder.mkdir()
    quotes = quotes_of(np.full(3000, 4.0))
    columns = {name: getattr(quotes, name) for name in ("time_ms", "bid", "ask")}
    pq.write_table(pa.table(columns), folder / "BTCUSDT-quotes.parquet")
    page = open_costs(None, str(tmp_path / "none"), [str(folder), "nowhere"])
    assert page.metrics.date == "2024-01-02"  # the day after the last quote
    assert page.headline.verdict == ("The spread of 1 market measured from recorded quotes, read for this page: 4 bps "
                                     "(BTCUSDT on binance_usdm).")
    assert page.hours["relative"].to_numpy() == pytest.approx([1.0])
    assert page.worst["spread_p999"].to_numpy() == pytest.approx([4.0])


def test_without_anything_the_built_in_market_is_estimated_and_says_so(tmp_path: Path) -> None:
    page: CostsPage = open_costs(None, str(tmp_path))
    assert "the built-in synthetic market" in page.headline.verdict
    assert set(page.markets["method"]) == {"estimated"}
    assert sorted(set(page.hours["hour"])) == list(range(24))
    assert set(page.sessions["session"]) == {"tokyo", "london", "new_york", "off", "weekend"}
    assert len(page.volatilities) > 20 and len(page.notes) == 2
    assert page.figures["markets"] == 2
