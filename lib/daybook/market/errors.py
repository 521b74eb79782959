"""What can be wrong with candles, as a person sees it."""

from __future__ import annotations

from daybook.core.errors import DataError


class CandleFileError(DataError):
    """A candle file that can not be imported: corrupt, misnamed, or with other columns or values than allowed."""


class MissingCandlesError(DataError):
    """The store holds no candles for this market or window."""
