"""Scaling fitted to a training span and to nothing after it, kept as a versioned file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from daybook.core.arrays import Floats, Floats32
from daybook.core.files import read_json, write_json
from daybook.core.hashing import code_hash, hash_arrays, hash_json
from daybook.core.time import Window, timeframe_ms, utc_text
from daybook.features.errors import NormaliserError
from daybook.features.table import FeatureTable, catalog

Method = Literal["robust", "quantile"]

LEAST_ROWS = 100
"""Fewer known values than this do not say how a feature is spread."""

_KNOTS = 101
_CONSISTENT = 1.4826
"""Median absolute deviation to standard deviation, for a normal law."""

_LIMIT = 10.0
_BOUNDED_UNITS = frozenset({"flag", "state", "cycle"})


class Scale(BaseModel):
    """How one feature is scaled: n known values of the span; centre and spread, or rising knots from 0 to 1.

    spread 0: the feature is passed on as it is, being a code, a flag or a phase, or constant, or hardly ever known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    feature: str
    n: int
    centre: float
    spread: float
    knots: tuple[float, ...] = ()


class NormaliserCard(BaseModel):
    """A fitted normaliser as its file holds it; the span is the bars' open times, and data the values seen in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal["daybook-normaliser-1"] = "daybook-normaliser-1"
    method: Method
    timeframe: str
    start_ms: int
    end_ms: int
    rows: int
    data_sha256: str
    code_sha256: str
    scales: tuple[Scale, ...]


@dataclass(frozen=True)
class Normaliser:
    """Robust z-scores (cut at ±10) or quantiles (0 to 1) of features, by a training span that ends before use."""

    card: NormaliserCard

    @classmethod
    def fit(cls, table: FeatureTable, window: Window, *, timeframe: str, method: Method = "robust") -> Self:
        """Learn every feature's scale from the bars of the table that open and close inside the window.

        robust: (x - median) / (1.4826 x median absolute deviation); quantile: place among 101 quantiles.
        Raises NormaliserError when the window reaches past the table's bars, so that what it claims to be fitted to
        was not there, or holds fewer than LEAST_ROWS of them.
        """
        length = timeframe_ms(timeframe)
        _require_covered(table, window, length)
        inside = (table.open_time >= window.start_ms) & (table.open_time + length <= window.end_ms)
        rows = int(inside.sum())
        if rows < LEAST_ROWS:
            raise NormaliserError(f"normaliser: {rows} bars lie in {_span(window.start_ms, window.end_ms)}, at least "
                                  f"{LEAST_ROWS} are needed. Fit it to a longer span.")
        seen = {name: table.column(name)[inside] for name in table.names}
        return cls(NormaliserCard(
            method=method, timeframe=timeframe, start_ms=window.start_ms, end_ms=window.end_ms, rows=rows,
            data_sha256=hash_arrays([table.open_time[inside], *seen.values()]), code_sha256=code_hash("features"),
            scales=tuple(_scale(name, values, method) for name, values in seen.items()),
        ))

    @property
    def names(self) -> tuple[str, ...]:
        """The features it was fitted to, in the table's order."""
        return tuple(scale.feature for scale in self.card.scales)

    @property
    def identity(self) -> str:
        """SHA-256 over everything it holds."""
        return hash_json(self.card.model_dump(mode="json"))

    def apply(self, table: FeatureTable, names: Iterable[str] | None = None) -> FeatureTable:
        """The table's features on the fitted scale, NaN where they are NaN; names None means all that were fitted.

        Raises NormaliserError for a feature that was not fitted, UnknownFeatureError for one that the table lacks.
        """
        chosen = self.names if names is None else tuple(names)
        scales = dict(zip(self.names, self.card.scales, strict=True))
        for name in chosen:
            if name not in scales:
                raise NormaliserError(f"normaliser: {name!r} is not among the {len(scales)} features it was fitted to. "
                                      "Fit it to a table that holds the feature.")
        values: Floats32 = np.empty((len(chosen), len(table)), dtype=np.float32)
        for row, name in zip(values, chosen, strict=True):
            row[:] = _scaled(table.column(name).astype(np.float64), scales[name])
        return FeatureTable(chosen, table.open_time, values.T)

    def require_fitted_before(self, moment_ms: int) -> None:
        """Raise NormaliserError when the training span ends after this moment: its scale would know the future."""
        if self.card.end_ms > moment_ms:
            raise NormaliserError(
                f"normaliser: fitted to {_span(self.card.start_ms, self.card.end_ms)}, which ends after "
                f"{utc_text(moment_ms)}. Fit it to a span that ends by then."
            )

    def save(self, path: Path) -> Path:
        """Write it as JSON with its own hash; equal normalisers give equal bytes. Raises StorageError."""
        return write_json(path, self.card.model_dump(mode="json") | {"sha256": self.identity})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved normaliser. Raises NormaliserError when it is not one, or not what was saved."""
        value = read_json(path)
        saved = value.pop("sha256", None) if isinstance(value, dict) else None
        try:
            found = cls(NormaliserCard.model_validate(value))
        except ValidationError as error:
            raise NormaliserError(f"{path}: not a saved normaliser ({error.errors()[0]['msg']}). Restore the file or "
                                  "fit it again.") from None
        if found.identity != saved:
            raise NormaliserError(f"{path}: its content has the hash {found.identity[:12]}, the file says "
                                  f"{str(saved)[:12]}. Restore the file or fit it again.")
        return found


def _require_covered(table: FeatureTable, window: Window, length: int) -> None:
    if not len(table):
        raise NormaliserError("normaliser: the table has no bars. Fit it to a table that covers the training span.")
    first, last = int(table.open_time[0]), int(table.open_time[-1]) + length
    if window.start_ms < first or window.end_ms > last:
        raise NormaliserError(f"normaliser: the training span {_span(window.start_ms, window.end_ms)} reaches past the "
                              f"table's bars, {_span(first, last)}. Give it bars of the whole span, or a shorter span.")


def _span(start_ms: int, end_ms: int) -> str:
    return f"{utc_text(start_ms)} to {utc_text(end_ms)}"


def _scale(name: str, values: Floats32, method: Method) -> Scale:
    known = values[~np.isnan(values)].astype(np.float64)
    feature = catalog().get(name)
    if known.size < LEAST_ROWS or (feature is not None and feature.unit in _BOUNDED_UNITS):
        return Scale(feature=name, n=known.size, centre=0.0, spread=0.0)
    centre = float(np.median(known))
    spread = float(np.median(np.abs(known - centre))) * _CONSISTENT or float(known.std())
    if method == "robust" or spread == 0.0:
        return Scale(feature=name, n=known.size, centre=centre, spread=spread)
    knots = np.quantile(known, np.linspace(0.0, 1.0, _KNOTS))
    return Scale(feature=name, n=known.size, centre=centre, spread=spread, knots=tuple(knots.tolist()))


def _scaled(values: Floats, scale: Scale) -> Floats:
    if scale.spread == 0.0:
        return values
    if not scale.knots:
        return np.clip((values - scale.centre) / scale.spread, -_LIMIT, _LIMIT)
    knots = np.asarray(scale.knots)
    below, upto = np.searchsorted(knots, values, side="left"), np.searchsorted(knots, values, side="right")
    distinct, first = np.unique(knots, return_index=True)
    level = np.interp(values, distinct, (first + np.searchsorted(knots, distinct, side="right") - 1) / 2.0)
    level = np.where((below == 0) & (upto == 0), 0.0, np.where(below == knots.size, knots.size - 1.0, level))
    return np.where(np.isnan(values), np.nan, level / (knots.size - 1.0))
