"""One research day from command to published run, resumable after a crash at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daybook.core.errors import DaybookError
from daybook.core.log import RunLog
from daybook.core.redaction import secret_values
from daybook.core.settings import Settings
from daybook.pipeline.execute import execute_step
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.kernels import end_kernels, kernel_environment
from daybook.pipeline.lock import runner_lock
from daybook.pipeline.manifest import (
    NEEDS,
    STEPS,
    Manifest,
    artefact_hashes,
    read_manifest,
    write_manifest,
)
from daybook.pipeline.notebooks import step_parameters

Progress = Callable[[str], None]


@dataclass(frozen=True)
class RunRequest:
    """What a person asked for: the day (ISO), the settings, and whether to resume."""

    day: str
    settings: Settings
    resume: bool = False


@dataclass
class _Clock:
    """Seconds by name, for the manifest: what the day spent outside its notebooks."""

    seconds: dict[str, float] = field(default_factory=dict)

    def measure(self, name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)


@dataclass
class _Run:
    """A run under way."""

    request: RunRequest
    folders: RunFolders
    folder: Path
    manifest: Manifest
    log: RunLog
    say: Progress
    clock: _Clock
    secrets: tuple[str, ...]
    saving: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    def save(self) -> None:
        """Write the manifest; steps that run beside each other take turns."""
        with self.saving:
            self.manifest.overhead_seconds = dict(sorted(self.clock.seconds.items()))
            write_manifest(self.folder, self.manifest)


def run_day(request: RunRequest, say: Progress) -> tuple[Path, Manifest]:
    """Execute the day and publish it; returns the finished run's folder and manifest.

    say: called with one line per step. Raises LockedError when another runner is at work, StepError when a notebook
    failed (its run stays in `.staging` for --resume), and any other DaybookError before the first step.
    """
    from daybook.pipeline.begin import finished_run
    from daybook.pipeline.ledger_check import require_whole_ledger
    from daybook.pipeline.pages import write_site
    from daybook.pipeline.publish import publish_missing
    from daybook.pipeline.tidy import sweep, tidy

    folders = RunFolders(request.settings.runs)
    with runner_lock(request.settings.runs, request.settings.data):
        sweep(folders, request.settings.data)
        require_whole_ledger(folders, request.settings.data)
        publish_missing(folders, request.settings.data)
        finished = finished_run(request, folders) if request.resume else None
        if finished is not None:
            write_site(folders)
            say(f"{request.day}: already finished as {finished.parent.name}/{finished.name}, nothing to resume.")
            return finished, read_manifest(finished)
        done = _executed(request, folders, say)
        tidy(request)
        return done


def _executed(request: RunRequest, folders: RunFolders, say: Progress) -> tuple[Path, Manifest]:
    from daybook.pipeline.begin import begin_run
    from daybook.pipeline.publish import publish_run

    clock = _Clock()
    folder, manifest = begin_run(request, folders, say, clock.measure)
    secrets = secret_values(request.settings.secrets())
    with RunLog(folder / "log.jsonl", secrets) as log:
        run = _Run(request, folders, folder, manifest, log, say, clock, secrets)
        run.manifest.status = "running"
        run.save()
        log.event("run_started", run_id=manifest.sealed.run_id, resume=request.resume)
        try:
            with kernel_environment(request.settings):
                _run_steps(run)
        except DaybookError as error:
            run.manifest.status = "failed"
            run.save()
            log.event("run_failed", error=str(error))
            raise
        except KeyboardInterrupt:
            log.event("run_interrupted")
            raise
        log.event("steps_finished", run_id=manifest.sealed.run_id)
        return publish_run(folders, folder, run.manifest, request.settings, clock.measure, run.save, say)


def _run_steps(run: _Run) -> None:
    """Execute every step that is not done, each as soon as those it needs are done, on at most `jobs` threads."""
    _forget_broken_steps(run)
    for record in run.manifest.steps:
        if record.state == "done":
            run.say(_line(record.name, "reused from before the interruption"))
    failure: DaybookError | None = None
    started: dict[Future[None], str] = {}
    with ThreadPoolExecutor(max_workers=run.request.settings.jobs) as pool, _kernels_ended(run, started):
        while True:
            ready = [] if failure else _ready(run.manifest, set(started.values()))
            for step in ready[: run.request.settings.jobs - len(started)]:
                started[pool.submit(_execute, run, step)] = step
            if not started:
                break
            for future in wait(started, return_when=FIRST_COMPLETED).done:
                step = started.pop(future)
                error = future.exception()
                if isinstance(error, DaybookError):
                    failure = failure or error
                elif error is not None:
                    raise error
    if failure:
        raise failure


@contextmanager
def _kernels_ended(run: _Run, started: dict[Future[None], str]) -> Iterator[None]:
    """When the block is left early, by Ctrl-C, SIGTERM or a defect, end the kernels instead of waiting for them."""
    try:
        yield
    except BaseException:
        run.stopping.set()
        while wait(started, timeout=0.1).not_done:
            end_kernels()
        raise


def _ready(manifest: Manifest, running: set[str]) -> list[str]:
    done = {record.name for record in manifest.steps if record.state == "done"}
    return [s for s in STEPS if s not in done and s not in running and all(n in done for n in NEEDS[s])]


def _forget_broken_steps(run: _Run) -> None:
    """Set back every step that was not done, whose artefacts no longer match, or that follows such a step."""
    intact: set[str] = set()
    for step in STEPS:
        record = run.manifest.step(step)
        whole = record.state == "done" and record.artefacts == artefact_hashes(run.folder, step)
        if whole and (run.folder / f"{step}.ipynb").is_file() and all(n in intact for n in NEEDS[step]):
            intact.add(step)
        else:
            record.state = "pending"


def _execute(run: _Run, step: str) -> None:
    record = run.manifest.step(step)
    record.state, record.attempts, record.error = "running", record.attempts + 1, None
    run.save()
    run.log.event("step_started", step=step, attempt=record.attempts)
    try:
        settings = run.request.settings
        done = execute_step(run.folder, step, step_parameters(step, settings), settings, run.secrets)
    except DaybookError as error:
        if run.stopping.is_set():
            raise  # its kernel was ended from here
        record.state, record.error = "failed", str(error)
        run.save()
        run.log.event("step_failed", step=step, error=str(error))
        run.say(_line(step, "FAILED"))
        raise
    record.state, record.artefacts, record.headline = "done", done.artefacts, done.headline
    record.seconds, record.work_seconds = round(done.seconds, 3), done.work_seconds
    run.save()
    run.log.event("step_done", step=step, seconds=record.seconds)
    run.say(_line(step, f"{done.seconds:6.1f} s  {done.headline.get('verdict', '')}"))


def _line(step: str, text: str) -> str:
    return f"[{STEPS.index(step) + 1}/{len(STEPS)}] {step:<14} {text}"
