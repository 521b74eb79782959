"""Pages: what of a notebook reaches them, what surrounds it, and that they are the same each time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fabricated_report import bundle, code, document, markdown, run_info, save_notebook
from hostile import Seen

from daybook.core.errors import StorageError
from daybook.report import PageFrame, RunFrame, charts, install_assets, render_page, render_run, tables, verdict
from daybook.report.assets import page_policy, script, source_hash
from daybook.report.sanitise import ALLOWED_MIME, chosen_mime, clean_html
from daybook.report.views import PLOTLY_MIME

DAY = document()
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def frame(**changes: Any) -> PageFrame:
    given: dict[str, Any] = {"run": run_info(), "title": "Report", "own": "report.html", "plotly": "../../_assets/p.js",
                             "code": "hidden"}
    return PageFrame(**(given | changes))


def output(data: dict[str, Any], kind: str = "display_data") -> dict[str, Any]:
    return {"output_type": kind, "metadata": {}, "data": data}


def page(tmp_path: Path, *cells: dict[str, Any], **changes: Any) -> str:
    notebook = save_notebook(tmp_path / "runs/2023-06-16/01/40_rank_report.ipynb", *cells)
    return render_page(notebook, notebook.with_name("report.html"), frame(**changes)).read_text(encoding="utf-8")


def day_of_notebooks(runs: Path) -> Path:
    folder = runs / "2023-06-16/01"
    save_notebook(folder / "00_score.ipynb", markdown("# Scores"), code("x = 1", bundle(tables.timings(DAY.timings))))
    save_notebook(folder / "40_rank_report.ipynb", markdown("# Day"), code("v", bundle(verdict(DAY.headline))),
                  code("c", bundle(charts.ranking(DAY.strategies))))
    return folder


def test_report_has_the_outputs_and_no_input_cells(tmp_path: Path) -> None:
    html = page(tmp_path, markdown("# The day\nIt was quiet."), code("secret_call()", bundle(verdict(DAY.headline))),
                code("charts.ranking()", bundle(charts.ranking(DAY.strategies))))
    assert "nothing is proven yet" in html
    assert "<h1>The day</h1>" in html
    assert "secret_call" not in html
    assert "charts.ranking" not in html
    assert html.count('<figure class="chart">') == 1


def test_other_pages_fold_the_code_away(tmp_path: Path) -> None:
    html = page(tmp_path, code("rank = 1  # best"), code="folded")
    assert '<details class="code"><summary>code</summary>' in html
    assert "rank" in html


@pytest.mark.parametrize(("data", "chosen"), [
    ({"text/plain": "1"}, "text/plain"),
    ({"text/html": "<p>a</p>", "text/plain": "a"}, "text/html"),
    ({"image/png": "x", "text/plain": "fig"}, "image/png"),
    ({PLOTLY_MIME: {}, "text/html": "<script>", "text/plain": "a"}, PLOTLY_MIME),
    ({"application/scrapbook.scrap.json+json": {"data": 1}}, None),
    ({"application/scrapbook.scrap.json+json": {"data": 1}, "text/plain": "1"}, None),
    ({"application/javascript": "alert(1)", "text/plain": "js"}, None),
    ({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "widget"}, None),
    ({"image/svg+xml": "<svg onload=alert(1)>"}, None),
    ({"text/markdown": "<script>"}, None),
    ({"text/latex": "$x$"}, None),
    ({"text/vnd.mermaid": "graph TD; click A call alert()"}, None),
    ({"application/pdf": "x"}, None),
    ({}, None)])
def test_only_allowed_mime_types_are_shown(data: dict[str, Any], chosen: str | None) -> None:
    assert chosen_mime(data) == chosen
    assert chosen is None or chosen in ALLOWED_MIME


def test_dropped_outputs_leave_no_trace_on_the_page(tmp_path: Path) -> None:
    html = page(tmp_path, code("a", output({"application/javascript": "alert('js-mark')", "text/plain": "plain-mark"}),
                               output({"image/svg+xml": "<svg><text>svg-mark</text></svg>"}),
                               output({"application/scrapbook.scrap.json+json": {"name": "scrap-mark"}}),
                               output({"text/vnd.mermaid": "mermaid-mark"}),
                               output({"image/png": "\"><script>png-mark"})))
    assert not re.search("js-mark|plain-mark|svg-mark|scrap-mark|mermaid-mark|png-mark", html)


def test_picture_is_embedded(tmp_path: Path) -> None:
    html = page(tmp_path, code("a", output({"image/png": PNG + "\n", "text/plain": "a dot"})))
    assert '<img alt="a dot" src="data:image/png;base64,iVBOR' in html


def test_messages_are_muted_and_errors_are_shown(tmp_path: Path) -> None:
    html = page(tmp_path, code("a", {"output_type": "stream", "name": "stderr", "text": ["UserWarning: ", "careful\n"]},
                               {"output_type": "stream", "name": "stdout", "text": "done <b>\n"},
                               {"output_type": "error", "ename": "DataError", "evalue": "no candles <b>",
                                "traceback": ["\x1b[31mline 1\x1b[0m", "line 2"]}))
    assert '<details class="stderr"><summary>messages while this ran</summary><pre>UserWarning: careful' in html
    assert "done &lt;b&gt;" in html
    assert "<strong>DataError: no candles &lt;b&gt;</strong>" in html
    assert '<span class="ansi-red-fg">line 1</span>' in html


def test_page_of_a_notebook_that_stopped_leads_to_the_error(tmp_path: Path) -> None:
    mark = markdown("An Exception was encountered") | {"metadata": {"tags": ["papermill-error-cell-tag"]}}
    error = {"output_type": "error", "ename": "DataError", "evalue": "<no> candles", "traceback": []}
    html = page(tmp_path, mark, markdown("# Day"), code("a", error), code("b"))
    assert 'This notebook stopped: <a href="#c2">DataError: &lt;no&gt; candles</a>' in html
    assert 'id="c2"' in html
    assert "An Exception was encountered" not in html


def test_page_has_a_strict_policy_and_one_script_that_it_allows(tmp_path: Path) -> None:
    html = page(tmp_path, code("c", bundle(charts.ranking(DAY.strategies))))
    seen = Seen(html)
    policies = [a["content"] for tag, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [page_policy()]
    sources = dict(part.strip().split(" ", 1) for part in page_policy().split(";"))
    assert sources["default-src"] == sources["base-uri"] == sources["form-action"] == "'none'"
    assert "unsafe" not in sources["script-src"]
    assert set(sources) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    live = [text for attributes, text in seen.scripts if attributes.get("type") != "application/json"]
    assert live == [script()]
    assert source_hash(live[0]) in sources["script-src"]


def test_page_asks_for_nothing_from_a_network(tmp_path: Path) -> None:
    html = page(tmp_path, markdown("# Day"), code("c", bundle(charts.equity(DAY.curves))), code="folded")
    assert Seen(html).live() == []
    assert not re.search(r"https?:|//cdn|url\(", html)


def test_markdown_is_rendered_and_cleaned(tmp_path: Path) -> None:
    html = page(tmp_path, markdown("## *What* changed\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<script>bad()</script>"))
    assert "<em>What</em>" in html
    assert "<td>1</td>" in html
    assert "bad()" not in html


def test_long_page_lists_its_sections(tmp_path: Path) -> None:
    html = page(tmp_path, markdown("## One"), markdown("## Two `x`"), markdown("## <b>Three</b>"))
    assert '<a href="#c1">Two x</a>' in html
    assert "&lt;b&gt;Three" in html
    assert 'id="c1"' in html


def test_synthetic_run_says_so_on_every_page(tmp_path: Path) -> None:
    folder = day_of_notebooks(tmp_path / "runs")
    written = render_run(folder, RunFrame(run_info(synthetic=True)), install_assets(tmp_path / "runs"))
    assert len(written) == 3
    for path in written:
        assert "<strong>Synthetic market.</strong> Built-in market, mode normal, seed 7." in path.read_text()
    for path in render_run(folder, RunFrame(run_info()), install_assets(tmp_path / "runs")):
        assert "Synthetic market" not in path.read_text()


def test_pages_of_a_run_link_each_other_the_neighbours_and_the_index(tmp_path: Path) -> None:
    folder = day_of_notebooks(tmp_path / "runs")
    info = run_info(number=2, official=False, parent="2023-06-16/01")
    run = RunFrame(info, previous="2023-06-15/01", parent="2023-06-16/01")
    written = render_run(folder, run, install_assets(tmp_path / "runs"))
    assert [path.name for path in written] == ["report.html", "00_score.html", "40_rank_report.html"]
    links = {a["href"] for tag, a in Seen(written[1].read_text()).tags if tag == "a"}
    assert links == {"report.html", "00_score.html", "40_rank_report.html", "report.json", "../../index.html",
                     "../../2023-06-15/01/report.html", "../../2023-06-16/01/report.html"}
    assert "run 02 · re-run" in written[1].read_text()


def test_parameters_and_provenance_stand_at_the_end(tmp_path: Path) -> None:
    html = page(tmp_path)
    assert html.index("Parameters and provenance") < html.rindex("fee_bps") < html.index("da" * 32)


def test_pages_are_the_same_each_time_and_in_any_folder(tmp_path: Path) -> None:
    pages = []
    for name in ("here", "there"):
        runs = tmp_path / name
        written = render_run(day_of_notebooks(runs), RunFrame(run_info()), install_assets(runs))
        pages.append([path.read_bytes() for path in written])
    assert pages[0] == pages[1]
    assert str(tmp_path).encode() not in b"".join(pages[0])


def test_cell_ids_and_execution_times_do_not_reach_the_page(tmp_path: Path) -> None:
    first = code("x", bundle(verdict(DAY.headline)))
    second = first | {"id": "other", "execution_count": 9, "metadata": {"papermill": {"start_time": "2026-01-01"}}}
    assert page(tmp_path / "a", first, code="folded") == page(tmp_path / "b", second, code="folded")


def test_failed_run_without_a_report_notebook_gets_a_report_that_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "runs/2023-06-16/01"
    save_notebook(folder / "00_score.ipynb", markdown("# Scores"))
    run = RunFrame(run_info(), failure="20_backtest: no candles <for> SOLUSDT.")
    report = render_run(folder, run, install_assets(tmp_path / "runs"))[0].read_text()
    assert "<strong>This run failed.</strong> 20_backtest: no candles &lt;for&gt; SOLUSDT." in report
    assert "40_rank_report.ipynb was not written in this run." in report
    assert 'href="00_score.html"' in report


@pytest.mark.parametrize("content", ['{"cells": [{"cell_type": "code", "sou', "[]", "{}", '{"cells": 3}', "\xff", ""])
def test_torn_notebook_gives_a_page_that_says_so(tmp_path: Path, content: str) -> None:
    notebook = tmp_path / "00_score.ipynb"
    notebook.write_bytes(content.encode("latin-1"))
    html = render_page(notebook, tmp_path / "00_score.html", frame()).read_text()
    assert "00_score.ipynb can not be read as a notebook" in html


def test_shared_plotly_is_named_by_its_hash_kept_and_restored_when_damaged(tmp_path: Path) -> None:
    name = install_assets(tmp_path).plotly
    path = tmp_path / name
    assert re.fullmatch(r"_assets/plotly-[0-9a-f]{16}\.min\.js", name)
    before = path.stat().st_mtime_ns
    assert install_assets(tmp_path).plotly == name
    assert path.stat().st_mtime_ns == before
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    install_assets(tmp_path)
    assert path.read_bytes() == whole


def test_page_that_can_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "report.html/in_the_way").mkdir(parents=True)
    with pytest.raises(StorageError, match="can not be written"):
        render_page(tmp_path / "x.ipynb", tmp_path / "report.html", frame())


def test_interrupted_write_keeps_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page(tmp_path, markdown("# Before"))
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="No space left"):
        page(tmp_path, markdown("# After"))
    monkeypatch.undo()
    kept = tmp_path / "runs/2023-06-16/01"
    assert "Before" in (kept / "report.html").read_text()
    assert not list(kept.glob("*.tmp"))
    shutil.rmtree(kept)


def test_cleaner_keeps_tables_lists_and_relative_links() -> None:
    kept = '<table class="x"><tbody><tr><td colspan="2" title="why">1</td></tr></tbody></table>'
    assert str(clean_html(kept)) == kept
    assert 'href="../a.html"' in clean_html('<a href="../a.html">a</a>')


def test_rerun_says_whose_it_is_and_what_was_changed(tmp_path: Path) -> None:
    again = page(tmp_path, run=run_info(number=2, run_id="2023-06-16/02", official=False, parent="2023-06-16/01"))
    assert "Re-run of 2023-06-16/01." in again
    assert "With fee_bps = 10.0 instead of 5.0;" in again
    assert "change no pool" in again
    assert "change no pool" not in page(tmp_path)
