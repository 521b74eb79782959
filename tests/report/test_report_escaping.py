"""No text of a spec, a model or a data file leaves its place in any table, chart, page or index."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from fabricated_report import bundle, code, document, markdown, run_info, save_notebook, strategy
from hostile import HOSTILE, Seen

from daybook.report import (
    Changes,
    Chart,
    FrameStyle,
    Html,
    Metric,
    Notice,
    NullContest,
    PageFrame,
    PoolChange,
    Reading,
    RobustnessRow,
    RunRow,
    charts,
    compare,
    render_page,
    tables,
    verdict,
    write_index,
)
from daybook.report.assets import script
from daybook.report.plot import label
from daybook.report.sanitise import chart_json, clean_html
from daybook.report.sections import Curve, Focus, ModelRow, Parameter, StrategyRow

TABLE_TAGS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "code", "section", "dl", "dt", "dd",
              "details", "summary", "span", "strong", "style"}


def hostile_row(text: str) -> StrategyRow:
    row = strategy(1, text, rationale=text, expressions={text: text}, params={text: 1.0}, identity=text, birth=text,
                   timeframe=text, symbols=(text,))
    assert row.gate is not None
    return row.model_copy(update={"gate": row.gate.model_copy(update={"name": text, "reason": text, "n_unit": text})})


def hostile_model(text: str) -> ModelRow:
    return ModelRow(rank=1, name=text, identity=text, target=text, score=None, reasons={"score": text}, metrics=(
        Metric(name=text, value=0.5, unit=text, baseline=0.4, baseline_name=text, n=3, n_unit=text),))


def hostile_views(text: str) -> list[Html]:
    row, model, metric = hostile_row(text), hostile_model(text), Metric(name=text, value=1.0, unit=text, reason=text)
    run = run_info(synthetic=True, label=text, parameters=(Parameter(name=text, value=text, default=text, unit=text),))
    moved = PoolChange(identity=text, name=text, rank=1, score=1.0, reason=text)
    contest = NullContest(who=text, places=20, nulls=4, others=2, reached=1, meaning=text)
    tested = dict.fromkeys(RobustnessRow.figures, 1.0)
    candidate = RobustnessRow(name=text, identity=text, timeframe=text, trades=9, n_blocks=168, **tested)
    told = Reading(metric=metric.model_copy(update={"n": 3, "n_unit": text}), meaning=text)
    other = document(strategies=(row,), models=(model,), run=run, luck=(told,), null_contests=(contest,),
                     robustness=(candidate,))
    dearer = other.model_copy(update={"robustness": (candidate.model_copy(update={"sharpe": 2.0}),)})
    return [
        tables.strategies([row]), tables.strategy_cards([row]), tables.gates([row]), tables.models([model]),
        tables.ensembles([model.model_copy(update={"members": {text: 1.0}})]), tables.parameters(run),
        tables.changes(Changes(since=text, entered=(moved,), left=(moved,), moved=(moved,))),
        tables.warnings([Notice(where=text, message=text)]), tables.focus([Focus(question=text, area=text)]),
        tables.frame(pd.DataFrame({text: [text]}), caption=text, note=text, style=FrameStyle(units={text: text})),
        verdict(text, [metric], run=run), compare(document(), other).html(),
        compare(other, dearer).html()]


def hostile_charts(text: str) -> list[Chart]:
    row = hostile_row(text)
    frame = pd.DataFrame({"name": [text], "day": "2023-06-16", "score": 50.0, "psi": 0.1, "n": 3, "symbol": text,
                          "time_ms": 0, "regime": text, "share": 1.0, "timeframe": text, "trades": 3, "model": text,
                          "predicted": 0.5, "observed": 0.5})
    curve = Curve(name=text, role="strategy", start_ms=0, step_ms=1000, equity=(1.0, 1.1))
    return [
        charts.equity([curve]), charts.drawdown([curve]), charts.ranking([row]), charts.gates([row]),
        charts.score_history(frame), charts.model_scorecards([hostile_model(text)]), charts.calibration(frame),
        charts.completeness(frame), charts.regimes(frame), charts.sweep_map(frame), charts.drift(frame),
        charts.timings(pd.DataFrame({"step": [text], "seconds": [1.0]})),
        charts.bars(frame, "name", "psi", title=text, unit=text),
        charts.lines(frame, "name", "psi", "symbol", title=text, unit=text),
        charts.cells(frame, "name", "symbol", "psi", "n", title=text, unit=text, axis_title=text),
        charts.equity((), missing=text), charts.trial_sharpes([1.0], expected_maximum=1, best=1, unit=text)]


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for key, part in value.items() if key != "hovertemplate" for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_table_lets_a_text_become_markup(text: str) -> None:
    for view in hostile_views(text):
        seen = Seen(view.markup)
        assert seen.names() <= TABLE_TAGS
        assert seen.live() == []
        assert sum(tag == "style" for tag, _ in seen.tags) <= 1


def test_a_hostile_name_is_still_readable() -> None:
    assert HOSTILE[0] in Seen(tables.strategies([hostile_row(HOSTILE[0])]).markup).text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_chart_text_holds_markup_or_a_template(text: str) -> None:
    for chart in hostile_charts(text):
        for shown in strings({"data": chart.data, "layout": chart.layout}):
            bare = shown.replace("<b>", "").replace("</b>", "").replace("<br>", "")
            assert "<" not in bare
            assert "$" not in bare
            assert "%{" not in bare.replace("%{text}", "")
        chart.figure()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_page_lets_a_text_act(tmp_path: Path, text: str) -> None:
    cells = [code("v", bundle(view)) for view in (*hostile_views(text), *hostile_charts(text))]
    raw = {"output_type": "display_data", "metadata": {}, "data": {"text/html": text, "text/plain": text}}
    streams = [{"output_type": "stream", "name": name, "text": text} for name in ("stdout", "stderr")]
    error = {"output_type": "error", "ename": text, "evalue": text, "traceback": [text]}
    notebook = save_notebook(tmp_path / "00_score.ipynb", markdown(f"## {text}\n\n{text}"), *cells,
                             code(text, raw, *streams, error))
    run = run_info(synthetic=True, label=text, symbols=(text,), venue=text)
    frame = PageFrame(run, text, "00_score.html", "../../_assets/p.js", failure=text)
    seen = Seen(render_page(notebook, tmp_path / "00_score.html", frame).read_text(encoding="utf-8"))
    live = [body for attributes, body in seen.scripts if attributes.get("type") != "application/json"]
    assert live == [script()]
    assert seen.live() == []
    assert not seen.names() & {"iframe", "form", "input", "base", "object", "embed", "svg", "math", "img"}
    assert sum(tag in ("meta", "style") for tag, _ in seen.tags) == 6
    for attributes, body in seen.scripts:
        if attributes.get("type") == "application/json":
            json.loads(body)


def test_chart_bundle_keeps_data_and_layout_alone() -> None:
    kept = chart_json({"data": [], "layout": {"title": {"text": "</script>"}, "images": [{"source": "http://x/"}]},
                       "config": {"plotlyServerURL": "http://x/"}, "frames": [1]})
    assert kept is not None
    assert json.loads(kept) == {"data": [], "layout": {"title": {"text": "</script>"}}}
    assert "<" not in kept


@pytest.mark.parametrize("chart", [None, "text", {"layout": {}}, {"data": "x"}, [1]])
def test_what_is_no_chart_is_dropped(chart: object) -> None:
    assert chart_json(chart) is None


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_index_escapes_every_text(tmp_path: Path, text: str) -> None:
    row = RunRow(run_id=text, day="2023-06-16", number=1, official=True, status="failed", reason=text, source=text,
                 synthetic=True, symbols=(text,), headline=text, top_score=50.0, parent=text, pages=(text,))
    seen = Seen(write_index(tmp_path, [row]).read_text(encoding="utf-8"))
    assert seen.scripts == []
    assert seen.live() == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_cleaner_leaves_nothing_that_acts(text: str) -> None:
    seen = Seen(str(clean_html(text)))
    assert seen.live() == []
    assert not seen.names() & {"script", "style", "iframe", "form", "input", "base", "meta", "svg", "math", "img"}


def test_label_is_cut_and_flat() -> None:
    assert label("a" * 99) == "a" * 43 + "…"
    assert label("a\n b\t\u202ec\x00") == "a b c"
    assert label("a < b & c") == "a &lt; b &amp; c"
