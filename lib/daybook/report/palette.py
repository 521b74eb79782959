"""Colours with a fixed meaning on every page: Okabe and Ito's set, told apart with any colour vision.

Source: Okabe, Ito (2008), Color Universal Design. Text and grid greys read on white and on near-black.
"""

from __future__ import annotations

BENCHMARK = "#7f7f7f"
GOOD = "#009e73"
BAD = "#d55e00"
WARN = "#e69f00"
FOCUS = "#0072b2"
MUTED = "#a6adb5"
THRESHOLD = "#cc79a7"
INK = "#6b7280"
GRID = "rgba(128,128,128,0.22)"

SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#5e4fa2")
"""Lines that are compared: in the order of their rank."""

BENCHMARK_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")

DIVERGING = ((0.0, "#e08a52"), (0.25, "#efbf9c"), (0.5, "#f2f2f2"), (0.75, "#a5cbe4"), (1.0, "#56a3d2"))
"""Heat maps: orange below the middle, blue above, near-white at it; dark text reads on every stop."""

COMPLETENESS = ((0.0, "#d55e00"), (0.5, "#e69f00"), (0.95, "#f0e442"), (1.0, "#009e73"))
"""Data completeness: orange is missing, green is whole."""

REGIMES = ("#56b4e9", "#f0e442", "#e69f00", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#7f7f7f")
"""Calm to wild: in the order of the regime names."""
