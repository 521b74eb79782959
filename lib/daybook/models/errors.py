"""What can go wrong between bars and a scorecard."""

from __future__ import annotations

from daybook.core.errors import DataError, UsageError


class ModelSettingError(UsageError):
    """A horizon, fold count or other model setting that is out of range."""


class SplitError(DataError):
    """Too few rows for a fold: says the count, the limit, the cause and the remedy."""


class SavedModelError(DataError):
    """A saved model that is corrupt, foreign or not what its card says."""


class TrainingDataError(DataError):
    """Bars, features and labels that do not belong together."""
