"""Compiled paths of the built-in market: every random number is a hash of (stream key, minute), never a state.

A number that depends only on its key and minute lets any stretch of the market be computed alone, in any order and in
any process, with the same result. What runs on in time (volatility, price) starts from a season's own start instead.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from daybook.core.arrays import Floats

Keys: TypeAlias = NDArray[np.uint64]

MARKET_STREAMS = ("fast", "middle", "slow", "factor radius", "factor angle", "jump")
COIN_STREAMS = ("radius", "angle", "close side", "open side", "high", "low", "volume radius", "volume angle", "block")

FACTOR_MINUTES = (30.0, 360.0, 4320.0)
"""Time constants of the three log-volatility factors: half an hour, six hours, three days."""

FACTOR_SD = 0.30
JUMP_SIGMAS = 5.0
JUMPS_PER_MINUTE = 1.0 / 1440.0
BLOCK_MINUTES = 15
EXTREME_SHARE = 0.10
SURGE_VOLUME = 24.0
SURGE_SIGMAS = 2.0

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S12, _S27, _S30, _S31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)
_UNIT = 2.0**-52
_T5_SCALE = math.sqrt(3.0 / 5.0)
_VOLUME_NOISE = 0.40


class CoinPath(NamedTuple):
    """What the kernels know of one coin: fractions, quote price, base coin; all constant within a season."""

    minute_volatility: float
    loading: float
    lag: float
    half_spread: float
    planted_sigmas: float
    log_start: float
    log_end: float
    inverse_tick: float
    inverse_lot: float
    quote_volume: float


@njit(cache=True, error_model="numpy", nogil=True)
def uniform(key: np.uint64, counter: int) -> float:
    """A number in the open interval (0, 1) for this key and counter (splitmix64, Steele, Lea and Flood 2014)."""
    x = key + (np.uint64(counter) + np.uint64(1)) * _GAMMA
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    x = x ^ (x >> _S31)
    return (np.float64(x >> _S12) + 0.5) * _UNIT


@njit(cache=True, error_model="numpy", nogil=True)
def normal(radius_key: np.uint64, angle_key: np.uint64, counter: int) -> float:
    """A standard normal number (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(radius_key, counter)))
    return radius * math.cos(2.0 * math.pi * uniform(angle_key, counter))


@njit(cache=True, error_model="numpy", nogil=True)
def student_5(radius_key: np.uint64, angle_key: np.uint64, counter: int) -> float:
    """A Student-t(5) number scaled to unit variance (Bailey 1994, polar method)."""
    radius = math.sqrt(5.0 * (uniform(radius_key, counter) ** -0.4 - 1.0))
    return _T5_SCALE * radius * math.cos(2.0 * math.pi * uniform(angle_key, counter))


@njit(cache=True, error_model="numpy", nogil=True)
def market_path(keys: Keys, first_minute: int, burn_in: int, activity: Floats) -> tuple[Floats, Floats]:
    """Volatility and factor return of each minute, both in units of the average minute's volatility.

    activity: (T,) session curve from first_minute on, mean square 1. burn_in minutes before it only fill the volatility
    factors, which start at 0. Innovations of those factors are uniform: their long sums are Gaussian all the same.
    """
    decay = np.empty(3)
    scale = np.empty(3)
    for j in range(3):
        decay[j] = math.exp(-1.0 / FACTOR_MINUTES[j])
        scale[j] = FACTOR_SD * math.sqrt(12.0 * (1.0 - decay[j] * decay[j]))
    x = np.zeros(3)
    sigma = np.empty(activity.size)
    factor = np.empty(activity.size)
    for i in range(-burn_in, activity.size):
        minute = first_minute + i
        for j in range(3):
            x[j] = decay[j] * x[j] + scale[j] * (uniform(keys[j], minute) - 0.5)
        if i < 0:
            continue
        sigma[i] = activity[i] * math.exp(x[0] + x[1] + x[2] - 3.0 * FACTOR_SD * FACTOR_SD)
        shock = student_5(keys[3], keys[4], minute)
        jump = uniform(keys[5], minute)
        if jump < 0.5 * JUMPS_PER_MINUTE:
            shock -= JUMP_SIGMAS
        elif jump > 1.0 - 0.5 * JUMPS_PER_MINUTE:
            shock += JUMP_SIGMAS
        factor[i] = sigma[i] * shock
    return sigma, factor


@njit(cache=True, error_model="numpy", nogil=True)
def block_side(key: np.uint64, block: int) -> int:
    """Imbalance of a 15-minute block: 1 or -1 where extreme (10% of blocks), else 0."""
    u = uniform(key, block)
    if u < 0.5 * EXTREME_SHARE:
        return -1
    return 1 if u > 1.0 - 0.5 * EXTREME_SHARE else 0


@njit(cache=True, error_model="numpy", nogil=True)
def coin_log_path(keys: Keys, first_minute: int, sigma: Floats, factor: Floats, coin: CoinPath) -> Floats:
    """Log mid price at the start of the season and at each of its minutes' ends.

    sigma, factor: (T + 1,) of the season's minutes and, first, the minute before them. Returns (T + 1,).
    The sum of the minute returns is bridged evenly to the season's end level. Because that level's variance is the
    sum's expected variance, the return so far says nothing about the rest (Levy's construction of Brownian motion); a
    season calmer or wilder than expected keeps a memory at the scale of a month, far beyond any window of Daybook's.
    """
    length = sigma.size - 1
    own = math.sqrt(1.0 - coin.loading * coin.loading)
    path = np.empty(length + 1)
    level = 0.0
    path[0] = 0.0
    for i in range(length):
        minute = first_minute + i
        shared = (1.0 - coin.lag) * factor[i + 1] + coin.lag * factor[i]
        local = sigma[i + 1] * student_5(keys[0], keys[1], minute)
        step = coin.minute_volatility * (coin.loading * shared + own * local)
        if coin.planted_sigmas > 0.0:
            step = _planted_step(keys[8], minute, step, sigma[i + 1], coin)
        level += step
        path[i + 1] = level
    drift = (coin.log_end - coin.log_start - level) / length
    for i in range(length + 1):
        path[i] += coin.log_start + drift * i
    return path


@njit(cache=True, error_model="numpy", nogil=True)
def _planted_step(key: np.uint64, minute: int, step: float, sigma: float, coin: CoinPath) -> float:
    """A minute's log return with its block's drift; the last minute before an extreme block moves to that side."""
    block = minute // BLOCK_MINUTES
    step += block_side(key, block) * coin.planted_sigmas * coin.minute_volatility / math.sqrt(BLOCK_MINUTES)
    if minute % BLOCK_MINUTES == BLOCK_MINUTES - 1:
        coming = block_side(key, block + 1)
        if coming != 0:
            step = coming * (abs(step) + SURGE_SIGMAS * coin.minute_volatility * sigma)
    return step


@njit(cache=True, error_model="numpy", nogil=True)
def coin_bars(keys: Keys, first_minute: int, sigma: Floats, path: Floats, coin: CoinPath) -> Floats:
    """Bars of one coin's season from its log mid path.

    sigma: (T + 1,) as in `coin_log_path`; path: (T + 1,). Returns (5, T): open, high, low, close, volume, rounded to
    the coin's tick and lot. Open and close are trades at bid or ask; high and low are those of a Brownian bridge.
    """
    length = path.size - 1
    bars = np.empty((5, length))
    for i in range(length):
        minute = first_minute + i
        scale = coin.minute_volatility * sigma[i + 1]
        start, end = path[i], path[i + 1]
        step = end - start
        half = coin.half_spread
        first = math.exp(start) * (1.0 + (half if uniform(keys[3], minute) < 0.5 else -half))
        last = math.exp(end) * (1.0 + (half if uniform(keys[2], minute) < 0.5 else -half))
        reach = 2.0 * scale * scale
        high = math.exp(start + 0.5 * (step + math.sqrt(step * step - reach * math.log(uniform(keys[4], minute)))))
        low = math.exp(start + 0.5 * (step - math.sqrt(step * step - reach * math.log(uniform(keys[5], minute)))))
        burst = 1.6 if minute % 60 == 0 else (1.25 if minute % 15 == 0 else 1.0)
        noise = math.exp(_VOLUME_NOISE * normal(keys[6], keys[7], minute))
        quote = coin.quote_volume * burst * noise * sigma[i + 1] ** 1.2 * (0.6 + 0.5 * abs(step) / scale)
        if coin.planted_sigmas > 0.0 and minute % BLOCK_MINUTES == BLOCK_MINUTES - 1:
            coming = block_side(keys[8], minute // BLOCK_MINUTES + 1)
            if coming != 0:
                quote *= SURGE_VOLUME
            if coming > 0:
                high = max(first, last)
            elif coming < 0:
                low = min(first, last)
        opened = _rounded(first, coin.inverse_tick)
        closed = _rounded(last, coin.inverse_tick)
        bars[0, i] = opened
        bars[1, i] = max(_rounded(high, coin.inverse_tick), opened, closed)
        bars[2, i] = min(_rounded(low, coin.inverse_tick), opened, closed)
        bars[3, i] = closed
        bars[4, i] = max(_rounded(quote / last, coin.inverse_lot), 1.0 / coin.inverse_lot)
    return bars


@njit(cache=True, error_model="numpy", nogil=True)
def _rounded(value: float, inverse_step: float) -> float:
    return math.floor(value * inverse_step + 0.5) / inverse_step
