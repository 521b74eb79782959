"""A day's costs: as set, or as measured at or before it, sealed with the run and never read anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execution_tapes import fills_of, quotes_of, week_of_metrics
from typer.testing import CliRunner

from daybook.core.errors import DataError, UsageError
from daybook.core.settings import Settings, load_settings
from daybook.core.time import parse_day, window_before
from daybook.execution import Costs, ExecutionMetrics, MeasuredCosts, Recordings, measure, write_metrics
from daybook.market import candle_store, synthetic_bars
from daybook.market.synthetic import synthetic_venue
from daybook.pipeline.begin import _require_sealed_inputs
from daybook.pipeline.cli import app
from daybook.pipeline.costs import cost_notices
from daybook.pipeline.day import Day
from daybook.pipeline.runner import RunRequest
from daybook.pipeline.seal import seal_run
from daybook.pipeline.steps.document import run_info
from daybook.pipeline.steps.findings import cost_warnings

DAY = "2026-01-15"
VENUE = synthetic_venue(7, "normal")


def settings_of(root: Path, **given: Any) -> Settings:
    places = {"data": root / "data", "runs": root / "runs", "symbols": "BTCUSDT", "history_days": 14}
    return load_settings({"costs": "measured", **places, **given}, environment={})


def metrics_of(date: str, spread_bps: float, venue: str = VENUE) -> ExecutionMetrics:
    quotes = quotes_of(np.full(5000, spread_bps), venue=venue)
    return measure("2024-01-08", Recordings(quotes=[quotes])).model_copy(update={"date": date})


def sealed_day(root: Path, settings: Settings) -> Day:
    return Day(root / "run", "00_score", seal_run(root / "run", RunRequest(DAY, settings), 1), settings)


def test_costs_are_as_set_unless_measured_ones_are_asked_for(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, costs="settings", spread_bps=3.0)
    write_metrics(settings.data, metrics_of("2026-01-10", 40.0))
    day = sealed_day(tmp_path, settings)
    assert day.costs == Costs(5.0, 3.0)
    assert not (day.folder / "inputs" / "execution_metrics.json").exists()
    assert cost_notices(day.costs, settings) == []
    assert load_settings({}, environment={}).costs == "settings"


def test_a_day_pays_what_was_measured_at_or_before_it_never_later(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for date, spread in (("2026-01-10", 4.0), (DAY, 6.0), ("2026-01-16", 90.0)):
        write_metrics(settings.data, metrics_of(date, spread))
    day = sealed_day(tmp_path, settings)
    assert isinstance(day.costs, MeasuredCosts)
    assert day.costs.document.date == DAY
    np.testing.assert_allclose(day.costs.half_spread(day.minute_bars["BTCUSDT"]), 3e-4)
    warnings = cost_warnings(day)
    assert warnings[0].message.startswith(
            f"fee 5 bps a side as set; spread and slippage as measured on {DAY}")
    told = {parameter.name: parameter for parameter in run_info(day).parameters}
    assert (told["costs"].value, told["costs"].default, told["costs"].changed) == ("measured", "settings", True)


def test_a_sealed_day_keeps_its_costs_when_they_are_measured_anew(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_metrics(settings.data, metrics_of("2026-01-10", 4.0))
    day = sealed_day(tmp_path, settings)
    write_metrics(settings.data, metrics_of("2026-01-10", 50.0))
    assert replace(day, opened=0.0).costs.spread_of("BTCUSDT") == pytest.approx(4.0)


def test_other_measured_costs_are_another_data_hash_and_a_changed_copy_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_metrics(settings.data, metrics_of("2026-01-10", 4.0))
    day = sealed_day(tmp_path, settings)
    as_set = seal_run(tmp_path / "set", RunRequest(DAY, settings_of(tmp_path, costs="settings")), 1)
    write_metrics(settings.data, metrics_of("2026-01-10", 5.0))
    other = seal_run(tmp_path / "other", RunRequest(DAY, settings), 1)
    assert len({day.sealed.data_hash, as_set.data_hash, other.data_hash}) == 3
    _require_sealed_inputs(day.folder, day.sealed)
    copy = day.folder / "inputs" / "execution_metrics.json"
    copy.write_bytes((tmp_path / "other" / "inputs" / "execution_metrics.json").read_bytes())
    with pytest.raises(DataError, match="changed since the run was sealed"):
        replace(day, opened=0.0).costs  # noqa: B018


def test_without_metrics_or_without_the_venue_the_day_does_not_begin(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(DataError, match=r"none dated at or before 2026-01-15.*daybook execution measure"):
        seal_run(tmp_path / "a", RunRequest(DAY, settings), 1)
    write_metrics(settings.data, metrics_of("2026-01-16", 4.0))
    with pytest.raises(DataError, match="oldest in force is of 2026-01-16"):
        seal_run(tmp_path / "b", RunRequest(DAY, settings), 1)
    write_metrics(settings.data, metrics_of("2026-01-10", 4.0, venue="kraken_spot"))
    with pytest.raises(DataError, match=rf"BTCUSDT on {VENUE} was not measured.*BTCUSDT on kraken_spot"):
        seal_run(tmp_path / "c", RunRequest(DAY, settings), 1)


def test_a_market_that_was_not_measured_pays_the_pool_and_the_report_says_so(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, symbols="BTCUSDT,ETHUSDT")
    write_metrics(settings.data, metrics_of("2026-01-10", 4.0))
    day = sealed_day(tmp_path, settings)
    assert day.costs.spread_of("ETHUSDT") == pytest.approx(4.0)
    assert any(notice.message.startswith("ETHUSDT: not measured") for notice in cost_warnings(day))


def test_a_day_whose_decisions_are_slower_than_the_latency_budget_pays_the_p90_of_slippage(tmp_path: Path) -> None:
    slipped = fills_of(np.random.default_rng(9).permutation(np.linspace(0.0, 3.0, 4000)), venue=VENUE)
    document = measure("2024-02-01", Recordings(quotes=[quotes_of(np.full(20_000, 4.0), venue=VENUE)], fills=[slipped]))
    write_metrics(tmp_path / "data", document.model_copy(update={"date": "2026-01-10"}))
    costs, warnings = {}, {}
    for decision_ms, budget_ms in ((500, 500), (501, 500), (501, 2000)):
        given = settings_of(tmp_path, decision_ms=decision_ms, latency_budget_ms=budget_ms)
        day = sealed_day(tmp_path / f"{decision_ms}-{budget_ms}", given)
        costs[decision_ms, budget_ms] = day.costs.side_cost(day.minute_bars["BTCUSDT"])
        warnings[decision_ms, budget_ms] = " ".join(notice.message for notice in cost_warnings(day))
    np.testing.assert_allclose(costs[500, 500], (2.0 + 1.5) * 1e-4, rtol=0.05)
    np.testing.assert_allclose(costs[501, 500], (2.0 + 2.7) * 1e-4, rtol=0.05)
    np.testing.assert_array_equal(costs[501, 2000], costs[500, 500])
    late = "a decision takes 501 ms, longer than the latency budget of 500 ms: fills pay the p90 of slippage"
    assert [late in text for text in warnings.values()] == [False, True, False]


@pytest.mark.parametrize(("given", "words"), [
    ({"decision_ms": -1}, "decision_ms = -1"), ({"latency_budget_ms": "soon"}, "latency_budget_ms = 'soon'"),
    ({"decision_ms": True}, "not numbers"), ({"decision_ms": 10, "costs": "settings"}, "costs = measured only"),
])
def test_times_that_are_none_or_that_nothing_would_read_are_refused(tmp_path: Path, given: dict[str, Any],
                                                                     words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings_of(tmp_path, **given)


def test_the_commands_measure_show_and_roll_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    quotes = quotes_of(np.full(3000, 4.0))
    folder = tmp_path / "data" / "quotes" / "binance_usdm"
    folder.mkdir(parents=True)
    columns = {name: getattr(quotes, name) for name in ("time_ms", "bid", "ask", "bid_size", "ask_size")}
    pq.write_table(pa.table(columns), folder / "BTCUSDT-quotes.parquet")
    run = CliRunner()
    for date in ("2024-01-02", "2024-01-03"):
        done = run.invoke(app, ["execution", "measure", "--data", "data", "--date", date])
        assert done.exit_code == 0, done.output
        assert "1 market measured from recorded quotes" in done.output
    shown = json.loads(run.invoke(app, ["execution", "show", "--data", "data", "--json"]).output)
    assert shown["date"] == "2024-01-03"
    assert shown["units"]["spread_bps"].startswith("bps of mid")
    back = run.invoke(app, ["execution", "rollback", "2024-01-02", "--data", "data"])
    assert back.output.strip() == "in force is 2024-01-02; withdrawn: 2024-01-03"
    assert "measured on 2024-01-02" in run.invoke(app, ["execution", "show", "--data", "data", "--sessions"]).output
    none = run.invoke(app, ["execution", "show", "--date", "2024-01-01", "--data", "data"])
    assert isinstance(none.exception, DataError)
    empty = run.invoke(app, ["execution", "measure", "--data", "nowhere", "--date", "2024-01-02"])
    assert isinstance(empty.exception, DataError) and "nothing was recorded" in str(empty.exception)


def test_stored_candles_are_estimated_by_the_command(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, costs="settings")
    sealed_day(tmp_path, settings)  # brings the built-in market's candles into the store
    from daybook.pipeline.commands.execution import recordings

    given = recordings(settings, DAY, None, None, None)
    assert [bars.name for bars in given.bars] == ["BTCUSDT 1m"]
    write_metrics(settings.data, measure(DAY, given))
    day = sealed_day(tmp_path / "again", settings_of(tmp_path))
    cost = day.costs.side_cost(day.minute_bars["BTCUSDT"])
    assert np.isfinite(cost).all() and (cost > 0).all() and cost.max() < 0.01
    assert any("estimated from candles" in notice.message for notice in cost_warnings(day))


def test_every_stored_market_is_estimated_with_what_was_known_by_the_date(tmp_path: Path) -> None:
    from daybook.market.rows import rows_of
    from daybook.market.store import SourceRows
    from daybook.pipeline.commands.execution import recordings

    settings = settings_of(tmp_path, costs="settings")
    store = candle_store(settings.data)
    window = window_before(parse_day(DAY), 2)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        store.write_bars(synthetic_bars(symbol, window, seed=7))
    before = measure(DAY, recordings(settings, DAY, None, None, None))
    assert {market.symbol for market in before.markets} == {"*", "BTCUSDT", "ETHUSDT"}, "not the settings' symbols only"
    bars = store.read(VENUE, "ETHUSDT").rows(100, 200)
    wider = replace(bars, high=bars.high * 1.1, low=bars.low / 1.1)
    counts = store.write(VENUE, "ETHUSDT", [SourceRows("later", rows_of(wider, 60_000))], known_at=window.end_ms + 1)
    assert counts[0].revised == 100
    assert measure(DAY, recordings(settings, DAY, None, None, None)).identity == before.identity
    assert measure("2026-01-16", recordings(settings, "2026-01-16", None, None, None)).data_hash != before.data_hash


def test_tables_name_what_each_figure_rests_on() -> None:
    from daybook.execution.tables import hour_table, market_table, session_table

    week = week_of_metrics()
    assert market_table(week)["market"].tolist() == ["BTCUSDT on binance_usdm"]
    assert len(market_table(week, pools=True)) == 2
    sessions = session_table(week)
    assert set(sessions["session"]) == {"tokyo", "london", "new_york", "off", "weekend"}
    assert (sessions["n"] > 0).all()
    assert hour_table(week)["hour"].tolist() == list(range(24))
    assert market_table(week)["spread_p999"].iloc[0] == pytest.approx(12.0)
    assert market_table(week)["latency_p50"].iloc[0] is None
