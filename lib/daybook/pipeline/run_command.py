"""The command line of `run_daily.py`: stable options, stable exit codes.

Exit codes: 0 done; 1 internal error; 2 usage, settings or parameter; 3 data; 4 a step failed; 5 another runner is at
work; 6 storage; 130 interrupted (Ctrl-C); 143 terminated (SIGTERM).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from daybook.core.errors import UsageError
from daybook.core.settings import load_settings, parse_parameters
from daybook.core.time import parse_day
from daybook.pipeline.answers import Terminated, failure


class _Parser(argparse.ArgumentParser):
    """argparse, but its complaints are our UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `run_daily.py --help` lists the options.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="run_daily.py", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--date", metavar="D", help="research day YYYY-MM-DD; today (UTC) when left out")
    parser.add_argument("--source", help="synthetic (the built-in market), files, binance or blofin")
    parser.add_argument("--candles", metavar="PATH", type=Path, help="candle file or folder to import first")
    parser.add_argument("--symbols", metavar="A,B", help="markets, separated by commas")
    parser.add_argument("--data", metavar="DIR", type=Path, help="candles, features and the published store")
    parser.add_argument("--runs", metavar="DIR", type=Path, help="the executed days")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings file (TOML) instead of daybook.toml")
    parser.add_argument("--seed", metavar="N", help="the one seed")
    parser.add_argument("-p", dest="parameters", metavar="name=value", action="append", default=[],
                        help="research parameter; may be repeated")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run after its last step")
    parser.add_argument("--jobs", metavar="N", help="steps and workers that may run beside each other")
    parser.add_argument("--json", action="store_true", help="print the run's summary as one JSON object")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the day that the arguments ask for and return the exit code."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminable():
            summary = _run(_parser().parse_args(arguments))
    except (Exception, KeyboardInterrupt) as error:  # the last line of defence: no secret may reach a service log
        return failure(error, as_json)
    if as_json:
        print(json.dumps(summary, sort_keys=True))  # noqa: T201 - the command's answer
    else:
        print(f"report: {summary['report']}")  # noqa: T201 - the command's answer
    return 0


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, by which a service is stopped, end the day as Ctrl-C does (only a main thread hears signals)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _run(options: argparse.Namespace) -> dict[str, Any]:
    from daybook.pipeline.runner import RunRequest, run_day
    from daybook.pipeline.summary import run_summary

    parameters = parse_parameters(options.parameters)
    plain = {
        name: getattr(options, name) for name in ("source", "candles", "symbols", "data", "runs", "seed", "jobs")
    }
    settings = load_settings({**plain, **parameters}, options.config)
    day = parse_day(options.date) if options.date is not None else datetime.now(UTC).date()
    request = RunRequest(day.isoformat(), settings, options.resume)
    folder, manifest = run_day(request, _say)
    return run_summary(folder, manifest)


def _say(line: str) -> None:
    with suppress(BrokenPipeError):  # a reader of the progress that went away must not end the day
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress goes to the terminal, answers to stdout
