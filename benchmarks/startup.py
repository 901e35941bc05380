"""Seconds until `python run.py --help` has answered, against importing Hydra, which it cannot do without.

python -m benchmarks.startup
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure

SIZES = (1.0,)
ROUNDS = 5
REPO = Path(__file__).resolve().parents[1]


def figures(sizes: Sequence[float]) -> Iterator[Figure]:
    """One figure, whatever the sizes: nothing here grows with data."""
    words = (["run.py", "--help"], ["-c", "import hydra"])
    rounds = [[run(own) for own in words] for _ in range(ROUNDS + 1)][1:]
    ours, theirs = (statistics.median(one[place][0] for one in rounds) for place in (0, 1))
    peak = max(one[0][1] for one in rounds)
    yield Figure(
        "start-up/run.py --help", 1.0, 1, "call", ours, "s", "python -c 'import hydra'", theirs, theirs / ours, peak
    )


def run(words: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak resident MiB of one Python process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], cwd=REPO, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit code {process.returncode}")
    return seconds, round(usage.ru_maxrss / 1024, 1)


if __name__ == "__main__":
    for figure in figures(SIZES):
        print(figure.line())
