"""Gates: what may be called proven. Screening never is; only a forward record can be, and chance is charged first."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from daybook.core.errors import UsageError
from daybook.rank.evidence import Evidence
from daybook.rank.forward_test import FORWARD_DAYS, ForwardTest
from daybook.rank.score import BLOCKS_PER_DAY, annual_sharpe
from daybook.rank.statistics import deflated_sharpe_ratio, minimum_track_record, moments

Status = Literal["screened", "collecting", "unproven", "proven"]


class GateRules(BaseModel):
    """Thresholds of promotion. min_forward_days: days of evidence before the one test. dsr: probability to exceed.

    min_trades: closed on forward bars.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_forward_days: int = Field(default=FORWARD_DAYS, ge=7)
    dsr: float = Field(default=0.95, gt=0.5, lt=1.0)
    min_trades: int = Field(default=28, ge=1)


class GateResult(BaseModel):
    """A numeric threshold, never shown without its sample: value against threshold, n, interval, passed, reason.

    value and interval are None where the sample does not allow them. unit says what value is; interval_of what the
    interval spans (annualised Sharpe ratio of the forward blocks).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    unit: str
    value: float | None
    threshold: float
    n: int
    interval: tuple[float, float] | None = None
    interval_of: str | None = None
    passed: bool
    reason: str


class Verdict(BaseModel):
    """What may be said of one identity. screened: no forward bar yet. collecting: too few to test.

    unproven: tested, and chance explains it. proven: every gate passed. forward_sharpe: annualised.
    days_to_proof: forward days at which this Sharpe ratio would exceed zero at 95 % (the minimum track record), None
    when it never would. test: its one test, once that was made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    identity: str
    status: Status
    text: str
    gates: tuple[GateResult, ...]
    forward_days: int
    forward_sharpe: float | None = None
    forward_interval: tuple[float, float] | None = None
    days_to_proof: int | None = None
    trials: int
    test: ForwardTest | None = None

    @property
    def proven(self) -> bool:
        """Whether every gate passed."""
        return self.status == "proven"


def verdict(
    evidence: Evidence, trials: int, rules: GateRules | None = None, test: ForwardTest | None = None,
    also: tuple[GateResult, ...] = (),
) -> Verdict:
    """What may be said of a forward record when `trials` evaluations were ever made.

    Nothing is proven from screening: the only inputs are evidence, bars after birth that do not overlap, and the one
    test of it, made once at rules.min_forward_days days at the level that LORD++ allowed. Beside it stand at least
    rules.min_trades trades, and the deflated Sharpe ratio of the whole record with null variance 1/(n - 1) and every
    trial ever counted above rules.dsr. On noise nothing passes.
    trials: >= 1. also: further gates of this day, which must pass too. Raises UsageError for fewer trials and for a
    test of something else.
    """
    if trials < 1:
        raise UsageError(f"trials: found {trials}; what is judged was evaluated at least once.")
    if test is not None and test.born != evidence.born:
        raise UsageError(f"verdict: the test is of {test.name}, born {test.birth_ms}, not of {evidence.identity}.")
    rules = rules or GateRules()
    days = len(evidence.days)
    found = moments(evidence.blocks)
    gates = (_days_gate(days, rules), _trades_gate(evidence.trades, rules), _dsr_gate(evidence, trials, rules),
             _test_gate(evidence, test, rules), *also)
    status: Status = "screened" if days == 0 else "collecting" if days < rules.min_forward_days else "unproven"
    if status == "unproven" and all(gate.passed for gate in gates):
        status = "proven"
    facts: dict[str, object] = {}
    if found is not None:
        annual = annual_sharpe(found)
        needed = minimum_track_record(found.sharpe, found.skew, found.kurtosis)
        facts = {
            "forward_sharpe": annual["sharpe"], "forward_interval": (annual["sharpe_low"], annual["sharpe_high"]),
            "days_to_proof": math.ceil(needed / BLOCKS_PER_DAY) if math.isfinite(needed) else None,
        }
    return Verdict.model_validate({
        "identity": evidence.identity, "status": status, "text": _text(status, days, trials, gates, rules),
        "gates": gates, "forward_days": days, "trials": trials, "test": test, **facts,
    })


def _days_gate(days: int, rules: GateRules) -> GateResult:
    passed = days >= rules.min_forward_days
    missing = rules.min_forward_days - days
    reason = "enough forward days" if passed else f"{missing} more forward days are needed"
    return GateResult(name="forward days", unit="days", value=days, threshold=rules.min_forward_days, n=days,
                      passed=passed, reason=reason)


def _trades_gate(trades: int, rules: GateRules) -> GateResult:
    passed = trades >= rules.min_trades
    reason = "enough forward trades" if passed else f"{rules.min_trades - trades} more forward trades are needed"
    return GateResult(name="forward trades", unit="trades", value=trades, threshold=rules.min_trades, n=trades,
                      passed=passed, reason=reason)


def _dsr_gate(evidence: Evidence, trials: int, rules: GateRules) -> GateResult:
    """The deflated Sharpe ratio; its value is shown from the first defined sample, it passes only on enough days."""
    found = moments(evidence.blocks)
    name, unit = "deflated Sharpe ratio", "probability"
    if found is None:
        return GateResult(name=name, unit=unit, value=None, threshold=rules.dsr, n=evidence.blocks.size, passed=False,
                          reason="the forward blocks are too few or never differ, so that risk is undefined")
    value = deflated_sharpe_ratio(found.sharpe, found.n, trials, found.skew, found.kurtosis)
    annual = annual_sharpe(found)
    enough = len(evidence.days) >= rules.min_forward_days
    if not enough:
        reason = f"not tested before {rules.min_forward_days} forward days"
    elif value > rules.dsr:
        reason = f"better than the best expected of {trials:,} worthless trials"
    else:
        reason = f"the best of {trials:,} worthless trials would look as good"
    return GateResult(name=name, unit=unit, value=value, threshold=rules.dsr, n=found.n,
                      interval=(annual["sharpe_low"], annual["sharpe_high"]), interval_of="annualised Sharpe ratio",
                      passed=enough and value > rules.dsr, reason=reason)


def _test_gate(evidence: Evidence, test: ForwardTest | None, rules: GateRules) -> GateResult:
    """The one test: passed when its p value is at most its level; a record that was not tested passes nothing."""
    name, unit = "the one forward test", "probability"
    if test is None:
        missing = rules.min_forward_days - len(evidence.days)
        reason = f"tested once, in {missing} more forward days" if missing > 0 else "it was not tested"
        return GateResult(name=name, unit=unit, value=None, threshold=0.0, n=evidence.blocks.size, passed=False,
                          reason=reason)
    said = "a discovery" if test.rejected else "no discovery, and there is no second test"
    return GateResult(name=name, unit=unit, value=test.p_value, threshold=test.level, n=test.n, passed=test.rejected,
                      reason=f"tested on {test.day}: {said}")


def _text(status: Status, days: int, trials: int, gates: tuple[GateResult, ...], rules: GateRules) -> str:
    if status == "screened":
        return "Screened only: no bar after its birth has been seen, so nothing is proven."
    if status == "collecting":
        return f"Collecting evidence: {days} of {rules.min_forward_days} forward days; nothing is proven."
    if status == "proven":
        return f"Proven at these gates on {days} forward days, with {trials:,} trials charged."
    failed = "; ".join(f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed)
    return f"Not proven on {days} forward days ({failed})."
