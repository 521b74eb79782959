"""One function a table: report sections (or any DataFrame) in, escaped HTML out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from daybook.report import formats
from daybook.report.frames import FrameStyle, frame_grid
from daybook.report.grid import Cell, Column, Grid, counts, figure, prose, score, stacked, text, words
from daybook.report.sections import (
    ArchiveRow,
    Changes,
    Focus,
    Gate,
    Metric,
    ModelRow,
    Notice,
    PoolChange,
    QualityRow,
    RunInfo,
    StepTiming,
    StrategyRow,
    Trials,
)
from daybook.report.views import Html, render

_SCORE = Column("score", "0–100", help="50 = as likely as not to make money after costs")
_CHANGE = Column("change", "points", help="against the score of the day before")
_POOL = (
    Column("#"), *words("strategy", "bars"), _SCORE, _CHANGE,
    Column("PSR", "0–1", help="probabilistic Sharpe ratio: how likely the true Sharpe ratio is above 0"),
    Column("Sharpe", "a year"), Column("n", "hours", help="60-minute blocks behind PSR and Sharpe ratio"),
    *counts("trades"), Column("wins", "of trades"), Column("return", "of capital"), Column("drawdown", "of capital"),
    Column("turnover", "× capital"), Column("born", "UTC", "text"), Column("forward", "days"), *words("gate"),
)
_TONE_OF = {"error": "bad", "warning": "warn", "info": "muted"}


def strategies(rows: Sequence[StrategyRow], *, limit: int = 20, caption: str = "Strategy pool") -> Html:
    """The pool in the order of rank: screening figures with their sample sizes, and the gate."""
    note = ("Figures are screening results on the run's window, net of costs: they rank, they prove nothing. "
            "Only days after a strategy's birth (forward) count for its gate.")
    return Grid(caption, _POOL, [_strategy(row) for row in rows[:limit]], note, "the pool is empty").html()


def _strategy(row: StrategyRow) -> list[Cell]:
    why = row.reasons.get
    tone = _tone(row.total_return)
    return [
        Cell(str(row.rank), title=f"the day before: {formats.count(row.previous_rank)}"),
        Cell(row.name, title=f"{row.name} · {row.identity} · {', '.join(row.symbols)}"), Cell(row.timeframe),
        score(row.score, why("score")), _change(row.score, row.previous_score, why("previous_score")),
        figure(row.psr, formats.number(row.psr, 3), why("psr")),
        figure(row.sharpe, formats.number(row.sharpe, 1), why("sharpe")),
        figure(row.n_blocks, formats.count(row.n_blocks), why("n_blocks") or why("sharpe")),
        Cell(formats.count(row.trades)),
        figure(row.win_rate, formats.percent(row.win_rate, 0), why("win_rate")),
        figure(row.total_return, formats.percent(row.total_return, 2), why("total_return"), tone=tone),
        figure(row.max_drawdown, formats.percent(row.max_drawdown, 2), why("max_drawdown")),
        figure(row.turnover, formats.number(row.turnover, 1), why("turnover")),
        text(row.birth), Cell(formats.count(row.forward_days)), _gate_mark(row.gate),
    ]


def _tone(value: float | None) -> str:
    return "" if not value else "good" if value > 0 else "bad"


def _change(now: float | None, before: float | None, reason: str | None) -> Cell:
    if now is None or before is None:
        return figure(None, "", reason or "no score on both days")
    gain = round(now - before, 1)
    return Cell(formats.signed(gain), title=f"the day before: {formats.number(before, 1)}", tone=_tone(gain))


def _gate_mark(gate: Gate | None) -> Cell:
    if gate is None:
        return text("", title="no gate applies")
    return Cell("passed" if gate.passed else "not yet", title=f"{gate.name}: {gate.reason}",
                tone="good" if gate.passed else "muted")


def gates(rows: Sequence[StrategyRow | ModelRow], *, caption: str = "Promotion gates") -> Html:
    """Every gate with its value, interval, threshold, sample size and reason."""
    head = (Column("#"), *words("member", "gate"), *counts("value", "interval", "threshold"), *words("unit"),
            *counts("n"), *words("verdict"), prose("reason"))
    body = [[Cell(str(row.rank)), _named(row.name, row.identity), *_gate(row.gate)]
            for row in rows if row.gate is not None]
    return Grid(caption, head, body, missing="no member has a gate yet").html()


def _named(name: str, identity: str) -> Cell:
    return Cell(name, title=f"{name} · {identity}")


def _gate(gate: Gate) -> list[Cell]:
    mark = _gate_mark(gate)
    return [Cell(gate.name, title=gate.name),
            figure(gate.value, formats.figure(gate.value, gate.unit), gate.reasons.get("value")),
            _interval(gate.interval, gate.unit), Cell(formats.figure(gate.threshold, gate.unit)), _unit(gate.unit),
            _sample(gate.n, gate.n_unit), mark, text(gate.reason)]


def _interval(interval: tuple[float | None, float | None] | None, unit: str) -> Cell:
    if interval is None:
        return figure(None, "", "no interval was computed")
    return Cell(" … ".join(formats.figure(bound, unit) for bound in interval))


def _sample(n: int | None, unit: str) -> Cell:
    return figure(n, f"{formats.count(n)} {unit}".strip(), "no sample size was given")


def _unit(unit: str) -> Cell:
    return Cell(formats.unit_text(unit), tone="muted")


def models(rows: Sequence[ModelRow], *, caption: str = "Models", missing: str = "no model was trained") -> Html:
    """Every metric of every model beside its baseline, interval and sample size."""
    head = (Column("#"), *words("model", "target"), _SCORE, *words("metric"),
            *counts("value", "interval", "baseline"), *words("against", "unit"), *counts("n"))
    body = []
    for row in rows:
        for place, metric in enumerate(row.metrics or (None,)):
            first = [Cell(str(row.rank)), _named(row.name, row.identity), text(row.target, title=row.target),
                     score(row.score, row.reasons.get("score"))]
            body.append((first if place == 0 else [Cell("")] * len(first)) + _metric(metric))
    note = "Out of fold, purged and embargoed. Green is better than the baseline; the interval says how surely."
    return Grid(caption, head, body, note, missing).html()


def ensembles(rows: Sequence[ModelRow], *, caption: str = "Ensembles") -> Html:
    """Every metric of every ensemble, as for models, and the weights of its members."""
    table = models(rows, caption=caption, missing="no ensemble was built")
    weights = [[Cell(row.name), Cell(" · ".join(f"{member} {formats.number(weight, 3)}"
                                                for member, weight in row.members.items()))]
               for row in rows if row.members]
    return stacked(table, Grid("Weights of members", (*words("ensemble"), prose("weights")), weights).html())


def _metric(metric: Metric | None) -> list[Cell]:
    if metric is None:
        return [figure(None, "", "no metric was computed"), *[Cell("")] * 6]
    better = ""
    if metric.value is not None and metric.baseline is not None and metric.better != "neither":
        gain = metric.value - metric.baseline
        better = _tone(-gain if metric.better == "lower" else gain)
    return [Cell(metric.name, title=metric.name),
            figure(metric.value, formats.figure(metric.value, metric.unit), metric.reason, tone=better),
            _interval(metric.interval, metric.unit),
            figure(metric.baseline, formats.figure(metric.baseline, metric.unit), "no baseline applies"),
            Cell(metric.baseline_name, tone="muted"), _unit(metric.unit), _sample(metric.n, metric.n_unit)]


def changes(value: Changes, *, caption: str = "What changed, and why") -> Html:
    """Members that entered, left or moved since the day before, each with the reason."""
    head = (*words("", "pool", "member"), *counts("rank"), _SCORE, _CHANGE, prose("reason"))
    groups = (("entered", value.entered, "good"), ("left", value.left, "bad"), ("moved", value.moved, "muted"))
    body = [_changed(kind, tone, row) for kind, rows, tone in groups for row in rows]
    since = f"since {value.since}" if value.since else "no earlier day: everything is new"
    note = f"{len(value.entered)} entered, {len(value.left)} left, {len(value.moved)} moved; {since}."
    return Grid(caption, head, body, note, f"no member changed ({since})").html()


def _changed(kind: str, tone: str, row: PoolChange) -> list[Cell]:
    before, now = formats.count(row.previous_rank), formats.count(row.rank)
    shown = {"entered": now, "left": before, "moved": f"{before} → {now}"}[kind]
    return [Cell(kind, tone=tone), Cell(row.pool), _named(row.name, row.identity), Cell(shown),
            figure(row.score, formats.number(row.score, 1), row.reason), _change(row.score, row.previous_score, None),
            text(row.reason)]


def trials(value: Trials, *, caption: str = "Trials: how often luck was tempted") -> Html:
    """Trials today and ever, by kind, and the best of them beside what noise alone would show."""
    sums = [("today", Cell(formats.count(value.today))), ("ever", Cell(formats.count(value.ever))),
            ("effective, if related trials count once",
             figure(value.effective, formats.count(value.effective), "not estimated")),
            *((f"of kind {kind}", Cell(formats.count(number))) for kind, number in sorted(value.by_kind.items()))]
    body = [[Cell(name), shown, Cell("trials", tone="muted"), Cell("")] for name, shown in sums]
    body += [[Cell(m.name), figure(m.value, formats.figure(m.value, m.unit), m.reason), _unit(m.unit),
              _sample(m.n, m.n_unit)] for m in (value.best, value.expected_noise_maximum)]
    return Grid(caption, (*words(""), *counts("value"), *words("unit"), *counts("n")), body).html()


def parameters(run: RunInfo, *, caption: str = "Parameters of this run") -> Html:
    """Every parameter with its default and unit; those that somebody changed are marked."""
    head = (*words("parameter"), *counts("value"), *words("unit"), *counts("default"), *words(""))
    body = [[Cell(p.name, code=True), text(p.value, tone="warn" if p.changed else ""), Cell(p.unit, tone="muted"),
             text(p.default), Cell("changed" if p.changed else "", tone="warn")] for p in run.parameters]
    return Grid(caption, head, body, missing="no parameters are recorded").html()


def data_quality(rows: Sequence[QualityRow], *, caption: str = "Candle quality") -> Html:
    """Counts of bars by problem, beside how many there are and should be."""
    head = (*words("market"), *counts("bars", "expected"), Column("complete", "of expected"), *counts("missing"),
            Column("longest gap", "minutes"), *counts("duplicates", "off minute", "zero volume", "impossible"),
            *counts("quarantined"), Column("first gap", "UTC", "text"))
    note = "Bad bars are set aside, never filled; zero volume is a fact of quiet markets, not an error."
    return Grid(caption, head, [_quality(row) for row in rows], note, "no candles were checked").html()


def _quality(row: QualityRow) -> list[Cell]:
    share = row.bars / row.expected if row.expected else None
    flawed = [Cell(formats.count(value), tone="warn" if value else "muted")
              for value in (row.duplicates, row.off_minute, row.zero_volume, row.impossible, row.quarantined)]
    tone = "good" if share == 1 else "warn"
    return [Cell(f"{row.symbol} {row.timeframe}"), Cell(formats.count(row.bars)), Cell(formats.count(row.expected)),
            figure(share, formats.percent(share, 3), "no bars were expected", tone=tone),
            Cell(formats.count(row.missing), tone="bad" if row.missing else "muted"),
            Cell(formats.count(row.longest_gap_minutes)), *flawed, text(row.first_gap, title="no gap")]


def warnings(rows: Sequence[Notice], *, caption: str = "Read this first") -> Html:
    """What a reader must know before trusting the page."""
    body = [[Cell(row.severity, tone=_TONE_OF[row.severity]), text(row.where), text(row.message)] for row in rows]
    return Grid(caption, (*words("", "where"), prose("what")), body, missing="no warnings").html()


def archive(rows: Sequence[ArchiveRow], *, caption: str = "Put aside today") -> Html:
    """Members that left the pools for the archive, and why."""
    body = [[Cell(row.pool), _named(row.name, row.identity),
             Cell(formats.short_hash(row.identity), title=row.identity, code=True), text(row.reason)] for row in rows]
    head = (*words("pool", "member", "identity"), prose("reason"))
    return Grid(caption, head, body, missing="nothing was put aside").html()


def focus(rows: Sequence[Focus], *, caption: str = "Questions for tomorrow") -> Html:
    """What tomorrow's design should look at, and what raised it."""
    body = [[Cell(row.area, tone="muted"), text(row.question), text(row.evidence)] for row in rows]
    head = (*words("area"), prose("question"), prose("evidence"))
    return Grid(caption, head, body, missing="no question is open").html()


def timings(rows: Sequence[StepTiming], *, caption: str = "Wall time by step") -> Html:
    """Seconds each step took, and what was reused."""
    body = [[Cell(row.step), figure(row.seconds, formats.number(row.seconds, 1), "the step did not end"),
             Cell(row.state, tone="bad" if row.state == "failed" else ""), text(row.reused_from, title="not reused")]
            for row in rows]
    head = (*words("step"), Column("wall time", "s"), *words("state", "reused from"))
    return Grid(caption, head, body, missing="no step was timed").html()


def strategy_cards(rows: Sequence[StrategyRow], *, limit: int = 5) -> Html:
    """What each strategy does and why it should work: rationale, expressions, parameters; the first is open."""
    shown, missing = rows[:limit], "the pool is empty"
    markup = render("cards.html.j2", {"rows": shown, "missing": missing})
    return Html(str(markup), "\n".join(f"{row.rank}. {row.name}: {row.rationale}" for row in shown) or missing)


def frame(table: pd.DataFrame, *, caption: str, style: FrameStyle | None = None, note: str = "", limit: int = 50,
          missing: str = "nothing to show") -> Html:
    """Any DataFrame: units, headings, formats and reasons by column name come in `style`."""
    return frame_grid(table, style or FrameStyle(), caption=caption, note=note, limit=limit, missing=missing).html()
