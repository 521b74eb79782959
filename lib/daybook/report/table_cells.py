"""Cells that several tables share: scores and their change, intervals, samples, units, names."""

from __future__ import annotations

from daybook.report import formats
from daybook.report.grid import Cell, Column, figure

SCORE = Column("score", "0–100", help="50 = as likely as not to make money after costs")
CHANGE = Column("change", "points", help="against the score of the day before")

PERCENTILES = ("Costs p50 and p90: the Sharpe ratio if every fill paid the 50th or the 90th percentile of the measured "
               "spread and slippage in place of their mean; half of all moments were cheaper than p50, nine in ten "
               "than p90.")
"""How to read the columns that only a day with measured costs has."""


def tone_of(value: float | None) -> str:
    """Green for a gain, orange for a loss."""
    return "" if not value else "good" if value > 0 else "bad"


def change(now: float | None, before: float | None, reason: str | None) -> Cell:
    """By how many points a score moved since the day before."""
    if now is None or before is None:
        return figure(None, "", reason or "no score on both days")
    gain = round(now - before, 1)
    return Cell(formats.signed(gain), title=f"the day before: {formats.number(before, 1)}", tone=tone_of(gain))


def interval(bounds: tuple[float | None, float | None] | None, unit: str, spans: str = "") -> Cell:
    """`low … high`; spans says what it is the interval of when that is not the value beside it."""
    if bounds is None:
        return figure(None, "", "no interval was computed")
    shown = " … ".join(formats.figure(bound, unit) for bound in bounds)
    return Cell(shown, title=f"of the {spans}" if spans else "")


def sample(n: int | None, unit: str) -> Cell:
    """A sample size with what was counted."""
    return figure(n, f"{formats.count(n)} {unit}".strip(), "no sample size was given")


def unit_cell(unit: str) -> Cell:
    """The unit of a figure, muted."""
    return Cell(formats.unit_text(unit), tone="muted")


def named(name: str, identity: str) -> Cell:
    """A name whose whole identity shows on hover."""
    return Cell(name, title=f"{name} · {identity}")


def short_identity(identity: str) -> Cell:
    """The first characters of an identity: what tells two designs of one name apart."""
    return Cell(formats.short_hash(identity, 6), title=identity, code=True)
