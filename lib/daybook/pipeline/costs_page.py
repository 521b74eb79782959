"""What the page `notebooks/desk/execution_costs.ipynb` shows: measured costs, wherever they can be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from daybook.core.errors import UsageError
from daybook.core.time import parse_day, window_before
from daybook.execution import ExecutionMetrics, Recordings, latest_metrics, measure, metrics_dates, metrics_for
from daybook.execution.metrics import POOL
from daybook.execution.tables import hour_table, market_table, note_table, session_table
from daybook.pipeline.manifest import NOTEBOOKS
from daybook.report import FrameStyle, Headline

_PROJECT = NOTEBOOKS.parent
_BUILT_IN_DAY, _BUILT_IN_SYMBOLS, _BUILT_IN_DAYS, _BUILT_IN_SEED = "2026-01-15", ("BTCUSDT", "ETHUSDT"), 28, 7
_BPS = "bps of mid"

STYLE = FrameStyle(
    units={"spread_mean": _BPS, "spread_p50": _BPS, "spread_p90": _BPS, "spread_p999": _BPS, "slippage_mean": _BPS,
           "slippage_p90": _BPS, "latency_p50": "ms", "latency_p90": "ms", "clock_skew_ms": "ms", "mean": _BPS,
           "sd": _BPS, "p50": _BPS, "p90": _BPS, "p999": _BPS, "n": "quotes", "hour": "UTC"},
    labels={"spread_mean": "spread", "spread_p50": "median", "spread_p90": "p90", "spread_p999": "p99.9",
            "slippage_mean": "slippage", "slippage_p90": "its p90", "slippage_from": "seen by",
            "latency_p50": "latency", "latency_p90": "its p90", "latency_from": "timed by",
            "clock_skew_ms": "clock skew", "relative": "× its mean", "p50": "median", "p999": "p99.9",
            "answered_by": "used from"},
    formats={"observations": "int", "crossed": "int", "orders": "int", "rejects": "int", "note": "prose", "n": "int",
             "clock_skew_ms": ".0f", "relative": ".2f"},
    reasons={"slippage_mean": "quotes come too rarely to see it", "slippage_p90": "quotes come too rarely to see it",
             "latency_p50": "neither fills nor two clocks were recorded", "orders": "no fills", "rejects": "no fills",
             "clock_skew_ms": "one clock only", "crossed": "no quotes"},
    optional=frozenset({"orders", "rejects", "clock_skew_ms", "slippage_from", "latency_from"}),
)


@dataclass(frozen=True)
class CostsPage:
    """Measured costs with the sentence that opens their page."""

    metrics: ExecutionMetrics
    origin: str

    @property
    def headline(self) -> Headline:
        """The cheapest and the dearest market, and where all of it comes from."""
        by_spread = self.markets.sort_values("spread_mean")
        low, high = by_spread.iloc[0], by_spread.iloc[-1]
        spreads = _told(low) if len(by_spread) == 1 else f"from {_told(low)} to {_told(high)}"
        return Headline(verdict=f"The spread of {self.metrics.source}, {self.origin}: {spreads}.")

    @cached_property
    def markets(self) -> pd.DataFrame:
        """One row a market over all its sessions."""
        return market_table(self.metrics)

    @property
    def worst(self) -> pd.DataFrame:
        """The markets by their spread in the worst thousandth of the time, widest first."""
        return self.markets.sort_values("spread_p999", ascending=False)

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """One row a market and session, with the spread as a multiple of the market's mean."""
        table = session_table(self.metrics)
        overall = self.markets.set_index("market")["spread_mean"]
        table = table[table["volatility"] == "any"].drop(columns="volatility").reset_index(drop=True)
        return table.assign(relative=table["mean"] / table["market"].map(overall))

    @cached_property
    def volatilities(self) -> pd.DataFrame:
        """One row a market, session and volatility tercile."""
        table = session_table(self.metrics)
        return table[table["volatility"] != "any"].reset_index(drop=True)

    @cached_property
    def hours(self) -> pd.DataFrame:
        """One row a market and UTC hour that was recorded, with the spread as a multiple of the market's mean."""
        table = hour_table(self.metrics)
        overall = self.markets.set_index("market")["spread_mean"]
        return table.assign(relative=table["mean"] / table["market"].map(overall))

    @cached_property
    def notes(self) -> pd.DataFrame:
        """What to know of each market before its figures are believed."""
        return note_table(self.metrics)

    @property
    def figures(self) -> dict[str, float | int | str]:
        """The headline figures that the page glues."""
        named = [market for market in self.metrics.markets if market.symbol != POOL]
        return {"date": self.metrics.date, "markets": len(named), "identity": self.metrics.identity,
                "observations": sum(market.observations for market in named)}

    def finish(self) -> None:
        """Glue the headline figures."""
        from daybook.pipeline.glue import glue

        for name, value in self.figures.items():
            glue(name, value)


def open_costs(date: str | None = None, data: str | None = None, quotes: Sequence[str] = ()) -> CostsPage:
    """The costs that a page shows: those kept in the data folder, else measured here and now.

    date: a day (YYYY-MM-DD) whose costs are wanted, or None for the newest. data: the data folder, the project's own
    where None. quotes: files and folders (relative ones from the project's root) that are measured where nothing is
    kept; those that do not exist are passed over, and without any the built-in market's candles are estimated.
    Raises UsageError for a date that is none, DataError when nothing kept is old enough for it.
    """
    if date is not None:
        parse_day(date)
    if isinstance(quotes, str):
        raise UsageError(f"quotes: found the text {quotes!r}, allowed is a list of files and folders.")
    folder = Path(data) if data is not None else _PROJECT / "data"
    if metrics_dates(folder):
        kept = latest_metrics(folder) if date is None else metrics_for(folder, date)
        return CostsPage(kept, f"kept under {kept.date}")
    found = [path for path in (_PROJECT / name for name in quotes) if path.exists()]
    if found:
        return CostsPage(_measured_now(found, date), "read for this page")
    return CostsPage(_built_in(), "on the built-in synthetic market")


def _measured_now(paths: list[Path], date: str | None) -> ExecutionMetrics:
    from daybook.core.time import DAY_MS, day_of
    from daybook.market import read_markets

    quotes = read_markets(paths)
    after_the_last = day_of(int(max(part.time_ms[-1] for part in quotes)) + DAY_MS).isoformat()
    return measure(date or after_the_last, Recordings(quotes=quotes))


def _built_in() -> ExecutionMetrics:
    from daybook.market import synthetic_bars

    window = window_before(parse_day(_BUILT_IN_DAY), _BUILT_IN_DAYS)
    bars = [synthetic_bars(symbol, window, seed=_BUILT_IN_SEED) for symbol in _BUILT_IN_SYMBOLS]
    return measure(_BUILT_IN_DAY, Recordings(bars=bars))


def _told(row: pd.Series) -> str:
    return f"{row['spread_mean']:.3g} bps ({row['market']})"
