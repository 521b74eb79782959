"""Volume and liquidity features: who traded, how much, and what trading cost."""

from __future__ import annotations

from functools import partial

import numpy as np

from daybook.core.arrays import Floats
from daybook.features.feature import Feature
from daybook.features.rolling_kernel import ratio, rolling_covariance, rolling_moments, rolling_sum
from daybook.features.series import Series, lagged, rolling_mean

_DEFINITION = "by definition"
_CORWIN_SCHULTZ_K = 3.0 - 2.0 * np.sqrt(2.0)
_PER_MILLION = 1e6
_SAME = 1e-12
"""Prices closer than this share of themselves are the same decimal, summed in another order."""


def volume_ratio(series: Series, window: int) -> Floats:
    """Volume over its mean of the window; NaN where nothing traded."""
    return ratio(series.volume * window, series.volume_sum(window))


def volume_z(series: Series, window: int) -> Floats:
    """Standard deviations of the volume above the window's mean; NaN where it did not vary."""
    mean, variance = rolling_moments(series.volume, window)
    return ratio(series.volume - mean, np.sqrt(variance))


def volume_trend(series: Series, fast: int, slow: int) -> Floats:
    """Mean volume of the last `fast` bars over that of the last `slow`."""
    return ratio(series.volume_sum(fast) * (slow / fast), series.volume_sum(slow))


def zero_volume_share(series: Series, window: int) -> Floats:
    """Share of bars without a trade."""
    return rolling_mean(np.where(series.volume == 0.0, 1.0, 0.0), window)


def money_flow(series: Series, window: int) -> Floats:
    """Quong and Soudack's money flow index, 0 to 100; NaN where no money flowed.

    Own formula: TA-Lib takes any flow below 1.0 for none, in whatever unit it comes.
    """
    typical = series.high + series.low + series.close
    change = typical - lagged(typical, 1)
    change = np.where(np.abs(change) <= _SAME * typical, change * 0.0, change)
    flow = typical * series.volume
    rising = rolling_sum(np.where(change > 0.0, flow, change * 0.0), window)
    falling = rolling_sum(np.where(change < 0.0, flow, change * 0.0), window)
    return 100.0 * ratio(rising, rising + falling)


def signed_volume_share(series: Series, window: int) -> Floats:
    """Volume of rising closes less that of falling closes, over all: on-balance volume with a finite memory."""
    return ratio(rolling_sum(np.sign(series.log_return) * series.volume, window), series.volume_sum(window))


def chaikin_flow(series: Series, window: int) -> Floats:
    """Volume weighted with the close's place in its bar (-1 low, 1 high; 0 in a bar without range), over all volume."""
    span = series.high - series.low
    place = np.where(span > 0.0, ratio(2.0 * series.close - series.high - series.low, span), 0.0)
    return ratio(rolling_sum(place * series.volume, window), series.volume_sum(window))


def bought_share(series: Series) -> Floats:
    """Bought less sold share of each bar's volume, by bulk classification: 2 Φ(return / σ of 60) - 1."""
    return series.shared("bought_share", lambda: _bought_share(series))


def _bought_share(series: Series) -> Floats:
    from scipy.special import erf

    deviation = series.return_deviation(60)
    return np.asarray(erf(np.where(deviation == 0.0, 0.0, ratio(series.log_return, deviation)) / np.sqrt(2.0)))


def bulk_imbalance(series: Series, window: int) -> Floats:
    """Bought less sold volume over all volume."""
    return ratio(rolling_sum(bought_share(series) * series.volume, window), series.volume_sum(window))


def flow_toxicity(series: Series, window: int) -> Floats:
    """Mean absolute imbalance of the window's bars, weighted with volume (VPIN on clock-time bars)."""
    return ratio(rolling_sum(np.abs(bought_share(series)) * series.volume, window), series.volume_sum(window))


def _illiquidity(series: Series, window: int) -> Floats:
    return series.shared(("amihud", window), lambda: _mean_over_traded(series, window))


def _mean_over_traded(series: Series, window: int) -> Floats:
    turnover = series.turnover
    impact = np.where(turnover > 0.0, ratio(series.absolute_return, turnover), series.absolute_return * 0.0)
    return ratio(rolling_sum(impact, window), rolling_sum(np.where(turnover > 0.0, 1.0, 0.0), window))


def amihud(series: Series, window: int) -> Floats:
    """Mean |return| per million of quote currency, over the bars with a trade; NaN where there is none."""
    return _illiquidity(series, window) * _PER_MILLION


def amihud_ratio(series: Series, fast: int, slow: int) -> Floats:
    """Amihud's illiquidity of the last `fast` bars over that of the last `slow`."""
    return ratio(_illiquidity(series, fast), _illiquidity(series, slow))


def roll_spread(series: Series, window: int) -> Floats:
    """2 sqrt(-cov(return, return before)); 0 where the covariance is positive."""
    covariance = rolling_covariance(series.log_return, lagged(series.log_return, 1), window)
    return 2.0 * np.sqrt(np.maximum(-covariance, 0.0))


def corwin_schultz(series: Series, window: int) -> Floats:
    """Mean of the window's two-bar high-low spread estimates, negative ones set to 0."""
    before_high, before_low = lagged(series.high, 1), lagged(series.low, 1)
    beta = np.square(series.log_range) + np.square(lagged(series.log_range, 1))
    gamma = np.square(np.log(np.maximum(series.high, before_high) / np.minimum(series.low, before_low)))
    alpha = np.sqrt(beta) * (np.sqrt(2.0) - 1.0) / _CORWIN_SCHULTZ_K - np.sqrt(gamma / _CORWIN_SCHULTZ_K)
    return rolling_mean(np.maximum(2.0 * np.tanh(alpha / 2.0), 0.0), window)


def abdi_ranaldo(series: Series, window: int) -> Floats:
    """2 sqrt(mean (close - mid-range)(close - next mid-range)); the newest bar is the next one of the one before it."""
    middle = np.log(series.high * series.low) / 2.0
    before = lagged(series.log_close, 1)
    product = rolling_mean((before - lagged(middle, 1)) * (before - middle), window)
    return 2.0 * np.sqrt(np.maximum(product, 0.0))


FEATURES: tuple[Feature, ...] = (
    Feature("volume_ratio_20", "volume", ("volume",), 19, "ratio",
            "Volume over its mean of 20 bars.", _DEFINITION, partial(volume_ratio, window=20), bounds=(0.0, 20.0)),
    Feature("volume_z_60", "volume", ("volume",), 59, "sigma",
            "Standard deviations of the volume above its mean of 60 bars.", _DEFINITION, partial(volume_z, window=60)),
    Feature("volume_trend_15_240", "volume", ("volume",), 239, "ratio",
            "Mean volume of 15 bars over that of 240.", _DEFINITION, partial(volume_trend, fast=15, slow=240),
            bounds=(0.0, 16.0)),
    Feature("zero_volume_share_60", "volume", ("volume",), 59, "fraction",
            "Share of 60 bars without a trade.", _DEFINITION, partial(zero_volume_share, window=60), bounds=(0.0, 1.0)),
    Feature("mfi_14", "volume", ("high", "low", "close", "volume"), 14, "score",
            "Money flow index of 14 bars.", "Quong, Soudack (1989), Stocks & Commodities; as TA-Lib MFI",
            partial(money_flow, window=14), bounds=(0.0, 100.0)),
    Feature("obv_share_20", "volume", ("close", "volume"), 20, "fraction",
            "Volume of rising less that of falling closes, over all volume of 20 bars.",
            "Granville (1963), with a finite memory", partial(signed_volume_share, window=20), bounds=(-1.0, 1.0)),
    Feature("chaikin_flow_20", "volume", ("high", "low", "close", "volume"), 19, "fraction",
            "Volume weighted with the close's place in its bar, over all volume of 20 bars.",
            "Chaikin's money flow, by definition", partial(chaikin_flow, window=20), bounds=(-1.0, 1.0)),
    Feature("bulk_imbalance_15", "volume", ("close", "volume"), 74, "fraction",
            "Bought less sold share of the volume of 15 bars, classified in bulk by the normal law.",
            "Easley, Lopez de Prado, O'Hara (2012), Rev. Fin. Studies 25", partial(bulk_imbalance, window=15),
            bounds=(-1.0, 1.0)),
    Feature("flow_toxicity_60", "volume", ("close", "volume"), 119, "fraction",
            "Mean absolute bought less sold share of 60 bars, weighted with volume.",
            "Easley, Lopez de Prado, O'Hara (2012), Rev. Fin. Studies 25", partial(flow_toxicity, window=60),
            bounds=(0.0, 1.0)),
    Feature("amihud_60", "volume", ("close", "volume"), 60, "per million quote",
            "Absolute return per million of quote currency turned over, mean of 60 bars.",
            "Amihud (2002), J. Fin. Markets 5", partial(amihud, window=60), bounds=(0.0, np.inf)),
    Feature("amihud_ratio_15_240", "volume", ("close", "volume"), 240, "ratio",
            "Amihud's illiquidity of 15 bars over that of 240.", "Amihud (2002), J. Fin. Markets 5",
            partial(amihud_ratio, fast=15, slow=240), bounds=(0.0, np.inf)),
    Feature("roll_spread_60", "volume", ("close",), 61, "fraction",
            "Spread implied by the bounce of 60 returns; 0 where they do not bounce.", "Roll (1984), J. Finance 39",
            partial(roll_spread, window=60), bounds=(0.0, np.inf)),
    Feature("corwin_schultz_60", "volume", ("high", "low"), 60, "fraction",
            "Spread implied by high-low ranges of one and two bars, mean of 60, without the overnight correction.",
            "Corwin, Schultz (2012), J. Finance 67", partial(corwin_schultz, window=60), bounds=(0.0, 2.0)),
    Feature("abdi_ranaldo_60", "volume", ("high", "low", "close"), 60, "fraction",
            "Spread implied by closes and mid-ranges of 60 bars.", "Abdi, Ranaldo (2017), Rev. Fin. Studies 30",
            partial(abdi_ranaldo, window=60), bounds=(0.0, np.inf)),
)
