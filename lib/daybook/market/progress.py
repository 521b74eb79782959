"""How a person is told how far a long task is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with parts done, how many there are as far as is known, and the name of the last."""


def silent(done: int, total: int, name: str) -> None:
    """Tell nobody."""
