"""Latency and funding of a day: set or sealed once, met by every simulation, told where they are missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daybook.backtest import Conditions, sweep
from daybook.core.errors import DataError
from daybook.core.settings import Settings, load_settings
from daybook.core.time import HOUR_MS, Window, parse_day, window_before
from daybook.market import Bars, FundingRates, candle_store, funding_store, import_candles, synthetic_bars
from daybook.market.funding_files import import_funding
from daybook.pipeline.data_versions import _run_notes, _sealed
from daybook.pipeline.day import Day
from daybook.pipeline.null_contestants import null_contestants
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.screening import Screened, screen
from daybook.pipeline.seal import seal_run
from daybook.pipeline.steps.curves import buy_and_hold
from daybook.pipeline.steps.findings import cost_warnings
from daybook.pipeline.steps.stress import stressed_candidates
from daybook.pipeline.steps.train import train_request
from daybook.rank import PoolMember
from daybook.strategy import Strategy, parse_spec

DAY = "2023-08-17"
HISTORY = window_before(parse_day(DAY), 14)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")


def settings_of(root: Path, **given: Any) -> Settings:
    places = {"data": root / "data", "runs": root / "runs", "source": "files", "symbols": "BTCUSDT", "history_days": 14}
    return load_settings({**places, **given}, environment={})


def stored(root: Path, venue: str, symbols: tuple[str, ...] = ("BTCUSDT",)) -> None:
    for symbol in symbols:
        bars = synthetic_bars(symbol, HISTORY, seed=1)
        columns = [np.array(getattr(bars, name)) for name in ("open_time", "open", "high", "low", "close", "volume")]
        candle_store(root / "data").write_bars(Bars(venue, symbol, "1m", *columns))


def settle(root: Path, rate: float, symbol: str = "BTCUSDT", without: tuple[int, ...] = ()) -> None:
    """Settlements at every eight hours of the history, two days before and two after it, but the numbered ones."""
    numbers = np.delete(np.arange(-6, 14 * 3 + 6), [number + 6 for number in without])
    times = HISTORY.start_ms + 8 * HOUR_MS * numbers + 13
    funding_store(root / "data").write("binance_usdm", symbol, FundingRates(times, np.full(times.size, rate)))


def opened(settings: Settings, folder: Path) -> Day:
    return Day(folder, "20_backtest", seal_run(folder, RunRequest(DAY, settings), 1), settings)


def holder() -> Strategy:
    """Long from the first bar to the last, on hourly bars."""
    return parse_spec({"name": "holder", "timeframes": ["60m"], "long_entry": "close > 0", "long_exit": "close < 0"})


def fader() -> Strategy:
    return parse_spec({"name": "fader", "timeframes": ["5m"], "long_entry": "zscore(close, 24) < -1",
                       "short_entry": "zscore(close, 24) > 1"})


def member(day: Day, strategy: Strategy, found: Screened) -> PoolMember:
    return PoolMember(
        kind="strategy", identity=strategy.identity, structure_hash=strategy.structure_hash, name=strategy.name,
        spec=strategy.canonical, params={}, timeframe=found.timeframe, birth_day=DAY, birth_ms=day.start_ms, parents=(),
        origin="test", score=None, score_reason="not scored", entered=DAY)


def test_latency_is_a_parameter_that_every_simulation_meets(tmp_path: Path) -> None:
    stored(tmp_path, "own_spot")
    prompt = opened(settings_of(tmp_path), tmp_path / "prompt")
    late = opened(settings_of(tmp_path, latency_bars=2), tmp_path / "late")
    assert prompt.conditions == Conditions()
    assert late.conditions == Conditions(latency_bars=2)
    assert prompt.sealed.data_hash == late.sealed.data_hash
    rows = {day.settings.latency_bars: screen(day, [fader()], day.window)[0] for day in (prompt, late)}
    wanted = sweep(fader(), late.bars["5m"]["BTCUSDT"], None, late.costs, late.window,
                   conditions=Conditions(latency_bars=2))
    assert rows[2].rows["total_return"].tolist() == wanted["total_return"].tolist()
    assert rows[2].rows["total_return"].tolist() != rows[0].rows["total_return"].tolist()
    nulls = [null_contestants(day, [fader()])[0].result for day in (prompt, late)]
    assert nulls[0] != nulls[1]
    (row,), _ = stressed_candidates_of(late, rows[2])
    assert row.total_return == pytest.approx(rows[2].blocks.sum())
    assert train_request(late).conditions == late.conditions


def stressed_candidates_of(day: Day, found: Screened) -> Any:
    """Robustness of one candidate on a first day, which has no incumbents."""
    import pandas as pd

    blocks = pd.DataFrame({"identity": [], "time_ms": [], "block_return": []})
    replace(day, step="00_score").write("blocks", blocks)
    return stressed_candidates(day, [(member(day, found.strategy, found), found)])


def test_spot_and_the_built_in_market_know_no_funding(tmp_path: Path) -> None:
    stored(tmp_path, "own_spot")
    days = [opened(settings_of(tmp_path), tmp_path / "spot"),
            opened(settings_of(tmp_path, source="synthetic"), tmp_path / "synthetic")]
    for day in days:
        assert day.conditions == Conditions()
        assert "funding" not in day.inputs
        assert not (day.folder / "inputs" / "funding.json").exists()
        assert not cost_warnings(day)


def test_a_perpetual_pays_what_was_settled_inside_the_days_history_and_nothing_later(tmp_path: Path) -> None:
    stored(tmp_path, "binance_usdm")
    settle(tmp_path, 1e-3)
    day = opened(settings_of(tmp_path), tmp_path / "run")
    assert day.inputs["funding"]["settlements"] == {"BTCUSDT": 42}
    assert day.conditions.funding["BTCUSDT"].funding_time.max() < day.start_ms  # type: ignore[index]
    free = replace(day, folder=tmp_path / "free", opened=0.0)
    free.__dict__["inputs"] = {key: value for key, value in day.inputs.items() if key != "funding"}
    found, without = screen(day, [holder()], day.window)[0], screen(free, [holder()], day.window)[0]
    bars = day.bars["60m"]["BTCUSDT"].within(day.window)
    before = bars.close[7:-1:8][:20] / (bars.open[1] * (1.0 + float(day.costs.side_cost(bars)[1])))
    assert without.rows["total_return"].item() - found.rows["total_return"].item() == pytest.approx(1e-3 * before.sum())
    held = buy_and_hold(free).equity[-1] - buy_and_hold(day).equity[-1]
    assert held == pytest.approx(1e-3 * before.sum(), rel=0.02)
    assert not cost_warnings(day)


@pytest.mark.parametrize(("without", "words"), [
    (tuple(range(-6, 48)), "no settlements are stored from 2023-08-03 00:00"),
    ((5, 6), "none is stored between 2023-08-04 08:00 UTC and 2023-08-05 08:00 UTC"),
    ((0, 1), "2023-08-03 00:00"), ((41,), "2023-08-17 00:00"),
])
def test_funding_that_is_missing_is_told_and_never_a_silent_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without: tuple[int, ...], words: str
) -> None:
    stored(tmp_path, "binance_usdm", ("BTCUSDT", "ETHUSDT"))
    settle(tmp_path, 1e-3, without=without)
    settle(tmp_path, 1e-3, "ETHUSDT")
    settings = settings_of(tmp_path, symbols="BTCUSDT,ETHUSDT")
    day = opened(settings, tmp_path / "run")
    (notice,) = cost_warnings(day)
    assert notice.severity == "warning"
    assert notice.message.startswith("funding is not charged for BTCUSDT on binance_usdm: ")
    assert words in notice.message
    assert "daybook candles download --funding --venue binance_usdm" in notice.message
    assert notice.message in capsys.readouterr().err
    assert len(screen(day, [holder()], day.window)[0].rows) == 2
    assert day.conditions.funding["BTCUSDT"] is None  # type: ignore[index]


def test_a_sealed_day_keeps_its_funding_and_other_settlements_are_other_inputs(tmp_path: Path) -> None:
    stored(tmp_path, "binance_usdm")
    bare = opened(settings_of(tmp_path), tmp_path / "bare")
    settle(tmp_path, 1e-3)
    day = opened(settings_of(tmp_path), tmp_path / "run")
    again = opened(settings_of(tmp_path), tmp_path / "again")
    assert (day.folder / "inputs" / "funding.json").read_bytes() == (
        again.folder / "inputs" / "funding.json").read_bytes()
    next((tmp_path / "data" / "funding").rglob("rates.parquet")).unlink()
    settle(tmp_path, 2e-3)
    other = opened(settings_of(tmp_path), tmp_path / "other")
    assert len({bare.sealed.data_hash, day.sealed.data_hash, other.sealed.data_hash}) == 3
    assert day.sealed.data_hash == again.sealed.data_hash
    assert set(day.conditions.funding["BTCUSDT"].funding_rate) == {1e-3}  # type: ignore[index]
    versions = [_sealed(one.folder, one.folder.name) for one in (bare, day, other)]
    assert _run_notes(versions[:2])[0].startswith("the funding differs: settlements ")
    assert _run_notes(versions[1:])[0].count("settlements") == 2
    assert not _run_notes([versions[1], versions[1]])
    copy = again.folder / "inputs" / "funding.json"
    copy.write_bytes((other.folder / "inputs" / "funding.json").read_bytes())
    with pytest.raises(DataError, match="changed since the run was sealed"):
        again.conditions  # noqa: B018


@pytest.mark.shared
def test_a_recorded_perpetual_day_pays_its_recorded_funding(shared_data: Path, tmp_path: Path) -> None:
    """BTC, ETH and BNB on Binance USD-M, 2023-08-03 to 2023-08-17: screening, nulls and robustness all pay."""
    data = tmp_path / "data"
    candles = shared_data / "candles" / "binance_usdm" / "1m"
    for symbol in SYMBOLS:
        import_candles(candles / f"{symbol}_2023-07-18_2023-08-17.parquet", candle_store(data), venue="binance_usdm")
    settings = settings_of(tmp_path, symbols=",".join(SYMBOLS))
    free = opened(settings, tmp_path / "free")
    assert len(cost_warnings(free)) == 3
    import_funding(shared_data / "funding", funding_store(data), "binance_usdm")
    paying = opened(settings, tmp_path / "paying")
    assert not cost_warnings(paying)
    assert paying.inputs["funding"]["settlements"] == dict.fromkeys(SYMBOLS, 42)
    found, without = screen(paying, [holder()], paying.window)[0], screen(free, [holder()], free.window)[0]
    window = Window(paying.window.start_ms + HOUR_MS, paying.window.end_ms)
    wanted = [funding_store(data).read("binance_usdm", symbol, window).funding_rate.sum() for symbol in SYMBOLS]
    paid = without.rows["total_return"].to_numpy() - found.rows["total_return"].to_numpy()
    np.testing.assert_allclose(paid, wanted, rtol=0.1, atol=1e-5)
    assert np.abs(paid).min() > 1e-5
    fades = [screen(day, [fader()], day.window)[0] for day in (paying, free)]
    assert fades[0].blocks.sum() != fades[1].blocks.sum()
    nulls = [null_contestants(day, [fader()]) for day in (paying, free)]
    assert all(a.blocks.sum() != b.blocks.sum() for a, b in zip(*nulls, strict=True))
    robust = [stressed_candidates_of(day, one)[0][0] for day, one in zip((paying, free), fades, strict=True)]
    assert robust[0].total_return == pytest.approx(fades[0].blocks.sum())
    assert robust[1].total_return == pytest.approx(fades[1].blocks.sum())
