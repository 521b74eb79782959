"""A comparison of two reports as text for a terminal and as tables, in the words of the report's own pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from daybook.report import formats
from daybook.report.grid import Cell, Column, Grid, counts, figure, prose, stacked, text, words
from daybook.report.sections import Metric
from daybook.report.table_cells import named
from daybook.report.views import Html

if TYPE_CHECKING:
    from daybook.report.compare import (
        Comparison,
        FigureChange,
        MedianChange,
        MemberChange,
        NullContestChange,
        ReadingChange,
    )

_SINGULAR = {"strategies": "strategy", "models": "model", "ensembles": "ensemble"}
CONTEST = (("places", "first, places", ""), ("others", "real, n", ""), ("nulls", "know nothing, n", ""),
            ("reached", "of these, among the first", ""), ("expected", "by chance, expected", "score"),
            ("chance", "so few, probability", "probability"), ("chance_above", "so many, probability", "probability"),
            ("best_null_rank", "best, rank", ""))
"""Fields of a contest, the heading and unit of the page's column, and how its figures are written."""
_SEARCHED_ANEW = ("Each run of a day searches anew: these lines are differences between the runs, no entries and "
                  "exits. The pool of the official run stands.")
_OWN_MEMBERS = "each run over its own members, so a difference is not the parameters' alone"


def comparison_text(comparison: Comparison) -> str:
    """The comparison for a terminal: inputs and parameters, then figures side by side, then members."""
    lines = [f"{comparison.b} against {comparison.a}", f"  {_inputs(comparison)}"]
    lines += [f"  parameter {p.name}: {_plain(p.a)} -> {_plain(p.b)} {p.unit}".rstrip() for p in comparison.parameters]
    if comparison.identical:
        return "\n".join([*lines, "  the reports show the same"])
    sections = (("could it be luck?", _differing(comparison.luck, map(_luck_line, comparison.luck))),
                ("contestants that know nothing", _differing(
                    comparison.null_contests, (line for row in comparison.null_contests for line in _contest(row)))),
                (f"medians, {_OWN_MEMBERS}", _differing(
                    comparison.medians, map(_median_line, comparison.medians))),
                ("candidates of both runs, Sharpe", [_figure_line(f) for f in comparison.candidates]))
    for title, section in sections:
        if section:
            lines += [f"  {title}", *(f"    {line}" for line in section)]
    lines += [f"  {_figure_line(f)}" for f in comparison.figures]
    lines += [f"  {_member_line(comparison, m)}" for m in comparison.members]
    if _only_in_one(comparison):
        lines.append(f"  {_SEARCHED_ANEW}")
    return "\n".join(lines)


def comparison_html(comparison: Comparison) -> Html:
    """The comparison as tables, in the order of the text."""
    return stacked(*_tables(comparison))


def _differing(rows: Iterable[ReadingChange | NullContestChange | MedianChange], lines: Iterable[str]) -> list[str]:
    """The lines, or none where every row is equal in both runs."""
    return list(lines) if any(row.differs for row in rows) else []


def _luck_line(row: ReadingChange) -> str:
    old, new = _metrics(row)
    unit = (new or old or Metric(name=row.name, reason="absent")).unit
    known = [m for m in (old, new) if m is not None and m.n is not None]
    sizes = " -> ".join(dict.fromkeys(formats.count(m.n) for m in known))
    sample = f" (n {sizes} {known[-1].n_unit})".replace(" )", ")") if known else ""
    return f"{row.name}: {_pair(old.value if old else None, new.value if new else None, unit)}{sample}{_why(old, new)}"


def _why(old: Metric | None, new: Metric | None) -> str:
    """Why a run has no value."""
    reasons = [(m.reason or "") if m else "not in that run" for m in (old, new) if m is None or m.value is None]
    return f"; {' / '.join(dict.fromkeys(reasons))}" if reasons else ""


def _metrics(row: ReadingChange) -> tuple[Metric | None, Metric | None]:
    return row.a.metric if row.a else None, row.b.metric if row.b else None


def _contest(row: NullContestChange) -> Iterator[str]:
    yield f"{row.who}"
    for label, old, new in _contest_rows(row):
        yield f"  {label}: {old} -> {new}"


def _contest_rows(row: NullContestChange) -> Iterator[tuple[str, str, str]]:
    for field, label, unit in CONTEST:
        old, new = (formats.figure(None if one is None else getattr(one, field), unit) for one in (row.a, row.b))
        yield label, old, new


def _median_line(row: MedianChange) -> str:
    sample = f"n {row.n_a}" if row.n_a == row.n_b else f"n {row.n_a} -> {row.n_b}"
    return f"{row.where} {row.name}: {_pair(row.a, row.b, row.unit)} ({sample})"


def _figure_line(row: FigureChange) -> str:
    return f"{row.where} {formats.metric_name(row.name)}: {_pair(row.a, row.b, row.unit)}"


def _member_line(comparison: Comparison, row: MemberChange) -> str:
    kind, who = _kind(comparison, row), f"{_SINGULAR[row.pool]} {row.name}"
    if row.rank_a is None or row.rank_b is None:
        rank, score = (row.rank_b, row.score_b) if row.rank_a is None else (row.rank_a, row.score_a)
        return f"{kind:11} {who}: rank {formats.count(rank)}, score {formats.number(score, 1)}"
    return (f"{kind:11} {who}: rank {formats.count(row.rank_a)} -> {formats.count(row.rank_b)}, "
            f"score {formats.number(row.score_a, 1)} -> {formats.number(row.score_b, 1)}")


def _kind(comparison: Comparison, row: MemberChange) -> str:
    """What happened to a member; of two runs of one day neither came first."""
    first, second = _labels(comparison)
    alone = {"entered": f"only in {second}", "left": f"only in {first}"} if comparison.same_day else {}
    return alone.get(row.kind, row.kind)


def _labels(comparison: Comparison) -> tuple[str, str]:
    """How the two runs are told apart: by number, where the day is the same."""
    if not comparison.same_day:
        return comparison.a, comparison.b
    return comparison.a.rpartition("/")[2], comparison.b.rpartition("/")[2]


def _only_in_one(comparison: Comparison) -> bool:
    return comparison.same_day and any(row.kind in ("entered", "left") for row in comparison.members)


def _pair(old: float | None, new: float | None, unit: str) -> str:
    return f"{formats.figure(old, unit)} -> {formats.figure(new, unit)} {formats.unit_text(unit)}".rstrip()


def _inputs(comparison: Comparison) -> str:
    named_inputs = (("day", comparison.same_day), ("data", comparison.same_data), ("code", comparison.same_code),
                    ("settings", comparison.same_settings), ("seed", comparison.same_seed))
    return ", ".join(f"{'same' if same else 'other'} {name}" for name, same in named_inputs)


def _plain(value: Any) -> str:
    return formats.MISSING if value is None else str(value)


def _gain(a: Any, b: Any) -> Cell:
    return figure(None if a is None or b is None else b - a, "" if a is None or b is None else formats.signed(b - a),
                  "not in both runs")


def _shown(value: float | None, unit: str, reason: str = "", title: str = "") -> Cell:
    if value is None:
        return figure(None, "", reason or "not in this run")
    return Cell(formats.figure(value, unit), title=title)


def _tables(comparison: Comparison) -> list[Html]:
    first, second = _labels(comparison)
    parameters = [[Cell(p.name, code=True), text(p.a), text(p.b), Cell(p.unit, tone="muted")]
                  for p in comparison.parameters]
    pair = counts(first, second)
    return [
        Grid(f"{comparison.b} against {comparison.a}", (prose("inputs"),), [[Cell(_inputs(comparison))]]).html(),
        Grid("Parameters", (*words("parameter"), *pair, *words("unit")), parameters,
             missing="every parameter is the same").html(),
        *_side_by_side(comparison, first, second),
        _figures("Candidates of both runs: Sharpe ratio", comparison.candidates, first, second,
                 "no candidate is in both runs with other figures"),
        _members(comparison, first, second),
        _figures("Figures", comparison.figures, first, second, "every figure is the same"),
    ]


def _side_by_side(comparison: Comparison, first: str, second: str) -> Iterator[Html]:
    """Luck, nulls and medians: every row, equal ones too."""
    pair = counts(first, second)
    luck = [[Cell(row.name), *_luck_cells(row)] for row in comparison.luck]
    yield Grid("Could it be luck?", (*words("figure"), pair[0], Column("n", first), pair[1], Column("n", second),
                                     *words("unit")), luck, missing="neither report has a reading").html()
    contests = [[Cell(row.who if place == 0 else ""), Cell(label), Cell(old), Cell(new)]
                for row in comparison.null_contests for place, (label, old, new) in enumerate(_contest_rows(row))]
    yield Grid("Contestants that know nothing", (*words("ranked together", "figure"), *pair), contests,
               missing="neither report has a contest").html()
    medians = [[Cell(row.where), Cell(row.name), _shown(row.a, row.unit, "no member has one"),
                Cell(formats.count(row.n_a)), _shown(row.b, row.unit, "no member has one"),
                Cell(formats.count(row.n_b)), Cell(formats.unit_text(row.unit), tone="muted")]
               for row in comparison.medians]
    yield Grid("Medians", (*words("of", "figure"), pair[0], Column("n", first), pair[1], Column("n", second),
                           *words("unit")), medians,
               f"{_OWN_MEMBERS.capitalize()}: a search evolves anew in each. Candidates: Sharpe ratio under dearer "
               "costs and other changes.", "there are no members").html()


def _luck_cells(row: ReadingChange) -> list[Cell]:
    cells: list[Cell] = []
    for reading in (row.a, row.b):
        metric = None if reading is None else reading.metric
        if reading is None or metric is None:
            cells += [figure(None, "", "not in this run"), Cell("")]
            continue
        n = "" if metric.n is None else f"{formats.count(metric.n)} {metric.n_unit}".strip()
        cells += [_shown(metric.value, metric.unit, metric.reason or "", reading.meaning), Cell(n)]
    known = row.b or row.a
    return [*cells, Cell(formats.unit_text(known.metric.unit) if known else "", tone="muted")]


def _members(comparison: Comparison, first: str, second: str) -> Html:
    body = [[Cell(_kind(comparison, m)), Cell(m.pool), named(m.name, m.identity), Cell(formats.count(m.rank_a)),
             Cell(formats.count(m.rank_b)), Cell(formats.number(m.score_a, 1)), Cell(formats.number(m.score_b, 1)),
             _gain(m.score_a, m.score_b)] for m in comparison.members]
    head = (*words("", "pool", "member"), Column("rank", first), Column("rank", second), Column("score", first),
            Column("score", second), Column("change", "points"))
    note = _SEARCHED_ANEW if _only_in_one(comparison) else ""
    return Grid("Pool members", head, body, note, "the pools are the same").html()


def _figures(title: str, rows: Iterable[FigureChange], first: str, second: str, missing: str) -> Html:
    body = [[Cell(f.where), Cell(formats.metric_name(f.name), title=f.name), Cell(formats.figure(f.a, f.unit)),
             Cell(formats.figure(f.b, f.unit)), Cell(formats.unit_text(f.unit), tone="muted")] for f in rows]
    head = (*words("where", "figure"), *counts(first, second), *words("unit"))
    return Grid(title, head, body, missing=missing).html()
