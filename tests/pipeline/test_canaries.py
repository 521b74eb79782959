"""Every canary sings while its guard works, and is silent the moment that guard is broken."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daybook.core.files import read_json, write_json
from daybook.pipeline.canaries import CANARIES, Canary, CanaryReport, read_canaries, reddened, run_canaries
from daybook.rank import verdict
from daybook.rank.statistics import probabilistic_sharpe_ratio
from daybook.report import Headline, Notice

canaries = importlib.import_module("daybook.pipeline.canaries")
forward_test = importlib.import_module("daybook.rank.forward_test")
ledger = importlib.import_module("daybook.rank.ledger")


def day_in(folder: Path) -> Any:
    """What the canaries need of a day: a place for the artefact."""
    path = folder / "canaries.json"
    return SimpleNamespace(write=lambda name, rows: write_json(folder / f"{name}.json", rows),
                           read_json=lambda step, name: read_json(path))


def run_one(name: str) -> Canary:
    [chosen] = [canary for canary in CANARIES if canary[0] == name]
    return canaries._run(*chosen)


def test_every_canary_is_caught_found_or_blocked_and_the_same_at_every_run(tmp_path: Path) -> None:
    report = run_canaries(day_in(tmp_path))
    assert [row.name for row in report.rows if not row.ok] == []
    assert len(report.rows) == len(CANARIES) == 12
    written = (tmp_path / "canaries.json").read_bytes()
    assert run_canaries(day_in(tmp_path)) == report == read_canaries(day_in(tmp_path))
    assert (tmp_path / "canaries.json").read_bytes() == written
    assert report.text == ""
    assert report.gates == ()
    assert set(report.frame()["ok"]) == {"as it must be"}


def blind(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.zeros(len(found), dtype=bool)


def hysterical(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.ones(len(found), dtype=bool)


def always(gate: Callable[..., Any], passed: bool) -> Callable[..., Any]:
    return lambda *arguments: gate(*arguments).model_copy(update={"passed": passed})


def undeflated(sharpe: float, n: int, trials: int, skew: float, kurtosis: float) -> float:
    return probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis)


def after_a_week(*arguments: Any, **more: Any) -> Any:
    return forward_test.due_tests(*arguments, forward_days=7)


def blind_to(*names: str) -> dict[int, tuple[str, ...]]:
    """What a row's hash covers, but for these columns."""
    return {version: tuple(name for name in own if name not in names) for version, own in ledger._DIGESTED.items()}


def unchained(digests: list[bytes], previous: bytes = ledger.GENESIS) -> list[bytes]:
    return [hashlib.sha256(digest).digest()[:16] for digest in digests]


gates = importlib.import_module("daybook.rank.gates")
evidence = importlib.import_module("daybook.rank.evidence")
BROKEN: list[tuple[str, str, Any, str]] = [
    ("leaking feature", "daybook.features.causality._differ", blind, "no leak"),
    ("leaking feature", "daybook.features.causality._differ", hysterical, "a false alarm"),
    ("leaking strategy", "daybook.features.causality._differ", blind, "no leak"),
    ("leaking strategy", "daybook.features.causality._differ", hysterical, "a false alarm"),
    ("planted edge", "daybook.rank.gates.deflated_sharpe_ratio", lambda *_: 0.5, "first and is unproven"),
    ("planted edge", "daybook.rank.forward_test.probabilistic_sharpe_ratio", lambda *_: 0.5, "first and is unproven"),
    ("planted edge", "daybook.pipeline.canaries.block_returns",
     lambda rules, markets, *_: np.zeros((len(rules) * len(markets), 672)), "came first and is unproven"),
    ("no edge", "daybook.rank.gates._dsr_gate", always(gates._dsr_gate, True), "first and is proven"),
    ("spec over budget", "daybook.pipeline.canaries.parse_spec", lambda spec: spec, "accepted"),
    ("code in a spec", "daybook.pipeline.canaries.parse_spec", lambda spec: spec, "accepted"),
    ("promotion without evidence", "daybook.rank.gates._test_gate", always(gates._test_gate, True),
     "promoted with no test"),
    ("promotion without evidence", "daybook.rank.gates._dsr_gate",
     always(gates._dsr_gate, False), "was blocked too"),
    ("luck of many trials", "daybook.rank.gates.deflated_sharpe_ratio", undeflated, "failed by: nothing"),
    ("luck of many trials", "daybook.rank.gates._dsr_gate", always(gates._dsr_gate, True), "failed by: nothing"),
    ("late in the series", "daybook.rank.discoveries.OnlineTesting.level", property(lambda _: 1.0),
     "failed by: nothing"),
    ("late in the series", "daybook.rank.discoveries.OnlineTesting.level", property(lambda _: 0.05),
     "failed by: nothing"),
    ("late in the series", "daybook.rank.forward_test.probabilistic_sharpe_ratio", lambda *_: 1.0,
     "failed by: nothing"),
    ("late in the series", "daybook.rank.gates._test_gate", always(gates._test_gate, True), "failed by: nothing"),
    ("too few days or trades", "daybook.rank.gates._days_gate", always(gates._days_gate, True), "27 days passed"),
    ("too few days or trades", "daybook.pipeline.canaries.due_tests", after_a_week, "27 days was tested"),
    ("too few days or trades", "daybook.rank.gates._trades_gate", always(gates._trades_gate, True),
     "failed by: nothing"),
    ("evidence from before birth", "daybook.pipeline.canaries.Evidence",
     evidence.Evidence.model_construct, "accepted as evidence"),
    ("tampering with the ledger", "daybook.rank.ledger.row_digests", lambda rows: [b"same"] * rows.num_rows,
     "another day in a row went unseen"),
    *[("tampering with the ledger", "daybook.rank.ledger._DIGESTED", blind_to(name),
       f"another {name} in a row went unseen")
      for name in ("sharpe", "data_hash", "trades", "parents", "returns_at")],
    ("tampering with the ledger", "daybook.rank.ledger.links", unchained, "rows in each other's place went unseen"),
    ("tampering with the ledger", "daybook.pipeline.canaries.checked", lambda rows, where: rows,
     "taken out went unseen"),
    ("tampering with the ledger", "daybook.pipeline.canaries.first_broken", lambda rows: 1 / 0, "the guard broke"),
]


@pytest.mark.parametrize(("name", "guard", "broken", "found"), BROKEN)
def test_a_canary_is_red_when_its_guard_is_broken(
    name: str, guard: str, broken: Any, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_one(name).ok
    if name == "no edge":  # both guards stand in the way of an edge that is not there
        monkeypatch.setattr("daybook.rank.gates._test_gate", always(gates._test_gate, True))
    if name == "tampering with the ledger" and "digests" in guard:
        monkeypatch.setattr("daybook.pipeline.canaries.row_digests", broken)
    monkeypatch.setattr(guard, broken)
    row = run_one(name)
    assert not row.ok
    assert found in row.found


def test_every_canary_is_tried_with_a_broken_guard() -> None:
    assert {name for name, *_ in BROKEN} == {name for name, *_ in CANARIES}


# ---- what a red day does


GOOD = CanaryReport((Canary("leaking feature", "a leak", "caught", "caught", True),))
RED = CanaryReport((*GOOD.rows, Canary("no edge", "noise", "nothing proven", "proven", False)))


def test_a_red_day_promotes_nothing() -> None:
    record = canaries._record("canary", np.tile([0.002, 0.001], 336), 1000)
    [test] = canaries.due_tests("2026-01-29", [record], {"canary": "canary"}, ())
    assert verdict(record, 1000, test=test, also=GOOD.gates).proven
    withheld = verdict(record, 1000, test=test, also=RED.gates)
    assert not withheld.proven
    assert "a canary failed today, so nothing is promoted" in withheld.text


def test_a_red_day_says_so_in_verdict_tone_and_notices() -> None:
    calm = Headline(verdict="All is well.", tone="good")
    assert GOOD.headline(calm) == calm
    red = RED.headline(calm)
    assert red.tone == "bad"
    assert red.verdict.startswith("RED: 1 of 2 canaries failed (no edge)")
    assert red.verdict.endswith("All is well.")
    [notice] = RED.notices()
    assert notice == Notice(where="canary: no edge", message="noise: expected nothing proven; found proven",
                            severity="error")
    assert RED.frame()["ok"].tolist() == ["as it must be", "FAILED"]


def test_a_red_report_begins_with_the_failed_canary() -> None:
    from daybook.report import ReportDocument

    before = Notice(where="candles", message="thin")
    report = ReportDocument.model_construct(headline=Headline(verdict="All is well."), warnings=(before,))
    assert reddened(report, GOOD) is report
    red = reddened(report, RED)
    assert [notice.where for notice in red.warnings] == ["canary: no edge", "candles"]
    assert red.headline.tone == "bad"
    assert replace(RED, rows=RED.rows[:1]).failed == ()
