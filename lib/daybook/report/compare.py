"""What differs between two reports: parameters, inputs, luck, nulls, candidates' costs, pool members, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from daybook.report.compare_views import comparison_html, comparison_text
from daybook.report.document import ReportDocument
from daybook.report.sections import Count, ModelRow, Number, Row, Section, StrategyRow
from daybook.report.tournament import NullContest, Reading, RobustnessRow
from daybook.report.views import Html

Scalar = bool | int | float | str | None
_CANDIDATES = {"sharpe": "as it is", "sharpe_double_costs": "costs × 2", "sharpe_p50": "costs p50",
               "sharpe_p90": "costs p90", "sharpe_bar_later": "a bar later", "sharpe_without": "worst without"}
_POOL = {"score": ("score", "score"), "psr": ("PSR", ""), "sharpe": ("Sharpe", "annualised"),
         "total_return": ("return", "fraction"), "max_drawdown": ("drawdown", "fraction"),
         "turnover": ("turnover", "× capital")}
"""Fields of a row -> what the report's tables call them (and their unit)."""


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
        """entered (only in B), left (only in A), moved (another rank), rescored (another score) or same.

        Of two runs of one day neither came first: what is only in one of them did not enter or leave a pool.
        """
        if self.rank_a is None:
            return "entered"
        if self.rank_b is None:
            return "left"
        if self.rank_a != self.rank_b:
            return "moved"
        return "rescored" if self.score_a != self.score_b else "same"


class FigureChange(Section):
    """A figure that differs; null where a run does not define it. name: as in the report, `formats` has the words."""

    where: str
    name: str
    unit: str = ""
    a: Number = None
    b: Number = None


class MedianChange(Section):
    """The median of a figure over today's candidates or over a pool, each run with its own members.

    n_a, n_b: members for which the figure is defined.
    """

    where: str
    name: str
    unit: str = ""
    a: Number = None
    b: Number = None
    n_a: int
    n_b: int

    @property
    def differs(self) -> bool:
        """Whether the runs differ here."""
        return (self.a, self.n_a) != (self.b, self.n_b)


class ReadingChange(Section):
    """A reading about luck in both reports, null where one does not have it."""

    name: str
    a: Reading | None = None
    b: Reading | None = None

    @property
    def differs(self) -> bool:
        """Whether the runs differ here."""
        return self.a != self.b


class NullContestChange(Section):
    """A contest with null contestants in both reports, null where one does not have it."""

    who: str
    a: NullContest | None = None
    b: NullContest | None = None

    @property
    def differs(self) -> bool:
        """Whether the runs differ here."""
        return self.a != self.b


class Comparison(Section):
    """Run B against run A.

    parameters, members, figures and candidates hold differences only; luck, null_contests and medians stand side by
    side, equal ones included. candidates: figures of those that both runs had.
    """

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
    luck: tuple[ReadingChange, ...] = ()
    null_contests: tuple[NullContestChange, ...] = ()
    medians: tuple[MedianChange, ...] = ()
    candidates: tuple[FigureChange, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing a reader sees differs."""
        listed = self.parameters or self.members or self.figures or self.candidates
        beside: tuple[ReadingChange | NullContestChange | MedianChange, ...] = (
            *self.luck, *self.null_contests, *self.medians)
        return self.same_data and not listed and not any(row.differs for row in beside)

    def text(self) -> str:
        """The comparison for a terminal."""
        return comparison_text(self)

    def html(self) -> Html:
        """The comparison as tables."""
        return comparison_html(self)


def compare(a: ReportDocument, b: ReportDocument) -> Comparison:
    """What changes from report A to report B; timings are left out."""
    return Comparison(
        a=a.run.run_id, b=b.run.run_id, same_day=a.run.day == b.run.day, same_data=a.run.data_hash == b.run.data_hash,
        same_code=a.run.code_hash == b.run.code_hash, same_settings=a.run.settings_hash == b.run.settings_hash,
        same_seed=a.run.seed == b.run.seed, parameters=tuple(_parameters(a, b)),
        members=tuple(change for pool in ("strategies", "models", "ensembles")
                      for change in _members(pool, getattr(a, pool), getattr(b, pool))),
        figures=tuple(_figures(a, b)), luck=tuple(_luck(a, b)), null_contests=tuple(_null_contests(a, b)),
        medians=tuple(_medians(a, b)), candidates=tuple(_candidates(a, b)))


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


def _luck(a: ReportDocument, b: ReportDocument) -> list[ReadingChange]:
    before, after = ({row.metric.name: row for row in document.luck} for document in (a, b))
    return [ReadingChange(name=name, a=before.get(name), b=after.get(name))
            for name in dict.fromkeys([*before, *after])]


def _null_contests(a: ReportDocument, b: ReportDocument) -> list[NullContestChange]:
    before, after = ({row.who: row for row in document.null_contests} for document in (a, b))
    return [NullContestChange(who=who, a=before.get(who), b=after.get(who))
            for who in dict.fromkeys([*before, *after])]


def _medians(a: ReportDocument, b: ReportDocument) -> list[MedianChange]:
    # A search evolves anew in each run, so the members may all be others; what is typical of them still compares.
    found = [_median("candidates", label, "annualised", field, a.robustness, b.robustness)
             for field, label in _CANDIDATES.items()]
    found += [_median("strategy pool", label, unit, field, a.strategies, b.strategies)
              for field, (label, unit) in _POOL.items()]
    return [row for row in found if row.n_a or row.n_b]


def _median(where: str, label: str, unit: str, field: str, a: Sequence[Row], b: Sequence[Row]) -> MedianChange:
    old, new = ([value for row in rows if (value := getattr(row, field)) is not None] for rows in (a, b))
    return MedianChange(where=where, name=label, unit=unit, a=median(old) if old else None,
                        b=median(new) if new else None, n_a=len(old), n_b=len(new))


def _candidates(a: ReportDocument, b: ReportDocument) -> list[FigureChange]:
    before, after = ({(row.identity, row.timeframe): row for row in document.robustness} for document in (a, b))
    pairs: list[tuple[RobustnessRow, RobustnessRow]] = [(row, after[key]) for key, row in before.items()
                                                        if key in after]
    return [FigureChange(where=f"{old.name} {old.timeframe}", name=label, unit="annualised", a=getattr(old, field),
                         b=getattr(new, field))
            for old, new in pairs for field, label in _CANDIDATES.items() if getattr(old, field) != getattr(new, field)]
