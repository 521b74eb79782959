"""Fix what a run will read, before its first step: the bars, their quality, and yesterday's published state."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybook.core.errors import DataError, UsageError
from daybook.core.files import write_json
from daybook.core.hashing import hash_json
from daybook.core.settings import Settings
from daybook.core.store import Store
from daybook.core.time import DAY_MS, Window, parse_day, utc_text, window_before
from daybook.execution import Costs
from daybook.market import CandleStore, StoredMarket, candle_store, check_store, import_candles, read_bars
from daybook.market.synthetic import synthetic_bars, synthetic_venue
from daybook.pipeline.conditions import funding_notices, seal_funding
from daybook.pipeline.costs import data_hash_of, seal_costs
from daybook.pipeline.folders import RunFolders, run_id
from daybook.pipeline.manifest import (
    Sealed,
    package_versions,
    read_manifest,
    research_settings,
    run_code_hash,
    settings_hash,
)
from daybook.pipeline.refresh import refresh_facts, refresh_from_exchange
from daybook.pipeline.unfinished import take_in
from daybook.rank import PriorState, prior_state, store_schema, venue_of

if TYPE_CHECKING:
    from daybook.pipeline.runner import RunRequest

BUILT_IN = "synthetic-"
"""How the venue names of the built-in market begin."""
NEWEST_DAY_FACTOR = 5
"""An exchange's outage of two hours must not stop a day; a feed that ends early must."""
_MODE_LABELS = {
    "normal": "built-in synthetic market",
    "noise": "built-in synthetic market, pure noise",
    "planted": "built-in synthetic market with a planted edge",
}


def seal_run(staging: Path, request: RunRequest, number: int) -> Sealed:
    """Refresh the candles, check them, and write `inputs/` of a new run; returns what was sealed.

    Raises DataError when a market is missing or too incomplete, UsageError when the source does not know a symbol.
    """
    settings = request.settings
    costs = Costs(fee_bps=settings.fee_bps, spread_bps=settings.spread_bps)
    for symbol in settings.symbols:
        costs.spread_of(symbol)  # a market without a spread is refused here, not in the middle of the day
    history = window_before(parse_day(request.day), settings.history_days)
    venue = refresh_candles(settings, history, staging / "inputs")
    markets = {symbol: _sealed_market(settings, venue, symbol, history) for symbol in settings.symbols}
    store = Store(settings.data, store_schema())
    prior = prior_state(store, request.day, number)
    _require_same_venue(store, prior.previous_day, venue)
    state = take_in(RunFolders(settings.runs), staging / "inputs", prior).model_dump(mode="json")
    bars = {"venue": venue, "window": [history.start_ms, history.end_ms], "markets": markets}
    return _written(staging, request, number, bars, state)


def _written(staging: Path, request: RunRequest, number: int, bars: dict[str, Any], state: dict[str, Any]) -> Sealed:
    settings = request.settings
    parent = None if number == 1 else run_id(request.day, 1)
    bars = bars | refresh_facts(staging / "inputs")
    bars = bars | seal_costs(staging / "inputs", settings, request.day, bars["venue"])
    bars = bars | seal_funding(staging / "inputs", settings, bars["venue"], Window(*bars["window"]))
    for notice in funding_notices(bars):
        print(notice, file=sys.stderr, flush=True)  # noqa: T201 - what a person should know before the day begins
    sealed = Sealed(
        run_id=run_id(request.day, number),
        day=request.day,
        number=number,
        parent=parent,
        official=number == 1,
        settings=research_settings(settings),
        changed_parameters=_changed(settings, parent),
        settings_hash=settings_hash(settings),
        code_hash=run_code_hash(),
        data_hash=data_hash_of(bars),
        state_hash=hash_json(state),
        synthetic_label=_label(bars["venue"]),
        versions=package_versions(),
    )
    write_json(staging / "inputs" / "bars.json", bars)
    write_json(staging / "inputs" / "state.json", state)
    write_json(staging / "inputs" / "run.json", sealed.model_dump(mode="json"))
    return sealed


def seal_scratch(folder: Path, day: str, settings: Settings) -> Sealed:
    """Seal a scratch run, which starts from no state, is never official and is never published."""
    from daybook.pipeline.runner import RunRequest

    history = window_before(parse_day(day), settings.history_days)
    venue = refresh_candles(settings, history, folder / "inputs")
    markets = {symbol: _sealed_market(settings, venue, symbol, history) for symbol in settings.symbols}
    bars = {"venue": venue, "window": [history.start_ms, history.end_ms], "markets": markets}
    request = RunRequest(day, settings)
    return _written(folder, request, 1, bars, PriorState.empty(day).model_dump(mode="json"))


def _label(venue: str) -> str | None:
    """What every page must say of bars that no exchange printed; it follows the bars."""
    if not venue.startswith(BUILT_IN):
        return None
    mode = venue.removeprefix(BUILT_IN).rsplit("-", 1)[0]
    return _MODE_LABELS.get(mode, "built-in synthetic market")


def _changed(settings: Settings, parent: str | None) -> list[str]:
    """Research settings that differ from those of the run's parent, or from the defaults where it has none."""
    own = research_settings(settings)
    folder = RunFolders(settings.runs).finished(parent) if parent else None
    known = folder is not None and (folder / "manifest.json").is_file()
    other = research_settings(Settings())  # what a parent of before a parameter's time did is the parameter's default
    if folder is not None and known:
        other |= read_manifest(folder).sealed.settings
    return sorted(name for name, value in own.items() if other.get(name) != value)


def _require_same_venue(store: Store, previous_day: str | None, venue: str) -> None:
    """Pools and forward records of one venue say nothing of another's bars, least of all the built-in market's."""
    if previous_day is None:
        return
    before = store.read(lambda connection: venue_of(connection, previous_day))
    if before is not None and before != venue:
        raise DataError(
            f"venue: the published state of {previous_day} was made on {before}, this day's candles are of {venue}. "
            "Its pools and evidence do not carry over: choose other --data and --runs folders for this venue."
        )


def refresh_candles(settings: Settings, history: Window, inputs: Path | None = None) -> str:
    """Bring the candle store up to date for a window and return the venue to read.

    inputs: folder that gets the report of a download.
    """
    if settings.source in ("binance", "blofin"):
        return refresh_from_exchange(settings, history, inputs)
    store = candle_store(settings.data)
    if settings.source == "synthetic":
        venue = synthetic_venue(settings.seed, settings.market_mode)
        for symbol in settings.symbols:
            _refresh_synthetic(store, venue, symbol, settings, history)
        return venue
    imported: set[str] = set()
    if settings.candles is not None:
        report = import_candles(settings.candles, store, venue=settings.venue, symbols=settings.symbols)
        imported = {market.venue for market in report.markets}
    if (settings.venue or "").startswith(BUILT_IN):
        raise UsageError(f"venue: {settings.venue} is the built-in market, which --source synthetic makes.")
    return settings.venue or _only_venue(store, settings.symbols, history, imported)


def _refresh_synthetic(store: CandleStore, venue: str, symbol: str, settings: Settings, history: Window) -> None:
    bars = synthetic_bars(symbol, history, seed=settings.seed, mode=settings.market_mode)
    stored = store.read(venue, symbol, history)
    if stored.data_hash != bars.data_hash:
        counts = store.write_bars(bars)
        if counts.conflicts:
            raise DataError(
                f"{symbol} on {venue}: {counts.conflicts} stored bars differ from what the built-in market makes now; "
                f"another version of Daybook wrote them. Remove that venue's folder from {store.root}, or choose "
                "another --data folder."
            )


def _only_venue(store: CandleStore, symbols: Sequence[str], history: Window, imported: set[str]) -> str:
    """The one venue, among those just imported if any, that holds every symbol and reaches into the window."""
    known = [m for m in store.markets() if (m.venue in imported if imported else not m.venue.startswith(BUILT_IN))]
    markets = {(market.venue, market.symbol): market for market in known}
    venues = sorted({venue for venue, _ in markets})
    holding = [venue for venue in venues if all((venue, symbol) in markets for symbol in symbols)]
    reaching = [v for v in holding if all(_overlaps(markets[v, symbol], history) for symbol in symbols)]
    if len(reaching) == 1:
        return reaching[0]
    if len(reaching) > 1:
        raise DataError(
            f"candles: {', '.join(reaching)} all hold {', '.join(symbols)} for this day. Name one with DAYBOOK_VENUE "
            "or `venue` in the settings file."
        )
    raise DataError(_nothing_fits(markets, holding, symbols, history))


def _overlaps(market: StoredMarket, window: Window) -> bool:
    return market.first_ms < window.end_ms and market.last_ms >= window.start_ms


def _nothing_fits(
    markets: dict[tuple[str, str], StoredMarket], holding: list[str], symbols: Sequence[str], window: Window
) -> str:
    asked = f"{', '.join(symbols)} from {utc_text(window.start_ms)} to {utc_text(window.end_ms)}"
    if not markets:
        return f"candles: the store is empty, {asked} is wanted. Import some with --candles PATH."
    there = "; ".join(
        f"{symbol} on {venue} {utc_text(m.first_ms)} to {utc_text(m.last_ms)}" for (venue, symbol), m in markets.items()
    )
    if not holding:
        return f"candles: no venue holds all of {', '.join(symbols)}. The store has {there}. Choose among them."
    return f"candles: no bars for {asked}. The store has {there}. Choose another --date or import those days."


def _sealed_market(settings: Settings, venue: str, symbol: str, history: Window) -> dict[str, Any]:
    """Hash and quality of one market's bars. Raises DataError when more than max_missing of them are missing."""
    bars = read_bars(settings.data, symbol, "1m", history, venue=venue)
    store = candle_store(settings.data)
    quality = check_store(store, venue, symbol, history, max_missing=settings.max_missing, peers=settings.symbols)
    newest = Window(history.end_ms - DAY_MS, history.end_ms)
    for window, limit in (
        (history, settings.max_missing),
        (Window(history.end_ms - settings.window_days * DAY_MS, history.end_ms), settings.max_missing),
        (newest, min(1.0, NEWEST_DAY_FACTOR * settings.max_missing)),
    ):
        found = check_store(store, venue, symbol, window, max_missing=limit)
        if not found.ok:
            raise DataError(
                f"{found.summary}. Import the missing bars, choose another --date, shorten -p history_days, or raise "
                f"max_missing (now {settings.max_missing:g}; the newest day may miss {NEWEST_DAY_FACTOR} times that)."
            )
    return {"data_hash": bars.data_hash, "bars": len(bars), "quality": quality.model_dump(mode="json")}


