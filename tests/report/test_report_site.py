"""runs/index.html: order, links, labels, the course of the best score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile import Seen

from daybook.report import RunRow, write_index
from daybook.report.site import sparkline


def row(day: str, number: int = 1, **changes: Any) -> RunRow:
    given: dict[str, Any] = {
        "run_id": f"{day}/{number:02d}", "day": day, "number": number, "official": number == 1, "status": "ok",
        "source": "files", "synthetic": False, "symbols": ("BTCUSDT",), "headline": f"verdict of {day}",
        "top_score": 61.5, "entered": 2, "left": 1, "trials_ever": 3811, "wall_seconds": 121.0,
        "pages": ("00_score.html", "report.json")}
    return RunRow(**(given | changes))


def test_newest_run_stands_first(tmp_path: Path) -> None:
    rows = [row("2023-06-14"), row("2023-06-16"), row("2023-06-14", 2, parent="2023-06-14/01"), row("2023-06-15")]
    links = [a["href"] for tag, a in Seen(write_index(tmp_path, rows).read_text()).tags
             if tag == "a" and a["href"].endswith("report.html")]
    assert links == ["2023-06-16/01/report.html", "2023-06-15/01/report.html", "2023-06-14/02/report.html",
                     "2023-06-14/01/report.html"]


def test_row_shows_what_an_analyst_looks_for(tmp_path: Path) -> None:
    page = write_index(tmp_path, [row("2023-06-16", 2, parent="2023-06-16/01")])
    text = " ".join(Seen(page.read_text()).text.split())
    for part in ("2023-06-16", "02 re-run", "of 2023-06-16/01", "verdict of", "61.5", "+2, −1", "3,811", "2 min 01 s"):
        assert part in text


def test_synthetic_and_failed_runs_are_marked(tmp_path: Path) -> None:
    failed = row("2023-06-16", status="failed", reason="00_score: no candles", top_score=None, entered=None, left=None,
                 trials_ever=None, synthetic=True, source="synthetic")
    html = write_index(tmp_path, [failed]).read_text()
    assert '<td class="bad">failed</td>' in html
    assert "00_score: no candles" in html
    assert '<span class="chip warn">synthetic</span>' in html
    assert html.count(">—<") == 3


def test_index_without_runs_says_how_to_start(tmp_path: Path) -> None:
    assert "start one with run_daily.py" in write_index(tmp_path, []).read_text()


def test_index_needs_no_script_and_no_other_file(tmp_path: Path) -> None:
    seen = Seen(write_index(tmp_path, [row("2023-06-16")]).read_text())
    policy = next(a["content"] for _, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert not {"script", "link"} & seen.names()


def test_index_is_the_same_whatever_the_order_of_its_rows(tmp_path: Path) -> None:
    rows = [row(f"2023-06-{day}") for day in (14, 15, 16)]
    first = write_index(tmp_path / "a", rows).read_bytes()
    assert write_index(tmp_path / "b", rows[::-1]).read_bytes() == first


def test_sparkline_runs_from_the_oldest_day_and_shows_even_odds() -> None:
    line = sparkline([40.0, 50.0, 60.0])
    assert line is not None
    assert line.points == "0.0,84.0 360.0,42.0 720.0,0.0"
    assert (line.even_odds, line.highest, line.lowest) == (42.0, 60.0, 40.0)


@pytest.mark.parametrize("scores", [[50.0], [71.0], [0.0, 0.0]])
def test_sparkline_of_level_scores_is_level(scores: list[float]) -> None:
    line = sparkline(scores)
    assert line is not None
    assert len({point.split(",")[1] for point in line.points.split()}) == 1
    assert sparkline([]) is None
