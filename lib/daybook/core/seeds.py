"""One seed drives everything: every random stream is derived from it by name, so streams never depend on order."""

from __future__ import annotations

import hashlib

import numpy as np


def derived_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream with this name, the same in every process and on every machine."""
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A counter-based generator (Philox) for the stream with this name."""
    return np.random.Generator(np.random.Philox(derived_seed(seed, *names)))
