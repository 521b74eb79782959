"""What a run may start from: one venue, enough of the newest day, settings that fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.core.store import Store
from daybook.core.time import HOUR_MS, Window, parse_day, window_before
from daybook.market import Bars, candle_store, synthetic_bars
from daybook.pipeline import seal
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.seal import refresh_candles, seal_run
from daybook.rank import store_schema

DAY = "2026-01-15"


def settings_of(root: Path, **given: Any) -> Settings:
    places = {"data": root / "data", "runs": root / "runs", "symbols": "BTCUSDT", "history_days": 21}
    return load_settings({**places, **given}, environment={})


def stored(root: Path, hours_missing: int = 0) -> None:
    """21 days of candles of a venue of our own that end so many hours early."""
    history = window_before(parse_day(DAY), 21)
    window = Window(history.start_ms, history.end_ms - hours_missing * HOUR_MS)
    bars = synthetic_bars("BTCUSDT", window, seed=1)
    columns = [np.array(getattr(bars, name)) for name in ("open_time", "open", "high", "low", "close", "volume")]
    candle_store(root / "data").write_bars(Bars("own", "BTCUSDT", "1m", *columns))


def test_the_label_follows_the_bars_and_not_what_they_were_asked_for_as(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    sealed = seal_run(tmp_path / "run", RunRequest(DAY, settings), 1)
    assert sealed.synthetic_label == "built-in synthetic market"
    with pytest.raises(DataError, match=r"venue|store"):
        refresh_candles(settings_of(tmp_path, source="files"), window_before(parse_day(DAY), 21))
    named = settings_of(tmp_path, source="files", venue="synthetic-normal-7")
    with pytest.raises(UsageError, match="built-in market"):
        refresh_candles(named, window_before(parse_day(DAY), 21))


def test_own_candles_are_found_beside_the_built_in_ones(tmp_path: Path) -> None:
    seal_run(tmp_path / "run", RunRequest(DAY, settings_of(tmp_path)), 1)
    stored(tmp_path)
    sealed = seal_run(tmp_path / "other", RunRequest(DAY, settings_of(tmp_path, source="files")), 1)
    assert sealed.synthetic_label is None


@pytest.mark.parametrize(("hours", "stops"), [(0, False), (2, False), (3, True), (8, True)])
def test_a_feed_that_ends_early_stops_the_day(tmp_path: Path, hours: int, stops: bool) -> None:
    stored(tmp_path, hours)
    request = RunRequest(DAY, settings_of(tmp_path, source="files"))
    if stops:
        with pytest.raises(DataError, match="max_missing"):
            seal_run(tmp_path / "run", request, 1)
    else:
        assert seal_run(tmp_path / "run", request, 1).official


def test_pools_of_one_venue_do_not_carry_over_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, store_schema())
    monkeypatch.setattr(Store, "read", lambda self, function: "synthetic-planted-7")
    with pytest.raises(DataError, match="synthetic-planted-7"):
        seal._require_same_venue(store, "2026-01-14", "binance_spot")
    seal._require_same_venue(store, "2026-01-14", "synthetic-planted-7")
    seal._require_same_venue(store, None, "binance_spot")


def test_changed_settings_are_those_that_differ_from_the_defaults(tmp_path: Path) -> None:
    sealed = seal_run(tmp_path / "run", RunRequest(DAY, settings_of(tmp_path, seed=9, fee_bps=1.0)), 1)
    assert sealed.changed_parameters == ["fee_bps", "history_days", "seed", "symbols"]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"candles": "somewhere"}, "--source files"), ({"venue": "own"}, "--source files"),
     ({"window_days": 21}, "history_days = 21 must be at least")],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings_of(tmp_path, **given)


