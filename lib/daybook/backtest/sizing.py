"""How much a trade buys or sells: fixed, by volatility or by risk, decided at the close that decides the trade."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.time import DAY_MS, DAYS_PER_YEAR
from daybook.market.bars import Bars
from daybook.strategy import Stops

_YEAR_MS = DAYS_PER_YEAR * DAY_MS


class SizingError(UsageError):
    """A size that can not be worked out, or rules of sizing that exclude each other."""


@dataclass(frozen=True)
class Sizing:
    """How much a trade buys or sells, and in which money results are told.

    capital: initial capital in quote currency; with the default 1, amounts are fractions of the capital.
    One of four rules gives the notional of an entry; the first is the default:
    notional: a fixed multiple of the capital; quantity: base coins; volatility_target: the capital times this annual
    volatility over that realised in the last `volatility_bars` bars before the decision; risk: the fraction of the
    capital that a touch of the nearest stop costs, so the capital times risk over the stop's distance.
    leverage_cap: largest notional of an entry as a multiple of the capital, needed with volatility_target and risk.
    compounding: the equity at the decision's close stands for the initial capital.
    Raises SizingError for figures that are not finite and positive or rules that exclude each other.
    """

    capital: float = 1.0
    quantity: float | None = None
    notional: float = 1.0
    volatility_target: float | None = None
    risk: float | None = None
    leverage_cap: float | None = None
    compounding: bool = False
    volatility_bars: int = 60

    def __post_init__(self) -> None:
        for name in ("capital", "quantity", "notional", "volatility_target", "risk", "leverage_cap"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 < float(value) < np.inf:
                raise SizingError(f"sizing: {name} is {value!r}, allowed is a finite number above 0.")
            object.__setattr__(self, name, float(value))
        if not isinstance(self.volatility_bars, int | np.integer) or self.volatility_bars < 2:
            raise SizingError(f"sizing: volatility_bars is {self.volatility_bars!r}, allowed is a whole number of at "
                              "least 2.")
        used = [name for name in ("quantity", "volatility_target", "risk") if getattr(self, name) is not None]
        if len(used) > 1 or (used and self.notional != 1.0):
            raise SizingError(f"sizing: {', '.join(used)} and a notional of {self.notional:g} are given; one rule at a "
                              "time can decide a size.")
        if used and used[0] != "quantity" and self.leverage_cap is None:
            raise SizingError(f"sizing: {used[0]} needs a leverage_cap, for a calm market or a near stop would ask "
                              "for any size.")

    @property
    def unit_quantity(self) -> float:
        """Base coins per trade and unit of capital; 0 stands for a notional."""
        return 0.0 if self.quantity is None else self.quantity / self.capital

    @property
    def plain(self) -> bool:
        """Whether each entry is the initial capital's worth or a fixed quantity, without a cap."""
        return (self.notional == 1.0 and self.volatility_target is None and self.risk is None
                and self.leverage_cap is None and not self.compounding)

    @property
    def cap(self) -> float:
        """The leverage cap, infinite where there is none."""
        return np.inf if self.leverage_cap is None else self.leverage_cap

    def share(self, stops: Stops) -> float:
        """Notional of an entry as a multiple of the capital, before `factors` and the cap.

        Raises SizingError where the risk is to be limited by a stop that is not there.
        """
        if self.volatility_target is not None:
            return self.volatility_target
        if self.risk is None:
            return self.notional
        distances = [distance for distance in (stops.stop_loss, stops.trailing_stop) if distance > 0.0]
        if not distances:
            raise SizingError("sizing: risk needs a stop_loss or a trailing_stop, which tells what a trade can lose. "
                              "Give the strategy one or choose another rule of sizing.")
        return self.risk / min(distances)

    def factors(self, bars: Bars, delay: int) -> Floats:
        """(T,) float64 what an entry filled at each open is multiplied by: 1 / volatility known at its decision, or 1.

        delay: bars between the decision and the open after it. NaN where there is too little past; a market that
        did not move has no end of a factor, and the cap decides.
        """
        if self.volatility_target is None:
            return np.ones(len(bars))
        factors = np.full(len(bars), np.nan)
        known = realised_volatility(bars, self.volatility_bars)
        with np.errstate(divide="ignore"):
            factors[1 + delay:] = (1.0 / known)[:max(len(bars) - 1 - delay, 0)]
        return factors


NOTIONAL = Sizing()


def realised_volatility(bars: Bars, count: int) -> Floats:
    """Annual volatility realised in the last `count` returns, known at each close: (T,) float64 fraction.

    The root of the sum of squared log returns over the time that they span, in years of 365 days, so that a gap counts
    for as long as it lasted. The first `count` values are NaN, and so are those with a return among them whose prices
    are not finite and positive.
    """
    volatility = np.full(len(bars), np.nan)
    if len(bars) > count:
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = np.diff(np.log(bars.close)) ** 2
        known = np.isfinite(squares)
        total, gone = (np.concatenate(([0.0], np.cumsum(each))) for each in (np.where(known, squares, 0.0), ~known))
        span = bars.open_time[count:] - bars.open_time[:-count]
        realised = np.sqrt(np.maximum(total[count:] - total[:-count], 0.0) * _YEAR_MS / span)
        volatility[count:] = np.where(gone[count:] == gone[:-count], realised, np.nan)
    return volatility
