"""Nulls in the ranking: counted by the order of the pools, and compared with what chance would allow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.rank import Contestant, contest, ranked
from daybook.rank.tournament import at_least, at_most


def entrants(scores: list[float | None], nulls: list[float | None]) -> list[Contestant]:
    return [Contestant(identity=f"{kind}{n}", name="n", score=value, null=kind == "null-")
            for kind, values in (("s", scores), ("null-", nulls)) for n, value in enumerate(values)]


def test_nulls_among_the_first_places_are_counted():
    found = contest(entrants([90.0, 80.0, 40.0, 30.0], [85.0, 35.0, 10.0, 5.0]), 3)
    assert (found.places, found.nulls, found.others, found.reached, found.best_null_rank) == (3, 4, 4, 1, 2)
    assert found.expected == 1.5


def test_an_undefined_score_reaches_nothing():
    found = contest(entrants([None, 20.0], [None, None]), 20)
    assert (found.places, found.reached, found.best_null_rank) == (2, 0, None)


def test_ties_are_broken_as_in_the_pools():
    assert [one.identity for one in ranked(entrants([50.0], [50.0]))] == ["null-0", "s0"]


def test_an_empty_side_gives_no_expectation_and_says_why():
    assert contest([], 20).reason == "nobody competes"
    assert contest(entrants([50.0], []), 20).reason == "there is no null contestant"
    only = contest(entrants([], [50.0]), 20)
    assert (only.reason, only.expected, only.chance, only.places) == ("only nulls compete", None, None, 0)
    assert only.chance_above is None


@given(st.integers(0, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 6))
def test_chance_is_the_share_of_all_orders(found, marked, others, drawn):
    total = marked + others
    drawn, found = min(drawn, total), min(found, drawn)
    rows = list(itertools.combinations(range(total), drawn))
    share = sum(sum(place < marked for place in row) <= found for row in rows) / len(rows)
    assert at_most(found, drawn, marked, total) == pytest.approx(share)
    above = sum(sum(place < marked for place in row) >= found for row in rows) / len(rows)
    assert at_least(found, drawn, marked, total) == pytest.approx(above)


def test_both_tails_are_those_of_the_hypergeometric_distribution():
    """13 of 28 nulls among the first 14 of 42, as a real day had it, beside an independent library."""
    from scipy.stats import hypergeom

    found = contest(entrants([50.5, *[1.0] * 13], [60.0] * 12 + [50.0] + [0.5] * 15), 14)
    assert (found.reached, found.expected) == (13, pytest.approx(28 / 3))
    assert found.chance == pytest.approx(hypergeom.cdf(13, 42, 28, 14))
    assert found.chance_above == pytest.approx(hypergeom.sf(12, 42, 28, 14)) == pytest.approx(0.0107, abs=5e-5)


def test_a_tournament_of_nobodies_lets_in_as_many_nulls_as_expected():
    rng = np.random.default_rng(5)
    reached = [contest(entrants(list(rng.uniform(0, 100, 23)), list(rng.uniform(0, 100, 46))), 20) for _ in range(400)]
    mean = float(np.mean([one.reached for one in reached]))
    assert mean == pytest.approx(reached[0].expected, abs=4 * math.sqrt(20 / 3 * 2 / 3 / 400) * 1.5)
    below = np.mean([one.chance <= 0.1 for one in reached])
    assert below <= 0.13
    assert np.mean([one.chance_above <= 0.1 for one in reached]) <= 0.13
