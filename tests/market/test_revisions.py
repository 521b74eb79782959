"""The same bar downloaded again with other values: both kept, known_at set, past days see what was known then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from candle_tapes import JULY, JUNE, candle, minutes, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import DataError
from daybook.core.time import MINUTE_MS, Window
from daybook.market import CandleStore, read_bars
from daybook.market.store import SourceRows, WriteCounts

MARKET = ("binance_spot", "BTCUSDT")
FIRST, SECOND = JULY + 1000, JULY + 2000
"""When the first and second revision came to be known."""


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    made = CandleStore(tmp_path / "candles")
    made.write(*MARKET, [SourceRows("first download", rows(minutes(10)))], known_at=JUNE + 10 * MINUTE_MS)
    return made


def again(store: CandleStore, price: float, known_at: int, minute: int = 3) -> WriteCounts:
    """The bar of one minute, downloaded again around another price."""
    arriving = rows([candle(JUNE + minute * MINUTE_MS, price)])
    return store.write(*MARKET, [SourceRows("later download", arriving)], known_at=known_at)[0]


def content(store: CandleStore) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in sorted(store.root.rglob("*.parquet"))}


def test_the_newest_value_is_stored_with_the_time_it_became_known(store: CandleStore) -> None:
    counts = again(store, 200.0, FIRST)
    assert counts == WriteCounts(rows=1, new=0, duplicates=0, conflicts=0, quarantined=0, revised=1)
    assert store.read(*MARKET).open[3] == 200.0
    table = pq.read_table(next(store.root.glob("venue=*/symbol=*/month=*/bars.parquet")), partitioning=None)
    assert table["known_at"].to_pylist() == [None] * 3 + [FIRST] + [None] * 6


def test_both_values_are_kept(store: CandleStore) -> None:
    again(store, 200.0, FIRST)
    again(store, 300.0, SECOND)
    found = store.revisions(*MARKET)
    assert found.old.open.tolist() == [103.0, 200.0]
    assert found.new.open.tolist() == [200.0, 300.0]
    assert found.known_at.tolist() == [FIRST, SECOND]
    assert len(store.quarantined(*MARKET)) == 0


def test_a_past_day_sees_what_was_known_then(store: CandleStore) -> None:
    before = store.read(*MARKET).data_hash
    again(store, 200.0, FIRST)
    middle = store.read(*MARKET).data_hash
    again(store, 300.0, SECOND)
    hashes = [store.read(*MARKET, known_before=moment).data_hash
              for moment in (JUNE, FIRST - 1, FIRST, SECOND - 1, SECOND)]
    assert hashes == [before, before, middle, middle, store.read(*MARKET).data_hash]
    assert len(set(hashes)) == 3


def test_bars_of_a_window_are_those_known_at_its_end(tmp_path: Path, store: CandleStore) -> None:
    again(store, 200.0, FIRST)
    data = tmp_path
    early = read_bars(data, "BTCUSDT", "1m", Window(JUNE, FIRST - 1000), venue="binance_spot")
    late = read_bars(data, "BTCUSDT", "1m", Window(JUNE, FIRST + MINUTE_MS), venue="binance_spot")
    assert (early.open[3], late.open[3]) == (103.0, 200.0)
    five = read_bars(data, "BTCUSDT", "5m", Window(JUNE, FIRST - 1000), venue="binance_spot")
    assert five.high[0] == early.high[:5].max()


def test_the_same_revision_again_changes_no_byte(store: CandleStore) -> None:
    again(store, 200.0, FIRST)
    before = content(store)
    assert again(store, 200.0, SECOND).duplicates == 1
    assert content(store) == before


def test_a_later_write_to_the_month_keeps_known_at(store: CandleStore) -> None:
    again(store, 200.0, FIRST, minute=1)
    again(store, 200.0, FIRST)
    again(store, 300.0, SECOND)
    store.write(*MARKET, [SourceRows("file", rows([candle(JUNE + 60 * MINUTE_MS)]))])
    table = pq.read_table(next(store.root.glob("venue=*/symbol=*/month=*/bars.parquet")), partitioning=None)
    assert table["known_at"].to_pylist()[:4] == [None, FIRST, None, SECOND]
    assert table["known_at"].null_count == 9


def test_a_crash_between_the_two_files_loses_neither_value(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr("daybook.market.store.write_month", crash)
        with pytest.raises(OSError, match="power cut"):
            again(store, 200.0, FIRST)
    assert store.read(*MARKET).open[3] == 103.0
    assert again(store, 200.0, SECOND).revised == 1
    assert store.read(*MARKET).open[3] == 200.0
    assert [store.read(*MARKET, known_before=moment).open[3] for moment in (JUNE, SECOND - 1)] == [103.0, 103.0]


def test_a_file_import_revises_nothing(store: CandleStore) -> None:
    counts = store.write(*MARKET, [SourceRows("file", rows([candle(JUNE + 3 * MINUTE_MS, 200.0)]))])[0]
    assert (counts.conflicts, counts.revised) == (1, 0)
    assert store.read(*MARKET).open[3] == 103.0
    assert len(store.revisions(*MARKET)) == 0


def test_an_impossible_bar_revises_nothing(store: CandleStore) -> None:
    bad = replace(rows([candle(JUNE + 3 * MINUTE_MS, 200.0)]), high=np.array([1.0]))
    counts = store.write(*MARKET, [SourceRows("later", bad)], known_at=FIRST)[0]
    assert (counts.quarantined, counts.revised) == (1, 0)
    assert store.read(*MARKET).open[3] == 103.0


def test_of_two_versions_in_one_download_the_first_stands(store: CandleStore) -> None:
    at = JUNE + 3 * MINUTE_MS
    arriving = rows([candle(at, 200.0), candle(at, 300.0), candle(at, 200.0)])
    counts = store.write(*MARKET, [SourceRows("later", arriving)], known_at=FIRST)[0]
    assert (counts.revised, counts.conflicts) == (2, 1)
    assert store.read(*MARKET).open[3] == 200.0
    assert store.quarantined(*MARKET).rows.open.tolist() == [300.0]


def test_a_revised_bar_keeps_its_own_close_time(store: CandleStore) -> None:
    halted = rows([candle(JUNE + 3 * MINUTE_MS, 200.0)], [JUNE + 3 * MINUTE_MS + 41_647])
    store.write(*MARKET, [SourceRows("later", halted)], known_at=FIRST)
    assert store.rows(*MARKET).close_time[3] == JUNE + 3 * MINUTE_MS + 41_647
    assert store.rows(*MARKET, known_before=JUNE).close_time[3] == JUNE + 4 * MINUTE_MS


def test_revisions_of_a_window_lie_in_it(store: CandleStore) -> None:
    for minute in (2, 5, 7):
        again(store, 200.0, FIRST, minute)
    window = Window(JUNE + 5 * MINUTE_MS, JUNE + 7 * MINUTE_MS)
    assert store.revisions(*MARKET, window).old.open_time.tolist() == [JUNE + 5 * MINUTE_MS]
    assert store.read(*MARKET, window, known_before=JUNE).open.tolist() == [105.0, 106.0]


def test_a_damaged_file_of_revisions_is_named(store: CandleStore) -> None:
    again(store, 200.0, FIRST)
    path = next(store.root.glob("_revisions/venue=*/symbol=*/month=*/rows.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="_revisions"):
        store.read(*MARKET, known_before=JUNE)


def test_the_store_lists_no_market_for_its_revisions(store: CandleStore) -> None:
    again(store, 200.0, FIRST)
    assert [(one.venue, one.rows) for one in store.markets()] == [("binance_spot", 10)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 9), st.sampled_from([100.0, 200.0, 300.0]), max_size=5), max_size=5))
def test_every_past_state_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory,
                                                 downloads: list[dict[int, float]]) -> None:
    store = CandleStore(tmp_path_factory.mktemp("revisions"))
    store.write(*MARKET, [SourceRows("first", rows([candle(JUNE + n * MINUTE_MS) for n in range(10)]))])
    states = [(JULY - 1, store.read(*MARKET).open.tolist())]
    for number, bars in enumerate(downloads):
        arriving = rows([candle(JUNE + minute * MINUTE_MS, price) for minute, price in bars.items()])
        store.write(*MARKET, [SourceRows("later", arriving)], known_at=JULY + number)
        states.append((JULY + number, store.read(*MARKET).open.tolist()))
    for moment, expected in states:
        assert store.read(*MARKET, known_before=moment).open.tolist() == expected
