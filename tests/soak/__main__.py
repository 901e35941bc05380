"""`python -m tests.soak --kills 20`: kill every verb at random moments; nothing may be lost.

Each command runs once undisturbed. Then it is started in a new folder, its process group is killed by SIGKILL, and
every file under a final name must be readable to its end; the same command, given again, must end by itself with the
same results: weights, metrics, tables, prepared files, bit for bit. Some are killed a second time while they resume.
Kills come at random moments of a run's time and just after random changes in its folder, drawn from the seed. Prints
the kills and losses of each command and of all; exits with 1 if anything was lost, and then keeps the folder.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.soak.commands import COMMANDS
from tests.soak.killing import Soak, Tally


def soak(name: str, folder: Path, kills: int, seed: int) -> Tally:
    """Kill the command `name` `kills` times in rounds of one or two, in folders below `folder`."""
    one, rng = Soak(COMMANDS[name], folder / name.replace(" ", "_"), seed), random.Random(seed)
    started = time.monotonic()
    reference = one.reference()
    idle = 0
    while one.tally.kills < kills and idle < 5:
        before = one.tally.kills
        one.kill_and_resume(reference, min(rng.choice([1, 1, 2]), kills - before))
        idle = idle + 1 if one.tally.kills == before else 0
    if one.tally.kills < kills:
        one.tally.losses.append(f"{name}: ended before it could be killed, {idle} times in a row")
    tally = one.tally
    print(
        f"{name}: kills {tally.kills}, losses {len(tally.losses)}; undisturbed {reference.seconds:.0f} s, "
        f"{len(reference.results)} results compared; hidden leftovers {tally.leftovers}; "
        f"{time.monotonic() - started:.0f} s",
        flush=True,
    )
    for loss in tally.losses:
        print(f"  lost: {loss}", flush=True)
    return tally


def shares(kills: int, names: list[str]) -> dict[str, int]:
    """`kills` spread over the commands as evenly as can be, the first ones get what is left over."""
    return {name: kills // len(names) + (place < kills % len(names)) for place, name in enumerate(names)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in all, spread over the commands (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--parallel", type=int, default=2, help="commands at a time (default: 2)")
    parser.add_argument("--only", choices=COMMANDS, action="append", help="this command; may be repeated")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    wanted = {name: share for name, share in shares(given.kills, given.only or list(COMMANDS)).items() if share}
    with ThreadPoolExecutor(given.parallel) as pool:
        # Each command has random numbers of its own, whichever are chosen.
        order = list(COMMANDS)
        jobs = [pool.submit(soak, n, folder, k, 1000 * given.seed + order.index(n)) for n, k in wanted.items()]
        tallies = [job.result() for job in jobs]
    losses = sum(len(tally.losses) for tally in tallies)
    print(f"kills {sum(tally.kills for tally in tallies)}, losses {losses}")
    if losses:
        print(f"what was left: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
