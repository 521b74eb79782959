"""How many different ideas the trials of a day amount to, by the returns that they left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from daybook.core.files import read_parquet
from daybook.rank import read_trials, trial_clusters
from daybook.rank.ledger import FILE_NAME, RETURNS_NAME


class EffectiveTrials(BaseModel):
    """Trials of some steps and what they amount to.

    with_returns: those of them that left hourly returns. effective: of these, clustered by correlation window by
    window, the effective number, and each of the others once. A trial that never traded amounts to none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trials: int = Field(ge=0)
    with_returns: int = Field(ge=0)
    effective: float = Field(ge=0.0)

    def with_others(self, trials: int) -> EffectiveTrials:
        """These and further trials without returns, up to `trials` in all."""
        return self.model_copy(update={"trials": trials, "effective": self.effective + trials - self.trials})


def effective_trials_of(artefacts: Path, steps: Sequence[str]) -> EffectiveTrials:
    """The trials that these steps of a run have written. Raises DataError for a ledger or returns that are damaged."""
    trials = 0
    windows: dict[tuple[int, int], list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]] = {}
    for step in steps:
        table = read_trials(artefacts / step / FILE_NAME)
        trials += table.num_rows
        pointed = table.filter(table["returns_at"].is_valid())
        if pointed.num_rows:
            returns = read_parquet(artefacts / step / RETURNS_NAME)["returns"].combine_chunks()
            for window, rows in _by_window(pointed):
                part = returns.take(pa.array(rows))
                values = part.values.to_numpy(zero_copy_only=False).astype(np.float64)
                windows.setdefault(window, []).append(values.reshape(len(rows), -1))
    found = [trial_clusters(np.concatenate(parts)) for parts in windows.values()]
    with_returns = sum(one.trials for one in found)
    effective = sum(one.effective for one in found) + trials - with_returns
    return EffectiveTrials(trials=trials, with_returns=with_returns, effective=effective)


def _by_window(table: pa.Table) -> list[tuple[tuple[int, int], list[int]]]:
    """Window -> rows of the returns, for trials that point at some."""
    found: dict[tuple[int, int], list[int]] = {}
    columns = (table[name].to_pylist() for name in ("window_start", "window_end", "returns_at"))
    for start, end, place in zip(*columns, strict=True):
        found.setdefault((start, end), []).append(int(place.rpartition("#")[2]))
    return sorted(found.items())
