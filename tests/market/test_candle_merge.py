"""Merging bars that arrive into bars that are stored, and quarantined rows likewise."""

from __future__ import annotations

import math

import numpy as np
from candle_tapes import JUNE, candle, minutes, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.time import MINUTE_MS
from daybook.market.merge import CONFLICTING, DUPLICATE, NEW, merge
from daybook.market.quarantine import Quarantined, united
from daybook.market.rows import CandleRows, joined, same_values

NOTHING = joined([])


def test_new_bars_are_sorted_in() -> None:
    merged = merge(rows([candle(JUNE), candle(JUNE + 120_000)]), rows([candle(JUNE + 180_000), candle(JUNE + 60_000)]))
    assert merged.rows.open_time.tolist() == [JUNE, JUNE + 60_000, JUNE + 120_000, JUNE + 180_000]
    assert merged.status.tolist() == [NEW, NEW]
    assert merged.changed


def test_equal_bar_is_a_duplicate_and_changes_nothing() -> None:
    merged = merge(rows(minutes(3)), rows(minutes(2)))
    assert merged.status.tolist() == [DUPLICATE, DUPLICATE]
    assert not merged.changed


def test_stored_bar_wins_over_other_values() -> None:
    merged = merge(rows([candle(JUNE, 100.0)]), rows([candle(JUNE, 101.0)]))
    assert merged.rows.open.tolist() == [100.0]
    assert merged.status.tolist() == [CONFLICTING]
    assert not merged.changed


def test_first_arriving_bar_wins_over_later_ones() -> None:
    merged = merge(NOTHING, rows([candle(JUNE, 100.0), candle(JUNE, 101.0), candle(JUNE, 100.0)]))
    assert merged.rows.open.tolist() == [100.0]
    assert merged.status.tolist() == [NEW, CONFLICTING, DUPLICATE]


def test_true_close_refines_an_assumed_one_in_either_order() -> None:
    assumed, known = rows([candle(JUNE)]), rows([candle(JUNE)], [JUNE + 41_647])
    for first, second in ((assumed, known), (known, assumed)):
        merged = merge(merge(NOTHING, first).rows, second)
        assert merged.rows.close_time.tolist() == [JUNE + 41_647]
        assert merged.status.tolist() == [DUPLICATE]


def test_close_of_a_conflicting_bar_is_not_taken() -> None:
    merged = merge(rows([candle(JUNE, 100.0)]), rows([candle(JUNE, 101.0)], [JUNE + 5]))
    assert merged.rows.close_time.tolist() == [JUNE + MINUTE_MS]


@settings(max_examples=60, deadline=None)
@given(stored=st.lists(st.tuples(st.integers(0, 8), st.sampled_from([100.0, 101.0])), unique_by=lambda one: one[0]),
       arriving=st.lists(st.tuples(st.integers(0, 8), st.sampled_from([100.0, 101.0]))))
def test_merge_agrees_with_a_dictionary(stored: list[tuple[int, float]], arriving: list[tuple[int, float]]) -> None:
    oracle = dict(sorted(stored))
    expected = []
    for minute, price in arriving:
        known = oracle.setdefault(minute, price) if minute in oracle else None
        expected.append(NEW if known is None else DUPLICATE if known == price else CONFLICTING)
        oracle.setdefault(minute, price)

    def table(pairs: list[tuple[int, float]]) -> CandleRows:
        return rows([candle(JUNE + minute * MINUTE_MS, price) for minute, price in pairs])

    merged = merge(table(sorted(stored)), table(arriving))
    assert merged.status.tolist() == expected
    assert [((time - JUNE) // MINUTE_MS, price) for time, price in
            zip(merged.rows.open_time.tolist(), merged.rows.open.tolist(), strict=True)] == sorted(oracle.items())
    assert merged.changed == (len(oracle) > len(stored))


def test_same_values_compares_bits() -> None:
    one = rows([(JUNE, math.nan, 12.0, 9.0, 11.0, 1.0), (JUNE, 10.0, 12.0, 9.0, 11.0, 1.0)])
    other = rows([(JUNE, math.nan, 12.0, 9.0, 11.0, 1.0), (JUNE, 10.0, 12.0, 9.0, 11.0, 1.0 + 1e-15)])
    assert same_values(one, other).tolist() == [True, False]


@settings(max_examples=30, deadline=None)
@given(picks=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([math.nan, -1.0]), st.sampled_from("ab"),
                                st.sampled_from(["x.zip", "y.zip"])), min_size=1),
       shuffle=st.randoms(use_true_random=False))
def test_quarantine_does_not_depend_on_order(picks: list[tuple[int, float, str, str]], shuffle: object) -> None:
    def part(pick: tuple[int, float, str, str]) -> Quarantined:
        minute, price, reason, source = pick
        return Quarantined(rows([(JUNE + minute * MINUTE_MS, price, 1.0, 1.0, 1.0, 1.0)]),
                           np.array([reason]), np.array([source]))

    other = list(picks)
    shuffle.shuffle(other)  # type: ignore[attr-defined]
    one, two = united([part(pick) for pick in picks]), united([united([part(pick)]) for pick in other])
    assert one.rows.open_time.tolist() == two.rows.open_time.tolist()
    assert one.reasons.tolist() == two.reasons.tolist()
    assert one.sources.tolist() == two.sources.tolist()
    assert len(one) == len({(minute, str(price), reason) for minute, price, reason, _ in picks})
