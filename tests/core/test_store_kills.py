"""A writer killed at any moment leaves the generation before or after, whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np

from daybook.core.store import Schema, Store

ROWS, KILLS = 20_000, 15

WRITER = """
import sys
from pathlib import Path
from daybook.core.store import Schema, Store

def create(connection):
    connection.execute("CREATE TABLE notes (n INTEGER, text VARCHAR)")

store = Store(Path(sys.argv[1]), Schema(1, create))
n = int(sys.argv[2])
print("ready", flush=True)
while True:
    store.publish(lambda c: c.execute("INSERT INTO notes SELECT ?, md5(range::VARCHAR) FROM range(20000)", [n]))
    print(n, flush=True)
    n += 1
"""


def create(connection):
    connection.execute("CREATE TABLE notes (n INTEGER, text VARCHAR)")


def killed_writer(folder, start: int, seconds: float) -> list[int]:
    """Let a writer publish from number `start` on, kill it after some seconds; what it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(folder), str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        return [int(line) for line in writer.stdout.readlines()]


def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(tmp_path):
    pick = np.random.default_rng(20_230_614)
    count = torn = 0
    for _ in range(KILLS):
        acknowledged = killed_writer(tmp_path, count + 1, float(pick.uniform(0.0, 0.4)))
        expected = acknowledged[-1] if acknowledged else count
        torn += bool(list((tmp_path / "store").glob(".daybook*"))) if (tmp_path / "store").exists() else 0
        warned: list[str] = []
        store = Store(tmp_path, Schema(1, create), warn=warned.append)
        if store.verified() is None:
            assert expected == 0
            continue
        found = store.read(lambda c: c.execute("SELECT n, count(*) FROM notes GROUP BY n ORDER BY n").fetchall())
        assert not warned
        assert found == [(n, ROWS) for n in range(1, len(found) + 1)]
        assert len(found) in (expected, expected + 1)
        count = len(found)
    assert torn, "no kill met a publication under way; the test proves nothing"
    Store(tmp_path, Schema(1, create)).publish(lambda c: c.execute("INSERT INTO notes VALUES (0, 'after')"))
    assert not list((tmp_path / "store").glob(".daybook*"))
