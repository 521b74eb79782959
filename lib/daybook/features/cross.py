"""Cross-coin features: one coin against the leader and against the basket of all others, bar by bar.

The basket is the equal-weight mean of the other coins that have a bar; a coin's own bar is never part of the basket it
is compared with. Returns of other coins are taken between this coin's own open times.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from daybook.core.arrays import Bools, Floats
from daybook.features.feature import CROSS, Feature
from daybook.features.peers import LEADER, present_mean
from daybook.features.rolling_kernel import ratio, rolling_covariance, rolling_moments, rolling_sum
from daybook.features.series import Series, difference, lagged, rolling_correlation

_LEAST_VARIANCE = 1e-24
"""A variance of log returns below this is rounding of equal prices, not movement."""


def _leader_log_close(series: Series) -> Floats:
    row = series.peers.leader
    if series.symbol.startswith(LEADER):
        return series.log_close
    return np.full(series.length, np.nan) if row is None else series.peers.log_close[row]


def _peer_returns(series: Series, window: int) -> Floats:
    """(C, T) log returns of the other coins between this coin's open times `window` bars apart."""
    return series.shared(("peer_returns", window), lambda: _differences(series.peers.log_close, window))


def _differences(rows: Floats, lag: int) -> Floats:
    out = np.full(rows.shape, np.nan)
    np.subtract(rows[:, lag:], rows[:, :-lag], out=out[:, lag:])
    return out


def _all_returns(series: Series, window: int) -> Floats:
    """(1 + C, T) log returns, this coin first; NaN in every row where no other coin has one."""
    return series.shared(("all_returns", window), lambda: _with_own(series, window))


def _with_own(series: Series, window: int) -> Floats:
    peers = _peer_returns(series, window)
    returns = np.vstack([difference(series.log_close, window), peers])
    returns[:, np.isnan(peers).all(axis=0)] = np.nan
    return returns


def _basket_return(series: Series, window: int) -> Floats:
    return series.shared(("basket", window), lambda: present_mean(_peer_returns(series, window)))


def leader_return(series: Series, window: int) -> Floats:
    """Log return of the leader; its own for the leader itself, NaN without one."""
    return difference(_leader_log_close(series), window)


def leader_gap(series: Series, window: int) -> Floats:
    """Own log return less the leader's."""
    return difference(series.log_close, window) - leader_return(series, window)


def relative_strength(series: Series, window: int) -> Floats:
    """Own log return less the basket's."""
    return difference(series.log_close, window) - _basket_return(series, window)


def market_correlation(series: Series, window: int) -> Floats:
    """Correlation of own returns with the basket's; NaN where either does not vary."""
    values = rolling_correlation(series.log_return, _basket_return(series, 1), window)
    values[_still(series, window)] = np.nan
    return values


def _still(series: Series, window: int) -> Bools:
    still: Bools = (_basket_variance(series, window) == 0.0) | (series.return_deviation(window) == 0.0)
    return still


def _basket_variance(series: Series, window: int) -> Floats:
    return series.shared(("basket_variance", window), lambda: _varied(_basket_return(series, 1), window))


def _varied(values: Floats, window: int) -> Floats:
    variance = rolling_moments(values, window)[1]
    variance[variance < _LEAST_VARIANCE] = 0.0
    return variance


def market_beta(series: Series, window: int) -> Floats:
    """Covariance of own returns with the basket's over the basket's variance; NaN where the basket does not move."""
    return series.shared(("market_beta", window), lambda: ratio(
        rolling_covariance(series.log_return, _basket_return(series, 1), window), _basket_variance(series, window)
    ))


def residual_return(series: Series, window: int, history: int) -> Floats:
    """Own log return less beta times the basket's."""
    return difference(series.log_close, window) - market_beta(series, history) * _basket_return(series, window)


def return_rank(series: Series, window: int) -> Floats:
    """Share of all coins whose return lies below this one's, ties (itself too) counted half."""
    returns = _all_returns(series, window)
    below = (returns < returns[0]).sum(axis=0) + (returns <= returns[0]).sum(axis=0)
    return ratio(_where_known(returns, below), 2.0 * (~np.isnan(returns)).sum(axis=0))


def breadth(series: Series, window: int) -> Floats:
    """Share of all coins that rose."""
    returns = _all_returns(series, window)
    return ratio(_where_known(returns, (returns > 0.0).sum(axis=0)), 1.0 * (~np.isnan(returns)).sum(axis=0))


def dispersion(series: Series, window: int) -> Floats:
    """Population standard deviation of the returns across all coins."""
    returns = _all_returns(series, window)
    apart = np.square(returns - present_mean(returns))
    return np.sqrt(_where_known(returns, present_mean(apart)))


def _where_known(returns: Floats, values: Floats) -> Floats:
    return np.where(np.isnan(returns[0]), np.nan, values)


def lead_lag(series: Series, window: int) -> Floats:
    """Correlation of own returns with the leader's of the bar before, less the leader's with own of the bar before."""
    leader = leader_return(series, 1)
    follows = rolling_correlation(series.log_return, lagged(leader, 1), window)
    return follows - rolling_correlation(leader, lagged(series.log_return, 1), window)


def relative_volume(series: Series, window: int) -> Floats:
    """Own volume over its mean of the window, over the mean of the same ratio of the other coins."""
    volumes = series.peers.volume
    surges = _peer_ratio(volumes * window, _each(volumes, window))
    return ratio(ratio(series.volume * window, series.volume_sum(window)), present_mean(surges))


def _each(rows: Floats, window: int) -> Floats:
    """(C, T) sums of the window, row by row."""
    out = np.empty(rows.shape)
    for row, values in zip(out, rows, strict=True):
        row[:] = rolling_sum(values, window)
    return out


def _peer_ratio(numerator: Floats, denominator: Floats) -> Floats:
    out = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0.0)
    return out


def relative_volatility(series: Series, window: int) -> Floats:
    """Own realised volatility over the mean of the other coins'."""
    others = np.sqrt(_each(np.square(_peer_returns(series, 1)), window) / window)
    return ratio(series.realised(window), present_mean(others))


def turnover_share(series: Series, window: int) -> Floats:
    """Own share of the quote currency that all coins turned over; NaN where one of them lacks a bar of the window."""
    own = rolling_sum(series.turnover, window)
    others = _each(series.peers.turnover, window).sum(axis=0)
    return ratio(own, own + others) if len(series.peers) else np.full(series.length, np.nan)


_CLOSES = ("open_time", "close")
_VOLUMES = ("open_time", "volume")
_DEFINITION = "by definition"
_BASKET = "equal-weight mean of the other coins"

FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"leader_return_{window}", CROSS, _CLOSES, window, "log return",
                f"Log return of the leader (BTC) over {window} bar{'s' if window > 1 else ''}.", _DEFINITION,
                partial(leader_return, window=window))
        for window in (1, 5, 15)
    ),
    Feature("leader_gap_15", CROSS, _CLOSES, 15, "log return",
            "15-bar log return less the leader's.", _DEFINITION, partial(leader_gap, window=15)),
    *(
        Feature(f"relative_strength_{window}", CROSS, _CLOSES, window, "log return",
                f"{window}-bar log return less the basket's ({_BASKET}).", "Levy (1967), J. Finance 22",
                partial(relative_strength, window=window))
        for window in (60, 240)
    ),
    Feature("market_correlation_240", CROSS, _CLOSES, 240, "correlation",
            f"Correlation of 240 returns with the basket's ({_BASKET}).", _DEFINITION,
            partial(market_correlation, window=240), bounds=(-1.0, 1.0)),
    Feature("market_beta_240", CROSS, _CLOSES, 240, "ratio",
            "Slope of 240 returns on the basket's.", "Sharpe (1964), J. Finance 19", partial(market_beta, window=240)),
    Feature("residual_return_60", CROSS, _CLOSES, 240, "log return",
            "60-bar log return less beta of 240 bars times the basket's.",
            "Blitz, Huij, Martens (2011), J. Empirical Finance 18", partial(residual_return, window=60, history=240)),
    Feature("return_rank_60", CROSS, _CLOSES, 60, "fraction",
            "Rank of the 60-bar return among all coins, ties counted half.",
            "Jegadeesh, Titman (1993), J. Finance 48", partial(return_rank, window=60), bounds=(0.0, 1.0)),
    Feature("breadth_60", CROSS, _CLOSES, 60, "fraction",
            "Share of all coins that rose over 60 bars.", _DEFINITION, partial(breadth, window=60), bounds=(0.0, 1.0)),
    Feature("dispersion_60", CROSS, _CLOSES, 60, "log return",
            "Standard deviation across all coins of their 60-bar returns.",
            "Christie, Huang (1995), Financial Analysts J. 51", partial(dispersion, window=60), bounds=(0.0, np.inf)),
    Feature("lead_lag_240", CROSS, _CLOSES, 241, "correlation",
            "How much better the leader's last bar explains this coin's next than the other way round, 240 bars.",
            "Lo, MacKinlay (1990), Rev. Fin. Studies 3", partial(lead_lag, window=240), bounds=(-2.0, 2.0)),
    Feature("relative_volume_60", CROSS, _VOLUMES, 59, "ratio",
            "Volume over its mean of 60 bars, over the mean of the same ratio of the other coins.", _DEFINITION,
            partial(relative_volume, window=60), bounds=(0.0, np.inf)),
    Feature("relative_volatility_60", CROSS, _CLOSES, 60, "ratio",
            "Realised volatility of 60 bars over the mean of the other coins'.", _DEFINITION,
            partial(relative_volatility, window=60), bounds=(0.0, np.inf)),
    Feature("turnover_share_240", CROSS, ("open_time", "close", "volume"), 239, "fraction",
            "Share of the quote currency that all coins turned over in 240 bars.", _DEFINITION,
            partial(turnover_share, window=240), bounds=(0.0, 1.0)),
)
