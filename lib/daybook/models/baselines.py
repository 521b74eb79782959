"""What each model has to beat, learned from the same rows and known at the same time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from daybook.core.arrays import Bools, Floats, Ints
from daybook.models.dataset import Dataset

Baseline = Callable[[Dataset, Ints, Ints], Floats]
"""(dataset, training rows, test rows) -> (len(test),) float64 forecast, NaN where the baseline has none."""

RISK_QUANTILE = 0.05
FEWEST_HAR_ROWS = 50


def class_prior(target: str) -> Baseline:
    """The weighted share of the upper class among the training rows."""

    def prior(data: Dataset, train: Ints, test: Ints) -> Floats:
        labels = data.labels[target]
        share = float(np.average(labels.value[train] > 0.0, weights=labels.weight[train]))
        return np.full(test.size, share)

    return prior


def zero_return(data: Dataset, train: Ints, test: Ints) -> Floats:
    """No drift: the forecast that returns of an hour are hardest to beat with."""
    return np.zeros(test.size)


def market_quantile(data: Dataset, train: Ints, test: Ints) -> Floats:
    """Each market's own 5 % quantile of the worst excursion among the training rows."""
    forecast = np.full(test.size, np.nan)
    values = data.labels["risk"].value
    for code in range(len(data.markets)):
        learned = train[data.market[train] == code]
        if learned.size:
            forecast[data.market[test] == code] = np.quantile(values[learned], RISK_QUANTILE)
    return forecast


def har_variance(data: Dataset, train: Ints, test: Ints) -> Floats:
    """Log of the expected variance by each market's heterogeneous autoregression on past realised variance.

    Ordinary least squares in logs on an hour, six hours and a day, then Duan's smearing factor, which turns the mean of
    a log into the log of a mean. NaN where a window is not full or a market has fewer than 50 training rows.
    Source: Corsi (2009), J. Financial Econometrics 7, 174-196; Duan (1983), J. Am. Stat. Assoc. 78, 605-610.
    """
    forecast = np.full(test.size, np.nan)
    inputs = np.column_stack([np.ones(len(data)), data.state.har])
    known: Bools = np.asarray(np.isfinite(inputs).all(axis=1))
    values = data.labels["volatility"].value
    for code in range(len(data.markets)):
        learned = train[(data.market[train] == code) & known[train]]
        if learned.size < FEWEST_HAR_ROWS:
            continue
        slopes = np.linalg.lstsq(inputs[learned], values[learned], rcond=None)[0]
        smear = np.log(np.mean(np.exp(values[learned] - inputs[learned] @ slopes)))
        asked = data.market[test] == code
        forecast[asked] = inputs[test[asked]] @ slopes + smear
    return forecast
