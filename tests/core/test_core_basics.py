"""Time, seeds, hashes, files and redaction."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from daybook.core.errors import DataError, StorageError, UsageError
from daybook.core.files import (
    read_json,
    read_parquet,
    sweep_temporaries,
    write_atomic,
    write_json,
    write_parquet,
)
from daybook.core.hashing import canonical_json, hash_arrays, hash_json, hash_tree
from daybook.core.log import RunLog
from daybook.core.parallel import parallel_map
from daybook.core.redaction import files_with_secrets, redact, secret_values
from daybook.core.seeds import derived_seed, generator
from daybook.core.time import DAY_MS, bars_per_year, day_start_ms, parse_day, timeframe_ms, utc_text, window_before


def test_a_window_ends_at_midnight_utc_of_its_day() -> None:
    window = window_before(date(2024, 3, 1), 7)
    assert window.end_ms == day_start_ms(date(2024, 3, 1)) == 1_709_251_200_000
    assert window.end_ms - window.start_ms == 7 * DAY_MS
    assert utc_text(window.start_ms) == "2024-02-23 00:00 UTC"
    assert utc_text(window.start_ms + 20_799) == "2024-02-23 00:00:20.799 UTC"


NOT_DATES = ["2023-02-29", "2023-2-1", "20230201", "2023-W05-1", "../2023-01-01", "2023-01-01\n", "２０２３-01-01"]


@pytest.mark.parametrize("text", NOT_DATES)
def test_only_calendar_days_are_dates(text: str) -> None:
    with pytest.raises(UsageError, match="date"):
        parse_day(text)


def test_a_leap_day_is_a_date_and_crypto_years_have_365_days() -> None:
    assert parse_day("2024-02-29") == date(2024, 2, 29)


def test_a_window_before_the_calendar_is_refused():
    assert window_before(date(1, 1, 3), 2).end_ms == day_start_ms(date(1, 1, 3))
    with pytest.raises(UsageError, match="35 days before 0001-01-01"):
        window_before(date(1, 1, 1), 35)
    assert bars_per_year("1m") == 525_600
    assert timeframe_ms("60m") == 3_600_000
    with pytest.raises(UsageError, match="15m"):
        timeframe_ms("15m")


def test_seeded_streams_depend_on_their_name_only() -> None:
    first = generator(7, "design", "2024-01-01").standard_normal(4)
    generator(7, "other").standard_normal(100)
    assert np.array_equal(first, generator(7, "design", "2024-01-01").standard_normal(4))
    assert derived_seed(7, "a", "b") != derived_seed(7, "ab")
    assert derived_seed(1, "a") != derived_seed(2, "a")


def test_hashes_see_values_types_and_shapes() -> None:
    assert hash_json({"b": 1, "a": [1.5]}) == hash_json({"a": [1.5], "b": 1})
    values = np.arange(6.0)
    assert hash_arrays([values]) != hash_arrays([values.reshape(2, 3)])
    assert hash_arrays([values]) != hash_arrays([values.astype(np.float32)])
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))


def test_a_tree_hash_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = hash_tree(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    changed = hash_tree(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, hash_tree(tmp_path)}) == 3


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    path = write_json(tmp_path / "value.json", {"a": 1})

    def fails(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        write_atomic(path, fails)
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    table = pa.table({"a": np.arange(100, dtype=np.float32), "b": [str(n) for n in range(100)]})
    first = write_parquet(tmp_path / "1.parquet", table, float_encoding=False).read_bytes()
    assert first == write_parquet(tmp_path / "2.parquet", table).read_bytes()
    assert read_parquet(tmp_path / "1.parquet").equals(table)


def test_a_corrupt_or_missing_file_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad", "no"):
        with pytest.raises(DataError, match=f"{name}.parquet"):
            read_parquet(tmp_path / f"{name}.parquet")
        with pytest.raises(DataError, match=f"{name}.json"):
            read_json(tmp_path / f"{name}.json")


def test_secrets_are_masked_by_value_by_variable_name_and_by_form() -> None:
    environment = {"SOME_API_KEY": "abcdefgh12", "HOME": "somewhere-else", "X_TOKEN": "tiny"}
    secrets = secret_values(["hunter2-hunter2"], environment)
    text = redact("hunter2-hunter2 abcdefgh12 somewhere-else tiny sk-ant-api03-abcdefghij", secrets)
    assert text == "******** ******** somewhere-else tiny ********"


def test_a_secret_is_masked_in_every_form_of_writing_and_inside_urls() -> None:
    import html

    secret = 'pa"ss\\wo\nrd<é>'
    secrets = secret_values([secret], {"DATABASE_URL": "postgres://me:hunter2hunter2@db/x", "MY_KEY": "qwertyuiop"})
    forms = (secret, json.dumps(secret), repr(secret), html.escape(secret), "hunter2hunter2", "qwertyuiop")
    assert all("rd" not in redact(form, secrets).strip("'\"") for form in forms[:4])
    assert [redact(form, secrets) for form in forms[4:]] == ["********", "********"]


def test_temporary_files_of_ended_processes_are_swept_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    dead, living = tmp_path / "deep" / ".a.json.4194305-1.tmp", tmp_path / f".b.json.{os.getpid()}-1.tmp"
    for path in (dead, living, tmp_path / ".other.tmp"):
        path.write_text("")
    assert sweep_temporaries(tmp_path) == 1
    assert not dead.exists()
    assert living.exists()
    assert sweep_temporaries(tmp_path, also_living=True) == 1
    assert (tmp_path / ".other.tmp").exists()


def test_the_scan_finds_a_secret_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.bin").write_bytes(b"\0\1topsecretvalue\2")
    (tmp_path / "b.txt").write_text("nothing")
    assert files_with_secrets(tmp_path, ["topsecretvalue"]) == [tmp_path / "deep" / "a.bin"]


def test_the_log_masks_secrets(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log.jsonl", ["topsecretvalue"]) as log:
        log.event("started", fact="topsecretvalue")
    line = (tmp_path / "log.jsonl").read_text()
    assert "topsecretvalue" not in line
    assert '"event": "started"' in line


def test_the_parallel_map_keeps_the_order() -> None:
    assert parallel_map(lambda n: n * n, range(50), jobs=2) == [n * n for n in range(50)]
