"""Bars, the candle store, candle files and their quality, and the built-in market: the only part that reads candles."""

from daybook.market.aggregate import aggregate, aggregate_minutes, masked, minutes_present
from daybook.market.bars import Bars
from daybook.market.errors import CandleFileError, MissingCandlesError
from daybook.market.funding import FundingRates, FundingStore, funding_store
from daybook.market.importer import ImportReport, MarketImport, SkippedFile, import_candles
from daybook.market.quality import EarlyClose, Gap, QualityReport, check_file, check_files, check_quality, check_store
from daybook.market.quotes import QuoteFaults, QuoteFileError, Quotes
from daybook.market.quotes_reading import quote_files, read_markets, read_quotes
from daybook.market.reading import candle_store, read_bars
from daybook.market.revisions import Revisions
from daybook.market.store import CandleStore, StoredMarket, WriteCounts
from daybook.market.synthetic import SYNTHETIC_MODES, SYNTHETIC_SYMBOLS, synthetic_bars, synthetic_venue

__all__ = [
    "SYNTHETIC_MODES",
    "SYNTHETIC_SYMBOLS",
    "Bars",
    "CandleFileError",
    "CandleStore",
    "EarlyClose",
    "FundingRates",
    "FundingStore",
    "Gap",
    "ImportReport",
    "MarketImport",
    "MissingCandlesError",
    "QualityReport",
    "QuoteFaults",
    "QuoteFileError",
    "Quotes",
    "Revisions",
    "SkippedFile",
    "StoredMarket",
    "WriteCounts",
    "aggregate",
    "aggregate_minutes",
    "candle_store",
    "check_file",
    "check_files",
    "check_quality",
    "check_store",
    "funding_store",
    "import_candles",
    "masked",
    "minutes_present",
    "quote_files",
    "read_bars",
    "read_markets",
    "read_quotes",
    "synthetic_bars",
    "synthetic_venue",
]
