"""Snapshots name the exact rows of the store, keep them, and give them back byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import JULY, JUNE, candle, minutes, rows, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import DataError, UsageError
from daybook.core.time import MINUTE_MS, Window
from daybook.market import CandleStore, candle_store
from daybook.market.row_difference import row_difference
from daybook.market.rows import CandleRows
from daybook.market.snapshots import Snapshots
from daybook.market.store import SourceRows

MARKET = ("binance_spot", "BTCUSDT")


def written(store: CandleStore, candles: list[tuple[int, float, float, float, float, float]],
            known_at: int | None = None) -> None:
    store.write(*MARKET, [SourceRows("tape", rows(candles))], known_at=known_at)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    written(candle_store(tmp_path), minutes(10) + minutes(5, JULY))
    return Snapshots(tmp_path)


def test_a_snapshot_names_rows_extent_and_revisions_of_every_month(snapshots: Snapshots) -> None:
    written(snapshots.store, [candle(JUNE, 200.0)], known_at=JULY)
    taken = snapshots.take("first", JULY)
    assert [(month.month, month.rows, month.revisions) for month in taken.months] == [("2023-06", 10, 1),
                                                                                      ("2023-07", 5, 0)]
    assert (taken.months[0].first_ms, taken.months[0].last_ms) == (JUNE, JUNE + 9 * MINUTE_MS)
    assert snapshots.load("first") == taken
    assert snapshots.names() == ("first",)


def test_equal_rows_have_one_identity_whatever_they_are_called(snapshots: Snapshots) -> None:
    first, second = snapshots.take("first", 1), snapshots.take("second", 2)
    assert first.identity == second.identity
    written(snapshots.store, [candle(JULY + 7 * MINUTE_MS)])
    assert snapshots.take("third", 3).identity != first.identity


def test_what_was_kept_survives_later_writes_and_takes_no_room_before(snapshots: Snapshots, tmp_path: Path) -> None:
    before = snapshots.store.read(*MARKET)
    snapshots.take("first", 1)
    kept = sorted((tmp_path / "snapshots" / "files").iterdir())
    months = sorted((tmp_path / "candles").glob("venue=*/symbol=*/month=*/bars.parquet"))
    assert {path.stat().st_ino for path in kept} == {path.stat().st_ino for path in months}
    written(snapshots.store, [candle(JUNE, 200.0), candle(JUNE + 20 * MINUTE_MS)], known_at=JULY)
    window = Window(JUNE, JULY + 10 * MINUTE_MS)
    then, now = (snapshots.version(name).bars(*MARKET, window) for name in ("first", "now"))
    assert then is not None and now is not None
    assert then.data_hash == before.data_hash
    assert (now.open[0], len(now)) == (200.0, len(before) + 1)


def test_a_version_undoes_revisions_that_came_after_the_window(snapshots: Snapshots) -> None:
    written(snapshots.store, [candle(JUNE, 200.0)], known_at=JULY)
    for name in ("first", "now"):
        if name == "first":
            snapshots.take(name, JULY)
        early = snapshots.version(name).bars(*MARKET, Window(JUNE, JUNE + 10 * MINUTE_MS))
        late = snapshots.version(name).bars(*MARKET, Window(JUNE, JULY + MINUTE_MS))
        assert early is not None and late is not None
        assert (early.open[0], late.open[0]) == (100.0, 200.0)


def test_a_restored_snapshot_is_the_store_of_then(snapshots: Snapshots, tmp_path: Path) -> None:
    written(snapshots.store, [candle(JUNE, 200.0)], known_at=JULY)
    before = tree(snapshots.store.root)
    snapshots.take("first", 1)
    written(snapshots.store, [candle(JUNE + MINUTE_MS, 300.0)], known_at=JULY + 1)
    assert tree(snapshots.store.root) != before
    assert snapshots.restore("first", tmp_path / "then") == 2
    assert tree(tmp_path / "then" / "candles") == before
    written(candle_store(tmp_path / "then"), [candle(JUNE + 2 * MINUTE_MS, 400.0)], known_at=JULY + 2)
    assert snapshots.version("first").rows((*MARKET, "2023-06")) is not None, "nothing shared"
    with pytest.raises(UsageError, match="holds something already"):
        snapshots.restore("first", tmp_path / "then")


@pytest.mark.parametrize("name", ["", "now", "2023-06-01", "../x", "a/b", "Capital", "x" * 65, ".hidden"])
def test_names_that_are_no_names_are_refused(snapshots: Snapshots, name: str) -> None:
    with pytest.raises(UsageError, match="allowed are 1 to 64"):
        snapshots.take(name, 1)


def test_a_snapshot_is_never_overwritten_and_a_missing_one_is_told_with_those_there_are(snapshots: Snapshots) -> None:
    snapshots.take("first", 1)
    with pytest.raises(UsageError, match="exists already"):
        snapshots.take("first", 2)
    with pytest.raises(DataError, match=r"other: not found.*There are: first"):
        snapshots.load("other")


def test_an_empty_store_has_nothing_to_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty"):
        Snapshots(tmp_path).take("first", 1)
    assert Snapshots(tmp_path).names() == ()


def test_damaged_and_foreign_files_are_named(snapshots: Snapshots, tmp_path: Path) -> None:
    snapshots.take("first", 1)
    file = tmp_path / "snapshots" / "first.json"
    good = json.loads(file.read_text())
    file.write_text(json.dumps(good | {"schema_version": 2}))
    with pytest.raises(DataError, match=r"no snapshot of this version of Daybook.*schema_version"):
        snapshots.load("first")
    file.write_text("{")
    with pytest.raises(DataError, match="not a JSON file"):
        snapshots.load("first")
    file.write_text(json.dumps(good))
    kept = tmp_path / "snapshots" / "files" / f"{good['months'][0]['file']}.parquet"
    kept.unlink()
    kept.write_bytes(b"other bytes")
    with pytest.raises(DataError, match="changed since snapshot first was taken"):
        snapshots.version("first").rows((*MARKET, "2023-06"))
    kept.unlink()
    assert snapshots.version("first").rows((*MARKET, "2023-06")) is None
    with pytest.raises(DataError, match="missing, BTCUSDT 2023-06 can not be restored"):
        snapshots.restore("first", tmp_path / "then")


@pytest.mark.parametrize(("field", "value"), [("symbol", "../../../out"), ("venue", ".."), ("venue", "/out")])
def test_a_snapshot_whose_market_is_no_name_is_never_laid_out(
    snapshots: Snapshots, tmp_path: Path, field: str, value: str
) -> None:
    snapshots.take("first", 1)
    file = tmp_path / "snapshots" / "first.json"
    good = json.loads(file.read_text())
    file.write_text(json.dumps(good | {"months": [good["months"][0] | {field: value}]}))
    with pytest.raises(DataError, match=f"{field}: found"):
        snapshots.restore("first", tmp_path / "there" / "then")
    assert not (tmp_path / "there").exists()


@given(old=st.dictionaries(st.integers(0, 30), st.integers(1, 3)),
       new=st.dictionaries(st.integers(0, 30), st.integers(1, 3)))
@settings(max_examples=100, deadline=None)
def test_a_difference_is_what_two_dictionaries_say(old: dict[int, int], new: dict[int, int]) -> None:
    def table(prices: dict[int, int]) -> CandleRows:
        return rows([candle(JUNE + minute * MINUTE_MS, 100.0 * price) for minute, price in sorted(prices.items())])

    found = row_difference(table(old), table(new))
    both = [at for at in sorted(old.keys() & new.keys()) if old[at] != new[at]]
    minutes_found = [((times - JUNE) // MINUTE_MS).tolist() for times in (found.added, found.removed, found.changed)]
    assert minutes_found == [sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys()), both]
    assert bool(found) == (old != new)
    assert [values["open"] for _, values in found.examples(99)] == [(100.0 * old[at], 100.0 * new[at]) for at in both]


def test_a_close_time_alone_is_a_difference() -> None:
    one = rows(minutes(3))
    other = rows(minutes(3), close_times=(one.close_time - np.array([0, 18_354, 0])).tolist())
    assert row_difference(one, other).examples(1) == [
        (JUNE + MINUTE_MS, {"close_time": (JUNE + 2 * MINUTE_MS, JUNE + 2 * MINUTE_MS - 18_354)})]
