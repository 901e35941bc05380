"""`python -m tests.soak --kills 20`: kill every verb at random moments; nothing may be lost.

Each command runs once undisturbed. Then it is started in a new folder and its process group is killed by SIGKILL, and
every file under a final name must be readable to its end; the same command, given again, must end by itself with the
same results bit for bit. Half of the kills come at a random moment of a run's time, half just after a random change in
its folder. Prints the kills and losses; exits with 1 if anything was lost, and then keeps the folder.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tests.soak.commands import COMMANDS, words
from tests.soak.files import HalfFile, check_whole, final_files, results

REPO = Path(__file__).resolve().parents[2]
LIMIT_S = 600.0


class Soak:
    """One command in folders below `folder`: `kills` and `losses` count what happened to it."""

    def __init__(self, name: str, folder: Path, seed: int, more: Sequence[str] = ()) -> None:
        self.name, self.folder, self.more, self.rng = name, folder, list(more), random.Random(seed)
        self.kills, self.losses = 0, []
        self.inputs = folder / "inputs"
        self.inputs.mkdir(parents=True)
        COMMANDS[name][0](self.inputs)
        started = time.monotonic()
        self.changes = self.run(folder / "undisturbed")
        self.seconds, self.expected = time.monotonic() - started, results(folder / "undisturbed")
        if self.losses or not self.expected:
            raise RuntimeError(f"{name}: fails without a kill: {self.losses}")

    def run(self, place: Path, due: Callable[[int], bool] = lambda changes: False) -> int:
        """Start the command, kill it once `due(changes)`; how many files appeared or were replaced in `place`."""
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(REPO / "run.py"), *words(self.name, self.inputs, place), *self.more]
        known: set[tuple[str, int]] = set()
        deadline = time.monotonic() + LIMIT_S
        with open(place.with_name(f"{place.name}.output"), "wb") as output:
            process = subprocess.Popen(
                command, cwd=self.inputs, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        killed = False
        while process.poll() is None and not killed:
            known.update(_files(place))
            if killed := due(len(known)) or time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.003)
        if process.wait() != 0 and not (killed and time.monotonic() < deadline):
            self.losses.append(f"{self.name}: exit code {process.returncode} in {place}")
        self.kills += killed
        return len(known)

    def kill_and_resume(self, number: int) -> None:
        """In a new folder: kill it once or twice, look at what is there, let it finish, compare."""
        place = self.folder / f"killed_{number}"
        for _ in range(self.rng.choice((1, 1, 2))):
            at = time.monotonic() + self.rng.uniform(0, 0.95 * self.seconds)
            nth = self.rng.randint(1, max(1, self.changes - 1))
            by_time = self.rng.random() < 0.5
            self.run(place, lambda n, t=at, k=nth, by=by_time: time.monotonic() > t if by else n >= k)
            for path in final_files(place):
                try:
                    check_whole(path)
                except HalfFile as error:
                    self.losses.append(f"{self.name}: half a file: {error}")
        self.run(place)
        found = results(place)
        for file in sorted(found.keys() | self.expected.keys()):
            if found.get(file) != self.expected.get(file):
                self.losses.append(f"{self.name}: {place / file} differs from that of the undisturbed command")


def _files(place: Path) -> Iterator[tuple[str, int]]:
    """(path, inode) of the files below `place`: a replaced file has another inode."""
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(FileNotFoundError):  # renamed meanwhile
                yield f"{folder}/{name}", os.stat(f"{folder}/{name}").st_ino


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in all, spread over the commands (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", choices=COMMANDS, action="append", help="this command; may be repeated")
    given = parser.parse_args()
    folder, kills, losses = Path(tempfile.mkdtemp(prefix="soak-")), 0, []
    names = given.only or list(COMMANDS)
    for place, name in enumerate(names):
        wanted = given.kills // len(names) + (place < given.kills % len(names))
        soak = Soak(name, folder / name.replace(" ", "_"), 1000 * given.seed + place)
        for number in range(3 * wanted):  # some rounds end before they are killed
            if soak.kills < wanted:
                soak.kill_and_resume(number)
        print(f"{name}: kills {soak.kills}, losses {len(soak.losses)}", *soak.losses, sep="\n  ", flush=True)
        kills, losses = kills + soak.kills, losses + soak.losses
    print(f"kills {kills}, losses {len(losses)}")
    if losses:
        print(f"what was left: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
