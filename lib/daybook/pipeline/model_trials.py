"""What the ledger is told of models: every market on which a rule was simulated, as traded and under each change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from daybook.backtest.robustness import STRESSES
from daybook.models.trading import Evaluation, ModelBacktest
from daybook.pipeline.trial_figures import trial_figures
from daybook.rank import TrialLedger


def count_backtest(ledger: TrialLedger, common: Mapping[str, Any], backtest: ModelBacktest) -> None:
    """Enter every simulation of a backtest, one row a market and change, with its hourly returns.

    common: the columns that all rows share: kind, identity, structure_hash, timeframe, birth, author, data_hash.
    """
    card = backtest.card
    ledger.extend({
        **common,
        "kind": ["stress" if one.change in STRESSES else common["kind"] for one in backtest.evaluations],
        "author": ["robustness" if one.change in STRESSES else common["author"] for one in backtest.evaluations],
        "params": [_params(card.rule, one) for one in backtest.evaluations],
        "symbol": [one.symbol for one in backtest.evaluations],
        "window_start": card.start_ms, "window_end": card.end_ms,
        **trial_figures([one.metrics for one in backtest.evaluations]),
    }, returns=np.stack([one.block_returns for one in backtest.evaluations]))


def _params(rule: str, one: Evaluation) -> dict[str, str]:
    return {"rule": rule} if not one.change else {"change": one.change, "rule": rule}
