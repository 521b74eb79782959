"""An import that is killed anywhere leaves whole files only, and the next one finishes its work."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import JUNE, candle, spot_csv, tree, write_candles, zipped

from daybook.core.time import DAY_MS, MINUTE_MS
from daybook.market.importer import import_candles
from daybook.market.month_file import read_month
from daybook.market.quarantine import read_quarantine
from daybook.market.store import CandleStore

KILLS = 5
IMPORT = """
import sys
from pathlib import Path
from daybook.market.importer import import_candles
from daybook.market.store import CandleStore
print("ready", flush=True)
import_candles(Path(sys.argv[1]), CandleStore(Path(sys.argv[2])))
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three markets over twelve months with bad rows in each, in Parquet and zips that overlap."""
    root = tmp_path_factory.mktemp("archive")
    for number, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT")):
        tape = [candle(JUNE + at * 3 * 3_600_000, 100.0 + number + at % 50) for at in range(8 * 365)]
        tape[100::200] = [(one[0] + 20_799, *one[1:]) for one in tape[100::200]]
        write_candles(root / "binance_spot" / "1m" / f"{symbol}_2023-06-01_2024-05-30.parquet", tape)
        zipped(root / "zips" / f"{symbol}-1m-2023-06-01.zip",
               spot_csv([candle(JUNE + at * MINUTE_MS, 100.0 + number) for at in range(200)]))
    return root


def start(folder: Path, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", IMPORT, str(folder), str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_killed_import_is_finished_by_the_next_one(folder: Path, tmp_path: Path) -> None:
    whole = CandleStore(tmp_path / "whole")
    started = time.perf_counter()
    import_candles(folder, whole)
    duration = time.perf_counter() - started
    random = np.random.default_rng(2)
    killed, torn = CandleStore(tmp_path / "killed"), 0
    for _ in range(KILLS):
        process = start(folder, killed.root)
        time.sleep(float(random.uniform(0, duration)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in killed.root.rglob("bars.parquet"):
            assert len(read_month(path))
        for path in killed.root.rglob("rows.parquet"):
            assert len(read_quarantine(path))
        torn += tree(killed.root) != tree(whole.root)
    import_candles(folder, killed)
    assert tree(killed.root) == tree(whole.root)
    assert (killed.root / "_imports.json").read_bytes() == (whole.root / "_imports.json").read_bytes()
    assert torn, "no kill came before the import's end: the test would prove nothing"
    assert killed.read("binance_spot", "BTCUSDT").open_time[-1] >= JUNE + 364 * DAY_MS


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize("after_rename", [False, True])
def test_import_may_end_at_any_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_rename: bool) -> None:
    tape = [candle(JUNE + at * 10 * DAY_MS + at * MINUTE_MS) for at in range(12)]
    tape[5] = (tape[5][0] + 20_799, *tape[5][1:])
    for symbol in ("BTCUSDT", "ETHUSDT"):
        write_candles(tmp_path / "in" / "binance_spot" / "1m" / f"{symbol}.parquet", tape)
    whole, rename, renames = CandleStore(tmp_path / "whole"), Path.replace, 0

    def counted(path: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", counted)
    import_candles(tmp_path / "in", whole)
    assert renames == 2 * (4 + 1) + 2
    for kill_at in range(renames):
        left = kill_at

        def killing(path: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left >= 0:
                return rename(path, target)
            if after_rename:
                rename(path, target)
            raise Killed

        store = CandleStore(tmp_path / f"killed-{kill_at}")
        monkeypatch.setattr(Path, "replace", killing)
        with pytest.raises(Killed):
            import_candles(tmp_path / "in", store)
        for path in store.root.rglob("bars.parquet"):
            assert len(read_month(path))
        monkeypatch.setattr(Path, "replace", rename)
        import_candles(tmp_path / "in", store)
        assert tree(store.root) == tree(whole.root)
        assert (store.root / "_imports.json").read_bytes() == (whole.root / "_imports.json").read_bytes()
