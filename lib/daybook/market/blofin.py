"""BloFin's REST interface: perpetual swaps, numbers as text, quantities in contracts, newest candle first.

Each candle says itself whether it is final (`confirm`), so that no clock is needed to drop the open one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from daybook.core.errors import UsageError
from daybook.core.time import MINUTE_MS, Window, utc_text
from daybook.market.answers import Decimal, StampText, empty_rows, floats, validated
from daybook.market.funding import FundingRates
from daybook.market.http import ExchangeClient, Params
from daybook.market.http_errors import AnswerError
from daybook.market.names import require_symbol
from daybook.market.rows import CandleRows

BLOFIN = "blofin_swap"
_CANDLES_AT_ONCE = 1440
_SETTLEMENTS_AT_ONCE = 100
_LARGEST_DISAGREEMENT = 1e-3
"""Base volume is rounded by the exchange; another contract value would differ by a power of ten."""
_PAIR = re.compile(r"([A-Z0-9]+?)(USDT|USDC|USD)", re.ASCII)

T = TypeVar("T")
# open time, open, high, low, close, volume in contracts, in base coin, in quote coin, confirm
_Candle = tuple[StampText, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Literal["0", "1"]]


class _Answer(BaseModel, Generic[T]):
    model_config = ConfigDict(extra="forbid")

    code: Literal["0"]
    msg: str
    data: T


class _Instrument(BaseModel):
    model_config = ConfigDict(extra="ignore")  # the exchange adds fields; only these are relied on

    instId: str  # noqa: N815 - the exchange's spelling
    contractValue: Decimal  # noqa: N815
    contractType: Literal["linear"]  # noqa: N815
    instType: Literal["SWAP"]  # noqa: N815


class _Settlement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    instId: str  # noqa: N815
    fundingRate: Decimal  # noqa: N815
    fundingTime: StampText  # noqa: N815


_INSTRUMENTS: TypeAdapter[_Answer[list[_Instrument]]] = TypeAdapter(_Answer[list[_Instrument]])
_CANDLES: TypeAdapter[_Answer[list[_Candle]]] = TypeAdapter(_Answer[list[_Candle]])
_SETTLEMENTS: TypeAdapter[_Answer[list[_Settlement]]] = TypeAdapter(_Answer[list[_Settlement]])


@dataclass(frozen=True)
class BloFin:
    """Candles and funding of BloFin's linear swaps, from the server at `url`."""

    client: ExchangeClient
    url: str
    venue: str = BLOFIN

    def candles(self, symbol: str, window: Window) -> CandleRows:
        """The confirmed 1-minute bars that open inside the window, in time order; volume in base coin.

        Volume is contracts times contract value. Raises AnswerError when that is not the base volume given beside it,
        or for an answer that is not as documented; UsageError for an unknown market; and the client's errors.
        """
        instrument = instrument_id(symbol)
        value = self._contract_value(instrument)
        found: list[_Candle] = []
        before = window.end_ms
        while before > window.start_ms:
            query: Params = {"instId": instrument, "bar": "1m", "after": before, "limit": _CANDLES_AT_ONCE}
            page = validated(_CANDLES, self._get("candles", query), f"{self.venue} {symbol} candles").data
            times = [int(row[0]) for row in page]
            _require_page(f"{self.venue} {symbol} candles", times, before)
            found += [row for row in page if int(row[0]) >= window.start_ms]
            if not times:
                break
            before = times[-1]
        return _rows(f"{self.venue} {symbol}", [row for row in reversed(found) if row[8] == "1"], value)

    def funding(self, symbol: str, window: Window) -> FundingRates:
        """The settlements inside the window. Raises as `candles`."""
        instrument = instrument_id(symbol)
        name = f"{self.venue} {symbol} funding"
        found: list[_Settlement] = []
        before = window.end_ms
        while before > window.start_ms:
            query: Params = {"instId": instrument, "after": before, "limit": _SETTLEMENTS_AT_ONCE}
            page = validated(_SETTLEMENTS, self._get("funding-rate-history", query), name).data
            times = [int(one.fundingTime) for one in page]
            _require_page(name, times, before)
            if any(one.instId != instrument for one in page):
                raise AnswerError(f"{name}: the answer is about another market. Nothing of it was used.")
            found += page
            if not times:
                break
            before = times[-1]
        rates = FundingRates.of(name, np.array([int(one.fundingTime) for one in found], dtype=np.int64),
                                floats([one.fundingRate for one in found]))
        return rates.within(window)

    def _contract_value(self, instrument: str) -> float:
        answer = validated(_INSTRUMENTS, self._get("instruments", {"instId": instrument}), f"{self.venue} instruments")
        values = [float(one.contractValue) for one in answer.data if one.instId == instrument]
        if len(values) != 1 or values[0] <= 0:
            raise UsageError(f"symbol: {self.venue} has no swap {instrument}. Choose a market that it lists.")
        return values[0]

    def _get(self, endpoint: str, query: Params) -> Any:
        return self.client.json(f"{self.url.rstrip('/')}/api/v1/market/{endpoint}", query)


def instrument_id(symbol: str) -> str:
    """`BTC-USDT` for BTCUSDT. Raises UsageError for a symbol that ends with no known quote coin."""
    match = _PAIR.fullmatch(require_symbol(symbol))
    if match is None:
        raise UsageError(f"symbol: found {symbol!r}, allowed on {BLOFIN} are coins against USDT, USDC or USD.")
    return f"{match[1]}-{match[2]}"


def _rows(name: str, page: list[_Candle], contract_value: float) -> CandleRows:
    if not page:
        return empty_rows()
    times = np.array([int(row[0]) for row in page], dtype=np.int64)
    opens, highs, lows, closes, contracts, base = (floats([str(row[at]) for row in page]) for at in range(1, 7))
    volume = contracts * contract_value
    wrong = np.abs(volume - base) > _LARGEST_DISAGREEMENT * np.maximum(volume, base)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise AnswerError(
            f"{name}: at {utc_text(int(times[at]))} {contracts[at]:g} contracts of {contract_value:g} are not the "
            f"{base[at]:g} coins given beside them. Nothing was used; the contract may have been redenominated."
        )
    return CandleRows.of(times, (opens, highs, lows, closes, volume), times + MINUTE_MS)


def _require_page(name: str, times: list[int], before: int) -> None:
    """Refuse a page that is not newest first or answers another question, which would be asked for ever."""
    falling = all(later < earlier for earlier, later in pairwise(times))
    if times and (not falling or times[0] >= before):
        raise AnswerError(
            f"{name}: found times from {utc_text(times[0])} to {utc_text(times[-1])}, allowed are falling ones before "
            f"{utc_text(before)}. Nothing of the answer was used."
        )
