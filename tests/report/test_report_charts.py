"""Charts: right values, valid plotly, sample sizes in sight, equal bytes, no data said aloud."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from fabricated_report import NAMES, SYMBOLS, document, models, score_history, strategies, sweep_cells
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.time import HOUR_MS
from daybook.report import Chart, Curve, ModelRow, ReportError, charts
from daybook.report.views import PLOTLY_MIME

DAY = document()
HOURS = pd.DataFrame([(symbol, DAY.run.window_start_ms + hour * HOUR_MS, 1.0 if hour else 0.6)
                      for symbol in SYMBOLS for hour in range(24)], columns=["symbol", "time_ms", "share"])
CALIBRATION = pd.DataFrame({"model": "direction", "predicted": [0.45, 0.5, 0.55], "observed": [0.47, 0.5, 0.54],
                            "n": [120, 900, 110]})
DRIFT = pd.DataFrame({"name": ["rsi_14", "rv_60"], "psi": [0.04, 0.31], "n": [1000, 1000]})
SHARPES = np.linspace(-12, 11, 300)

MAP = pd.DataFrame({"name": ["a", "a", "b"], "hour": [0, 23, 23], "cost": [0.5, 1.25, 2.0], "n": [10, 1200, 3]})
CHARTS: dict[str, Callable[[], Chart]] = {
    "equity": lambda: charts.equity(DAY.curves),
    "drawdown": lambda: charts.drawdown(DAY.curves),
    "score_history": lambda: charts.score_history(score_history()),
    "ranking": lambda: charts.ranking(DAY.strategies),
    "gates": lambda: charts.gates(DAY.strategies),
    "trial_sharpes": lambda: charts.trial_sharpes(SHARPES, expected_maximum=18.9, best=11.0),
    "sweep_map": lambda: charts.sweep_map(sweep_cells()),
    "model_scorecards": lambda: charts.model_scorecards(DAY.models),
    "calibration": lambda: charts.calibration(CALIBRATION),
    "drift": lambda: charts.drift(DRIFT),
    "data_quality": lambda: charts.data_quality(DAY.data_quality),
    "completeness": lambda: charts.completeness(HOURS),
    "regimes": lambda: charts.regimes(HOURS.assign(regime="calm")),
    "timings": lambda: charts.timings(DAY.timings),
    "bars": lambda: charts.bars(DRIFT, "name", "psi", "n", title="Drift"),
    "cells": lambda: charts.cells(MAP, "hour", "name", "cost", "n", title="Costs", unit="times the mean"),
    "lines": lambda: charts.lines(HOURS, "time_ms", "share", "symbol", title="Shares"),
}
EMPTY: dict[str, Callable[[], Chart]] = {
    "equity": lambda: charts.equity(()),
    "drawdown": lambda: charts.drawdown(()),
    "score_history": lambda: charts.score_history(score_history().head(0)),
    "ranking": lambda: charts.ranking(()),
    "gates": lambda: charts.gates(()),
    "trial_sharpes": lambda: charts.trial_sharpes([float("nan")], expected_maximum=None, best=None),
    "sweep_map": lambda: charts.sweep_map(sweep_cells().head(0)),
    "model_scorecards": lambda: charts.model_scorecards(()),
    "calibration": lambda: charts.calibration(CALIBRATION.head(0)),
    "drift": lambda: charts.drift(DRIFT.head(0)),
    "data_quality": lambda: charts.data_quality(()),
    "completeness": lambda: charts.completeness(HOURS.head(0)),
    "regimes": lambda: charts.regimes(HOURS.assign(regime="calm").head(0)),
    "timings": lambda: charts.timings(()),
    "bars": lambda: charts.bars(DRIFT.head(0), "name", "psi", title="Drift"),
    "cells": lambda: charts.cells(MAP.head(0), "hour", "name", "cost", "n", title="Costs"),
    "lines": lambda: charts.lines(HOURS.head(0), "time_ms", "share", title="Shares"),
}


def test_every_chart_is_covered_here() -> None:
    assert set(CHARTS) == set(EMPTY) == set(charts.__all__)


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_chart_passes_plotlys_own_validators(name: str) -> None:
    chart = CHARTS[name]()
    assert len(chart.figure().data) == len(chart.data) > 0


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_chart_is_strict_json_and_the_same_each_time(name: str) -> None:
    first, second = (json.dumps(CHARTS[name]()._repr_mimebundle_(), allow_nan=False) for _ in range(2))
    assert first == second
    assert set(json.loads(first)) == {PLOTLY_MIME, "text/plain"}
    assert '"uid"' not in first
    assert '"bdata"' not in first


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_chart_has_a_title_a_subtitle_and_axis_titles(name: str) -> None:
    chart = CHARTS[name]()
    assert chart.layout["title"]["text"]
    assert chart.layout["title"]["subtitle"]["text"]
    if name != "model_scorecards":
        assert chart.layout["xaxis"]["title"]["text"]


@pytest.mark.parametrize("name", sorted(EMPTY))
def test_empty_input_gives_a_chart_that_says_so(name: str) -> None:
    chart = EMPTY[name]()
    assert chart.data == []
    assert "No data: " in chart.layout["annotations"][0]["text"]
    chart.figure()


def test_equity_is_drawn_in_percent_and_the_benchmark_in_grey_dashes() -> None:
    frame = pd.DataFrame({"name": ["a", "a", "a", "hold", "hold"], "equity": [1.0, np.nan, 1.05, 1.0, 0.9],
                          "role": ["strategy"] * 3 + ["benchmark"] * 2,
                          "time_ms": [0, HOUR_MS, 2 * HOUR_MS, 0, HOUR_MS]})
    own, hold = charts.equity(frame).data
    assert own["y"] == [0.0, None, 5.0]
    assert own["name"] == "a  +5.0 %"
    assert own["x"] == ["1970-01-01 00:00", "1970-01-01 01:00", "1970-01-01 02:00"]
    assert hold["line"]["dash"] == "dash"
    assert hold["name"] == "hold  −10.0 %"


def test_drawdown_is_measured_from_the_highest_equity_so_far() -> None:
    curve = Curve(name="a", role="strategy", start_ms=0, step_ms=HOUR_MS, equity=(1.0, 1.1, 0.99, None, 1.1, 1.2))
    drawn = charts.drawdown([curve]).data[0]
    assert drawn["y"] == [0.0, 0.0, -10.0, None, 0.0, 0.0]
    assert drawn["name"] == "a  −10.0 %"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=30))
def test_drawdown_agrees_with_pandas(equity: list[float]) -> None:
    curve = Curve(name="a", role="strategy", start_ms=0, step_ms=HOUR_MS, equity=tuple(equity))
    series = pd.Series(equity)
    expected = 100 * (series / series.cummax() - 1)
    assert charts.drawdown([curve]).data[0]["y"] == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


def test_ranking_tells_even_odds_apart_and_leaves_an_undefined_score_without_bar() -> None:
    drawn = charts.ranking(strategies())
    bar, text = drawn.data[0], drawn.data[1]
    assert bar["x"][-1] is None
    assert text["text"][0] == "69.2   n 168"
    blue = [score >= 50 for score in bar["x"] if score is not None]
    assert len({colour for colour, above in zip(bar["marker"]["color"], blue, strict=False) if above}) == 1
    assert bar["marker"]["color"][0] != bar["marker"]["color"][-1]


def test_score_history_names_the_best_of_the_last_day_only() -> None:
    drawn = charts.score_history(score_history(), highlight=3)
    assert sum(line["showlegend"] for line in drawn.data) == 3
    last = score_history().query("day == '2023-06-16'").nlargest(3, "score")["name"].tolist()
    assert [line["name"] for line in drawn.data if line["showlegend"]][::-1] == last


def test_gate_whiskers_end_where_the_interval_does() -> None:
    row = strategies()[0]
    dot = charts.gates([row]).data[0]
    assert row.gate is not None
    assert row.gate.interval is not None
    assert dot["x"][0] - dot["error_x"]["arrayminus"][0] == pytest.approx(row.gate.interval[0])
    assert dot["x"][0] + dot["error_x"]["array"][0] == pytest.approx(row.gate.interval[1])


def test_histogram_counts_every_trial_once_and_marks_what_noise_would_show() -> None:
    sharpes = np.append(SHARPES, [np.nan, np.inf])
    drawn = charts.trial_sharpes(sharpes, expected_maximum=18.9, best=11.0)
    assert sum(drawn.data[0]["y"]) == SHARPES.size
    assert "2 more without a Sharpe ratio" in drawn.layout["title"]["subtitle"]["text"]
    assert [shape["x0"] for shape in drawn.layout["shapes"]] == [18.9, 11.0]
    low, high = drawn.layout["xaxis"]["range"]
    assert low < -12
    assert high > 18.9


def test_model_colour_says_whether_the_interval_clears_the_baseline() -> None:
    colours = {row.name: charts.model_scorecards([row]).data[0]["marker"]["color"] for row in models()}
    assert colours["direction"] == colours["risk"] == colours["volatility"]
    assert len({colours["direction"], colours["momentum"], colours["price"]}) == 3


def test_model_chart_takes_a_frame_and_leaves_an_undefined_value_out() -> None:
    frame = pd.DataFrame({"model": ["direction"], "metric": ["AUC"], "value": [np.nan], "baseline": [0.5], "n": [0]})
    assert charts.model_scorecards(frame).data[0]["y"] == [None]
    bare = ModelRow(rank=1, name="price", identity="m", score=None, reasons={"score": "no trades"})
    assert charts.model_scorecards([bare]).data == []


def test_sweep_map_leaves_an_undefined_cell_empty_and_prints_its_trades() -> None:
    heat = charts.sweep_map(sweep_cells()).data[0]
    assert heat["z"][2][2] is None
    assert heat["text"][2][2] == "—<br>n 2"
    assert heat["text"][0][0] == "61.2<br>n 61"


def test_a_map_leaves_what_was_not_recorded_empty_and_tells_each_cells_size() -> None:
    drawn = CHARTS["cells"]().data[0]
    assert (drawn["x"], drawn["y"]) == (["0", "23"], ["a", "b"])
    assert drawn["z"] == [[0.5, 1.25], [None, 2.0]]
    assert drawn["customdata"] == [["10", "1,200"], ["0", "3"]]
    assert (drawn["zmin"], drawn["zmax"]) == (0.0, 2.0)


def test_a_bar_leaves_room_for_its_text() -> None:
    low, high = charts.bars(MAP, "name", "cost", "n", title="Costs").layout["xaxis"]["range"]
    assert (low, high) == (0.0, pytest.approx(2.32))


def test_completeness_counts_whole_hours() -> None:
    subtitle = charts.completeness(HOURS).layout["title"]["subtitle"]["text"]
    assert subtitle.startswith("69 of 72 market-hours")


def test_missing_column_is_named_with_what_was_found() -> None:
    with pytest.raises(ReportError, match=r"sweep map: column\(s\) trades missing, found timeframe, symbol, score"):
        charts.sweep_map(sweep_cells().drop(columns="trades"))


def test_equal_names_stay_apart() -> None:
    rows = [row.model_copy(update={"name": NAMES[0], "rank": 1}) for row in strategies()[:3]]
    assert len(set(charts.ranking(rows).data[0]["y"])) == 3


def test_input_frames_are_not_changed() -> None:
    frame = sweep_cells()
    before = frame.copy(deep=True)
    charts.sweep_map(frame)
    pd.testing.assert_frame_equal(frame, before)
