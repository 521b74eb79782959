"""Which rows are usable bars."""

from __future__ import annotations

import math

import pytest
from candle_tapes import JUNE, Candle, rows

from daybook.market.validity import OK, REASONS, defects, impossible


@pytest.mark.parametrize(("candle", "reason"), [
    ((JUNE, 10.0, 12.0, 9.0, 11.0, 0.0), ""),
    ((JUNE, 10.0, 10.0, 10.0, 10.0, 5.0), ""),
    ((JUNE + 20_799, 10.0, 12.0, 9.0, 11.0, 1.0), "off the grid"),
    ((JUNE, math.nan, 12.0, 9.0, 11.0, 1.0), "a price is missing"),
    ((JUNE, 10.0, math.inf, 9.0, 11.0, 1.0), "a price is missing"),
    ((JUNE, 10.0, 12.0, 0.0, 11.0, 1.0), "a price is missing"),
    ((JUNE, 10.0, 12.0, 9.0, -11.0, 1.0), "a price is missing"),
    ((JUNE, 10.0, 8.0, 9.0, 11.0, 1.0), "high is below low"),
    ((JUNE, 10.0, 10.5, 9.0, 11.0, 1.0), "high is below open or close"),
    ((JUNE, 10.0, 12.0, 10.5, 11.0, 1.0), "low is above open or close"),
    ((JUNE, 10.0, 12.0, 9.0, 11.0, -1.0), "volume"),
    ((JUNE, 10.0, 12.0, 9.0, 11.0, math.nan), "volume"),
])
def test_first_defect_is_named(candle: Candle, reason: str) -> None:
    found = REASONS[int(defects(rows([candle]), 60_000)[0])]
    assert found.startswith(reason) if reason.startswith("a ") else reason in found
    assert bool(found) == bool(reason)


@pytest.mark.parametrize(("close", "usable"), [(60_000, True), (41_647, True), (1, True), (0, False), (60_001, False)])
def test_close_time_must_lie_inside_the_bar(close: int, usable: bool) -> None:
    codes = defects(rows([(JUNE, 10.0, 12.0, 9.0, 11.0, 1.0)], [JUNE + close]), 60_000)
    assert (codes[0] == OK) == usable


def test_off_grid_is_no_impossible_value() -> None:
    codes = defects(rows([(JUNE + 1, 10.0, 12.0, 9.0, 11.0, 1.0), (JUNE, 10.0, 8.0, 9.0, 11.0, 1.0)]), 60_000)
    assert impossible(codes).tolist() == [False, True]
