"""Bad input: a clear error, the documented exit code, nothing lost."""

from __future__ import annotations

import json
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from days import TINY, Place

pytestmark = pytest.mark.slow
START = 1_684_108_800_000  # 2023-05-15 00:00 UTC


def candles(folder: Path, symbol: str, days: int = 32, drop: str = "") -> Path:
    """A plain candle file of so many days from 2023-05-15."""
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, days * 1440)))
    start = np.concatenate(([100.0], close[:-1]))
    columns = {
        "open_time": START + 60_000 * np.arange(days * 1440, dtype=np.int64), "open": start,
        "high": np.maximum(start, close) * 1.0001, "low": np.minimum(start, close) * 0.9999, "close": close,
        "volume": rng.lognormal(1, 1, days * 1440),
    }
    columns.pop(drop, None)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{symbol}_2023-05-15_2023-06-15.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-p", "fee=1"], 2, ["'fee' is not a parameter", "fee_bps"]),
        (["-p", "fee_bps=abc"], 2, ["fee_bps", "'abc'", "number"]),
        (["--seed", "x"], 2, ["seed", "'x'", "integer"]),
        (["--date", "2023-02-30"], 2, ["2023-02-30", "calendar"]),
        (["--nonsense"], 2, ["--nonsense"]),
        (["--symbols", "DOGEUSDT"], 2, ["DOGEUSDT", "BTCUSDT"]),
        (["--date", "2019-05-05"], 2, ["2019", "2020-01-01"]),
        (["--source", "files"], 3, ["store is empty", "--candles"]),
        (["--source", "files", "--candles", "nowhere"], 3, ["nowhere", "no such file"]),
        (["--config", "absent.toml"], 2, ["absent.toml"]),
    ],
)
def test_a_bad_argument_is_explained(tmp_path: Path, arguments: list[str], code: int, words: list[str]) -> None:
    place = Place(tmp_path)
    done = place.run(*arguments, "--json")
    assert done.returncode == code, done.stderr
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == code
    for word in words:
        assert word in answer["message"], answer["message"]
    assert "Traceback" not in done.stderr
    assert not list(place.runs.glob("20*"))


def test_a_date_without_candles_names_what_there_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    candles(tmp_path / "venue_a" / "1m", "BTCUSDT")
    done = place.run(*TINY, "--source", "files", "--candles", str(tmp_path / "venue_a"), "--symbols", "BTCUSDT",
                     "--date", "2024-06-14")
    assert done.returncode == 3
    assert "2023-05-15 00:00 UTC" in done.stderr
    unknown = place.run(*TINY, "--source", "files", "--candles", str(tmp_path / "venue_a"), "--symbols", "XRPUSDT",
                        "--date", "2023-06-14")
    assert unknown.returncode == 3
    assert "BTCUSDT" in unknown.stderr


def test_too_many_missing_bars_stop_the_day(tmp_path: Path) -> None:
    place = Place(tmp_path)
    candles(tmp_path / "venue_a" / "1m", "BTCUSDT", days=20)
    done = place.run(*TINY, "--source", "files", "--candles", str(tmp_path / "venue_a"), "--symbols", "BTCUSDT",
                     "--date", "2023-06-10")
    assert done.returncode == 3
    assert "missing" in done.stderr
    assert "max_missing" in done.stderr


def test_a_corrupt_zip_and_a_missing_column_are_named_and_nothing_is_imported(tmp_path: Path) -> None:
    place = Place(tmp_path)
    good = candles(tmp_path / "good" / "venue_a" / "1m", "BTCUSDT")
    assert place.daybook("candles", "import", str(good), "--data", str(place.data)).returncode == 0
    before = place.daybook("candles", "list", "--data", str(place.data)).stdout
    bad = tmp_path / "bad" / "BTCUSDT-1m-2023-06-15.zip"
    bad.parent.mkdir()
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("BTCUSDT-1m-2023-06-15.csv", "1,2,3\n" * 100)
    bad.write_bytes(bad.read_bytes()[:-40])
    without = candles(tmp_path / "less" / "venue_a" / "1m", "ETHUSDT", drop="volume")
    for path, word in ((bad, "zip"), (without, "volume")):
        done = place.daybook("candles", "import", str(path), "--data", str(place.data))
        assert done.returncode == 3, done.stderr
        assert path.name in done.stderr
        assert word in done.stderr
    assert place.daybook("candles", "list", "--data", str(place.data)).stdout == before


def test_a_second_runner_is_refused_and_the_first_finishes(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with subprocess.Popen(place.command(*TINY, "--date", "2026-01-15"), env=place.environment(), cwd=tmp_path,
                          stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        while not (place.runs / ".lock.pid").is_file():
            time.sleep(0.05)
        time.sleep(0.2)
        second = place.run(*TINY, "--date", "2026-01-15")
        assert second.returncode == 5, second.stderr
        assert str(first.pid) in second.stderr
        out, err = first.communicate(timeout=600)
        assert first.returncode == 0, err
    assert out.strip().endswith("2026-01-15/01/report.html")


def test_a_runs_folder_that_can_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = Place(tmp_path).run("--runs", str(tmp_path / "file" / "runs"), "--date", "2026-01-15")
    assert done.returncode == 6
    assert "can not be written" in done.stderr
