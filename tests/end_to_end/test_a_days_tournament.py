"""The tournament in days that were run: nulls, pointers, counts and records as the ledger and the report hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from days import Place

from daybook.rank import read_trials
from daybook.rank.twins import trading_twins

pytestmark = pytest.mark.slow
FIRST, SECOND = "2026-01-15/01", "2026-01-16/01"
MARKETS = 2


def artefacts(place: Place, run: str) -> Path:
    return place.runs / run / "artefacts"


def found(place: Place, run: str, step: str, name: str) -> Any:
    return json.loads((artefacts(place, run) / step / f"{name}.json").read_text())


def test_nulls_compete_in_every_day_and_none_is_in_a_pool(place: Place) -> None:
    for run, held in ((FIRST, 0), (SECOND, 20)):
        table = read_trials(artefacts(place, run) / "20_backtest" / "trials.parquet")
        nulls = table.filter([kind == "null" for kind in table["kind"].to_pylist()])
        members = {member["identity"] for member in found(place, run, "20_backtest", "members")}
        before = {m["identity"] for m in json.loads((place.runs / run / "inputs/state.json").read_text())
                  ["pools"]["strategy"]["members"]}
        copied = {json.loads(text)[0] for text in nulls["parents"].to_pylist()}
        assert len(before) == held
        assert copied == members | before
        assert nulls.num_rows == 2 * len(copied) * MARKETS
        pools = found(place, run, "40_rank_report", "outcome")["pools"]
        pooled = {member["identity"] for pool in pools for member in pool["members"]}
        assert not pooled & set(nulls["identity"].to_pylist())
        contest = place.report(run)["null_contests"][0]
        assert (contest["nulls"], contest["others"]) == (2 * len(copied), len(copied))


def test_every_simulated_trial_points_at_returns_that_add_up_to_what_it_earned(place: Place) -> None:
    for step in ("00_score", "10_design", "20_backtest", "30_train"):
        folder = artefacts(place, SECOND)
        table = read_trials(folder / step / "trials.parquet")
        kept = pq.read_table(folder / step / "trial_returns.parquet")["returns"].to_pylist()
        names = ("returns_at", "total_return", "returns_reason")
        rows = list(zip(*(table[name].to_pylist() for name in names), strict=True))
        pointed = [row for row in rows if row[0] is not None]
        assert [at for at, _, _ in pointed] == [f"{step}/trial_returns.parquet#{n}" for n in range(len(kept))]
        assert [earned for _, earned, _ in pointed] == pytest.approx([float(np.sum(row)) for row in kept], abs=1e-5)
        assert all(why for at, _, why in rows if at is None)


@pytest.mark.parametrize(("step", "author", "spans"), [("00_score", "pool", 1), ("30_train", "daily training", 2)])
def test_every_simulation_of_a_model_is_a_trial(place: Place, step: str, author: str, spans: int) -> None:
    """As traded and one bar later, on each market and span; the filters of risk and volatility also without a model."""
    table = read_trials(artefacts(place, SECOND) / step / "trials.parquet").to_pandas()
    learned = {member["identity"]: member["name"] for kind in ("models", "ensembles")
               for member in found(place, SECOND, "30_train", kind)}
    rows = table[table["identity"].isin(learned) & table["returns_at"].notna()]
    rows = rows.assign(change=[json.loads(text).get("change", "") for text in rows["params"]])
    told = rows.groupby(["identity", "change"]).size()
    for identity, name in learned.items():
        wanted = {"", "one bar later"} | ({"never filtered"} if name in ("risk", "volatility") else set())
        assert told[identity].to_dict() == dict.fromkeys(wanted, MARKETS * spans)
    assert set(rows[rows["change"] == "one bar later"]["kind"]) == {"stress"}
    assert set(rows[rows["change"] != "one bar later"]["author"]) == {author}
    assert (rows["n_returns"] == rows["n_bars"]).all()
    traded = rows[rows["outcome"] == "ok"]
    assert len(traded) > len(rows) / 2
    assert traded[["sharpe", "skew", "kurtosis", "total_return"]].notna().all(axis=None)


@pytest.mark.parametrize("step", ["00_score", "20_backtest"])
def test_every_scorecard_tells_what_dearer_and_later_fills_leave(place: Place, step: str) -> None:
    cards = pq.read_table(artefacts(place, SECOND) / step / "scorecards.parquet").to_pylist()
    later = {card["identity"]: card["sharpe_bar_later"] for card in cards}
    assert len(later) == len(cards) > 1
    traded = [card for card in cards if card["trades"]]
    assert traded and all(card["sharpe_bar_later"] is not None for card in traded)
    assert any(card["sharpe_bar_later"] != card["sharpe"] for card in traded)
    for card in cards:
        assert card["sharpe_p50"] is card["sharpe_p90"] is None
        assert "costs at p50, costs at p90: costs are set, not measured" in card["stress_reason"]
    if step == "20_backtest":
        rows = found(place, SECOND, step, "robustness")
        assert {row["identity"]: row["sharpe_bar_later"] for row in rows} == later


def test_candidates_name_what_they_came_from(place: Place) -> None:
    table = read_trials(artefacts(place, FIRST) / "20_backtest" / "trials.parquet").to_pandas()
    validated = table[table["kind"] == "validation"]
    tuned = set(table[table["kind"] == "tuning"]["identity"])
    assert len(validated) > 0
    assert {json.loads(text)[0] for text in validated["parents"]} <= tuned


def test_the_report_tells_trials_today_ever_and_effective_and_what_luck_explains(place: Place) -> None:
    report = place.report(SECOND)
    trials = report["trials"]
    assert 1 < trials["effective"] < trials["today"] < trials["ever"]
    names = [row["metric"]["name"] for row in report["luck"]]
    assert len(names) == len(set(names)) == 12
    assert all(row["meaning"] for row in report["luck"])
    assert trials["by_kind"]["null"] > 0
    candidates = {row["identity"] for row in report["robustness"]}
    state = json.loads((place.runs / SECOND / "inputs/state.json").read_text())
    held = {member["identity"] for member in state["pools"]["strategy"]["members"]}
    tested = {member["identity"] for member in found(place, SECOND, "20_backtest", "members")}
    assert candidates == tested - held, "a member that tuning left as it was is no candidate"
    (compared,) = (row["metric"]["n"] for row in report["luck"] if row["metric"]["name"].startswith("best expected"))
    assert compared is None or compared <= len(candidates)
    refused = {row["identity"] for row in report["rejected"] if row["pool"] == "strategies"}
    assert refused <= tested


def test_every_candidate_entered_or_is_listed_with_the_reason(place: Place) -> None:
    for run in (FIRST, SECOND):
        report = place.report(run)
        members = [member["identity"] for member in found(place, run, "20_backtest", "members")]
        entered = [row["identity"] for row in report["changes"]["entered"] if row["pool"] == "strategies"]
        listed = [row["identity"] for row in report["rejected"] if row["pool"] == "strategies"]
        turned_away = [row["identity"] for row in found(place, run, "20_backtest", "refused")]
        assert sorted([*entered, *listed]) == sorted([*members, *turned_away])


def test_no_strategy_enters_beside_one_that_trades_as_it_does(place: Place) -> None:
    for run in (FIRST, SECOND):
        tables = [pq.read_table(artefacts(place, run) / step / "blocks.parquet").to_pandas()
                  for step in ("00_score", "20_backtest")]
        returns = {str(identity): part.sort_values("time_ms")["block_return"].to_numpy()
                   for table in tables for identity, part in table.groupby("identity")}
        pools = {pool["kind"]: pool["members"] for pool in found(place, run, "40_rank_report", "outcome")["pools"]}
        held = {member["identity"] for member in pools["strategy"]}
        new = {member["identity"] for member in pools["strategy"] if member["entered"] == run[:10]}
        twins = trading_twins({identity: returns[identity] for identity in held})
        assert not [pair for pair in twins if pair & new]


def test_records_count_days_since_birth_and_nothing_is_tested_early(place: Place) -> None:
    rows = place.report(SECOND)["forward"]
    assert len(rows) == 28
    assert {row["forward_days"] for row in rows} == {0, 1}
    assert all(row["needed_days"] == 28 and row["tested"] is None and not row["proven"] for row in rows)
    assert found(place, SECOND, "40_rank_report", "outcome")["tests"] == []


def test_the_ledger_of_the_days_is_whole(place: Place) -> None:
    told = place.daybook("trials", "check", "--data", str(place.data), "--runs", str(place.runs))
    assert told.returncode == 0, told.stderr
    assert "are as published" in told.stdout
