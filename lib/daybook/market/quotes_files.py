"""Bytes of a quote file, plain, gzip or alone in a zip, with a limit on what they unpack to."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path

from daybook.market.archive import CORRUPT_ZIP
from daybook.market.quotes import QuoteFileError

MAX_QUOTE_BYTES = 2**30
"""A day of every touch of a busy market is about 500 MB as text; more is no quote file."""

_MAX_LINE_BYTES = 2**24
"""A snapshot of a whole book is about 100 kB."""

_CORRUPT = (*CORRUPT_ZIP, gzip.BadGzipFile)


def file_bytes(path: Path) -> bytes:
    """The content of a plain file, or of the only file in a zip.

    Raises QuoteFileError when it can not be read, is corrupt, holds several files or more than MAX_QUOTE_BYTES.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                if len(members) != 1:
                    raise QuoteFileError(f"{path}: holds {len(members)} files, allowed is one. Unpack it and choose.")
                _limit(path, members[0].file_size)
                with archive.open(members[0]) as stream:
                    content = stream.read(MAX_QUOTE_BYTES + 1)
        else:
            _limit(path, path.stat().st_size)
            content = path.read_bytes()
    except _CORRUPT as error:
        raise QuoteFileError(f"{path}: corrupt or unreadable ({error}). Download it again.") from error
    except OSError as error:
        raise QuoteFileError(f"{path}: can not be read ({error.strerror or error}). Check the file.") from error
    _limit(path, len(content))
    return content


def gzip_lines(path: Path) -> Iterator[bytes]:
    """The lines of a gzip file, one at a time; a line as long as the limit is refused before it is whole.

    Raises QuoteFileError as `file_bytes` does.
    """
    size = 0
    try:
        with gzip.open(path, "rb") as stream:
            while line := stream.readline(_MAX_LINE_BYTES + 1):
                size += len(line)
                _limit(path, size)
                if len(line) > _MAX_LINE_BYTES:
                    raise QuoteFileError(f"{path}: holds a line longer than {_MAX_LINE_BYTES:,} bytes, no message is "
                                         "so long. Record or download the file again.")
                yield line
    except _CORRUPT as error:
        raise QuoteFileError(f"{path}: corrupt or unreadable ({error}). Download it again.") from error
    except OSError as error:
        raise QuoteFileError(f"{path}: can not be read ({error.strerror or error}). Check the file.") from error


def _limit(path: Path, size: int) -> None:
    if size > MAX_QUOTE_BYTES:
        raise QuoteFileError(f"{path}: unpacks to {size:,} bytes or more, allowed are {MAX_QUOTE_BYTES:,}. Split it.")
