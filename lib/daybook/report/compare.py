"""What differs between two reports: parameters, inputs, pool members, scores, models and trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daybook.report import formats
from daybook.report.document import ReportDocument
from daybook.report.grid import Cell, Column, Grid, counts, figure, prose, stacked, text, words
from daybook.report.sections import Count, ModelRow, Number, Section, StrategyRow
from daybook.report.views import Html

_SINGULAR = {"strategies": "strategy", "models": "model", "ensembles": "ensemble"}
Scalar = bool | int | float | str | None


class ParameterChange(Section):
    """A parameter that differs; one that a run does not have is null there."""

    name: str
    unit: str = ""
    a: Scalar
    b: Scalar


class MemberChange(Section):
    """A member in both pools, or in one alone (rank null in the other)."""

    pool: str
    name: str
    identity: str
    rank_a: Count = None
    rank_b: Count = None
    score_a: Number = None
    score_b: Number = None

    @property
    def kind(self) -> str:
        """entered (only in B), left (only in A), moved (another rank), rescored (another score) or same."""
        if self.rank_a is None:
            return "entered"
        if self.rank_b is None:
            return "left"
        if self.rank_a != self.rank_b:
            return "moved"
        return "rescored" if self.score_a != self.score_b else "same"


class FigureChange(Section):
    """A figure that differs; null where a run does not define it."""

    where: str
    name: str
    unit: str = ""
    a: Number = None
    b: Number = None


class Comparison(Section):
    """Run B against run A; every list holds differences only."""

    a: str
    b: str
    same_day: bool
    same_data: bool
    same_code: bool
    same_settings: bool
    same_seed: bool
    parameters: tuple[ParameterChange, ...] = ()
    members: tuple[MemberChange, ...] = ()
    figures: tuple[FigureChange, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing a reader sees differs."""
        return not (self.parameters or self.members or self.figures) and self.same_data

    def text(self) -> str:
        """The comparison for a terminal."""
        lines = [f"{self.b} against {self.a}", f"  {_inputs(self)}"]
        lines += [f"  parameter {p.name}: {_plain(p.a)} -> {_plain(p.b)} {p.unit}".rstrip() for p in self.parameters]
        lines += [f"  {m.kind:9} {_SINGULAR[m.pool]} {m.name}: "
                  f"rank {formats.count(m.rank_a)} -> {formats.count(m.rank_b)}, "
                  f"score {formats.number(m.score_a, 1)} -> {formats.number(m.score_b, 1)}" for m in self.members]
        lines += [f"  {f.where} {f.name}: {formats.figure(f.a, f.unit)} -> {formats.figure(f.b, f.unit)} "
                  f"{formats.unit_text(f.unit)}".rstrip() for f in self.figures]
        if self.identical:
            lines.append("  the reports show the same")
        return "\n".join(lines)

    def html(self) -> Html:
        """The comparison as tables."""
        return stacked(*_tables(self))


def compare(a: ReportDocument, b: ReportDocument) -> Comparison:
    """What changes from report A to report B; timings are left out."""
    return Comparison(
        a=a.run.run_id, b=b.run.run_id, same_day=a.run.day == b.run.day, same_data=a.run.data_hash == b.run.data_hash,
        same_code=a.run.code_hash == b.run.code_hash, same_settings=a.run.settings_hash == b.run.settings_hash,
        same_seed=a.run.seed == b.run.seed, parameters=tuple(_parameters(a, b)),
        members=tuple(change for pool in ("strategies", "models", "ensembles")
                      for change in _members(pool, getattr(a, pool), getattr(b, pool))),
        figures=tuple(_figures(a, b)))


def _parameters(a: ReportDocument, b: ReportDocument) -> list[ParameterChange]:
    before, after = ({p.name: p for p in document.run.parameters} for document in (a, b))
    changes = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None or (old.value, type(old.value)) != (new.value, type(new.value)):
            known = new or old
            changes.append(ParameterChange(name=name, unit=known.unit if known else "", a=old.value if old else None,
                                           b=new.value if new else None))
    return changes


def _members(pool: str, a: Sequence[StrategyRow | ModelRow], b: Sequence[StrategyRow | ModelRow]) -> list[MemberChange]:
    # A model is trained anew each day and gets a new identity, so its name is what stays.
    before, after = ({_key(pool, row): row for row in rows} for rows in (a, b))
    changes = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        known = new or old
        if known is not None:
            changes.append(MemberChange(
                pool=pool, name=known.name, identity=known.identity, rank_a=old.rank if old else None,
                rank_b=new.rank if new else None, score_a=old.score if old else None,
                score_b=new.score if new else None))
    order = ("entered", "left", "moved", "rescored")
    listed = [change for change in changes if change.kind in order]
    return sorted(listed, key=lambda c: (order.index(c.kind), c.rank_b or c.rank_a or 0, c.identity))


def _key(pool: str, row: StrategyRow | ModelRow) -> str:
    return row.identity if pool == "strategies" else row.name


def _figures(a: ReportDocument, b: ReportDocument) -> list[FigureChange]:
    before, after = _flat(a), _flat(b)
    return [FigureChange(where=key[0], name=key[1], unit=key[2], a=before.get(key), b=after.get(key))
            for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]


def _flat(document: ReportDocument) -> Mapping[tuple[str, str, str], float | None]:
    trials = document.trials
    flat: dict[tuple[str, str, str], float | None] = {
        ("trials", "today", ""): trials.today, ("trials", "ever", ""): trials.ever}
    for metric in (trials.best, trials.expected_noise_maximum):
        flat["trials", metric.name, metric.unit] = metric.value
    for row in (*document.models, *document.ensembles):
        flat |= {(row.name, metric.name, metric.unit): metric.value for metric in row.metrics}
    return flat


def _inputs(comparison: Comparison) -> str:
    named = (("day", comparison.same_day), ("data", comparison.same_data), ("code", comparison.same_code),
             ("settings", comparison.same_settings), ("seed", comparison.same_seed))
    return ", ".join(f"{'same' if same else 'other'} {name}" for name, same in named)


def _plain(value: Scalar) -> str:
    return formats.MISSING if value is None else str(value)


def _gain(a: Any, b: Any) -> Cell:
    return figure(None if a is None or b is None else b - a, "" if a is None or b is None else formats.signed(b - a),
                  "not in both runs")


def _tables(comparison: Comparison) -> list[Html]:
    parameters = [[Cell(p.name, code=True), text(p.a), text(p.b), Cell(p.unit, tone="muted")]
                  for p in comparison.parameters]
    members = [[Cell(m.kind), Cell(m.pool), Cell(m.name, title=m.identity), Cell(formats.count(m.rank_a)),
                Cell(formats.count(m.rank_b)), Cell(formats.number(m.score_a, 1)), Cell(formats.number(m.score_b, 1)),
                _gain(m.score_a, m.score_b)] for m in comparison.members]
    figures = [[Cell(f.where), Cell(f.name), Cell(formats.figure(f.a, f.unit)), Cell(formats.figure(f.b, f.unit)),
                Cell(formats.unit_text(f.unit), tone="muted")] for f in comparison.figures]
    head = (*words("", "pool", "member"), *counts("rank A", "rank B"), Column("score A", "0–100"),
            Column("score B", "0–100"), Column("change", "points"))
    title = f"{comparison.b} (B) against {comparison.a} (A)"
    return [
        Grid(title, (prose("inputs"),), [[Cell(_inputs(comparison))]]).html(),
        Grid("Parameters", (*words("parameter"), *counts("A", "B"), *words("unit")), parameters,
             missing="every parameter is the same").html(),
        Grid("Pool members", head, members, missing="the pools are the same").html(),
        Grid("Figures", (*words("where", "figure"), *counts("A", "B"), *words("unit")), figures,
             missing="every figure is the same").html(),
    ]
