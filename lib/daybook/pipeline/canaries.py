"""Daily canaries: faults planted on purpose that the day's own guards must find. A canary that fails makes the day red.

Each is cheap, seeded and the same every day: it tells whether the code, packages and machine of this day still do what
they are trusted with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

from daybook.backtest import block_returns, sweep
from daybook.core.arrays import Bytes, Floats
from daybook.core.errors import DataError
from daybook.core.time import DAY_MS, Window, day_of, day_start_ms, parse_day
from daybook.execution import Costs
from daybook.features import catalog
from daybook.features.causality import first_leak
from daybook.market import Bars, synthetic_bars
from daybook.pipeline.day import Day
from daybook.rank import (
    FORWARD_DAYS,
    Evidence,
    EvidenceDay,
    ForwardTest,
    GateResult,
    TrialLedger,
    Verdict,
    due_tests,
    equal_capital,
    score,
    verdict,
)
from daybook.rank.ledger import SCHEMA, chained, checked, first_broken, row_digests
from daybook.rank.score import BLOCKS_PER_DAY
from daybook.report import Headline, Notice, ReportDocument
from daybook.strategy import Strategy, parse_spec, signal_bits
from daybook.strategy.errors import ExpressionError, SpecError

NAME = "canaries"
"""The artefact of 00_score that holds the day's report."""
_SEED = 11
_START_MS = day_start_ms(parse_day("2026-01-01"))
_WINDOW = Window(_START_MS, _START_MS + FORWARD_DAYS * DAY_MS)
_SYMBOLS = ("BTCUSDT", "ETHUSDT")
_TRIALS = 1000
"""Trials that the planted edge is charged with."""
_PROBE_BARS = 1500
_CUTS = (400, 901, 1499)
_FREE = Costs(fee_bps=0.0, spread_bps=0.0)
_SURGE = "volume > 7 * sma(volume, 240)"
EDGE = {
    "name": "planted-edge", "timeframes": ["1m"], "max_holding": 15,
    "long_entry": f"{_SURGE} and close - low > 0.85 * (high - low)",
    "short_entry": f"{_SURGE} and high - close > 0.85 * (high - low)",
}
"""The rule of the built-in planted market (market.planted_signal), as a spec."""
DECOYS: tuple[dict[str, Any], ...] = (
    {"name": "decoy-reversion", "timeframes": ["1m"], "max_holding": 60,
     "long_entry": "cross_below(rsi(close, 14), 25)", "short_entry": "cross_above(rsi(close, 14), 75)"},
    {"name": "decoy-trend", "timeframes": ["1m"], "long_entry": "cross_above(sma(close, 60), sma(close, 240))",
     "short_entry": "cross_below(sma(close, 60), sma(close, 240))"},
)


@dataclass(frozen=True)
class Canary:
    """One planted fault: what was put in, what the guard must do, what it did, and whether that is right."""

    name: str
    injected: str
    expected: str
    found: str
    ok: bool


@dataclass(frozen=True)
class CanaryReport:
    """The canaries of a day, in their fixed order."""

    rows: tuple[Canary, ...]

    @property
    def failed(self) -> tuple[Canary, ...]:
        """Those whose guard did not do its work."""
        return tuple(row for row in self.rows if not row.ok)

    @property
    def text(self) -> str:
        """One sentence for people; empty where every canary sang."""
        if not self.failed:
            return ""
        names = ", ".join(row.name for row in self.failed)
        return (f"RED: {len(self.failed)} of {len(self.rows)} canaries failed ({names}), so nothing of this day may be "
                "believed before the guard is mended, and nothing is promoted.")

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gate that withholds promotion on a red day; none on any other."""
        if not self.failed:
            return ()
        passed = len(self.rows) - len(self.failed)
        return (GateResult(name="canaries", unit="canaries", value=passed, threshold=len(self.rows), n=len(self.rows),
                           passed=False, reason="a canary failed today, so nothing is promoted"),)

    def frame(self) -> pd.DataFrame:
        """One row a canary, as the page shows it."""
        frame = pd.DataFrame([asdict(row) for row in self.rows])
        frame["ok"] = np.where(frame["ok"], "as it must be", "FAILED")
        return frame

    def headline(self, of: Headline) -> Headline:
        """The headline as it was, or red."""
        return of.model_copy(update={"verdict": f"{self.text} {of.verdict}", "tone": "bad"}) if self.failed else of

    def notices(self) -> tuple[Notice, ...]:
        """What the report says first on a red day."""
        return tuple(Notice(where=f"canary: {row.name}", message=f"{row.injected}: expected {row.expected}; found "
                            f"{row.found}", severity="error") for row in self.failed)


def run_canaries(day: Day) -> CanaryReport:
    """Run every canary and write the report as an artefact of the step. Changes nothing else of the day."""
    rows = tuple(_run(*canary) for canary in CANARIES)
    day.write(NAME, [asdict(row) for row in rows])
    return CanaryReport(rows)


def read_canaries(day: Day) -> CanaryReport:
    """The report that 00_score wrote."""
    return CanaryReport(tuple(Canary(**row) for row in day.read_json("00_score", NAME)))


def reddened(report: ReportDocument, canaries: CanaryReport) -> ReportDocument:
    """The report as it was, or with a red verdict and the failed canaries before all other notices."""
    if not canaries.failed:
        return report
    return report.model_copy(update={
        "headline": canaries.headline(report.headline), "warnings": (*canaries.notices(), *report.warnings)})


Outcome = tuple[bool, str]


def _run(name: str, injected: str, expected: str, check: Callable[[], Outcome]) -> Canary:
    """One row; a guard that breaks is a guard that failed, and the row says how."""
    try:
        ok, found = check()
    except Exception as error:  # whatever broke it, the day goes on and is red
        ok, found = False, f"the guard broke: {type(error).__name__}: {error}"
    return Canary(name, injected, expected, found, ok)


# ---- leaks


def _leaking_feature() -> Outcome:
    def tomorrow(bars: Bars) -> Floats:
        return np.append(np.diff(np.log(bars.close)), np.nan)

    return _caught(tomorrow, catalog()["rsi_14"].values)


def _leaking_strategy() -> Outcome:
    strategy = parse_spec(DECOYS[0])

    def early(bars: Bars) -> Bytes:
        return np.append(signal_bits(strategy, bars)[3:], np.zeros(3, dtype=np.uint8))

    return _caught(early, lambda bars: signal_bits(strategy, bars))


def _caught(leaking: Callable[[Bars], Any], sound: Callable[[Bars], Any]) -> Outcome:
    """The check must find the leak, and must not cry over the series that has none."""
    bars = _market("planted")[0].rows(0, _PROBE_BARS)
    leak, false_alarm = first_leak(leaking, bars, _CUTS), first_leak(sound, bars, _CUTS)
    if false_alarm is not None:
        return False, f"a false alarm: the sound series beside it was called leaking, {false_alarm.text}"
    return leak is not None, "no leak" if leak is None else f"caught: {leak.text}"


# ---- an edge, and none


def _planted_edge() -> Outcome:
    best, judged = _tournament("planted")
    return best.name == EDGE["name"] and judged.proven, _told(best, judged)


def _no_edge() -> Outcome:
    best, judged = _tournament("noise")
    return not judged.proven, _told(best, judged)


def _told(best: Strategy, judged: Verdict) -> str:
    return f"{best.name} came first and is {judged.status}, a Sharpe ratio of {judged.forward_sharpe or 0.0:.1f} a year"


def _tournament(mode: str) -> tuple[Strategy, Verdict]:
    """The best of the rules on a built-in market, by the day's own sweep, score, forward test and gates."""
    rules = [parse_spec(spec) for spec in (EDGE, *DECOYS)]
    markets = _market(mode)
    rows = sweep(rules, markets, None, _FREE, _WINDOW)
    blocks = block_returns(rules, markets, None, _FREE, _WINDOW)
    results = []
    for place, rule in enumerate(rules):
        own = slice(place * len(markets), (place + 1) * len(markets))
        portfolio, trades = equal_capital(list(blocks[own])), int(rows["trades"].iloc[own].sum())
        results.append((score(portfolio, trades).score or 0.0, -place, rule, portfolio, trades))
    _, _, best, portfolio, trades = max(results, key=lambda one: one[:2])
    return best, _judged(_record(best.identity, portfolio, trades), tested=True)


def _market(mode: str) -> list[Bars]:
    return [synthetic_bars(symbol, _WINDOW, seed=_SEED, mode=mode) for symbol in _SYMBOLS]


def _record(identity: str, blocks: Floats, trades: int) -> Evidence:
    """A forward record made of hourly blocks, one day of the window after the other."""
    days = blocks.reshape(-1, BLOCKS_PER_DAY)
    return Evidence(identity=identity, kind="strategy", birth_ms=_START_MS, days=tuple(
        EvidenceDay(day=day_of(_START_MS + (number + 1) * DAY_MS).isoformat(), blocks=tuple(day.tolist()),
                    trades=trades // len(days)) for number, day in enumerate(days)))


def _judged(
    record: Evidence, *, tested: bool, trials: int = _TRIALS, earlier: Sequence[ForwardTest] = ()
) -> Verdict:
    """What the gates say of a record, with its one forward test or without any."""
    tests = due_tests("2026-01-29", [record], {record.identity: "canary"}, earlier) if tested else ()
    return verdict(record, trials, test=tests[0] if tests else None)


# ---- breaches


def _over_budget() -> Outcome:
    return _refused({**DECOYS[0], "long_entry": "close > sma(close, 1000000000)"})


def _code_in_a_spec() -> Outcome:
    return _refused({**DECOYS[0], "long_entry": "__import__('os').system('true') > 0"})


def _refused(spec: dict[str, Any]) -> Outcome:
    try:
        parse_spec(spec)
    except (SpecError, ExpressionError) as error:
        return True, f"refused: {str(error).splitlines()[0]}"
    return False, "accepted"


def _promoted_early() -> Outcome:
    """A record too good to be true, one day too short, and one that was never tested."""
    blocks = np.tile([0.002, 0.001], FORWARD_DAYS * BLOCKS_PER_DAY // 2)
    short = _judged(_record("canary", blocks[:-BLOCKS_PER_DAY], 1000), tested=True)
    untested = _judged(_record("canary", blocks, 1000), tested=False)
    empty = _judged(Evidence(identity="canary", kind="strategy", birth_ms=_START_MS), tested=False)
    control = _judged(_record("canary", blocks, 1000), tested=True)
    if not control.proven:
        return False, f"a record that passes every rule was blocked too: {control.text}"
    passed = [text for text, judged in (("27 days", short), ("no test", untested), ("no day", empty)) if judged.proven]
    return not passed, f"promoted with {', '.join(passed)}" if passed else f"blocked: {short.text}"


def _luck_of_many() -> Outcome:
    """A record that one trial would never show by chance, and the best of a million would."""
    return _stopped_by("deflated Sharpe ratio", _judged(_surprising(4.0), tested=True, trials=1_000_000))


def _late_in_the_series() -> Outcome:
    """A record that passes every rule but its level, after a hundred tests that discovered nothing."""
    failed = ForwardTest(day="2025-12-31", kind="strategy", identity="earlier", name="earlier", birth_ms=0, n=672,
                         forward_days=FORWARD_DAYS, sharpe=None, p_value=1.0, level=0.0, rejected=False)
    earlier = [failed.model_copy(update={"identity": f"earlier {number}"}) for number in range(100)]
    return _stopped_by("the one forward test", _judged(_surprising(3.7), tested=True, trials=1, earlier=earlier))


def _surprising(sigma: float) -> Evidence:
    """28 days of noise around a mean that lies so many of its standard errors above zero."""
    noise = np.random.default_rng(_SEED).standard_normal(FORWARD_DAYS * BLOCKS_PER_DAY)
    noise = (noise - noise.mean()) / noise.std()
    return _record("canary", 1e-3 * (noise + sigma / np.sqrt(noise.size)), 1000)


def _stopped_by(name: str, judged: Verdict) -> Outcome:
    """A record that breaks one rule must fail by this rule and no other."""
    failed = [gate.name for gate in judged.gates if not gate.passed]
    return failed == [name] and not judged.proven, f"failed by: {', '.join(failed) or 'nothing'}; {judged.text}"


def _too_little() -> Outcome:
    """One day too few, with a test made too early; and one trade too few."""
    whole = _surprising(8.0)
    short = whole.model_copy(update={"days": whole.days[:-1]})
    idle = whole.model_copy(update={"days": tuple(
        day.model_copy(update={"trades": int(number > 0)}) for number, day in enumerate(whole.days))})
    if due_tests("2026-01-29", [short], {}, ()):
        return False, f"a record of {len(short.days)} days was tested"
    [early] = due_tests("2026-01-28", [short], {}, (), forward_days=len(short.days))
    told = verdict(short, _TRIALS, test=early)
    if told.proven or told.gates[0].passed:
        return False, f"{len(short.days)} days passed: {told.text}"
    return _stopped_by("forward trades", _judged(idle, tested=True))


def _evidence_before_birth() -> Outcome:
    day = EvidenceDay(day="2026-01-02", blocks=(0.01,) * BLOCKS_PER_DAY, trades=3)
    try:
        Evidence(identity="canary", kind="strategy", birth_ms=day.start_ms + 1, days=(day,))
    except ValidationError as error:
        return True, f"refused: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
    return False, "accepted as evidence"


def _tampered_ledger() -> Outcome:
    """Three rows; each figure of one changed in turn, two rows in each other's place, one row taken out."""
    ledger = TrialLedger("2026-01-01", "2026-01-01/01", "canary")
    for sharpe in (0.1, -0.4, 0.7):
        ledger.add(kind="null", identity="canary", structure_hash="canary", params={}, symbol="BTCUSDT",
                   timeframe="1m", window_start=_START_MS, window_end=_START_MS + DAY_MS, n_bars=1440, birth=_START_MS,
                   author="canary", data_hash="canary", outcome="ok", sharpe=sharpe)
    rows = ledger.table()
    whole, _ = chained(rows, row_digests(rows))
    if first_broken(whole) is not None:
        return False, "the untouched ledger was called broken"
    for name in rows.column_names:
        first, second, third = whole[name].to_pylist()
        if first_broken(_put(whole, name, [first, second, _other(third, name)])) is None:
            return False, f"another {name} in a row went unseen"
    for order, said in (([1, 0, 2], "rows in each other's place"), ([1, 2], "a first row that was taken out")):
        if first_broken(_put(whole.take(order), "position", list(range(len(order))))) is None:
            return False, f"{said} went unseen"
    try:
        checked(rows.take([0, 2]), "canary")
    except DataError:
        return True, f"all found: {len(rows.column_names)} changed figures, two rows in each other's place, a row less"
    return False, "a row that was taken out went unseen"


def _put(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def _other(value: Any, name: str) -> Any:
    """Another value of the same type for a column of the ledger."""
    if pa.types.is_string(SCHEMA.field(name).type):
        return f"{value} changed"
    return 1 if value is None else value + 1


CANARIES: tuple[tuple[str, str, str, Callable[[], Outcome]], ...] = (
    ("leaking feature", "a feature that is the next bar's return", "caught by the leak check, a sound one passed",
     _leaking_feature),
    ("leaking strategy", "signals that come three bars early", "caught by the leak check, the same in time passed",
     _leaking_strategy),
    ("planted edge", f"an edge on two built-in markets of {FORWARD_DAYS} days", "ranked first and proven by the gates",
     _planted_edge),
    ("no edge", "the same rules on markets without one", "nothing proven", _no_edge),
    ("spec over budget", "a window of a billion bars", "refused before it is evaluated", _over_budget),
    ("code in a spec", "a call of the operating system", "refused as data", _code_in_a_spec),
    ("promotion without evidence", "records too short, untested, or empty", "none proven, a full record proven",
     _promoted_early),
    ("luck of many trials", "a record four standard errors above zero, with a million trials charged",
     "stopped by the deflated Sharpe ratio alone", _luck_of_many),
    ("late in the series", "a record 3.7 standard errors above zero, after 100 tests without a discovery",
     "stopped by the level of its test alone", _late_in_the_series),
    ("too few days or trades", "a record with one day, and one with one trade too few", "stopped by that alone",
     _too_little),
    ("evidence from before birth", "a day that ends before the design was born", "refused", _evidence_before_birth),
    ("tampering with the ledger", "each figure of a row changed, rows in each other's place, a row taken out",
     "all found", _tampered_ledger),
)
"""Name, what is injected, what the guard must do, and the check."""
