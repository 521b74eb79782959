"""A research day on recorded BTC, ETH and SOL candles that pays what recorded quotes and candles told by that day."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from days import Place
from typer.testing import CliRunner

from daybook.core.time import day_start_ms, parse_day, window_before
from daybook.pipeline.cli import app

pytestmark = pytest.mark.shared

DAY, LATER = "2023-06-16", "2023-06-18"
SMALL = """
history_days = 14
timeframes = ["60m"]
population = 10
generations = 2
tuning_draws = 2
folds = 2
"""
COINS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, Any]]:
    """The day, run by the commands that a person types; and the summary that it prints."""
    place = Place(tmp_path_factory.mktemp("real"))
    window = window_before(parse_day(LATER), 17)
    for coin in COINS:
        table = pq.read_table(shared_data / "candles" / "binance_spot" / "1m" / f"{coin}_2022-01-01_2023-12-31.parquet",
                              partitioning=None)
        times = table["open_time"]
        kept = pc.and_(pc.greater_equal(times, window.start_ms), pc.less(times, window.end_ms))
        target = place.root / "candles" / "binance_spot" / "1m" / f"{coin}_2023-06-01_2023-06-18.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.filter(kept), target)
    quotes = place.data / "quotes" / "binance_spot"
    quotes.mkdir(parents=True)
    shutil.copy(shared_data / "quotes" / "nautilus" / "binance" / "btcusdt-quotes.parquet", quotes)
    config = place.root / "daybook.toml"
    config.write_text(f'source = "files"\ncosts = "measured"\nsymbols = {json.dumps(COINS)}\n' + SMALL)
    with chdir(place.root):
        measured = [["execution", "measure", "--date", date] for date in (DAY, LATER)]
        for command in (["candles", "import", "candles"], *measured):
            told = CliRunner().invoke(app, [*command, "--data", "data"])
            assert told.exit_code == 0, told.output
    done = place.run("--date", DAY, "--json")
    assert done.returncode == 0, done.stderr
    return place, dict(json.loads(done.stdout))


def test_a_day_on_three_real_coins_fills_its_pools(real: tuple[Place, dict[str, Any]]) -> None:
    place, summary = real
    assert (summary["status"], summary["synthetic"], summary["symbols"]) == ("complete", False, list(COINS))
    report = place.report(f"{DAY}/01")
    assert len(report["strategies"]) > 10 and len(report["models"]) == 5
    assert [(row["symbol"], row["missing"]) for row in report["data_quality"]] == [(coin, 0) for coin in COINS]


def test_scorecards_under_measured_costs_tell_their_percentiles(real: tuple[Place, dict[str, Any]]) -> None:
    place, _ = real
    cards = pq.read_table(place.runs / DAY / "01/artefacts/20_backtest/scorecards.parquet").to_pylist()
    told = [card for card in cards if card["trades"]]
    assert told
    for card in told:
        assert card["sharpe_p50"] > card["sharpe_p90"], "the 90th percentile is dearer"
        assert math.isfinite(card["sharpe_bar_later"]) and card["stress_reason"] == ""
    models = json.loads((place.runs / DAY / "01/artefacts/30_train/scorecards.json").read_text())
    figures = [card["window"]["figures"] for card in models if card["window"]["figures"]["trades"]]
    assert figures
    assert all(one["sharpe_p50"] > one["sharpe_p90"] and one["sharpe_bar_later"] is not None for one in figures)


def test_the_day_uses_metrics_dated_at_or_before_it_never_later(real: tuple[Place, dict[str, Any]]) -> None:
    place, _ = real
    run = place.runs / DAY / "01"
    sealed = json.loads((run / "inputs" / "execution_metrics.json").read_text())
    assert sealed["date"] == DAY
    assert (place.data / "execution" / f"execution_metrics_{LATER}.json").exists()
    assert max(market["window"][1] for market in sealed["markets"]) <= day_start_ms(parse_day(DAY))
    methods = {market["symbol"]: market["method"] for market in sealed["markets"]}
    assert methods == {"*": "quotes", "BTCUSDT": "quotes", "ETHUSDT": "estimated", "SOLUSDT": "estimated"}


def test_the_report_says_what_the_costs_rest_on(real: tuple[Place, dict[str, Any]]) -> None:
    place, _ = real
    told = [one["message"] for one in place.report(f"{DAY}/01")["warnings"] if one["where"] == "execution costs"]
    assert told[0].startswith(f"fee 5 bps a side as set; spread and slippage as measured on {DAY}")
    assert "BTCUSDT 0.5, ETHUSDT" in told[0]
    assert "BTCUSDT: recorded from 2021-01-08 00:00 UTC to 00:01 UTC only, 888 days before the measurement" in told
    assert "ETHUSDT, SOLUSDT: the spread is estimated from candles, no quote was recorded" in told
    page = (place.runs / DAY / "01" / "report.html").read_text()
    assert "the spread is estimated from candles" in page


def test_the_rows_that_the_run_sealed_are_those_of_the_store(real: tuple[Place, dict[str, Any]]) -> None:
    place, _ = real
    places = ("--data", str(place.data), "--runs", str(place.runs))
    told = CliRunner().invoke(app, ["data", "diff", DAY, "now", *places])
    assert "the same rows in all 3" in told.output, told.output
