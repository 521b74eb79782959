"""The stress columns of a scorecard: figures by name, and one reason for those that have none."""

from __future__ import annotations

from daybook.pipeline.stressed import STRESS_COLUMNS, stress_columns


def test_figures_without_a_value_share_their_reason() -> None:
    values = {"sharpe_p50": None, "sharpe_p90": None, "sharpe_bar_later": 1.5}
    row = stress_columns(values, {"sharpe_p50": "costs are set", "sharpe_p90": "costs are set"})
    assert tuple(row) == STRESS_COLUMNS
    assert row == {**values, "stress_reason": "costs at p50, costs at p90: costs are set"}


def test_every_reason_is_told_beside_what_it_belongs_to() -> None:
    values = {"sharpe_p50": 2.0, "sharpe_p90": None, "sharpe_bar_later": None}
    row = stress_columns(values, {"sharpe_p90": "no cost", "sharpe_bar_later": "no trade was made"})
    assert row["stress_reason"] == "costs at p90: no cost; one bar later: no trade was made"


def test_whole_figures_need_no_reason() -> None:
    assert stress_columns(dict.fromkeys(STRESS_COLUMNS[:-1], 1.0), {})["stress_reason"] == ""
