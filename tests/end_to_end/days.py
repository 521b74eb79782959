"""Run `run_daily.py` as a person does, small enough for a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-7c1e55d0b2f94a6d"
"""A secret in the environment of the days below: it must be in no file that they write."""
TINY = (
    "--symbols", "BTCUSDT,ETHUSDT", "-p", "history_days=21", "-p", "population=10", "-p", "generations=2",
    "-p", "tuning_draws=2", "-p", "folds=2",
)


@dataclass(frozen=True)
class Place:
    """A folder with its own data, runs and home."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def environment(self, **extra: str) -> dict[str, str]:
        """The process's environment with a home of its own and no Daybook settings."""
        self.home.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("DAYBOOK_", "XDG_"))}
        return own | {"HOME": str(self.home)} | extra

    def command(self, *arguments: str) -> list[str]:
        """The command line of a day in this place."""
        places = ["--data", str(self.data), "--runs", str(self.runs)]
        return [sys.executable, str(ROOT / "run_daily.py"), *places, *arguments]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environment(**environment), text=True,
            capture_output=True, timeout=900, check=False,
        )

    def day(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """Run a tiny day that must succeed; returns the summary it prints."""
        done = self.run(*TINY, "--json", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def daybook(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `daybook` command."""
        command = [sys.executable, "-m", "daybook.pipeline.cli", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.environment(), text=True, capture_output=True, timeout=300, check=False
        )

    def report(self, run: str) -> dict[str, Any]:
        """report.json of a run."""
        return dict(json.loads((self.runs / run / "report.json").read_text()))

    def artefacts(self, run: str) -> dict[str, str]:
        """Path -> SHA-256 of every artefact of a run, from its manifest."""
        manifest = json.loads((self.runs / run / "manifest.json").read_text())
        return {path: digest for step in manifest["steps"] for path, digest in step["artefacts"].items()}


def without_timings(report: dict[str, Any]) -> dict[str, Any]:
    """A report without wall times."""
    return {name: value for name, value in report.items() if name != "timings"}
