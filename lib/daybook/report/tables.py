"""One function a table: report sections (or any DataFrame) in, escaped HTML out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from daybook.report import formats
from daybook.report.frames import FrameStyle, frame_grid
from daybook.report.grid import Cell, Column, Grid, counts, figure, prose, score, stacked, text, words
from daybook.report.model_tables import ensembles, models
from daybook.report.sections import (
    ArchiveRow,
    Changes,
    Focus,
    Gate,
    Metric,
    ModelRow,
    Notice,
    Parameter,
    PoolChange,
    QualityRow,
    RunInfo,
    StepTiming,
    StrategyRow,
    Trials,
)
from daybook.report.table_cells import (
    CHANGE,
    SCORE,
    change,
    interval,
    named,
    sample,
    short_identity,
    tone_of,
    unit_cell,
)
from daybook.report.tournament_tables import forward, null_contests, readings, rejected, robustness
from daybook.report.views import Html, render

__all__ = [
    "archive", "changes", "data_quality", "ensembles", "focus", "forward", "frame", "gates", "models", "null_contests",
    "parameters", "readings", "rejected", "robustness", "said", "strategies", "strategy_cards", "timings", "trials",
    "warnings",
]

_POOL = (
    Column("#"), *words("strategy", "bars"), SCORE, CHANGE,
    Column("PSR", "0–1", help="probabilistic Sharpe ratio: how likely the true Sharpe ratio is above 0"),
    Column("Sharpe", "a year"), Column("n", "hours", help="60-minute blocks behind PSR and Sharpe ratio"),
    *counts("trades"), Column("wins", "of trades"), Column("return", "of capital"), Column("drawdown", "of capital"),
    Column("turnover", "× capital"), Column("born", "UTC", "text"), Column("forward", "days"), *words("gate"),
)
_LONG = 8
_TONE_OF = {"error": "bad", "warning": "warn", "info": "muted"}


def strategies(rows: Sequence[StrategyRow], *, limit: int = 20, caption: str = "Strategy pool") -> Html:
    """The pool in the order of rank: screening figures with their sample sizes, and the gate."""
    note = ("Figures are screening results on the run's window, net of costs: they rank, they prove nothing. "
            "Only days after a strategy's birth (forward) count for its gate.")
    return Grid(caption, _POOL, [_strategy(row) for row in rows[:limit]], note, "the pool is empty").html()


def _strategy(row: StrategyRow) -> list[Cell]:
    why = row.reasons.get
    tone = tone_of(row.total_return)
    return [
        Cell(str(row.rank), title=f"the day before: {formats.count(row.previous_rank)}"),
        Cell(row.name, title=f"{row.name} · {row.identity} · {', '.join(row.symbols)}"), Cell(row.timeframe),
        score(row.score, why("score")), change(row.score, row.previous_score, why("previous_score")),
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


def _gate_mark(gate: Gate | None) -> Cell:
    if gate is None:
        return text("", title="no gate applies")
    return Cell("passed" if gate.passed else "not yet", title=f"{gate.name}: {gate.reason}",
                tone="good" if gate.passed else "muted")


def gates(rows: Sequence[StrategyRow | ModelRow], *, caption: str = "Promotion gates") -> Html:
    """How many passed, in one sentence; every gate with value, interval, threshold and sample size folded below it."""
    gated = [(row, row.gate) for row in rows if row.gate is not None]
    if not gated:
        return Grid(caption, (), (), missing="no member has a gate yet").html()
    passed = [row for row, gate in gated if gate.passed]
    waiting = sum(1 for _, gate in gated if not gate.n)
    longest = max((gate.n or 0 for _, gate in gated), default=0)
    unit = gated[0][1].n_unit
    sentence = f"{len(passed)} of {len(gated)} members passed the gate."
    if waiting == len(gated):
        sentence = f"None of {len(gated)} members has a bar after its birth yet, so none can pass."
    elif not passed:
        sentence += (f" {len(gated) - waiting} collect evidence, the longest record has {longest:,} {unit}; "
                     f"{waiting} have none yet.")
    head = (Column("#"), *words("member", "gate"), *counts("value"), Column("threshold"), *words("unit"),
            Column("interval", "95 %"), *counts("n"), *words("verdict"), prose("reason"))
    body = [[Cell(str(row.rank)), named(row.name, row.identity), *_gate(gate)] for row, gate in gated]
    shown = Grid("Every gate", head, body, folded=not passed).html()
    return stacked(said(caption, sentence), shown)


def _gate(gate: Gate) -> list[Cell]:
    spans = f"{gate.interval_of} " if gate.interval_of else ""
    unit = "" if gate.interval_of else gate.unit
    return [Cell(gate.name, title=gate.name),
            figure(gate.value, formats.figure(gate.value, gate.unit), gate.reasons.get("value")),
            Cell(formats.figure(gate.threshold, gate.unit)), unit_cell(gate.unit),
            interval(gate.interval, unit, spans.strip()), sample(gate.n, gate.n_unit), _gate_mark(gate),
            text(gate.reason)]


def said(title: str, sentence: str) -> Html:
    """A finding in one sentence under its title."""
    return Html(str(render("said.html.j2", {"title": title, "sentence": sentence})), f"{title}: {sentence}")


def changes(value: Changes, *, caption: str = "In and out of the pools") -> Html:
    """Who entered and who left since the day before, each with the reason; who only moved is folded below.

    On the first day everything is new: the list is folded too, since there is nothing to compare it with.
    """
    first = value.since is None and not value.left
    since = f"since {value.since}" if value.since else "no earlier day: everything is new"
    note = f"{len(value.entered)} entered, {len(value.left)} left, {len(value.moved)} moved; {since}."
    arrived = [_changed("entered", row, "good") for row in value.entered]
    gone = [_changed("left", row, "bad") for row in value.left]
    if first and arrived:
        pools = Counter(row.pool for row in value.entered)
        filled = ", ".join(f"{number} {pool}" for pool, number in pools.items())
        everyone = Grid("Who entered", _CHANGED, arrived, note, folded=True).html()
        return stacked(said(caption, f"This is the first day: {filled} fill the empty pools; nothing left."), everyone)
    shown = Grid(caption, _CHANGED, arrived + gone, note, f"nobody entered or left ({since})").html()
    moved = [_changed("moved", row, "muted") for row in value.moved]
    if not moved:
        return shown
    return stacked(shown, Grid("Who changed rank", _CHANGED, moved, "Rank yesterday → today.", folded=True).html())


_CHANGED = (*words("", "pool", "member", "identity"), *counts("rank"), SCORE, CHANGE, prose("why"))


def _changed(kind: str, row: PoolChange, tone: str) -> list[Cell]:
    before, now = formats.count(row.previous_rank), formats.count(row.rank)
    shown = {"entered": now, "left": before, "moved": f"{before} → {now}"}[kind]
    return [Cell(kind, tone=tone), Cell(row.pool), named(row.name, row.identity), short_identity(row.identity),
            Cell(shown), figure(row.score, formats.number(row.score, 1), row.reason),
            change(row.score, row.previous_score, None), text(row.reason)]


def trials(value: Trials, *, caption: str = "Trials: how often luck was tempted") -> Html:
    """Trials today and ever, and the best result beside the best that as many worthless trials would show."""
    best, luck = value.best, value.expected_noise_maximum
    rows = [[Cell(m.name), figure(m.value, formats.figure(m.value, m.unit), m.reason), unit_cell(m.unit),
             sample(m.n, m.n_unit)] for m in (best, luck)]
    sums = [("trials today", value.today), ("trials ever", value.ever)]
    rows += [[Cell(name), Cell(formats.count(number)), Cell("evaluations", tone="muted"), Cell("")]
             for name, number in sums]
    if value.effective is not None:
        rows.append([Cell("today, if related trials count once"), Cell(formats.count(value.effective)),
                     Cell("evaluations", tone="muted"), Cell("")])
    kinds = ", ".join(f"{kind} {formats.count(number)}" for kind, number in sorted(value.by_kind.items()))
    note = f"Every evaluation of anything counts for ever. By kind: {kinds}." if kinds else ""
    grid = Grid("The figures behind it", (*words(""), *counts("value"), *words("unit"), *counts("n")), rows, note)
    return stacked(said(caption, _luck(best, luck)), grid.html())


def _luck(best: Metric, luck: Metric) -> str:
    if best.value is None or luck.value is None:
        return "Too little has traded to compare the best result with luck."
    found, chance = formats.figure(best.value, best.unit), formats.figure(luck.value, luck.unit)
    tried = f" of {formats.count(luck.n)}" if luck.n else ""
    if best.value <= luck.value:
        return (f"Luck alone explains the best result: its Sharpe ratio is {found}, and the best{tried} worthless "
                f"trials would be expected to show {chance}.")
    return (f"The best Sharpe ratio, {found}, is above the {chance} expected from the best{tried} worthless trials. "
            "That is worth watching; only forward evidence can prove it.")


def parameters(run: RunInfo, *, caption: str = "Parameters of this run") -> Html:
    """Every parameter with its default and unit, those that somebody changed first and marked; else folded."""
    head = (*words("parameter"), *counts("value"), *words("unit"), *counts("default"), *words(""))
    ordered = sorted(run.parameters, key=lambda parameter: not parameter.changed)
    unused = {"spread_bps"} if any(p.name == "costs" and p.value == "measured" for p in ordered) else set()
    body = [[Cell(p.name, code=True), text(p.value, tone="warn" if p.changed else ""), Cell(p.unit, tone="muted"),
             text(p.default), _parameter_note(p, unused)] for p in ordered]
    changed = [p.name for p in ordered if p.changed]
    note = f"Changed: {', '.join(changed)}." if changed else "All have their default values."
    return Grid(caption, head, body, note, "no parameters are recorded", folded=not changed).html()


def _parameter_note(parameter: Parameter, unused: set[str]) -> Cell:
    if parameter.name in unused:
        return Cell("not used: costs are measured", tone="muted")
    return Cell("changed" if parameter.changed else "", tone="warn")


def data_quality(rows: Sequence[QualityRow], *, caption: str = "Candle quality") -> Html:
    """Counts of bars by problem, beside how many there are and should be."""
    head = (*words("market"), *counts("expected"), Column("complete", "of expected"), *counts("missing"),
            Column("longest gap", "minutes"), Column("first gap", "UTC", "text"),
            *counts("repeated", "off grid", "zero volume", "impossible", "set aside", "lonely", "revised"))
    note = ("Bad bars are set aside, never filled; zero volume is a fact of quiet markets, not an error. Lonely prices "
            "lie far from their neighbours while no other market moved: they stay, and deserve a look. Revised: bars "
            "that the exchange gave again with other values. Stale: the exchange could not be asked.")
    return Grid(caption, head, [_quality(row) for row in rows], note, "no candles were checked").html()


def _quality(row: QualityRow) -> list[Cell]:
    share = row.bars / row.expected if row.expected else None
    flawed = [Cell(formats.count(value), tone="warn" if value else "muted")
              for value in (row.duplicates, row.off_minute, row.zero_volume, row.impossible, row.quarantined,
                            row.spikes, row.revised)]
    tone = "good" if share == 1 else "warn"
    market = (Cell(f"{row.symbol} {row.timeframe} (stale)", tone="bad") if row.stale
              else Cell(f"{row.symbol} {row.timeframe}"))
    return [market, Cell(formats.count(row.expected)),
            figure(share, formats.percent(share, 3), "no bars were expected", tone=tone),
            Cell(formats.count(row.missing), tone="bad" if row.missing else "muted"),
            Cell(formats.count(row.longest_gap_minutes)), text(row.first_gap, title="no gap"), *flawed]


def warnings(rows: Sequence[Notice], *, caption: str = "Read this first") -> Html:
    """What a reader must know before trusting the page; without a warning it takes no space."""
    if not rows:
        return Html("", "no warnings")
    body = [[Cell(row.severity, tone=_TONE_OF[row.severity]), text(row.where), text(row.message)] for row in rows]
    return Grid(caption, (*words("", "where"), prose("what")), body).html()


def archive(rows: Sequence[ArchiveRow], *, caption: str = "Put aside today") -> Html:
    """Members that left the pools for the archive, and why; a long list is folded."""
    body = [[Cell(row.pool), named(row.name, row.identity),
             Cell(formats.short_hash(row.identity), title=row.identity, code=True), text(row.reason)] for row in rows]
    head = (*words("pool", "member", "identity"), prose("reason"))
    return Grid(caption, head, body, missing="nothing was put aside",
                folded=len(rows) > _LONG).html()


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
          missing: str = "nothing to show", folded: bool = False) -> Html:
    """Any DataFrame: units, headings, formats and reasons by column name come in `style`; folded opens on a click."""
    grid = frame_grid(table, style or FrameStyle(), caption=caption, note=note, limit=limit, missing=missing)
    return replace(grid, folded=folded).html()
