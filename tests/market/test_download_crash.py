"""A download that is killed at any moment leaves whole files only, and the next one ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from candle_tapes import minutes, spot_csv, tree, zipped
from fake_exchange import FakeExchange, Reply, fake_exchange, json_reply

from daybook.core.time import DAY_MS, MINUTE_MS, day_start_ms
from daybook.market.month_file import read_month
from daybook.market.store import CandleStore

FIRST, DAYS, PUBLISHED = date(2023, 5, 22), 16, 13
"""Two months are touched; the last three days are not in the archive yet and come over REST."""
KILLS = 4
SYMBOLS = ("BTCUSDT", "ETHUSDT")
NURSERY = """
import json, os, sys, traceback
import daybook.market.download_sources
import daybook.pipeline.commands.candles as command
from daybook.pipeline.cli import app
command.time.time = lambda: float(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            app(json.loads(line), standalone_mode=False)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()  # until then nobody else can get this process number
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""A process that has everything imported and forks one download a line: a start then takes milliseconds."""


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeExchange]:
    root = tmp_path_factory.mktemp("archive")
    with fake_exchange() as running:
        for symbol in SYMBOLS:
            for number in range(PUBLISHED):
                day = FIRST + timedelta(days=number)
                text = spot_csv(minutes(1440, day_start_ms(day)))
                running.serve_archive(zipped(root / f"{symbol}-1m-{day}.zip", text))
        now = day_start_ms(FIRST) + DAYS * DAY_MS
        running.routes["/api/v3/time"] = json_reply({"serverTime": now})
        running.routes["/api/v3/klines"] = lambda query: _klines(int(query["startTime"]), int(query["endTime"]))
        yield running


def _klines(start_ms: int, end_ms: int) -> Reply:
    count = min((end_ms + 1 - start_ms) // MINUTE_MS, 1000)
    day = start_ms // DAY_MS * DAY_MS
    tape = [one for one in minutes(1440, day) + minutes(1440, day + DAY_MS) if one[0] >= start_ms][:count]
    return json_reply([[one[0], *(f"{value:.8f}" for value in one[1:]), one[0] + MINUTE_MS - 1, "1.0", 7, "0.5", "0.5",
                        "0"] for one in tape])


@dataclass
class Nursery:
    """Starts downloads of the command line, each in a process of its own."""

    process: subprocess.Popen[str]

    def start(self, data: Path) -> int:
        """The number of the process that now downloads into a data folder."""
        last = FIRST + timedelta(days=DAYS - 1)
        command = ["candles", "download", "--venue", "binance_spot", "--symbols", ",".join(SYMBOLS), "--from",
                   str(FIRST), "--to", str(last), "--data", str(data)]
        return int(self.answer(json.dumps(command)))

    def ended(self) -> str:
        """How the download that was started last has ended, when it has: 0, or the signal that killed it."""
        return self.answer("")

    def answer(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def nursery(exchange: FakeExchange) -> Iterator[Nursery]:
    now = day_start_ms(FIRST) / 1000 + DAYS * 86_400
    servers = {f"DAYBOOK_BINANCE_{name}_URL": exchange.url for name in ("ARCHIVE", "SPOT", "USDM")}
    with subprocess.Popen([sys.executable, "-c", NURSERY, str(now)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, env=os.environ | servers) as process:
        running = Nursery(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield running


def require_whole(data: Path) -> None:
    """Every file under a final name can be read to its end."""
    for path in data.rglob("bars.parquet"):
        assert len(read_month(path)), path
    for path in data.glob("archives/**/*.zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, path


def archives(data: Path) -> dict[str, bytes]:
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in sorted(data.glob("archives/**/*.zip"))}


@pytest.mark.slow
def test_row_30_a_killed_download_is_finished_by_the_next_one(nursery: Nursery, tmp_path: Path) -> None:
    began = time.perf_counter()
    nursery.start(tmp_path / "whole")
    assert nursery.ended() == "0"
    duration = time.perf_counter() - began
    whole = CandleStore(tmp_path / "whole" / "candles")
    assert len(whole.read("binance_spot", "BTCUSDT")) == DAYS * 1440
    random = np.random.default_rng(11)
    killed = 0
    for number in range(KILLS):
        data = tmp_path / f"killed-{number}"
        for _ in range(2):
            child = nursery.start(data)
            time.sleep(float(random.uniform(0, 0.9 * duration)))
            os.kill(child, signal.SIGKILL)
            killed += nursery.ended() == str(int(signal.SIGKILL))
            require_whole(data)
        nursery.start(data)
        assert nursery.ended() == "0"
        require_whole(data)
        assert tree(data / "candles") == tree(whole.root)
        assert archives(data) == archives(tmp_path / "whole")
        assert not [path for pattern in ("*.tmp", "*.part") for path in data.rglob(pattern)]
    assert killed >= KILLS, "too few kills came before the download's end: the test would prove little"
