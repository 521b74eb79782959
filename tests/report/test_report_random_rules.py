"""How many candidates beat their random rules is told beside how many of so many luck alone would."""

from __future__ import annotations

import pytest
from test_report_tournament import robust

from daybook.report import tables


@pytest.mark.parametrize(("shares", "said"), [
    ([0.99] * 1 + [0.5] * 27, "of 28 candidates, luck in timing alone puts 1.4 above 95 % of their random rules; 1 is "
                              "there, no more than that; "),
    ([0.96] * 4 + [0.95] * 16, "of 20 candidates, luck in timing alone puts 1.0 above 95 % of their random rules; 4 "
                               "are there, more than that, which does not say who is there by skill; "),
    ([0.2], "of 1 candidate, luck in timing alone puts 0.1 above 95 % of their random rules; 0 are there, no more"),
])
def test_the_note_counts_who_is_there_and_who_is_expected(shares: list[float], said: str) -> None:
    html = tables.robustness([robust(name=f"c{n}", random_percentile=share) for n, share in enumerate(shares)]).markup
    assert said in html
    assert "nothing is chosen from them, so they are a yardstick and count as no trials" in html
    assert "more than timing luck" not in html


def test_nothing_is_counted_where_nothing_is_known() -> None:
    row = robust(random_percentile=None, reasons={"random_percentile": "too few trades"})
    html = tables.robustness([*[row] * 20, *[robust(random_percentile=0.99)] * 4]).markup
    assert "of 4 candidates, luck in timing alone puts 0.2 above" in html
    assert "luck in timing" not in tables.robustness([row]).markup
