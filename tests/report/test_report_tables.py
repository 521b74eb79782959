"""Tables, verdicts and number formats as a reader sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricated_report import document, ensembles, models, run_info, strategies, strategy, sweep_cells
from hostile import Seen

from daybook.report import Changes, FrameStyle, Headline, Html, Metric, Notice, ReportError, formats, tables, verdict
from daybook.report.sections import Parameter

DAY = document()


def test_dash_carries_the_reason_why_a_figure_is_undefined() -> None:
    html = tables.strategies([strategy(1, "calm", undefined=True)]).markup
    assert 'title="3 trades in the window, at least 5 are needed">—' in html


def test_pool_table_shows_units_and_sample_sizes() -> None:
    seen = Seen(tables.strategies(DAY.strategies).markup)
    for text in ("0–100", "a year", "hours", "of trades", "of capital", "168", "57 %", "2.86 %"):
        assert text in seen.text
    assert sum(tag == "tr" for tag, _ in seen.tags) == 22


def test_pool_table_keeps_to_its_limit() -> None:
    assert "london_open_drift" not in tables.strategies(DAY.strategies, limit=1).markup


def test_change_against_yesterday_is_signed() -> None:
    html = tables.strategies(strategies()[:2]).markup
    assert ">+2.1<" in html
    assert 'title="the day before: 67.1"' in html


def test_gate_shows_value_interval_threshold_and_sample() -> None:
    text = Seen(tables.gates(strategies()[:1]).markup).text
    for part in ("3.6", "−8.5 … 16.0", "5 days", "not yet", "28 are needed"):
        assert part in text


def test_model_metric_better_than_its_baseline_is_green_whichever_way_is_better() -> None:
    html = tables.models(models()).markup
    assert 'class="number good">52.3 %' in html
    assert 'class="number good">0.00142' in html
    assert 'class="number bad">−0.0021' in html


def test_ensemble_table_lists_the_weights() -> None:
    assert "direction 0.500 · momentum 0.300 · price 0.200" in tables.ensembles(ensembles()).markup


def test_changes_say_which_why_and_since_when() -> None:
    text = Seen(tables.changes(DAY.changes).markup).text
    for part in ("entered", "left", "moved", "4 → 1", "score below 20 for three days", "since 2023-06-15"):
        assert part in text
    assert "everything is new" in tables.changes(Changes()).markup


def test_changed_parameter_is_marked() -> None:
    seen = Seen(tables.parameters(run_info()).markup)
    assert seen.text.count("changed") == 1
    assert "bps a side" in seen.text


@pytest.mark.parametrize("empty", [
    tables.strategies(()), tables.gates(()), tables.models(()), tables.data_quality(()),
    tables.archive(()), tables.focus(()), tables.timings(()), tables.strategy_cards(()),
    tables.frame(pd.DataFrame({"a": []}), caption="Empty")])
def test_empty_table_says_so(empty: Html) -> None:
    assert "muted" in empty.markup
    assert len(Seen(empty.markup).text.strip()) > 5


def test_without_a_warning_the_box_takes_no_space() -> None:
    assert tables.warnings(()).markup == ""


def test_gates_of_a_young_pool_are_one_sentence_with_the_rows_folded() -> None:
    html = tables.gates(strategies()).markup
    assert "0 of 20 members passed the gate" in html
    assert "<details><summary>Every gate" in html
    assert "collect evidence, the longest record has 24 days" in html


def test_passed_gates_are_in_sight() -> None:
    row = strategies()[0]
    assert row.gate is not None
    passed = row.model_copy(update={"gate": row.gate.model_copy(update={"passed": True})})
    html = tables.gates([passed]).markup
    assert "1 of 1 members passed the gate." in html
    assert "<details" not in html


def test_first_day_says_so_in_a_sentence_and_folds_the_list() -> None:
    first = DAY.changes.model_copy(update={"since": None, "left": (), "moved": ()})
    html = tables.changes(first).markup
    assert "This is the first day: 1 strategies fill the empty pools" in html
    assert "<details><summary>Who entered" in html


def test_members_that_only_moved_are_folded_below() -> None:
    html = tables.changes(DAY.changes).markup
    assert html.index(">entered<") < html.index("<details><summary>Who changed rank") < html.index(">moved<")


@pytest.mark.parametrize(("value", "interval", "better", "standing"), [
    (0.53, (0.51, 0.55), "higher", "beats"), (0.53, (0.49, 0.57), "higher", "unsure"), (0.53, None, "higher", "ahead"),
    (0.49, (0.47, 0.51), "higher", "behind"), (0.4, (0.3, 0.45), "lower", "beats"),
    (0.4, (0.3, 0.6), "lower", "unsure"), (0.53, None, "neither", "none"),
    (0.5, None, "higher", "behind")])
def test_standing_against_the_baseline_follows_the_interval(value: float, interval: Any, better: Any, standing: str
                                                            ) -> None:
    metric = Metric(name="m", value=value, baseline=0.5, interval=interval, better=better)
    assert metric.standing == standing


def test_model_line_gives_the_verdict_that_its_interval_supports() -> None:
    lines = tables.models(models()).markup.split("<details>")[0]
    assert lines.count(">better<") == 3
    assert lines.count(">within chance<") == 1
    assert lines.count(">not better<") == 1


def test_luck_is_put_into_a_sentence() -> None:
    assert "Luck alone explains the best result" in tables.trials(DAY.trials).markup
    lucky = DAY.trials.model_copy(update={"best": DAY.trials.best.model_copy(update={"value": 30.0})})
    assert "only forward evidence can prove it" in tables.trials(lucky).markup


def test_changed_parameters_come_first_and_are_in_sight() -> None:
    run = run_info()
    html = tables.parameters(run).markup
    assert html.index("fee_bps") < html.index("spread_bps")
    assert "<details" not in html
    same = run.model_copy(update={"parameters": run.parameters[1:]})
    assert "<details" in tables.parameters(same).markup


def test_a_spread_that_was_set_is_not_used_where_costs_are_measured() -> None:
    spread = Parameter(name="spread_bps", value=2.0, default=2.0, unit="bps of mid")
    for source, used in (("measured", False), ("settings", True)):
        asked = (Parameter(name="costs", value=source, default="settings", changed=not used), spread)
        html = tables.parameters(run_info(parameters=asked)).markup
        assert ("not used: costs are measured" in html) is not used
        assert source in html


def test_optional_column_without_a_value_is_left_out() -> None:
    table = pd.DataFrame({"name": ["a"], "why": [""]})
    assert "why" not in tables.frame(table, caption="Any", style=FrameStyle(optional=frozenset({"why"}))).markup
    assert "why" in tables.frame(table, caption="Any").markup


def test_tiny_probability_is_written_as_below_the_least_shown() -> None:
    assert formats.figure(1.84e-6, "probability") == "< 0.001"
    assert formats.figure(0.5, "probability") == "0.500"


def test_every_section_of_a_report_has_a_table() -> None:
    shown = "".join(view.markup for view in (
        tables.trials(DAY.trials), tables.data_quality(DAY.data_quality), tables.archive(DAY.archive),
        tables.focus(DAY.focus), tables.timings(DAY.timings), tables.warnings(DAY.warnings),
        tables.strategy_cards(DAY.strategies)))
    for part in ("3,811", "99.931 %", "noon_fade", "quiet hours", "44.2", "14 bars are missing",
                 "rsi(close, period) &lt;"):
        assert part in shown


def test_notice_severity_has_its_colour() -> None:
    html = tables.warnings([Notice(where="data", message="torn", severity="error")]).markup
    assert 'class="text bad">error' in html


def test_frame_follows_the_types_and_the_given_style() -> None:
    table = pd.DataFrame({"open_ms": [0], "share": [0.123], "n": np.array([12345]), "ok": [True], "loss": [np.nan]})
    style = FrameStyle(units={"n": "bars"}, formats={"share": "percent"}, labels={"loss": "mean loss"},
                       reasons={"loss": "no bets"})
    html = tables.frame(table, caption="Any", style=style).markup
    for part in ("1970-01-01 00:00 UTC", "12.3 %", "12,345", ">True<", "mean loss", 'title="no bets">—', "bars"):
        assert part in html


def test_frame_writes_no_minus_before_nothing() -> None:
    table = pd.DataFrame({"sharpe": [-0.04, -0.06], "small": [-1e-5, 2.0]})
    html = tables.frame(table, caption="Any", style=FrameStyle(formats={"sharpe": ".1f", "small": ".0e"})).markup
    assert [part in html for part in (">0.0<", ">−0.1<", ">−1e−05<")] == [True] * 3
    assert "−0.0<" not in html


def test_frame_says_how_many_rows_it_leaves_out() -> None:
    html = tables.frame(sweep_cells(), caption="Sweep", limit=4).markup
    assert "First 4 of 9 rows" in html
    assert html.count("<tr>") == 5


def test_frame_refuses_an_unknown_format_and_names_the_known() -> None:
    with pytest.raises(ReportError, match=r"format 'roman'.*Allowed are score, text, prose, code, percent"):
        tables.frame(sweep_cells(), caption="Sweep", style=FrameStyle(formats={"score": "roman"}))


def test_verdict_shows_the_sentence_its_figures_and_the_synthetic_label() -> None:
    text = Seen(verdict(DAY.headline, run=run_info(synthetic=True)).markup).text
    for part in ("nothing is proven yet", "69.2", "noise alone 18.9", "no member has 28 forward days",
                 "Synthetic market"):
        assert part in text
    assert "Synthetic" not in verdict(DAY.headline, run=run_info()).markup


def test_verdict_takes_a_plain_sentence_and_figures() -> None:
    share = Metric(name="share", value=0.25, unit="fraction", interval=(0.2, 0.3))
    view = verdict("All is well.", [share], tone="good")
    assert view.text == "All is well."
    assert "25.0 %" in view.markup
    assert "20.0 % … 30.0 %" in view.markup
    assert "db-verdict good" in view.markup
    assert verdict(Headline(verdict="x")).markup


@pytest.mark.parametrize(("value", "written"), [
    (None, "—"), (float("nan"), "—"), (1234.0, "1,234"), (0, "0"), (18.94, "18.9"), (3.6, "3.60"), (0.5261, "0.526"),
    (0.00142, "0.00142"), (-0.0021, "−0.0021"), (12345.6, "12,346"), (-1.0, "−1")])
def test_significant_figures(value: float | None, written: str) -> None:
    assert formats.significant(value) == written


@pytest.mark.parametrize(("seconds", "written"), [
    (None, "—"), (0.82, "0.8 s"), (42.2, "42 s"), (185.4, "3 min 05 s"), (119.7, "2 min 00 s")])
def test_durations(seconds: float | None, written: str) -> None:
    assert formats.duration(seconds) == written


def test_signed_figures_never_show_minus_zero() -> None:
    assert [formats.signed(v) for v in (1.26, -0.3, -0.01, 0.0, 10.0)] == ["+1.3", "−0.3", "0.0", "0.0", "+10.0"]
    assert formats.percent(-0.00001) == "0.0 %"
