"""The execution costs of a run: measured ones are sealed with it, so that it never reads a later measurement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daybook.core.errors import DataError
from daybook.core.files import write_json
from daybook.core.hashing import hash_json
from daybook.core.settings import Settings
from daybook.execution import Costs, MeasuredCosts, load_metrics, metrics_for
from daybook.pipeline.conditions import FUNDING

SEALED_METRICS = "execution_metrics.json"
SEALED_IDENTITY = "execution_metrics"


def seal_costs(inputs: Path, settings: Settings, day: str, venue: str) -> dict[str, str]:
    """Copy the metrics dated at or before the day into `inputs/`; returns their identity for `bars.json`.

    Does nothing under costs = "settings". Raises DataError when there are no metrics, or none for the venue.
    """
    if settings.costs != "measured":
        return {}
    metrics = metrics_for(settings.data, day)
    for symbol in settings.symbols:
        metrics.market(venue, symbol)
    write_json(inputs / SEALED_METRICS, metrics.model_dump(mode="json"))
    return {SEALED_IDENTITY: metrics.identity}


def sealed_costs(folder: Path, settings: Settings, bars: Mapping[str, Any]) -> Costs:
    """The cost model of a sealed run.

    bars: `inputs/bars.json`. Raises DataError when the sealed metrics are not those that were sealed.
    """
    if settings.costs != "measured":
        return Costs(fee_bps=settings.fee_bps, spread_bps=settings.spread_bps)
    path = folder / "inputs" / SEALED_METRICS
    metrics = load_metrics(path)
    if metrics.identity != bars.get(SEALED_IDENTITY):
        raise DataError(f"{path}: changed since the run was sealed. Start the day again without --resume.")
    return MeasuredCosts(
        fee_bps=settings.fee_bps, metrics=metrics, venue=str(bars["venue"]), decision_ms=settings.decision_ms,
        latency_budget_ms=settings.latency_budget_ms,
    )


def cost_notices(costs: Costs, settings: Settings) -> list[str]:
    """What a reader must know of a run's costs, one sentence each; nothing where they are as set."""
    if not isinstance(costs, MeasuredCosts):
        return []
    spreads = ", ".join(f"{symbol} {costs.spread_of(symbol):.3g}" for symbol in settings.symbols)
    told = (f"fee {settings.fee_bps:g} bps a side as set; spread and slippage as measured on {costs.document.date} "
            f"(metrics {costs.identity[:12]}), mean spread {spreads} bps of mid; spread_bps is not used")
    late = [f"a decision takes {settings.decision_ms:g} ms, longer than the latency budget of "
            f"{settings.latency_budget_ms:g} ms: fills pay the p90 of slippage"] if costs.late else []
    return [told, *late, *costs.notices(settings.symbols)]


def data_hash_of(bars: Mapping[str, Any]) -> str:
    """The hash of everything market-like that a run reads: the bars of every market, measured costs and funding if any.

    bars: the value of `inputs/bars.json`.
    """
    hashes = {symbol: market["data_hash"] for symbol, market in bars["markets"].items()}
    measured = {SEALED_IDENTITY: bars[SEALED_IDENTITY]} if SEALED_IDENTITY in bars else {}
    funding = {FUNDING: bars[FUNDING]["identity"]} if FUNDING in bars else {}
    return hash_json(hashes | measured | funding)
