"""Comparison of two reports: only what differs, in words and in tables."""

from __future__ import annotations

import json

from fabricated_report import document, models, run_info, strategies
from hostile import Seen

from daybook.report import Metric, Parameter, compare


def test_report_compared_with_itself_shows_no_difference() -> None:
    comparison = compare(document(), document(timings=()))
    assert comparison.identical
    assert comparison.parameters == comparison.members == comparison.figures == ()
    assert "the reports show the same" in comparison.text()


def test_changed_added_and_removed_parameters_are_listed() -> None:
    other = run_info(run_id="2023-06-16/02", number=2, official=False, parent="2023-06-16/01", parameters=(
        Parameter(name="fee_bps", value=5.0, default=5.0, unit="bps a side"),
        Parameter(name="spread_bps", value=2.0, default=2.0, unit="bps"),
        Parameter(name="trend", value=True, default=True)))
    comparison = compare(document(), document(run=other))
    assert [(p.name, p.a, p.b) for p in comparison.parameters] == [
        ("fee_bps", 10.0, 5.0), ("pool_size", 20, None), ("trend", None, True)]
    assert "parameter fee_bps: 10.0 -> 5.0 bps a side" in comparison.text()


def test_members_that_entered_left_and_moved_are_told_apart() -> None:
    rows = strategies()[:4]
    after = (rows[1].model_copy(update={"rank": 1}), rows[0].model_copy(update={"rank": 2}),
             rows[2].model_copy(update={"score": 1.5}), rows[3].model_copy(update={"identity": "new"}))
    comparison = compare(document(strategies=rows), document(strategies=after))
    assert [(m.kind, m.identity[:4], m.rank_a, m.rank_b) for m in comparison.members] == [
        ("entered", "new", None, 4), ("left", "04ab", 4, None), ("moved", "02ab", 2, 1), ("moved", "01ab", 1, 2),
        ("rescored", "03ab", 3, 3)]
    assert "rescored  strategy volume_shock_fade: rank 3 -> 3, score 65.0 -> 1.5" in comparison.text()


def test_model_is_recognised_by_name_though_it_was_trained_anew() -> None:
    anew = tuple(row.model_copy(update={"identity": f"new{row.rank}"}) for row in models())
    assert compare(document(), document(models=anew)).members == ()


def test_figures_of_models_and_trials_are_compared() -> None:
    first, *rest = models()
    better = first.model_copy(update={"metrics": (first.metrics[0].model_copy(update={"value": 0.55}),)})
    before = document()
    trials = before.trials.model_copy(update={"ever": 4000})
    comparison = compare(before, document(models=(better, *rest), trials=trials))
    assert [(f.where, f.name, f.a, f.b) for f in comparison.figures] == [
        ("trials", "ever", 3811, 4000), ("direction", "balanced accuracy", 0.523, 0.55)]
    assert "direction balanced accuracy: 52.3 % -> 55.0 %" in comparison.text()


def test_other_inputs_are_named() -> None:
    comparison = compare(document(), document(run=run_info(data_hash="ff", day="2023-06-17")))
    assert not comparison.same_data
    assert not comparison.identical
    assert "other day, other data, same code, same settings, same seed" in comparison.text()


def test_undefined_figure_is_a_dash_not_a_zero() -> None:
    first, *rest = models()
    gone = first.model_copy(update={"metrics": (Metric(name="balanced accuracy", unit="fraction", reason="no bars"),)})
    comparison = compare(document(), document(models=(gone, *rest)))
    assert "direction balanced accuracy: 52.3 % -> —" in comparison.text()


def test_comparison_is_json_and_html() -> None:
    comparison = compare(document(), document(strategies=strategies()[:5]))
    assert json.loads(comparison.model_dump_json())["a"] == "2023-06-16/01"
    assert "Pool members" in Seen(comparison.html().markup).text
