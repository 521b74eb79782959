"""Tables of the tournament say their samples, how to read them, and why a figure is missing."""

from __future__ import annotations

from typing import Any

import pytest
from fabricated_report import document
from hostile import HOSTILE, Seen
from pydantic import ValidationError

from daybook.report import ForwardRow, Metric, NullContest, Reading, RejectedRow, RobustnessRow, StateReturn, tables

FIGURES = RobustnessRow.figures


def robust(**changes: Any) -> RobustnessRow:
    values: dict[str, Any] = dict.fromkeys(FIGURES, 1.5) | {"half": 0.75, "random_percentile": 0.9}
    return RobustnessRow(**{
        "name": "fade-1", "identity": "a" * 64, "timeframe": "5m", "trades": 12, "n_blocks": 168, "without": "ETHUSDT",
        "neighbours": 4, "neighbourhood": "plateau", "random_rules": 100, "correlated_with": "old-1",
        "volatility": (StateReturn(state="low", total_return=0.01, n_hours=90, trades=3),),
        "session": (StateReturn(state="tokyo", n_hours=0, trades=0),), **values, **changes})


def forward_row(**changes: Any) -> ForwardRow:
    return ForwardRow(**{
        "pool": "strategies", "rank": 1, "name": "fade-1", "identity": "a" * 64, "birth": "2026-01-01",
        "forward_days": 9, "needed_days": 28, "trades": 14, "n_blocks": 216, "sharpe": 2.5, "interval": (-9.0, 14.0),
        "nightly": (-0.01, 0.02), "track_record_days": 158, "verdict": "19 days to its one test",
        "reasons": {"p_value": "tested once, at 28 forward days"}, **changes})


def unborn() -> ForwardRow:
    """A member of today, without a day after its birth."""
    why = dict.fromkeys(ForwardRow.figures, "no day after its birth yet")
    return forward_row(forward_days=0, sharpe=None, track_record_days=None, reasons=why)


def test_a_reading_shows_value_sample_and_what_it_says() -> None:
    rows = [Reading(metric=Metric(name="PSR of the best", value=0.93, unit="probability", n=168, n_unit="hours"),
                    meaning="If it were alone."),
            Reading(metric=Metric(name="PBO", reason="nothing was tuned"), meaning="No choice was made.")]
    html = tables.readings(rows).markup
    for said in ("PSR of the best", "0.930", "168 hours", "If it were alone.", "nothing was tuned", "what it says"):
        assert said in html
    for name in ("deflated Sharpe ratio", "probability of backtest overfitting", "superior predictive ability"):
        assert name in html, "no abbreviation without its words"
    assert "nothing was tried" in tables.readings(()).markup
    assert "overfitting" not in tables.readings(()).markup


def test_null_contests_show_what_chance_would_allow_and_how_to_read_it() -> None:
    row = NullContest(who="pool and candidates", places=20, nulls=46, others=23, reached=2, expected=13.3, chance=3e-10,
                      best_null_rank=11, meaning="fewer than chance allows")
    older = tables.null_contests([row]).markup
    html = tables.null_contests([row.model_copy(update={"chance_above": 0.012})]).markup
    for said in ("46", "13.3", "&lt; 0.001", "How to read", "fewer than chance allows"):
        assert said in html and said in older
    assert "so many" in html and "0.012" in html
    assert "start behind" in html, "what was re-tuned was picked for a low score"
    alone = row.model_copy(update={"nulls": 0, "reached": 0, "expected": None, "chance": None, "best_null_rank": None})
    assert "—" in tables.null_contests([alone]).markup


def test_robustness_is_three_tables_each_with_samples_and_how_to_read_it() -> None:
    html = tables.robustness([robust()]).markup
    assert html.count("How to read") == 3
    for said in ("costs p50", "75 % of 4", "plateau", "90 h", "no hour of this state", "old-1", "ETHUSDT", "168"):
        assert said in html


def test_percentiles_of_costs_are_explained_where_they_stand() -> None:
    assert "the 50th or the 90th percentile of the measured spread" in tables.robustness([robust()]).markup


def test_too_few_trades_show_dashes_with_the_reason_and_nothing_green() -> None:
    names = [name for name in FIGURES if name.startswith("sharpe")] + ["half", "random_percentile"]
    why = "4 trades; at least 5 are needed"
    row = robust(trades=4, neighbourhood="", hold_return=-0.1, reasons=dict.fromkeys(names, why),
                 **dict.fromkeys(names))
    html = tables.robustness([row]).markup
    assert html.count(f'title="{why}"') == len(names) + 2, "and the two words that go with them"
    assert "good" in tables.robustness([robust()]).markup
    assert "good" not in html
    assert "costs p50" in html, "the day's costs are measured, though this candidate has no figure"


def test_costs_that_were_set_have_no_percentiles_and_the_table_says_so() -> None:
    why = {"sharpe_p50": "costs are set", "sharpe_p90": "costs are set"}
    html = tables.robustness([robust(sharpe_p50=None, sharpe_p90=None, reasons=why)]).markup
    assert "costs p50" not in html
    assert "set, not measured" in html


def test_no_candidate_reads_well() -> None:
    view = tables.robustness(())
    assert "no candidate reached the backtest" in view.markup
    assert "How to read" not in view.markup
    assert "every candidate entered, or there was none" in tables.rejected(()).markup
    assert "the pools are empty" in tables.forward(()).markup


def test_an_undefined_figure_needs_its_reason() -> None:
    with pytest.raises(ValidationError, match="undefined without a reason: capacity"):
        robust(capacity=None)
    with pytest.raises(ValidationError, match="undefined without a reason: p_value"):
        forward_row(reasons={})
    assert "one market was never entered" in tables.robustness(
        [robust(capacity=None, reasons={"capacity": "one market was never entered"})]).markup


def test_a_record_shows_the_days_to_its_test_and_then_its_outcome() -> None:
    html = tables.forward([forward_row(), unborn()]).markup
    for said in ("9 of 28", "158", "19 days to its one test", "216", "−9.0 … 14.0", "1 more has no day after birth",
                 "1 member collects days", "falls due in 19 days"):
        assert said in html
    done = forward_row(forward_days=30, tested="2026-01-29", p_value=0.0004, level=0.0013, reasons={}, proven=True,
                       verdict="proven at every gate")
    html = tables.forward([done]).markup
    for said in ("2026-01-29", "0.0004", "0.0013", "proven at every gate", "1 is a discovery"):
        assert said in html


def test_a_first_day_says_that_no_record_has_begun() -> None:
    assert "none of 3 members has a day after its birth yet" in tables.forward([unborn()] * 3).markup


def test_candidates_that_did_not_enter_are_listed_to_the_last_and_the_table_says_so() -> None:
    rows = [RejectedRow(pool="strategies", identity=name, name=name, score=3.0, reason=reason)
            for name, reason in (("a", "it does not beat the weakest"), ("b", "re-tuned, unchanged: no better ones"))]
    html = tables.rejected(rows).markup
    for said in ("did not enter", "either entered the pool or is listed here", "re-tuned, unchanged"):
        assert said in html


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_names_stay_text(bad: str) -> None:
    row = RejectedRow(pool="strategies", identity=bad, name=bad, score=1.0, reason=bad)
    views = (tables.rejected([row]), tables.robustness([robust(name=bad, without=bad, correlated_with=bad)]),
             tables.forward([forward_row(name=bad, verdict=bad)]),
             tables.readings([Reading(metric=Metric(name=bad, reason=bad), meaning=bad)]))
    for view in views:
        seen = Seen(view.markup)
        assert not seen.live()
        assert seen.names() <= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "code", "details",
                                "summary", "span"}


def test_a_report_from_before_the_tournament_is_still_read() -> None:
    from daybook.report import validate_report

    value = document().model_dump(mode="json")
    for name in ("luck", "null_contests", "robustness", "forward", "rejected"):
        del value[name]
    assert validate_report(value).robustness == ()
