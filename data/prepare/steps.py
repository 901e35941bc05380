"""Runs the steps of a preparation: skips what is done, goes on after an interruption, uses several processes.

A step is done when `manifest.json` says so for the same settings and inputs and its files are there in the recorded
sizes. Files appear under their names only when complete and a step is recorded only after its files, so whatever kills
the program, the same command continues.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.prepare.manifest import Manifest, input_state, output_state, same_outputs, settings_hash
from fileio.locks import waiting_for
from pose.errors import ConfigError, DataError, PoseError, check_number

#: Held in the root by the one preparation that works there.
LOCK = ".prepare.lock"


@dataclass(frozen=True)
class Step:
    """One piece of work that is done as a whole or not at all.

    name: shown to the user; unique among all preparations that share a folder. outputs: the files it makes, below the
    root; a lazy sequence will do where they are many. run: makes them, each atomically; picklable (a functools.partial
    of a module's function). settings: plain values that decide the content. inputs: files it depends on. after: names
    of earlier steps that must be finished first. Changed settings, or an input of another size or time, mean doing it
    again; an input that is gone does not, so archives may be deleted after use.
    """

    name: str
    outputs: Sequence[Path]
    run: Callable[[], None]
    settings: Mapping[str, Any]
    inputs: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """How many steps were done now, were found done, failed, or wait for a failed one; and the seconds it took."""

    done: int
    skipped: int
    failed: int
    seconds: float
    waiting: int = 0


class StepsFailedError(DataError):
    """Some steps failed; `report` tells how many did not."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def run_steps(
    root: Path,
    steps: Sequence[Step],
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    verify: bool = False,
) -> Report:
    """Do those of `steps` that are not done, and remember it in `root`/manifest.json.

    jobs: processes; 1 works in this one. progress: called with (settled steps, all steps). verify: also compare the
    SHA-256 of what is there. A step that fails lets those that do not depend on it finish. Another preparation in
    `root` is waited for, where its file system knows locks. Raises ConfigError for steps or jobs that make no sense,
    DataError at once for a full disk, and StepsFailedError at the end naming what failed.
    """
    root = Path(root)
    check_number("jobs", jobs, 1, whole=True, hint="processes")
    _check(root, steps)
    with ExitStack() as stack:
        with suppress(DataError):  # no locks, or a folder of finished steps that may not be written
            stack.enter_context(waiting_for(root / LOCK, f"the folder {root}"))
        run = _Run(root, list(steps), Manifest(root), verify)
        try:
            with _executor(jobs) as executor:
                try:
                    run.all(executor, most=1 if jobs == 1 else 2 * jobs, progress=progress)
                except BaseException:
                    executor.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            run.manifest.save()
        return run.finish()


def _check(root: Path, steps: Sequence[Step]) -> None:
    """ConfigError for names used twice, an `after` that is not among the steps before, files outside of `root`."""
    known: set[str] = set()
    for step in steps:
        if step.name in known:
            raise ConfigError(f"step {step.name!r} is given twice; names must be unique")
        if unknown := set(step.after) - known:
            raise ConfigError(f"step {step.name!r} comes after {sorted(unknown)}, which are not among the steps before")
        known.add(step.name)
        if not step.outputs:
            raise ConfigError(f"step {step.name!r} has no outputs; without any it is not known when it is done")
        for path in (step.outputs[0], step.outputs[-1]):
            if not path.is_relative_to(root) or ".." in path.parts:
                raise ConfigError(f"step {step.name!r} writes {path}, which is not below {root}")


@dataclass
class _Run:
    """The state of one call of `run_steps`."""

    root: Path
    open: list[Step]
    manifest: Manifest
    verify: bool
    started: float = field(default_factory=time.perf_counter)
    settled: dict[str, str] = field(default_factory=dict)  # name -> done, skipped, failed or waiting
    errors: list[tuple[str, str]] = field(default_factory=list)

    def all(self, executor: Executor, most: int, progress: Callable[[int, int], None] | None) -> None:
        """Settle every step, at most `most` in the executor's hands at a time."""
        total = len(self.open)
        under_way: dict[Future, tuple[Step, bool]] = {}  # the step, and whether it is only being checked
        while self.open or under_way:
            for step in self._ready(most - len(under_way)):
                if self.verify and self.manifest.get(step.name) is not None:
                    check = executor.submit(_is_done, self.root, step, self.manifest.get(step.name), True)
                    under_way[check] = (step, True)
                elif _is_done(self.root, step, self.manifest.get(step.name), False):
                    self.settled[step.name] = "skipped"
                else:
                    under_way[self._start(step, executor)] = (step, False)
            for future in wait(under_way, return_when=FIRST_COMPLETED).done if under_way else ():
                step, checking = under_way.pop(future)
                if not checking:
                    self._settle(step, future)
                elif future.result():
                    self.settled[step.name] = "skipped"
                else:
                    under_way[self._start(step, executor)] = (step, False)
            self.manifest.save_if_due()
            if progress is not None:
                progress(len(self.settled), total)

    def _ready(self, count: int) -> list[Step]:
        """Take up to `count` steps that nothing holds up out of `open`; those behind a failed one are settled."""
        ready: list[Step] = []
        left: list[Step] = []
        for step in self.open:
            states = [self.settled.get(name) for name in step.after]
            if "failed" in states or "waiting" in states:
                self.settled[step.name] = "waiting"
            elif len(ready) < count and None not in states:
                ready.append(step)
            else:
                left.append(step)
        self.open = left
        return ready

    def _start(self, step: Step, executor: Executor) -> Future:
        if self.manifest.get(step.name) is not None:
            self.manifest.drop(step.name)
        return executor.submit(_execute, self.root, step)

    def _settle(self, step: Step, future: Future) -> None:
        try:
            entry, error, disk_full = future.result()
        except BrokenExecutor:
            raise DataError(
                f"{self.root}: a worker process died at or near step {step.name!r}, perhaps for want of memory; run "
                "the same command again, with fewer jobs"
            ) from None
        if disk_full:
            free = shutil.disk_usage(self.root).free // 2**20
            raise DataError(
                f"{self.root}: the disk is full ({free} MB free) at step {step.name!r}; make space and run the same "
                "command again: finished steps are kept"
            )
        if error:
            self.settled[step.name] = "failed"
            self.errors.append((step.name, error))
        else:
            self.settled[step.name] = "done"
            self.manifest.put(step.name, entry)

    def finish(self) -> Report:
        states = list(self.settled.values())
        counts = {state: states.count(state) for state in ("done", "skipped", "failed", "waiting")}
        report = Report(seconds=time.perf_counter() - self.started, **counts)
        if self.errors:
            (name, text), *others = self.errors
            behind = f" ({report.waiting} more wait for them)" if report.waiting else ""
            also = f" Also failed: {', '.join(other for other, _ in others)}." if others else ""
            raise StepsFailedError(
                f"{self.root}: {report.failed} of {len(states)} steps failed{behind}; repair this and run the same "
                f"command again, it keeps what is done. {name}: {text}{'' if text.endswith('.') else '.'}{also}",
                report,
            )
        return report


# --- in the worker ---------------------------------------------------------------------------------------------------


def _is_done(root: Path, step: Step, entry: Mapping[str, Any] | None, verify: bool) -> bool:
    """Whether the manifest's `entry` still describes the step, its inputs and its files."""
    if entry is None or entry.get("settings") != settings_hash(step.settings):
        return False
    try:
        inputs = input_state(root, step.inputs)
    except FileNotFoundError:
        inputs = entry.get("inputs")
    if inputs != entry.get("inputs"):
        return False
    try:
        return same_outputs(entry.get("outputs", {}), output_state(root, step.outputs, hashed=verify), hashed=verify)
    except OSError:
        return False


def _execute(root: Path, step: Step) -> tuple[dict[str, Any], str, bool]:
    """Run a step: its manifest entry, the text of its error ("" for none), and whether the disk was full."""
    try:
        try:
            inputs = input_state(root, step.inputs)
        except FileNotFoundError as error:
            raise DataError(f"{error.filename}: missing, this step reads it; put it there") from None
        step.run()
        outputs = output_state(root, step.outputs, hashed=True)
        return {"settings": settings_hash(step.settings), "inputs": inputs, "outputs": outputs}, "", False
    except Exception as error:  # whatever it is, the other steps go on, and the user reads it at the end
        text = str(error) if isinstance(error, PoseError) else traceback.format_exc()
        return {}, text or type(error).__name__, _disk_full(error)


def _disk_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Here(Executor):
    """Does the work in this process, before `submit` returns."""

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _executor(jobs: int) -> Executor:
    if jobs == 1:
        return _Here()
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _prepare_worker)


def _prepare_worker() -> None:
    """One thread for each process, and an end when the parent was killed."""
    import torch

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
