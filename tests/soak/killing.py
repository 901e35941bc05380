"""Starts a command, kills its whole process group, and tells what it lost: files cut in half, or another result."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.commands import Command
from tests.soak.files import HalfFile, check_whole, final_files, leftovers, results

REPO = Path(__file__).resolve().parents[2]
_POLL_S = 0.003


@dataclass
class Reference:
    """The command that nobody disturbed: its seconds, how many files it made and replaced, and its results."""

    seconds: float
    changes: int
    results: dict[str, str]


@dataclass
class Tally:
    """What happened to a command."""

    kills: int = 0
    losses: list[str] = field(default_factory=list)
    leftovers: int = 0


class Soak:
    """One command, killed again and again in folders below `folder`; `limit_s` seconds without an end are a loss."""

    def __init__(self, command: Command, folder: Path, seed: int, limit_s: float = 600.0) -> None:
        self.command, self.folder, self.limit_s = command, folder, limit_s
        self.rng = random.Random(seed)
        self.inputs = folder / "inputs"
        self.tally, self.rounds = Tally(), 0
        self.inputs.mkdir(parents=True)
        command.inputs(self.inputs)

    def reference(self) -> Reference:
        """Run the command once, undisturbed. RuntimeError if even that fails."""
        place = self.folder / "undisturbed"
        started = time.monotonic()
        with self._started(place) as process:
            changes = _watch(process, place, lambda changes: False, self.limit_s)
            code = process.wait(self.limit_s)
        if code != 0:
            raise RuntimeError(f"{self.command.verb}: fails without a kill: {self._output(place)}")
        return Reference(time.monotonic() - started, changes, results(place))

    def kill_and_resume(self, reference: Reference, kills: int) -> None:
        """In a new folder: kill it `kills` times, look at what is there, let it finish, compare with the reference."""
        self.rounds += 1
        place = self.folder / f"killed_{self.rounds}"
        before = len(self.tally.losses)
        for _ in range(kills):
            if not self._kill(place, reference):
                break  # it was finished already, and stays so
            self.tally.kills += 1
            self._look(place)
        with self._started(place) as process:
            try:
                code = process.wait(self.limit_s)
            except subprocess.TimeoutExpired:
                _end(process)
                self._lost(f"did not end in {self.limit_s:.0f} s after the kill, in {place}")
                return
        self.tally.leftovers += len(leftovers(place))
        if code != 0:
            self._lost(f"exit code {code} after the kill, in {place}: {self._output(place)}")
            return
        found = results(place)
        for name in sorted(found.keys() | reference.results.keys()):
            if found.get(name) != reference.results.get(name):
                how = "differs" if name in found and name in reference.results else "is there in one only"
                self._lost(f"{place / name} {how}: killed and undisturbed")
        if len(self.tally.losses) == before:
            shutil.rmtree(place)

    def _kill(self, place: Path, reference: Reference) -> bool:
        """Start it and kill it at a random moment: of its time, or just after a change in its folder."""
        by_time = self.rng.random() < 0.4
        seconds = self.rng.uniform(0.0, 0.95 * reference.seconds)
        nth, delay = self.rng.randint(1, max(1, reference.changes - 1)), self.rng.uniform(0.0, 0.03)
        started = time.monotonic()

        def due(changes: int) -> bool:
            return time.monotonic() - started >= seconds if by_time else changes >= nth

        with self._started(place) as process:
            _watch(process, place, due, self.limit_s)
            if not by_time:
                time.sleep(delay)
            hit = process.poll() is None
            _end(process)
        if not hit and process.returncode != 0:
            self._lost(f"exit code {process.returncode} before the next kill, in {place}: {self._output(place)}")
        return hit

    def _look(self, place: Path) -> None:
        for path in final_files(place):
            try:
                check_whole(path)
            except HalfFile as error:
                self._lost(f"half a file: {error}")

    def _lost(self, what: str) -> None:
        self.tally.losses.append(f"{self.command.verb}: {what}")

    def _started(self, place: Path) -> subprocess.Popen:
        """The command as a process group of its own, started in the folder of its inputs."""
        place.mkdir(parents=True, exist_ok=True)
        with open(place.with_name(f"{place.name}.output"), "wb") as output:
            return subprocess.Popen(
                [sys.executable, str(REPO / "run.py"), *self.command.words(self.inputs, place)],
                cwd=self.inputs,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _output(self, place: Path) -> str:
        text = place.with_name(f"{place.name}.output").read_text(errors="replace")
        return "\n".join(text.splitlines()[-12:])


def _end(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _watch(process: subprocess.Popen, place: Path, due: Callable[[int], bool], limit_s: float) -> int:
    """Until `due(changes)` or the end of the process: how many files appeared or were replaced in `place`."""
    known: set[tuple[str, int]] = set()
    deadline = time.monotonic() + limit_s
    while process.poll() is None and time.monotonic() < deadline:
        known.update(_files(str(place)))
        if due(len(known)):
            break
        time.sleep(_POLL_S)
    return len(known)


def _files(folder: str) -> list[tuple[str, int]]:
    """(path, inode) of the files below `folder`: a replaced file has another inode."""
    found: list[tuple[str, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found += _files(entry.path)
                else:
                    found.append((entry.path, entry.inode()))
    except FileNotFoundError:  # renamed meanwhile
        pass
    return found
