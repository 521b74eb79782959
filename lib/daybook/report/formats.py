"""How numbers, times and hashes are written for a reader; an undefined figure is an em dash."""

from __future__ import annotations

import math
from typing import Any

from daybook.core.time import utc_text

MISSING = "—"
_MINUS = "−"
_THOUSAND = 1000
_LEAST = 0.001
_METRICS = {
    "auc": "area under ROC curve", "mcc": "Matthews correlation", "brier": "Brier score", "qlike": "QLIKE loss",
    "accuracy excess": "accuracy above baseline", "rank ic": "rank correlation", "r2 versus zero": "R² against zero",
    "r2 versus har": "gain over HAR", "log r2": "R² of log variance", "log r2 versus har": "R² of logs against HAR",
    "pinball": "quantile (pinball) loss", "pinball skill": "loss saved", "kupiec p value": "Kupiec test, p",
    "dm p value": "Diebold-Mariano, p", "diebold mariano": "Diebold-Mariano, z", "tier error": "calibration error",
}


def undefined(value: Any) -> bool:
    """Whether a figure is None or NaN (pandas' NA included)."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType")


def number(value: Any, digits: int = 2) -> str:
    """`1,234.50`, with a true minus sign."""
    if undefined(value):
        return MISSING
    return true_minus(f"{float(value):,.{digits}f}")


def count(value: Any) -> str:
    """`12,345`; a fraction of a count keeps one digit."""
    if undefined(value):
        return MISSING
    return number(value, 0 if float(value).is_integer() else 1)


def percent(value: Any, digits: int = 1) -> str:
    """A fraction as `12.3 %`."""
    return MISSING if undefined(value) else f"{number(100 * float(value), digits)} %"


def signed(value: Any, digits: int = 1) -> str:
    """`+1.5`, `−0.3`, `0.0`."""
    if undefined(value):
        return MISSING
    text = number(value, digits)
    return text if text.startswith(_MINUS) or not text.strip("0.,") else f"+{text}"


def duration(seconds: Any) -> str:
    """`0.8 s`, `42 s`, `3 min 05 s`."""
    if undefined(seconds):
        return MISSING
    whole = float(seconds)
    if whole < 9.95:
        return f"{whole:.1f} s"
    if whole < 99.5:
        return f"{whole:.0f} s"
    minutes, rest = divmod(round(whole), 60)
    return f"{minutes:,} min {rest:02d} s"


def day_time(time_ms: Any) -> str:
    """`2024-03-02 04:11 UTC`."""
    return MISSING if undefined(time_ms) else utc_text(int(time_ms))


def short_hash(value: Any, length: int = 10) -> str:
    """The first characters of a hash."""
    return str(value)[:length]


def figure(value: Any, unit: str) -> str:
    """A figure in its unit: a `fraction` as percent, a `score` with one digit, a count whole."""
    if undefined(value):
        return MISSING
    if unit in ("fraction", "percent of capital"):
        return percent(value)
    if unit in ("score", "points"):
        return number(value, 1)
    if unit in ("", "days", "trades") and float(value).is_integer():
        return count(value)
    if unit == "annualised":
        return number(value, 1)
    if unit == "probability" and 0.0 <= float(value) < _LEAST:
        return f"< {_LEAST}"
    return significant(value)


def metric_name(name: str) -> str:
    """The name of a model's figure in words; an unknown one as it is."""
    return _METRICS.get(name, name)


def significant(value: Any) -> str:
    """A figure of unknown size with about three significant digits: `1,234`, `18.9`, `0.526`, `0.00142`."""
    if undefined(value):
        return MISSING
    size = abs(float(value))
    if float(value).is_integer() or size >= _THOUSAND:
        return number(value, 0)
    for limit, digits in ((10.0, 1), (1.0, 2), (0.1, 3)):
        if size >= limit:
            return number(value, digits)
    return true_minus(f"{float(value):.3g}")


def unit_text(unit: str) -> str:
    """The unit as printed behind a figure: percent is part of the figure itself, a score has none."""
    return "" if unit in ("fraction", "percent of capital", "score", "points") else unit


def true_minus(text: str) -> str:
    """A formatted number with a true minus sign, and none before nothing but zeros."""
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else _MINUS + text[1:]
    return text
