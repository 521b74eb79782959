"""docs/FEATURE_LIBRARY.md, written from the catalog."""

from __future__ import annotations

import math

from daybook.features.feature import GROUPS, UNITS, Feature
from daybook.features.peers import LEADER
from daybook.features.settling import TOLERANCE
from daybook.features.table import catalog
from daybook.features.weeks import WARMUP_BARS


def feature_library_markdown() -> str:
    """The feature library as Markdown: every feature of the catalog by group, then the units."""
    features = list(catalog().values())
    parts = [_OPENING.format(count=len(features), groups=len(GROUPS), tolerance=f"{TOLERANCE:g}", warmup=WARMUP_BARS,
                             leader=LEADER)]
    for group, title in GROUPS.items():
        members = [feature for feature in features if feature.group == group]
        parts.append("\n".join([f"## {title} ({len(members)})\n", _HEAD, *(_row(feature) for feature in members)]))
    units = [f"| {name} | {unit.description} |" for name, unit in UNITS.items()]
    parts.append("\n".join(["## Units\n", "| unit | meaning |\n| --- | --- |", *units]))
    return "\n\n".join(parts) + "\n"


_OPENING = """# Feature library

Generated from the catalog by `daybook.features.library.feature_library_markdown()`; a test keeps the two equal.

{count} features in {groups} groups. Each is a causal series: its value at a bar depends on that bar and on earlier
ones, and never changes when later bars arrive. All are computed on every timeframe; windows count bars, not minutes,
and a bar that is missing is not there. Values are NaN during the warm-up and wherever the formula is undefined (a
window in which nothing moved or nothing traded), and never infinite.

*Warm-up* is the number of bars before the first value. A figure marked ~ belongs to a recursive filter, whose memory
never ends: it is the settling length, after which values agree to {tolerance} of the feature's typical size whichever
bar the series starts at. *Range* is what the formula guarantees.

Time is cut into UTC weeks, and each week is computed from the {warmup} bars before it: its values are the same to the
last bit whether it is computed alone, as part of a year, or a day at a time into the store.

Cross-coin features come from `compute_panel`, which takes the bars of several markets. Markets are joined by open
time: where another coin has no bar, it is unknown at that bar, never filled. The *leader* is the coin whose symbol
starts with {leader}; the *basket* is the equal-weight mean of the other coins, without the coin itself.

A value of a longer timeframe is known from the close of its bar, not from its label: `as_of` joins it so. Scales are
learned by `Normaliser.fit` from a training span and from nothing after it. `daybook features show NAME` draws any
feature on the candles that are stored."""

_HEAD = """| feature | what it is | inputs | warm-up | unit | range | source |
| --- | --- | --- | ---: | --- | --- | --- |"""


def _row(feature: Feature) -> str:
    warmup = f"{'~' if feature.recursive else ''}{feature.warmup}"
    cells = (f"`{feature.name}`", feature.description, ", ".join(feature.inputs), warmup, feature.unit,
             _range(feature.bounds), feature.source)
    return f"| {' | '.join(cells)} |"


def _range(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "unbounded"
    low, high = bounds
    if math.isinf(high):
        return f"≥ {low:g}"
    return f"≤ {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"
