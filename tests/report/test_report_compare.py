"""Comparison of two reports: only what differs, in words and in tables."""

from __future__ import annotations

import json
import re
from typing import Any

from fabricated_report import document, models, run_info, strategies
from hostile import Seen

from daybook.report import Metric, NullContest, Parameter, Reading, RobustnessRow, compare, tables
from daybook.report.compare_views import CONTEST


def reading(name: str, value: float, n: int, n_unit: str) -> Reading:
    return Reading(metric=Metric(name=name, value=value, n=n, n_unit=n_unit), meaning="What it says.")


def robust(**changes: Any) -> RobustnessRow:
    values = dict.fromkeys(RobustnessRow.figures, 1.5) | {"half": 0.75, "random_percentile": 0.9}
    return RobustnessRow(**{"name": "fade-1", "identity": "a" * 64, "timeframe": "5m", "trades": 12, "n_blocks": 168,
                            **values, **changes})


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
    assert "rescored    strategy volume_shock_fade: rank 3 -> 3, score 65.0 -> 1.5" in comparison.text()


def test_two_runs_of_one_day_have_members_alone_and_none_entered_or_left() -> None:
    rows = strategies()[:3]
    others = (*rows[:2], rows[2].model_copy(update={"identity": "new", "name": "other_search"}))
    rerun = run_info(run_id="2023-06-16/02", number=2, official=False, parent="2023-06-16/01")
    comparison = compare(document(strategies=rows), document(strategies=others, run=rerun))
    shown = comparison.text()
    assert "only in 02  strategy other_search: rank 3, score 65.0" in shown
    assert "only in 01  strategy volume_shock_fade: rank 3, score 65.0" in shown
    assert "differences between the runs, no entries and exits" in shown
    for view in (shown, Seen(comparison.html().markup).text):
        assert "only in 01" in view and "only in 02" in view
        assert not re.search(r"\b(entered|left) +(strategy|strategies)", view)


def test_members_of_another_day_entered_and_left() -> None:
    rows = strategies()[:3]
    tomorrow = run_info(run_id="2023-06-17/01", day="2023-06-17")
    others = (*rows[:2], rows[2].model_copy(update={"identity": "new", "name": "other_search"}))
    shown = compare(document(strategies=rows), document(strategies=others, run=tomorrow)).text()
    assert "entered     strategy other_search" in shown
    assert "left        strategy volume_shock_fade" in shown
    assert "only in" not in shown


def test_readings_of_luck_stand_side_by_side_with_samples_and_reasons() -> None:
    before = (reading("PSR of the best", 0.906, 168, "hours"), reading("StepM: how many beat it", 0, 28, "candidates"),
              reading("SPA: any beats not trading", 0.799, 28, "candidates"))
    after = (reading("PSR of the best", 0.974, 168, "hours"), reading("StepM: how many beat it", 0, 25, "candidates"),
             Reading(metric=Metric(name="SPA: any beats not trading", reason="no candidate"), meaning="Nothing."))
    comparison = compare(document(luck=before), document(luck=after))
    assert not comparison.identical
    shown = comparison.text()
    assert "PSR of the best: 0.906 -> 0.974 (n 168 hours)" in shown
    assert "StepM: how many beat it: 0 -> 0 (n 28 -> 25 candidates)" in shown
    assert "SPA: any beats not trading: 0.799 -> — (n 28 candidates); no candidate" in shown
    html = comparison.html().markup
    assert "25 candidates" in html and 'title="no candidate"' in html
    assert compare(document(luck=before), document(luck=before)).identical


def test_contests_with_nulls_stand_side_by_side() -> None:
    one = NullContest(who="candidates", places=20, nulls=56, others=28, reached=13, expected=13.33, chance=0.53,
                      chance_above=0.7, best_null_rank=1, meaning="chance")
    other = one.model_copy(update={"reached": 9, "chance": 0.012})
    comparison = compare(document(null_contests=(one,)), document(null_contests=(other,)))
    shown = comparison.text()
    for said in ("of these, among the first: 13 -> 9", "by chance, expected: 13.3 -> 13.3", "know nothing, n: 56 -> 56",
                 "so few, probability: 0.530 -> 0.012", "so many, probability: 0.700 -> 0.700"):
        assert said in shown
    assert "13.3" in Seen(comparison.html().markup).text
    assert "of these, among the first: 13 -> —" in compare(document(null_contests=(one,)), document()).text()


def test_costs_of_candidates_are_compared_one_by_one_and_as_medians() -> None:
    same = [robust(identity=str(place), name=f"fade-{place}", sharpe=float(place)) for place in range(3)]
    dearer = [same[0].model_copy(update={"sharpe_double_costs": -2.0}), same[1].model_copy(update={"sharpe": 9.0})]
    comparison = compare(document(robustness=tuple(same)), document(robustness=tuple(dearer)))
    assert [(c.where, c.name, c.a, c.b) for c in comparison.candidates] == [
        ("fade-0 5m", "costs × 2", 1.5, -2.0), ("fade-1 5m", "as it is", 1.0, 9.0)]
    shown = comparison.text()
    assert "candidates as it is: 1.0 -> 4.5 annualised (n 3 -> 2)" in shown
    assert "candidates costs × 2: 1.5 -> −0.2 annualised (n 3 -> 2)" in shown
    assert "fade-0 5m costs × 2: 1.5 -> −2.0 annualised" in shown
    assert "a difference is not the parameters" in shown


def test_median_of_an_undefined_figure_counts_those_that_have_one() -> None:
    first, last = strategies()[0], strategies()[-1]
    comparison = compare(document(strategies=(first, last)), document(strategies=(last,)))
    assert [(m.a, m.b, m.n_a, m.n_b) for m in comparison.medians if m.name == "Sharpe"] == [(first.sharpe, None, 1, 0)]
    assert "strategy pool Sharpe: 10.7 -> — annualised (n 1 -> 0)" in comparison.text()


def test_one_candidate_fewer_is_a_difference_though_the_median_stays() -> None:
    three = tuple(robust(identity=str(place)) for place in range(3))
    comparison = compare(document(robustness=three), document(robustness=three[:2]))
    assert not comparison.identical
    assert "candidates costs p90: 1.5 -> 1.5 annualised (n 3 -> 2)" in comparison.text()


def test_every_name_is_one_of_the_reports_own_tables() -> None:
    contest = NullContest(who="candidates", places=20, nulls=56, others=28, reached=13, expected=13.3, chance=0.5,
                          best_null_rank=1, meaning="chance")
    pages = {"contest": tables.null_contests([contest]), "candidates": tables.robustness([robust()]),
             "strategy pool": tables.strategies(strategies())}
    seen = {name: Seen(page.markup).text for name, page in pages.items()}
    for _, label, _ in CONTEST:
        for part in label.split(", "):
            assert part in seen["contest"], part
    report = document(robustness=(robust(),))
    medians = compare(report, report).medians
    assert {m.where for m in medians} == {"candidates", "strategy pool"}
    for row in medians:
        assert row.name in seen[row.where], row.name


def test_figures_of_models_have_the_names_of_the_pages_and_keep_their_own_in_json() -> None:
    first, *rest = models()
    gain = Metric(name="r2 versus har", value=0.04)
    old, new = (first.model_copy(update={"metrics": (gain.model_copy(update={"value": value}),)})
                for value in (0.04, 0.07))
    comparison = compare(document(models=(old, *rest)), document(models=(new, *rest)))
    assert "direction gain over HAR: 0.04 -> 0.07" in comparison.text()
    assert "gain over HAR" in Seen(comparison.html().markup).text
    assert "r2 versus har" not in comparison.text()
    assert [f["name"] for f in json.loads(comparison.model_dump_json())["figures"]] == ["r2 versus har"]


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
