"""Several strategies and markets with one account: shared capital, a cap on leverage, profit by leg."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daybook.backtest.conditions import PLAIN, Conditions
from daybook.backtest.grid import BlockGrid
from daybook.backtest.kernel import REASONS
from daybook.backtest.metrics import Metrics
from daybook.backtest.portfolio_kernel import REFUSED, RUIN, RULES, TRADE, Paths, Tapes, clock_of, run_portfolio
from daybook.backtest.portfolio_metrics import portfolio_metrics
from daybook.backtest.replay import AT_OPEN, trade_figures
from daybook.backtest.simulate import kernel_levels, window_bits
from daybook.backtest.sizing import NOTIONAL, Sizing
from daybook.backtest.tape import WindowTape, window_tape
from daybook.core.arrays import Bytes, Floats, Ints
from daybook.core.errors import UsageError
from daybook.core.time import Window, timeframe_ms
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Stops, Strategy, signal_bits

if TYPE_CHECKING:
    import pandas as pd

LEG_TRADE_COLUMNS = ("leg", "entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "pnl", "return",
                     "reason", "cost", "funding")  # fmt: skip
LEG_COLUMNS = ("leg", "symbol", "timeframe", "trades", "refused", "pnl", "contribution", "cost", "funding", "turnover")
_LONGEST_NAME = 80


class PortfolioError(UsageError):
    """Legs, capital or leverage from which no portfolio can be made."""


@dataclass(frozen=True)
class Leg:
    """One stream of signals on one market, with its own costs, stops and size.

    bits: (T,) uint8 for the T bars, as `simulate_bits` takes them. sizing: of each entry; its notional is a multiple of
    the portfolio's initial capital, with `compounding` of its equity, and its own capital is not used. conditions:
    latency and funding; margin and detail are not modelled here. Raises PortfolioError for those.
    """

    name: str
    bars: Bars
    bits: Bytes
    stops: Stops = field(default_factory=Stops)
    costs: Costs = field(default_factory=Costs)
    sizing: Sizing = NOTIONAL
    conditions: Conditions = PLAIN

    def __post_init__(self) -> None:
        for name in ("margin", "detail"):
            if getattr(self.conditions, name) is not None:
                raise PortfolioError(f"portfolio: {self.name} has {name}, which a portfolio does not model; allowed "
                                     "are latency_bars and funding. Leave it out, or simulate the leg by itself.")

    @classmethod
    def of(cls, strategy: Strategy, bars: Bars, params: Mapping[str, float] | None = None, **given: Any) -> Leg:
        """A strategy on a market, named after both unless `name` is given; the other fields as they are declared."""
        name = given.pop("name", f"{strategy.name} on {bars.name}")
        return cls(name, bars, signal_bits(strategy, bars, params), strategy.stops(params), **given)


@dataclass(frozen=True)
class Portfolio:
    """What several legs did with one account; money is in the unit of `capital`.

    clock: (C,) int64 ms UTC, every time at which a bar of some leg was complete. equity, gross, net: (C,) float64 at
    those times; gross is the sum of the positions' sizes, net that of their signs, at the legs' last closes.
    leg_pnl, position: (L, C) profit so far and signed base coins of each leg; legs do not net each other.
    trades: one row a trade in order of exit, LEG_TRADE_COLUMNS. legs: one row a leg, LEG_COLUMNS; contribution is its
    part of the total return. refused: entries that the cap on leverage kept out, columns REFUSED.
    """

    clock: Ints
    equity: Floats
    gross: Floats
    net: Floats
    leg_pnl: Floats
    position: Floats
    trades: pd.DataFrame
    legs: pd.DataFrame
    refused: pd.DataFrame
    metrics: Metrics
    capital: float
    leverage: float | None
    window: Window

    def block_returns(self, block: str = "60m") -> Floats:
        """(B,) float64 equity change per block of the window, as a fraction of the capital; sums to total_return.

        A bar's change counts in the block in which it was complete, to the millisecond before.
        """
        return BlockGrid.of(self.window, block).changes(self.clock - 1, self.equity / self.capital)


def simulate_portfolio(
    legs: Sequence[Leg], window: Window | None = None, *, capital: float = 1.0, leverage: float | None = None
) -> Portfolio:
    """Simulate legs that share one account.

    window: of all legs, None for all their bars. leverage: what gross exposure may be of the equity after an entry; an
    entry beyond it is refused whole. None sets no cap. At one time, all exits come before all entries, and entries come
    in the order of the legs. Raises PortfolioError, and for a leg what `simulate_bits` raises.
    """
    _require(legs, capital, leverage)
    tapes = [window_tape(leg.bars, leg.costs, window, replace(leg.sizing, capital=capital),
                         leg.conditions) for leg in legs]
    joined = _joined(legs, tapes)
    clock = clock_of(joined.until, joined.first)
    paths = _room(len(legs), clock.size, joined.open.size)
    rules = np.array([_rules(leg, tape) for leg, tape in zip(legs, tapes, strict=True)])
    trades, refused, ruined = run_portfolio(joined, rules, math.inf if leverage is None else float(leverage), paths)
    ledger = dict(zip(TRADE, paths.trades[:trades].T, strict=True))
    kept_out = dict(zip(REFUSED, paths.refused[:refused].T, strict=True))
    timeframe = min((leg.bars.timeframe for leg in legs), key=timeframe_ms)
    metrics = portfolio_metrics(paths.equity, paths.held, ledger, ruined, timeframe)
    span = window or Window(int(joined.open_time.min()), int(clock[-1]))
    return Portfolio(
        clock, paths.equity * capital, paths.gross * capital, paths.net * capital, paths.profit * capital,
        paths.signed * capital, _trades(ledger, legs, tapes, capital), _leg_table(ledger, kept_out, legs, capital),
        _refused(kept_out, legs, capital), metrics, capital, leverage, span)


def _require(legs: Sequence[Leg], capital: float, leverage: float | None) -> None:
    """Raises PortfolioError for no legs, names that are not distinct, or figures that can not be."""
    names = [leg.name for leg in legs]
    if not names:
        raise PortfolioError("portfolio: no leg is given. Give at least one.")
    for name in names:
        if not 0 < len(name) <= _LONGEST_NAME or names.count(name) > 1:
            raise PortfolioError(f"portfolio: the leg name {name[:_LONGEST_NAME]!r} stands {names.count(name)} times; "
                                 f"names have 1 to {_LONGEST_NAME} characters, and each leg its own.")
    for label, value in (("capital", capital), ("leverage", leverage)):
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise PortfolioError(f"portfolio: {label} is {value!r}, allowed is a finite number above 0.")


def _joined(legs: Sequence[Leg], tapes: Sequence[WindowTape]) -> Tapes:
    """The bars of all legs, one leg after the other. A bar that the next one overlaps is complete when that opens."""
    first_price, high, low, close, side_cost = (np.concatenate([tape.tape[place] for tape in tapes])
                                                for place in range(5))
    factors = np.concatenate([
        tape.sizing.factors(tape.bars.rows(0, tape.stop), tape.conditions.latency_bars)[tape.start:] for tape in tapes])
    funding = np.concatenate([tape.conditions.funding_due(tape.bars.rows(tape.start, tape.stop)) for tape in tapes])
    until = []
    for tape in tapes:
        closes = tape.open_time + timeframe_ms(tape.bars.timeframe)
        closes[:-1] = np.minimum(closes[:-1], tape.open_time[1:])
        until.append(closes)
    first = np.concatenate(([0], np.cumsum([len(tape) for tape in tapes]))).astype(np.int64)
    bits = np.concatenate([window_bits(leg.bits, tape) for leg, tape in zip(legs, tapes, strict=True)])
    opens = np.concatenate([tape.open_time for tape in tapes])
    return Tapes(first_price, high, low, close, side_cost, factors, funding, bits, opens, np.concatenate(until), first)


def _rules(leg: Leg, tape: WindowTape) -> list[float]:
    """A leg's row of rules. Raises SignalError for stops that can not be, SizingError for a risk without a stop."""
    stop_loss, take_profit, max_holding = kernel_levels(leg.stops)
    row = [tape.terms[0], tape.sizing.unit_quantity, tape.sizing.share(leg.stops), tape.sizing.cap,
           float(tape.sizing.compounding), float(leg.conditions.latency_bars), stop_loss, take_profit,
           float(max_holding), float(leg.stops.trailing_stop), float(leg.stops.break_even)]
    if len(row) != RULES:
        raise PortfolioError(f"portfolio: {len(row)} rules are written, the kernel reads {RULES}.")
    return row


def _room(legs: int, ticks: int, bars: int) -> Paths:
    """Memory for what a run writes; ledgers have room for a trade and a refusal in every bar."""
    return Paths(np.empty(ticks), np.empty(ticks), np.empty(ticks), np.empty((legs, ticks)), np.empty((legs, ticks)),
                 np.zeros(ticks, dtype=np.uint8), np.empty((bars, len(TRADE))), np.empty((bars, len(REFUSED))))


def _names(places: Floats, legs: Sequence[Leg]) -> list[str]:
    return [legs[place].name for place in places.astype(np.int64).tolist()]


def _trades(
    ledger: dict[str, Floats], legs: Sequence[Leg], tapes: Sequence[WindowTape], capital: float
) -> pd.DataFrame:
    """The ledger as people read it; times as `replay` tells them, but that ruin closes every leg at one time."""
    import pandas as pd

    offsets = np.concatenate(([0], np.cumsum([len(tape) for tape in tapes])))[:-1]
    opens = np.concatenate([tape.open_time for tape in tapes])
    lengths = np.array([timeframe_ms(tape.bars.timeframe) for tape in tapes], dtype=np.int64)
    leg, entry, leave, code = (ledger[name].astype(np.int64) for name in ("leg", "entry_bar", "exit_bar", "reason"))
    reason = np.array(REASONS)[code]
    told = opens[offsets[leg] + leave] + np.where(np.isin(reason, AT_OPEN), 0, lengths[leg])
    columns: dict[str, Any] = {
        "leg": _names(ledger["leg"], legs),
        "entry_time": opens[offsets[leg] + entry],
        "exit_time": np.where(code == RUIN, ledger["time"].astype(np.int64), told),
        **trade_figures(ledger, reason, capital),
    }
    return pd.DataFrame(columns, columns=list(LEG_TRADE_COLUMNS))


def _leg_table(
    ledger: dict[str, Floats], kept_out: dict[str, Floats], legs: Sequence[Leg], capital: float
) -> pd.DataFrame:
    """One row a leg, in the order given."""
    import pandas as pd

    places, count = ledger["leg"].astype(np.int64), len(legs)
    sums = {name: np.bincount(places, weights, minlength=count) for name, weights in (
        ("pnl", ledger["pnl"]), ("cost", ledger["cost"]), ("funding", ledger["funding"]),
        ("turnover", ledger["quantity"] * (ledger["entry_price"] + ledger["exit_price"])))}
    columns: dict[str, Any] = {
        "leg": [leg.name for leg in legs], "symbol": [leg.bars.symbol for leg in legs],
        "timeframe": [leg.bars.timeframe for leg in legs],
        "trades": np.bincount(places, minlength=count),
        "refused": np.bincount(kept_out["leg"].astype(np.int64), minlength=count),
        "pnl": sums["pnl"] * capital, "contribution": sums["pnl"], "cost": sums["cost"] * capital,
        "funding": sums["funding"] * capital, "turnover": sums["turnover"],
    }
    return pd.DataFrame(columns, columns=list(LEG_COLUMNS))


def _refused(kept_out: dict[str, Floats], legs: Sequence[Leg], capital: float) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({
        "leg": _names(kept_out["leg"], legs), "time": kept_out["time"].astype(np.int64),
        "side": np.where(kept_out["side"] > 0, "long", "short"),
        **{name: kept_out[name] * capital for name in ("notional", "gross", "equity")}}, columns=list(REFUSED))
