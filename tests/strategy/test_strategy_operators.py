"""Every operator against a slow plain definition, and the indicators against TA-Lib."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.strategy.operators import REGISTRY, operators

Column = list[float]
Oracle = Callable[[list[Column], tuple[float, ...]], Column]


def rolled(rule: Callable[[Column], float]) -> Oracle:
    """The rule over each full window without NaN."""

    def oracle(columns: list[Column], numbers: tuple[float, ...]) -> Column:
        n = int(numbers[0])
        return [rule(columns[0][t - n + 1:t + 1]) if t >= n - 1 and not _broken(columns[0][t - n + 1:t + 1])
                else math.nan for t in range(len(columns[0]))]

    return oracle


def _broken(window: Sequence[float]) -> bool:
    return any(math.isnan(value) for value in window)


def _mean(window: Column) -> float:
    return math.fsum(window) / len(window)


def _std(window: Column) -> float:
    mean = _mean(window)
    return 0.0 if len(set(window)) == 1 else math.sqrt(math.fsum((value - mean) ** 2 for value in window) / len(window))


def _skew(window: Column) -> float:
    deviation, mean = _std(window), _mean(window)
    return math.nan if not deviation else _mean([(value - mean) ** 3 for value in window]) / deviation**3


def _zscore(window: Column) -> float:
    deviation = _std(window)
    return math.nan if not deviation else (window[-1] - _mean(window)) / deviation


def _slope(window: Column) -> float:
    centre = (len(window) - 1) / 2
    return sum((i - centre) * value for i, value in enumerate(window)) / sum((i - centre) ** 2
                                                                             for i in range(len(window)))


def _wma(window: Column) -> float:
    return sum((i + 1) * value for i, value in enumerate(window)) / sum(range(1, len(window) + 1))


def _rank(window: Column) -> float:
    earlier, now = window[:-1], window[-1]
    return (sum(v < now for v in earlier) + 0.5 * sum(v == now for v in earlier)) / len(earlier)


def lagged(rule: Callable[[float, float], float]) -> Oracle:
    """The rule of the value now and the value n bars earlier."""

    def oracle(columns: list[Column], numbers: tuple[float, ...]) -> Column:
        n, x = int(numbers[0]), columns[0]
        return [math.nan if t < n else rule(x[t], x[t - n]) for t in range(len(x))]

    return oracle


def _efficiency(columns: list[Column], numbers: tuple[float, ...]) -> Column:
    n, x = int(numbers[0]), columns[0]
    values = []
    for t in range(len(x)):
        window = x[t - n:t + 1] if t >= n else [math.nan]
        path = sum(abs(b - a) for a, b in itertools.pairwise(window))
        values.append(math.nan if _broken(window) or not path else abs(window[-1] - window[0]) / path)
    return values


def _quantile(columns: list[Column], numbers: tuple[float, ...]) -> Column:
    return rolled(lambda window: float(np.quantile(window, numbers[1])))(columns, numbers)


def _correlation(columns: list[Column], numbers: tuple[float, ...]) -> Column:
    n, (x, y) = int(numbers[0]), columns
    values = []
    for t in range(len(x)):
        a, b = x[max(0, t - n + 1):t + 1], y[max(0, t - n + 1):t + 1]
        flat = len(set(a)) == 1 or len(set(b)) == 1
        values.append(math.nan if t < n - 1 or _broken(a + b) or flat else float(np.corrcoef(a, b)[0, 1]))
    return values


def from_run(rule: Callable[[list[Column], int], float], lag: Callable[[int], int]) -> Oracle:
    """A recursion over the run of valid bars that ends now, once more than `lag` bars are in it."""

    def oracle(columns: list[Column], numbers: tuple[float, ...]) -> Column:
        n, values = int(numbers[0]), []
        for t in range(len(columns[0])):
            start = t
            while start >= 0 and not any(math.isnan(column[start]) for column in columns):
                start -= 1
            run = [column[start + 1:t + 1] for column in columns]
            values.append(rule(run, n) if len(run[0]) > lag(n) else math.nan)
        return values

    return oracle


def _ema(run: list[Column], n: int) -> float:
    value = _mean(run[0][:n])
    for now in run[0][n:]:
        value += 2 / (n + 1) * (now - value)
    return value


def _wilder(steps: Column, n: int) -> float:
    value = _mean(steps[:n])
    for step in steps[n:]:
        value = (value * (n - 1) + step) / n
    return value


def _rsi(run: list[Column], n: int) -> float:
    steps = [b - a for a, b in itertools.pairwise(run[0])]
    up, down = _wilder([max(s, 0) for s in steps], n), _wilder([max(-s, 0) for s in steps], n)
    return 100 * up / (up + down) if up + down else math.nan


def _atr(run: list[Column], n: int) -> float:
    high, low, close = run
    return _wilder([max(high[t], close[t - 1]) - min(low[t], close[t - 1]) for t in range(1, len(close))], n)


def _adx(columns: list[Column], numbers: tuple[float, ...]) -> Column:
    n, (high, low) = int(numbers[0]), columns
    moves = [(high[t] - high[t - 1], low[t - 1] - low[t]) for t in range(1, len(high))]
    plus = [up if up > down and up > 0 else 0.0 for up, down in moves]
    minus = [down if down > up and down > 0 else 0.0 for up, down in moves]
    strengths = []
    for t in range(n, len(moves) + 1):
        a, b = _wilder(plus[:t], n), _wilder(minus[:t], n)
        strengths.append(100 * abs(a - b) / (a + b) if a + b else 0.0)
    return [_wilder(strengths[:t - n + 1], n) if t >= 8 * n else math.nan for t in range(len(high))]


def _stoch(columns: list[Column], numbers: tuple[float, ...]) -> Column:
    high, low, close = columns
    n, values = int(numbers[0]), []
    for t in range(len(close)):
        top, bottom = max(high[max(0, t - n + 1):t + 1]), min(low[max(0, t - n + 1):t + 1])
        values.append((close[t] - bottom) / (top - bottom) if t >= n - 1 and top > bottom else math.nan)
    return values


def _vwap(columns: list[Column], numbers: tuple[float, ...]) -> Column:
    typical, volume = columns
    n, values = int(numbers[0]), []
    for t in range(len(typical)):
        traded = math.fsum(volume[max(0, t - n + 1):t + 1])
        paid = math.fsum(p * v for p, v in zip(typical[max(0, t - n + 1):t + 1], volume[max(0, t - n + 1):t + 1],
                                               strict=True))
        values.append(paid / traded if t >= n - 1 and traded else math.nan)
    return values


def plainly(rule: Callable[..., float]) -> Oracle:
    """The rule bar by bar; NaN in, NaN out."""

    def oracle(columns: list[Column], numbers: tuple[float, ...]) -> Column:
        return [math.nan if _broken(row) else rule(*row) for row in zip(*columns, strict=True)]

    return oracle


ORACLES: dict[str, Oracle] = {
    "sma": rolled(_mean), "wma": rolled(_wma), "std": rolled(_std), "skew": rolled(_skew), "zscore": rolled(_zscore),
    "sum": rolled(math.fsum), "slope": rolled(_slope), "highest": rolled(max), "lowest": rolled(min),
    "argmax": rolled(lambda w: w[::-1].index(max(w))), "argmin": rolled(lambda w: w[::-1].index(min(w))),
    "rank": rolled(_rank), "quantile": _quantile, "correlation": _correlation, "efficiency_ratio": _efficiency,
    "delay": lagged(lambda now, then: then), "delta": lagged(lambda now, then: now - then),
    "roc": lagged(lambda now, then: now / then - 1 if then else math.nan),
    "ema": from_run(_ema, lambda n: 3 * n), "rsi": from_run(_rsi, lambda n: 6 * n),
    "atr": from_run(_atr, lambda n: 6 * n), "adx": _adx,
    "stoch": _stoch, "vwap": _vwap, "count": rolled(math.fsum),
    "abs": plainly(abs), "sign": plainly(lambda x: float(x > 0) - float(x < 0)),
    "log": plainly(lambda x: math.log(x) if x > 0 else math.nan), "min": plainly(min), "max": plainly(max),
    "where": plainly(lambda condition, a, b: a if condition else b),
    "add": plainly(lambda a, b: a + b), "sub": plainly(lambda a, b: a - b), "mul": plainly(lambda a, b: a * b),
    "div": plainly(lambda a, b: a / b if b else math.nan),
}
WITH_GAPS = [name for name in ORACLES if not REGISTRY[name].reads and name != "where"]


def columns_for(name: str, seed: int, bars: int, gaps: bool) -> list[Column]:
    """Random columns as the operator reads them: rounded prices (ties are common), conditions, NaN where asked."""
    random = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(random.standard_normal(bars)), 1)
    high = np.maximum(close, np.roll(close, 1)) + np.round(random.random(bars), 1)
    low = np.minimum(close, np.roll(close, 1)) - np.round(random.random(bars), 1)
    volume = np.where(random.random(bars) < 0.2, 0.0, np.round(random.random(bars) * 50, 1))
    held = (random.random(bars) < 0.4).astype(float)
    named = {"high": high, "low": low, "close": close, "typical": (high + low + close) / 3, "volume": volume}
    if REGISTRY[name].reads:
        return [named[field].tolist() for field in REGISTRY[name].reads]
    columns = {"count": [held], "where": [held, close, high], "correlation": [close, volume],
               "log": [close - 99], "abs": [close - 100], "sign": [close - 100]}.get(name, [close, volume])
    if random.random() < 0.3:
        columns[0][bars // 3:bars // 2] = columns[0][bars // 3]
    if gaps:
        columns[0][random.random(bars) < 0.02] = np.nan
    places = sum(slot not in ("window", "fraction") for slot in REGISTRY[name].slots)
    return [column.tolist() for column in columns[:places]]


def evaluated(name: str, columns: list[Column], numbers: tuple[float, ...]) -> np.ndarray:
    arrays = [np.array(column) for column in columns]
    kept = [array.copy() for array in arrays]
    out = np.full(len(columns[0]), 12345.0)
    vector = REGISTRY[name].vector
    assert vector is not None
    vector(arrays, numbers, out)
    for array, copy in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    return out


def test_every_operator_that_computes_has_an_oracle() -> None:
    assert set(ORACLES) == {operator.name for operator in operators() if operator.vector is not None}


@pytest.mark.parametrize("name", sorted(ORACLES))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), window=st.integers(3, 14), gaps=st.booleans())
def test_operator_equals_its_plain_definition(name: str, seed: int, window: int, gaps: bool) -> None:
    columns = columns_for(name, seed, 130, gaps and name in WITH_GAPS)
    numbers = (float(window), 0.3)
    expected = ORACLES[name](columns, numbers)
    np.testing.assert_allclose(evaluated(name, columns, numbers), expected, rtol=1e-9, atol=1e-7)


TALIB = {
    "sma": lambda x, n: talib.SMA(x[2], n), "ema": lambda x, n: talib.EMA(x[2], n),
    "wma": lambda x, n: talib.WMA(x[2], n), "std": lambda x, n: talib.STDDEV(x[2], n),
    "slope": lambda x, n: talib.LINEARREG_SLOPE(x[2], n), "highest": lambda x, n: talib.MAX(x[2], n),
    "rsi": lambda x, n: talib.RSI(x[2], n), "roc": lambda x, n: talib.ROCP(x[2], n),
    "atr": lambda x, n: talib.ATR(*x, n), "adx": lambda x, n: talib.ADX(*x, n),
}


@pytest.mark.parametrize("name", sorted(TALIB))
def test_indicator_agrees_with_talib(name: str) -> None:
    random = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(random.standard_normal(900) * 0.003))
    high, low = close * (1 + random.random(900) * 0.003), close * (1 - random.random(900) * 0.003)
    named = {"high": high, "low": low, "close": close}
    columns = [named[field].tolist() for field in REGISTRY[name].reads or ("close",)]
    ours, theirs = evaluated(name, columns, (14.0,)), TALIB[name]((high, low, close), 14)
    settled = slice(450, None)
    np.testing.assert_allclose(ours[settled], theirs[settled], rtol=1e-6, atol=1e-9)


def test_deviation_stays_exact_at_a_large_price() -> None:
    small = np.array([1.0, 2.0, 4.0, 1.0, 3.0] * 40) * 1e-6
    shifted = evaluated("std", [(small + 1e5).tolist()], (10.0,))
    np.testing.assert_allclose(shifted[9:], evaluated("std", [small.tolist()], (10.0,))[9:], rtol=1e-3)


def test_a_frozen_price_equals_its_mean_exactly() -> None:
    frozen = [99.7, 101.3, 100.4, *[100.1] * 40]
    assert evaluated("sma", [frozen], (7.0,))[-1] == 100.1
    assert evaluated("std", [frozen], (7.0,))[-1] == 0.0
    assert math.isnan(evaluated("zscore", [frozen], (7.0,))[-1])
