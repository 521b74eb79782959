"""Every evaluation is a row, and no row changes unseen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybook.core.errors import DataError
from daybook.rank.ledger import (
    GENESIS,
    SCHEMA,
    TrialLedger,
    chained,
    checked,
    counts,
    first_broken,
    joined,
    read_returns,
    read_trials,
    row_digests,
    settled,
)
from daybook.rank.ledger_parts import PARTS

DAY, RUN = "2023-06-14", "2023-06-14/01"


def trial(**more):
    row = {
        "kind": "sweep", "identity": "a" * 64, "structure_hash": "s" * 64, "params": {"period": 14},
        "symbol": "BTCUSDT", "timeframe": "1m", "window_start": 0, "window_end": 604_800_000, "n_bars": 10_080,
        "birth": 0, "author": "evolution", "data_hash": "d", "outcome": "ok", "sharpe": 1.25,
        "skew": -0.5, "kurtosis": 4.0,
        "total_return": 0.01, "trades": 12,
    }
    return row | more


def ledger_of(rows: int, step: str = "20_backtest") -> pa.Table:
    ledger = TrialLedger(DAY, RUN, step)
    rng = np.random.default_rng(rows)
    ledger.extend(trial(
        params=[{"period": n} for n in range(rows)], sharpe=rng.normal(size=rows),
        identity=[f"i{n}" for n in range(rows)],
    ))
    return ledger.table()


def chain(table: pa.Table) -> pa.Table:
    return chained(table, row_digests(table))[0]


def test_rows_are_numbered_over_batches_and_survive_parquet(tmp_path):
    ledger = TrialLedger(DAY, RUN, "10_design")
    ledger.add(**trial())
    ledger.add(**trial(outcome="failed", sharpe=None, trades=None))
    ledger.extend(trial(identity=["x", "y"]))
    table = read_trials(ledger.write(tmp_path))
    assert table.equals(ledger.table())
    assert table["seq"].to_pylist() == [0, 1, 2, 3]
    assert set(table["run_id"].to_pylist()) == {RUN}
    assert table["sharpe"].to_pylist() == [1.25, None, 1.25, 1.25]
    assert len(ledger) == 4


def test_equal_ledgers_give_equal_files(tmp_path):
    files = []
    for name in ("a", "b"):
        ledger = TrialLedger(DAY, RUN, "20_backtest")
        ledger.extend(trial(params=[{"b": 1, "a": 2.5}, '{"a":2.5,"b":1}']))
        files.append(ledger.write(tmp_path / name).read_bytes())
    assert files[0] == files[1]
    assert ledger.table()["params"].to_pylist() == ['{"a":2.5,"b":1}'] * 2


def test_undefined_figures_become_null_never_a_number():
    frame = pd.DataFrame({"sharpe": [np.nan, np.inf, 1.0], "trades": [1.0, np.nan, 3.0]})
    ledger = TrialLedger(DAY, RUN, "20_backtest")
    ledger.extend(trial(sharpe=frame["sharpe"], trades=frame["trades"]))
    ledger.add(**trial(sharpe=np.float32("nan"), trades=np.int64(7)))
    assert ledger.table()["sharpe"].to_pylist() == [None, None, 1.0, None]
    assert ledger.table()["trades"].to_pylist() == [1, None, 3, 7]


@pytest.mark.parametrize(("change", "said"), [
    ({"kind": "guess"}, "kind ['guess'], allowed are score, design"),
    ({"outcome": "great"}, "outcome ['great']"),
    ({"sharp": 1.0}, "unknown columns ['sharp']"),
    ({"identity": None}, "identity is missing in 1 rows"),
    ({"n_bars": 1.5}, "Types are those of"),
    ({"identity": ["a", "b"], "symbol": ["A", "B", "C"]}, "different lengths"),
])
def test_ill_formed_trials_are_refused(change, said):
    with pytest.raises(DataError) as caught:
        TrialLedger(DAY, RUN, "20_backtest").extend(trial(**change))
    assert said in str(caught.value)


def test_a_missing_column_is_named():
    row = trial()
    del row["data_hash"]
    with pytest.raises(DataError, match="missing columns \\['data_hash'\\]"):
        TrialLedger(DAY, RUN, "20_backtest").add(**row)


def test_a_file_with_left_out_rows_is_refused():
    table = ledger_of(5)
    with pytest.raises(DataError, match="seq does not count up"):
        checked(joined([table.slice(0, 2), table.slice(3)]), "file")
    with pytest.raises(DataError, match="columns are"):
        checked(table.drop_columns(["author"]), "file")


def test_counts_take_in_failures():
    ledger = TrialLedger(DAY, RUN, "20_backtest")
    ledger.extend(trial(kind=["sweep", "null", "sweep"], outcome=["ok", "failed", "undefined"]))
    found = counts(ledger.table(), DAY)
    assert (found.today, found.ever, found.by_kind) == (3, 3, {"null": 1, "sweep": 2})
    assert counts(ledger.table(), "2023-06-15").today == 0


def test_a_whole_chain_verifies_and_continues_over_runs():
    first, second = ledger_of(4), ledger_of(3, "30_train")
    rows, head = chained(first, row_digests(first))
    after, _ = chained(second, row_digests(second), head)
    assert first_broken(rows) is None
    assert first_broken(after, head) is None
    assert first_broken(after, GENESIS).position == 0
    assert chained(SCHEMA.empty_table(), [], head)[1] == head


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 11), st.sampled_from(SCHEMA.names))
def test_verification_names_the_first_changed_row(place, column):
    rows = chain(ledger_of(12))
    values = rows[column].to_pylist()
    text = pa.types.is_string(rows.schema.field(column).type)
    values[place] = "changed" if text else (values[place] or 0) + 1
    index = rows.schema.get_field_index(column)
    changed = rows.set_column(index, rows.schema.field(index), pa.array(values, rows.schema.field(index).type))
    broken = first_broken(changed)
    assert broken is not None
    assert broken.position == place
    assert "does not follow from its content" in broken.text


def test_verification_names_the_row_after_a_gap_or_swap():
    rows = chain(ledger_of(6))
    gap = first_broken(pa.concat_tables([rows.slice(0, 2), rows.slice(3)]))
    assert (gap.position, gap.seq, gap.text.endswith("rows before it are missing")) == (2, 3, True)
    swapped = first_broken(rows.take([0, 2, 1, 3, 4, 5]))
    assert swapped.position == 1


def test_verification_names_a_row_that_was_slipped_in_and_one_that_was_taken_off_the_end():
    rows = chain(ledger_of(6))
    forged = chain(ledger_of(7)).slice(6)
    slipped = first_broken(pa.concat_tables([rows.slice(0, 3), forged, rows.slice(3)]))
    assert slipped.position == 3
    twice = first_broken(pa.concat_tables([rows.slice(0, 3), rows.slice(2)]))
    assert twice.position == 3
    assert first_broken(rows.slice(0, 5)) is None, "a cut end shows against the number of rows that the run recorded"


def test_a_row_can_not_pass_as_one_of_an_older_form():
    rows = chain(ledger_of(3))
    place = rows.schema.get_field_index("ledger_version")
    older = rows.set_column(place, rows.schema.field(place), pa.array([2, 1, 2], pa.int32()))
    assert first_broken(older).position == 1
    stranger = rows.set_column(place, rows.schema.field(place), pa.array([2, 2, 9], pa.int32()))
    assert first_broken(stranger).position == 2


def test_each_row_names_its_parents_and_where_its_returns_are_or_why_nowhere():
    ledger = TrialLedger(DAY, RUN, "20_backtest")
    ledger.extend(trial(parents=[["p", "q"], []], n_returns=168, returns_at=["20_backtest/trial_returns#0", None],
                        returns_reason=[None, "its worker died"], identity=["a", "b"]))
    ledger.add(**trial())
    table = ledger.table()
    assert table["parents"].to_pylist() == ['["p","q"]', "[]", "[]"]
    assert table["returns_at"].to_pylist() == ["20_backtest/trial_returns#0", None, None]
    assert table["returns_reason"].to_pylist() == [None, "its worker died", "its step keeps no returns by the hour"]
    assert table["n_returns"].to_pylist() == [168, 168, None]
    with pytest.raises(DataError, match="either returns_at or"):
        ledger.add(**trial(returns_at="20_backtest/trial_returns#0", returns_reason="both"))


def test_a_ledger_of_the_first_form_is_read_and_hashes_as_it_did(stores):
    table = read_trials(stores / "trials-1.parquet")
    assert table.schema.equals(SCHEMA)
    assert set(table["ledger_version"].to_pylist()) == {1}
    assert table["parents"].null_count == table.num_rows == 5
    assert chained(table, row_digests(table))[1].hex() == "08625b8bb4beb8c343b0cd6d87f5d2b3"


@pytest.fixture
def stores() -> Path:
    return Path(__file__).with_name("stores")


def test_null_and_text_never_hash_alike():
    same = [row_digests(checked(table, "t"))[0] for table in (
        _one(author="a", data_hash="b,c"), _one(author='a","b', data_hash="c"),
        _one(author="a", data_hash="b", sharpe=None), _one(author="a", data_hash="b", sharpe=0.0),
    )]
    assert len(set(same)) == 4


def _one(**more) -> pa.Table:
    ledger = TrialLedger(DAY, RUN, "20_backtest")
    ledger.add(**trial(**more))
    return ledger.table()


def test_a_day_of_twelve_thousand_trials_takes_well_below_a_second():
    started = time.process_time()
    rows = chain(ledger_of(12_000))
    assert first_broken(rows) is None
    assert time.process_time() - started < 1.0


def test_a_row_points_at_its_returns_and_they_are_found_again(tmp_path):
    ledger = TrialLedger(DAY, RUN, "20_backtest")
    rng = np.random.default_rng(3)
    week, day = rng.normal(size=(2, 168)) * 1e-3, rng.normal(size=(1, 24)) * 1e-3
    ledger.extend(trial(identity=["a", "b"]), returns=week)
    ledger.add(**trial())
    ledger.extend(trial(identity=["c"]), returns=day)
    places = read_trials(ledger.write(tmp_path / "20_backtest"))["returns_at"].to_pylist()
    assert places[2] is None
    for place, expected in zip((places[0], places[1], places[3]), (*week, *day), strict=True):
        assert read_returns(tmp_path, place) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(DataError, match="there are no returns at"):
        read_returns(tmp_path, "20_backtest/trial_returns.parquet#9")
    with pytest.raises(DataError, match="returns of shape"):
        ledger.extend(trial(identity=["a", "b"]), returns=day)


def counting(folder: Path) -> TrialLedger:
    """Three batches of a step that is still at work: returns of an hour and a day, and rows without any."""
    ledger = TrialLedger(DAY, RUN, "20_backtest", folder)
    rng = np.random.default_rng(3)
    ledger.extend(trial(identity=["a", "b"]), returns=rng.normal(size=(2, 168)))
    ledger.add(**trial())
    ledger.extend(trial(identity=["c"]), returns=rng.normal(size=(1, 24)))
    return ledger


def test_a_ledger_that_was_never_written_is_made_from_its_batches_with_the_same_bytes(tmp_path):
    counting(tmp_path / "20_backtest")
    assert not (tmp_path / "20_backtest" / "trials.parquet").exists()
    whole = counting(tmp_path / "whole").write(tmp_path / "whole")
    assert settled(tmp_path / "20_backtest").read_bytes() == whole.read_bytes()
    assert read_returns(tmp_path, "20_backtest/trial_returns.parquet#2").size == 24
    for folder in ("20_backtest", "whole"):
        assert {path.name for path in (tmp_path / folder).iterdir()} == {"trial_returns.parquet", "trials.parquet"}
    returns = [(tmp_path / folder / "trial_returns.parquet").read_bytes() for folder in ("20_backtest", "whole")]
    assert returns[0] == returns[1]
    assert settled(tmp_path / "whole") == whole
    assert settled(tmp_path / "nothing") is None


def test_a_step_killed_in_the_middle_leaves_every_batch_it_counted(tmp_path):
    code = (f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from pathlib import Path\n"
            f"from test_rank_ledger import counting\nledger = counting(Path({str(tmp_path / '20_backtest')!r}))\n"
            "print('counted', flush=True); input()")
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "counted\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    table = read_trials(settled(tmp_path / "20_backtest"))
    assert table["identity"].to_pylist() == ["a", "b", "a" * 64, "c"]
    for place in filter(None, table["returns_at"].to_pylist()):
        assert np.all(np.isfinite(read_returns(tmp_path, place)))


def test_a_missing_batch_is_refused(tmp_path):
    for number, said in ((0, "first batch is missing"), (1, "rows are never left out")):
        folder = tmp_path / str(number)
        counting(folder)
        (folder / PARTS / f"{number:06d}.parquet").unlink()
        with pytest.raises(DataError, match=said):
            settled(folder)
