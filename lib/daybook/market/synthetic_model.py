"""The built-in market's coins, modes and seasons: what a seed and a season number fix.

Time is cut into seasons of 64 days. A season's first and last log prices are anchors that follow from the seed alone (a
yearly mean-reverting walk, so that prices stay plausible for decades), and the minutes between are bridged to them. So
the cost of a bar does not grow with its distance from the first day, and the values do not depend on what was asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from daybook.core.arrays import Floats
from daybook.core.errors import UsageError
from daybook.core.seeds import derived_seed
from daybook.market.synthetic_kernel import (
    COIN_STREAMS,
    MARKET_STREAMS,
    CoinPath,
    Keys,
    coin_bars,
    coin_log_path,
    market_path,
    normal,
)
from daybook.market.synthetic_sessions import DAY_MINUTES, day_activity

SEASON_DAYS = 64
SEASON_MINUTES = SEASON_DAYS * DAY_MINUTES
BURN_IN_DAYS = 40
"""Thirteen time constants of the slowest volatility factor: what came before is forgotten to two parts in a million."""

_ANCHOR_DECAY = math.exp(-SEASON_DAYS / 365)
_ANCHOR_SEASONS = 48
_YEAR_MINUTES = 365 * DAY_MINUTES
_UNIX_START = date(1970, 1, 1)


@dataclass(frozen=True)
class Coin:
    """One built-in coin: level in quote price, yearly volatility and factor share as fractions, volume per minute."""

    symbol: str
    price: float
    volatility: float
    loading: float
    lag: float
    quote_volume: float
    tick: float
    lot: float


@dataclass(frozen=True)
class Mode:
    """One switch of the market: whether trades bounce and alts lag, and how strong the planted drift is."""

    name: str
    half_spread: float
    lagged: bool
    planted_sigmas: float


COINS = {
    coin.symbol: coin
    for coin in (
        Coin("BTCUSDT", 60_000.0, 0.53, 0.90, 0.00, 1_500_000.0, 0.01, 1e-5),
        Coin("ETHUSDT", 3_000.0, 0.68, 0.73, 0.15, 800_000.0, 0.01, 1e-4),
        Coin("BNBUSDT", 500.0, 0.63, 0.71, 0.15, 150_000.0, 0.01, 1e-3),
    )
}
MODES = {
    mode.name: mode
    for mode in (
        Mode("normal", 1e-4, True, 0.0),
        Mode("noise", 0.0, False, 0.0),
        Mode("planted", 1e-4, True, 0.8),
        Mode("planted-0.5", 1e-4, True, 0.5),
    )
}


def coin_of(symbol: str) -> Coin:
    """The built-in coin with this symbol. Raises UsageError that lists the built-in ones."""
    if symbol not in COINS:
        raise UsageError(
            f"symbol: found {symbol!r}, the built-in market has {', '.join(COINS)}. "
            "Choose among these, or import candles and use --source files."
        )
    return COINS[symbol]


def mode_of(mode: str) -> Mode:
    """The market's switch with this name. Raises UsageError that lists the known ones."""
    if mode not in MODES:
        raise UsageError(f"synthetic mode: found {mode!r}, allowed are {', '.join(MODES)}.")
    return MODES[mode]


@lru_cache(maxsize=12)
def season_bars(seed: int, mode: str, symbol: str, season: int) -> Floats:
    """Open, high, low, close and volume of one coin in one season.

    season: counted from 1970-01-01. Returns (5, 92160) float64, read-only, quote price and base coin.
    """
    coin, switch = coin_of(symbol), mode_of(mode)
    sigma, factor = _season_market(seed, season)
    keys = _keys(seed, COIN_STREAMS, symbol)
    path = CoinPath(
        minute_volatility=coin.volatility / math.sqrt(_YEAR_MINUTES),
        loading=coin.loading,
        lag=coin.lag if switch.lagged else 0.0,
        half_spread=switch.half_spread,
        planted_sigmas=switch.planted_sigmas,
        log_start=anchor(seed, coin, season),
        log_end=anchor(seed, coin, season + 1),
        inverse_tick=round(1.0 / coin.tick),
        inverse_lot=round(1.0 / coin.lot),
        quote_volume=coin.quote_volume,
    )
    first = season * SEASON_MINUTES
    bars: Floats = coin_bars(keys, first, sigma, coin_log_path(keys, first, sigma, factor, path), path)
    bars.flags.writeable = False
    return bars


@lru_cache(maxsize=6)
def _season_market(seed: int, season: int) -> tuple[Floats, Floats]:
    """(92161,) volatility and factor return of the season's minutes and, first, of the minute before."""
    first_day = _UNIX_START + timedelta(days=season * SEASON_DAYS)
    days = [day_activity(first_day + timedelta(days=i)) for i in range(-1, SEASON_DAYS)]
    activity = np.concatenate([days[0][-1:], *days[1:]])
    keys = _keys(seed, MARKET_STREAMS, "market")
    sigma, factor = market_path(keys, season * SEASON_MINUTES - 1, BURN_IN_DAYS * DAY_MINUTES, activity)
    return sigma, factor


def _keys(seed: int, streams: tuple[str, ...], owner: str) -> Keys:
    return np.array([derived_seed(seed, "synthetic", owner, stream) for stream in streams], dtype=np.uint64)


def anchor(seed: int, coin: Coin, season: int) -> float:
    """Log mid price at the season's start: the coin's centre plus a decaying sum of the shocks of 48 seasons before."""
    step = coin.volatility * math.sqrt(SEASON_DAYS / 365)
    own = math.sqrt(1.0 - coin.loading**2)
    shared_keys = _keys(seed, ("anchor radius", "anchor angle"), "market")
    own_keys = _keys(seed, ("anchor radius", "anchor angle"), coin.symbol)
    level = math.log(coin.price)
    for past in range(1, _ANCHOR_SEASONS + 1):
        shared = normal(shared_keys[0], shared_keys[1], season - past)
        local = normal(own_keys[0], own_keys[1], season - past)
        level += _ANCHOR_DECAY ** (past - 1) * step * (coin.loading * shared + own * local)
    return level
