"""The cases of the backtest bench and every engine that runs them: Daybook, a C loop, vectorbt, backtesting.py."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import talib

from daybook.backtest import replay, sweep
from daybook.execution import Costs
from daybook.market.bars import Bars
from daybook.strategy import Strategy, parse_spec

COSTS = Costs(fee_bps=1.0, spread_bps=0.6)
FIGURES = ["total_return", "sharpe", "max_drawdown", "win_rate", "trades"]
CAPITAL = 100_000.0
RESERVE = 10.0
"""vectorbt knows no margin: it gets so many times the capital, or losses would shrink its later orders."""
C_LOOP, VECTORBT, BACKTESTING = "C loop, gcc -O3", "vectorbt", "backtesting.py"
VECTORBT_COLUMNS = 250
"""Columns a call: vectorbt holds 4.3 MB for each."""

RSI = parse_spec({
    "name": "rsi-stops", "rationale": "Buys weakness, sells strength, with stops.", "timeframes": ["1m"],
    "long_entry": "cross_below(rsi(close, window), low_level)",
    "short_entry": "cross_above(rsi(close, window), high_level)",
    "parameters": {
        "window": {"low": 5, "high": 40, "default": 14, "integer": True},
        "low_level": {"low": 10, "high": 50, "default": 30}, "high_level": {"low": 50, "high": 90, "default": 70},
        "sl": {"low": 0.001, "high": 0.1, "default": 0.01}, "tp": {"low": 0.001, "high": 0.1, "default": 0.01}},
    "stop_loss": "sl", "take_profit": "tp"})
MA = parse_spec({
    "name": "ma-cross", "rationale": "Follows the faster average.", "timeframes": ["1m"],
    "long_entry": "cross_above(sma(close, fast), sma(close, slow))",
    "short_entry": "cross_below(sma(close, fast), sma(close, slow))",
    "parameters": {"fast": {"low": 2, "high": 100, "default": 5, "integer": True},
                   "slow": {"low": 2, "high": 400, "default": 20, "integer": True}}})


@dataclass(frozen=True)
class Case:
    """What every engine is handed."""

    strategy: Strategy
    bars: Bars
    params: list[dict[str, float]]
    costs: Costs = COSTS

    @property
    def averages(self) -> bool:
        return self.strategy is MA

    def windows(self) -> list[int]:
        names = ("fast", "slow") if self.averages else ("window",)
        return sorted({int(chosen[name]) for chosen in self.params for name in names})


def seeded_bars(count: int) -> Bars:
    """Minute bars with clustered volatility, fat tails, wicks and small gaps."""
    rng = np.random.default_rng(7)
    log_vol = np.empty(count)
    level = 0.0
    for t, shock in enumerate(rng.standard_normal(count)):
        level = log_vol[t] = 0.995 * level + 0.06 * shock
    vol = 0.6 / np.sqrt(525_600) * np.exp(log_vol)
    close = 100.0 * np.exp(np.cumsum(vol * rng.standard_t(5, count) / np.sqrt(5 / 3)))
    first = np.concatenate(([100.0], close[:-1])) * (1 + vol * 0.05 * rng.standard_normal(count))
    up, down = np.abs(rng.standard_normal((2, count))) * vol * 0.6
    return Bars("bench", "BTCUSDT", "1m", 1_735_689_600_000 + 60_000 * np.arange(count), first,
                np.maximum(first, close) * (1 + up), np.minimum(first, close) * (1 - down), close,
                rng.lognormal(3.0, 1.0, count))


def parameter_sets(strategy: Strategy, count: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(3)
    if strategy is MA:
        fast = rng.integers(5, 61, count)
        return [{"fast": float(f), "slow": float(s)}
                for f, s in zip(fast, fast + rng.integers(10, 200, count), strict=True)]
    columns = (rng.integers(7, 29, count), rng.integers(20, 36, count), rng.integers(65, 81, count),
               rng.uniform(0.003, 0.02, count).round(4), rng.uniform(0.003, 0.03, count).round(4))
    return [dict(zip(("window", "low_level", "high_level", "sl", "tp"), map(float, row), strict=True))
            for row in zip(*columns, strict=True)]


def daybook(case: Case, jobs: int = 1) -> np.ndarray:
    return sweep(case.strategy, case.bars, case.params, case.costs, jobs=jobs)[FIGURES].to_numpy(float)


# ---- the C loop ----

class CJob(ctypes.Structure):
    _fields_ = [("strategy", ctypes.c_int), *[(name, ctypes.c_long) for name in ("first", "second", "warmup")],
                *[(name, ctypes.c_double) for name in ("low", "high", "stop", "target")]]


def c_library() -> ctypes.CDLL:
    built = Path(tempfile.mkdtemp()) / "kernel.so"
    source = Path(__file__).with_name("kernel.c")
    subprocess.run(["gcc", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-o",
                    str(built), str(source), "-lm"], check=True)
    return ctypes.CDLL(str(built))


def c_loop(library: ctypes.CDLL) -> Callable[[Case], np.ndarray]:
    def pointer(values: np.ndarray) -> ctypes.c_void_p:
        return values.ctypes.data_as(ctypes.c_void_p)

    def run(case: Case) -> np.ndarray:
        bars, count = case.bars, ctypes.c_long(len(case.bars))
        windows = np.array(case.windows(), dtype=np.int64)
        at = {int(window): row for row, window in enumerate(windows)}
        rows = np.empty((len(windows), len(bars)))
        fill = library.sma_rows if case.averages else library.rsi_rows
        fill(count, pointer(bars.close), ctypes.c_int(len(windows)), pointer(windows), pointer(rows))
        jobs = (CJob * len(case.params))(*(c_job(case, chosen, at) for chosen in case.params))
        out = np.empty((len(case.params), 5))
        side_cost = case.costs.side_cost(bars)
        tape = map(pointer, (bars.open, bars.high, bars.low, bars.close, side_cost))
        fee, number = ctypes.c_double(case.costs.fee), ctypes.c_int(len(jobs))
        library.simulate_all(count, *tape, fee, pointer(rows), number, jobs, pointer(out))
        return out

    return run


def c_job(case: Case, chosen: dict[str, float], at: dict[int, int]) -> CJob:
    warmup = case.strategy.warmup(chosen)
    if case.averages:
        return CJob(0, at[int(chosen["fast"])], at[int(chosen["slow"])], warmup, 0.0, 0.0, 0.0, 0.0)
    row = at[int(chosen["window"])]
    return CJob(1, row, row, warmup, chosen["low_level"], chosen["high_level"], chosen["sl"], chosen["tp"])


# ---- peers ----

def peer_signals(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """(T, N) long and short entries at the bar that fills them; indicators computed once per window, by TA-Lib."""
    close, count = case.bars.close, len(case.bars)
    indicator = talib.SMA if case.averages else talib.RSI
    rows = {window: indicator(close, window) for window in case.windows()}

    def columns(name: str) -> np.ndarray:
        return np.column_stack([rows[int(chosen[name])] for chosen in case.params])

    def level(name: str) -> np.ndarray:
        return np.array([chosen[name] for chosen in case.params])

    if case.averages:
        fast, slow = columns("fast"), columns("slow")
        above, below = fast > slow, fast < slow
    else:
        line = columns("window")
        above, below = line < level("low_level"), line > level("high_level")
    warm = np.arange(count)[:, None] >= [case.strategy.warmup(chosen) for chosen in case.params]
    sides = []
    for now in (above, below):
        moved = np.zeros_like(now)
        moved[2:] = (now[1:-1] & ~now[:-2]) & warm[1:-1]
        sides.append(moved)
    return sides[0], sides[1]


def vectorbt(engine: str, case: Case) -> np.ndarray:
    """vectorbt with one of its engines, for the simulation as for the figures."""
    import vectorbt as vbt

    vbt.settings["engine"] = engine
    return np.vstack([vectorbt_columns(replace(case, params=case.params[at:at + VECTORBT_COLUMNS]))
                      for at in range(0, len(case.params), VECTORBT_COLUMNS)])


def vectorbt_columns(case: Case) -> np.ndarray:
    import vectorbt as vbt

    bars, (long, short) = case.bars, peer_signals(case)
    index = pd.to_datetime(bars.open_time, unit="ms")
    first, cost = bars.open[:, None], case.costs.side_cost(bars)[:, None]
    stops = {} if case.averages else {
        "sl_stop": np.array([[chosen["sl"] for chosen in case.params]]),
        "tp_stop": np.array([[chosen["tp"] for chosen in case.params]]),
        "stop_entry_price": "fillprice", "stop_exit_price": "stopmarket"}
    done = vbt.Portfolio.from_signals(
        pd.Series(bars.close, index), pd.DataFrame(long, index), short_entries=short, price=first, open=first,
        size=np.where(long, CAPITAL / (first * (1 + cost)), CAPITAL / (first * (1 - cost))), high=bars.high[:, None],
        low=bars.low[:, None], slippage=cost, fees=case.costs.fee, init_cash=RESERVE * CAPITAL, freq="1min",
        upon_opposite_entry="reverse", **stops)
    trades = done.trades
    return np.column_stack([np.asarray(figure, dtype=float).reshape(-1) for figure in (
        done.total_return() * RESERVE, done.sharpe_ratio(), -done.max_drawdown(), trades.win_rate(),
        trades.count())])


def backtesting(case: Case) -> np.ndarray:
    import backtesting.backtesting as backtesting_module
    from backtesting import Backtest

    backtesting_module._tqdm = lambda items, **_: items  # its progress bar costs time and can not be switched off
    bars = case.bars
    index = pd.to_datetime(bars.open_time, unit="ms")
    frame = pd.DataFrame({"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close}, index)
    rows = []
    for chosen in case.params:
        runner = Backtest(frame, peer_strategy(case, chosen), cash=CAPITAL, commission=case.costs.fee, margin=0.2,
                          spread=2 * float(case.costs.side_cost(bars)[0]), exclusive_orders=True, finalize_trades=True)
        stats = runner.run()
        rows.append((stats["Return [%]"] / 100, stats["Sharpe Ratio"], -stats["Max. Drawdown [%]"] / 100,
                     stats["Win Rate [%]"] / 100, stats["# Trades"]))
    return np.array(rows, float)


def peer_strategy(case: Case, chosen: dict[str, float]) -> type:
    from backtesting import Strategy as PeerStrategy

    long, short = (side[:, 0] for side in peer_signals(replace(case, params=[chosen])))
    decided = np.roll(long.astype(np.int8) - short.astype(np.int8), -1)

    class Peer(PeerStrategy):
        def init(self) -> None:
            self.decided = self.I(lambda: decided, plot=False)

        def next(self) -> None:
            side, price = int(self.decided[-1]), float(self.data.Close[-1])
            if side == 0 or self.position.size * side > 0:
                return
            levels = {} if case.averages else {"sl": price * (1 - side * chosen["sl"]),
                                               "tp": price * (1 + side * chosen["tp"])}
            order = self.buy if side > 0 else self.sell
            order(size=int(CAPITAL / price), **levels)

    return Peer


@dataclass(frozen=True)
class Engine:
    name: str
    run: Callable[[Case], np.ndarray]
    tolerance: float
    """Largest difference of total return in a simulation that counts as agreeing."""
    most: int = 10**9
    """Simulations it runs at most; the rest would only repeat the figure."""
    comparable: Callable[[Case], np.ndarray] | None = None
    """(N,) which simulations its rules treat as Daybook's do, and so must agree; None = its rules are others."""


def engines(names: list[str]) -> list[Engine]:
    """Peers by name. vectorbt leaves the last position open (its closing costs are 1.3 bps here); backtesting.py
    trades whole coins, charges the spread at the entry alone and sets stops from the close before it.
    """
    known = {engine: Engine(f"vectorbt ({engine})", partial(vectorbt, engine), 2e-4, comparable=stops_meet_no_signal)
             for engine in ("numba", "rust")}
    known["backtesting"] = Engine(BACKTESTING, backtesting, 2e-2, most=3)
    loop = [Engine(C_LOOP, c_loop(c_library()), 1e-9, comparable=everything)] if "c" in names else []
    return loop + [known[name] for name in names if name in known]


def everything(case: Case) -> np.ndarray:
    return np.ones(len(case.params), dtype=bool)


def stops_meet_no_signal(case: Case) -> np.ndarray:
    """Where no level is touched on an entry bar or on a bar at whose open a signal acts: vectorbt stops before it
    reverses, and not on entry bars.
    """
    return np.array([case.averages or plain_stops(case, chosen) for chosen in case.params])


def plain_stops(case: Case, chosen: dict[str, float]) -> bool:
    bars, trades = case.bars, replay(case.strategy, case.bars, chosen, case.costs).trades
    inside = trades["reason"].isin(["stop", "target"]).to_numpy()
    enter, leave = (np.searchsorted(bars.open_time, trades[name]) for name in ("entry_time", "exit_time"))
    leave = np.minimum(leave - inside, len(bars) - 1)
    sides, entries = np.where(trades["side"] == "long", 1, -1), trades["entry_price"].to_numpy()
    levels = np.stack([entries * (1 - sides * chosen["sl"]), entries * (1 + sides * chosen["tp"])])
    touched = (bars.low[leave] <= levels.min(axis=0)) | (bars.high[leave] >= levels.max(axis=0))
    signals = np.logical_or(*(side[:, 0] for side in peer_signals(replace(case, params=[chosen]))))
    return not (touched & ((leave == enter) | signals[leave])).any()


