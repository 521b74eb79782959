"""`daybook features list|build|show` on the built-in market."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daybook.core.errors import DataError, UsageError
from daybook.core.time import window_before
from daybook.features import FeatureStore, catalog, compute_panel
from daybook.market import candle_store, read_bars, synthetic_bars
from daybook.pipeline.cli import app

COINS = ("BTCUSDT", "ETHUSDT")
SPAN = window_before(date(2026, 1, 15), 12)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for symbol in COINS:
        candle_store(folder).write_bars(synthetic_bars(symbol, SPAN, seed=7))
    return folder


def run(arguments: Sequence[str]) -> str:
    result = CliRunner().invoke(app, ["features", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_names_every_feature_and_one_group_alone() -> None:
    lines = run(["list"]).splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(catalog())
    assert lines[-1] == f"{len(catalog())} features"
    cross = json.loads(run(["list", "--group", "cross", "--json"]))
    assert {row["group"] for row in cross} == {"cross"}
    assert len(cross) >= 14


def test_build_fills_the_store_with_what_would_be_computed(data: Path) -> None:
    built = json.loads(run(["build", "--days", "3", "--timeframe", "5m", "--data", str(data), "--json"]))
    assert [(row["symbol"], row["bars"], row["features"]) for row in built] == [
        (symbol, 3 * 288, len(catalog())) for symbol in COINS
    ]
    days = sorted((data / "features").rglob("*.parquet"))
    assert {path.parent.name for path in days} == {"day=2026-01-12", "day=2026-01-13", "day=2026-01-14"}
    bars = {symbol: read_bars(data, symbol, "5m", SPAN, venue=built[0]["venue"]) for symbol in COINS}
    stored, whole = FeatureStore(data / "features").panel(bars)["ETHUSDT"], compute_panel(bars)["ETHUSDT"]
    assert stored.values.tobytes() == whole.values.tobytes()
    before = {path: path.stat().st_mtime_ns for path in days}
    run(["build", "--days", "3", "--timeframe", "5m", "--data", str(data)])
    assert {path: path.stat().st_mtime_ns for path in days} == before, "nothing is written twice"


def test_show_prints_declaration_and_statistics_and_draws_an_offline_page(data: Path) -> None:
    asked = ["show", "breadth_60", "--symbol", "ETHUSDT", "--days", "2", "--data", str(data)]
    answer = json.loads(run([*asked, "--json"]))
    assert (answer["group"], answer["warmup_bars"], answer["bars"], answer["known"]) == ("cross", 60, 576, 576)
    assert 0.0 <= answer["least"] <= answer["median"] <= answer["most"] <= 1.0
    page = Path(answer["page"])
    text = page.read_text(encoding="utf-8")
    assert page == data / "features" / "pages" / "breadth_60.html"
    assert text.count('<figure class="chart">') == 3
    assert not re.search(r"""(src|href)=["']?https?:""", text)
    script = re.search(r'data-plotly="([^"]+)"', text)
    assert script is not None
    assert (page.parent / script[1]).is_file()
    for chart in re.findall(r'<script type="application/json">(.*?)</script>', text):
        assert json.loads(chart)["data"]
    written = page.read_bytes()
    run(asked)
    assert page.read_bytes() == written


def test_a_feature_that_nothing_is_known_of_has_a_page_too(data: Path) -> None:
    answer = json.loads(run(["show", "market_state", "--timeframe", "60m", "--data", str(data), "--json"]))
    assert (answer["known"], answer["mean"], answer["median"]) == (0, None, None)


def test_what_is_not_there_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    for arguments, error, message in (
        (["show", "rsi_15", "--data", str(data)], UsageError, "rsi_14"),
        (["show", "rsi_14", "--symbol", "XRPUSDT", "--data", str(data)], DataError, "BTCUSDT, ETHUSDT"),
        (["show", "rsi_14", "--data", str(tmp_path)], DataError, "holds no candles"),
        (["list", "--group", "magic"], UsageError, "momentum"),
    ):
        with pytest.raises(error, match=message):
            run(arguments)
