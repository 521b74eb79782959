"""The edge of the planted market, as anyone may see it in the bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daybook.core.errors import UsageError
from daybook.market.bars import Bars

VOLUME_WINDOW = 240
VOLUME_RATIO = 7.0
CLOSE_POSITION = 0.85
HOLDING_BARS = 15


def planted_signal(bars: Bars) -> NDArray[np.int8]:
    """Side that the planted market is about to drift to, decided at each 1m bar's close: 1 up, -1 down, 0 none.

    The rule, in the words of a strategy:
        long:  volume > 7 * sma(volume, 240) and close - low > 0.85 * (high - low)
        short: volume > 7 * sma(volume, 240) and high - close > 0.85 * (high - low)
    In mode "planted" the minute before each extreme quarter-hour trades 24 times its natural volume and closes beside
    the end of its range to which the next 15 minutes drift by 0.8 of an average quarter-hour's volatility; enter at
    the next open and hold 15 bars. In modes "normal" and "noise" the same rule finds next to nothing.
    bars: (T,) 1m bars. Returns (T,) int8; 0 in the first 239 bars. Raises UsageError for another timeframe.
    """
    if bars.timeframe != "1m":
        raise UsageError(f"planted_signal: found {bars.name} bars, the rule is one of 1m bars. Ask for timeframe 1m.")
    signal = np.zeros(len(bars), dtype=np.int8)
    if len(bars) < VOLUME_WINDOW:
        return signal
    average = np.lib.stride_tricks.sliding_window_view(bars.volume, VOLUME_WINDOW).mean(axis=1)
    tail = slice(VOLUME_WINDOW - 1, None)
    surge = bars.volume[tail] > VOLUME_RATIO * average
    reach = CLOSE_POSITION * (bars.high[tail] - bars.low[tail])
    signal[tail][surge & (bars.close[tail] - bars.low[tail] > reach)] = 1
    signal[tail][surge & (bars.high[tail] - bars.close[tail] > reach)] = -1
    return signal
