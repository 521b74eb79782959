"""The leak check on series of any kind: it names the first value that knew of later bars, and cries over no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.features.causality import corrupted, first_leak
from daybook.market.bars import Bars


def market(count: int = 120) -> Bars:
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    times = 1_700_000_040_000 + 60_000 * np.arange(count, dtype=np.int64)
    volume = rng.lognormal(0.0, 1.0, count)
    return Bars("test", "BTCUSDT", "1m", times, close, close * 1.01, close * 0.99, close, volume)


BARS = market()


def ahead(steps: int):
    return lambda bars: np.append(bars.close[steps:], np.full(min(steps, len(bars)), np.nan))[:len(bars)]


@settings(max_examples=60, deadline=None)
@given(steps=st.integers(1, 20), cut=st.integers(30, 119))
def test_a_series_that_is_known_too_early_is_found_where_it_first_looks_ahead(steps: int, cut: int) -> None:
    leak = first_leak(ahead(steps), BARS, [cut])
    assert leak is not None
    assert (leak.cut, leak.position) == (cut, cut - steps)
    assert leak.time_ms == BARS.open_time[cut - steps]


@settings(max_examples=60, deadline=None)
@given(delay=st.integers(0, 20), cut=st.integers(1, 119))
def test_a_series_of_the_past_passes_at_every_cut(delay: int, cut: int) -> None:
    def past(bars: Bars) -> np.ndarray:
        return np.append(np.full(delay, np.nan), bars.close)[:len(bars)]

    assert first_leak(past, BARS, [cut]) is None


@pytest.mark.parametrize("leaking", [
    lambda bars: bars.close - bars.close.mean(),
    lambda bars: np.full(len(bars), float(len(bars))),
    lambda bars: (bars.close > np.median(bars.close)).astype(np.uint8),
    lambda bars: np.where(np.arange(len(bars)) == 4, np.nan if len(bars) > 50 else 1.0, 2.0),
])
def test_whatever_knows_the_sample_is_found(leaking) -> None:
    assert first_leak(leaking, BARS, [40, 90]) is not None


def test_a_series_that_knows_of_a_halt_to_come_is_found_at_any_cut() -> None:
    leak = first_leak(lambda bars: np.append(np.diff(bars.open_time) > 60_000, False), BARS, [57])
    assert leak is not None
    assert (leak.position, leak.way) == (56, "moved")


def test_a_series_that_knows_whether_the_next_bar_trades_is_found_where_none_did() -> None:
    still = replace(BARS, volume=np.where(np.arange(len(BARS)) >= 50, 0.0, BARS.volume))
    leak = first_leak(lambda bars: np.append(bars.volume[1:] > 0.0, False), still, [70])
    assert leak is not None
    assert leak.position == 69


def test_a_leak_that_shows_only_in_values_is_found_by_spoilt_bars() -> None:
    highest = float(BARS.close.max())
    leak = first_leak(lambda bars: bars.volume * (bars.close.max() > 1.5 * highest), BARS, [60])
    assert leak is not None
    assert leak.way == "spoilt"


def test_bars_before_the_cut_are_left_as_they_were() -> None:
    spoilt = corrupted(BARS, int(BARS.open_time[70]))
    np.testing.assert_array_equal(spoilt.close[:70], BARS.close[:70])
    assert not np.any(spoilt.close[70:] == BARS.close[70:])
    assert BARS.data_hash == market().data_hash
