"""The catalog of causal features, the store that keeps them, and what is fitted to them."""

from daybook.features.context import as_of
from daybook.features.feature import Feature
from daybook.features.normaliser import Normaliser
from daybook.features.store import FeatureStore
from daybook.features.table import FeatureTable, catalog, compute, compute_panel, market_names

__all__ = [
    "Feature", "FeatureStore", "FeatureTable", "Normaliser", "as_of", "catalog", "compute", "compute_panel",
    "market_names",
]
