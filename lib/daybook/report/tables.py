"""One function a table: report sections (or any DataFrame) in, escaped HTML out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from daybook.report import formats
from daybook.report.frames import FrameStyle, frame_grid
from daybook.report.grid import Cell, Column, Grid, figure, score, stacked, text, words
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

_POOL_COLUMNS = (
    Column("#"), words("strategy"), words("bars"), Column("score", "0–100", help="50 = as likely as not to make money after costs"),
    Column("change", "points"), Column("PSR", "probability", help="probabilistic Sharpe ratio"), Column("Sharpe", "annualised"), Column("n", "60-min blocks"),
    Column("trades", "count"), Column("win rate", "of trades"), Column("return", "of capital"),
    Column("drawdown", "of capital"), Column("turnover", "× capital"), Column("born", "UTC", "text"),
    Column("forward", "days"), words("gate"),
)


def strategies(rows: Sequence[StrategyRow], *, limit: int = 20, caption: str = "Strategy pool",
               missing: str = "the pool is empty") -> Html:
    """The pool in the order of rank: screening figures with their sample sizes, and the gate."""
    note = ("Figures are screening results on the run's window, net of costs: they rank, they prove nothing. "
            "n counts the 60-minute blocks behind PSR and Sharpe; forward counts days after birth.")
    return Grid(caption, _POOL_COLUMNS, [_strategy(row) for row in rows[:limit]], note, missing).html()


def _strategy(row: StrategyRow) -> list[Cell]:
    why = row.reasons.get
    return [
        Cell(str(row.rank), title=f"the day before: {formats.count(row.previous_rank)}"),
        Cell(row.name, title=f"{row.identity} {', '.join(row.symbols)}"), Cell(row.timeframe),
        score(row.score, why("score")), _change(row.score, row.previous_score, why("previous_score")),
        figure(row.psr, formats.number(row.psr, 3), why("psr")),
        figure(row.sharpe, formats.number(row.sharpe, 1), why("sharpe")),
        figure(row.n_blocks, formats.count(row.n_blocks), why("n_blocks") or why("sharpe")),
        Cell(formats.count(row.trades)),
        figure(row.win_rate, formats.percent(row.win_rate, 0), why("win_rate")),
        figure(row.total_return, formats.percent(row.total_return, 2), why("total_return"), tone=_tone(row.total_return)),
        figure(row.max_drawdown, formats.percent(row.max_drawdown, 2), why("max_drawdown")),
        figure(row.turnover, formats.number(row.turnover, 1), why("turnover")),
        text(row.birth), Cell(formats.count(row.forward_days)), _gate_mark(row.gate),
    ]


def _tone(value: float | None) -> str:
    return "" if not value else "good" if value > 0 else "bad"


def _change(now: float | None, before: float | None, reason: str | None) -> Cell:
    if now is None or before is None:
        return figure(None, "", reason or "no score on both days")
    return Cell(formats.signed(now - before), title=f"the day before: {formats.number(before, 1)}", tone=_tone(round(now - before, 1)))


def _gate_mark(gate: Gate | None) -> Cell:
    if gate is None:
        return text("", title="no gate applies")
    return Cell("passed" if gate.passed else "not yet", title=f"{gate.name}: {gate.reason}",
                tone="good" if gate.passed else "muted")


def gates(rows: Sequence[StrategyRow | ModelRow], *, caption: str = "Promotion gates",
          missing: str = "no member has a gate yet") -> Html:
    """Every gate with its value, interval, threshold, sample size and reason."""
    head = (Column("#"), words("member"), words("gate"), Column("value"), Column("interval"),
            Column("threshold"), words("unit"), Column("n"), words("verdict"), words("reason"))
    body = [[Cell(str(row.rank)), Cell(row.name, title=row.identity), *_gate(row.gate)] for row in rows if row.gate is not None]
    return Grid(caption, head, body, missing=missing).html()


def _gate(gate: Gate) -> list[Cell]:
    return [Cell(gate.name), figure(gate.value, formats.figure(gate.value, gate.unit), gate.reasons.get("value")),
            _interval(gate.interval, gate.unit), Cell(formats.figure(gate.threshold, gate.unit)), text(formats.unit_text(gate.unit), tone="muted"),
            _sample(gate.n, gate.n_unit),
            Cell("passed" if gate.passed else "not yet", tone="good" if gate.passed else "muted"), text(gate.reason)]


def _interval(interval: tuple[float | None, float | None] | None, unit: str) -> Cell:
    if interval is None:
        return figure(None, "", "no interval was computed")
    return Cell(" … ".join(formats.figure(bound, unit) for bound in interval))


def _sample(n: int | None, unit: str) -> Cell:
    return figure(n, f"{formats.count(n)} {unit}".strip(), "no sample size was given")


def models(rows: Sequence[ModelRow], *, caption: str = "Models", missing: str = "no model was trained") -> Html:
    """Every metric of every model beside its baseline, interval and sample size."""
    head = (Column("#"), words("model"), words("target"), Column("score", "0–100"), words("metric"), Column("value"),
            Column("interval"), Column("baseline"), words("against"), words("unit"), Column("n"))
    body = []
    for row in rows:
        for place, metric in enumerate(row.metrics or (None,)):
            first = [Cell(str(row.rank)), Cell(row.name, title=row.identity), text(row.target),
                     score(row.score, row.reasons.get("score"))]
            body.append((first if place == 0 else [Cell("")] * 4) + _metric(metric))
    return Grid(caption, head, body, "Out of fold, purged and embargoed; green is better than the baseline.", missing).html()


def ensembles(rows: Sequence[ModelRow], *, caption: str = "Ensembles", missing: str = "no ensemble was built") -> Html:
    """Every metric of every ensemble, as for models, and the weights of its members."""
    weights = [[Cell(row.name), Cell(member), Cell(formats.number(weight, 3))]
               for row in rows for member, weight in row.members.items()]
    table = models(rows, caption=caption, missing=missing)
    head = (words("ensemble"), words("member"), Column("weight"))
    return stacked(table, Grid("Weights of members", head, weights).html()) if weights else table


def _metric(metric: Metric | None) -> list[Cell]:
    if metric is None:
        return [figure(None, "", "no metric was computed")] * 7
    better = ""
    if metric.value is not None and metric.baseline is not None and metric.better != "neither":
        gain = metric.value - metric.baseline
        better = _tone(-gain if metric.better == "lower" else gain)
    return [Cell(metric.name), figure(metric.value, formats.figure(metric.value, metric.unit), metric.reason, tone=better),
            _interval(metric.interval, metric.unit),
            figure(metric.baseline, formats.figure(metric.baseline, metric.unit), "no baseline applies"),
            text(metric.baseline_name, tone="muted"), text(formats.unit_text(metric.unit), tone="muted"), _sample(metric.n, metric.n_unit)]


def changes(value: Changes, *, caption: str = "What changed, and why") -> Html:
    """Members that entered, left or moved since the day before, each with the reason."""
    head = (words(""), words("pool"), words("member"), Column("rank"), Column("score", "0–100"), Column("change", "points"),
            words("reason"))
    groups = (("entered", value.entered, "good"), ("left", value.left, "bad"), ("moved", value.moved, "muted"))
    body = [_changed(kind, tone, row) for kind, rows, tone in groups for row in rows]
    since = f"since {value.since}" if value.since else "no earlier day: everything is new"
    note = f"{len(value.entered)} entered, {len(value.left)} left, {len(value.moved)} moved; {since}."
    return Grid(caption, head, body, note, f"no member changed ({since})").html()


def _changed(kind: str, tone: str, row: PoolChange) -> list[Cell]:
    ranks = [formats.count(row.previous_rank), formats.count(row.rank)]
    shown = " → ".join(ranks) if kind == "moved" else ranks[0] if kind == "left" else ranks[1]
    return [Cell(kind, tone=tone), Cell(row.pool), Cell(row.name, title=row.identity), Cell(shown),
            figure(row.score, formats.number(row.score, 1), row.reason), _change(row.score, row.previous_score, None),
            text(row.reason)]


def trials(value: Trials, *, caption: str = "Trials: how often luck was tempted") -> Html:
    """Trials today and ever, by kind, and the best of them beside what noise alone would show."""
    head = (words(""), Column("value"), words("unit"), Column("n"), words("note"))
    body = [[Cell("trials today"), Cell(formats.count(value.today)), Cell("evaluations"), Cell(""), Cell("")],
            [Cell("trials ever"), Cell(formats.count(value.ever)), Cell("evaluations"), Cell(""), Cell("")],
            [Cell("effective trials"), figure(value.effective, formats.count(value.effective), "not estimated"),
             Cell("independent"), Cell(""), Cell("")]]
    body += [[Cell(f"of kind {kind}"), Cell(formats.count(count)), Cell("evaluations"), Cell(""), Cell("")]
             for kind, count in sorted(value.by_kind.items())]
    for metric in (value.best, value.expected_noise_maximum):
        body.append([Cell(metric.name), figure(metric.value, formats.figure(metric.value, metric.unit), metric.reason),
                     text(formats.unit_text(metric.unit)), _sample(metric.n, metric.n_unit), text(metric.reason)])
    return Grid(caption, head, body).html()


def parameters(run: RunInfo, *, caption: str = "Parameters of this run") -> Html:
    """Every parameter with its default and unit; those that somebody changed are marked."""
    head = (words("parameter"), Column("value"), words("unit"), Column("default"), words(""))
    body = [[Cell(p.name, code=True), text(p.value, tone="warn" if p.changed else ""), text(p.unit, tone="muted"), text(p.default),
             Cell("changed" if p.changed else "", tone="warn")] for p in run.parameters]
    return Grid(caption, head, body, missing="no parameters are recorded").html()


def data_quality(rows: Sequence[QualityRow], *, caption: str = "Candle quality",
                 missing: str = "no candles were checked") -> Html:
    """Counts of bars by problem, beside how many there are and should be."""
    head = (words("market"), Column("bars"), Column("expected"), Column("complete", "of expected"), Column("missing"), Column("longest gap", "minutes"),
            Column("duplicates"), Column("off minute"), Column("zero volume"), Column("impossible"), Column("quarantined"), Column("first gap", "UTC", "text"))
    return Grid(caption, head, [_quality(row) for row in rows],
                "Bad bars are set aside, never filled; zero volume is a fact of quiet markets, not an error.", missing).html()


def _quality(row: QualityRow) -> list[Cell]:
    share = row.bars / row.expected if row.expected else None
    flawed = [Cell(formats.count(value), tone="warn" if value else "muted")
              for value in (row.duplicates, row.off_minute, row.zero_volume, row.impossible, row.quarantined)]
    return [Cell(f"{row.symbol} {row.timeframe}"), Cell(formats.count(row.bars)), Cell(formats.count(row.expected)),
            figure(share, formats.percent(share, 3), "no bars were expected", tone="good" if share == 1 else "warn"),
            Cell(formats.count(row.missing), tone="bad" if row.missing else "muted"),
            Cell(formats.count(row.longest_gap_minutes)), *flawed, text(row.first_gap, title="no gap")]


def warnings(rows: Sequence[Notice], *, caption: str = "Read this first", missing: str = "no warnings") -> Html:
    """What a reader must know before trusting the page."""
    tones = {"error": "bad", "warning": "warn", "info": "muted"}
    body = [[Cell(row.severity, tone=tones[row.severity]), text(row.where), text(row.message)] for row in rows]
    return Grid(caption, (words(""), words("where"), words("what")), body, missing=missing).html()


def archive(rows: Sequence[ArchiveRow], *, caption: str = "Put aside today", missing: str = "nothing was put aside") -> Html:
    """Members that left the pools for the archive, and why."""
    body = [[Cell(row.pool), Cell(row.name), Cell(formats.short_hash(row.identity), title=row.identity, code=True),
             text(row.reason)] for row in rows]
    head = (words("pool"), words("member"), words("identity"), words("reason"))
    return Grid(caption, head, body, missing=missing).html()


def focus(rows: Sequence[Focus], *, caption: str = "Questions for tomorrow", missing: str = "no question is open") -> Html:
    """What tomorrow's design should look at, and what raised it."""
    body = [[text(row.area, tone="muted"), text(row.question), text(row.evidence)] for row in rows]
    return Grid(caption, (words("area"), words("question"), words("evidence")), body, missing=missing).html()


def timings(rows: Sequence[StepTiming], *, caption: str = "Wall time by step", missing: str = "no step was timed") -> Html:
    """Seconds each step took, and what was reused."""
    body = [[Cell(row.step), figure(row.seconds, formats.number(row.seconds, 1), "the step did not end"),
             Cell(row.state, tone="bad" if row.state == "failed" else ""), text(row.reused_from, title="not reused")]
            for row in rows]
    head = (words("step"), Column("wall time", "s"), words("state"), words("reused from"))
    return Grid(caption, head, body, missing=missing).html()


def strategy_cards(rows: Sequence[StrategyRow], *, limit: int = 5, missing: str = "the pool is empty") -> Html:
    """What each strategy does and why it should work: rationale, expressions, parameters; the first is open."""
    markup = render("cards.html.j2", {"rows": rows[:limit], "missing": missing})
    return Html(str(markup), "\n".join(f"{row.rank}. {row.name}: {row.rationale}" for row in rows[:limit]) or missing)


def frame(table: pd.DataFrame, *, caption: str, style: FrameStyle | None = None, note: str = "", limit: int = 50,
          missing: str = "nothing to show") -> Html:
    """Any DataFrame: units, headings, formats and reasons by column name come in `style`."""
    return frame_grid(table, style or FrameStyle(), caption=caption, note=note, limit=limit, missing=missing).html()
