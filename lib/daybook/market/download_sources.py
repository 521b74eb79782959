"""Which exchange stands behind a source or venue, and the clients that ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daybook.core.errors import UsageError
from daybook.core.settings import Settings
from daybook.market.archive import SPOT, USDM
from daybook.market.binance_archive import BinanceArchive
from daybook.market.binance_rest import BinanceRest
from daybook.market.blofin import BLOFIN, BloFin
from daybook.market.download import Sources
from daybook.market.http import ExchangeClient
from daybook.market.http_pace import Clock

DOWNLOAD_VENUES = (SPOT, USDM, BLOFIN)
ARCHIVE_FOLDER = "archives"
_WEIGHT_PER_MINUTE = {SPOT: 3000, USDM: 1200, BLOFIN: 300}
"""Half of what Binance allows (6,000 and 2,400 a minute) and less than BloFin's 500, so that others may ask too."""


def venue_of_source(settings: Settings) -> str:
    """The venue that `source` downloads from. Raises UsageError when `venue` names another one."""
    binance = {"spot": SPOT, "usdm": USDM}[settings.binance_market]
    venue = BLOFIN if settings.source == "blofin" else binance
    if settings.venue not in (None, venue):
        raise UsageError(
            f"venue: found {settings.venue!r}, but --source {settings.source} downloads {venue}. Leave venue out, or "
            "set binance_market."
        )
    return venue


@contextmanager
def open_sources(settings: Settings, venue: str, clock: Clock | None = None) -> Iterator[Sources]:
    """The clients of one venue, for as long as the block lasts.

    Raises UsageError for a venue that can not be downloaded, AddressRefusedError for a server in the settings that is
    no exchange.
    """
    if venue not in DOWNLOAD_VENUES:
        raise UsageError(f"venue: found {venue!r}, allowed for a download are {', '.join(DOWNLOAD_VENUES)}.")
    rest_url = {SPOT: settings.binance_spot_url, USDM: settings.binance_usdm_url, BLOFIN: settings.blofin_url}[venue]
    servers = [rest_url] if venue == BLOFIN else [rest_url, settings.binance_archive_url]
    with ExchangeClient(servers, clock=clock, weights={rest_url: _WEIGHT_PER_MINUTE[venue]}) as client:
        if venue == BLOFIN:
            yield Sources(venue, BloFin(client, rest_url))
        else:
            archive = BinanceArchive(client, settings.binance_archive_url, archive_folder(settings.data))
            yield Sources(venue, BinanceRest(client, rest_url, venue), archive)


def archive_folder(data: Path) -> Path:
    """Where a data folder keeps the files of Binance's archive, in the archive's own layout."""
    return Path(data) / ARCHIVE_FOLDER / "binance"
