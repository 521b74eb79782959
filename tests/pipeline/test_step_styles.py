"""What the notes below the tables of the pages say."""

from __future__ import annotations

import pandas as pd

from daybook.pipeline.steps.styles import strategy_note, stress_note


def test_percentiles_are_explained_where_their_columns_are_shown() -> None:
    table = pd.DataFrame({"sharpe_p50": [None], "sharpe_p90": [None], "sharpe_bar_later": [1.0]})
    assert "percentile" not in stress_note(table)
    assert "one bar later" in stress_note(table)
    measured = table.assign(sharpe_p50=[1.0])
    for note in (stress_note(measured), strategy_note(measured)):
        assert "the 50th or the 90th percentile of the measured spread and slippage" in note
