"""Seconds until `python run.py --help` has answered, against importing Hydra, which it cannot do without, and until
`predict` has written its files of a short clip without pictures, against importing torch.

python -m benchmarks.run --only startup
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure

SIZES = (1.0,)
ROUNDS = 5
REPO = Path(__file__).resolve().parents[1]
CLIP = "input=examples/multiview/cam2_keypoints.json"
PREDICT = ("experiment=predict", CLIP, "camera.image_size=[1088,1920]", "fps=60", "pictures=false")


def figures(sizes: Sequence[float]) -> Iterator[Figure]:
    """Two figures, whatever the sizes: nothing here grows with data."""
    with tempfile.TemporaryDirectory() as folder:
        yield _figure("run.py --help", ["run.py", "--help"], "hydra", peak_mib())
        yield _figure("predict", ["run.py", *PREDICT, f"hydra.run.dir={folder}"], "torch", None)


def _figure(name: str, words: Sequence[str], without: str, peak: float | None) -> Figure:
    both = (words, ["-c", f"import {without}"])
    rounds = [[seconds(own) for own in both] for _ in range(ROUNDS + 1)][1:]
    ours, theirs = (statistics.median(taken) for taken in zip(*rounds, strict=True))
    return Figure(
        f"start/{name}", 1.0, 1, "call", ours, "s", f"python -c 'import {without}'", theirs, theirs / ours, peak
    )


def seconds(words: Sequence[str]) -> float:
    """Of one Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=REPO, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def peak_mib() -> float | None:
    """Of `run.py --help`, resident; None if not on Linux. (What a parent is told counts the parent's own pages.)"""
    code = "import atexit, runpy, sys; sys.argv = ['run.py', '--help']; "
    code += "atexit.register(lambda: sys.stderr.write(open('/proc/self/status').read())); "
    code += "runpy.run_path('run.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    found = re.search(r"VmHWM:\s*(\d+) kB", done.stderr)
    return round(int(found[1]) / 1024, 1) if found else None
