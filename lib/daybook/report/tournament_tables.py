"""Tables of the tournament: each with its sample sizes and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from daybook.report import formats
from daybook.report.grid import Cell, Column, Grid, counts, figure, prose, score, stacked, text, words
from daybook.report.table_cells import PERCENTILES, interval, named, sample, short_identity, tone_of
from daybook.report.tournament import (
    ForwardRow,
    NullContest,
    Reading,
    RejectedRow,
    RobustnessRow,
    StateReturn,
)
from daybook.report.views import Html, render

_MANY = 8
_CHANCE = 0.05
_NEARLY_ONE = 0.98
_AS_SET = "costs are set"
_STATES = {"low": "calm", "middle": "medium", "high": "wild", "tokyo": "Tokyo", "london": "London",
           "new_york": "New York", "off": "between", "weekend": "weekend"}
_VERDICT_TONES = {"plateau": "good", "slope": "", "spike": "bad"}


def readings(rows: Sequence[Reading], *, caption: str = "Could it be luck?") -> Html:
    """Every figure about luck with its sample and what it says."""
    body = [[Cell(row.metric.name), figure(row.metric.value, formats.figure(row.metric.value, row.metric.unit),
                                           row.metric.reason),
             Cell("") if row.metric.n is None else sample(row.metric.n, row.metric.n_unit), text(row.meaning)]
            for row in rows]
    note = ("PSR and DSR: probabilistic and deflated Sharpe ratio (Bailey and López de Prado). PBO: probability of "
            "backtest overfitting. SPA: test of superior predictive ability (Hansen). StepM: stepwise test of many "
            "(Romano and Wolf).")
    head = (*words("figure"), *counts("value"), *counts("n"), prose("what it says"))
    return Grid(caption, head, body, note if body else "", "nothing was tried").html()


def _correlation(value: float | None) -> str:
    """Two digits; near 1, where 0.99 decides whether a candidate is a twin, four."""
    return formats.number(value, 2 if value is None or abs(value) < _NEARLY_ONE else 4)


def null_contests(rows: Sequence[NullContest], *, caption: str = "Contestants that know nothing") -> Html:
    """How far random entries and copies shuffled in time came in today's ranking."""
    note = ("Each strategy is copied twice, with entries at random and with its signals moved in time. The first trade "
            "as often and as long; the others keep their stops, so that they may turn over half as much or twice. All "
            "are scored and ranked by the same rules and never enter a pool. How to read: "
            "the fewer of them are among the first, the more the ranking is worth; as many as chance means it is worth "
            "nothing, and more that it picks the wrong ones. The pool was chosen on most of these hours and starts "
            "ahead. Members of it that were re-tuned were picked for a low score on this very window and start behind: "
            "they are not among the new designs, which start level.")
    head = (*words("ranked together"), Column("first", "places"), Column("real", "n"), Column("know nothing", "n"),
            Column("of these", "among the first"), Column("by chance", "expected"),
            Column("so few", "probability", help="if nobody knew anything"),
            Column("so many", "probability", help="if nobody knew anything"), Column("best", "rank"),
            prose("what it says"))
    body = [[Cell(row.who), Cell(formats.count(row.places)), Cell(formats.count(row.others)),
             Cell(formats.count(row.nulls)), Cell(formats.count(row.reached)),
             figure(row.expected, formats.number(row.expected, 1), row.meaning),
             figure(row.chance, formats.figure(row.chance, "probability"), row.meaning),
             figure(row.chance_above, formats.figure(row.chance_above, "probability"), row.meaning),
             figure(row.best_null_rank, formats.count(row.best_null_rank), "none of them has a score"),
             text(row.meaning)] for row in rows]
    return Grid(caption, head, body, note, "nobody competed").html()


def robustness(rows: Sequence[RobustnessRow], *, caption: str = "Today's candidates") -> Html:
    """Candidates under dearer costs and other changes, in other states of the market, and beside plain alternatives."""
    missing = "no candidate reached the backtest"
    if not rows:
        return _stress(rows, f"{caption}: what if something had been different?", missing)
    return stacked(_stress(rows, f"{caption}: what if something had been different?", missing),
                   _states(rows, f"{caption}: when was it earned?"),
                   _beside(rows, f"{caption}: beside doing something simpler"))


def _stress(rows: Sequence[RobustnessRow], caption: str, missing: str) -> Html:
    measured = any(_AS_SET not in row.reasons.get("sharpe_p50", "") for row in rows)
    head = (*words("candidate", "bars"), Column("trades", "n"), Column("n", "hours"), Column("as it is", "Sharpe"),
            Column("costs × 2", "Sharpe"),
            *((Column("costs p50", "Sharpe"), Column("costs p90", "Sharpe")) if measured else ()),
            Column("a bar later", "Sharpe"), Column("worst without", "Sharpe"), *words("a market"),
            Column("keep half", "of n neighbours"), *words("that is"))
    note = ("How to read: an edge keeps most of its Sharpe ratio (a year, after costs) in every column; one that needs "
            "the very bar, the very parameters (a spike) or a single market was probably fitted. Neighbours have one "
            "parameter moved by a tenth.")
    if measured:
        note += f" {PERCENTILES}"
    elif rows:
        note += " Costs are set, not measured, so that there are no p50 and p90 of them."
    return Grid(caption, head, [_stressed(row, measured) for row in rows], note, missing).html()


def _stressed(row: RobustnessRow, measured: bool) -> list[Cell]:
    percentiles = [_sharpe(row, "sharpe_p50"), _sharpe(row, "sharpe_p90")] if measured else []
    return [named(row.name, row.identity), Cell(row.timeframe), Cell(formats.count(row.trades)),
            Cell(formats.count(row.n_blocks)), _sharpe(row, "sharpe"), _sharpe(row, "sharpe_double_costs"),
            *percentiles, _sharpe(row, "sharpe_bar_later"), _sharpe(row, "sharpe_without"),
            text(row.without, title=row.reasons.get("sharpe_without", "")),
            figure(row.half, f"{formats.percent(row.half, 0)} of {row.neighbours}", row.reasons.get("half")),
            text(row.neighbourhood, title=row.reasons.get("half", ""), tone=_VERDICT_TONES.get(row.neighbourhood, ""))]


def _sharpe(row: RobustnessRow, name: str) -> Cell:
    value = getattr(row, name)
    return figure(value, formats.number(value, 1), row.reasons.get(name), tone=tone_of(value))


def _states(rows: Sequence[RobustnessRow], caption: str) -> Html:
    first = rows[0]
    head = (*words("candidate"), *(Column(_STATES.get(one.state, one.state), f"{formats.count(one.n_hours)} h")
                                   for one in (*first.volatility, *first.session)))
    body = [[named(row.name, row.identity), *(_earned(one, row) for one in (*row.volatility, *row.session))]
            for row in rows]
    note = ("Return in % of capital by the state that was known before the hour: volatility of the hour before in "
            "thirds of its past (calm, medium, wild), then session; below each, its market-hours. How to read: an edge "
            "that lives in one column alone needs that state to come again.")
    return Grid(caption, head, body, note, folded=len(rows) > _MANY).html()


def _earned(state: StateReturn, row: RobustnessRow) -> Cell:
    return figure(state.total_return, formats.percent(state.total_return, 2), "no hour of this state",
                  tone=_return_tone(state.total_return, row))


def _return_tone(value: float | None, row: RobustnessRow) -> str:
    """No colour where too little was traded for a Sharpe ratio: the return happened, and says nothing more."""
    return "" if row.sharpe is None else tone_of(value)


def _beside(rows: Sequence[RobustnessRow], caption: str) -> Html:
    head = (*words("candidate"), Column("return", "of capital"), Column("holding", "of capital"),
            Column("beats random rules", "share"), Column("random rules", "n"), Column("most alike", "correlation"),
            *words("incumbent"), Column("capacity", "quote currency"), Column("entries", "n"))
    body = [[named(row.name, row.identity), _percent(row, "total_return", _return_tone(row.total_return, row)),
             _percent(row, "hold_return", tone_of(row.hold_return)),
             figure(row.random_percentile, formats.percent(row.random_percentile, 0),
                    row.reasons.get("random_percentile")),
             Cell(formats.count(row.random_rules)),
             figure(row.correlation, _correlation(row.correlation), row.reasons.get("correlation")),
             text(row.correlated_with, title=row.reasons.get("correlation", "")),
             figure(row.capacity, formats.significant(row.capacity), row.reasons.get("capacity")),
             Cell(formats.count(row.trades))] for row in rows]
    note = ("Holding: every market bought with equal capital at the window's second minute and sold at its end, at "
            "cost, as the line of buy and hold is drawn. Random rules hold the same sides for the same times, "
            "entered at random; nothing is chosen from them, so they are a yardstick and count as no trials. Capacity: "
            "capital at which a median entry is 1 % of its bar's volume. How to read: "
            f"{_above_random(rows)}a correlation near 1 means the pool has it already.")
    return Grid(caption, head, body, note, folded=len(rows) > _MANY).html()


def _above_random(rows: Sequence[RobustnessRow]) -> str:
    """How many candidates lie above 95 % of their random rules, beside how many of so many luck alone would put there.

    Candidates that are alike are there together, so the two numbers carry no probability.
    """
    known = [row.random_percentile for row in rows if row.random_percentile is not None]
    if not known:
        return ""
    above, expected = sum(share > 1.0 - _CHANCE for share in known), _CHANCE * len(known)
    number = f"{len(known)} candidate{'' if len(known) == 1 else 's'}"
    said = ("more than that, which does not say who is there by skill" if above > expected
            else "no more than that")
    return (f"of {number}, luck in timing alone puts {formats.number(expected, 1)} above 95 % of their random rules; "
            f"{above} {'is' if above == 1 else 'are'} there, {said}; ")


def _percent(row: RobustnessRow, name: str, tone: str) -> Cell:
    value = getattr(row, name)
    return figure(value, formats.percent(value, 2), row.reasons.get(name), tone=tone)


def forward(rows: Sequence[ForwardRow], *, caption: str = "Records since birth") -> Html:
    """Every member's bars after its birth: how long, how good, how long a proof would take, and its one test."""
    begun = [row for row in rows if row.forward_days]
    if rows and not begun:
        return Grid(caption, (), (), missing=f"none of {len(rows)} members has a day after its birth yet").html()
    head = (*words("member", "born"), Column("days", "of those needed"), Column("trades", "n"),
            Column("Sharpe", "a year"), Column("95 %", "one look"), Column("n", "hours"),
            Column("daily return", "95 %, any night"), Column("track record", "days needed"), *words("tested"),
            Column("p", "of chance"), Column("level", "allowed"), prose("what may be said"))
    body = [[named(row.name, row.identity), Cell(row.birth), Cell(f"{row.forward_days} of {row.needed_days}"),
             Cell(formats.count(row.trades)), figure(row.sharpe, formats.number(row.sharpe, 1),
                                                     row.reasons.get("sharpe")),
             interval(row.interval, "annualised"), Cell(formats.count(row.n_blocks)), interval(row.nightly, "fraction"),
             figure(row.track_record_days, formats.count(row.track_record_days), row.reasons.get("track_record_days")),
             text(row.tested, title="not yet"), _p_value(row),
             figure(row.level, formats.significant(row.level), row.reasons.get("p_value")),
             Cell(row.verdict, tone="good" if row.proven else "")] for row in begun]
    waiting = len(rows) - len(begun)
    note = ("Only bars after birth count, each once. How to read: the interval of the daily return may be looked at "
            "every night; the one test falls on the last needed day and is never repeated, at a level that keeps the "
            "share of false discoveries over all tests ever below 5 % (LORD++). Track record: days after which this "
            "Sharpe ratio would exceed zero at 95 %.")
    if waiting:
        note += f" {waiting} more {'has' if waiting == 1 else 'have'} no day after birth yet."
    if not rows:
        return Grid(caption, head, (), missing="the pools are empty").html()
    sentence = _begun(begun)
    found = Html(str(render("said.html.j2", {"title": caption, "sentence": sentence})), f"{caption}: {sentence}")
    return stacked(found, Grid("Every record", head, body, note, folded=len(begun) > _MANY).html())


def _begun(rows: Sequence[ForwardRow]) -> str:
    """How far the records are, in one sentence."""
    longest = max(rows, key=lambda row: row.forward_days)
    tested = [row for row in rows if row.tested]
    found = sum(row.p_value is not None and row.level is not None and row.p_value <= row.level for row in tested)
    who = "1 member collects" if len(rows) == 1 else f"{len(rows)} members collect"
    said = f"{who} days since birth; the longest record has {longest.forward_days} of {longest.needed_days}. "
    if not tested:
        left = longest.needed_days - longest.forward_days
        return said + f"None is tested yet; the first test falls due in {left} {'day' if left == 1 else 'days'}."
    return said + (f"{len(tested)} of them had their one test: {found} "
                   f"{'is a discovery' if found == 1 else 'are discoveries'}.")


def _p_value(row: ForwardRow) -> Cell:
    tone = "" if row.p_value is None or row.level is None else "good" if row.p_value <= row.level else "muted"
    return figure(row.p_value, formats.significant(row.p_value), row.reasons.get("p_value"), tone=tone)


def rejected(rows: Sequence[RejectedRow], *, caption: str = "Candidates that did not enter") -> Html:
    """Candidates that did not enter a pool, and why; members that re-tuning left as they were say so."""
    head = (*words("pool", "candidate", "identity"), Column("score", "0–100"), prose("why"))
    body = [[Cell(row.pool), named(row.name, row.identity), short_identity(row.identity), score(row.score, row.reason),
             text(row.reason)] for row in rows]
    note = "Every strategy that was tested today either entered the pool or is listed here." if rows else ""
    return Grid(caption, head, body, note, missing="every candidate entered, or there was none",
                folded=len(rows) > _MANY).html()
