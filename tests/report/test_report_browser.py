"""Pages in a real browser, from disk: charts are drawn, nothing is fetched, no hostile text acts."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from fabricated_report import bundle, code, document, markdown, run_info, save_notebook
from hostile import HOSTILE
from test_report_charts import CHARTS
from test_report_escaping import hostile_charts, hostile_views

from daybook.report import RunFrame, charts, install_assets, render_run, tables, verdict
from daybook.report.assets import page_policy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
         "--virtual-time-budget=6000", "--window-size=1400,1000")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: pages are not checked in a browser"),
]


@dataclass(frozen=True)
class Visit:
    """What a browser made of a page: its final DOM and what its console said."""

    dom: str
    console: str

    def charts(self) -> tuple[int, int]:
        """Charts on the page, charts drawn."""
        return self.dom.count('<figure class="chart'), self.dom.count('<figure class="chart drawn"')


def visit(path: Path, profile: Path, *more: str) -> Visit:
    """Open a file in a fresh browser profile and wait until its scripts are idle. more: flags, the later ones win."""
    assert CHROMIUM is not None
    done = subprocess.run([CHROMIUM, *FLAGS, *more, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()],
                          capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line or "Content Security Policy" in line]
    return Visit(done.stdout, "\n".join(console))


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A local server that remembers every request: nobody should ever ask it for anything."""
    asked: list[str] = []

    class Remember(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Remember)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_every_chart_is_drawn_from_disk_without_a_policy_violation(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    folder = runs / "2023-06-16/01"
    cells = [code(name, bundle(make())) for name, make in sorted(CHARTS.items())]
    save_notebook(folder / "40_rank_report.ipynb", markdown("# Day"), code("v", bundle(verdict(document().headline))),
                  code("t", bundle(tables.strategies(document().strategies))), *cells)
    render_run(folder, RunFrame(run_info()), install_assets(runs))
    seen = visit(folder / "report.html", tmp_path / "profile")
    assert seen.charts() == (len(CHARTS), len(CHARTS))
    assert seen.dom.count('class="main-svg"') >= len(CHARTS)
    assert f'data-charts="{len(CHARTS)}"' in seen.dom
    assert seen.console == ""


def test_panels_go_below_one_another_where_the_page_is_narrow(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    folder = runs / "2023-06-16/01"
    table = pd.DataFrame({"model": list("abcde"), "metric": "auc", "value": 0.6, "baseline": 0.5, "n": 9})
    save_notebook(folder / "40_rank_report.ipynb", code("m", bundle(charts.model_scorecards(table))))
    render_run(folder, RunFrame(run_info()), install_assets(runs))
    places = {}
    for width in (1400, 500):
        seen = visit(folder / "report.html", tmp_path / f"profile-{width}", f"--window-size={width},1000")
        assert seen.charts() == (1, 1)
        grounds = re.findall(r'<rect class="bg" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="[\d.]+" style="fill',
                             seen.dom)
        places[width] = {(round(float(x)), round(float(y))) for x, y in grounds}
    assert [len({place[axis] for place in places[1400]}) for axis in (0, 1)] == [5, 1]
    assert [len({place[axis] for place in places[500]}) for axis in (0, 1)] == [1, 5]


def test_page_without_its_shared_script_still_reads_and_says_what_is_missing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    folder = runs / "2023-06-16/01"
    save_notebook(folder / "40_rank_report.ipynb", code("t", bundle(tables.strategies(document().strategies))),
                  code("c", bundle(CHARTS["ranking"]())))
    shared = install_assets(runs)
    render_run(folder, RunFrame(run_info()), shared)
    (runs / shared.plotly).unlink()
    seen = visit(folder / "report.html", tmp_path / "profile")
    assert seen.charts() == (1, 0)
    assert f"(charts need the file ../../{shared.plotly} beside the runs)" in seen.dom
    assert "calm_hour_reversal" in seen.dom


def test_no_hostile_text_runs_or_fetches_anything(tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    address, asked = listener
    runs = tmp_path / "runs"
    folder = runs / "2023-06-16/01"
    fetching = (f"<img src={address}/img>", f"<script src={address}/script></script>", f"<base href={address}/>",
                f"<link rel=stylesheet href={address}/style>", f"<style>@import '{address}/import';</style>",
                f"<b style='background:url({address}/css)'>x</b>", f"<a href='{address}/a' ping='{address}/ping'>x</a>")
    corpus = (*(text.replace("http://127.0.0.1:9", address) for text in HOSTILE), *fetching)
    drawn = [chart for text in corpus[::3] for chart in hostile_charts(text)[:6]]
    raw = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "".join(corpus)}}
    save_notebook(folder / "40_rank_report.ipynb", *(markdown(text) for text in corpus),
                  *(code("v", bundle(view)) for text in corpus for view in hostile_views(text)),
                  *(code("c", bundle(chart)) for chart in drawn), code("raw", raw))
    run = RunFrame(run_info(synthetic=True, label="".join(corpus)), failure="".join(corpus))
    render_run(folder, run, install_assets(runs))
    seen = visit(folder / "report.html", tmp_path / "profile")
    titles = re.findall("<title>(.*?)</title>", seen.dom)
    assert titles[0] == "Report · 2023-06-16 run 01 · Daybook"
    assert seen.charts() == (len(drawn), len(drawn))
    assert asked == []
    assert seen.console == ""


def test_policy_stops_a_script_that_got_into_a_page(tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    """The second line of defence: were the cleaning to fail, the policy alone must hold."""
    address, asked = listener
    page = tmp_path / "page.html"
    page.write_text(
        f'<!DOCTYPE html><head><meta http-equiv="Content-Security-Policy" content="{page_policy()}"><title>calm</title>'
        f"</head><body><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
        f"<script src='{address}/script'></script><img src='{address}/img'><iframe src='{address}/frame'></iframe>"
        f"<link rel=stylesheet href='{address}/style'><form action='{address}/form'></form>"
        "<script>document.forms[0].submit()</script></body>")
    seen = visit(page, tmp_path / "profile")
    assert "<title>calm</title>" in seen.dom
    assert asked == []
    assert seen.console.count("Content Security Policy") >= 4
