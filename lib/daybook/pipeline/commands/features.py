"""`daybook features list|build|show`: the catalog, the store that keeps it, and one feature drawn on real bars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybook.core.errors import DataError
from daybook.core.settings import load_settings
from daybook.core.time import DAY_MS, Window

if TYPE_CHECKING:
    from daybook.features import Feature, FeatureTable
    from daybook.market import Bars, StoredMarket

features_app = typer.Typer(no_args_is_help=True, help="The feature library and its store.")

Config = Annotated[Path | None, typer.Option("--config", help="settings file (TOML) instead of daybook.toml")]
Data = Annotated[Path | None, typer.Option("--data", help="folder of candles and features")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]

_WARMUP_DAYS = 35
"""Days read before the ones asked for: a week's warm-up is 28 days of hours, and the week may have begun six ago."""


@dataclass(frozen=True)
class Drawn:
    """A feature of one market over some bars: what `show` prints and draws."""

    feature: Feature
    bars: Bars
    table: FeatureTable
    statistics: dict[str, float | int | None]


@features_app.command("list")
def features_list(group: Annotated[str | None, typer.Option(help="one group only")] = None,
                  as_json: AsJson = False) -> None:
    """Every feature: group, unit, warm-up in bars, and what it is."""
    from daybook.core.errors import UsageError
    from daybook.features import catalog
    from daybook.features.feature import GROUPS

    if group is not None and group not in GROUPS:
        raise UsageError(f"--group: found {group!r}, allowed are {', '.join(GROUPS)}.")
    chosen = [feature for feature in catalog().values() if group in (None, feature.group)]
    if as_json:
        _print_json([declaration(feature) for feature in chosen])
        return
    for feature in chosen:
        typer.echo(f"{feature.name:<26} {feature.group:<11} {feature.unit:<18} {feature.warmup:>4}  "
                   f"{feature.description}")
    typer.echo(f"{len(chosen)} features")


@features_app.command("build")
def features_build(
    days: Annotated[int, typer.Option(min=1, help="days before the end of the candles")] = 8,
    timeframe: Annotated[str | None, typer.Option(help="1m, 5m or 60m; all when left out")] = None,
    data: Data = None, config: Config = None, as_json: AsJson = False,
) -> None:
    """Bring the store up to date with the candles of every market; days that are there are not computed again.

    A research day tidies the store back to its own window.
    """
    from daybook.core.time import TIMEFRAMES
    from daybook.features import FeatureStore

    settings = load_settings({"data": data}, config)
    store = FeatureStore(settings.data / "features")
    built = []
    for venue, markets in _markets(settings.data).items():
        end = max(market.last_ms for market in markets) // DAY_MS * DAY_MS + DAY_MS
        window = Window(end - days * DAY_MS, end)
        for frame in TIMEFRAMES if timeframe is None else (timeframe,):
            panel = _panel(settings.data, venue, markets, frame, window)
            for symbol, table in store.panel(panel, window=window).items():
                built.append({"venue": venue, "symbol": symbol, "timeframe": frame, "bars": len(table),
                              "features": len(table.names)})
    if as_json:
        _print_json(built)
        return
    for row in built:
        typer.echo(f"{row['venue']} {row['symbol']} {row['timeframe']}: {row['bars']:,} bars, "
                   f"{row['features']} features")
    typer.echo(str(store.root))


@features_app.command("show")
def features_show(
    name: Annotated[str, typer.Argument(help="a feature, as `daybook features list` names it")],
    symbol: Annotated[str | None, typer.Option(help="the market; the first of the store when left out")] = None,
    timeframe: Annotated[str, typer.Option(help="1m, 5m or 60m")] = "5m",
    days: Annotated[int, typer.Option(min=1, max=60, help="days before the end of the candles")] = 7,
    data: Data = None, config: Config = None, as_json: AsJson = False,
) -> None:
    """One feature: its declaration, its statistics on a market's last days, and a page that draws both."""
    from daybook.features.table import resolve

    settings = load_settings({"data": data}, config)
    feature = resolve([name])[0]
    drawn = _drawn(settings.data, feature, symbol, timeframe, days)
    page = write_page(settings.data / "features" / "pages", drawn)
    facts = declaration(feature) | {"market": f"{drawn.bars.venue} {drawn.bars.name}"} | drawn.statistics
    if as_json:
        _print_json(facts | {"page": str(page)})
        return
    for label, value in facts.items():
        typer.echo(f"{label:<12} {_text(value)}")
    typer.echo(str(page))


def declaration(feature: Feature) -> dict[str, Any]:
    """What the catalog says about a feature, as plain values."""
    bounds = None if feature.bounds is None else [str(bound) for bound in feature.bounds]
    return {"name": feature.name, "group": feature.group, "description": feature.description,
            "inputs": list(feature.inputs), "unit": feature.unit, "warmup_bars": feature.warmup,
            "recursive": feature.recursive, "bounds": bounds, "source": feature.source}


def statistics(table: FeatureTable, name: str) -> dict[str, float | int | None]:
    """Bars, share that is known, moments and quantiles of one feature; None where nothing is known."""
    import numpy as np

    values = table.column(name).astype(np.float64)
    known = values[~np.isnan(values)]
    found: dict[str, float | int | None] = {"bars": values.size, "known": known.size}
    quantiles = dict(zip(("least", "p05", "median", "p95", "most"), (0.0, 0.05, 0.5, 0.95, 1.0), strict=True))
    if not known.size:
        return found | dict.fromkeys(("mean", "deviation", *quantiles))
    return found | {"mean": float(known.mean()), "deviation": float(known.std())} | {
        label: float(np.quantile(known, share)) for label, share in quantiles.items()
    }


def _drawn(data: Path, feature: Feature, symbol: str | None, timeframe: str, days: int) -> Drawn:
    from daybook.features import compute_panel

    stored = _markets(data)
    own = _chosen(stored, symbol)
    markets = stored[own.venue]
    end = own.last_ms // DAY_MS * DAY_MS + DAY_MS
    window = Window(end - days * DAY_MS, end)
    panel = _panel(data, own.venue, markets, timeframe, window)
    table = compute_panel(panel, [feature.name])[own.symbol]
    inside = slice(*table.open_time.searchsorted([window.start_ms, window.end_ms]).tolist())
    shown = table.rows(inside)
    return Drawn(feature, panel[own.symbol].within(window), shown, statistics(shown, feature.name))


def _markets(data: Path) -> Mapping[str, list[StoredMarket]]:
    from daybook.market import candle_store

    found: dict[str, list[StoredMarket]] = {}
    for market in candle_store(data).markets():
        found.setdefault(market.venue, []).append(market)
    if not found:
        raise DataError(f"{data / 'candles'}: holds no candles. Import some with `daybook candles import`, or download "
                        "them with `daybook candles download`.")
    return found


def _chosen(stored: Mapping[str, list[StoredMarket]], symbol: str | None) -> StoredMarket:
    """The first market with this symbol. Raises DataError, naming those that are there, when there is none."""
    everything = [market for markets in stored.values() for market in markets]
    for market in everything:
        if symbol in (None, market.symbol):
            return market
    there = ", ".join(sorted({market.symbol for market in everything}))
    raise DataError(f"{symbol}: not among the markets of the store ({there}). Import its candles first.")


def _panel(data: Path, venue: str, markets: list[StoredMarket], timeframe: str, window: Window) -> dict[str, Bars]:
    """Bars of every market that has any in the window or in the warm-up before it."""
    from daybook.market import read_bars

    span = Window(window.start_ms - _WARMUP_DAYS * DAY_MS, window.end_ms)
    return {market.symbol: read_bars(data, market.symbol, timeframe, span, venue=venue) for market in markets
            if market.first_ms < span.end_ms and market.last_ms >= span.start_ms}


def write_page(folder: Path, drawn: Drawn) -> Path:
    """Write <NAME>.html, which opens from disk without a network; equal bars give equal bytes."""
    from daybook.core.files import write_text
    from daybook.report import install_assets
    from daybook.report.assets import page_policy, script, style
    from daybook.report.sanitise import chart_json
    from daybook.report.views import templates

    charts = [(chart_json({"data": chart.data, "layout": chart.layout}), chart.text) for chart in _charts(drawn)]
    facts = {label: _text(value) for label, value in {**declaration(drawn.feature), **drawn.statistics}.items()}
    market = f"{drawn.bars.venue} {drawn.bars.name}, {len(drawn.table):,} bars"
    html = templates().from_string(_PAGE).render(
        name=drawn.feature.name, market=market, facts=facts, charts=charts, policy=page_policy(), style=style(),
        script=script(), plotly=install_assets(folder).plotly,
    )
    return write_text(folder / f"{drawn.feature.name}.html", html)


def _charts(drawn: Drawn) -> list[Any]:
    import numpy as np
    import pandas as pd

    from daybook.report import charts

    name, unit = drawn.feature.name, drawn.feature.unit
    step = -(-len(drawn.table) // _MOST_POINTS)
    values = drawn.table.column(name).astype(np.float64)
    sampled = f"every {step} bars" if step > 1 else "every bar"
    time = pd.DataFrame({"time_ms": drawn.table.open_time[::step], name: values[::step],
                         "close": drawn.bars.close[::step]})
    known = values[~np.isnan(values)]
    counts, edges = np.histogram(known, bins=24) if known.size else (np.zeros(0), np.zeros(1))
    spread = pd.DataFrame({"from": [f"{edge:.3g}" for edge in edges[:-1]],
                           "share": counts / max(known.size, 1), "n": counts.astype(np.int64)})
    return [
        charts.lines(time, "time_ms", name, title=f"{name} of {drawn.bars.name}", unit=unit, subtitle=sampled),
        charts.lines(time, "time_ms", "close", title=f"Close of {drawn.bars.name}", unit="quote", subtitle=sampled),
        charts.bars(spread, "from", "share", "n", title=f"How the values of {name} spread", unit="share of bars"),
    ]


_MOST_POINTS = 2_000

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ name }} · Daybook</title>
<style>{{ style | safe }}</style>
</head>
<body data-plotly="{{ plotly }}">
<header><div class="bar-top"><span class="brand">Daybook</span><h1 class="day">{{ name }}</h1>
<span class="window">{{ market }}</span></div></header>
<div class="sheet"><main>
<section class="cell"><div class="html"><div class="db-table"><table><caption>Declaration and statistics</caption>
<tbody>
{% for label, value in facts.items() %}
<tr><th scope="row">{{ label }}</th><td>{{ value }}</td></tr>
{% endfor %}
</tbody></table></div></div></section>
{% for chart, text in charts %}
<section class="cell"><figure class="chart"><div class="chart-plot"></div><figcaption class="chart-text">{{ text }}\
</figcaption><script type="application/json">{{ chart }}</script></figure></section>
{% endfor %}
</main></div>
<footer><p>All times are UTC.</p></footer>
<script>{{ script | safe }}</script>
</body>
</html>
"""


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, sort_keys=True, indent=2))
