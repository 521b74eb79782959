"""What may go wrong between bars and features."""

from __future__ import annotations

from daybook.core.errors import DataError, UsageError


class UnknownFeatureError(UsageError):
    """A feature name that the catalog does not hold."""


class FeatureDefinitionError(UsageError):
    """A feature that is declared twice or with a field that is not allowed."""


class PeersNeededError(UsageError):
    """A cross-coin feature asked of one market alone."""


class FeatureInputError(DataError):
    """Bars that can not be turned into features: a price that is not finite and positive, a negative volume."""


class NormaliserError(DataError):
    """A span that a normaliser can not be fitted to, or a saved one that is not what it says."""
