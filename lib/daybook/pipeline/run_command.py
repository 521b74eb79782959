"""The command line of `run_daily.py`: stable options, stable exit codes.

Exit codes: 0 done; 1 internal error; 2 usage, settings or parameter; 3 data; 4 a step failed; 5 another runner is at
work; 6 storage; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from daybook.core.errors import DaybookError, UsageError
from daybook.core.redaction import redact, secret_values
from daybook.core.settings import load_settings, parse_parameters
from daybook.core.time import parse_day

INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """argparse, but its complaints are our UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `run_daily.py --help` lists the options.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="run_daily.py", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--date", metavar="D", help="research day YYYY-MM-DD; today (UTC) when left out")
    parser.add_argument("--source", help="synthetic (the built-in market) or files")
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
        summary = _run(_parser().parse_args(arguments))
    except DaybookError as error:
        return _failed(error.exit_code, type(error).__name__, str(error), as_json)
    except KeyboardInterrupt:
        return _failed(INTERRUPTED, "Interrupted", "interrupted; run the same command with --resume.", as_json)
    except Exception as error:  # the last line of defence: a secret must not reach the terminal or a service log
        text = redact(traceback.format_exc(), secret_values())
        return _failed(1, type(error).__name__, f"{text}\nA defect of Daybook; the run can be resumed.", as_json)
    if as_json:
        print(json.dumps(summary, sort_keys=True))  # noqa: T201 - the command's answer
    else:
        print(f"report: {summary['report']}")  # noqa: T201 - the command's answer
    return 0


def _failed(code: int, kind: str, message: str, as_json: bool) -> int:
    message = redact(message, secret_values())
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the command's answer
    if as_json:
        print(json.dumps({"status": "failed", "exit_code": code, "error": kind, "message": message}))  # noqa: T201
    return code


def _run(options: argparse.Namespace) -> dict[str, Any]:
    from daybook.pipeline.runner import RunRequest, run_day
    from daybook.pipeline.summary import run_summary

    parameters = parse_parameters(options.parameters)
    plain = {
        name: getattr(options, name) for name in ("source", "candles", "symbols", "data", "runs", "seed", "jobs")
    }
    settings = load_settings({**plain, **parameters}, options.config)
    day = parse_day(options.date) if options.date else datetime.now(UTC).date()
    request = RunRequest(day.isoformat(), settings, tuple(sorted(parameters)), options.resume)
    folder, manifest = run_day(request, _say)
    return run_summary(folder, manifest)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress goes to the terminal, answers to stdout
