"""Headline figures inside an executed notebook, in scrapbook's own format.

scrapbook itself is imported by the runner only: in a kernel it costs more than the page's work, and it writes NaN as
text. What is glued here reads back through `scrapbook.read_notebook`.
"""

from __future__ import annotations

import math
from typing import Any

from daybook.core.errors import UsageError

_MIME = "application/scrapbook.scrap.json+json"
_UNDEFINED = {"undefined": True}
"""scrapbook's schema has no null; missing is not zero either."""


def scrap(name: str, value: Any) -> dict[str, Any]:
    """The mime bundle of one scrap. Raises UsageError for a value that JSON can not hold exactly."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and not math.isfinite(plain):
        plain = None
    plain = _UNDEFINED if plain is None else plain
    if not isinstance(plain, str | int | float | bool | list | dict):
        raise UsageError(f"glue: {name} is a {type(value).__name__}; allowed are text, numbers, lists and objects.")
    return {_MIME: {"name": name, "data": plain, "encoder": "json", "version": 1}}


def glue(name: str, value: Any) -> None:
    """Store a figure in the notebook under this name."""
    from IPython.display import display

    show: Any = display
    show(scrap(name, value), raw=True, metadata={"scrapbook": {"name": name, "data": True, "display": False}})


def figure(data: Any) -> Any:
    """The value of a scrap as it was glued: None where it was undefined."""
    return None if data == _UNDEFINED else data
