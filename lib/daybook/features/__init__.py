"""The catalog of causal features, and the store that keeps them."""

from daybook.features.feature import Feature
from daybook.features.store import FeatureStore
from daybook.features.table import FeatureTable, catalog, compute

__all__ = ["Feature", "FeatureStore", "FeatureTable", "catalog", "compute"]
