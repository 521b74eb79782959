"""Reading whatever recorded quotes lie below a folder, one table a market."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from daybook.market.quotes import QuoteFileError, Quotes, joined_quotes
from daybook.market.quotes_dukascopy import is_dukascopy, read_dukascopy
from daybook.market.quotes_hftbacktest import is_hftbacktest, read_hftbacktest
from daybook.market.quotes_lean import is_lean, read_lean, without_coarser
from daybook.market.quotes_parquet import is_quote_parquet, read_quote_parquet

_READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Quotes]], ...] = (
    (is_lean, read_lean),
    (is_hftbacktest, read_hftbacktest),
    (is_dukascopy, read_dukascopy),
    (is_quote_parquet, read_quote_parquet),
)


def quote_files(path: Path) -> list[Path]:
    """The quote files at or below a path, known by their names, in the order of their paths."""
    found = [path] if path.is_file() else path.rglob("*")
    return sorted(file for file in found if file.is_file() and _reader(file) is not None)


def read_quotes(path: Path) -> Quotes:
    """The quotes of one file of any known format. Raises QuoteFileError when no format has such a name."""
    reader = _reader(path)
    if reader is None:
        raise QuoteFileError(f"{path}: no known quote file. Allowed are Lean quote zips, hftbacktest recordings, "
                             "Dukascopy ticks (SYMBOL-tick-....json) and SYMBOL-quotes.parquet.")
    return reader(path)


def read_markets(paths: Iterable[Path]) -> list[Quotes]:
    """Every market recorded in these files and folders, in the order of venue and symbol.

    Where a day lies there both as ticks and as minutes (Lean), the ticks are read; a file that several of the paths
    hold is read once. Raises QuoteFileError when a path holds no quote file.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        found = quote_files(path)
        if not found:
            read_quotes(path)  # says which formats are known
        for file in found:
            files.setdefault(file.resolve(), file)
    parts: dict[tuple[str, str], list[Quotes]] = {}
    for file in without_coarser(files.values()):
        part = read_quotes(file)
        parts.setdefault((part.venue, part.symbol), []).append(part)
    return [joined_quotes(parts[market]) for market in sorted(parts)]


def _reader(path: Path) -> Callable[[Path], Quotes] | None:
    return next((reader for known, reader in _READERS if known(path)), None)
