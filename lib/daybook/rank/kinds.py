"""What a pool can hold."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["strategy", "model", "ensemble"]
KINDS: tuple[Kind, ...] = get_args(Kind)
