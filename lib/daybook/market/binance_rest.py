"""Binance's REST interface, for the minutes that its archive does not have yet, and for USD-M funding rates."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from daybook.core.errors import UsageError
from daybook.core.time import Window, utc_text
from daybook.market.answers import Decimal, Stamp, floats, validated
from daybook.market.archive import SPOT, USDM
from daybook.market.funding import FundingRates
from daybook.market.http import ExchangeClient, Params
from daybook.market.http_errors import AnswerError
from daybook.market.names import require_symbol
from daybook.market.rows import CandleRows, joined

# open time, open, high, low, close, volume, close time (its last millisecond), quote volume, trades, taker-buy base
# and quote volume, and a field that is of no use.
_Kline = tuple[Stamp, Decimal, Decimal, Decimal, Decimal, Decimal, Stamp, Decimal, int, Decimal, Decimal, str]
_KLINES: TypeAdapter[list[_Kline]] = TypeAdapter(list[_Kline])


class _ServerTime(BaseModel):
    model_config = ConfigDict(extra="forbid")

    serverTime: Stamp  # noqa: N815 - the exchange's spelling


class _Settlement(BaseModel):
    model_config = ConfigDict(extra="ignore")  # markPrice is missing in the oldest ones

    symbol: str
    fundingTime: Stamp  # noqa: N815
    fundingRate: Decimal  # noqa: N815


_TIME = TypeAdapter(_ServerTime)
_SETTLEMENTS: TypeAdapter[list[_Settlement]] = TypeAdapter(list[_Settlement])


@dataclass(frozen=True)
class _Market:
    """Endpoints of one market: prefix of its paths, most klines an answer may hold, and what such an answer weighs."""

    prefix: str
    limit: int
    weight: int


_MARKETS = {SPOT: _Market("/api/v3", 1000, 2), USDM: _Market("/fapi/v1", 1500, 10)}
_FUNDING_LIMIT = 1000
_FUNDING_WEIGHT = 12
"""500 requests in five minutes are allowed, apart from the weights: counted as 12 of 1,200 a minute."""


@dataclass(frozen=True)
class BinanceRest:
    """Klines and funding of one venue, binance_spot or binance_usdm, from the server at `url`."""

    client: ExchangeClient
    url: str
    venue: str

    def candles(self, symbol: str, window: Window) -> CandleRows:
        """The closed 1-minute bars that open inside the window, in time order; missing minutes are missing rows.

        A bar is closed when the exchange's own clock says so, since a fast local clock would take an open one for
        final. Raises AnswerError for an answer that is not as documented, and the client's errors.
        """
        market = _MARKETS[self.venue]
        now_ms = self._server_time(market)
        pages: list[CandleRows] = []
        start = window.start_ms
        while start < min(window.end_ms, now_ms):
            page = self._page(market, require_symbol(symbol), Window(start, window.end_ms))
            pages.append(page)
            if len(page) < market.limit:
                break
            start = int(page.open_time[-1]) + 1
        rows = joined(pages)
        return rows.take(rows.close_time <= now_ms)

    def funding(self, symbol: str, window: Window) -> FundingRates:
        """The settlements inside the window. Raises UsageError for spot, which has none, and as `candles`."""
        if self.venue != USDM:
            raise UsageError(f"funding: {self.venue} has none, allowed is {USDM}.")
        name = f"{self.venue} {require_symbol(symbol)} funding"
        times: list[int] = []
        rates: list[str] = []
        start = window.start_ms
        while start < window.end_ms:
            query: Params = {"symbol": symbol, "startTime": start, "endTime": window.end_ms - 1,
                             "limit": _FUNDING_LIMIT}
            answer = self.client.json(f"{self._base}/fapi/v1/fundingRate", query, weight=_FUNDING_WEIGHT)
            page = validated(_SETTLEMENTS, answer, name)
            found = [one.fundingTime for one in page]
            _require_page(name, found, Window(start, window.end_ms))
            if any(one.symbol != symbol for one in page):
                raise AnswerError(f"{name}: the answer is about another market. Nothing of it was used.")
            times += found
            rates += [one.fundingRate for one in page]
            if len(page) < _FUNDING_LIMIT:
                break
            start = found[-1] + 1
        return FundingRates.of(name, np.array(times, dtype=np.int64), floats(rates))

    @property
    def _base(self) -> str:
        return self.url.rstrip("/")

    def _server_time(self, market: _Market) -> int:
        answer = self.client.json(f"{self._base}{market.prefix}/time")
        return validated(_TIME, answer, f"{self.venue} server time").serverTime

    def _page(self, market: _Market, symbol: str, window: Window) -> CandleRows:
        query: Params = {"symbol": symbol, "interval": "1m", "startTime": window.start_ms,
                         "endTime": window.end_ms - 1, "limit": market.limit}
        answer = self.client.json(f"{self._base}{market.prefix}/klines", query, weight=market.weight)
        name = f"{self.venue} {symbol} klines"
        page = validated(_KLINES, answer, name)
        times = [row[0] for row in page]
        _require_page(name, times, window)
        columns = zip(*(row[1:6] for row in page), strict=True) if page else ((),) * 5
        return CandleRows.of(np.array(times, dtype=np.int64), (floats(list(column)) for column in columns),
                             np.array([row[6] + 1 for row in page], dtype=np.int64))


def _require_page(name: str, times: list[int], window: Window) -> None:
    """Refuse a page that is unsorted or answers another question, which would be asked for ever."""
    rising = all(later > earlier for earlier, later in pairwise(times))
    if times and (not rising or times[0] < window.start_ms or times[-1] >= window.end_ms):
        raise AnswerError(
            f"{name}: found times from {utc_text(times[0])} to {utc_text(times[-1])}, allowed are rising ones from "
            f"{utc_text(window.start_ms)} to {utc_text(window.end_ms)}. Nothing of the answer was used."
        )
